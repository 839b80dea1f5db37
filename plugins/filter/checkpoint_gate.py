# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(checkpoint_gate): shall the configuration of a kubelet name the feature gate ContainerCheckpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checkpoint_gate
short_description: Shall a kubelet's configuration name the feature gate ContainerCheckpoint
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - The gate exists from Kubernetes 1.25 on, and is on by itself from 1.30 on. A kubelet does not start with a gate
    that it does not know.
options:
  _input:
    description:
      - The version of the kubelet.
    type: str
    required: true
  mode:
    description:
      - V(auto) names it wherever the kubelet knows it, V(always) fails where it does not, V(never) does not name it.
    type: str
    choices: [auto, always, never]
    default: auto
  known:
    description:
      - Whether C(kubelet --help) lists the gate. When not given, the version decides.
    type: bool
"""

EXAMPLES = r"""
- name: Show whether the gate is written
  ansible.builtin.debug:
    msg: "{{ '1.36.2' | container_checkpoint.kubernetes.checkpoint_gate(mode='auto') }}"
"""

RETURN = r"""
_value:
  description: Whether to write it.
  type: bool
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _kubeadm


def checkpoint_gate(version: t.Any, mode: str = "auto", known: bool | None = None) -> bool:
    """Whether to write it."""
    if mode not in ("auto", "always", "never"):
        raise AnsibleFilterError("the gate's mode is auto, always or never, not %r" % str(mode))
    try:
        return _kubeadm.wants_gate(version, mode, known)
    except _kubeadm.KubernetesVersionError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"checkpoint_gate": checkpoint_gate}
