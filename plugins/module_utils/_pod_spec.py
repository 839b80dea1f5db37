# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the Pod that was checkpointed to the Pod that restores it.

PRIVATE to the collection. Pure. A restore needs the source's mounts, ServiceAccount, terminal and security context as they
were, so everything stays that is not in this list: what the API server and controllers filled in, what only concerned the
source's node, what would run a second time, and the labels by which an owner would take the new Pod for one of its own.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError

Object = t.Dict[str, t.Any]

ANNOTATION_PREFIX = "container-checkpoint/"
REQUEST = ANNOTATION_PREFIX + "request"
SOURCE_UID = ANNOTATION_PREFIX + "source-uid"
SOURCE_NAME = ANNOTATION_PREFIX + "source-pod"
IMAGE = ANNOTATION_PREFIX + "image."
ARCHIVE = ANNOTATION_PREFIX + "archive."
# Holds the Pod back until its checkpoints are staged under its UID.
GATE = ANNOTATION_PREFIX + "restore"

# Annotations that describe the source and would lie about the new Pod.
_STALE_ANNOTATIONS = re.compile(
    r"(kubectl\.kubernetes\.io/|kubernetes\.io/config\.|cni\.projectcalico\.org/|k8s\.v1\.cni\.cncf\.io/|k8s\.ovn\.org/"
    r"|controller\.kubernetes\.io/pod-deletion-cost|%s)" % re.escape(ANNOTATION_PREFIX)
)
# Labels that controllers put on their Pods, whatever their selector says.
_CONTROLLER_LABELS = (
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-completion-index",
)
# Fields of the spec that the API server fills in (and refuses or contradicts when they are given), or that cannot be created.
_DROPPED_SPEC = (
    "nodeName",
    "serviceAccount",
    "priority",
    "preemptionPolicy",
    "overhead",
    "ephemeralContainers",
    "initContainers",
    "schedulingGates",
    "restartPolicy",
)
_HOSTNAME_LABEL = "kubernetes.io/hostname"
_PINNED = re.compile(r"(?:[a-z-]+://)?(\S+@sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Restored:
    """One container to restore: its name in the Pod, its checkpoint as an image by digest, the annotations of that image, its
    checkpoint as an archive's SHA-256 digest, the image by digest that it was started from, and what its processes may do
    (C(_archive_privileges.as_dict)); what is not known is None."""

    name: str
    image: t.Optional[str] = None
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    archive_sha256: t.Optional[str] = None
    base_image: t.Optional[str] = None
    privileges: t.Optional[t.Mapping[str, t.Any]] = None


@dataclass(frozen=True)
class Request:
    """What the new Pod shall be. drop_labels: keys by which the owner selects; None means all labels go. runtime_class: None
    leaves the source's. gated: the Pod waits for somebody to remove GATE."""

    name: str
    target_node: str
    containers: t.Tuple[Restored, ...]
    placement: t.Optional[str] = None
    restart_policy: t.Optional[str] = "Never"
    runtime_class: t.Optional[str] = None
    gated: bool = False
    fresh_containers: bool = False
    drop_labels: t.Optional[t.FrozenSet[str]] = frozenset()
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    image_pull_secrets: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """The Pod to create, what the operator should know, and the labels that were left out (for the handover)."""

    pod: Object
    warnings: t.Tuple[str, ...]
    labels_removed: t.Mapping[str, str]


def check_source(source: t.Any) -> Object:
    """The source as a Pod object; it may come from a file."""
    spec = source.get("spec") if isinstance(source, dict) else None
    metadata = source.get("metadata") if isinstance(source, dict) else None
    if (
        not isinstance(spec, dict)
        or not isinstance(metadata, dict)
        or not metadata.get("name")
        or not spec.get("containers")
    ):
        raise InputError("the source is not a Pod object: it needs metadata.name and spec.containers")
    if source.get("kind", "Pod") != "Pod":
        raise InputError("the source is a %s, not a Pod" % source["kind"])
    return source


def controller_of(pod: Object) -> t.Optional[Object]:
    """The owner reference of the controller that made this Pod, or None."""
    references = (pod.get("metadata") or {}).get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def selector_keys(owner: Object) -> t.FrozenSet[str]:
    """The label keys by which an owner selects its Pods (matchLabels, matchExpressions, or a plain map)."""
    selector = (owner.get("spec") or {}).get("selector") or {}
    structured = "matchLabels" in selector or "matchExpressions" in selector
    keys = set(selector.get("matchLabels") or {} if structured else selector)
    keys.update(entry.get("key") for entry in (selector.get("matchExpressions") or [] if structured else []))
    return frozenset(key for key in keys if key)


def _labels(source: Object, request: Request) -> t.Tuple[t.Dict[str, str], t.Dict[str, str]]:
    """(labels of the new Pod, labels left out)."""
    have = (source["metadata"].get("labels") or {}).items()
    if request.drop_labels is None:
        removed = dict(have)
    elif request.drop_labels:
        dropped = request.drop_labels | frozenset(_CONTROLLER_LABELS)
        removed = {key: value for key, value in have if key in dropped}
    else:
        removed = {}
    kept = {key: value for key, value in have if key not in removed}
    kept.update(request.labels)
    return kept, {key: value for key, value in removed.items() if key not in request.labels}


def _place(spec: Object, request: Request) -> None:
    """Bind the Pod to the target node; what tied it to the source's node goes."""
    selector = dict(spec.get("nodeSelector") or {})
    selector.pop(_HOSTNAME_LABEL, None)
    spec.pop("nodeSelector", None)
    if selector:
        spec["nodeSelector"] = selector
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    # matchFields is how the DaemonSet controller names a node.
    terms = [
        {key: value for key, value in term.items() if key != "matchFields"}
        for term in required.get("nodeSelectorTerms") or []
    ]
    terms = [term for term in terms if term]
    if request.placement == "affinity":
        here = [{"key": "metadata.name", "operator": "In", "values": [request.target_node]}]
        terms = [dict(term, matchFields=here) for term in terms or [{}]]
    else:
        spec["nodeName"] = request.target_node
    if terms:
        node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
        affinity["nodeAffinity"] = node_affinity
        spec["affinity"] = affinity
    elif required:
        del node_affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        if not node_affinity:
            affinity.pop("nodeAffinity", None)
        if not affinity:
            spec.pop("affinity", None)


def pinned(source: Object, name: str) -> t.Optional[str]:
    """The image a container of the source really ran, by digest."""
    for status in (source.get("status") or {}).get("containerStatuses") or []:
        match = _PINNED.fullmatch(status.get("imageID") or "") if status.get("name") == name else None
        if match:
            return match.group(1)
    return None


def _containers(
    source: Object, request: Request, spec: Object, apply: t.Callable[[Object, Restored], None]
) -> t.List[str]:
    """Replace what is restored, pin what is not; returns warnings."""
    warnings = []
    wanted = {item.name: item for item in request.containers}
    names = [container.get("name") for container in spec["containers"]]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise InputError(
            "pod %s has no container %s: it has %s"
            % (source["metadata"]["name"], ", ".join(unknown), ", ".join(map(str, names)))
        )
    missing = [str(name) for name in names if name not in wanted]
    if missing and not request.fresh_containers:
        raise RestoreError(
            "no checkpoint is given for the container(s) %s of pod %s: give one for each, or allow them to start "
            "afresh "
            "(fresh_containers: true)" % (", ".join(missing), source["metadata"]["name"])
        )
    for container in spec["containers"]:
        item = wanted.get(container.get("name"))
        if item is None:
            ran = pinned(source, container["name"])
            container["image"] = ran or container.get("image")
            warnings.append(
                "container %s starts afresh from %s%s"
                % (
                    container["name"],
                    container["image"],
                    "" if ran else " (its digest is not known, the tag may mean another image now)",
                )
            )
            continue
        apply(container, item)
        if (container.get("lifecycle") or {}).pop("postStart", None):
            warnings.append(
                "container %s: its postStart hook is left out, it has run in the source already" % item.name
            )
        if not container.get("lifecycle"):
            container.pop("lifecycle", None)
    return warnings


def _advise(source: Object, spec: Object, request: Request) -> t.List[str]:
    """What does not come along, or may not be free."""
    warnings = []
    initial = [container.get("name") for container in source["spec"].get("initContainers") or []]
    if initial:
        warnings.append(
            "init container(s) %s are left out: a restored process has them behind it" % ", ".join(map(str, initial))
        )
    if source["spec"].get("ephemeralContainers"):
        warnings.append("ephemeral (debug) containers are left out")
    moved = source["spec"].get("nodeName") != request.target_node
    mounted = {mount.get("name") for container in spec["containers"] for mount in container.get("volumeMounts") or []}
    for volume in spec.get("volumes") or []:
        name = volume.get("name")
        if name not in mounted:
            continue
        if "emptyDir" in volume:
            warnings.append(
                "volume %s is an emptyDir: its content is not part of a checkpoint, files that were open there are "
                "missing"
                % name
            )
        elif "hostPath" in volume and moved:
            warnings.append(
                "volume %s is a path of the node: %s must have the same content there" % (name, request.target_node)
            )
        elif "persistentVolumeClaim" in volume and moved:
            claim = volume["persistentVolumeClaim"].get("claimName")
            warnings.append(
                "volume %s (claim %s) can be mounted on %s only if its access mode allows it or the source is gone"
                % (name, claim, request.target_node)
            )
        elif "ephemeral" in volume:
            warnings.append("volume %s is made anew for the restored pod and starts empty" % name)
    return warnings


def fingerprint(pod: Object) -> str:
    """A digest of what is asked for: the same request has the same one."""
    canonical = json.dumps(pod, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def build(source: Object, request: Request, apply: t.Callable[[Object, Restored], None]) -> Built:
    """The Pod to create. apply: the back-end's change to one container that is restored; source is not changed."""
    spec = copy.deepcopy({key: value for key, value in source["spec"].items() if key not in _DROPPED_SPEC})
    warnings = _containers(source, request, spec, apply) + _advise(source, spec, request)
    _place(spec, request)
    # None: the source's own.
    spec["restartPolicy"] = request.restart_policy or source["spec"].get("restartPolicy") or "Always"
    if request.runtime_class:
        spec["runtimeClassName"] = request.runtime_class
    if request.gated:
        spec["schedulingGates"] = [{"name": GATE}]
    secrets = [entry.get("name") for entry in spec.get("imagePullSecrets") or []]
    secrets += [name for name in request.image_pull_secrets if name not in secrets]
    if secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in secrets]
    labels, removed = _labels(source, request)
    annotations = {
        key: value
        for key, value in (source["metadata"].get("annotations") or {}).items()
        if not _STALE_ANNOTATIONS.match(key)
    }
    annotations.update(request.annotations)
    annotations[SOURCE_NAME] = source["metadata"]["name"]
    if source["metadata"].get("uid"):
        annotations[SOURCE_UID] = source["metadata"]["uid"]
    for item in request.containers:
        if item.image:
            annotations[IMAGE + item.name] = item.image
        if item.archive_sha256:
            annotations[ARCHIVE + item.name] = item.archive_sha256
    metadata: Object = {
        "name": request.name,
        "namespace": source["metadata"].get("namespace") or "default",
        "annotations": annotations,
    }
    if labels:
        metadata["labels"] = labels
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    annotations[REQUEST] = fingerprint(pod)
    return Built(pod, tuple(warnings), removed)
