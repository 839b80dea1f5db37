# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(doctor_report): what C(node_info) said on each node, and which nodes there are, as one report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: doctor_report
short_description: Put the answers of node_info together
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Makes one report of the results of M(container_checkpoint.kubernetes.node_info) by node. A node that gave no answer
    is in it with the reason, and so is a node that the cluster has and nobody asked.
  - It serves the role P(container_checkpoint.kubernetes.doctor#role).
options:
  _input:
    description:
      - The result of the module, or of the attempt to run it, by the name of the node.
    type: dict
    required: true
  nodes:
    description:
      - The Node objects of the cluster, if they are known.
    type: list
    elements: dict
  cluster:
    description:
      - The name of the cluster.
    type: str
    default: ""
  time:
    description:
      - When the nodes were looked at.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Put the answers together
  ansible.builtin.set_fact:
    report: "{{ {'node1': result} | container_checkpoint.kubernetes.doctor_report }}"
"""

RETURN = r"""
_value:
  description:
    - The report with C(time), C(cluster), C(summary), C(rows), C(nodes), C(matrix) (as
      P(container_checkpoint.kubernetes.node_matrix#filter) gives it, of the nodes that answered) and C(misfits) (each pair of it that is not V(yes)).
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pair import matrix

GOOD = ("yes", "risky")
SILENT = {"checkpoint": "unknown", "restore": "unknown"}


def _silent(name: str, why: str, remedy: str) -> dict:
    reason = {
        "id": "no-answer",
        "severity": "error",
        "affects": ["checkpoint", "restore"],
        "text": why,
        "remedy": remedy,
    }
    return {"node": name, "verdict": dict(SILENT), "restore_paths": [], "reasons": [reason], "facts": {}, "why": why}


def _one(name: str, answer: dict) -> dict:
    if "verdict" not in answer:
        why = "it could not be asked: %s" % (str(answer.get("msg") or "no message").strip().splitlines() or [""])[0]
        return _silent(name, why, "see that the host is reached and that its Python works, then ask again")
    errors = [one["text"] for one in answer["reasons"] if one["severity"] == "error"]
    return {
        "node": name,
        "verdict": answer["verdict"],
        "restore_paths": answer.get("restore_paths") or [],
        "reasons": answer["reasons"],
        "facts": answer.get("node") or {},
        "why": "; ".join(errors),
    }


def _cluster_says(entry: dict, known: dict) -> None:
    """What the API server knows about a node that was asked."""
    info = ((known.get("status") or {}).get("nodeInfo")) or {}
    ready = any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in (known.get("status") or {}).get("conditions") or []
    )
    entry["facts"].setdefault("kubelet_version", None)
    entry["facts"]["kubelet_version"] = (
        entry["facts"]["kubelet_version"] or (info.get("kubeletVersion") or "").lstrip("v") or None
    )
    entry["ready"], entry["schedulable"] = ready, not (known.get("spec") or {}).get("unschedulable", False)
    for wrong, text, remedy in (
        (not ready, "the cluster says that this node is not Ready", "kubectl describe node %s" % entry["node"]),
        (
            not entry["schedulable"],
            "this node is cordoned",
            "kubectl uncordon %s, if nobody is at work on it" % entry["node"],
        ),
    ):
        if wrong:
            entry["reasons"] = entry["reasons"] + [
                {"id": "node-state", "severity": "warning", "affects": ["restore"], "text": text, "remedy": remedy}
            ]


def _version(name: t.Any, version: t.Any) -> str:
    return " ".join(str(part) for part in (name, version) if part)


def _row(entry: dict) -> dict:
    facts, runtime = entry["facts"], entry["facts"].get("oci_runtime") or {}
    return {
        "node": entry["node"],
        "checkpoint": entry["verdict"]["checkpoint"],
        "restore": entry["verdict"]["restore"],
        "by": ", ".join(
            path["name"] for path in entry["restore_paths"] if path.get("available") and path.get("enabled")
        ),
        "engine": _version(facts.get("engine"), facts.get("engine_version")),
        "oci_runtime": _version(runtime.get("name"), runtime.get("version")),
        "criu": facts.get("criu_version"),
        "kernel": facts.get("kernel"),
        "kubelet": facts.get("kubelet_version"),
        "why": entry["why"],
    }


def doctor_report(answers: t.Any, nodes: t.Any = None, cluster: str = "", time: str = "") -> dict:
    """The report."""
    if not isinstance(answers, dict):
        raise AnsibleFilterError("doctor_report needs the results of node_info by the name of the node")
    entries = [_one(name, answer) for name, answer in answers.items()]
    known = {one["metadata"]["name"]: one for one in nodes or []}
    for entry in entries:
        if entry["node"] in known:
            _cluster_says(entry, known[entry["node"]])
        elif nodes:
            text = "the cluster has no node of this name; it has %s" % ", ".join(sorted(known))
            remedy = "set kubernetes_node_name for hosts whose inventory name is not their node's name"
            entry["reasons"] = entry["reasons"] + [
                {"id": "no-such-node", "severity": "warning", "affects": [], "text": text, "remedy": remedy}
            ]
    asked = {entry["node"] for entry in entries}
    for name in known:
        if name not in asked:
            entries.append(
                _silent(
                    name,
                    "the cluster has this node, but it was not asked",
                    "add it to the inventory, or widen the play",
                )
            )
    pairs = matrix({name: answer for name, answer in answers.items() if "verdict" in answer})
    misfits = [
        {"source": row["source"], "target": target, "verdict": verdict, "why": ", ".join(row["why"][target])}
        for row in pairs
        for target, verdict in row["targets"].items()
        if verdict != "yes"
    ]
    good = {what: sum(entry["verdict"][what] in GOOD for entry in entries) for what in SILENT}
    return {
        "time": time,
        "cluster": cluster,
        "summary": {"nodes": len(entries), **good},
        "rows": [_row(entry) for entry in entries],
        "nodes": entries,
        "matrix": pairs,
        "misfits": misfits,
    }


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"doctor_report": doctor_report}
