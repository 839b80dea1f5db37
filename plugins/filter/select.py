# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(select) filter: choose among records and archives with a JMESPath expression."""

from __future__ import annotations

DOCUMENTATION = r"""
name: select
short_description: Choose among archives and records with JMESPath
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Applies a JMESPath expression to a list of archives, as M(container_checkpoint.kubernetes.archive_info) returns them, or of records,
    or to anything else that is made of dictionaries, lists, texts and numbers.
  - Within this collection's filters it is always named in full; C(select) alone is Jinja's.
requirements:
  - The Python library C(jmespath), on the controller.
positional: _input, expression
options:
  _input:
    description: What to choose from.
    type: raw
    required: true
  expression:
    description:
      - The expression. Texts are written in single quotes, numbers in backquotes.
    type: str
    required: true
seealso:
  - name: JMESPath
    description: The language.
    link: https://jmespath.org/specification.html
"""

EXAMPLES = r"""
- name: Archives of one namespace that hold more than a gibibyte of memory
  ansible.builtin.debug:
    msg: >-
      {{ result.archives | container_checkpoint.kubernetes.select(
           "[?namespace=='shop' && sizes.memory_pages > `1073741824`]") }}

- name: The newest archive of each file name's pod
  ansible.builtin.debug:
    msg: "{{ result.archives | container_checkpoint.kubernetes.select('max_by([?checkpointed_at], &checkpointed_at).path') }}"
"""

RETURN = r"""
_value:
  description: What the expression gives.
  type: raw
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError as exc:
    JMESPATH_MISSING: t.Optional[ImportError] = exc
else:
    JMESPATH_MISSING = None


def _plain(value: t.Any) -> t.Any:
    """The same value made of Python's own types: JMESPath judges types by their names, and Ansible's are subclasses."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(child) for child in value]
    return str(value)


def select(data: t.Any, expression: t.Any) -> t.Any:
    """Check the expression and apply it."""
    if JMESPATH_MISSING is not None:
        raise AnsibleFilterError(
            "select: the Python library jmespath is not installed on the controller (%s); install the package jmespath"
            % JMESPATH_MISSING
        )
    if not isinstance(expression, str) or not expression.strip():
        raise AnsibleFilterError("select: the expression must be a text that is not empty")
    plain = str.__str__(expression)
    try:
        return jmespath.search(plain, _plain(data))
    except JMESPathError as exc:
        raise AnsibleFilterError("select: the expression %r cannot be applied: %s" % (plain, exc)) from exc


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"select": select}
