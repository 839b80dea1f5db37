# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(from_toml) filter: what a program reads from its TOML file, as data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: from_toml
short_description: Parse TOML text
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Turns TOML text, such as the output of C(containerd config dump), into data.
  - Dates and times become strings in ISO 8601 format.
options:
  _input:
    description: The TOML text.
    type: string
    required: true
requirements:
  - Python 3.11 or newer, or the library C(tomli), on the controller.
"""

EXAMPLES = r"""
- name: Read containerd's effective configuration
  ansible.builtin.command: containerd config dump
  register: dump
  changed_when: false

- name: Show the sandbox image
  ansible.builtin.debug:
    msg: "{{ (dump.stdout | container_checkpoint.kubernetes.from_toml).plugins['io.containerd.cri.v1.images'].pinned_images.sandbox }}"
"""

RETURN = r"""
_value:
  description: The data.
  type: dictionary
"""

import datetime
import typing as t

from ansible.errors import AnsibleFilterError

try:
    import tomllib
except ImportError:
    try:
        import tomli as tomllib  # type: ignore
    except ImportError:
        tomllib = None  # type: ignore


def _plain(value: t.Any) -> t.Any:
    """The value with dates and times as text, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return value


def from_toml(text: t.Any) -> dict[str, t.Any]:
    """Parse TOML text; a message for people when it is none."""
    if tomllib is None:
        raise AnsibleFilterError("from_toml needs Python 3.11 or newer on the controller, or the library tomli")
    if not isinstance(text, str):
        raise AnsibleFilterError("from_toml needs text, not %s" % type(text).__name__)
    try:
        return _plain(tomllib.loads(str(text)))
    except tomllib.TOMLDecodeError as exc:
        raise AnsibleFilterError("This is not TOML: %s" % exc) from exc


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"from_toml": from_toml}
