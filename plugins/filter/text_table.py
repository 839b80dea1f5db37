# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(text_table) filter: rows as aligned lines that a person can read in a playbook's output."""

from __future__ import annotations

DOCUMENTATION = r"""
name: text_table
short_description: Write a list of dictionaries as an aligned table
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Returns a list of lines, the first of which names the columns. Numbers are aligned to the right, everything else to the left.
  - Numbers of bytes and seconds are written with a unit when the column says so.
positional: _input
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description:
      - The keys to show, in this order. C(key:bytes) and C(key:seconds) write the number with a unit.
      - Keys that a row does not have stay empty.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what was made
  ansible.builtin.debug:
    msg: "{{ result.checkpoints | container_checkpoint.kubernetes.text_table(columns=['pod', 'container', 'size:bytes', 'path']) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "pod      container      size  path"
    - "counter  counter    8.4 MiB  /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar"
"""

import typing as t

from ansible.errors import AnsibleFilterError

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def human_bytes(value: float) -> str:
    """A number of bytes in the largest unit that leaves at least one before the point."""
    number, unit = float(value), 0
    while abs(number) >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return "%d B" % value if unit == 0 else "%.1f %s" % (number, _UNITS[unit])


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: t.Any, unit: str) -> str:
    if value is None:
        return ""
    if unit == "bytes" and _is_number(value):
        return human_bytes(value)
    if unit == "seconds" and _is_number(value):
        return "%.2f s" % value
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return str(value)


def text_table(rows: t.Any, columns: t.Sequence[str] = ()) -> list[str]:
    """The rows as lines of equal columns."""
    if not isinstance(rows, list) or not columns:
        raise AnsibleFilterError("text_table needs a list of rows and the columns to show")
    keys = [column.partition(":")[::2] for column in columns]
    table = [[key for key, unit in keys]] + [[_cell(row.get(key), unit) for key, unit in keys] for row in rows]
    right = [bool(unit) or bool(rows) and all(_is_number(row.get(key)) for row in rows) for key, unit in keys]
    widths = [max(len(line[index]) for line in table) for index in range(len(keys))]
    return ["  ".join(cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(line, widths, right)).rstrip() for line in table]


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"text_table": text_table}
