# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet double's HTTPS side: who may call what, and the answers byte for byte (data/answers.txt)."""

from __future__ import annotations

import json
import os
import typing as t

from httpsd import Handler
from kubeletdouble.access import Access, Denied
from kubeletdouble.checkpoints import Checkpoints, HangUp
from kubeletdouble.settings import Settings
from kubeletdouble.spec import log_directory


class App:
    """What the request handlers share; ``node`` needs ``pod``, ``pods`` and nothing else of node.Node."""

    def __init__(self, settings: Settings, access: Access, checkpoints: Checkpoints, node: t.Any) -> None:
        self.settings, self.access, self.checkpoints, self.node = settings, access, checkpoints, node
        self.verbose = True


class KubeletHandler(Handler):
    server_version = "kubelet-double"

    @property
    def app(self) -> App:
        return self.server.app

    def gate(self) -> bool:
        return self.app.settings.gate and self.app.settings.all_faults().get("gate", True)

    def answer(self) -> None:
        segments = self.url_path.strip("/").split("/")
        routes: dict[str, t.Callable[[list[str]], None]] = {
            "healthz": self._healthz,
            "pods": self._pods,
            "configz": self._configz,
            "containerLogs": self._logs,
        }
        if self.gate():
            routes["checkpoint"] = self._checkpoint
        route = routes.get(segments[0])
        if route is None:  # Go's mux answers before anybody is asked who they are
            self.text(404, "404 page not found\n")
            return
        try:
            user = self.app.access.user(self.peer(), self.bearer())
            self.app.access.authorise(user, self.command, self.url_path)
            route(segments)
        except Denied as exc:
            self.text(exc.status, str(exc))
        except HangUp:
            self.close_connection = True

    def _only(self, method: str) -> bool:
        if self.command == method or (method, self.command) == ("GET", "HEAD"):
            return True
        self.started = True
        body = b"405: Method Not Allowed"
        self.send_response(405)
        self.send_header("Allow", method)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return False

    def _checkpoint(self, segments: list[str]) -> None:
        if len(segments) != 4 or not all(segments):
            self.text(404, "404: Page Not Found")
        elif self._only("POST"):
            answer = self.app.checkpoints.answer(*segments[1:], self.query.get("timeout", []), self.connection)
            self.send(answer.status, answer.body, answer.content_type)

    def _healthz(self, _segments: list[str]) -> None:
        self.text(200, "ok")

    def _pods(self, _segments: list[str]) -> None:
        if not self._only("GET"):
            return
        items = [
            {key: value for key, value in pod.items() if key not in ("kind", "apiVersion")}
            for pod in self.app.node.pods()
        ]
        body = json.dumps(
            {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}, separators=(",", ":")
        )
        self.send(200, body.encode() + b"\n", "application/json")

    def _configz(self, _segments: list[str]) -> None:
        if self._only("GET"):
            body = json.dumps({"kubeletconfig": self.app.settings.config}, separators=(",", ":"))
            self.send(200, body.encode(), "application/json")

    def _logs(self, segments: list[str]) -> None:
        """What ``kubectl logs`` shows: the newest log of a container without the runtime's line prefix."""
        if len(segments) != 4 or not self._only("GET"):
            return
        pod = self.app.node.pod(segments[1], segments[2])
        if pod is None:
            self.text(404, f'pod does not exist: "{segments[2]}"')
            return
        directory = os.path.join(log_directory(pod["metadata"]), segments[3])
        names = (
            sorted(os.listdir(directory), key=lambda name: int(name.partition(".")[0]))
            if os.path.isdir(directory)
            else []
        )
        if not names:
            self.text(400, f'container "{segments[3]}" in pod "{segments[2]}" is waiting to start: ContainerCreating')
            return
        with open(os.path.join(directory, names[-1]), "rb") as file:
            lines = [line.split(b" ", 3)[-1] for line in file]
        tail = self.last("tailLines")
        if tail.isdigit():
            lines = lines[-int(tail) :] if int(tail) else []
        self.send(200, b"".join(lines), "text/plain")
