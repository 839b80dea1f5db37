# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches: changes after a resource version as lines of JSON, through selectors."""

from __future__ import annotations

import json
import time
import typing as t

from apidouble import errors, selectors
from apidouble.resources import Resource
from apidouble.store import Event, Store


class Stream:
    """An iterator of encoded watch events. ``start`` raises what must still be an HTTP error."""

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str,
        name: str,
        label_selector: str,
        field_selector: str,
        version: str,
        seconds: float,
    ) -> None:
        self._store, self._resource = store, resource
        self._namespace, self._name = namespace, name
        self._selected = selectors.both(label_selector, field_selector, resource.key.plural)
        self._version_text = version
        self._deadline = time.monotonic() + seconds
        self._version = 0
        self._first: list[dict] = []
        self._error: t.Optional[errors.ApiError] = None

    def start(self) -> None:
        if self._version_text not in ("", "0"):
            if not self._version_text.isdigit():
                raise errors.bad_request(f'invalid resource version "{self._version_text}"')
            self._version = int(self._version_text)
            try:
                self._store.since(self._version, self._resource.key)
            except errors.ApiError as exc:  # the real one answers 200 and an ERROR event
                self._error = exc
            return
        with self._store.lock:
            self._version = self._store.version
            self._first = self._store.list(self._resource.key, self._namespace, self._matches)

    def _matches(self, obj: t.Optional[dict]) -> bool:
        if obj is None:
            return False
        meta = obj["metadata"]
        return (
            (not self._namespace or meta.get("namespace") == self._namespace)
            and (not self._name or meta["name"] == self._name)
            and self._selected(obj)
        )

    def _line(self, kind: str, obj: dict) -> bytes:
        return json.dumps({"type": kind, "object": obj}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def _told(self, event: Event) -> t.Optional[bytes]:
        """What a watcher with this selector sees of a change."""
        was = self._matches(event.before)
        if event.after is None:
            return self._line("DELETED", event.before or {}) if was else None
        if self._matches(event.after):
            return self._line("MODIFIED" if was else "ADDED", event.after)
        if was:
            gone = {**(event.before or {})}
            gone["metadata"] = {**gone["metadata"], "resourceVersion": str(event.version)}
            return self._line("DELETED", gone)
        return None

    def __iter__(self) -> t.Iterator[bytes]:
        if self._error:
            yield self._line("ERROR", self._error.status())
            return
        for obj in self._first:
            yield self._line("ADDED", obj)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                return
            with self._store.lock:
                if self._store.version == self._version:
                    self._store.changed.wait(min(left, 10.0))
                events = self._store.since(self._version, self._resource.key)
                self._version = self._store.version
            for line in (self._told(event) for event in events):
                if line:
                    yield line
