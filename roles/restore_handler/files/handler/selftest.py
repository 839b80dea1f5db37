# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this node restore through the handler? Writes the answer where the collection's node_info looks for it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_handler import HANDLER_STATUS
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._version import VERSION
from settings import Settings

_TIMEOUT = 60


def run(config: Settings, path: str = HANDLER_STATUS) -> int:
    """Test, write the status, and end with 1 if something is missing."""
    why = problem(config)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    stage.write_json(path, {
        "state": "failing" if why else "passing",
        "why": why or "runc and CRIU can restore, and the staging directory is root's own",
        "version": VERSION,
        "engine": config.engine,
        "checked_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    })
    if why:
        os.write(2, (why + "\n").encode("utf-8", "replace"))
    return 1 if why else 0


def problem(config: Settings) -> str:
    """What stands against a restore on this node; empty if nothing does."""
    try:
        # What a restore needs of the handler's own files must be there before a container waits for it.
        for part in ("create", "held"):
            importlib.import_module(part)
    except ImportError as exc:
        return "the handler's own files are incomplete: %s" % exc
    status, out = _ask([config.runc, "features"])
    if status == 0:
        try:
            enabled = json.loads(out).get("annotations", {}).get("org.opencontainers.runc.checkpoint.enabled", "true")
        except (ValueError, AttributeError):
            return "%s features answers no JSON" % config.runc
        if enabled != "true":
            return "%s was built without CRIU" % config.runc
    if _ask([config.runc, "restore", "--help"])[0] != 0:
        return "%s does not know the command restore" % config.runc
    status, out = _ask(["criu", "check"])
    if status != 0:
        return "criu check fails: %s" % (out.strip().splitlines() or ["criu is not installed"])[-1][:300]
    try:
        stage.check_root(config.staging)
    except CheckpointError as exc:
        return exc.msg
    return ""


def _ask(argv: t.List[str]) -> t.Tuple[int, str]:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return 127, str(exc)
    return done.returncode, done.stdout.decode("utf-8", "replace")
