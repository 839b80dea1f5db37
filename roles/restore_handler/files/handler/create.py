# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The call C(create): restore what is staged for this container, or pass the call on."""

from __future__ import annotations

import contextlib
import os
import time

import bundle
import choose
import guardian
import marker
import processes
import report
import restore
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, RestoreError
from arguments import Call
from settings import Settings


def run(call: Call, config: Settings) -> int:
    """Create the container. Does not return where runc does it."""
    spec = bundle.load(call.bundle)
    target = bundle.target(spec, config.engine)
    if target is None:
        processes.become([config.runc, *call.argv])
    entry = choose.claim_for(target, call.container_id, config)
    if entry is None:
        processes.become([config.runc, *call.argv])
    return _restore(call, config, spec, target, entry)


def _restore(call: Call, config: Settings, spec: bundle.Spec, target: stage.Target, entry: stage.Entry) -> int:
    work = restore.Work(call, config, spec, entry, marker.path(config, call.container_id))
    status: stage.Document = {
        "schema": stage.SCHEMA, "entry": entry.id, "outcome": "restoring", "container_id": call.container_id,
        "namespace": target.namespace, "pod": target.pod, "pod_uid": target.pod_uid, "container": target.container,
        "checkpoint": entry.document.get("checkpoint") or {}, "policy": entry.policy,
        "attempt": stage.claim_of(entry).get("attempt"), "began_at": time.time(), "stages": work.stages,
    }
    began = time.monotonic()
    watch = guardian.Guardian(config, entry, call.container_id)
    try:
        marker.write(config, call, spec, entry)
        stage.write_json(os.path.join(entry.path, stage.STATUS_FILE), status)
        status.update(work.run())
        status.update(outcome="held", seconds=round(time.monotonic() - began, 3))
        stage.write_json(os.path.join(entry.path, stage.STATUS_FILE), status)
        report.journal("restored %s/%s/%s from checkpoint %s in %.3f s, held until it is started (restore %s, container %s, pid %s)" % (
            target.namespace, target.pod, target.container, (status["checkpoint"].get("sha256") or "")[:16],
            status["seconds"], entry.id, call.container_id, status["pid"]))
    except BaseException as exc:
        marker.discard(config, call.container_id)
        watch.dismiss()
        return _failed(call, config, entry, status, exc, work)
    watch.dismiss_and_exit()


def _failed(call: Call, config: Settings, entry: stage.Entry, status: stage.Document, exc: BaseException, work: restore.Work) -> int:
    reason = exc.msg if isinstance(exc, CheckpointError) else "%s: %s" % (type(exc).__name__, exc)
    status.update(
        outcome="failed", reason=reason, cold_start=entry.policy == "cold_start",
        criu_errors=report.criu_errors(work.log), diagnosis=getattr(exc, "details", {}).get("diagnosis", []),
    )
    with contextlib.suppress(OSError):
        os.replace(work.log, os.path.join(entry.path, "restore.log"))
    with stage.locked(config.staging):
        stage.finish_now(config.staging, entry, stage.FAILED if entry.policy == "fail" else stage.DONE, status)
    if not isinstance(exc, Exception):
        raise exc
    what = "%s/%s/%s could not be restored (restore %s): %s" % (status["namespace"], status["pod"], status["container"], entry.id, reason)
    if entry.policy == "fail":
        return report.failed(call, RestoreError(what))
    report.journal(what + "; policy cold_start", problem=True)
    if work.root_touched:
        return report.failed(
            call,
            RestoreError(
                what
                + "; its root file system was already changed, so this attempt fails and the next one starts as the image says"
            ),
        )
    processes.become([config.runc, *call.argv])
