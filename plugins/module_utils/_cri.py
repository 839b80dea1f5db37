# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container runtime of this node, through its own tools.

PRIVATE to the collection. The only file that calls C(crictl), C(ctr) and, to look for and to repair a paused container,
the OCI runtime. Answers are parsed by pure functions; the commands go through an injected C(run(argv, timeout)).
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import Find, Run
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

CONTAINERD = "containerd"
CRIO = "cri-o"

SOCKETS = {CONTAINERD: "/run/containerd/containerd.sock", CRIO: "/run/crio/crio.sock"}

# OCI runtimes that CRI-O drives itself, each with the state directory it is given.
_CRIO_RUNTIMES = (("runc", "/run/runc"), ("crun", "/run/crun"))
_CALL_TIMEOUT = 30.0
_ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class EngineVersion:
    """What C(crictl version) says: name is 'containerd' or 'cri-o' (or the runtime's own word), version as printed."""

    name: str
    version: str
    api_version: str = ""


@dataclass(frozen=True)
class Container:
    """One container as the CRI describes it; no environment, no command line."""

    id: str
    name: str
    namespace: str
    pod: str
    pod_uid: str
    state: str
    attempt: int = 0
    image: str = ""
    image_ref: str = ""
    sandbox_id: str = ""
    created_at: t.Optional[str] = None
    started_at: t.Optional[str] = None
    # The rest is known only after inspect().
    engine: str = ""
    pid: int = 0
    oci_runtime: str = ""
    log_path: str = ""
    restored: t.Optional[bool] = None
    checkpointed_at: t.Optional[str] = None
    checkpoint_image: t.Optional[str] = None
    mounts: t.Tuple[str, ...] = field(default_factory=tuple)

    @property
    def running(self) -> bool:
        """Whether the CRI calls it running (a paused one is 'running' too)."""
        return self.state == "running"


def parse_version(text: str) -> EngineVersion:
    """The table of C(crictl version)."""
    found = {}
    for line in text.splitlines():
        label, colon, value = line.partition(":")
        if colon:
            found[label.strip()] = value.strip()
    if not found.get("RuntimeName"):
        raise RuntimeToolError("'crictl version' printed no RuntimeName: %r" % text[:200])
    return EngineVersion(found["RuntimeName"], found.get("RuntimeVersion", ""), found.get("RuntimeApiVersion", ""))


def _time(value: t.Any) -> t.Optional[str]:
    return value if isinstance(value, str) and value and value != _ZERO_TIME else None


def _state(value: t.Any) -> str:
    return str(value or "unknown").replace("CONTAINER_", "").lower()


def _common(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    labels = entry.get("labels") or {}
    metadata = entry.get("metadata") or {}
    return {
        "id": entry.get("id") or "",
        "name": labels.get("io.kubernetes.container.name") or metadata.get("name") or "",
        "namespace": labels.get("io.kubernetes.pod.namespace") or "",
        "pod": labels.get("io.kubernetes.pod.name") or "",
        "pod_uid": labels.get("io.kubernetes.pod.uid") or "",
        "state": _state(entry.get("state")),
        "attempt": int(metadata.get("attempt") or 0),
        "image": (entry.get("image") or {}).get("image") or "",
        "image_ref": entry.get("imageRef") or "",
    }


def parse_list(document: t.Mapping[str, t.Any]) -> t.List[Container]:
    """C(crictl ps -o json)."""
    return [
        Container(sandbox_id=entry.get("podSandboxId") or "", **_common(entry))
        for entry in document.get("containers") or []
    ]


def parse_inspect(document: t.Mapping[str, t.Any]) -> Container:
    """C(crictl inspect): the CRI's status plus the runtime's verbose part (FACTS: the proof of a restore is here).

    containerd marks a restored container in the status' annotations, CRI-O in the verbose part. The engine writes both
    itself; what a Pod's author annotates does not reach either.
    """
    status = document.get("status") or {}
    info = document.get("info") or {}
    if not isinstance(info, dict) or not status.get("id"):
        raise RuntimeToolError(
            "'crictl inspect' answered without 'status' or 'info'; is this crictl as old as the runtime's API?"
        )
    annotations = status.get("annotations") or {}
    spec_annotations = (info.get("runtimeSpec") or {}).get("annotations") or {}
    engine = CRIO if spec_annotations.get("io.container.manager") == "cri-o" or "restored" in info else CONTAINERD
    if engine == CRIO:
        restored = info.get("restored") is True
        # CRI-O fills checkpointedAt for a container that was only checkpointed, too.
        checkpointed_at = _time(info.get("checkpointedAt")) if restored else None
        oci_runtime = info.get("runtimeType") or ""
    else:
        restored = annotations.get("restored") == "true"
        checkpointed_at = _time(annotations.get("checkpointedAt"))
        oci_runtime = (info.get("runtimeOptions") or {}).get("binary_name") or info.get("runtimeType") or ""
    return Container(
        sandbox_id=info.get("sandboxID") or "",
        created_at=_time(status.get("createdAt")),
        started_at=_time(status.get("startedAt")),
        engine=engine,
        pid=int(info.get("pid") or 0),
        oci_runtime=oci_runtime,
        log_path=status.get("logPath") or "",
        restored=restored,
        checkpointed_at=checkpointed_at,
        checkpoint_image=annotations.get("checkpointImage") or None,
        mounts=tuple(mount.get("containerPath") or "" for mount in status.get("mounts") or []),
        **_common(status),
    )


def parse_tasks(text: str) -> t.Dict[str, str]:
    """C(ctr tasks ls): container id to status (RUNNING, PAUSED, STOPPED, …)."""
    tasks = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) == 3 and columns[0] != "TASK":
            tasks[columns[0]] = columns[2]
    return tasks


