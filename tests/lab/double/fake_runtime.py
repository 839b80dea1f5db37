# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container runtime in memory, for tests of the kubelet double's logic; what a real one does is tested in the lab."""

from __future__ import annotations

import threading
import time
import types
import typing as t

from cri_errors import CriError

CREATED, RUNNING, EXITED = 0, 1, 2


def _object(**fields: t.Any) -> t.Any:
    return types.SimpleNamespace(HasField=lambda name: False, **fields)


class FakeRuntime:
    """Has the methods of cri.Cri that the kubelet double uses. ``fail`` maps a method to the error it raises."""

    def __init__(self, images: t.Sequence[str] = ()) -> None:
        self.images = list(images)
        self.boxes: dict[str, t.Any] = {}
        self.items: dict[str, t.Any] = {}
        self.fail: dict[str, CriError] = {}
        self.stopped: list[tuple[str, int]] = []
        self.requests: list[tuple[str, dict]] = []
        self._lock = threading.RLock()
        self._number = 0

    def _next(self) -> str:
        self._number += 1
        return f"id{self._number}"

    def call(self, method: str, *, deadline: t.Optional[float] = None, **fields: t.Any) -> t.Any:
        with self._lock:
            self.requests.append((method, fields))
            if method in self.fail:
                raise self.fail[method]
            return getattr(self, "_" + method)(**fields)

    # --- sandboxes

    def sandboxes(self, label_selector: t.Optional[dict] = None) -> list[t.Any]:
        with self._lock:
            return [b for b in self.boxes.values() if (label_selector or {}).items() <= b.labels.items()]

    def _RunPodSandbox(self, config: dict, runtime_handler: str) -> t.Any:
        name = self._next()
        self.boxes[name] = _object(
            id=name,
            state=0,
            labels=config["labels"],
            handler=runtime_handler,
            metadata=types.SimpleNamespace(**config["metadata"]),
            network=types.SimpleNamespace(ip="10.0.0.9"),
        )
        return _object(pod_sandbox_id=name)

    def _PodSandboxStatus(self, pod_sandbox_id: str) -> t.Any:
        return _object(status=self.boxes[pod_sandbox_id])

    def _StopPodSandbox(self, pod_sandbox_id: str) -> None:
        self.boxes[pod_sandbox_id].state = 1
        for item in self.items.values():
            if item.pod_sandbox_id == pod_sandbox_id and item.state == RUNNING:
                self.exit(item.id, 137)

    def _RemovePodSandbox(self, pod_sandbox_id: str) -> None:
        self._StopPodSandbox(pod_sandbox_id)
        del self.boxes[pod_sandbox_id]
        self.items = {name: item for name, item in self.items.items() if item.pod_sandbox_id != pod_sandbox_id}

    # --- containers

    def containers(self, label_selector: t.Optional[dict] = None, state: t.Optional[dict] = None) -> list[t.Any]:
        with self._lock:
            return [
                item
                for item in self.items.values()
                if (label_selector or {}).items() <= item.labels.items() and (not state or item.state == state["state"])
            ]

    def _CreateContainer(self, pod_sandbox_id: str, config: dict, sandbox_config: dict) -> t.Any:
        name = self._next()
        self.items[name] = _object(
            id=name,
            pod_sandbox_id=pod_sandbox_id,
            state=CREATED,
            created_at=time.time_ns(),
            started_at=0,
            finished_at=0,
            exit_code=0,
            reason="",
            message="",
            labels=config["labels"],
            annotations=config["annotations"],
            metadata=types.SimpleNamespace(**config["metadata"]),
            image=types.SimpleNamespace(image=config["image"]["user_specified_image"]),
            image_ref="ref",
            config=config,
        )
        return _object(container_id=name)

    def _StartContainer(self, container_id: str) -> None:
        self.items[container_id].state = RUNNING
        self.items[container_id].started_at = time.time_ns()

    def _RemoveContainer(self, container_id: str) -> None:
        self.items.pop(container_id, None)

    def status(self, container_id: str) -> t.Any:
        with self._lock:
            if container_id not in self.items:
                raise CriError("NotFound", f'an error occurred when try to find container "{container_id}": not found')
            return self.items[container_id]

    def stop(self, container_id: str, grace: int) -> None:
        with self._lock:
            self.stopped.append((container_id, grace))
            self.exit(container_id, 143)

    def exit(self, container_id: str, code: int) -> None:
        """Let a container end."""
        with self._lock:
            item = self.items[container_id]
            item.state, item.exit_code, item.finished_at = EXITED, code, time.time_ns()

    # --- images

    def _image(self, name: str) -> t.Any:
        found = _object(id=f"sha256:{name}" if name in self.images else "", username="", size=1)
        return _object(image=found)

    def _ImageStatus(self, image: dict) -> t.Any:
        return self._image(image["image"])

    def _PullImage(self, image: dict, auth: t.Optional[dict] = None) -> t.Any:
        self.images.append(image["image"])
        return _object(image_ref=image["image"])
