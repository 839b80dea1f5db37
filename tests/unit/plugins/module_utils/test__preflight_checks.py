# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of pod_preflight over snapshots: what is found, how bad it is, what would help, and what is left alone."""

from __future__ import annotations

import dataclasses
import stat

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight as preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_model as model
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    Descriptor,
    Host,
    InetSocket,
    Lock,
    Mapping,
    Mount,
    NetlinkSocket,
    Network,
    Process,
    Snapshot,
    UnixSocket,
    Volume,
)

ROOT = -1
OWN = {"pid": 100, "mnt": 101, "net": 102, "ipc": 103, "uts": 104, "user": 1}
HOST = {"pid": 1, "mnt": 2, "net": 3, "ipc": 4, "uts": 5, "user": 1}
MIB = 1 << 20


def process(*descriptors, **changes):
    given = {
        "pid": 500,
        "ns_pid": 1,
        "ppid": 400,
        "comm": "app",
        "state": "S",
        "namespaces": OWN,
        "anonymous_bytes": 8 * MIB,
    }
    given.update(changes)
    return Process(descriptors=tuple(descriptors), **given)


def snapshot(*processes, options=(), **changes):
    host = Host(
        engine="containerd",
        criu=(4, 2, 1),
        criu_options={name: "" for name in options},
        namespaces=HOST,
        capabilities=ROOT,
    )
    host = dataclasses.replace(host, **changes.pop("host", {}))
    given = {
        "namespace": "default",
        "pod": "web",
        "container": "app",
        "container_id": "c" * 64,
        "init": 500,
        "host": host,
    }
    given.update(changes)
    return Snapshot(processes=tuple(processes) or (process(),), **given)


def judged(*arguments, **changes):
    return preflight.judge(snapshot(*arguments, **changes))


def ids(entry, severity=None):
    return [found["id"] for found in entry["reasons"] if severity in (None, found["severity"])]


def one(entry, name):
    return next(found for found in entry["reasons"] if found["id"] == name)


def sock(inode=7, protocol="TCP", fd=3):
    return Descriptor(fd, "socket:[%d]" % inode, inode=inode, mode=stat.S_IFSOCK, protocol=protocol)


def file(path, fd=4, **changes):
    given = {"mode": stat.S_IFREG | 0o644, "inode": 9, "flags": 0}
    given.update(changes)
    return Descriptor(fd, path, **given)


def inet(state, local="10.244.1.3", remote="10.0.0.7", protocol="tcp", queue=0, **addresses):
    return Network(
        inet={7: InetSocket(7, protocol, state, (local, 8080), (remote, 5432 if state != 10 else 0), queue)},
        addresses=frozenset({"10.244.1.3", "127.0.0.1"}),
    )


def test_an_ordinary_container_is_a_yes_and_nothing_is_said():
    entry = judged(process(file("/app/main.py"), sock()), network=inet(10, "0.0.0.0"))
    assert (entry["verdict"], entry["reasons"]) == ("yes", [])
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": "yes"}
    assert entry["processes"] == 1 and entry["pid"] == 500


def test_a_container_without_a_process_is_a_no():
    entry = preflight.judge(snapshot(process(pid=77), init=500))
    assert ids(entry, "error") == ["no-process"] and one(entry, "no-process")["transient"]


# -- sockets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [1, 2, 4, 5, 8, 9, 11])
def test_a_connection_is_in_the_way_unless_criu_is_told(state):
    entry = judged(process(sock()), network=inet(state))
    found = one(entry, "tcp-established")
    assert entry["verdicts"] == {"checkpoint": "no", "restore": "yes"}
    assert found["criu_option"] == "tcp-close" and found["evidence"]["fd"] == 3 and found["evidence"]["pid"] == 500
    assert found["evidence"]["remote"] == "10.0.0.7:5432" and found["evidence"]["peer"] == "outside the pod"
    closing = judged(process(sock()), network=inet(state), options=["tcp-close"])
    assert closing["verdict"] == "yes" and ids(closing) == ["tcp-closed-by-restore"]


