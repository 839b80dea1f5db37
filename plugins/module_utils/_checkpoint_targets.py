# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers a call of C(checkpoint) is about.

PRIVATE to the collection. Pure functions from the options and a list of pods (the kubelet's or the API server's), or
the
CRI's list of containers, to targets. What cannot be resolved becomes a failure of that container, not of the whole
call.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_select import selector
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Container
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import check_target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import check_label

Pod = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Target:
    """One container to checkpoint; None where it is not known."""

    namespace: str
    pod: str
    container: str
    container_id: t.Optional[str] = None
    pod_uid: t.Optional[str] = None
    node: t.Optional[str] = None
    pod_object: t.Optional[Pod] = field(default=None, repr=False)

    def __str__(self) -> str:
        return "%s/%s/%s" % (self.namespace, self.pod, self.container)


@dataclass(frozen=True)
class Request:
    """A pod asked for by name. containers: empty for all of them."""

    namespace: str
    pod: str
    containers: t.Tuple[str, ...] = ()


@dataclass
class Resolved:
    """targets to work on; problems: (namespace, pod, container or None, message); not_running: selected, but not
    running."""

    targets: t.List[Target] = field(default_factory=list)
    problems: t.List[t.Tuple[str, str, t.Optional[str], str]] = field(default_factory=list)
    not_running: t.List[t.Dict[str, t.Any]] = field(default_factory=list)

    def add(self, target: Target) -> None:
        """Each container once."""
        if str(target) not in {str(known) for known in self.targets}:
            self.targets.append(target)


def requests_of(params: t.Mapping[str, t.Any]) -> t.List[Request]:
    """The pods named in the options, every name checked."""
    result = []
    for entry in params.get("pods") or []:
        containers = tuple(entry.get("containers") or ())
        check_target(entry["namespace"], entry["name"])
        for container in containers:
            check_label(container, "container")
        result.append(Request(entry["namespace"], entry["name"], containers))
    return result


def check_selectors(params: t.Mapping[str, t.Any]) -> t.Callable[[t.Mapping[str, t.Any]], bool]:
    """The predicate for the selectors in the options, every name checked."""
    if params.get("namespace") is not None:
        check_label(params["namespace"], "namespace")
    for container in params.get("containers") or []:
        check_label(container, "container")
    return selector(params.get("label_selectors") or [], params.get("field_selectors") or [])


def by_name(requests: t.Sequence[Request], pods: t.Sequence[Pod], elsewhere: t.Callable[[str, str], str]) -> Resolved:
    """Resolve named pods in a list of pods. elsewhere: makes the message for a pod that is not in the list."""
    known = {(pod["metadata"].get("namespace"), pod["metadata"].get("name")): pod for pod in pods}
    result = Resolved()
    for request in requests:
        pod = known.get((request.namespace, request.pod))
        if pod is None:
            for container in request.containers or (None,):
                result.problems.append(
                    (request.namespace, request.pod, container, elsewhere(request.namespace, request.pod))
                )
            continue
        there = all_containers(pod)
        for name in request.containers or regular_containers(pod):
            if name not in there:
                msg = "pod %s/%s has no container %s; it has %s" % (
                    request.namespace,
                    request.pod,
                    name,
                    ", ".join(there),
                )
                result.problems.append((request.namespace, request.pod, name, msg))
                continue
            why = not_running(pod, name)
            if why:
                msg = "the container %s/%s/%s does not run (%s); only a running container can be checkpointed" % (
                    request.namespace,
                    request.pod,
                    name,
                    why,
                )
                result.problems.append((request.namespace, request.pod, name, msg))
                continue
            result.add(target_of(pod, name))
    return result


def by_selector(
    matches: t.Callable[[Pod], bool], namespace: t.Optional[str], containers: t.Sequence[str], pods: t.Sequence[Pod]
) -> Resolved:
    """All containers (or those named) of the pods that match; what does not run is skipped, and said so."""
    result = Resolved()
    for pod in pods:
        meta = pod["metadata"]
        if (namespace is not None and meta.get("namespace") != namespace) or not matches(pod):
            continue
        check_target(str(meta.get("namespace")), str(meta.get("name")))
        for name in regular_containers(pod):
            if containers and name not in containers:
                continue
            why = not_running(pod, name)
            if why:
                result.not_running.append(
                    {"namespace": meta["namespace"], "pod": meta["name"], "container": name, "why": why}
                )
            else:
                result.add(target_of(pod, name))
    return result


