# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that look like a misspelt one of a role, which Ansible itself takes for somebody else's and ignores.

PRIVATE to the collection. Behind the action role_variables.
"""

from __future__ import annotations

import pathlib
import typing as t

from ansible.module_utils.common.yaml import yaml_load


def distance(one: str, other: str) -> int:
    """How many letters to add, leave out, replace, or swap with their neighbour to make one the other."""
    before: t.List[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, wanted in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def known(roles: pathlib.Path, role: str) -> t.Set[str]:
    """Variables of a role, and of the roles beside it whose names begin with its own."""
    found: t.Set[str] = set()
    for specification in sorted(roles.glob("%s*/meta/argument_specs.yml" % role)):
        if specification.parts[-3] == role or specification.parts[-3].startswith(role + "_"):
            content = yaml_load(specification.read_text(encoding="utf-8"))
            for entry in content["argument_specs"].values():
                found.update(entry.get("options") or {})
    return found


def misspelt(names: t.Iterable[str], role: str, variables: t.Collection[str]) -> t.List[t.Tuple[str, str]]:
    """Names with the role's prefix that no role knows and that are nearly a known one, each with that one.

    One letter may be wrong in a short name, two in one with more than five letters after the prefix; what is further
    away is taken for a variable of its own.
    """
    prefix = role + "_"
    found = []
    for name in sorted(set(names) - set(variables)):
        if not name.startswith(prefix):
            continue
        allowed = 1 if len(name) - len(prefix) <= 5 else 2
        nearest = min(((distance(name, other), other) for other in variables), default=(allowed + 1, ""))
        if nearest[0] <= allowed:
            found.append((name, nearest[1]))
    return found