def test_a_connection_that_is_kept_needs_the_same_address():
    kept = judged(process(sock()), network=inet(1), options=["tcp-established"])
    assert kept["verdicts"] == {"checkpoint": "yes", "restore": "no"}
    inside = judged(process(sock()), network=inet(1, "127.0.0.1", "127.0.0.1"), options=["tcp-established"])
    assert inside["verdict"] == "yes"


def test_connections_within_the_pod_are_told_apart():
    entry = judged(process(sock()), network=inet(1, remote="10.244.1.3"))
    assert one(entry, "tcp-established")["evidence"]["peer"] == "inside the pod"


def test_connections_that_wait_to_be_accepted():
    entry = judged(process(sock()), network=inet(10, "0.0.0.0", queue=2))
    assert one(entry, "tcp-in-flight")["transient"] and entry["verdict"] == "no"
    assert judged(process(sock()), network=inet(10, "0.0.0.0", queue=2), options=["skip-in-flight"])["verdict"] == "yes"


@pytest.mark.parametrize(
    "address, verdict", [("0.0.0.0", "yes"), ("::", "yes"), ("127.0.0.1", "yes"), ("::1", "yes"), ("10.244.1.3", "no")]
)
def test_listening_on_the_pods_own_address_cannot_be_restored_elsewhere(address, verdict):
    entry = judged(process(sock()), network=inet(10, address))
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": verdict}


def test_udp_bound_to_the_pods_address():
    entry = judged(process(sock(protocol="UDP")), network=inet(7, protocol="udp"))
    assert ids(entry, "error") == ["bound-to-pod-address"]


@pytest.mark.parametrize(
    "protocol, name",
    [("MPTCP", "mptcp"), ("MPTCPv6", "mptcp"), ("SCTP", "socket-protocol"), ("AF_VSOCK", "socket-protocol")],
)
def test_protocols_that_criu_does_not_know(protocol, name):
    entry = judged(process(sock(protocol=protocol)))
    assert ids(entry, "error") == [name]


def test_netlink():
    def with_netlink(**changes):
        given = {"inode": 7, "protocol": 0, "port": 9, "groups": 0, "unread": 0}
        given.update(changes)
        return judged(process(sock(protocol="NETLINK")), network=Network(netlink={7: NetlinkSocket(**given)}))

    assert with_netlink()["verdict"] == "yes"
    assert one(with_netlink(unread=64), "netlink-unread")["transient"]
    assert ids(with_netlink(groups=1, port=0), "error") == ["netlink-unbound"]


def unix(*sockets):
    return Network(unix={entry.inode: entry for entry in sockets})


def test_a_pair_of_unix_sockets_inside_is_fine():
    network = unix(UnixSocket(7, "stream", 1, 8), UnixSocket(8, "stream", 1, 7))
    assert judged(process(sock(7, "UNIX-STREAM"), sock(8, "UNIX-STREAM", 4)), network=network)["verdict"] == "yes"


def test_a_unix_socket_to_another_network_namespace():
    entry = judged(
        process(sock(7, "UNIX-STREAM")), network=unix(UnixSocket(7, "stream", 1, 99)), options=["ext-unix-sk"]
    )
    found = one(entry, "unix-peer-elsewhere")
    assert entry["verdict"] == "no" and found["criu_option"] is None


@pytest.mark.parametrize(
    "kind, name, options, verdict, option",
    [
        ("stream", "@log", [], "no", None),
        ("stream", "@log", ["ext-unix-sk"], "no", None),
        ("dgram", "@log", [], "no", "ext-unix-sk"),
        ("dgram", "@log", ["ext-unix-sk"], "restore", None),
        ("dgram", "", ["ext-unix-sk"], "no", None),
    ],
)
def test_a_unix_socket_to_another_container(kind, name, options, verdict, option):
    network = unix(UnixSocket(7, kind, 1, 8), UnixSocket(8, kind, 1, 7, name))
    entry = judged(process(sock(7, "UNIX")), network=network, options=options)
    if verdict == "restore":
        assert entry["verdicts"] == {"checkpoint": "yes", "restore": "no"} and ids(entry) == ["unix-external-gone"]
    else:
        assert entry["verdicts"]["checkpoint"] == verdict and one(entry, "unix-external")["criu_option"] == option


