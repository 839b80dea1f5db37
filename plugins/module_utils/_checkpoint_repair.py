# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a checkpoint that failed: was the container left paused? Then let it run again.

PRIVATE to the collection. containerd leaves a container paused when the CRI's deadline passed (its pod still shows
Running
and Ready); a call that was given up by us is cancelled by the runtime, which takes a moment. The runtime's own tools
say whether it is paused; nothing else shows it.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_targets import Target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError

# Seconds that a runtime gets to resume the container by itself: it was answered, or we gave up waiting.
GRACE_ANSWERED = 1.0
GRACE_GIVEN_UP = 30.0
_POLL = 0.5

Paused = t.Dict[str, t.Any]


def unknown(why: str) -> Paused:
    """Nobody could look."""
    return {"found": None, "resumed": False, "msg": why}


def look_and_resume(
    cri: t.Optional[Cri],
    target: Target,
    grace: float,
    sleep: t.Callable[[float], t.Any] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> Paused:
    """Resume the target's container if it stays paused for longer than grace seconds.

    found: True, False, or None if it could not be found out. resumed: whether we resumed it.
    """
    if cri is None:
        return unknown(
            "crictl is not on this machine, so nobody looked whether the container was left paused; on the node: crictl"
            " ps, ctr -n k8s.io tasks ls"
        )
    try:
        running = [entry for entry in cri.containers(target.namespace, target.pod, target.container) if entry.running]
        if target.container_id is not None:
            running = [entry for entry in running if entry.id == target.container_id]
        if not running:
            return unknown("the container does not run on this node, so nobody looked whether it was left paused")
        container = cri.inspect(running[0].id)
        end = clock() + grace
        while cri.paused(container):
            if clock() >= end:
                cri.resume(container)
                return {
                    "found": True,
                    "resumed": True,
                    "msg": "the container %s was left paused and was resumed" % target,
                }
            sleep(_POLL)
        return {"found": False, "resumed": False, "msg": "the container was not left paused"}
    except CheckpointError as exc:
        return unknown("it could not be found out or cured whether the container was left paused: %s" % exc.msg)
