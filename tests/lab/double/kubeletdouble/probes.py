# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness, liveness and startup probes of one running container: httpGet, tcpSocket, exec."""

from __future__ import annotations

import socket
import threading
import time
import typing as t
import urllib.error
import urllib.request

from cri_errors import CriError


class ProbeFailure(Exception):
    """A probe said no; str() is for the Unhealthy event."""


def _port(container: dict, value: t.Any) -> int:
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    return next(port["containerPort"] for port in container.get("ports") or [] if port.get("name") == value)


def go_error(exc: OSError, host: str, port: int) -> str:
    """A failed connection in Go's words."""
    cause = getattr(exc, "reason", exc)
    if isinstance(cause, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    return f"dial tcp {host}:{port}: connect: {(getattr(cause, 'strerror', '') or str(cause)).lower()}"


def check(probe: dict, container: dict, address: str, runtime: t.Any, container_id: str) -> None:
    """Run a probe once; ProbeFailure if it fails."""
    limit = probe.get("timeoutSeconds", 1)
    if "httpGet" in probe:
        action = probe["httpGet"]
        where = f"{action.get('host') or address}:{_port(container, action['port'])}"
        url = f"{action.get('scheme', 'HTTP').lower()}://{where}{action.get('path', '/')}"
        headers = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(
                urllib.request.Request(url, headers={"User-Agent": "kube-probe/1.36", **headers}), timeout=limit
            ).close()
        except urllib.error.HTTPError as exc:
            raise ProbeFailure(f"HTTP probe failed with statuscode: {exc.code}") from None
        except OSError as exc:
            raise ProbeFailure(f'Get "{url}": {go_error(exc, address, _port(container, action["port"]))}') from None
    elif "tcpSocket" in probe:
        target = (probe["tcpSocket"].get("host") or address, _port(container, probe["tcpSocket"]["port"]))
        try:
            socket.create_connection(target, limit).close()
        except OSError as exc:
            raise ProbeFailure(go_error(exc, *target)) from None
    elif "exec" in probe:
        try:
            answer = runtime.call(
                "ExecSync", deadline=limit + 5, container_id=container_id, cmd=probe["exec"]["command"], timeout=limit
            )
        except CriError as exc:
            raise ProbeFailure(f"command timed out or failed: {exc}") from None
        if answer.exit_code:
            raise ProbeFailure((answer.stdout + answer.stderr).decode(errors="replace")[:1024])


class Prober(threading.Thread):
    """Probes one container until it is stopped; tells by callbacks."""

    def __init__(
        self,
        container: dict,
        container_id: str,
        address: str,
        runtime: t.Any,
        changed: t.Callable[[], None],
        unhealthy: t.Callable[[str, str], None],
        restart: t.Callable[[str], None],
    ) -> None:
        super().__init__(daemon=True)
        self.container_id = container_id
        self._container, self._address, self._cri = container, address, runtime
        self._changed, self._unhealthy, self._restart = changed, unhealthy, restart
        self._stop = threading.Event()
        self.started = "startupProbe" not in container
        self.ready = self.started and "readinessProbe" not in container

    def end(self) -> None:
        self._stop.set()

    def run(self) -> None:
        clocks = {}
        counts: dict[str, int] = {}
        begin = time.monotonic()
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind in self._container:
                clocks[kind] = begin + self._container[kind].get("initialDelaySeconds", 0)
        while clocks and not self._stop.wait(max(0.05, min(clocks.values()) - time.monotonic())):
            for kind in list(clocks):
                if clocks[kind] > time.monotonic() or (kind != "startupProbe" and not self.started):
                    if clocks[kind] <= time.monotonic():
                        clocks[kind] = time.monotonic() + 0.1
                    continue
                probe = self._container[kind]
                clocks[kind] = time.monotonic() + probe.get("periodSeconds", 10)
                if self._once(kind, probe, counts):
                    return
                if kind == "startupProbe" and self.started:
                    del clocks[kind]

    def _once(self, kind: str, probe: dict, counts: dict[str, int]) -> bool:
        """One round of one probe; True when the container is to be restarted."""
        try:
            check(probe, self._container, self._address, self._cri, self.container_id)
            good, why = True, ""
        except ProbeFailure as exc:
            good, why = False, str(exc)
        if self._stop.is_set():
            return True
        counts[kind] = max(1, counts.get(kind, 0) + 1) if good else min(-1, counts.get(kind, 0) - 1)
        name = kind[: -len("Probe")].capitalize()
        if not good:
            self._unhealthy(name, why)
        if good and counts[kind] >= probe.get("successThreshold", 1):
            self._became(kind, True)
        elif not good and -counts[kind] >= probe.get("failureThreshold", 3):
            if kind != "readinessProbe":
                self._restart(f"{name.lower()} probe")
                return True
            self._became(kind, False)
        return False

    def _became(self, kind: str, good: bool) -> None:
        before = (self.started, self.ready)
        if kind == "startupProbe":
            self.started = True
            self.ready = self.ready or "readinessProbe" not in self._container
        elif kind == "readinessProbe":
            self.ready = good
        if before != (self.started, self.ready):
            self._changed()
