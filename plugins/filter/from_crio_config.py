# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(from_crio_config) filter: what C(crio config) prints, as data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: from_crio_config
short_description: Parse what crio config prints
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - C(crio config) prints a setting that has its default value as a comment, so a TOML reader does not see it. This
    filter does.
  - It reads booleans, numbers, strings and lists of strings; anything else is left out.
  - C(crio status config) prints ordinary TOML, for which there is the filter
    P(container_checkpoint.kubernetes.from_toml#filter).
options:
  _input:
    description: The text.
    type: string
    required: true
"""

EXAMPLES = r"""
- name: Read CRI-O's effective configuration
  ansible.builtin.command: crio config
  register: dump
  changed_when: false

- name: Show the default runtime
  ansible.builtin.debug:
    msg: "{{ (dump.stdout | container_checkpoint.kubernetes.from_crio_config).crio.runtime.default_runtime }}"
"""

RETURN = r"""
_value:
  description: The data, nested as the tables are.
  type: dictionary
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_config as config


def from_crio_config(text: t.Any) -> dict[str, t.Any]:
    """The settings, nested; a setting below something that is no table is left out."""
    if not isinstance(text, str):
        raise AnsibleFilterError("from_crio_config needs text, not %s" % type(text).__name__)
    found: dict[str, t.Any] = {}
    for path, value in config.parse(str(text), commented_defaults=True).items():
        table = found
        for name in path[:-1]:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                break
        else:
            table[path[-1]] = value
    return found


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"from_crio_config": from_crio_config}
