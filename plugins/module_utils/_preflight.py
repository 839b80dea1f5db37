# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of the module C(pod_preflight): which containers, what is known about them, what follows from it.

PRIVATE to the collection. Effects come in through C(Cri), C(ProcReader) and C(Surroundings); the judgement is that of
the pure
checks beside this file.
"""

from __future__ import annotations

import json
import os
import re
import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_targets as targets
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_collect as collect
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_files as files
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_parse as parse
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_pod as pods
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_size as sizes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_sockets as sockets
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_tasks as tasks
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_memory import Cgroups
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import CONTAINERD, Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info import free_bytes, read_text
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info_kernel import security_module
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    NO,
    RESTORE,
    RISKY,
    YES,
    Host,
    Process,
    Reason,
    Snapshot,
    Volume,
    reason,
    verdict,
)

CRIU_CONFIG = "/etc/criu/runc.conf"
_CONFIG_ANNOTATION = "org.criu.config"
_STATE_DIRS = {CONTAINERD: "/var/lib/containerd"}
_CRIO_STATE = "/var/lib/containers/storage"
# Where the runtimes keep a container's spec and its first process. Asking for each container would cost far more than
# reading them.
_BUNDLES = (
    ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s", "init.pid"),
    ("/run/containers/storage/overlay-containers/%s/userdata", "pidfile"),
)
_LOGS = "/var/log/pods/%s_%s_%s/%s"
# A file that is written to shows it within so many seconds.
_GROWTH_SECONDS = 0.3
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Surroundings:
    """The node, as far as it is neither the CRI nor /proc: replaced by plain values in tests."""

    read: t.Callable[[str], t.Optional[str]] = read_text
    free_bytes: t.Callable[[str], t.Optional[int]] = free_bytes
    walk_size: t.Callable[[str], t.Tuple[t.Optional[int], t.Optional[int]]] = collect.walk_size
    sleep: t.Callable[[float], t.Any] = time.sleep


@dataclass(frozen=True)
class Wish:
    """The options that decide where things are and what is free elsewhere."""

    checkpoint_dir: str = "/var/lib/kubelet/checkpoints"
    criu_config: str = CRIU_CONFIG
    store_free_bytes: t.Optional[int] = None
    target_free_bytes: t.Optional[int] = None


def version_of(text: str) -> t.Optional[t.Tuple[int, ...]]:
    """What C(criu --version) prints."""
    match = re.search(r"Version:\s*(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def host_of(engine: str, criu_version: str, reader: collect.ProcReader, around: Surroundings, wish: Wish) -> Host:
    """What the node is."""
    state = _STATE_DIRS.get(engine, _CRIO_STATE)
    return Host(
        engine=engine,
        criu=version_of(criu_version),
        criu_options=parse.criu_options(around.read(wish.criu_config) or ""),
        capabilities=reader.capabilities(1),
        namespaces=reader.namespaces(1),
        lsm=security_module(around.read),
        cgroup_version=reader.cgroup_version(1),
        checkpoint_dir=wish.checkpoint_dir,
        free_bytes=around.free_bytes(wish.checkpoint_dir),
        state_dir=state,
        state_free_bytes=around.free_bytes(state),
        store_free_bytes=wish.store_free_bytes,
        target_free_bytes=wish.target_free_bytes,
    )


def resolve(params: t.Mapping[str, t.Any], cri: Cri) -> targets.Resolved:
    """The containers that are meant: those of given Pod objects, or named ones, or all that run here."""
    known = cri.containers()
    if params.get("pod_objects"):
        by_name = {
            (one["metadata"].get("namespace"), one["metadata"].get("name")): one for one in params["pod_objects"]
        }
        requests = [targets.Request(str(namespace), str(name)) for namespace, name in by_name]
        wanted = {name: None for name in params.get("containers") or []}
        resolved = targets.by_cri(requests, None, [], known)
        resolved.targets = [
            replace(target, pod_object=by_name.get((target.namespace, target.pod)))
            for target in resolved.targets
            if not wanted or target.container in wanted
        ]
        return resolved
    return targets.by_cri(targets.requests_of(params), params.get("namespace"), params.get("containers") or [], known)


class Preflight:
    """Looks at containers of this node and judges them."""

    def __init__(self, cri: Cri, host: Host, reader: collect.ProcReader, around: Surroundings = Surroundings()) -> None:
        self._cri = cri
        self._host = host
        self._reader = reader
        self._around = around
        self._cgroups = Cgroups()

    def __call__(self, wanted: t.Sequence[targets.Target]) -> t.List[t.Dict[str, t.Any]]:
        """One entry for each container, in the order given."""
        ids = {str(target.container_id): target for target in wanted if target.container_id}
        documents = {container_id: self._document(container_id) for container_id in ids}
        members = self._reader.by_container(ids)
        snapshots = [
            self._snapshot(target, documents[container_id], members.get(container_id, []))
            for container_id, target in ids.items()
        ]
        before = [self._sizes(snapshot) for snapshot in snapshots]
        if any(before):
            self._around.sleep(_GROWTH_SECONDS)
        return [
            judge(replace(snapshot, growing=frozenset(_changed(sizes_then, self._sizes(snapshot)))))
            for snapshot, sizes_then in zip(snapshots, before)
        ]

    def _document(self, container_id: str) -> t.Dict[str, t.Any]:
        """The container's spec and first process: from the runtime's own files, else asked for."""
        for directory, pid_file in _BUNDLES:
            config = self._around.read(os.path.join(directory % container_id, "config.json"))
            pid = self._around.read(os.path.join(directory % container_id, pid_file))
            try:
                if config and pid:
                    return {"info": {"pid": int(pid), "runtimeSpec": json.loads(config)}}
            except ValueError:
                continue
        try:
            return self._cri.document(container_id)
        except RuntimeToolError as exc:
            # It may have ended since it was listed; the check says so when no process is found.
            return {"problem": exc.msg}

    def _snapshot(self, target: targets.Target, document: t.Mapping[str, t.Any], pids: t.Sequence[int]) -> Snapshot:
        info = document.get("info") or {}
        spec = info.get("runtimeSpec") or {}
        init = int(info.get("pid") or 0)
        mounts = self._reader.mounts(init) if init in pids else ()
        by_id = {mount.mount_id: mount for mount in mounts}
        processes = []
        for pid in sorted(pids):
            try:
                processes.append(self._reader.process(pid, by_id))
            except collect.Gone:
                continue
        options_path = (spec.get("annotations") or {}).get(_CONFIG_ANNOTATION)
        host = self._host
        if options_path is not None:
            host = replace(host, criu_options=parse.criu_options(self._around.read(options_path) or ""))
        # Where both versions are mounted, the first process of the node may be in the other one.
        host = replace(host, cgroup_version=self._reader.cgroup_version(init) if mounts else host.cgroup_version)
        watches = any(entry.watches for process in processes for entry in process.descriptors)
        upper = self._reader.upper_directory(init) if mounts else None
        return Snapshot(
            namespace=target.namespace,
            pod=target.pod,
            container=target.container,
            container_id=str(target.container_id),
            init=init,
            processes=in_tree(processes, init),
            network=self._reader.network(init) if mounts else collect.Network(),
            mounts=mounts,
            volumes=tuple(self._looked_into(one) for one in pods.volumes(spec, target.pod_object, target.container)),
            spec=spec,
            pod_object=target.pod_object,
            memory_bytes=self._cgroups.memory(str(target.container_id)),
            rootfs_bytes=self._around.walk_size(upper)[1] if upper else None,
            log_bytes=self._log_bytes(target),
            findable=self._reader.findable(init, files.IRMAP) if watches and mounts else frozenset(),
            host=host,
        )

    def _looked_into(self, volume: Volume) -> Volume:
        if volume.kind not in ("emptyDir", "shm"):
            return volume
        entries, total = self._around.walk_size(volume.source)
        return replace(volume, files=entries, used=total)

    def _log_bytes(self, target: targets.Target) -> int:
        """What the kubelet keeps of the container's log."""
        directory = _LOGS % (target.namespace, target.pod, target.pod_uid, target.container)
        return self._around.walk_size(directory)[1] or 0

    def _sizes(self, snapshot: Snapshot) -> t.Dict[str, int]:
        found: t.Dict[str, int] = {}
        for process in snapshot.tree:
            found.update(self._reader.sizes(process))
        return found


