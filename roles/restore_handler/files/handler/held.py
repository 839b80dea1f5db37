# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls C(state), C(start) and C(delete) for a container that was restored and has not been started yet."""

from __future__ import annotations

import json
import os
import subprocess
import time

import guardian
import marker
import processes
import report
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError
from arguments import Call
from settings import Settings


def run(call: Call, config: Settings) -> int:
    """Answer one call about a held container; does not return where runc answers it."""
    handler = {"state": _state, "start": _start, "delete": _delete}.get(call.command)
    if handler is None or not os.path.isdir(os.path.join(config.state, call.container_id or ".")):
        processes.become([config.runc, *call.argv])
    return handler(call, config)


def _state(call: Call, config: Settings) -> int:
    """runc knows no container that is restored and not started: to the runtime it is created."""
    answer = subprocess.run([config.runc, *call.argv], stdout=subprocess.PIPE, check=False)
    text = answer.stdout
    try:
        state = json.loads(text.decode("utf-8"))
        if state.get("status") == "running":
            state["status"] = "created"
            text = (json.dumps(state, indent=2) + "\n").encode("utf-8")
    except (ValueError, AttributeError):
        pass
    _write_all(1, text)
    return answer.returncode


def _start(call: Call, config: Settings) -> int:
    entry = marker.entry_of(config, call.container_id)
    status = stage.status_of(entry) if entry else {}
    pid = int(status.get("pid") or 0)
    if entry is None or status.get("outcome") != "held" or processes.state(pid) in ("", "Z", "X"):
        raise RestoreError("cannot start the restored container %s: it has ended, or its restore was not completed" % call.container_id)
    stage.mark_started(entry)
    count = processes.proceed(pid, status.get("keep_stopped") or [])
    status.update(outcome="restored", started_at=time.time())
    with stage.locked(config.staging):
        stage.finish_now(config.staging, entry, stage.DONE, status)
    marker.remove(config, call.container_id)
    report.journal("started %s/%s/%s: %d restored processes go on (restore %s, container %s)" % (
        status.get("namespace"), status.get("pod"), status.get("container"), count, entry.id, call.container_id))
    return 0


def _delete(call: Call, config: Settings) -> int:
    """A restored container goes before it was started. What it was restored from can be claimed again by its pod."""
    entry = marker.entry_of(config, call.container_id)
    document = marker.kill(config, call.container_id)
    answer = processes.run([config.runc, *call.argv], 60.0)
    marker.remove_cgroups(document)
    if entry is not None:
        guardian.release(config, entry.id, call.container_id)
    marker.remove(config, call.container_id)
    return answer


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view):]
