# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(kernel_support) filter: which CRIU a kernel needs, from the table that C(node_info) uses."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kernel_support
short_description: Which CRIU a kernel needs, and which kernels a CRIU can serve
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Tells by its number whether a kernel has what CRIU needs, and which CRIU fits it.
  - A vendor's kernel may have a backport in spite of its number; C(criu check --feature get_rseq_conf) tells.
  - The table behind it is the one of the module M(container_checkpoint.kubernetes.node_info).
positional: _input
options:
  _input:
    description: The kernel's release, such as V(6.12.57+deb13-amd64).
    type: string
    required: true
  criu:
    description: The version of a CRIU to compare it with.
    type: string
"""

EXAMPLES = r"""
- name: Does this node's CRIU fit its kernel
  ansible.builtin.debug:
    msg: "{{ ansible_facts['kernel'] | container_checkpoint.kubernetes.kernel_support(criu='4.1.1') }}"
"""

RETURN = r"""
_value:
  description:
    - C(version) as three numbers.
    - C(rseq), whether the number promises the query about rseq (5.13 and later).
    - C(criu_min), the oldest CRIU for this kernel, with C(why).
    - C(unproven), whether no CRIU is known to have worked with a kernel as new as this.
    - C(fits), whether the given CRIU fits; null without one. C(kernel_below), the first kernel that the given CRIU
      cannot serve, or null.
  type: dictionary
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_versions as versions


def kernel_support(kernel: t.Any, criu: t.Any = None) -> dict[str, t.Any]:
    """Everything the roles kernel and criu decide by."""
    parsed = versions.parse(str(kernel or ""))
    if parsed is None:
        raise AnsibleFilterError("kernel_support: %r holds no version" % (kernel,))
    given = versions.parse(str(criu)) if criu else None
    needed, why = versions.criu_for_kernel(parsed)
    return {
        "version": versions.text(parsed),
        "rseq": versions.kernel_has_rseq_query(parsed),
        "criu_min": versions.text(needed),
        "why": why,
        "unproven": versions.kernel_unproven(parsed),
        "fits": None if given is None else given >= needed,
        "kernel_below": versions.text(versions.kernel_below(given)),
    }


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"kernel_support": kernel_support}
