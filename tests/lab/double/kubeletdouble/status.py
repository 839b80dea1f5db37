# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the runtime says to a Pod's status, as the kubelet writes it (fixtures pod-*.json). Pure."""

from __future__ import annotations

import datetime
import typing as t

CREATED, RUNNING, EXITED = 0, 1, 2


class Seen(t.NamedTuple):
    """What the kubelet knows of one container of the pod: the newest one, the one before, why it waits."""

    current: t.Any = None
    previous: t.Any = None
    waiting: t.Optional[dict] = None
    ready: bool = False
    started: bool = False


def moment(nanoseconds: int) -> str:
    value = datetime.datetime.fromtimestamp(nanoseconds // 1_000_000_000, datetime.timezone.utc)
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def restart_count(status: t.Any) -> int:
    return int(status.annotations.get("io.kubernetes.container.restartCount", "0"))


def terminated(status: t.Any, runtime: str) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {
        "containerID": f"{runtime}://{status.id}",
        "exitCode": status.exit_code,
        "finishedAt": moment(status.finished_at),
        "startedAt": moment(status.started_at),
    }
    if status.message:
        result["message"] = status.message
    result["reason"] = status.reason or ("Completed" if status.exit_code == 0 else "Error")
    return result


def container_status(container: dict, seen: Seen, runtime: str, default_waiting: str) -> dict[str, t.Any]:
    current = seen.current
    result: dict[str, t.Any] = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "lastState": {},
        "ready": seen.ready,
        "restartCount": 0,
        "started": seen.started,
        "state": {},
    }
    if current is not None:
        result.update(
            containerID=f"{runtime}://{current.id}",
            image=current.image.image,
            imageID=current.image_ref,
            restartCount=restart_count(current),
            resources={},
        )
        if current.HasField("user"):
            user = current.user.linux
            result["user"] = {
                "linux": {"gid": user.gid, "supplementalGroups": list(user.supplemental_groups), "uid": user.uid}
            }
    if current is not None and current.state == RUNNING:
        result["state"] = {"running": {"startedAt": moment(current.started_at)}}
        mounts = [
            {
                "mountPath": m["mountPath"],
                "name": m["name"],
                **({"readOnly": True, "recursiveReadOnly": "Disabled"} if m.get("readOnly") else {}),
            }
            for m in container.get("volumeMounts") or []
        ]
        if mounts:
            result["volumeMounts"] = mounts
    elif seen.waiting:
        result["state"] = {"waiting": seen.waiting}
        if current is not None and current.state == EXITED:
            result["lastState"] = {"terminated": terminated(current, runtime)}
            if seen.waiting.get("reason") == "CrashLoopBackOff":
                result["restartCount"] = restart_count(current)
    elif current is not None and current.state == EXITED:
        result["state"] = {"terminated": terminated(current, runtime)}
    else:
        result["state"] = {"waiting": {"reason": default_waiting}}
    if not result["lastState"] and seen.previous is not None:
        result["lastState"] = {"terminated": terminated(seen.previous, runtime)}
    return result


def phase(pod: dict, init: list[dict], main: list[dict], old: str) -> str:
    if old in ("Succeeded", "Failed"):
        return old
    policy = pod["spec"].get("restartPolicy", "Always")
    for status in init:
        ended = status["state"].get("terminated")
        if not ended and not status.get("started"):
            return "Pending"
        if ended and ended["exitCode"] != 0:
            return "Failed" if policy == "Never" else "Pending"
    waiting = [s for s in main if "waiting" in s["state"] and not s["lastState"]]
    running = [s for s in main if "running" in s["state"] or ("waiting" in s["state"] and s["lastState"])]
    stopped = [s["state"]["terminated"]["exitCode"] for s in main if "terminated" in s["state"]]
    if waiting:
        return "Pending"
    if running or not main:
        return "Running"
    if policy == "Always":
        return "Running"
    if all(code == 0 for code in stopped):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def conditions(old: list[dict], values: list[tuple[str, bool, str, str]], generation: int, now: str) -> list[dict]:
    """Conditions with their transition times kept where nothing changed; those of other types stay."""
    have = {c["type"]: c for c in old}
    result = []
    for kind, value, reason, message in values:
        text = "True" if value else "False"
        before = have.pop(kind, {})
        entry: dict[str, t.Any] = {
            "lastProbeTime": None,
            "observedGeneration": generation,
            "status": text,
            "type": kind,
            "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == text else now,
        }
        if reason and not value:
            entry.update(reason=reason, message=message)
        result.append(entry)
    return result + list(have.values())


def pod_status(
    pod: dict, init: list[dict], main: list[dict], sandbox_ready: bool, addresses: list[str], host: str, now: str
) -> dict[str, t.Any]:
    old = pod.get("status") or {}
    generation = pod["metadata"].get("generation", 1)
    state = phase(pod, init, main, old.get("phase", ""))
    unready = [s["name"] for s in main if not s["ready"]]
    initialised = all(s["state"].get("terminated", {}).get("exitCode") == 0 or s.get("started") for s in init)
    ended = state in ("Succeeded", "Failed")
    why = "PodCompleted" if state == "Succeeded" else "PodFailed" if ended else "ContainersNotReady"
    text = "" if state == "Succeeded" else f"containers with unready status: [{' '.join(unready)}]"
    ready = not unready and not ended
    gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or []]
    given = {c["type"] for c in old.get("conditions") or [] if c["status"] == "True"}
    open_gates = [gate for gate in gates if gate not in given]
    values = [
        ("PodReadyToStartContainers", sandbox_ready, "", ""),
        (
            "Initialized",
            initialised,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(s['name'] for s in init if not s['ready'])}]",
        ),
        (
            "Ready",
            ready and not open_gates,
            why if not ready else "ReadinessGatesNotReady",
            text
            if not ready
            else f'corresponding condition of pod readiness gate "{open_gates[0]}" does not exist.'
            if open_gates
            else "",
        ),
        ("ContainersReady", ready, why, text),
        ("PodScheduled", True, "", ""),
    ]
    result: dict[str, t.Any] = {
        "conditions": conditions(old.get("conditions") or [], values, generation, now),
        "containerStatuses": main,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "observedGeneration": generation,
        "phase": state,
        "qosClass": old.get("qosClass", "BestEffort"),
        "resources": {},
        "startTime": old.get("startTime") or now,
    }
    if init:
        result["initContainerStatuses"] = init
    if addresses:
        result.update(podIP=addresses[0], podIPs=[{"ip": address} for address in addresses])
    elif old.get("podIP"):
        result.update(podIP=old["podIP"], podIPs=old["podIPs"])
    return result
