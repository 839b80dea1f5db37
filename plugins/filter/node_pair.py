# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter P(container_checkpoint.kubernetes.node_pair#filter)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_pair
short_description: Can what was checkpointed on one node be restored on another one
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Compares what M(container_checkpoint.kubernetes.node_info) returned on two nodes. Architecture, CPU, kernel, CRIU
    and its
    configuration, OCI runtime, container runtime, ways to restore, security module and cgroup version.
  - With O(needs) and O(given) also what the container needs beside the node. Only what both name is compared.
options:
  _input:
    description:
      - What M(container_checkpoint.kubernetes.node_info) returned on the source.
    type: dict
    required: true
  target:
    description:
      - What it returned on the target.
    type: dict
    required: true
  needs:
    description:
      - What the container needs. C(base_image), C(host_paths), C(claims), C(service_account), C(requests),
        C(host_access).
    type: dict
  given:
    description:
      - What the target and the cluster have. C(images), C(pullable), C(host_paths), C(claims), C(service_accounts),
        C(quotas)
        (ResourceQuota objects), C(pod_security), C(admission_error).
    type: dict
  pod:
    description:
      - A Pod, as the Kubernetes API returns it, to take O(needs) from.
    type: dict
  container:
    description:
      - The container of O(pod) that is meant.
    type: str
"""

EXAMPLES = r"""
- name: Does node2 fit
  ansible.builtin.assert:
    that: fit.verdict != 'no'
    fail_msg: "{{ fit.reasons | map(attribute='text') | join('; ') }}"
  vars:
    fit: "{{ hostvars['node1'].looked | container_checkpoint.kubernetes.node_pair(hostvars['node2'].looked) }}"
"""

RETURN = r"""
_value:
  description: The comparison.
  type: dict
  contains:
    verdict:
      description: V(yes), V(risky) or V(no).
      type: str
      sample: risky
    reasons:
      description: What does not fit, the worst first, as M(container_checkpoint.kubernetes.pod_preflight) returns
        reasons.
      type: list
      elements: dict
      sample: []
    paths:
      description: The target's ways to restore, and whether they serve this source.
      type: list
      elements: dict
      sample:
        - {name: image, usable: true, why: "containerd 2.1.9 restores checkpoint images, and it is on"}
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pair import compare
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pair_needs import needs_of


def node_pair(source, target, needs=None, given=None, pod=None, container=None):
    """Check the arguments and compare."""
    for name, value in (("input", source), ("target", target)):
        if not hasattr(value, "get") or not value.get("node"):
            raise AnsibleFilterError("node_pair: the %s must be a result of node_info" % name)
    if pod is not None and container is None:
        raise AnsibleFilterError("node_pair: pod needs container, the name of the one that is meant")
    wanted = dict(needs_of(pod, container) if pod is not None else {}, **(needs or {}))
    return compare(source, target, wanted, given)


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self):
        """Name to function."""
        return {"node_pair": node_pair}
