# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of pod_preflight over snapshots: files, watches, devices and mappings."""

from __future__ import annotations

import dataclasses
import stat

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    Descriptor,
    Lock,
    Mapping,
    Mount,
    Volume,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.snapshots import (
    MIB,
    process,
    judged,
    ids,
    one,
    file,
)


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
