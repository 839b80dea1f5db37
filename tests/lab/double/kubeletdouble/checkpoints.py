# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``POST /checkpoint/{namespace}/{pod}/{container}``: the answers of FACTS 1.1 to 1.3 and 10.1, over the real CRI."""

from __future__ import annotations

import datetime
import json
import os
import re
import select
import shutil
import threading
import time
import typing as t

from cri_errors import CriError
from kubeletdouble.settings import Settings


class Answer(t.NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class HangUp(Exception):
    """The client went away, or a switch says to treat it so: no answer."""


def plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode())


def file_name(pod: str, namespace: str, container: str, moment: datetime.datetime) -> str:
    """The kubelet's name: the node's local time, seconds only, ``Z`` when the offset is nought."""
    stamp = moment.isoformat(timespec="seconds")
    stamp = stamp[:-6] + "Z" if stamp.endswith("+00:00") else stamp
    return f"checkpoint-{pod}_{namespace}-{container}-{stamp}.tar"


def containers_of(pod: dict) -> list[str]:
    spec = pod["spec"]
    return [
        c["name"] for field in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(field) or []
    ]


def client_left(connection: t.Any) -> bool:
    """Whether the client closed its side: nothing may arrive from it while it waits for the answer."""
    readable, _writable, _failed = select.select([connection], [], [], 0)
    return bool(readable)


class Checkpoints:
    def __init__(
        self,
        settings: Settings,
        find_pod: t.Callable[[str, str], t.Optional[dict]],
        connect: t.Callable[[str, float], t.Any],
    ) -> None:
        self._settings = settings
        self._connect = connect  # a client of the CRI for an endpoint and a time-out
        self._find_pod = find_pod
        os.makedirs(settings.checkpoints, mode=0o700, exist_ok=True)

    def answer(
        self, namespace: str, pod_name: str, container: str, timeouts: t.Sequence[str], connection: t.Any
    ) -> Answer:
        faults = self._settings.faults(f"{namespace}/{pod_name}/{container}")
        self._before(faults, connection)
        if "status" in faults:
            return plain(faults["status"], faults.get("body", ""))
        pod = self._find_pod(namespace, pod_name)
        if pod is None:
            return plain(404, "pod does not exist")
        if container not in containers_of(pod):
            return plain(404, f"container {container} does not exist")
        timeout = 0
        if timeouts:
            if not re.fullmatch(r"[+-]?\d{1,18}", timeouts[-1]):
                return plain(404, "cannot parse value of timeout parameter")
            timeout = int(timeouts[-1])
        try:
            location = self._checkpoint(pod, container, timeout, faults, connection)
        except (CriError, ValueError) as exc:
            return plain(500, f"checkpointing of {namespace}/{pod_name}/{container} failed ({exc})")
        body = json.dumps({"items": [faults.get("answer_path", location)]}, separators=(",", ":"))
        return Answer(200, body.encode(), "application/json")

    def _before(self, faults: dict[str, t.Any], connection: t.Any) -> None:
        if faults.get("close"):
            raise HangUp("switch close")
        end = time.monotonic() + (float("inf") if faults.get("hang") else faults.get("delay", 0))
        while time.monotonic() < end:
            if client_left(connection):
                raise HangUp("the client left")
            time.sleep(0.05)

    def _checkpoint(self, pod: dict, name: str, timeout: int, faults: dict[str, t.Any], connection: t.Any) -> str:
        timeout_of_runtime = faults.get("runtime_request_timeout", self._settings.request_timeout)
        runtime = self._connect(self._settings.endpoint, timeout_of_runtime)
        try:
            meta = pod["metadata"]
            running = runtime.containers(
                state={"state": 1},
                label_selector={"io.kubernetes.pod.uid": meta["uid"], "io.kubernetes.container.name": name},
            )
            if not running:
                raise ValueError(f"container {name} not found")
            location = os.path.join(
                self._settings.checkpoints,
                file_name(meta["name"], meta["namespace"], name, datetime.datetime.now().astimezone()),
            )
            call = runtime.begin_checkpoint(running[0].id, location, timeout)
            while not call.wait(0.05):
                if client_left(connection):  # containerd sees the cancelled context and lets the container go on
                    call.cancel()
                    raise HangUp("the client left")
            call.result()
        finally:
            runtime.close()
        self._spoil(location, faults)
        return location

    def _spoil(self, location: str, faults: dict[str, t.Any]) -> None:
        """Switches that change the archive after the runtime wrote it."""
        if "truncate" in faults:
            with open(location, "r+b") as file:
                file.truncate(faults["truncate"])
        if "replace" in faults:
            shutil.copyfile(faults["replace"], location)
        if "slow_file" in faults:
            with open(location, "rb") as file:
                content = file.read()
            os.truncate(location, 0)
            threading.Thread(target=_write_slowly, args=(location, content, faults["slow_file"]), daemon=True).start()


def _write_slowly(path: str, content: bytes, seconds: float) -> None:
    """Let the archive grow to its full size over some seconds."""
    steps = 20
    size = -(-len(content) // steps)
    with open(path, "r+b", buffering=0) as file:
        for step in range(steps):
            time.sleep(seconds / steps)
            file.write(content[step * size : (step + 1) * size])
