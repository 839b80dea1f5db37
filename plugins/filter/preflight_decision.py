# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter P(container_checkpoint.kubernetes.preflight_decision#filter)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_decision
short_description: Which containers not to checkpoint, and what to warn of
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Decides by what M(container_checkpoint.kubernetes.pod_preflight) found. What would fail is refused, what may fail is a
    warning.
options:
  _input:
    description:
      - The C(containers) that M(container_checkpoint.kubernetes.pod_preflight) returned.
    type: list
    elements: dict
    required: true
  targets:
    description:
      - The containers that are meant, as P(container_checkpoint.kubernetes.checkpoint_targets#filter) lists them.
    type: list
    elements: dict
    required: true
  stages:
    description:
      - What has to work. Without V(restore), a container whose checkpoint could not be restored is only a warning.
    type: list
    elements: str
    default: [checkpoint]
  refuse:
    description:
      - V(false) warns of what would fail, too, and refuses nothing.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Look
  container_checkpoint.kubernetes.pod_preflight:
  become: true
  register: looked

- name: Leave out what would fail
  ansible.builtin.set_fact:
    refused: "{{ (looked.containers | container_checkpoint.kubernetes.preflight_decision(chosen.targets)).refused }}"
"""

RETURN = r"""
_value:
  description: The decision.
  type: dict
  contains:
    refused:
      description:
        - The containers that are refused, in the form of the C(failures) of M(container_checkpoint.kubernetes.checkpoint), with
          RV(_value.refused[].reasons).
      type: list
      elements: dict
      contains:
        namespace:
          description: The Pod's namespace.
          type: str
          sample: default
        pod:
          description: The Pod's name.
          type: str
          sample: web-0
        container:
          description: The container's name.
          type: str
          sample: nginx
        node:
          description: Its node.
          type: str
          sample: node1
        msg:
          description: Why, with the error that it would cause and the remedy.
          type: str
          sample: it would fail and was not frozen. The process 4711 (app) uses io_uring (Can't dump file 7 of that type). Remedy, switch io_uring off
        reasons:
          description: All reasons of the container.
          type: list
          elements: dict
          sample: []
    warnings:
      description: One sentence for each container that may fail.
      type: list
      elements: str
      sample: []
"""

from ansible.errors import AnsibleFilterError

STAGES = ("checkpoint", "restore")


def _sentence(reason):
    """One reason for people: what, the error that it causes, the remedy."""
    error = " (%s)" % reason["error"] if reason.get("error") else ""
    remedy = "; remedy: %s" % reason["remedy"] if reason.get("remedy") else ""
    return "%s [%s]%s%s" % (reason["text"], " and ".join(reason["affects"]), error, remedy)


def preflight_decision(containers, targets, stages=("checkpoint",), refuse=True):
    """Check the arguments and decide."""
    if set(stages) - set(STAGES) or not stages:
        raise AnsibleFilterError("preflight_decision: stages must be some of %s" % ", ".join(STAGES))
    try:
        wanted = {(one["namespace"], one["pod"], name): one["node"] for one in targets for name in one["containers"]}
        found = {(one["namespace"], one["pod"], one["container"]): one["reasons"] for one in containers}
    except (KeyError, TypeError) as exc:
        raise AnsibleFilterError(
            "preflight_decision: the input must be the containers of pod_preflight, targets those of checkpoint_targets (%r)" % exc
        ) from exc
    refused, warnings = [], []
    for where, node in wanted.items():
        worse = [reason for reason in found.get(where, []) if reason["severity"] != "info"]
        fatal = [reason for reason in worse if reason["severity"] == "error" and set(reason["affects"]) & set(stages)]
        if fatal and refuse:
            namespace, pod, container = where
            msg = "it would fail and was not frozen: %s" % "; ".join(_sentence(reason) for reason in fatal)
            refused.append(
                {
                    "namespace": namespace,
                    "pod": pod,
                    "container": container,
                    "node": node,
                    "msg": msg,
                    "http_status": None,
                    "diagnosis": [],
                    "paused": {"found": False, "resumed": False},
                    "reasons": list(found[where]),
                }
            )
        elif worse:
            word = "would" if fatal else "may"
            warnings.append("%s %s fail: %s" % ("/".join(where), word, "; ".join(_sentence(reason) for reason in worse)))
    return {"refused": refused, "warnings": warnings}


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self):
        """Name to function."""
        return {"preflight_decision": preflight_decision}
