# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node: registers itself, watches its pods, looks at the runtime, and has one worker for every pod."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
import time
import typing as t

from cri_errors import CriError
from kubeletdouble.apiclient import ApiClient, ApiFailure
from kubeletdouble.events import Events, now
from kubeletdouble.images import Images
from kubeletdouble.settings import Settings
from kubeletdouble.spec import log_directory
from kubeletdouble.volumes import Volumes
from kubeletdouble.worker import Worker

RELIST_SECONDS = 0.5
STATUS_SECONDS = 60.0
RETRY_SECONDS = 2.0
VERSION = "v1.36.2"


def resolver(path: str = "/etc/resolv.conf") -> dict[str, list[str]]:
    """The node's resolv.conf as the CRI wants it."""
    found: dict[str, list[str]] = {"servers": [], "searches": [], "options": []}
    names = {"nameserver": "servers", "search": "searches", "options": "options"}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if words and words[0] in names:
                    found[names[words[0]]] += words[1:]
    return found


class Node:
    def __init__(self, settings: Settings, api: ApiClient, runtime: t.Any) -> None:
        self.settings, self.api = settings, api
        self.cri = runtime
        self.events = Events(api, settings.node)
        self.images = Images(self.cri, api, self.events)
        self.volumes = Volumes(settings, api)
        self.dns = resolver()
        self.runtime_name = "containerd"
        self.systemd_cgroups = False
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._pods: dict[str, dict] = {}
        self._synced = threading.Event()

    def log(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # --- what others ask

    def pod(self, namespace: str, name: str) -> t.Optional[dict]:
        with self._lock:
            return next(
                (
                    p
                    for p in self._pods.values()
                    if p["metadata"]["namespace"] == namespace and p["metadata"]["name"] == name
                ),
                None,
            )

    def pods(self) -> list[dict]:
        with self._lock:
            return sorted(self._pods.values(), key=lambda p: (p["metadata"]["namespace"], p["metadata"]["name"]))

    def runtime_handler(self, pod: dict) -> str:
        name = pod["spec"].get("runtimeClassName")
        return self.api.request("GET", f"/apis/node.k8s.io/v1/runtimeclasses/{name}")["handler"] if name else ""

    def service_environment(self) -> list[tuple[str, str]]:
        """The variables of the one service that the lab has, ``kubernetes``; its address is not routed there."""
        host, port = "10.96.0.1", "443"
        url = f"tcp://{host}:{port}"
        return [
            ("KUBERNETES_SERVICE_HOST", host),
            ("KUBERNETES_SERVICE_PORT", port),
            ("KUBERNETES_SERVICE_PORT_HTTPS", port),
            ("KUBERNETES_PORT", url),
            ("KUBERNETES_PORT_443_TCP", url),
            ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
            ("KUBERNETES_PORT_443_TCP_PORT", port),
            ("KUBERNETES_PORT_443_TCP_ADDR", host),
        ]

    # --- threads

    def start(self) -> None:
        self._wait_for_runtime()
        for loop in (self._status_loop, self._watch_loop, self._relist_loop):
            threading.Thread(target=loop, daemon=True, name=loop.__name__).start()

    def _wait_for_runtime(self) -> None:
        while True:
            try:
                self.runtime_name = self.cri.call("Version", version="v1", deadline=5).runtime_name
                break
            except CriError as exc:
                self.log(f"waiting for the container runtime: {exc}")
                time.sleep(RETRY_SECONDS)
        try:
            self.systemd_cgroups = self.cri.call("RuntimeConfig").linux.cgroup_driver == 0
        except CriError:  # containerd 1.7 and older do not say; the kubelet then takes its own setting
            self.systemd_cgroups = self.settings.config.get("cgroupDriver") == "systemd"

    def _status_loop(self) -> None:
        while True:
            try:
                self._register()
                time.sleep(STATUS_SECONDS)
            except (ApiFailure, CriError) as exc:
                self.log(f"node status: {exc}")
                time.sleep(RETRY_SECONDS)

    def _register(self) -> None:
        name = self.settings.node
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture(),
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture(),
        }
        try:
            have = self.api.request("GET", f"/api/v1/nodes/{name}")
        except ApiFailure as exc:
            if exc.code != 404:
                raise
            have = self.api.request(
                "POST",
                "/api/v1/nodes",
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}},
            )
        version = self.cri.call("Version", version="v1")
        runtime = self.cri.call("Status")
        status = node_status(self.settings, version, runtime, have.get("status", {}).get("conditions") or [])
        self.api.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, "application/merge-patch+json")

    def _watch_loop(self) -> None:
        selector = {"fieldSelector": f"spec.nodeName={self.settings.node}"}
        while True:
            try:
                listed = self.api.request("GET", "/api/v1/pods", **selector)
                self._replace({"apiVersion": "v1", "kind": "Pod", **pod} for pod in listed["items"])
                for event in self.api.watch("/api/v1/pods", listed["metadata"]["resourceVersion"], **selector):
                    if event["type"] == "ERROR":
                        break
                    self._changed(event["object"], event["type"] == "DELETED")
            except ApiFailure as exc:
                self.log(f"pods: {exc}")
                time.sleep(RETRY_SECONDS)

    def _replace(self, pods: t.Iterable[dict]) -> None:
        fresh = {pod["metadata"]["uid"]: pod for pod in pods}
        for pod in fresh.values():
            self._changed(pod, False)
        with self._lock:
            missing = [pod for uid, pod in self._pods.items() if uid not in fresh]
        for pod in missing:
            self._changed(pod, True)
        self._synced.set()

    def _changed(self, pod: dict, gone: bool) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
            if gone:
                self._pods.pop(uid, None)
            else:
                self._pods[uid] = pod
            if worker is None and not gone:
                worker = self._workers[uid] = Worker(self, pod)
                worker.start()
                return
        if worker is not None:
            worker.update(pod, gone)

    def _relist_loop(self) -> None:
        """Wake the workers whose sandboxes or containers changed; remove what belongs to no pod of ours."""
        self._synced.wait()
        before: dict[str, t.Any] = {}
        while True:
            try:
                after = self._picture()
                with self._lock:
                    workers = dict(self._workers)
                    self._workers = {uid: w for uid, w in workers.items() if not w.finished}
                for uid in {*before, *after}:
                    if uid not in workers and uid in after:
                        self._remove_orphan(uid)
                    elif uid in workers and before.get(uid) != after.get(uid):
                        workers[uid].poke()
                before = after
            except CriError as exc:
                self.log(f"relist: {exc}")
                time.sleep(RETRY_SECONDS)
            time.sleep(RELIST_SECONDS)

    def _picture(self) -> dict[str, set]:
        seen: dict[str, set] = {}
        for item in [*self.cri.sandboxes(), *self.cri.containers()]:
            uid = item.labels.get("io.kubernetes.pod.uid")
            if uid:
                seen.setdefault(uid, set()).add((item.id, item.state))
        return seen

    def _remove_orphan(self, uid: str) -> None:
        labels = {"io.kubernetes.pod.uid": uid}
        try:
            for item in self.cri.containers(label_selector=labels):
                if item.state == 1:
                    self.cri.stop(item.id, 1)
                self.cri.call("RemoveContainer", container_id=item.id)
            for sandbox in self.cri.sandboxes(label_selector=labels):
                self.cri.call("StopPodSandbox", pod_sandbox_id=sandbox.id)
                self.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)
                known = {field: getattr(sandbox.metadata, field) for field in ("namespace", "name", "uid")}
                shutil.rmtree(log_directory(known), ignore_errors=True)
        except CriError as exc:
            self.log(f"orphan {uid}: {exc}")
        self.volumes.remove(uid)


def architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def node_status(settings: Settings, version: t.Any, runtime: t.Any, old: list[dict]) -> dict[str, t.Any]:
    """The status of the Node object (fixture node.json), with what this machine is."""
    memory = next(
        (line.split()[1] for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal:")), "0"
    )
    release = dict(line.split("=", 1) for line in _read("/etc/os-release").splitlines() if "=" in line)
    transitions = {c["type"]: c for c in old}
    ready = all(c.status for c in runtime.status.conditions)
    problems = "; ".join(c.message for c in runtime.status.conditions if not c.status)
    rows = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if ready
        else ("Ready", "False", "KubeletNotReady", f"container runtime network not ready: {problems}"),
    ]
    conditions = [
        {
            "lastHeartbeatTime": now(),
            "message": message,
            "reason": reason,
            "status": status,
            "type": kind,
            "lastTransitionTime": transitions[kind]["lastTransitionTime"]
            if transitions.get(kind, {}).get("status") == status
            else now(),
        }
        for kind, status, reason, message in rows
    ]
    amounts = {"cpu": str(os.cpu_count()), "memory": f"{memory}Ki", "pods": "110"}
    machine = _read("/etc/machine-id")
    return {
        "addresses": [
            {"address": settings.address, "type": "InternalIP"},
            {"address": settings.node, "type": "Hostname"},
        ],
        "allocatable": amounts,
        "capacity": amounts,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.config.get("port", 10250)}},
        "nodeInfo": {
            "architecture": architecture(),
            "bootID": _read("/proc/sys/kernel/random/boot_id"),
            "containerRuntimeVersion": f"{version.runtime_name}://{version.runtime_version}",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": machine,
            "operatingSystem": "linux",
            "osImage": release.get("PRETTY_NAME", "").strip('"'),
            "systemUUID": machine,
        },
        "runtimeHandlers": [
            {
                "features": {
                    "recursiveReadOnlyMounts": handler.features.recursive_read_only_mounts,
                    "userNamespaces": handler.features.user_namespaces,
                },
                "name": handler.name,
            }
            for handler in runtime.runtime_handlers
        ],
    }
