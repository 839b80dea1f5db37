# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which staged entry, if any, is for the container that is being created, and claiming it."""

from __future__ import annotations

import time
import typing as t

import marker
import report
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError
from settings import Settings

MAX_ATTEMPTS = 3
_BIND_POLL = 0.2


class Unbound(Exception):
    """An entry has this pod's names and waits to be bound to a pod."""


def claim_for(target: stage.Target, container_id: str, config: Settings) -> t.Optional[stage.Entry]:
    """The entry that is now this container's; None where nothing is staged for it.

    Raises RestoreError where something is staged for this very pod and must not be restored (any more).
    """
    stage.check_root(config.staging)
    deadline = time.monotonic() + config.bind_timeout
    while True:
        try:
            with stage.locked(config.staging):
                return _claim(target, container_id, config)
        except Unbound as exc:
            if time.monotonic() >= deadline:
                raise RestoreError(
                    "restore %s is staged for the pod %s/%s that its owner makes, and nobody confirmed within %g seconds "
                    "that this pod is the one; the kubelet will try again" % (exc, target.namespace, target.pod, config.bind_timeout)
                ) from None
        time.sleep(_BIND_POLL)


def _claim(target: stage.Target, container_id: str, config: Settings) -> t.Optional[stage.Entry]:
    root = config.staging
    for entry in stage.entries(root, (stage.FAILED, stage.CLAIMED, stage.STAGED)):
        if not entry.names(target):
            continue
        if not entry.binding.get("pod_uid"):
            if not entry.expired(time.time()):
                raise Unbound(entry.id)
            stage.expire_one(root, entry, time.time())
            continue
        if not entry.entitled(target):
            report.journal("restore %s is staged for the pod %s/%s with UID %s; the one with UID %s starts as its image says"
                           % (entry.id, target.namespace, target.pod, entry.binding["pod_uid"], target.pod_uid))
            continue
        chosen = _entitled(entry, container_id, config)
        if chosen is not None:
            return chosen
    return None


def _entitled(entry: stage.Entry, container_id: str, config: Settings) -> t.Optional[stage.Entry]:
    root = config.staging
    if entry.state == stage.FAILED:
        raise _has_failed(entry)
    claim = stage.claim_of(entry)
    if entry.state == stage.CLAIMED:
        if claim.get("started"):
            # It ran, and its handler was killed before it could write that down. Never again.
            stage.finish_now(root, entry, stage.DONE, dict(stage.status_of(entry), outcome="restored"))
            return None
        if stage.in_use(entry):
            raise RestoreError("restore %s is already claimed by the container %s" % (entry.id, claim.get("container_id")))
        if claim.get("container_id"):
            # Its handler was killed and the runtime has not cleaned up after it.
            marker.discard(config, str(claim["container_id"]))
    if entry.expired(time.time()):
        stage.expire_one(root, entry, time.time())
        if entry.policy == "fail":
            raise RestoreError("restore %s expired before its container was created" % entry.id)
        return None
    attempt = int(claim.get("attempt") or 0) + 1
    if attempt > MAX_ATTEMPTS:
        reason = "restore %s was interrupted %d times" % (entry.id, attempt - 1)
        state = stage.FAILED if entry.policy == "fail" else stage.DONE
        stage.finish_now(root, entry, state, dict(stage.status_of(entry), outcome="failed", reason=reason))
        if state == stage.FAILED:
            raise RestoreError(reason)
        return None
    return stage.claim(root, entry, container_id, attempt)


def _has_failed(entry: stage.Entry) -> RestoreError:
    status = stage.status_of(entry)
    return RestoreError("restore %s failed and its policy is 'fail': %s" % (entry.id, status.get("reason") or "see its status file"))
