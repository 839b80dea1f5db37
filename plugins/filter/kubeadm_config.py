# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(kubeadm_config): settings of a node to the documents that kubeadm of its version reads."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeadm_config
short_description: The documents that kubeadm of a version reads
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Makes the documents for C(kubeadm init) or C(kubeadm join), in the API version that this kubeadm reads.
  - The feature gate C(ContainerCheckpoint) goes into the KubeletConfiguration, and is refused in the arguments of
    the API server, the controller manager and the scheduler.
  - Write the result to a file for C(kubeadm config validate --config) and C(kubeadm init --config).
positional: kind
options:
  _input:
    description:
      - The settings. C(version) is required; for V(join) also C(token), C(endpoint) and C(ca_cert_hashes), and
        C(certificate_key) for a further control plane.
    type: dict
    required: true
  kind:
    description:
      - For which of the two commands.
    type: str
    choices: [init, join]
    required: true
"""

EXAMPLES = r"""
- name: Show what kubeadm would be given
  ansible.builtin.debug:
    msg: "{{ {'version': '1.36.2', 'pod_subnet': '10.244.0.0/16', 'gate': 'auto'}
      | container_checkpoint.kubernetes.kubeadm_config('init') }}"
"""

RETURN = r"""
_value:
  description: The documents in their order.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _kubeadm


def kubeadm_config(settings: t.Any, kind: str) -> list[dict]:
    """The documents for C(kubeadm init) or C(kubeadm join)."""
    makers = {"init": _kubeadm.init_documents, "join": _kubeadm.join_documents}
    if not isinstance(settings, dict) or kind not in makers:
        raise AnsibleFilterError("kubeadm_config needs a dictionary of settings, and init or join")
    try:
        return makers[kind](settings)
    except _kubeadm.KubernetesVersionError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    except KeyError as exc:
        raise AnsibleFilterError("kubeadm_config: the setting %s is missing" % exc) from exc


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"kubeadm_config": kubeadm_config}
