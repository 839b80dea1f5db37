# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events about pods, counted up when the same thing happens again (fixtures events-*.json)."""

from __future__ import annotations

import datetime
import threading
import time
import typing as t

from kubeletdouble.apiclient import ApiClient, ApiFailure


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Events:
    def __init__(self, api: ApiClient, node: str) -> None:
        self._api, self._node = api, node
        self._lock = threading.Lock()
        self._known: dict[t.Any, tuple[str, int]] = {}

    def record(self, pod: dict, kind: str, reason: str, message: str, container: t.Optional[dict] = None) -> None:
        """One event; an API server that cannot be reached loses it, as with a real kubelet."""
        meta = pod["metadata"]
        fields = f"spec.containers{{{container['name']}}}" if container else ""
        if container and container not in pod["spec"]["containers"]:
            fields = f"spec.initContainers{{{container['name']}}}"
        key = (meta["uid"], fields, kind, reason, message)
        base = f"/api/v1/namespaces/{meta['namespace']}/events"
        try:
            with self._lock:
                name, count = self._known.get(key, ("", 0))
                if name:
                    self._known[key] = (name, count + 1)
                else:
                    name = f"{meta['name']}.{time.time_ns():x}"
                    self._known[key] = (name, 1)
            if count:
                self._api.request(
                    "PATCH",
                    f"{base}/{name}",
                    {"count": count + 1, "lastTimestamp": now()},
                    "application/merge-patch+json",
                )
                return
            involved = {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "resourceVersion": meta["resourceVersion"],
                "uid": meta["uid"],
            }
            if fields:
                involved["fieldPath"] = fields
            self._api.request(
                "POST",
                base,
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "count": 1,
                    "eventTime": None,
                    "firstTimestamp": now(),
                    "lastTimestamp": now(),
                    "involvedObject": involved,
                    "message": message,
                    "metadata": {"name": name, "namespace": meta["namespace"]},
                    "reason": reason,
                    "reportingComponent": "kubelet",
                    "reportingInstance": self._node,
                    "source": {"component": "kubelet", "host": self._node},
                    "type": kind,
                },
            )
        except ApiFailure:
            with self._lock:
                self._known.pop(key, None)

    def forget(self, uid: str) -> None:
        with self._lock:
            self._known = {key: value for key, value in self._known.items() if key[0] != uid}
