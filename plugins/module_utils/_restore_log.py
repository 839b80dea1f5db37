# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU's own log of the last restore of a Pod on this node, where its configuration keeps one.

PRIVATE to the collection. containerd and CRI-O delete restore.log when a restore failed. A C(log-file) with an absolute path
in CRIU's configuration for runc (role criu, C(criu_log_file) or C(criu_log_dir)) survives. CRIU writes the cgroups into it, and they
have the Pod's UID in their names.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs as logs

# More of them were not written for one Pod that shall start now.
_LOOKED_AT = 200


def look(
    pod_uid: t.Optional[str] = None, places: logs.Places = logs.Places(), now: t.Callable[[], float] = time.time
) -> t.Optional[t.Dict[str, t.Any]]:
    """{path, age_seconds, errors, diagnosis} of the newest log of a restore that failed (of this Pod, where it is given); None when there is
    none."""
    for path in logs.kept_logs(places)[:_LOOKED_AT]:
        log = places.read(path)
        if log is None or not log.text.strip() or logs.stage_of(log) != "restore" or logs.succeeded(log):
            continue
        if logs.of_pods(log, [pod_uid] if pod_uid else []):
            entry = logs.described(log, now())
            return {name: entry[name] for name in ("path", "age_seconds", "errors", "diagnosis")}
    return None