def test_a_kernel_that_does_not_tell_peers_makes_it_risky():
    entry = judged(process(sock(7, "UNIX-STREAM")), network=unix(UnixSocket(7, "stream", 1, None)))
    assert ids(entry, "warning") == ["unix-peer-unknown"]


def test_a_unix_socket_that_the_pods_network_does_not_have():
    assert ids(judged(process(sock(7, "UNIX-STREAM"))), "error") == ["unix-other-namespace"]


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target, name",
    [
        ("anon_inode:[io_uring]", "io-uring"),
        ("anon_inode:[userfaultfd]", "unsupported-file"),
        ("anon_inode:[perf_event]", "unsupported-file"),
        ("anon_inode:kvm-vm", "unsupported-file"),
        ("/secretmem (deleted)", "unsupported-file"),
        ("dmabuf:", "unsupported-file"),
    ],
)
def test_files_without_a_name_that_criu_cannot_save(target, name):
    entry = judged(process(Descriptor(5, target, mode=stat.S_IFREG)))
    assert ids(entry, "error") == [name] and one(entry, name)["evidence"]["path"] == target


@pytest.mark.parametrize("target", ["[eventfd]", "[eventpoll]", "[signalfd]", "[timerfd]", "inotify"])
def test_files_without_a_name_that_it_can(target):
    assert judged(process(Descriptor(5, "anon_inode:" + target)))["verdict"] == "yes"


def test_bpf_maps_are_risky():
    assert judged(process(Descriptor(5, "anon_inode:bpf-map")))["verdict"] == "risky"


@pytest.mark.parametrize("target", ["anon_inode:[pidfd]", "pidfd:[12]"])
def test_a_pidfd_must_be_of_the_container(target):
    assert judged(process(Descriptor(5, target, refers_to_pid=500)))["verdict"] == "yes"
    assert ids(judged(process(Descriptor(5, target, refers_to_pid=1))), "error") == ["pidfd-outside"]
    old = judged(process(Descriptor(5, target, refers_to_pid=500)), host={"criu": (4, 0, 0)})
    assert ids(old, "error") == ["unsupported-file"]


@pytest.mark.parametrize(
    "size, links, options, verdict",
    [
        (MIB, 0, {}, "yes"),
        (MIB + 512, 0, {}, "no"),
        (50 * MIB, 0, {"ghost-limit": "100M"}, "yes"),
        (120 * MIB, 0, {"ghost-limit": "100M"}, "no"),
        (10, 1, {}, "no"),
        (10, 1, {"link-remap": ""}, "yes"),
    ],
)
def test_deleted_files_that_are_open(size, links, options, verdict):
    changes = {"size": size, "links": links, "of_image": links == 1}
    entry = judged(process(file("/tmp/x (deleted)", **changes)), host={"criu_options": options})
    assert entry["verdict"] == verdict
    mapped = process(mappings=(Mapping("1-2", "/tmp/x (deleted)", **changes),))
    assert judged(mapped, host={"criu_options": options})["verdict"] == verdict


def test_a_file_with_another_name_is_lost_at_the_restore():
    entry = judged(process(file("/tmp/x (deleted)", size=10, links=1)), options=["link-remap"])
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": "no"} and ids(entry) == ["link-remap-lost"]


def test_a_stopped_process_makes_criu_wait_with_cgroup_version_1():
    child = process(pid=501, ppid=500, ns_pid=2, state="T")
    assert ids(judged(process(), child, host={"cgroup_version": 1}), "error") == ["stopped-process"]
    assert judged(process(), child, host={"cgroup_version": 2})["verdict"] == "yes"


