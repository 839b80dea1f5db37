# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet double is told: its paths, the KubeletConfiguration file, and the switches that tests may set.

Faults come from FAULTS, a JSON object that is read at every checkpoint request (README.md lists the names); without
that file the double behaves like a healthy kubelet.
"""

from __future__ import annotations

import json
import os
import re
import threading
import typing as t

FAULTS = "/run/kubelet-double/faults.json"
FAULT_NAMES = (
    "match",
    "count",
    "gate",
    "delay",
    "hang",
    "close",
    "status",
    "body",
    "answer_path",
    "truncate",
    "replace",
    "slow_file",
    "runtime_request_timeout",
    "cache_unauthorized",
)


class Settings:
    """Paths, node name and address; ``config`` is the KubeletConfiguration."""

    def __init__(
        self, node: str, address: str, root: str, config_path: str, endpoint: str, handlers_path: str = FAULTS
    ) -> None:
        self.node = node
        self.address = address
        self.root = root
        self.endpoint = endpoint
        self.faults_path = handlers_path
        with open(config_path, encoding="utf-8") as file:
            self.config: dict[str, t.Any] = json.load(file)  # the lab writes JSON, which is YAML
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}

    @property
    def checkpoints(self) -> str:
        return os.path.join(self.root, "checkpoints")

    def pod_directory(self, uid: str) -> str:
        return os.path.join(self.root, "pods", uid)

    @property
    def gate(self) -> bool:
        """Whether the checkpoint handler is registered: the feature gate and the debugging handlers."""
        gates = self.config.get("featureGates") or {}
        return bool(gates.get("ContainerCheckpoint", True)) and bool(self.config.get("enableDebuggingHandlers", True))

    @property
    def request_timeout(self) -> float:
        """runtimeRequestTimeout in seconds."""
        return go_duration(self.config.get("runtimeRequestTimeout", "2m0s"))

    def all_faults(self) -> dict[str, t.Any]:
        try:
            with open(self.faults_path, encoding="utf-8") as file:
                faults = json.load(file)
        except FileNotFoundError:
            return {}
        unknown = sorted(set(faults) - set(FAULT_NAMES))
        if unknown:
            raise ValueError(f"unknown switches in {self.faults_path}: {', '.join(unknown)}")
        return faults

    def faults(self, subject: str) -> dict[str, t.Any]:
        """The switches for ``namespace/pod/container``; ``count`` limits how often one file's switches apply."""
        faults = self.all_faults()
        if not faults or not re.fullmatch(faults.get("match", ".*"), subject):
            return {}
        if "count" in faults:
            with self._lock:
                stamp = f"{os.stat(self.faults_path).st_mtime_ns}"
                used = self._used.get(stamp, 0)
                self._used = {stamp: used + 1}
                if used >= faults["count"]:
                    return {}
        return faults


def go_duration(text: str) -> float:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", text))