def _changed(before: t.Mapping[str, int], after: t.Mapping[str, int]) -> t.Iterator[str]:
    return (path for path, size in after.items() if path in before and before[path] != size)


def in_tree(processes: t.Sequence[Process], init: int) -> t.Tuple[Process, ...]:
    """The same processes, each with whether it descends from the container's first one."""
    parents = {process.pid: process.ppid for process in processes}

    def descends(pid: int) -> bool:
        seen: t.Set[int] = set()
        while pid in parents and pid not in seen:
            if pid == init:
                return True
            seen.add(pid)
            pid = parents[pid]
        return False

    return tuple(replace(process, in_tree=descends(process.pid)) for process in processes)


def judge(snapshot: Snapshot) -> t.Dict[str, t.Any]:
    """The module's entry for one container. Pure."""
    estimated = sizes.estimate(snapshot)
    reasons: t.List[Reason] = (
        tasks.check(snapshot)
        + sockets.check(snapshot)
        + files.check(snapshot)
        + pods.check(snapshot, estimated)
        + sizes.check(snapshot, estimated)
    )
    reasons.sort(key=lambda found: _ORDER[found["severity"]])
    return {
        "namespace": snapshot.namespace,
        "pod": snapshot.pod,
        "container": snapshot.container,
        "container_id": snapshot.container_id,
        "pid": snapshot.init or None,
        "processes": len(snapshot.tree),
        "verdict": verdict(reasons),
        "verdicts": {what: verdict(reasons, what) for what in (CHECKPOINT, RESTORE)},
        "reasons": reasons,
        "estimate": estimated,
    }


