# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(runtime_support) filter: what a version of containerd or CRI-O can do, from the table that C(node_info) uses."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime_support
short_description: What a version of containerd or CRI-O can do with checkpoints
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Tells for a version of a container runtime whether it can checkpoint, how it restores from an image, and which
    known weaknesses are open.
  - The table behind it is the one of the module M(container_checkpoint.kubernetes.node_info).
positional: _input, engine
options:
  _input:
    description: The version, such as V(2.1.9~ds1-1) or V(v1.36.3).
    type: string
    required: true
  engine:
    description: The runtime.
    type: string
    required: true
    choices: [containerd, cri-o]
  restore:
    description: Whether restoring is wanted. Opting in accepts the weakness that restoring itself is.
    type: bool
    default: false
  accepted:
    description: Ids of weaknesses that somebody judged and accepts.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what containerd 2.3.4 can do
  ansible.builtin.debug:
    msg: "{{ '2.3.4' | container_checkpoint.kubernetes.runtime_support('containerd', restore=true) }}"
"""

RETURN = r"""
_value:
  description:
    - C(version) as three numbers, or null when there was none.
    - C(checkpoint), whether containers can be checkpointed; null when unknown.
    - C(restore), V(never), V(always) (no switch), V(off-unless-set), V(removed), or null when unknown.
    - C(weaknesses), the open ones, each with C(id), C(text), C(fixed_in) and C(by_restore).
  type: dictionary
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_versions as versions


def runtime_support(
    version: t.Any, engine: str, restore: bool = False, accepted: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    """Everything the role container_runtime decides by."""
    if engine not in (versions.CONTAINERD, versions.CRIO):
        raise AnsibleFilterError("runtime_support knows containerd and cri-o, not %r" % (engine,))
    parsed = versions.parse(str(version or ""))
    return {
        "version": versions.text(parsed),
        "checkpoint": versions.engine_checkpoints(engine, parsed),
        "restore": versions.engine_restores(engine, parsed),
        "weaknesses": [
            {"id": cve.id, "text": cve.text, "fixed_in": cve.fixed_in, "by_restore": cve.only_if_restore}
            for cve in versions.open_weaknesses(engine, parsed, restore)
            if cve.id not in accepted
        ],
    }


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"runtime_support": runtime_support}