def test_the_limit_that_would_be_enough_is_named():
    found = one(judged(process(file("/tmp/x (deleted)", size=50 * MIB, links=0))), "ghost-file")
    assert "ghost-limit 51M" in found["remedy"] and found["evidence"]["bytes"] == 50 * MIB


def test_a_dead_process_in_proc_is_no_deleted_file():
    mounts = (Mount(30, 1, "0:5", "/", "/proc", "proc"),)
    entry = judged(process(file("/proc/77 (deleted)", mount_id=30, mode=stat.S_IFDIR, links=2)), mounts=mounts)
    assert entry["verdict"] == "yes"


def test_locks_need_an_option_but_not_with_crio():
    locked = process(file("/tmp/x", locks=(Lock("POSIX", "WRITE", 500),)))
    assert ids(judged(locked), "error") == ["file-locks"]
    assert judged(locked, options=["file-locks"])["verdict"] == "yes"
    assert judged(locked, host={"engine": "cri-o"})["verdict"] == "yes"


@pytest.mark.parametrize(
    "kind, rdev, verdict",
    [
        (stat.S_IFCHR, (1, 3), "yes"),
        (stat.S_IFCHR, (1, 9), "yes"),
        (stat.S_IFCHR, (5, 2), "yes"),
        (stat.S_IFCHR, (136, 0), "yes"),
        (stat.S_IFCHR, (10, 200), "yes"),
        (stat.S_IFCHR, (10, 229), "no"),
        (stat.S_IFCHR, (195, 0), "no"),
        (stat.S_IFBLK, (8, 0), "no"),
    ],
)
def test_devices(kind, rdev, verdict):
    entry = judged(process(Descriptor(5, "/dev/some", mode=kind, rdev=rdev)))
    assert entry["verdict"] == verdict
    if verdict == "no":
        assert one(entry, "device")["evidence"]["device"] == "%d:%d" % rdev


@pytest.mark.parametrize(
    "path, name",
    [
        ("anon_inode:[io_uring]", "io-uring"),
        ("/dev/nvidia0", "device-memory"),
        ("[uprobes]", "uprobes"),
        ("/secretmem (deleted)", "unsupported-mapping"),
    ],
)
def test_mappings(path, name):
    assert ids(judged(process(mappings=(Mapping("1-2", path),))), "error") == [name]


@pytest.mark.parametrize(
    "path", ["/memfd:x (deleted)", "/dev/zero (deleted)", "/SYSV00000000 (deleted)", "/usr/lib/libc.so"]
)
def test_mappings_that_are_fine(path):
    assert judged(process(mappings=(Mapping("1-2", path),)))["verdict"] == "yes"


EMPTY = Volume("cache", "emptyDir", "/cache", "/src")


def test_a_file_on_an_emptydir_is_missing_in_the_next_pod():
    entry = judged(process(file("/cache/x")), volumes=(EMPTY,))
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": "no"}
    assert one(entry, "open-on-emptydir")["evidence"]["volume"] == "cache"
    mapped = judged(process(mappings=(Mapping("1-2", "/cache/lib.so"),)), volumes=(EMPTY,))
    assert mapped["verdicts"]["restore"] == "no"


def test_the_innermost_volume_counts_and_names_do_not_only_begin_alike():
    inner = Volume("claim", "persistentVolumeClaim", "/cache/inner", "/c")
    assert judged(process(file("/cache/inner/x")), volumes=(EMPTY, inner))["verdicts"]["restore"] == "yes"
    assert judged(process(file("/cache2/x")), volumes=(EMPTY,))["verdict"] == "yes"


def test_content_of_an_emptydir_is_told_even_if_nothing_is_open():
    entry = judged(volumes=(dataclasses.replace(EMPTY, files=3, used=4096),))
    assert ids(entry) == ["emptydir-content"] and entry["verdict"] == "risky"
    assert judged(volumes=(dataclasses.replace(EMPTY, files=0, used=0),))["reasons"] == []


