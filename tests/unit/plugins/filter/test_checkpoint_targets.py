# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(checkpoint_targets): what is chosen, and that nothing wrong is chosen silently."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.checkpoint_targets import checkpoint_targets


def pod(name, node="node1", containers=("app",), running=None, phase="Running", namespace="default", **metadata):
    running = containers if running is None else running
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": "uid-" + name, **metadata},
        "spec": {"nodeName": node, "containers": [{"name": one} for one in containers]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": one, "state": {"running": {}} if one in running else {"waiting": {}}} for one in containers],
        },
    }


def test_all_running_containers_sorted_by_node():
    chosen = checkpoint_targets([pod("b", node="node2"), pod("a", containers=("x", "y"))])
    assert chosen["problems"] == []
    assert chosen["targets"] == [
        {"namespace": "default", "pod": "a", "uid": "uid-a", "node": "node1", "containers": ["x", "y"]},
        {"namespace": "default", "pod": "b", "uid": "uid-b", "node": "node2", "containers": ["app"]},
    ]


def test_names_choose_and_unknown_ones_are_a_problem():
    chosen = checkpoint_targets([pod("a"), pod("b")], names=["b", "c"])
    assert [target["pod"] for target in chosen["targets"]] == ["b"]
    assert chosen["problems"] == ["there is no pod c where it was looked for"]


def test_containers_choose_and_unknown_ones_are_a_problem():
    pods = [pod("a", containers=("x", "y")), pod("b", containers=("x",))]
    chosen = checkpoint_targets(pods, containers=["y"])
    assert [(target["pod"], target["containers"]) for target in chosen["targets"]] == [("a", ["y"])]
    assert chosen["problems"] == ["pod default/b has no container y (it has x)"]


@pytest.mark.parametrize(
    "bad, says",
    [
        (pod("a", running=(), phase="Pending"), "pod default/a (phase Pending): not running: app"),
        (pod("a", deletionTimestamp="2026-11-21T10:00:00Z"), "pod default/a is being deleted"),
        (pod("a", node=None), "pod default/a has no node yet"),
        (pod("a", containers=("x", "y"), running=("x",)), "pod default/a (phase Running): not running: y"),
    ],
)
def test_what_cannot_be_checkpointed_is_a_problem(bad, says):
    assert checkpoint_targets([bad]) == {"targets": [], "problems": [says]}


def test_a_stopped_sidecar_does_not_matter_when_it_was_not_asked_for():
    chosen = checkpoint_targets([pod("a", containers=("x", "y"), running=("x",))], containers=["x"])
    assert chosen["problems"] == [] and chosen["targets"][0]["containers"] == ["x"]


def test_only_lists_are_accepted():
    with pytest.raises(AnsibleFilterError, match="list of pods"):
        checkpoint_targets({"resources": []})
