# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter P(container_checkpoint.kubernetes.preflight_pods#filter)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_pods
short_description: What pod_preflight needs to know of Pods, without what may be secret
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Makes the C(pod_objects) of M(container_checkpoint.kubernetes.pod_preflight) out of Pods as the Kubernetes API returns
    them. Names, mounts, kinds of volumes, resources and the times of probes stay. Environment, arguments, annotations,
    headers and volumes' options go, because Ansible writes a module's options to the node's journal.
options:
  _input:
    description:
      - Pods, as the Kubernetes API returns them.
    type: list
    elements: dict
    required: true
  uids:
    description:
      - Only Pods with these UIDs.
    type: list
    elements: str
seealso:
  - module: container_checkpoint.kubernetes.pod_preflight
"""

EXAMPLES = r"""
- name: Look at the shop's containers on this node
  container_checkpoint.kubernetes.pod_preflight:
    pod_objects: "{{ pods.resources | container_checkpoint.kubernetes.preflight_pods }}"
  become: true
"""

RETURN = r"""
_value:
  description: The Pods, shortened.
  type: list
  elements: dict
  sample:
    - metadata: {namespace: default, name: web-0, uid: 0f1b6ad8-9c2e-4b3f-8e5f-3a1c2d4e5f60}
      spec:
        volumes: [{name: data, persistentVolumeClaim: {}}]
        containers: [{name: web, volumeMounts: [{name: data, mountPath: /data}]}]
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_pod import outline


def preflight_pods(pods, uids=None):
    """Check the arguments and shorten."""
    listed = hasattr(pods, "__iter__") and not isinstance(pods, str) and not hasattr(pods, "keys")
    if not listed or not all(hasattr(pod, "get") and hasattr(pod.get("spec"), "get") for pod in pods):
        raise AnsibleFilterError("preflight_pods: the input must be a list of Pods as the Kubernetes API returns them")
    wanted = None if uids is None else set(uids)
    return [outline(pod) for pod in pods if wanted is None or (pod.get("metadata") or {}).get("uid") in wanted]


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self):
        """Name to function."""
        return {"preflight_pods": preflight_pods}
