# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(to_toml) filter: data as the TOML text that containerd and its registry files are written in."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_toml
short_description: Write data as TOML text
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Turns a dictionary into TOML text, with tables for dictionaries and the order of keys kept.
  - Lists may hold strings, numbers, booleans and lists of those. TOML has no null, so V(null) is refused.
options:
  _input:
    description: The dictionary.
    type: dictionary
    required: true
"""

EXAMPLES = r"""
- name: Write a drop-in for containerd
  ansible.builtin.copy:
    dest: /etc/containerd/conf.d/50-example.toml
    content: "{{ {'version': 3, 'plugins': {'io.containerd.cri.v1.runtime': {'enable_selinux': true}}} | container_checkpoint.kubernetes.to_toml }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The TOML text.
  type: string
"""

import json
import re
import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: t.Any) -> str:
    if not isinstance(key, str):
        raise AnsibleFilterError("to_toml: the key %r is not a string" % (key,))
    return str(key) if _BARE_KEY.fullmatch(key) else _string(key)


def _scalar(value: t.Any, where: str) -> str:
    """One value on the right of an equals sign."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, Sequence):
        return "[%s]" % ", ".join(_scalar(one, where) for one in value)
    raise AnsibleFilterError("to_toml: %s is %s, which this filter does not write" % (where, "null" if value is None else type(value).__name__))


def _table(table: Mapping, path: tuple[str, ...]) -> t.Iterator[str]:
    """The lines of one table: its plain values first, then a section for each table in it."""
    plain = [(key, value) for key, value in table.items() if not isinstance(value, Mapping)]
    if path and (plain or not table):
        yield ""
        yield "[%s]" % ".".join(path)
    for key, value in plain:
        yield "%s = %s" % (_key(key), _scalar(value, ".".join((*path, _key(key)))))
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*path, _key(key)))


def to_toml(data: t.Any) -> str:
    """The data as TOML text, ending with a line feed."""
    if not isinstance(data, Mapping):
        raise AnsibleFilterError("to_toml needs a dictionary, not %s" % type(data).__name__)
    return "\n".join(_table(data, ())) + "\n"


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"to_toml": to_toml}
