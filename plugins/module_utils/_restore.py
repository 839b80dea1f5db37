# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the Pod that restores, wait for it, and clean up after a failure.

PRIVATE to the collection. Everything that can be refused is refused before anything is created; the source Pod is only read.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _pod_grant
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_backend_handler as handler
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_backends as backends
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    DeadlineError,
    HttpStatusError,
    InputError,
    RestoreError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import KubeApi
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import check_label, check_subdomain
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import (
    GATE,
    REQUEST,
    Built,
    Object,
    Request,
    Restored,
    build,
    check_source,
    controller_of,
    pinned,
    selector_keys,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_progress import (
    ENDED,
    FAILED,
    RUNNING,
    compact_events,
    describe,
    progress,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_target import Target, target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_pod import essential

_POLL_SECONDS = 0.5
_GONE_SECONDS = 60.0
_CLEANUP_GRACE_SECONDS = 1


@dataclasses.dataclass(frozen=True)
class Order:
    """What C(pod_restore) was asked for. source: a Pod object that was kept; the live Pod when None. staged: the checkpoints
    lie on the target for this Pod, which may start. In the request, None for placement and runtime_class means the usual.
    """

    namespace: str
    pod: str
    request: Request
    backend: str = backends.AUTO
    staged: bool = False
    owner: str = "detached"
    restart_policy: t.Optional[str] = None
    node_info: t.Optional[t.Mapping[str, t.Any]] = None
    source: t.Optional[Object] = None
    accept_privileges: t.Tuple[str, ...] = ()
    wait: bool = True
    wait_timeout: float = 120.0
    cleanup_on_failure: bool = True


class Restorer:
    """One restore. clock and sleep are replaced in tests."""

    def __init__(
        self,
        api: KubeApi,
        order: Order,
        check_mode: bool,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._order = order
        self._check_mode = check_mode
        self._clock = clock
        self._sleep = sleep
        self._warnings: t.List[str] = []
        self._stages: t.Dict[str, float] = {}

    # -- before anything is created ----------------------------------------------------------------------------------

    def _source(self) -> Object:
        order = self._order
        if order.source is not None:
            return check_source(order.source)
        found = self._api.get("v1", "Pod", order.pod, order.namespace)
        if found is None:
            raise RestoreError(
                "there is no pod %s/%s to take the restore pod's specification from. If it is gone, give source_file: "
                "the file "
                "<archive>.pod.json that was written with the checkpoint" % (order.namespace, order.pod)
            )
        return check_source(found)

    def _target(self) -> Target:
        name = self._order.request.target_node
        try:
            node = self._api.get("v1", "Node", name)
        except HttpStatusError as exc:
            if exc.status != 403:
                raise
            self._warnings.append(
                "the Node object of %s may not be read, so less could be checked: %s" % (name, exc.msg)
            )
            return target(name, None, self._order.node_info)
        if node is None:
            raise RestoreError("there is no node %s in this cluster" % name)
        return target(name, node, self._order.node_info)

    def _drop_labels(self, source: Object) -> t.Optional[t.FrozenSet[str]]:
        """The label keys that must not be on the new Pod; None for all of them."""
        owner = controller_of(source)
        if owner is None:
            return frozenset()
        label = "%s %s" % (owner.get("kind"), owner.get("name"))
        if self._order.owner == "keep":
            self._warnings.append(
                "with all labels kept, %s will adopt the new pod, and deletes one of the two if it has too many" % label
            )
            return frozenset()
        try:
            found = self._api.get(owner["apiVersion"], owner["kind"], owner["name"], self._order.namespace)
        except CheckpointError as exc:
            self._warnings.append(
                "the source's owner %s cannot be read, so all labels are left out: %s" % (label, exc.msg)
            )
            return None
        keys = selector_keys(found) if found else frozenset()
        if not keys:
            self._warnings.append(
                "the source's owner %s has no selector that could be read, so all labels are left out" % label
            )
            return None
        return keys

    def _build(self) -> t.Tuple[Built, Target, t.Any]:
        order = self._order
        check_label(order.namespace, "namespace")
        check_subdomain(order.pod, "pod")
        check_subdomain(order.request.name, "name")
        check_subdomain(order.request.target_node, "target_node")
        for item in order.request.containers:
            check_label(item.name, "container")
        source = self._source()
        source["metadata"].setdefault("namespace", order.namespace)
        if source["metadata"]["namespace"] != order.namespace or source["metadata"]["name"] != order.pod:
            raise RestoreError(
                "the source is pod %(namespace)s/%(name)s" % source["metadata"]
                + ", not %s/%s: wrong source_file?" % (order.namespace, order.pod)
            )
        where = self._target()
        self._warnings += where.warnings
        backend, unsure = backends.choose(order.backend, where)
        items = tuple(
            dataclasses.replace(item, base_image=item.base_image or pinned(source, item.name))
            for item in order.request.containers
        )
        self._warnings += unsure + backend.check(items, where)
        if backend.GATED and order.request.placement == "node_name":
            raise InputError(
                "placement node_name cannot go with the back-end %s: a pod that waits behind a scheduling gate must not have "
                "a node yet. Use affinity" % backend.NAME
            )
        request = dataclasses.replace(
            order.request,
            containers=items,
            placement=order.request.placement or ("affinity" if backend.GATED else "node_name"),
            runtime_class=self._runtime_class(source, where) if backend.GATED else None,
            gated=backend.GATED,
            drop_labels=self._drop_labels(source),
            restart_policy=order.restart_policy or backend.RESTART_POLICY,
        )
        built = build(source, request, backend.apply)
        self._warnings += built.warnings
        if not backend.GATED:
            # Of what is staged, the handler's side compares, on the node.
            self._compare_privileges(built.pod, items, where)
        return built, where, backend

    def _compare_privileges(self, pod: Object, items: t.Sequence[Restored], where: Target) -> None:
        """The runtime gives the processes back what they held, whatever the new Pod says; so look before it does."""
        lsm = str(((self._order.node_info or {}).get("node") or {}).get("lsm") or "")
        for item in items:
            if item.privileges is None and self._check_mode:
                # A plan may be older than the checkpoint.
                continue
            if item.privileges is None:
                self._warnings.append(
                    "what the processes in the checkpoint of container %s may do is not known here, so it was not compared"
                    " with what the pod grants: give containers[].privileges, which the modules image and image_info"
                    " return" % item.name
                )
                continue
            self._warnings += _pod_grant.check(
                pod, item.name, item.privileges, self._order.accept_privileges, where.engine, lsm
            )

    def _runtime_class(self, source: Object, where: Target) -> str:
        """The RuntimeClass under which the target's runtime calls the restore handler."""
        name = check_subdomain(
            self._order.request.runtime_class or where.handler or handler.DEFAULT_RUNTIME_CLASS, "runtime_class"
        )
        other = source["spec"].get("runtimeClassName")
        if other and other != name:
            raise RestoreError(
                "the source runs under the RuntimeClass %s, and the handler's is %s: what another runtime made is not "
                "restored by runc. If %s is a name of the handler, give it as runtime_class" % (other, name, other)
            )
        try:
            found = self._api.get("node.k8s.io/v1", "RuntimeClass", name)
        except HttpStatusError as exc:
            if exc.status != 403:
                raise
            self._warnings.append("the RuntimeClass %s may not be read, so less could be checked: %s" % (name, exc.msg))
            return name
        if found is None:
            raise RestoreError(
                "there is no RuntimeClass %s in this cluster; nothing was created. Remedy: role restore_handler with "
                "restore_handler_runtime_class: true" % name
            )
        if where.handler and found.get("handler") != where.handler:
            raise RestoreError(
                "the RuntimeClass %s asks for the runtime %s, and %s knows the restore handler as %s"
                % (name, found.get("handler"), where.node, where.handler)
            )
        return name

    # -- doing it ----------------------------------------------------------------------------------------------------

    def run(self) -> t.Dict[str, t.Any]:
        """The module's result; RestoreError carries the same keys."""
        started = self._clock()
        built, where, backend = self._build()
        self._stages["prepare"] = round(self._clock() - started, 3)
        result: t.Dict[str, t.Any] = {
            "changed": False,
            "backend": backend.NAME,
            "verified": None,
            "evidence": None,
            "labels_removed": dict(built.labels_removed),
            "warnings": self._warnings,
            "pod_object": None,
            "gated": False,
            "events": [],
            "cleaned_up": False,
            "stages": self._stages,
        }
        existing = self._existing(built.pod)
        if existing is not None:
            return self._go_on(existing, where, result)
        if self._order.staged and not self._check_mode:
            raise RestoreError(
                "there is no pod %(namespace)s/%(name)s to start" % built.pod["metadata"]
                + ": it is created without 'staged', then its checkpoints are staged under its UID"
            )
        try:
            answer = self._api.create_pod(built.pod, dry_run=True)
        except CheckpointError as exc:
            exc.msg += " Nothing was created."
            raise
        result.update(_told(answer), changed=True)
        if self._check_mode:
            # The server's answer to a dry run carries a UID that no Pod will have.
            result["pod"]["uid"] = result["pod_object"]["metadata"]["uid"] = None
            return result
        started = self._clock()
        created = self._api.create_pod(built.pod, dry_run=False)
        self._stages["create"] = round(self._clock() - started, 3)
        result.update(_told(created))
        if self._order.wait and not backend.GATED:
            result.update(_told(self._wait(created, where, result, ours=True)))
        return result

    def _go_on(self, pod: Object, where: Target, result: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """The Pod is there and is the one asked for: let it start if it may, and wait for it."""
        result.update(_told(pod))
        held = result["gated"]
        if held and not self._order.staged:
            return result
        result["changed"] = held
        if self._check_mode:
            return result
        if held:
            started = self._clock()
            pod = self._open(pod, where, result)
            self._stages["open"] = round(self._clock() - started, 3)
            result.update(_told(pod))
        if self._order.wait:
            # A Pod that this run neither made nor let start is not ours to remove, whatever comes of it.
            result.update(_told(self._wait(pod, where, result, ours=held)))
        return result

    def _open(self, pod: Object, where: Target, result: t.Dict[str, t.Any]) -> Object:
        """Remove the gate."""
        metadata = pod["metadata"]
        index = _gates(pod).index(GATE)
        try:
            return self._api.remove_gate(metadata["namespace"], metadata["name"], metadata["uid"], index, GATE)
        except CheckpointError as exc:
            why = "its scheduling gate could not be removed: %s" % exc.msg
            raise self._failure(pod, where, result, why, ours=True) from exc

    def _existing(self, pod: Object) -> t.Optional[Object]:
        """A Pod of that name: None when there is none, itself when it is the one asked for; RestoreError otherwise."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        found = self._api.get("v1", "Pod", name, namespace)
        if found is not None and found["metadata"].get("deletionTimestamp") and not self._check_mode:
            found = self._until_gone(namespace, name, found["metadata"].get("uid"))
        if found is None:
            return None
        asked = pod["metadata"]["annotations"][REQUEST]
        if (found["metadata"].get("annotations") or {}).get(REQUEST) != asked:
            raise RestoreError(
                "pod %s/%s exists already and is not this restore; nothing was touched. Delete it, or give another name"
                % (namespace, name),
                pod=describe(found),
            )
        return found

    def _until_gone(self, namespace: str, name: str, uid: t.Optional[str]) -> t.Optional[Object]:
        deadline = self._clock() + _GONE_SECONDS
        while True:
            found = self._api.get("v1", "Pod", name, namespace)
            if found is None or found["metadata"].get("uid") != uid:
                return found
            if self._clock() >= deadline:
                raise DeadlineError(
                    "pod %s/%s is being deleted and was still there after %d s" % (namespace, name, _GONE_SECONDS)
                )
            self._sleep(_POLL_SECONDS)

    def _wait(self, pod: Object, where: Target, result: t.Dict[str, t.Any], ours: bool) -> Object:
        """The Pod once its containers run (or have ended well); RestoreError when it failed or the time is over."""
        metadata = pod["metadata"]
        started = self._clock()
        while True:
            now = progress(pod)
            if now.state in (RUNNING, ENDED):
                self._stages["wait"] = round(self._clock() - started, 3)
                if now.state == ENDED:
                    self._warnings.append(now.text)
                return pod
            elapsed = self._clock() - started
            if now.state == FAILED or elapsed >= self._order.wait_timeout:
                self._stages["wait"] = round(elapsed, 3)
                why = (
                    now.text
                    if now.state == FAILED
                    else "not running after %d s: %s" % (self._order.wait_timeout, now.text)
                )
                raise self._failure(pod, where, result, why, ours)
            self._sleep(_POLL_SECONDS)
            try:
                found = self._api.get("v1", "Pod", metadata["name"], metadata["namespace"])
            except CheckpointError as exc:
                raise self._failure(
                    pod, where, result, "its status could not be read any more: %s" % exc.msg, ours
                ) from exc
            if found is None or found["metadata"].get("uid") != metadata.get("uid"):
                raise self._failure(pod, where, result, "somebody deleted it while it was starting", ours=False)
            pod = found

    # -- when it failed ----------------------------------------------------------------------------------------------

    def _failure(self, pod: Object, where: Target, result: t.Dict[str, t.Any], why: str, ours: bool) -> RestoreError:
        metadata = pod["metadata"]
        label = "%s/%s" % (metadata["namespace"], metadata["name"])
        try:
            events = compact_events(self._api.pod_events(metadata["namespace"], metadata["uid"]))
        except CheckpointError as exc:
            events = []
            self._warnings.append("its events could not be read: %s" % exc.msg)
        warned = [str(event["message"]) for event in events if event["type"] != "Normal"]
        text = "\n".join([why] + warned)
        found = diagnose(text, engine=where.engine)
        cleaned, outcome = self._clean_up(metadata, label, ours)
        msg = "pod %s was not restored on %s: %s." % (label, where.label, why.rstrip("."))
        if found and found[0]["kind"] == "wrapper":
            msg += " That message does not say why. To find out: %s." % found[0]["remedy"]
        elif found:
            msg += " Likely cause: %s. Remedy: %s." % (found[0]["cause"], found[0]["remedy"])
        if (not found or found[0]["kind"] == "wrapper") and warned and warned[-1] not in why:
            msg += " Its last event says: %s." % warned[-1].rstrip(".")
        msg += " %s The source was not touched." % outcome
        details = dict(
            result, **_told(pod), events=events, diagnosis=found, cleaned_up=cleaned, changed=ours and not cleaned
        )
        return RestoreError(msg, **details)

    def _clean_up(self, metadata: Object, label: str, ours: bool) -> t.Tuple[bool, str]:
        if not ours:
            return False, "It was left as it is, because this run did not create it."
        if not self._order.cleanup_on_failure:
            return False, "It was left in place (cleanup_on_failure: false)."
        try:
            self._api.delete_pod(metadata["namespace"], metadata["name"], metadata["uid"], _CLEANUP_GRACE_SECONDS)
            self._until_gone(metadata["namespace"], metadata["name"], metadata["uid"])
        except CheckpointError as exc:
            if isinstance(exc, HttpStatusError) and exc.status == 404:
                return True, "It is deleted."
            return False, "It could not be deleted (%s): delete pod %s yourself." % (exc.msg, label)
        return True, "It was deleted again."


def _gates(pod: Object) -> t.List[str]:
    return [gate.get("name") for gate in pod["spec"].get("schedulingGates") or []]


def _told(pod: Object) -> t.Dict[str, t.Any]:
    """What a result says about the Pod."""
    return {"pod": describe(pod), "pod_object": essential(pod), "gated": GATE in _gates(pod)}


def order_from(params: t.Mapping[str, t.Any], source: t.Optional[Object]) -> Order:
    """The module's options as an Order."""
    items = tuple(
        Restored(
            entry["name"],
            entry.get("image"),
            entry.get("annotations") or {},
            entry.get("archive_sha256"),
            entry.get("base_image"),
            entry.get("privileges"),
        )
        for entry in params["containers"]
    )
    request = Request(
        name=params["name"] or params["pod"] + "-restored",
        target_node=params["target_node"],
        containers=items,
        placement=params["placement"],
        runtime_class=params["runtime_class"],
        fresh_containers=params["fresh_containers"],
        labels={str(key): str(value) for key, value in (params["labels"] or {}).items()},
        annotations={str(key): str(value) for key, value in (params["annotations"] or {}).items()},
        image_pull_secrets=tuple(params["image_pull_secrets"] or ()),
    )
    return Order(
        namespace=params["namespace"],
        pod=params["pod"],
        request=request,
        backend=params["backend"],
        staged=params["staged"],
        owner=params["owner"],
        restart_policy=params["restart_policy"],
        node_info=params["node_info"],
        source=source,
        accept_privileges=tuple(params["accept_privileges"]),
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
        cleanup_on_failure=params["cleanup_on_failure"],
    )