def _amended(entry: t.Mapping[str, t.Any], more: t.Sequence[Reason]) -> t.Dict[str, t.Any]:
    reasons = sorted(list(entry["reasons"]) + list(more), key=lambda found: _ORDER[found["severity"]])
    verdicts = {what: verdict(reasons, what) for what in (CHECKPOINT, RESTORE)}
    return dict(entry, reasons=reasons, verdict=verdict(reasons), verdicts=verdicts)


def with_node(entry: t.Mapping[str, t.Any], found: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    """The entry with what keeps the node itself from checkpointing. Whether it can restore is a matter of the
    target."""
    more = [
        reason("node-" + str(item["id"]), ERROR, (CHECKPOINT,), "this node: %s" % item["text"], str(item["remedy"]))
        for item in found
        if item["severity"] == ERROR and CHECKPOINT in item["affects"]
    ]
    return _amended(entry, more)


def with_pair(entry: t.Mapping[str, t.Any], found: t.Sequence[Reason]) -> t.Dict[str, t.Any]:
    """The entry with what does not fit between this node and the target."""
    return _amended(entry, found)


def summary(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, int]:
    """How many containers got which verdict."""
    return {word: sum(1 for entry in entries if entry["verdict"] == word) for word in (YES, RISKY, NO)}


def problems_of(resolved: targets.Resolved) -> t.Optional[CheckpointError]:
    """An error for containers that were named and are not here."""
    if not resolved.problems:
        return None
    return CheckpointError(
        "%d containers cannot be looked at. The first: %s" % (len(resolved.problems), resolved.problems[0][3]),
        problems=[
            {"namespace": where[0], "pod": where[1], "container": where[2], "msg": where[3]}
            for where in resolved.problems
        ],
    )
