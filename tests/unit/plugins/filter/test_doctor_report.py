# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter doctor_report: every node is in the report, also those that gave no answer or were not asked."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.doctor_report import doctor_report

ERROR = {"id": "no-criu", "severity": "error", "affects": ["checkpoint"], "text": "criu is not installed", "remedy": "install it"}
NODE = {
    "engine": "containerd",
    "engine_version": "2.1.9",
    "oci_runtime": {"name": "runc", "version": "1.3.6"},
    "criu_version": "4.2.1",
    "kernel": "6.18.0",
    "kubelet_version": None,
}


def answer(checkpoint="yes", restore="no", reasons=()):
    paths = [{"name": "image", "available": True, "enabled": True}, {"name": "handler", "available": False, "enabled": False}]
    return {"verdict": {"checkpoint": checkpoint, "restore": restore}, "restore_paths": paths, "reasons": list(reasons), "node": dict(NODE)}


def kube_node(name, ready=True, cordoned=False):
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": cordoned},
        "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.36.2"}},
    }


def test_the_table_and_the_sums():
    report = doctor_report({"a": answer(), "b": answer("no", "risky", [ERROR])}, cluster="prod", time="2026-11-21T10:00:00Z")
    assert report["summary"] == {"nodes": 2, "checkpoint": 1, "restore": 1}
    assert report["rows"][0] == {
        "node": "a",
        "checkpoint": "yes",
        "restore": "no",
        "by": "image",
        "engine": "containerd 2.1.9",
        "oci_runtime": "runc 1.3.6",
        "criu": "4.2.1",
        "kernel": "6.18.0",
        "kubelet": None,
        "why": "",
    }
    assert report["rows"][1]["why"] == "criu is not installed"


def test_a_node_without_an_answer_is_in_the_report():
    report = doctor_report({"a": {"unreachable": True, "msg": "Failed to connect to the host via ssh: timed out\nmore"}})
    assert report["summary"] == {"nodes": 1, "checkpoint": 0, "restore": 0}
    assert report["rows"][0]["checkpoint"] == "unknown"
    assert report["rows"][0]["why"] == "it could not be asked: Failed to connect to the host via ssh: timed out"


def test_what_the_cluster_knows():
    report = doctor_report({"a": answer(), "b": answer()}, nodes=[kube_node("a", ready=False, cordoned=True), kube_node("c")])
    by_name = {entry["node"]: entry for entry in report["nodes"]}
    assert by_name["a"]["facts"]["kubelet_version"] == "1.36.2" and by_name["a"]["ready"] is False
    assert [one["text"] for one in by_name["a"]["reasons"]] == ["the cluster says that this node is not Ready", "this node is cordoned"]
    assert "the cluster has no node of this name; it has a, c" in by_name["b"]["reasons"][0]["text"]
    assert by_name["c"]["why"] == "the cluster has this node, but it was not asked" and report["summary"]["nodes"] == 3


def test_which_nodes_fit_together():
    older = answer(restore="yes")
    older["node"]["criu_version"] = "4.1.1"
    report = doctor_report({"a": answer(restore="yes"), "b": older, "c": {"unreachable": True, "msg": "timed out"}})
    assert [(row["source"], row["targets"]) for row in report["matrix"]] == [("a", {"b": "risky"}), ("b", {"a": "yes"})]
    assert report["misfits"] == [{"source": "a", "target": "b", "verdict": "risky", "why": "criu-older"}]


def test_something_else_is_refused():
    with pytest.raises(AnsibleFilterError, match="by the name of the node"):
        doctor_report([answer()])
