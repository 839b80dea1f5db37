# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(pod_preflight) knows about one container, as plain data, and the shape of a reason.

PRIVATE to the collection. No effects: C(_preflight_collect) fills a Snapshot from /proc, the files C(_preflight_*)
with the
checks read it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

ERROR, WARNING, INFO = "error", "warning", "info"
CHECKPOINT, RESTORE = "checkpoint", "restore"
YES, RISKY, NO = "yes", "risky", "no"

Reason = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Lock:
    """A file lock as fdinfo shows it: kind POSIX, FLOCK, OFDLCK or LEASE."""

    kind: str
    access: str
    pid: int


@dataclass(frozen=True)
class Descriptor:
    """One open file. mode is None where the file was not looked at (network file systems).

    of_image: it is deleted, and was a file of the container's image (which keeps it).
    """

    fd: int
    target: str
    flags: int = 0
    mount_id: int = 0
    inode: int = 0
    mode: t.Optional[int] = None
    size: int = 0
    links: int = 1
    rdev: t.Tuple[int, int] = (0, 0)
    protocol: str = ""
    locks: t.Tuple[Lock, ...] = ()
    watches: t.Tuple[t.Tuple[int, int], ...] = ()
    refers_to_pid: t.Optional[int] = None
    of_image: bool = False

    @property
    def deleted(self) -> bool:
        """Whether /proc shows the name as gone."""
        return self.target.endswith(" (deleted)")

    @property
    def path(self) -> str:
        """The name, without /proc's remark that it is gone."""
        return self.target[: -len(" (deleted)")] if self.deleted else self.target

    @property
    def writable(self) -> bool:
        """Whether it was opened for writing."""
        return self.flags & 3 in (1, 2)


@dataclass(frozen=True)
class Mapping:
    """A file mapping that is worth a look. size: bytes on disk of a deleted file."""

    address: str
    path: str
    size: int = 0
    links: int = 1
    of_image: bool = False

    @property
    def deleted(self) -> bool:
        """Whether /proc shows the name as gone."""
        return self.path.endswith(" (deleted)")


@dataclass(frozen=True)
class Process:
    """One process in the container's cgroup. Ids are (real, effective, saved, file system)."""

    pid: int
    ns_pid: int
    ppid: int
    comm: str
    state: str
    threads: int = 1
    sid_in_ns: int = 1
    uids: t.Tuple[int, ...] = (0, 0, 0, 0)
    gids: t.Tuple[int, ...] = (0, 0, 0, 0)
    tracer: int = 0
    tty: int = 0
    no_new_privs: bool = False
    seccomp: int = 0
    capabilities: int = 0
    lsm: str = ""
    anonymous_bytes: int = 0
    shared_bytes: int = 0
    swapped_bytes: int = 0
    thread_states: t.Tuple[str, ...] = ()
    namespaces: t.Mapping[str, int] = field(default_factory=dict)
    descriptors: t.Tuple[Descriptor, ...] = ()
    mappings: t.Tuple[Mapping, ...] = ()
    in_tree: bool = True
    truncated: bool = False


@dataclass(frozen=True)
class InetSocket:
    """A line of /proc/net/{tcp,udp,raw}*. state as the kernel numbers TCP's; queue: connections that wait
    (listener)."""

    inode: int
    protocol: str
    state: int
    local: t.Tuple[str, int]
    remote: t.Tuple[str, int]
    queue: int = 0


@dataclass(frozen=True)
class UnixSocket:
    """A unix socket of the pod's network. peer: 0 without one; None where the kernel could not be asked for it."""

    inode: int
    kind: str
    state: int
    peer: t.Optional[int] = None
    name: str = ""
    queue: int = 0


@dataclass(frozen=True)
class NetlinkSocket:
    """A line of /proc/net/netlink."""

    inode: int
    protocol: int
    port: int
    groups: int
    unread: int


@dataclass(frozen=True)
class Mount:
    """A line of the container's mountinfo."""

    mount_id: int
    parent: int
    device: str
    root: str
    point: str
    fstype: str
    source: str = ""
    shared: int = 0
    master: int = 0


