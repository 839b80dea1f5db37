#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_variables
short_description: Warn of variables that look like a misspelt variable of a role
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Ansible ignores a variable that no role asks for, so a misspelt one has no effect, silently. This collection's roles
    begin with this action. It warns of each variable that begins with the role's name, that the role's
    C(meta/argument_specs.yml) does not have, and that differs from one that it has by one letter, or by two in a
    longer name. What is further away is taken for a variable of your own.
  - It never fails for what it finds. Roles beside this one whose names begin with its own are looked at, too, so
    V(restore_handler_state) is no misspelt variable of the role V(restore).
  - Runs on the controller; nothing is done on the host.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
attributes:
  platform:
    platforms: posix
options:
  role_path:
    description: Directory of the role, C({{ role_path }}) inside it.
    type: path
    required: true
  facts:
    description: Variables that the role itself makes, and that must not be taken for misspelt ones.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Warn of variables that look misspelt
  container_checkpoint.kubernetes.role_variables:
    role_path: "{{ role_path }}"
"""

RETURN = r"""
misspelt:
  description: Variables that look misspelt.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The variable that was found.
      type: str
    nearest:
      description: The role's variable that is nearest to it.
      type: str
  sample: [{name: backup_relase, nearest: backup_release}]
"""
