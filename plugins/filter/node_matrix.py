# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter P(container_checkpoint.kubernetes.node_matrix#filter)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_matrix
short_description: Which node's checkpoints can be restored on which other node
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Compares what M(container_checkpoint.kubernetes.node_info) returned on many nodes, each with each.
options:
  _input:
    description:
      - Names of nodes, each with what M(container_checkpoint.kubernetes.node_info) returned there.
    type: dict
    required: true
seealso:
  - plugin: container_checkpoint.kubernetes.node_pair
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Which nodes fit together
  ansible.builtin.debug:
    msg: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'looked'))) | container_checkpoint.kubernetes.node_matrix }}"
"""

RETURN = r"""
_value:
  description: One entry for each source, in the order of the input.
  type: list
  elements: dict
  contains:
    source:
      description: The node that the checkpoint is made on.
      type: str
      sample: node1
    targets:
      description: The other nodes, each with V(yes), V(risky) or V(no).
      type: dict
      sample: {node2: "yes", node3: "no"}
    why:
      description: The other nodes, each with the ids of what speaks against it.
      type: dict
      sample: {node2: [], node3: [criu-older]}
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pair import matrix


def node_matrix(nodes):
    """Check the argument and compare each with each."""
    if not hasattr(nodes, "items") or not all(hasattr(value, "get") for value in nodes.values()):
        raise AnsibleFilterError("node_matrix: the input must be a dictionary of results of node_info")
    return matrix(nodes)


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self):
        """Name to function."""
        return {"node_matrix": node_matrix}