def by_cri(
    requests: t.Sequence[Request], namespace: t.Optional[str], containers: t.Sequence[str], known: t.Sequence[Container]
) -> Resolved:
    """Resolve from the CRI's containers. requests: named pods; else everything in the namespace."""
    result = Resolved()
    running = [entry for entry in known if entry.running and entry.name and entry.pod and entry.namespace]
    if not requests:
        for entry in running:
            if (namespace is None or entry.namespace == namespace) and (not containers or entry.name in containers):
                result.add(target_of_cri(entry))
        return result
    for request in requests:
        there = {
            entry.name: entry for entry in running if (entry.namespace, entry.pod) == (request.namespace, request.pod)
        }
        if not there and not request.containers:
            msg = "the container runtime of this node runs no container of pod %s/%s: is the pod on another node?" % (
                request.namespace,
                request.pod,
            )
            result.problems.append((request.namespace, request.pod, None, msg))
        for name in request.containers or sorted(there):
            if name in there:
                result.add(target_of_cri(there[name]))
            else:
                msg = "the container runtime of this node runs no container %s of pod %s/%s%s" % (
                    name,
                    request.namespace,
                    request.pod,
                    "; it runs %s" % ", ".join(sorted(there)) if there else ": is the pod on another node?",
                )
                result.problems.append((request.namespace, request.pod, name, msg))
    return result


def unresolved(requests: t.Sequence[Request]) -> Resolved:
    """Take the names as they are: nobody could be asked, and the kubelet will say what is wrong with them."""
    result = Resolved()
    for request in requests:
        for name in request.containers:
            result.add(Target(request.namespace, request.pod, name))
    return result


def regular_containers(pod: Pod) -> t.List[str]:
    """The names of the containers proper."""
    return [container["name"] for container in (pod.get("spec") or {}).get("containers") or []]


def all_containers(pod: Pod) -> t.List[str]:
    """The names that a checkpoint can be asked for: also init (side-car) and ephemeral containers."""
    spec = pod.get("spec") or {}
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [container["name"] for kind in kinds for container in spec.get(kind) or []]


def _status(pod: Pod, name: str) -> t.Dict[str, t.Any]:
    status = pod.get("status") or {}
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(kind) or []:
            if entry.get("name") == name:
                return entry
    return {}


def not_running(pod: Pod, name: str) -> t.Optional[str]:
    """Why a container does not run, None if it does or nothing is known."""
    state = _status(pod, name).get("state") or {}
    if "running" in state:
        return None
    for word in ("waiting", "terminated"):
        if word in state:
            return ("%s: %s" % (word, (state[word] or {}).get("reason") or "no reason given")).strip()
    phase = (pod.get("status") or {}).get("phase")
    return "the pod's phase is %s" % phase if phase in ("Pending", "Succeeded", "Failed") else None


def target_of(pod: Pod, name: str) -> Target:
    """A target from a pod's object."""
    meta = pod["metadata"]
    container_id = str(_status(pod, name).get("containerID") or "").rpartition("://")[2]
    return Target(
        namespace=meta["namespace"],
        pod=meta["name"],
        container=name,
        container_id=container_id or None,
        # The kubelet shows a static pod under the UID that the engine never hears of: it is not compared.
        pod_uid=None if "kubernetes.io/config.mirror" in (meta.get("annotations") or {}) else meta.get("uid"),
        node=(pod.get("spec") or {}).get("nodeName"),
        pod_object=pod,
    )


def target_of_cri(entry: Container) -> Target:
    """A target from the CRI's list."""
    return Target(entry.namespace, entry.pod, entry.name, container_id=entry.id or None, pod_uid=entry.pod_uid or None)