@pytest.mark.parametrize(
    "path, flags, severity",
    [("/var/log/x", 1, "info"), ("/claim/x", 1, "warning"), ("/claim/x", 2, "warning"), ("/claim/x", 0o2001, "info")],
)
def test_a_file_that_grows_may_have_another_size(path, flags, severity):
    claim = Volume("claim", "hostPath", "/claim", "/c")
    entry = judged(process(file(path, flags=flags)), growing=frozenset({path}), volumes=(claim,))
    assert one(entry, "file-growing")["severity"] == severity


def test_watches():
    overlay = Mount(1, 0, "0:64", "/", "/", "overlay")
    tmpfs = Mount(2, 1, "0:70", "/", "/dev/shm", "tmpfs")

    def watching(device, **changes):
        entry = Descriptor(5, "anon_inode:inotify", watches=((device, 5),))
        return judged(process(entry), mounts=(overlay, tmpfs), **changes)

    assert watching(70)["verdict"] == "yes"
    assert ids(watching(64), "error") == ["inotify"]
    assert watching(64, findable=frozenset({5}))["verdict"] == "yes"
    assert ids(watching(99), "error") == ["inotify"]


def test_a_namespace_that_is_not_its_own():
    assert judged(process(Descriptor(5, "net:[102]", mode=stat.S_IFREG)))["verdict"] == "yes"
    assert ids(judged(process(Descriptor(5, "net:[3]", mode=stat.S_IFREG))), "error") == ["namespace-file"]


# -- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, name, severity",
    [
        ({"state": "Z", "threads": 2}, "zombie-threads", "error"),
        ({"threads": 2, "thread_states": ("Z", "S")}, "zombie-threads", "error"),
        ({"threads": 2, "thread_states": ("T", "S")}, "thread-stopped", "error"),
        ({"state": "D"}, "uninterruptible", "warning"),
        ({"tracer": 9}, "traced", "error"),
        ({"seccomp": 1}, "seccomp-strict", "warning"),
        ({"sid_in_ns": 0}, "outside-session", "error"),
        ({"namespaces": dict(OWN, pid=1)}, "host-pid", "error"),
        ({"ns_pid": 6}, "shared-pid-namespace", "warning"),
        ({"namespaces": dict(OWN, net=3)}, "host-network", "warning"),
        ({"namespaces": dict(OWN, user=9)}, "user-namespace", "warning"),
    ],
)
def test_processes(changes, name, severity):
    assert ids(judged(process(**changes)), severity) == [name]


def test_stopped_as_a_whole_or_an_ordinary_zombie_is_fine():
    assert judged(process(threads=2, thread_states=("T", "T"), state="T"))["verdict"] == "yes"
    assert judged(process(), process(pid=501, ppid=500, ns_pid=2, state="Z"))["verdict"] == "yes"


def test_who_is_not_root_needs_a_node_that_may_read_limits():
    user = process(uids=(1000, 1000, 1000, 1000))
    assert judged(user)["verdict"] == "yes"
    poor = judged(user, host={"capabilities": ~(1 << 24)})
    assert ids(poor, "error") == ["rlimit-denied"] and one(poor, "rlimit-denied")["evidence"]["uid"] == 1000
    assert judged(process(), host={"capabilities": ~(1 << 24)})["verdict"] == "yes"


def test_a_namespace_inside_the_container():
    child = process(pid=501, ppid=500, ns_pid=2, namespaces=dict(OWN, uts=77))
    assert ids(judged(process(), child), "error") == ["nested-namespace"]
    assert judged(process(), process(pid=501, ppid=500, ns_pid=2, namespaces=dict(OWN, mnt=77)))["verdict"] == "yes"


def test_what_joined_from_outside_is_not_part_of_the_checkpoint():
    joined = process(pid=600, ppid=1, in_tree=False)
    assert ids(judged(process(), joined)) == ["exec-session"]
    typing = process(pid=600, ppid=1, in_tree=False, tty=34816)
    assert ids(judged(process(), typing)) == ["exec-terminal"]


