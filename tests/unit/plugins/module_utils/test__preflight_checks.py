# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of pod_preflight over snapshots: processes, sizes, and the verdict over all of them."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight as preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_model as model
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import Mapping
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.snapshots import (
    OWN,
    MIB,
    process,
    snapshot,
    judged,
    ids,
    one,
    sock,
    file,
    inet,
)


def test_an_ordinary_container_is_a_yes_and_nothing_is_said():
    entry = judged(process(file("/app/main.py"), sock()), network=inet(10, "0.0.0.0"))
    assert (entry["verdict"], entry["reasons"]) == ("yes", [])
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": "yes"}
    assert entry["processes"] == 1 and entry["pid"] == 500


def test_a_container_without_a_process_is_a_no():
    entry = preflight.judge(snapshot(process(pid=77), init=500))
    assert ids(entry, "error") == ["no-process"] and one(entry, "no-process")["transient"]


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
