# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the handler says: to the runtime (log file and standard error, as runc does) and to the journal."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import syslog
import typing as t

from arguments import Call

NAME = "container-checkpoint-runc"
_ERROR = re.compile(r"Error \([^)]*\)")


def journal(text: str, problem: bool = False) -> None:
    """One line in the node's journal."""
    with contextlib.suppress(OSError):
        syslog.openlog(NAME, syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(syslog.LOG_ERR if problem else syslog.LOG_NOTICE, text.replace("\n", " ")[:4000])


def failed(call: Call, exc: BaseException) -> int:
    """Tell the runtime that the call failed, the way runc does, and return the status for it."""
    text = str(getattr(exc, "msg", "") or exc or type(exc).__name__)
    journal("%s %s: %s" % (call.command, call.container_id, text), problem=True)
    _append_log(call, text)
    with contextlib.suppress(OSError):
        os.write(2, ("%s: %s\n" % (NAME, text)).encode("utf-8", "replace"))
    return 1


def _append_log(call: Call, text: str) -> None:
    path = call.global_options.get("log")
    if not path:
        return
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if call.global_options.get("log-format") == "json":
        line = json.dumps({"level": "error", "msg": text, "time": now})
    else:
        line = "time=%s level=error msg=%s" % (json.dumps(now), json.dumps(text))
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, (line + "\n").encode("utf-8", "replace"))
        finally:
            os.close(handle)


def criu_errors(log: str, limit: int = 8) -> t.List[str]:
    """The error lines of a restore.log, in order; they name files and calls, never content."""
    try:
        with open(log, encoding="utf-8", errors="replace") as stream:
            lines = [line.strip()[:300] for line in stream if _ERROR.search(line)]
    except OSError:
        return []
    return lines[:limit]