def parse_memory(document: t.Mapping[str, t.Any]) -> t.Optional[int]:
    """C(crictl stats -o json) of one container: bytes of its working set, None when the runtime did not say."""
    for entry in document.get("stats") or []:
        memory = entry.get("memory") or {}
        for measure in ("workingSetBytes", "usageBytes"):
            value = (memory.get(measure) or {}).get("value")
            if value is not None:
                return int(value)
    return None


class Cri:
    """The container runtime of this node.

    run: C(run(argv, timeout) -> (rc, stdout, stderr)); find: C(find(name) -> path or None).
    endpoint: path or unix:// URL of the CRI socket; the one socket that exists when not given.
    """

    def __init__(
        self,
        run: Run,
        find: Find,
        endpoint: t.Optional[str] = None,
        exists: t.Callable[[str], bool] = os.path.exists,
    ) -> None:
        self._run = run
        self._find = find
        self._endpoint = endpoint
        self._exists = exists

    # -- plumbing ---------------------------------------------------------------------------------------------------

    def _tool(self, name: str, why: str) -> str:
        path = self._find(name)
        if not path:
            raise RuntimeToolError("%s is not installed on this node; it is needed %s" % (name, why), tool=name)
        return path

    @property
    def endpoint(self) -> t.Optional[str]:
        """The CRI socket as a unix:// URL; None leaves the choice to crictl's own configuration."""
        if self._endpoint:
            return self._endpoint if "://" in self._endpoint else "unix://" + self._endpoint
        present = [path for path in SOCKETS.values() if self._exists(path)]
        return "unix://" + present[0] if len(present) == 1 else None

    def _crictl(self, arguments: t.Sequence[str], timeout: float = _CALL_TIMEOUT) -> str:
        argv = [self._tool("crictl", "to talk to the container runtime (it comes with cri-tools)")]
        if self.endpoint:
            argv += ["--runtime-endpoint", self.endpoint]
        argv += ["--timeout", "%ds" % max(1, int(timeout))]
        # Ours is the longer deadline, so that the runtime's own message arrives.
        rc, out, err = self._run(argv + list(arguments), timeout + 10)
        if rc != 0:
            raise RuntimeToolError(
                "crictl %s failed: %s" % (arguments[0], (err or out).strip() or "exit status %d" % rc),
                command="crictl %s" % arguments[0],
                rc=rc,
            )
        return out

    def _crictl_json(self, arguments: t.Sequence[str], timeout: float = _CALL_TIMEOUT) -> t.Dict[str, t.Any]:
        out = self._crictl(arguments, timeout)
        try:
            document = json.loads(out)
        except ValueError as exc:
            raise RuntimeToolError("crictl %s did not answer JSON (%s): %r" % (arguments[0], exc, out[:200])) from exc
        if not isinstance(document, dict):
            raise RuntimeToolError("crictl %s answered JSON that is not an object" % arguments[0])
        return document

    # -- reading ----------------------------------------------------------------------------------------------------

    def version(self) -> EngineVersion:
        """Name and version of the runtime behind the CRI socket."""
        return parse_version(self._crictl(["version"]))

    def info(self) -> t.Dict[str, t.Any]:
        """The runtime's status and configuration as C(crictl info) prints them."""
        return self._crictl_json(["info", "-o", "json"])

    def containers(
        self, namespace: t.Optional[str] = None, pod: t.Optional[str] = None, name: t.Optional[str] = None
    ) -> t.List[Container]:
        """Containers of this node, newest attempt first; also those that do not run."""
        argv = ["ps", "-a", "-o", "json"]
        wanted = (
            ("io.kubernetes.pod.namespace", namespace),
            ("io.kubernetes.pod.name", pod),
            ("io.kubernetes.container.name", name),
        )
        for label, value in wanted:
            if value is not None:
                argv += ["--label", "%s=%s" % (label, value)]
        # Filtered once more: an old crictl knows only one --label.
        found = [
            entry
            for entry in parse_list(self._crictl_json(argv))
            if (namespace is None or entry.namespace == namespace)
            and (pod is None or entry.pod == pod)
            and (name is None or entry.name == name)
        ]
        return sorted(found, key=lambda entry: entry.attempt, reverse=True)

    def inspect(self, container_id: str) -> Container:
        """One container with everything the runtime knows about it."""
        return parse_inspect(self.document(container_id))

    def document(self, container_id: str) -> t.Dict[str, t.Any]:
        """One container as C(crictl inspect) prints it, with the runtime's spec (and so with its environment)."""
        return self._crictl_json(["inspect", "-o", "json", container_id])

    def memory(self, container_id: str) -> t.Optional[int]:
        """Bytes of memory the container uses now, None when the runtime does not say."""
        try:
            return parse_memory(self._crictl_json(["stats", "--id", container_id, "-o", "json"]))
        except RuntimeToolError:
            return None

    def image(self, reference: str) -> t.Optional[t.Dict[str, t.Any]]:
        """The local image with that reference: {id, repoTags, repoDigests, …}; None when it is not on this node."""
        for entry in self._crictl_json(["images", "-o", "json"]).get("images") or []:
            image_id = str(entry.get("id"))
            names = (
                [image_id, "sha256:" + image_id]
                + list(entry.get("repoTags") or [])
                + list(entry.get("repoDigests") or [])
            )
            if reference in names:
                return entry
        return None

    # -- acting -----------------------------------------------------------------------------------------------------

    def pull(self, reference: str, timeout: float = 600.0) -> None:
        """Pull an image into the runtime's store, without credentials (an argv would show them)."""
        self._crictl(["pull", reference], timeout)

    def checkpoint(self, container_id: str, export_path: str, timeout: float) -> str:
        """Checkpoint a running container into export_path (absolute, on this node); the container goes on running."""
        if not os.path.isabs(export_path):
            raise InputError("the checkpoint's path %r is not absolute" % export_path)
        self._crictl(["checkpoint", "--export=%s" % export_path, container_id], timeout)
        return export_path

    # -- a container left paused by a failed checkpoint --------------------------------------------------------------

    def _ctr(self, arguments: t.Sequence[str]) -> t.Tuple[int, str, str]:
        argv = [self._tool("ctr", "to see and repair a paused container (it comes with containerd)")]
        endpoint = self.endpoint
        if endpoint and endpoint.startswith("unix://"):
            argv += ["--address", endpoint[len("unix://") :]]
        return self._run(argv + ["--namespace", "k8s.io"] + list(arguments), _CALL_TIMEOUT)

    def _crio_runtime(self, container_id: str) -> t.Tuple[t.List[str], str]:
        """(the OCI runtime's command with its root, the container's status) for a container of CRI-O."""
        tried = []
        for name, root in _CRIO_RUNTIMES:
            path = self._find(name)
            if not path:
                continue
            rc, out, err = self._run([path, "--root", root, "state", container_id], _CALL_TIMEOUT)
            if rc == 0:
                try:
                    return [path, "--root", root], str(json.loads(out).get("status") or "")
                except (ValueError, AttributeError) as exc:
                    raise RuntimeToolError("'%s state' did not answer a JSON object: %r" % (name, out[:200])) from exc
            tried.append("%s: %s" % (name, err.strip() or "exit status %d" % rc))
        raise RuntimeToolError(
            "no OCI runtime of this node knows the container %s (%s)"
            % (container_id, "; ".join(tried) or "neither runc nor crun is installed")
        )

    def paused(self, container: Container) -> bool:
        """Whether the container's processes are paused, which the CRI's own status hides."""
        if container.engine == CRIO:
            return self._crio_runtime(container.id)[1] == "paused"
        rc, out, err = self._ctr(["tasks", "ls"])
        if rc != 0:
            raise RuntimeToolError("ctr tasks ls failed: %s" % (err.strip() or "exit status %d" % rc))
        return parse_tasks(out).get(container.id) == "PAUSED"

    def resume(self, container: Container) -> None:
        """Let a paused container run again, and see that it does."""
        if container.engine == CRIO:
            runtime, _status = self._crio_runtime(container.id)
            rc, out, err = self._run(runtime + ["resume", container.id], _CALL_TIMEOUT)
        else:
            rc, out, err = self._ctr(["tasks", "resume", container.id])
        if rc != 0 or self.paused(container):
            raise RuntimeToolError(
                "the container %s of pod %s/%s is paused and could not be resumed: %s"
                % (container.name, container.namespace, container.pod, (err or out).strip() or "exit status %d" % rc),
                container_id=container.id,
            )
