# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs beside the API: a scheduler that binds pods, the end of namespaces, the collector of orphaned dependents.

Each is a function over the store that brings it one step nearer to what it should be; ``run`` calls all of them after
every change. A controller for ReplicaSets or StatefulSets would be one more function in CONTROLLERS.
"""

from __future__ import annotations

import typing as t

from apidouble import bootstrap, errors
from apidouble.selectors import expression
from apidouble.store import NAMESPACES, NODES, PODS, Key, Store, now

EVENTS = Key("", "events")


def bind(pod: dict, node: str) -> dict:
    """The pod as it is after it was bound."""
    pod["spec"]["nodeName"] = node
    others = [c for c in pod["status"].get("conditions") or [] if c["type"] != "PodScheduled"]
    pod["status"]["conditions"] = [
        *others,
        {"lastProbeTime": None, "lastTransitionTime": now(), "status": "True", "type": "PodScheduled"},
    ]
    return pod


def _term_matches(term: dict, node: dict) -> bool:
    labels = node["metadata"].get("labels") or {}
    return (
        all(expression(entry, labels) for entry in term.get("matchExpressions") or [])
        and all(
            expression(entry, {"metadata.name": node["metadata"]["name"]}) for entry in term.get("matchFields") or []
        )
        and bool(term.get("matchExpressions") or term.get("matchFields"))
    )


def _tolerates(spec: dict, taint: dict) -> bool:
    for toleration in spec.get("tolerations") or []:
        if toleration.get("effect") not in (None, "", taint.get("effect")):
            continue
        if not toleration.get("key") and toleration.get("operator") == "Exists":
            return True
        if toleration.get("key") == taint["key"] and (
            toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
        ):
            return True
    return False


def why_not(pod: dict, node: dict) -> t.Optional[str]:
    """Why a pod does not fit a node, in the scheduler's words; None if it fits."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if node.get("spec", {}).get("unschedulable"):
        return "node(s) were unschedulable"
    ready = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or []}
    if ready.get("Ready") != "True":
        return "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"
    for taint in node.get("spec", {}).get("taints") or []:
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerates(spec, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    wanted = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    terms = wanted.get("nodeSelectorTerms") or []
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()) or (
        terms and not any(_term_matches(term, node) for term in terms)
    ):
        return "node(s) didn't match Pod's node affinity/selector"
    return None


def schedule(store: Store, _ca: str) -> None:
    """Bind every pod that has no node, no gate and the default scheduler to the fitting node with the fewest pods."""
    waiting = store.list(
        PODS,
        test=lambda pod: (
            not pod["spec"].get("nodeName")
            and not pod["spec"].get("schedulingGates")
            and not pod["metadata"].get("deletionTimestamp")
            and pod["spec"].get("schedulerName") == "default-scheduler"
        ),
    )
    if not waiting:
        return
    nodes = store.list(NODES)
    load = {node["metadata"]["name"]: 0 for node in nodes}
    for pod in store.list(PODS):
        load[pod["spec"].get("nodeName", "")] = load.get(pod["spec"].get("nodeName", ""), 0) + 1
    for pod in waiting:
        reasons = {node["metadata"]["name"]: why_not(pod, node) for node in nodes}
        fitting = [name for name, reason in reasons.items() if reason is None]
        if fitting:
            best = min(fitting, key=lambda name: (load[name], name))
            load[best] += 1
            store.update(PODS, bind(pod, best), same_generation=True)
            meta = pod["metadata"]
            record(
                store, pod, "Normal", "Scheduled", f"Successfully assigned {meta['namespace']}/{meta['name']} to {best}"
            )
        else:
            _unschedulable(store, pod, [reason for reason in reasons.values() if reason])


def _unschedulable(store: Store, pod: dict, reasons: list[str]) -> None:
    counts = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    message = f"0/{len(reasons)} nodes are available: " + ", ".join(f"{n} {text}" for text, n in counts.items()) + "."
    if not reasons:
        message = "no nodes available to schedule pods"
    conditions = pod["status"].get("conditions") or []
    if any(c["type"] == "PodScheduled" and c.get("message") == message for c in conditions):
        return
    pod["status"]["conditions"] = [c for c in conditions if c["type"] != "PodScheduled"] + [
        {
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "message": message,
            "reason": "Unschedulable",
            "status": "False",
            "type": "PodScheduled",
        }
    ]
    store.update(PODS, pod)
    record(store, pod, "Warning", "FailedScheduling", message)


def record(store: Store, pod: dict, kind: str, reason: str, message: str) -> None:
    meta, moment = pod["metadata"], now()
    store.create(
        EVENTS,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "count": 1,
            "eventTime": None,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "message": message,
            "metadata": {"name": f"{meta['name']}.{store.version:016x}", "namespace": meta["namespace"]},
            "reason": reason,
            "reportingComponent": "default-scheduler",
            "reportingInstance": "",
            "source": {"component": "default-scheduler"},
            "type": kind,
        },
    )


def finish_namespaces(store: Store, ca: str) -> None:
    """Fill new namespaces; empty the ones being deleted, and drop them when nothing is left."""
    for namespace in store.list(NAMESPACES):
        name = namespace["metadata"]["name"]
        if not namespace["metadata"].get("deletionTimestamp"):
            bootstrap.fill_namespace(store, name, ca)
            continue
        left = 0
        for key in store.keys():
            for obj in store.list(key, name):
                left += 1
                if not obj["metadata"].get("deletionTimestamp"):
                    grace = 0
                    if key == PODS and obj["spec"].get("nodeName"):
                        grace = obj["spec"].get("terminationGracePeriodSeconds", 30)
                    _delete_quietly(store, key, obj, grace)
        if not left:
            store.drop(NAMESPACES, "", name)


def collect(store: Store, _ca: str) -> None:
    """Delete what belongs to owners that are all gone."""
    alive: t.Optional[set[str]] = None
    for key in store.keys():
        for obj in store.list(
            key, test=lambda o: o["metadata"].get("ownerReferences") and not o["metadata"].get("deletionTimestamp")
        ):
            if alive is None:
                alive = {o["metadata"]["uid"] for k in store.keys() for o in store.list(k)}
            if any(reference["uid"] in alive for reference in obj["metadata"]["ownerReferences"]):
                continue
            grace = (
                obj["spec"].get("terminationGracePeriodSeconds", 30)
                if key == PODS and obj["spec"].get("nodeName")
                else 0
            )
            _delete_quietly(store, key, obj, grace)


def expire_events(store: Store, _ca: str) -> None:
    """Keep the newest events only (a real server drops them after an hour)."""
    events = store.list(EVENTS)
    for event in sorted(events, key=lambda e: int(e["metadata"]["resourceVersion"]))[:-2000]:
        store.drop(EVENTS, event["metadata"]["namespace"], event["metadata"]["name"])


def _delete_quietly(store: Store, key: Key, obj: dict, grace: int) -> None:
    meta = obj["metadata"]
    try:
        store.delete(key, meta.get("namespace", ""), meta["name"], grace)
    except errors.ApiError:
        pass  # somebody else was faster


CONTROLLERS: tuple[t.Callable[[Store, str], None], ...] = (schedule, finish_namespaces, collect, expire_events)


def run(store: Store, ca: str, stopped: t.Callable[[], bool]) -> None:
    seen = -1
    while not stopped():
        with store.lock:
            if store.version == seen:
                store.changed.wait(1.0)
            if store.version == seen:
                continue
            seen = store.version
            for controller in CONTROLLERS:
                controller(store, ca)
