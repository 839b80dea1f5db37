# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module states about itself; the module adds how far it supports each.

PRIVATE to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
  platform:
    description: Target OS that the module can operate against.
    support: full
    platforms: linux
"""

    # For modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""

    ACTIONGROUP_KUBELET = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/container_checkpoint.kubernetes.kubelet) in C(module_defaults) to set defaults for what concerns the kubelet,
        C(group/container_checkpoint.kubernetes.kubernetes) for what concerns the API server.
    support: full
    membership:
      - container_checkpoint.kubernetes.kubelet
      - container_checkpoint.kubernetes.kubernetes
"""

    ACTIONGROUP_REGISTRY = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/container_checkpoint.kubernetes.registry) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - container_checkpoint.kubernetes.registry
"""

    ACTIONGROUP_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/container_checkpoint.kubernetes.kubernetes) in C(module_defaults) to set defaults for this module.
      - The modules of C(group/kubernetes.core.k8s) are in that group too.
    support: full
    membership:
      - container_checkpoint.kubernetes.kubernetes
"""
