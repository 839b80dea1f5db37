# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(checkpoint_targets) filter: which containers to checkpoint, out of the pods that the API server listed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checkpoint_targets
short_description: Choose containers to checkpoint from a list of pods
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Takes Pod objects as M(kubernetes.core.k8s_info) returns them, and says which containers of them to checkpoint on which node.
  - What was asked for and cannot be had is returned as a list of problems, so that nothing is touched before all of them are known.
positional: _input
options:
  _input:
    description: Pod objects.
    type: list
    elements: dict
    required: true
  names:
    description: Names of the pods that must be among them. Empty takes all.
    type: list
    elements: str
    default: []
  containers:
    description: Names of the containers to take. Empty takes all running containers of a pod, without its init containers.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Choose the containers
  ansible.builtin.set_fact:
    chosen: "{{ pods.resources | container_checkpoint.kubernetes.checkpoint_targets(containers=['app']) }}"

- name: Stop if something is missing
  ansible.builtin.assert:
    that: not chosen.problems
    fail_msg: "{{ chosen.problems | join('; ') }}"
"""

RETURN = r"""
_value:
  description: The targets and the problems.
  type: dict
  contains:
    targets:
      description: One entry for each pod.
      type: list
      elements: dict
      sample:
        - {namespace: default, pod: counter, uid: 8a4de3f2-4c1b-4b0e-9f3e-0a0b7f2f0c11, node: node1, containers: [counter]}
    problems:
      description: What was asked for and cannot be had, in sentences.
      type: list
      elements: str
      sample: []
"""

import typing as t

from ansible.errors import AnsibleFilterError

Pod = t.Mapping[str, t.Any]


def _running(pod: Pod) -> list[str]:
    """Names of the containers that run now, as the node reported them."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return [status["name"] for status in statuses if "running" in (status.get("state") or {})]


def _one(pod: Pod, wanted: t.Sequence[str]) -> tuple[t.Optional[dict[str, t.Any]], list[str]]:
    """The target made of one pod, and what stands in the way."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    called = "%s/%s" % (metadata["namespace"], metadata["name"])
    if metadata.get("deletionTimestamp"):
        return None, ["pod %s is being deleted" % called]
    if not spec.get("nodeName"):
        return None, ["pod %s has no node yet" % called]
    there = [container["name"] for container in spec.get("containers") or []]
    running = _running(pod)
    problems = ["pod %s has no container %s (it has %s)" % (called, name, ", ".join(there)) for name in wanted if name not in there]
    chosen = [name for name in wanted if name in there] if wanted else there
    stopped = [name for name in chosen if name not in running]
    if stopped:
        phase = (pod.get("status") or {}).get("phase", "unknown")
        problems.append("pod %s (phase %s): not running: %s" % (called, phase, ", ".join(stopped)))
    if problems:
        return None, problems
    return {"namespace": metadata["namespace"], "pod": metadata["name"], "uid": metadata["uid"], "node": spec["nodeName"], "containers": chosen}, []


def checkpoint_targets(pods: t.Any, names: t.Sequence[str] = (), containers: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Targets, sorted by node and name, and problems."""
    if not isinstance(pods, list):
        raise AnsibleFilterError("checkpoint_targets needs a list of pods, not %s" % type(pods).__name__)
    targets: list[dict[str, t.Any]] = []
    found = {pod["metadata"]["name"] for pod in pods}
    problems = ["there is no pod %s where it was looked for" % name for name in names if name not in found]
    for pod in pods:
        if names and pod["metadata"]["name"] not in names:
            continue
        target, trouble = _one(pod, containers)
        problems.extend(trouble)
        if target:
            targets.append(target)
    targets.sort(key=lambda target: (target["node"], target["namespace"], target["pod"]))
    return {"targets": targets, "problems": problems}


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"checkpoint_targets": checkpoint_targets}
