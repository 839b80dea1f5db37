# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pod on this node: a thread that brings the runtime to what the API says and reports back."""

from __future__ import annotations

import glob
import os
import shutil
import threading
import time
import typing as t

from cri_errors import CriError
from kubeletdouble import spec as specs
from kubeletdouble import status as statuses
from kubeletdouble.apiclient import ApiFailure
from kubeletdouble.events import now
from kubeletdouble.images import Backoff, Waiting
from kubeletdouble.probes import Prober
from kubeletdouble.volumes import VolumeError

RESYNC_SECONDS = 10.0
RETRY_SECONDS = 5.0


class Worker(threading.Thread):
    """``pod`` is replaced by ``update``; ``poke`` says that the runtime's state changed."""

    def __init__(self, node: t.Any, pod: dict) -> None:
        super().__init__(daemon=True, name=f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}")
        self._node = node
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._pod = pod
        self._gone = False  # deleted from the API while we still had it
        self._backoff = Backoff()
        self._waiting: dict[str, dict] = {}
        self._hold: dict[str, float] = {}  # not before this moment again
        self._probers: dict[str, Prober] = {}
        self._volumes: t.Optional[dict[str, str]] = None
        self._sandbox: t.Any = None
        self.finished = False

    @property
    def pod(self) -> dict:
        with self._lock:
            return self._pod

    def update(self, pod: dict, gone: bool = False) -> None:
        with self._lock:
            self._pod, self._gone = pod, self._gone or gone
        self._wake.set()

    def poke(self) -> None:
        self._wake.set()

    # --- the loop

    def run(self) -> None:
        while not self.finished:
            self._wake.clear()
            pause = RESYNC_SECONDS
            try:
                pause = self._step()
            except (CriError, ApiFailure, VolumeError, OSError) as exc:
                self._node.log(f"{self.name}: {exc}")
                pause = RETRY_SECONDS
            if not self.finished:
                self._wake.wait(pause)

    def _step(self) -> float:
        pod = self.pod
        if self._gone or pod["metadata"].get("deletionTimestamp"):
            self._terminate(pod)
            return 0.0
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self._stop_everything(pod, 0)
            return RESYNC_SECONDS
        pause = RESYNC_SECONDS
        try:
            self._bring_up(pod)
        except VolumeError as exc:
            self._node.events.record(pod, "Warning", "FailedMount", f"MountVolume.SetUp failed: {exc}")
            pause = RETRY_SECONDS
        pause = min([pause, *(max(0.2, self._held(name)) for name in self._waiting)])
        self._report(pod)
        return pause

    # --- bringing up

    def _bring_up(self, pod: dict) -> None:
        if self._volumes is None:
            self._volumes = self._node.volumes.prepare(pod)
        self._ensure_sandbox(pod)
        if self._sandbox is None:
            return
        newest = self._newest(pod)
        for container in pod["spec"].get("initContainers") or []:
            sidecar = container.get("restartPolicy") == "Always"
            current = newest.get(container["name"])
            if sidecar:
                self._ensure_container(pod, container, current, "Always")
                continue
            if current is not None and current.state == statuses.EXITED and current.exit_code == 0:
                continue
            if current is None or current.state != statuses.RUNNING:
                policy = "Never" if pod["spec"].get("restartPolicy") == "Never" else "OnFailure"
                self._ensure_container(pod, container, current, policy)
            return
        for container in pod["spec"]["containers"]:
            self._ensure_container(
                pod, container, newest.get(container["name"]), pod["spec"].get("restartPolicy", "Always")
            )

    def _ensure_sandbox(self, pod: dict) -> None:
        uid = pod["metadata"]["uid"]
        known = self._node.cri.sandboxes(label_selector={"io.kubernetes.pod.uid": uid})
        ready = [s for s in known if s.state == 0]
        if ready:
            self._sandbox = self._node.cri.call("PodSandboxStatus", pod_sandbox_id=ready[0].id).status
            return
        self._sandbox = None
        for old in known:  # of a boot before this one
            self._quiet("StopPodSandbox", pod_sandbox_id=old.id)
        attempt = 1 + max((s.metadata.attempt for s in known), default=-1)
        config = self._sandbox_config(pod, attempt)
        os.makedirs(config["log_directory"], mode=0o755, exist_ok=True)
        try:
            handler = self._node.runtime_handler(pod)
            made = self._node.cri.call("RunPodSandbox", deadline=240, config=config, runtime_handler=handler)
        except (CriError, ApiFailure) as exc:
            self._node.events.record(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {exc}")
            raise
        self._sandbox = self._node.cri.call("PodSandboxStatus", pod_sandbox_id=made.pod_sandbox_id).status

    def _sandbox_config(self, pod: dict, attempt: int) -> dict:
        return specs.sandbox_config(pod, attempt, self._node.systemd_cgroups, self._node.dns)

    def _newest(self, pod: dict) -> dict[str, t.Any]:
        """The status of the newest container of each name."""
        found: dict[str, t.Any] = {}
        for item in self._all(pod):
            have = found.get(item.metadata.name)
            if have is None or (item.created_at, item.metadata.attempt) > (have.created_at, have.metadata.attempt):
                found[item.metadata.name] = item
        return {name: self._node.cri.status(item.id) for name, item in found.items()}

    def _all(self, pod: dict) -> list[t.Any]:
        return self._node.cri.containers(label_selector={"io.kubernetes.pod.uid": pod["metadata"]["uid"]})

    def _ensure_container(self, pod: dict, container: dict, current: t.Any, policy: str) -> None:
        name = container["name"]
        attempt = 0
        if self._held(name) and (current is None or current.state != statuses.RUNNING):
            return
        if current is not None:
            count = statuses.restart_count(current)
            if current.state == statuses.RUNNING:
                if current.annotations.get("io.kubernetes.container.hash") == specs.container_hash(container):
                    self._waiting.pop(name, None)
                    self._probe(pod, container, current)
                    return
                self._node.events.record(
                    pod, "Normal", "Killing", f"Container {name} definition changed, will be restarted", container
                )
                self._end_probe(name)
                self._node.cri.stop(current.id, pod["spec"].get("terminationGracePeriodSeconds", 30))
                current = self._node.cri.status(current.id)
            self._end_probe(name)
            if current.state == statuses.EXITED:
                if policy == "Never" or policy == "OnFailure" and current.exit_code == 0:
                    self._waiting.pop(name, None)
                    return
                if self._in_backoff(pod, container, current):
                    return
            attempt = count + 1
        self._start(pod, container, attempt)

    def _held(self, name: str) -> float:
        return max(0.0, self._hold.get(name, 0.0) - time.monotonic())

    def _in_backoff(self, pod: dict, container: dict, current: t.Any) -> bool:
        """Whether an exited container has to wait: the first restart is at once, the next ones after 10 s, 20 s, ..."""
        name, meta = container["name"], pod["metadata"]
        if not self._backoff.left(name, current.finished_at / 1e9):
            self._backoff.failed(name)
            return False
        full = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        self._waiting[name] = {
            "reason": "CrashLoopBackOff",
            "message": f"back-off {self._backoff.delay(name):.0f}s restarting failed container={name} pod={full}",
        }
        self._hold[name] = time.monotonic() + self._backoff.left(name, current.finished_at / 1e9)
        self._node.events.record(
            pod, "Warning", "BackOff", f"Back-off restarting failed container {name} in pod {full}", container
        )
        return True

    def _start(self, pod: dict, container: dict, attempt: int) -> None:
        name, events, runtime = container["name"], self._node.events, self._node.cri
        try:
            image = self._node.images.ensure(pod, container)
        except Waiting as exc:
            self._waiting[name] = {"reason": exc.reason, "message": str(exc)}
            self._hold[name] = time.monotonic() + RESYNC_SECONDS
            return
        sandbox = self._sandbox
        seen = dict(pod, status={**pod.get("status", {}), "podIP": sandbox.network.ip})
        try:
            details = {"uid": image.uid.value if image.HasField("uid") else None, "username": image.username}
            config = specs.container_config(
                seen,
                container,
                attempt,
                image.id,
                details,
                self._node.volumes.mounts(seen, container, self._volumes or {}),
                self._node.volumes.environment(seen, container, self._node.service_environment()),
            )
        except (specs.SpecError, VolumeError) as exc:
            self._failed(pod, container, "CreateContainerConfigError", str(exc))
            return
        os.makedirs(os.path.join(specs.log_directory(pod["metadata"]), name), mode=0o755, exist_ok=True)
        try:
            made = runtime.call(
                "CreateContainer",
                pod_sandbox_id=sandbox.id,
                config=config,
                sandbox_config=self._sandbox_config(pod, sandbox.metadata.attempt),
            )
        except CriError as exc:
            self._failed(pod, container, "CreateContainerError", exc.desc)
            return
        events.record(pod, "Normal", "Created", "Container created", container)
        try:
            runtime.call("StartContainer", container_id=made.container_id)
        except CriError as exc:
            self._failed(pod, container, "RunContainerError", exc.desc)
            return
        events.record(pod, "Normal", "Started", "Container started", container)
        self._waiting.pop(name, None)
        self._probe(pod, container, runtime.status(made.container_id))
        self._tidy(pod)

    def _failed(self, pod: dict, container: dict, reason: str, message: str) -> None:
        self._waiting[container["name"]] = {"reason": reason, "message": message}
        self._node.events.record(pod, "Warning", "Failed", f"Error: {message}", container)
        if reason != "RunContainerError":  # there nothing exited, so the back-off for exits would not apply
            self._hold[container["name"]] = time.monotonic() + RESYNC_SECONDS

    def _tidy(self, pod: dict) -> None:
        """Keep one dead container of each name, and of old sandboxes those that such a container is in."""
        dead: dict[str, list[t.Any]] = {}
        for item in self._all(pod):
            if item.state == statuses.EXITED:
                dead.setdefault(item.metadata.name, []).append(item)
        for items in dead.values():
            for old in sorted(items, key=lambda item: item.created_at)[:-1]:
                self._quiet("RemoveContainer", container_id=old.id)
        used = {item.pod_sandbox_id for item in self._all(pod)}
        for old in self._node.cri.sandboxes(label_selector={"io.kubernetes.pod.uid": pod["metadata"]["uid"]}):
            if old.state != 0 and old.id not in used:
                self._quiet("RemovePodSandbox", pod_sandbox_id=old.id)

    # --- probes

    def _probe(self, pod: dict, container: dict, current: t.Any) -> None:
        name = container["name"]
        have = self._probers.get(name)
        if have is not None and have.container_id == current.id:
            return
        self._end_probe(name)
        address = self._address(pod)

        def unhealthy(kind: str, why: str) -> None:
            self._node.events.record(pod, "Warning", "Unhealthy", f"{kind} probe failed: {why}", container)

        def restart(kind: str) -> None:
            self._node.events.record(
                pod, "Normal", "Killing", f"Container {name} failed {kind}, will be restarted", container
            )
            try:
                self._node.cri.stop(current.id, pod["spec"].get("terminationGracePeriodSeconds", 30))
            except CriError as exc:
                self._node.log(f"{self.name}: {exc}")
            self.poke()

        prober = self._probers[name] = Prober(
            container, current.id, address, self._node.cri, self.poke, unhealthy, restart
        )
        prober.start()

    def _end_probe(self, name: str) -> None:
        prober = self._probers.pop(name, None)
        if prober is not None:
            prober.end()

    # --- status

    def _address(self, pod: dict) -> str:
        if pod["spec"].get("hostNetwork"):
            return self._node.settings.address
        return self._sandbox.network.ip if self._sandbox is not None else ""

    def _seen(self, pod: dict) -> dict[str, statuses.Seen]:
        items: dict[str, list[t.Any]] = {}
        for item in self._all(pod):
            items.setdefault(item.metadata.name, []).append(item)
        result = {}
        for field in ("initContainers", "containers"):
            for container in pod["spec"].get(field) or []:
                name = container["name"]
                mine = sorted(items.get(name, []), key=lambda item: item.created_at)
                current = self._node.cri.status(mine[-1].id) if mine else None
                previous = self._node.cri.status(mine[-2].id) if len(mine) > 1 else None
                running = current is not None and current.state == statuses.RUNNING
                prober = self._probers.get(name)
                ready = running and (prober is None or prober.ready)
                if field == "initContainers" and container.get("restartPolicy") != "Always":
                    ready = current is not None and current.state == statuses.EXITED and current.exit_code == 0
                waiting = None if running else self._waiting.get(name)
                result[name] = statuses.Seen(
                    current, previous, waiting, ready, running and (prober is None or prober.started)
                )
        return result

    def _report(self, pod: dict) -> dict:
        """Compare with the API's status and send what changed."""
        seen, runtime = self._seen(pod), self._node.runtime_name
        init_specs = pod["spec"].get("initContainers") or []
        default = "PodInitializing" if init_specs else "ContainerCreating"
        init = [statuses.container_status(c, seen[c["name"]], runtime, "PodInitializing") for c in init_specs]
        main = [statuses.container_status(c, seen[c["name"]], runtime, default) for c in pod["spec"]["containers"]]
        address = self._address(pod)
        wanted = statuses.pod_status(
            pod,
            init,
            main,
            self._sandbox is not None and self._sandbox.state == 0,
            [address] if address else [],
            self._node.settings.address,
            now(),
        )
        if wanted != pod.get("status"):
            meta = pod["metadata"]
            body = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
                "status": wanted,
            }
            fresh = self._node.api.request(
                "PUT", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", body
            )
            with self._lock:
                if int(fresh["metadata"]["resourceVersion"]) >= int(self._pod["metadata"]["resourceVersion"]):
                    self._pod = fresh
        return wanted

    # --- the end

    def _stop_everything(self, pod: dict, grace: int) -> None:
        for name in list(self._probers):
            self._end_probe(name)
        threads = []
        for item in self._all(pod):
            if item.state == statuses.RUNNING:
                container = {"name": item.metadata.name}
                match = [
                    c
                    for f in ("containers", "initContainers")
                    for c in pod["spec"].get(f) or []
                    if c["name"] == item.metadata.name
                ]
                self._node.events.record(
                    pod, "Normal", "Killing", f"Stopping container {container['name']}", match[0] if match else None
                )
                threads.append(threading.Thread(target=self._stop_one, args=(item.id, grace), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for sandbox in self._node.cri.sandboxes(label_selector={"io.kubernetes.pod.uid": pod["metadata"]["uid"]}):
            if sandbox.state == 0:
                self._node.cri.call("StopPodSandbox", pod_sandbox_id=sandbox.id)

    def _stop_one(self, container_id: str, grace: int) -> None:
        try:
            self._node.cri.stop(container_id, grace)
        except CriError as exc:
            self._node.log(f"{self.name}: {exc}")

    def _terminate(self, pod: dict) -> None:
        meta = pod["metadata"]
        grace = meta.get("deletionGracePeriodSeconds")
        if grace is None:
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        self._stop_everything(pod, 0 if self._gone else max(1, grace))
        if not self._gone:
            try:
                self._report(self.pod)
            except ApiFailure as exc:
                if exc.code != 404:
                    raise
        self._remove(pod)
        if not self._gone:
            try:
                self._node.api.request(
                    "DELETE",
                    f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
                    {
                        "apiVersion": "v1",
                        "kind": "DeleteOptions",
                        "gracePeriodSeconds": 0,
                        "preconditions": {"uid": meta["uid"]},
                    },
                )
            except ApiFailure as exc:
                if exc.code not in (404, 409):
                    raise
        self._node.events.forget(meta["uid"])
        self.finished = True

    def _remove(self, pod: dict) -> None:
        """Containers, sandboxes, volumes, logs and the pod's cgroups."""
        uid = pod["metadata"]["uid"]
        for item in self._all(pod):
            self._quiet("RemoveContainer", container_id=item.id)
        for sandbox in self._node.cri.sandboxes(label_selector={"io.kubernetes.pod.uid": uid}):
            self._quiet("StopPodSandbox", pod_sandbox_id=sandbox.id)
            self._node.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)
        self._node.volumes.remove(uid)
        shutil.rmtree(specs.log_directory(pod["metadata"]), ignore_errors=True)
        remove_cgroups(specs.cgroup_parent(pod, False))

    def _quiet(self, method: str, **fields: t.Any) -> None:
        try:
            self._node.cri.call(method, **fields)
        except CriError as exc:
            self._node.log(f"{self.name}: {method}: {exc}")


def remove_cgroups(parent: str) -> None:
    """The pod's empty cgroups in every hierarchy, where the runtime may see others than we do (LAB.md)."""
    for base in ("/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*"), *glob.glob("/run/cgv1/*")):
        for directory, _directories, _files in os.walk(base + parent, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass  # still in use, or no cgroup of ours
