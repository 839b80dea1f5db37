# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to restore, and the choice among them.

PRIVATE to the collection. Pure. A back-end is a file C(_restore_backend_NAME) with NAME, RESTART_POLICY (of the new Pod when
none is asked for; None for the source's own), GATED (whether something must be done on the target between the Pod's creation
and its start), C(usable(target)), C(check(items, target)) and C(apply(container, item)); it becomes one by standing in BACKENDS.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _restore_backend_handler,
    _restore_backend_image,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_target import Target

BACKENDS: t.Tuple[t.Any, ...] = (_restore_backend_handler, _restore_backend_image)
AUTO = "auto"


def choose(wanted: str, target: Target) -> t.Tuple[t.Any, t.List[str]]:
    """(the back-end to use on that node, warnings); RestoreError with reason and remedy where none can be used."""
    known = {backend.NAME: backend for backend in BACKENDS}
    if wanted != AUTO and wanted not in known:
        raise InputError(
            "the restore back-end %r is not part of this version: use one of %s"
            % (wanted, ", ".join([AUTO] + sorted(known)))
        )
    refused = []
    for backend in BACKENDS if wanted == AUTO else (known[wanted],):
        able, why, remedy = backend.usable(target)
        # What needs work on the node first is not chosen on a guess.
        if able or (able is None and not (wanted == AUTO and backend.GATED)):
            unsure = "whether %s can restore is not known: %s" % (target.node, why)
            return backend, [] if able else [unsure]
        refused.append("%s: %s%s" % (backend.NAME, why, ". Remedy: %s" % remedy if remedy else ""))
    raise RestoreError(
        "nothing can be restored on %s; nothing was created. %s" % (target.label, "; ".join(refused)),
        restore_paths=list(target.paths.values()),
    )
