# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workloads: what each has, how its container is made, and the finding of pod_preflight that it is there to make.

expect: the id of the reason that decides; empty where everything is to work. What can be combined at random is in
COMBINABLE.
"""

from __future__ import annotations

import dataclasses
import random
import typing as t

ROLE = "role"  # the configuration of CRIU that the role criu writes
BARE = "bare"  # none at all
REMAP = "remap"  # the role's, with link-remap and ext-unix-sk


@dataclasses.dataclass(frozen=True)
class Workload:
    """One container to be made, looked at, checkpointed and restored."""

    name: str
    features: t.Tuple[str, ...]
    expect: str = ""
    config: str = ROLE
    network: str = "POD"
    pid: str = "CONTAINER"
    ipc: str = "POD"
    privileged: bool = False
    user: int = 0
    tty: bool = False
    seccomp: bool = False
    device: str = ""
    propagation: str = ""
    # What happens to it from outside, once it runs: exec, exec_tty, trace, neighbour.
    outside: str = ""
    slow: bool = False


def _one(feature: str, expect: str = "", **how: t.Any) -> Workload:
    return Workload(how.pop("name", feature.replace("_", "-")), (feature,), expect, **how)


HARMLESS = (
    "heap threads children zombie eventfds memfd_sealed epoll timers fifo pipe_data shared_memory sysv_shm pidfd_child"
    " urandom open_file replaced_file changed_image_file append_once chroot_child deleted_small deleted_sparse"
    " shm_deleted tcp_listen tcp_unconnected udp_any raw packet netlink socketpair socketpair_closed unix_listen"
    " unix_waiting host_path_file flock posix_lock ofd_lock deleted_3m tcp_established tcp_close_wait tcp_in_flight"
    " own_terminal"
).split()
HARMFUL = {
    "io_uring": "io-uring",
    "mptcp": "mptcp",
    "deleted_120m": "ghost-file",
    "deleted_linked": "deleted-file-linked",
    "traced": "traced",
    "zombie_threads": "zombie-threads",
    "netlink_unread": "netlink-unread",
    "empty_dir_file": "open-on-emptydir",
    "shm_file": "open-on-emptydir",
    "tcp_listen_pod": "bound-to-pod-address",
    "udp_pod": "bound-to-pod-address",
    "udp_connected": "bound-to-pod-address",
    "unix_outside": "unix-external",
}
# What also goes wrong where CRIU has no configuration.
HARMFUL_BARE = {
    "tcp_established": "tcp-established",
    "tcp_close_wait": "tcp-established",
    "tcp_in_flight": "tcp-established",
    "flock": "file-locks",
    "posix_lock": "file-locks",
    "ofd_lock": "file-locks",
    "deleted_3m": "ghost-file",
}
COMBINABLE = tuple(HARMLESS) + tuple(HARMFUL)

BY_HAND = (
    [_one("plain")]
    + [_one(name) for name in HARMLESS]
    + [_one(name, expect) for name, expect in HARMFUL.items()]
    + [_one(name, expect, name=name.replace("_", "-") + "-bare", config=BARE) for name, expect in HARMFUL_BARE.items()]
    + [
        _one("heap512", slow=True),
        _one("stopped_child", "stopped-process", slow=True),
        _one("tcp_outside"),
        _one("tcp_outside", "tcp-established", name="tcp-outside-bare", config=BARE),
        _one("tcp_syn_sent"),
        _one("lease"),
        _one("deleted_of_image", "deleted-file-linked"),
        _one("deleted_of_image", name="deleted-of-image-remap", config=REMAP),
        _one("deleted_linked", "link-remap-lost", name="deleted-linked-remap", config=REMAP),
        _one("deleted_mapping"),
        _one("deleted_mapping", "ghost-file", name="deleted-mapping-bare", config=BARE),
        _one("deleted_directory"),
        _one("growing", "file-growing"),
        _one("growing_volume", "file-growing"),
        _one("empty_dir_content", "emptydir-content"),
        _one("inotify_image", "inotify"),
        _one("inotify_etc"),
        _one("inotify_shm"),
        _one("inotify_volume"),
        _one("fanotify", "inotify", privileged=True),
        _one("userfaultfd", "unsupported-file"),
        _one("landlock", "unsupported-file"),
        _one("secretmem", "unsupported-file"),
        _one("device_fuse", "device", device="/dev/fuse"),
        _one("bpf_map", "bpf-map", privileged=True),
        _one("sctp", "socket-protocol"),
        _one("alg", "socket-protocol"),
        _one("vsock", "socket-protocol"),
        _one("nested_uts", "nested-namespace", privileged=True),
        _one("nested_user", "nested-namespace", privileged=True),
        _one("nested_pid", "nested-namespace", privileged=True),
        _one("nested_net", "nested-namespace", privileged=True),
        _one("nested_mnt", privileged=True),
        _one("drop_root", "rlimit-denied"),
        _one("plain", "rlimit-denied", name="not-root", user=1000),
        _one("plain", name="terminal", tty=True),
        _one("plain", name="seccomp", seccomp=True),
        _one("plain", name="privileged", privileged=True),
        _one("plain", "host-network", name="host-network", network="NODE"),
        _one("plain", "host-pid", name="host-pid", pid="NODE"),
        _one("plain", "shared-pid-namespace", name="shared-pid", pid="POD"),
        _one("sysv_shm", "sysv-shm-of-host", name="sysv-of-host", ipc="NODE"),
        _one("plain", "mount-propagation", name="propagation", propagation="HOST_TO_CONTAINER"),
        _one("plain", "exec-session", name="exec", outside="exec"),
        _one("plain", "exec-terminal", name="exec-terminal", outside="exec_tty"),
        _one("plain", "traced", name="traced-from-outside", outside="trace", slow=True),
        _one("unix_neighbour", "unix-external", outside="neighbour"),
        _one("unix_neighbour_dgram", "unix-external", outside="neighbour"),
        _one(
            "unix_neighbour_dgram",
            "unix-external-gone",
            name="unix-neighbour-dgram-remap",
            config=REMAP,
            outside="neighbour",
        ),
    ]
)
# Cheap, and one of every kind: what the gate runs.
SHORT = frozenset(
    "plain heap children epoll deleted-small tcp-established unix-listen host-path-file own-terminal io-uring mptcp"
    " deleted-120m replaced-file traced zombie-threads empty-dir-file tcp-listen-pod unix-outside tcp-established-bare"
    " flock-bare terminal shared-pid exec unix-neighbour inotify-image growing".split()
)


def at_random(seed: int, count: int) -> t.List[Workload]:
    """Workloads with one to four features; about every second one with something harmful."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        harmful = draw.sample(sorted(HARMFUL), draw.choice((0, 0, 0, 1, 1, 2)))
        harmless = draw.sample(HARMLESS, draw.randint(1, 3))
        features = [feature for feature in harmless + harmful if feature != "deleted_120m"]
        draw.shuffle(features)
        config = draw.choice((ROLE, ROLE, BARE, REMAP))
        found.append(Workload("random-%d" % number, tuple(features), config=config))
    return found