@dataclass(frozen=True)
class Network:
    """Everything about one network namespace. unix_peers: whether peers of unix sockets are known."""

    inet: t.Mapping[int, InetSocket] = field(default_factory=dict)
    unix: t.Mapping[int, UnixSocket] = field(default_factory=dict)
    netlink: t.Mapping[int, NetlinkSocket] = field(default_factory=dict)
    addresses: t.FrozenSet[str] = frozenset()
    unix_peers: bool = True


@dataclass(frozen=True)
class Host:
    """The node, as far as it decides what works. criu_options: of the configuration that the runtime hands to CRIU."""

    engine: str = ""
    criu: t.Optional[t.Tuple[int, ...]] = None
    criu_options: t.Mapping[str, str] = field(default_factory=dict)
    capabilities: int = -1
    namespaces: t.Mapping[str, int] = field(default_factory=dict)
    lsm: str = ""
    cgroup_version: int = 2
    checkpoint_dir: str = ""
    free_bytes: t.Optional[int] = None
    state_dir: str = ""
    state_free_bytes: t.Optional[int] = None
    store_free_bytes: t.Optional[int] = None
    target_free_bytes: t.Optional[int] = None


@dataclass(frozen=True)
class Volume:
    """A bind mount of the container: where it comes from and what is in it.

    kind: of Kubernetes (emptyDir, hostPath, persistentVolumeClaim, projected, configMap, secret, downwardAPI, csi,
    …), V(pod) for
    what the kubelet makes itself (hosts, resolv.conf, termination log), V(shm) for the pod's /dev/shm.
    files, used: entries and bytes found, None where nobody looked.
    """

    name: str
    kind: str
    path: str
    source: str = ""
    read_only: bool = False
    sub_path: bool = False
    access_modes: t.Tuple[str, ...] = ()
    propagation: str = ""
    files: t.Optional[int] = None
    used: t.Optional[int] = None


@dataclass(frozen=True)
class Snapshot:
    """One container at one moment.

    growing: paths of files that got larger while we looked. findable: inodes of the directories where CRIU looks for
    watched files.
    """

    namespace: str
    pod: str
    container: str
    container_id: str
    init: int
    processes: t.Tuple[Process, ...]
    network: Network = Network()
    mounts: t.Tuple[Mount, ...] = ()
    volumes: t.Tuple[Volume, ...] = ()
    spec: t.Mapping[str, t.Any] = field(default_factory=dict)
    pod_object: t.Optional[t.Mapping[str, t.Any]] = None
    memory_bytes: t.Optional[int] = None
    rootfs_bytes: t.Optional[int] = None
    log_bytes: int = 0
    growing: t.FrozenSet[str] = frozenset()
    findable: t.FrozenSet[int] = frozenset()
    host: Host = Host()

    @property
    def tree(self) -> t.Tuple[Process, ...]:
        """The processes that a checkpoint saves: the first one and its descendants."""
        return tuple(process for process in self.processes if process.in_tree)

    def option(self, name: str) -> bool:
        """Whether CRIU is given this option."""
        return name in self.host.criu_options


def reason(
    name: str,
    severity: str,
    affects: t.Sequence[str],
    text: str,
    remedy: str,
    /,
    error: str = "",
    criu_option: t.Optional[str] = None,
    transient: bool = False,
    **evidence: t.Any,
) -> Reason:
    """One reason. error: what the runtime or CRIU would say. evidence: pid, fd, path and what else points at it."""
    return {
        "id": name,
        "severity": severity,
        "affects": list(affects),
        "text": text,
        "remedy": remedy,
        "error": error,
        "criu_option": criu_option,
        "transient": transient,
        "evidence": {key: value for key, value in evidence.items() if value not in (None, "")},
    }


def verdict(reasons: t.Iterable[Reason], what: t.Optional[str] = None) -> str:
    """yes, risky or no; what: checkpoint or restore alone, None for both."""
    severities = {found["severity"] for found in reasons if what is None or what in found["affects"]}
    if ERROR in severities:
        return NO
    return RISKY if WARNING in severities else YES
