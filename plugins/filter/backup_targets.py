# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(backup_targets)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_targets
short_description: List the containers of pods that can be backed up, and those that cannot
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Takes Pod objects as M(kubernetes.core.k8s_info) returns them. Each container becomes an entry of one of two lists, so that one that does not
    run is no reason to leave out the others.
  - Pods that have ended (phase C(Succeeded) or C(Failed)) or are being deleted are left out.
positional: _input
options:
  _input:
    description: Pod objects.
    type: list
    elements: dict
    required: true
  annotation:
    description:
      - The name of an annotation. Only pods that have it are taken. Its value names the containers, separated by commas; V(true), V(all) or an empty
        text mean all of them, V(false) and V(none) mean that the pod is left out.
    type: str
    default: ""
  containers:
    description: Names of the containers to take. Empty takes all of a pod, without its init containers.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Choose the containers
  ansible.builtin.set_fact:
    chosen: "{{ pods.resources | container_checkpoint.kubernetes.backup_targets(annotation='example.com/backup') }}"
"""

RETURN = r"""
_value:
  description: Both lists, sorted by node, namespace, pod and container.
  type: dict
  contains:
    targets:
      description: Containers that run. The names of the keys are those of archives and records.
      type: list
      elements: dict
      sample:
        - namespace: shop
          pod: cart-0
          pod_uid: 8a4de3f2-4c1b-4b0e-9f3e-0a0b7f2f0c11
          container: cart
          container_id: 0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad
          node: node1
          image: registry.example.com/cart:1
          started_at: "2026-11-21T11:55:33Z"
          owner: {kind: StatefulSet, name: cart}
          labels: {app: cart}
          annotations: {example.com/backup: cart}
    problems:
      description: What was asked for and cannot be had, with namespace, pod, container, node and msg.
      type: list
      elements: dict
      sample: []
"""

import typing as t

from ansible.errors import AnsibleFilterError

Entry = dict[str, t.Any]

_ALL = ("", "true", "yes", "all")
_NOTHING = ("false", "no", "none")


def _wanted(annotations: t.Mapping[str, str], annotation: str, containers: t.Sequence[str]) -> t.Optional[list[str]]:
    """The containers that annotation and option ask for, empty for all; None leaves the pod out."""
    if not annotation:
        return list(containers)
    if annotation not in annotations:
        return None
    value = str(annotations[annotation]).strip()
    if value.lower() in _NOTHING:
        return None
    named = [] if value.lower() in _ALL else [name.strip() for name in value.split(",") if name.strip()]
    if not containers:
        return named
    return [name for name in named if name in containers] or None if named else list(containers)


def _owner(metadata: t.Mapping[str, t.Any]) -> t.Optional[Entry]:
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller"):
            return {"kind": reference.get("kind"), "name": reference.get("name")}
    return None


def _one(pod: t.Mapping[str, t.Any], wanted: t.Sequence[str]) -> tuple[list[Entry], list[Entry]]:
    """Targets and problems of one pod."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    there = [container["name"] for container in spec.get("containers") or []]
    statuses = {entry["name"]: entry for entry in status.get("containerStatuses") or []}
    targets, problems = [], []
    for name in wanted or there:
        common = {
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
            "container": name,
            "node": spec.get("nodeName"),
        }
        state = (statuses.get(name) or {}).get("state") or {}
        if name not in there:
            msg = "the pod has no container %s (it has %s)" % (name, ", ".join(there))
            problems.append({**common, "msg": msg})
        elif "running" not in state or not common["node"]:
            reasons = ["%s: %s" % (kind, detail.get("reason")) for kind, detail in state.items() if detail]
            why = reasons[0] if reasons else "phase %s" % status.get("phase", "unknown")
            problems.append({**common, "msg": "the container does not run (%s)" % why})
        else:
            targets.append(
                {
                    **common,
                    "pod_uid": metadata["uid"],
                    "container_id": str(statuses[name].get("containerID") or "").rpartition("//")[2] or None,
                    "image": statuses[name].get("image"),
                    "started_at": (state["running"] or {}).get("startedAt"),
                    "owner": _owner(metadata),
                    "labels": metadata.get("labels") or {},
                    "annotations": metadata.get("annotations") or {},
                }
            )
    return targets, problems


def backup_targets(pods: t.Any, annotation: str = "", containers: t.Sequence[str] = ()) -> dict[str, list[Entry]]:
    """Targets and problems of all pods."""
    if not isinstance(pods, list):
        raise AnsibleFilterError("backup_targets needs a list of pods, not %s" % type(pods).__name__)
    result: dict[str, list[Entry]] = {"targets": [], "problems": []}
    for pod in pods:
        metadata = pod["metadata"]
        wanted = _wanted(metadata.get("annotations") or {}, annotation, containers)
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if wanted is None or ended or metadata.get("deletionTimestamp"):
            continue
        targets, problems = _one(pod, wanted)
        result["targets"] += targets
        result["problems"] += problems
    for entries in result.values():
        entries.sort(key=lambda entry: tuple(entry[key] or "" for key in ("node", "namespace", "pod", "container")))
    return result


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"backup_targets": backup_targets}
