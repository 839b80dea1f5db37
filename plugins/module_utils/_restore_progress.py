# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Pod's status says about a restore under way: waiting, running, ended, or failed and why.

PRIVATE to the collection. Pure. A running Pod proves no restore; that is the runtime's word (C(restore_evidence)).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose

Object = t.Mapping[str, t.Any]

WAITING, RUNNING, ENDED, FAILED = "waiting", "running", "ended", "failed"

_FATAL = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "PostStartHookError",
    "RunContainerError",
    "StartError",
)


@dataclass(frozen=True)
class Progress:
    """state: one of the four. text: for people, one part per container that is not as it should be."""

    state: str
    text: str = ""


def _container(status: Object) -> Progress:
    name = status.get("name")
    state = status.get("state") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if terminated is not None:
        if terminated.get("exitCode") == 0:
            return Progress(ENDED, "container %s has ended" % name)
        message = terminated.get("message") or "exit code %s" % terminated.get("exitCode")
        return Progress(FAILED, "container %s: %s: %s" % (name, terminated.get("reason") or "Error", message))
    if last and status.get("restartCount"):
        message = last.get("message") or "exit code %s" % last.get("exitCode")
        return Progress(
            FAILED,
            "container %s: %s: %s (restarted %d times)"
            % (name, last.get("reason") or "Error", message, status["restartCount"]),
        )
    if waiting is not None:
        reason, message = waiting.get("reason") or "", waiting.get("message") or ""
        text = (
            "container %s: %s: %s" % (name, reason, message)
            if message
            else "container %s: %s" % (name, reason or "waiting")
        )
        found = diagnose(message)
        # The kubelet tries again by itself; what may pass is given the time that is left.
        fatal = reason in _FATAL and not (found and found[0]["transient"])
        return Progress(FAILED if fatal else WAITING, text)
    return Progress(RUNNING) if "running" in state else Progress(WAITING, "container %s: no state yet" % name)


def progress(pod: Object) -> Progress:
    """The state of the whole Pod."""
    status = pod.get("status") or {}
    statuses = status.get("containerStatuses") or []
    found = [_container(entry) for entry in statuses]
    failed = [entry.text for entry in found if entry.state == FAILED]
    if failed:
        return Progress(FAILED, "; ".join(failed))
    if status.get("phase") == "Failed":
        return Progress(
            FAILED, "%s: %s" % (status.get("reason") or "the pod failed", status.get("message") or "no message")
        )
    if len(statuses) < len(pod["spec"]["containers"]):
        unscheduled = [
            condition.get("message") or condition.get("reason") or ""
            for condition in status.get("conditions") or []
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        ]
        return Progress(WAITING, "; ".join(unscheduled) or "the kubelet has not taken the pod up yet")
    waiting = [entry.text for entry in found if entry.state == WAITING]
    if waiting:
        return Progress(WAITING, "; ".join(waiting))
    ended = [entry.text for entry in found if entry.state == ENDED]
    return Progress(ENDED, "; ".join(ended)) if ended else Progress(RUNNING)


def describe(pod: Object) -> t.Dict[str, t.Any]:
    """The Pod as results show it."""
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    statuses = {entry.get("name"): entry for entry in status.get("containerStatuses") or []}
    containers = []
    for container in pod["spec"]["containers"]:
        entry = statuses.get(container["name"]) or {}
        containers.append(
            {
                "name": container["name"],
                # containerd://ID, cri-o://ID: the engine's own id is what restore_evidence asks for.
                "container_id": (entry.get("containerID") or "").partition("://")[2] or None,
                "image": container.get("image"),
            }
        )
    return {
        "name": metadata.get("name"),
        "namespace": metadata.get("namespace"),
        "uid": metadata.get("uid"),
        "node": pod["spec"].get("nodeName"),
        "phase": status.get("phase"),
        "ip": status.get("podIP"),
        "labels": metadata.get("labels") or {},
        "containers": containers,
    }


def compact_events(events: t.Iterable[Object]) -> t.List[t.Dict[str, t.Any]]:
    """Events as results show them."""
    return [
        {
            "type": event.get("type"),
            "reason": event.get("reason"),
            "message": event.get("message"),
            "count": event.get("count") or 1,
            "time": event.get("lastTimestamp") or event.get("eventTime"),
        }
        for event in events
    ]
