# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way in which every module of this collection fails.

PRIVATE to the collection. Modules have one C(except CheckpointError as exc: fail(module, exc, **partial)).
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def failure(exc: CheckpointError, **partial: t.Any) -> t.Dict[str, t.Any]:
    """The result of a failure: message, details, what was reached before, and the causes that the message points at.

    The exception's own details outrank what the module passes, and a diagnosis that it carries is kept.
    """
    result: t.Dict[str, t.Any] = dict(partial)
    result.update(exc.details)
    if "diagnosis" not in result:
        result["diagnosis"] = diagnose(exc.msg)
    result["msg"] = exc.msg
    return result


def fail(module: AnsibleModule, exc: CheckpointError, **partial: t.Any) -> t.NoReturn:
    """End the module with a failed result made from the exception and the partial result."""
    module.fail_json(**failure(exc, **partial))
    raise exc  # pragma: no cover - fail_json never comes back
