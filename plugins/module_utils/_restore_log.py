# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU's own log of the last restore on this node, where its configuration keeps one.

PRIVATE to the collection. containerd and CRI-O delete restore.log when a restore failed. A C(log-file) with an absolute path
in CRIU's configuration for runc (role criu, C(criu_log_file) or C(criu_log_dir)) survives; the last one is taken, whatever it
was of, so its age is told with it.
"""

from __future__ import annotations

import glob
import os
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose

CRIU_CONFIG = "/etc/criu/runc.conf"
# The role criu has each log renamed that begins under this name (criu_log_dir); the new names end as this does.
CURRENT = "current.log"
_TAIL_BYTES = 4 * 1024 * 1024


def configured_path(config: str) -> t.Optional[str]:
    """The absolute path that C(log-file) names in a configuration of CRIU; the last one counts."""
    found = None
    for line in config.splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2 and words[0] == "log-file":
            found = words[1].strip("\"'")
    return found if found and os.path.isabs(found) else None


def kept_logs(path: str, find: t.Callable[[str], t.Sequence[str]] = glob.glob) -> t.List[str]:
    """The logs of single operations, where there is one for each: the newest first (their names are times)."""
    if os.path.basename(path) != CURRENT:
        return []
    found = find(os.path.join(glob.escape(os.path.dirname(path)), "*.log"))
    return sorted((one for one in found if os.path.basename(one) != CURRENT), reverse=True)


def look(config_path: str = CRIU_CONFIG, now: t.Callable[[], float] = time.time) -> t.Optional[t.Dict[str, t.Any]]:
    """{path, age_seconds, diagnosis} of the log, None when none is kept or it cannot be read."""
    try:
        with open(config_path, encoding="utf-8", errors="replace") as stream:
            path = configured_path(stream.read())
        if path is None:
            return None
        path = next(iter(kept_logs(path)), path) if not os.path.exists(path) else path
        with open(path, "rb") as log:
            size = os.fstat(log.fileno()).st_size
            age = now() - os.fstat(log.fileno()).st_mtime
            log.seek(max(0, size - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return None
    return {"path": path, "age_seconds": int(age), "diagnosis": diagnose(text, where="restore")}
