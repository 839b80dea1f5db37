# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.container_checkpoint.kubernetes.plugins.filter.backup_targets import backup_targets

RUNNING = {"running": {"startedAt": "2026-11-21T10:00:00Z"}}


def pod(name, states=None, node="node1", phase="Running", annotations=None, **metadata):
    """A pod with containers app and side, or those of states."""
    states = states or {"app": RUNNING, "side": RUNNING}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": "uid-" + name, "annotations": annotations, **metadata},
        "spec": {"nodeName": node, "containers": [{"name": container} for container in states]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": container, "state": state, "containerID": "containerd://id-" + container, "image": "app:1"}
                for container, state in states.items()
                if state is not None
            ],
        },
    }


def names(result):
    return [(entry["pod"], entry["container"]) for entry in result["targets"]]


def test_what_a_target_says():
    owner = [{"kind": "Node", "name": "n"}, {"kind": "ReplicaSet", "name": "web", "controller": True}]
    result = backup_targets([pod("a", labels={"app": "x"}, ownerReferences=owner)], containers=["app"])
    assert result == {
        "problems": [],
        "targets": [
            {
                "namespace": "shop",
                "pod": "a",
                "container": "app",
                "node": "node1",
                "pod_uid": "uid-a",
                "container_id": "id-app",
                "image": "app:1",
                "started_at": "2026-11-21T10:00:00Z",
                "owner": {"kind": "ReplicaSet", "name": "web"},
                "labels": {"app": "x"},
                "annotations": {},
            }
        ],
    }


def test_one_that_does_not_run_does_not_stop_the_others():
    crashed = {"waiting": {"reason": "CrashLoopBackOff"}}
    result = backup_targets([pod("b", {"app": crashed, "side": RUNNING}), pod("a", {"app": None}, node=None, phase="Pending")])
    assert names(result) == [("b", "side")]
    assert [(entry["pod"], entry["msg"]) for entry in result["problems"]] == [
        ("a", "the container does not run (phase Pending)"),
        ("b", "the container does not run (waiting: CrashLoopBackOff)"),
    ]


def test_what_has_ended_is_left_out():
    ended = {"terminated": {"reason": "Completed"}}
    pods = [
        pod("job", {"app": ended}, phase="Succeeded"),
        pod("bad", {"app": ended}, phase="Failed"),
        pod("going", deletionTimestamp="2026-11-21T10:00:00Z"),
    ]
    assert backup_targets(pods) == {"targets": [], "problems": []}


def test_sorted():
    assert names(backup_targets([pod("z"), pod("y", node="node0")])) == [("y", "app"), ("y", "side"), ("z", "app"), ("z", "side")]


@pytest.mark.parametrize(
    "value, containers, expected",
    [
        (None, [], []),
        ("true", [], ["app", "side"]),
        ("", [], ["app", "side"]),
        (" ALL ", ["side"], ["side"]),
        ("false", [], []),
        ("None", [], []),
        ("side", [], ["side"]),
        (" side , app,", [], ["app", "side"]),
        ("side,app", ["app"], ["app"]),
        ("side", ["app"], []),
    ],
)
def test_annotations(value, containers, expected):
    annotations = {} if value is None else {"example.com/backup": value}
    result = backup_targets([pod("a", annotations=annotations)], annotation="example.com/backup", containers=containers)
    assert [name for dummy, name in names(result)] == expected
    assert result["problems"] == []


def test_a_container_that_the_pod_does_not_have():
    result = backup_targets([pod("a", annotations={"k": "app,nothing"})], annotation="k")
    assert names(result) == [("a", "app")]
    assert [entry["msg"] for entry in result["problems"]] == ["the pod has no container nothing (it has app, side)"]


def test_nonsense():
    with pytest.raises(AnsibleFilterError, match="not dict"):
        backup_targets({})