def test_the_same_thing_a_hundred_times_is_said_once():
    children = [process(pid=501 + number, ppid=500, tracer=9) for number in range(99)]
    entry = judged(process(tracer=9), *children)
    assert ids(entry, "error") == ["traced"] and one(entry, "traced")["evidence"]["more"] == 99


def test_sysv_shared_memory_of_the_host():
    mapping = (Mapping("1-2", "/SYSV00000000 (deleted)"),)
    assert ids(judged(process(mappings=mapping, namespaces=dict(OWN, ipc=4))), "error") == ["sysv-shm-of-host"]
    assert ids(judged(process(mappings=mapping))) == ["sysv-shm"]


def test_profiles_are_told():
    assert ids(judged(process(lsm="cri-containerd.apparmor.d (enforce)"), host={"lsm": "apparmor"})) == ["lsm-profile"]
    assert judged(process(lsm="unconfined"), host={"lsm": "apparmor"})["reasons"] == []


def test_tree_is_made_of_parents():
    found = preflight.in_tree([process(pid=500, ppid=1), process(pid=501, ppid=500), process(pid=600, ppid=1)], 500)
    assert [(entry.pid, entry.in_tree) for entry in found] == [(500, True), (501, True), (600, False)]
    looped = preflight.in_tree([process(pid=7, ppid=8), process(pid=8, ppid=7)], 500)
    assert not any(entry.in_tree for entry in looped)


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_the_estimate_counts_private_memory_of_all_and_shared_memory_once():
    first = process(anonymous_bytes=100 * MIB, shared_bytes=10 * MIB)
    second = process(pid=501, ppid=500, anonymous_bytes=20 * MIB, shared_bytes=10 * MIB, swapped_bytes=5 * MIB)
    found = judged(first, second, rootfs_bytes=MIB, log_bytes=MIB)["estimate"]
    assert found["memory_bytes"] == 135 * MIB
    assert 137 * MIB < found["archive_bytes"] < 139 * MIB < found["needed_bytes"]
    assert found["timeout_seconds"] == 120


def test_a_large_container_stands_still_longer_and_needs_a_longer_timeout():
    found = judged(process(anonymous_bytes=8 << 30))["estimate"]
    assert found["freeze_seconds"] > 30 and found["timeout_seconds"] == 300


@pytest.mark.parametrize("where", ["free_bytes", "state_free_bytes", "store_free_bytes", "target_free_bytes"])
def test_space(where):
    big = process(anonymous_bytes=100 * MIB)
    assert ids(judged(big, host={where: 50 * MIB}), "error") == ["no-space"]
    assert judged(big, host={where: 10 << 30})["verdict"] == "yes"


def test_a_container_at_its_memory_limit_is_risky_to_restore():
    spec = {"linux": {"resources": {"memory": {"limit": 100 * MIB}}}}
    assert ids(judged(process(anonymous_bytes=98 * MIB), spec=spec), "warning") == ["memory-limit"]
    assert judged(process(anonymous_bytes=50 * MIB), spec=spec)["verdict"] == "yes"


def test_verdicts():
    info = model.reason("a", "info", ["restore"], "", "")
    warning = model.reason("b", "warning", ["checkpoint"], "", "")
    error = model.reason("c", "error", ["restore"], "", "")
    assert (
        model.verdict([info]) == "yes"
        and model.verdict([info, warning]) == "risky"
        and model.verdict([warning, error]) == "no"
    )
    assert model.verdict([warning, error], "checkpoint") == "risky"


def test_what_keeps_the_node_from_it_and_what_does_not_fit_counts_too():
    entry = judged()
    node = [{"id": "no-criu", "severity": "error", "affects": ["checkpoint", "restore"], "text": "x", "remedy": "y"}]
    assert preflight.with_node(entry, node)["verdicts"] == {"checkpoint": "no", "restore": "yes"}
    assert preflight.with_node(entry, [dict(node[0], severity="warning")])["verdict"] == "yes"
    fit = [model.reason("arch-differs", "error", ["restore"], "", "")]
    assert preflight.with_pair(entry, fit)["verdicts"] == {"checkpoint": "yes", "restore": "no"}
