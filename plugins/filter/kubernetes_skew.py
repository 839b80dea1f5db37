# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(kubernetes_skew): what the version skew policy has against versions that shall go together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_skew
short_description: Do these versions of Kubernetes go together
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Says what Kubernetes' version skew policy has against a kubelet of the given version beside the others.
options:
  _input:
    description:
      - The version of the kubelet that is wanted, as V(1.36) or V(v1.36.2).
    type: str
    required: true
  api_server:
    description:
      - The version of the API server.
    type: str
  kubeadm:
    description:
      - The version of kubeadm.
    type: str
  kubectl:
    description:
      - The version of kubectl.
    type: str
  installed:
    description:
      - The version of the kubelet that is installed now.
    type: str
  member:
    description:
      - Whether the node belongs to a cluster already.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Stop where the versions do not go together
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('; ') }}"
  vars:
    problems: "{{ '1.37' | container_checkpoint.kubernetes.kubernetes_skew(api_server='1.36') }}"
"""

RETURN = r"""
_value:
  description: The problems; empty when the versions go together.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _kubeadm


def kubernetes_skew(
    kubelet: t.Any,
    api_server: t.Any = None,
    kubeadm: t.Any = None,
    kubectl: t.Any = None,
    installed: t.Any = None,
    member: bool = False,
) -> list[str]:
    """The problems, empty if there are none."""
    try:
        return _kubeadm.skew_problems(kubelet, api_server, kubeadm, kubectl, installed, member)
    except _kubeadm.KubernetesVersionError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"kubernetes_skew": kubernetes_skew}
