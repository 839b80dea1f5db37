# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the restore handler lives on a node, and what it says about itself.

PRIVATE to the collection. The handler is an OCI runtime of this collection that restores a container from an archive staged
on the node. It is installed when a runtime of the engine's configuration points into HANDLER_DIR, and it passes when
HANDLER_STATUS says so: a JSON object C({"state": "passing" or "failing", "why": "...", "version": "..."}), written by the
handler's own self-test.
"""

from __future__ import annotations

import json
import typing as t

HANDLER_DIR = "/usr/local/libexec/container-checkpoint"
HANDLER_STATUS = "/var/lib/container-checkpoint/handler-status.json"


def installed_as(runtimes: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Optional[str]:
    """The name under which the engine's configuration has the handler, or None."""
    for name, runtime in sorted(runtimes.items()):
        if str(runtime.get("path") or "").startswith(HANDLER_DIR + "/"):
            return name
    return None


def parse_status(text: t.Optional[str]) -> t.Dict[str, t.Any]:
    """What the status file says: passing (bool) and why (text)."""
    if text is None:
        return {"passing": False, "why": "its self-test has not reported yet (%s is not there)" % HANDLER_STATUS}
    try:
        document = json.loads(text)
        state, why = document.get("state"), document.get("why")
    except (ValueError, AttributeError):
        return {"passing": False, "why": "%s is not a JSON object" % HANDLER_STATUS}
    if state == "passing":
        return {"passing": True, "why": str(why or "its self-test passes")}
    return {"passing": False, "why": str(why or "its self-test says %r" % state)}
