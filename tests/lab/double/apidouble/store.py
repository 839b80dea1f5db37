# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the API server double: an in-memory store with resource versions, a history for watches, deletion
with finalizers and grace, and a snapshot in a file.

Everything that goes in or comes out is a copy. One lock guards all of it; whoever waits for a change waits on
``changed``.
"""

from __future__ import annotations

import collections
import copy
import datetime
import json
import os
import threading
import typing as t
import uuid

from apidouble import errors

HISTORY = 20000


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(seconds: int) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Key(t.NamedTuple):
    """What kind of objects: API group and plural; the version is the resource table's business."""

    group: str
    plural: str


class Event(t.NamedTuple):
    """One change: before and after are the object as it was and is (None: not there)."""

    version: int
    key: Key
    before: t.Optional[dict]
    after: t.Optional[dict]


PODS = Key("", "pods")
NODES = Key("", "nodes")
NAMESPACES = Key("", "namespaces")


class Store:
    def __init__(self, path: t.Optional[str] = None) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 0
        self._objects: dict[Key, dict[tuple[str, str], dict]] = collections.defaultdict(dict)
        self._history: collections.deque[Event] = collections.deque(maxlen=HISTORY)
        self._oldest = 0
        self._path = path
        if path and os.path.exists(path):
            self._load(path)

    # --- reading

    def get(self, key: Key, namespace: str, name: str) -> dict:
        with self.lock:
            found = self._objects[key].get((namespace, name))
            if found is None:
                raise errors.not_found(key.group, key.plural, name)
            return copy.deepcopy(found)

    def find(self, key: Key, namespace: str, name: str) -> t.Optional[dict]:
        with self.lock:
            return copy.deepcopy(self._objects[key].get((namespace, name)))

    def list(self, key: Key, namespace: str = "", test: t.Optional[t.Callable[[dict], bool]] = None) -> list[dict]:
        with self.lock:
            return [
                copy.deepcopy(obj)
                for (where, _name), obj in sorted(self._objects[key].items())
                if (not namespace or where == namespace) and (test is None or test(obj))
            ]

    def keys(self) -> list[Key]:
        with self.lock:
            return [key for key, objects in self._objects.items() if objects]

    def since(self, version: int, key: Key) -> list[Event]:
        """Changes after a version; refuses one that the history no longer reaches."""
        with self.lock:
            if version < self._oldest:
                raise errors.expired(version, self._oldest)
            return [event for event in self._history if event.version > version and event.key == key]

    # --- writing

    def create(self, key: Key, obj: dict, dry_run: bool = False) -> dict:
        with self.lock:
            obj = copy.deepcopy(obj)
            meta = obj["metadata"]
            where = (meta.get("namespace", ""), meta["name"])
            if where in self._objects[key]:
                raise errors.already_exists(key.group, key.plural, meta["name"])
            meta["uid"] = str(uuid.uuid4())
            meta["creationTimestamp"] = now()
            for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"):
                meta.pop(field, None)
            if "spec" in obj:
                meta["generation"] = 1
            return obj if dry_run else self._put(key, None, obj)

    def update(self, key: Key, obj: dict, dry_run: bool = False, same_generation: bool = False) -> dict:
        """Replace an object. A resource version in it must be the current one; identity cannot be changed."""
        with self.lock:
            meta = obj["metadata"]
            where = (meta.get("namespace", ""), meta["name"])
            have = self._objects[key].get(where)
            if have is None:
                raise errors.not_found(key.group, key.plural, meta["name"])
            asked = meta.get("resourceVersion")
            if asked and asked != have["metadata"]["resourceVersion"]:
                raise errors.conflict(key.group, key.plural, meta["name"])
            if meta.get("uid") and meta["uid"] != have["metadata"]["uid"]:
                raise errors.conflict(
                    key.group,
                    key.plural,
                    meta["name"],
                    "Precondition failed: UID in precondition: "
                    f"{meta['uid']}, UID in object meta: {have['metadata']['uid']}",
                )
            obj = copy.deepcopy(obj)
            for field in (
                "uid",
                "creationTimestamp",
                "generation",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "resourceVersion",
            ):
                obj["metadata"].pop(field, None)
                if field in have["metadata"]:
                    obj["metadata"][field] = have["metadata"][field]
            if "spec" in obj and obj["spec"] != have.get("spec") and not same_generation:
                obj["metadata"]["generation"] = have["metadata"].get("generation", 0) + 1
            if obj == have:
                return copy.deepcopy(have)
            if dry_run:
                return obj
            stored = self._put(key, have, obj)
            if stored["metadata"].get("deletionTimestamp") and self._may_go(key, stored):
                return self._drop(key, stored)
            return stored

    def delete(self, key: Key, namespace: str, name: str, grace: int = 0, uid: str = "", dry_run: bool = False) -> dict:
        """Delete, or mark as being deleted when a grace period or a finalizer holds the object back."""
        with self.lock:
            have = self.get(key, namespace, name)
            meta = have["metadata"]
            if uid and uid != meta["uid"]:
                raise errors.conflict(
                    key.group,
                    key.plural,
                    name,
                    f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}",
                )
            if dry_run:
                return have
            before = copy.deepcopy(have)
            held = bool(meta.get("finalizers"))
            already = meta.get("deletionGracePeriodSeconds")
            if "deletionTimestamp" in meta and already is not None:
                grace = min(grace, already)
            meta["deletionGracePeriodSeconds"] = grace
            if grace != already or "deletionTimestamp" not in meta:
                meta["deletionTimestamp"] = later(grace)
            if grace > 0 or held:
                return have if have == before else self._put(key, before, have)
            return self._drop(key, have)

    def _may_go(self, key: Key, obj: dict) -> bool:
        meta = obj["metadata"]
        return not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds") and key != NAMESPACES

    def _put(self, key: Key, before: t.Optional[dict], obj: dict) -> dict:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._objects[key][(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])] = obj
        self._record(Event(self.version, key, copy.deepcopy(before), copy.deepcopy(obj)))
        return copy.deepcopy(obj)

    def _drop(self, key: Key, obj: dict) -> dict:
        self.version += 1
        where = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        before = self._objects[key].pop(where)
        gone = copy.deepcopy(obj)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._record(Event(self.version, key, copy.deepcopy({**before, "metadata": gone["metadata"]}), None))
        return gone

    def drop(self, key: Key, namespace: str, name: str) -> None:
        """Remove at once, whatever holds it (a namespace whose content is gone)."""
        with self.lock:
            self._drop(key, self.get(key, namespace, name))

    def _record(self, event: Event) -> None:
        if len(self._history) == self._history.maxlen:
            self._oldest = self._history[0].version
        self._history.append(event)
        self.changed.notify_all()

    # --- the snapshot

    def save(self) -> None:
        if not self._path:
            return
        with self.lock:
            content = {
                "version": self.version,
                "objects": [
                    [key.group, key.plural, obj] for key, objects in self._objects.items() for obj in objects.values()
                ],
            }
            text = json.dumps(content)
        temporary = self._path + ".tmp"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, self._path)

    def _load(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        self.version = self._oldest = content["version"]
        for group, plural, obj in content["objects"]:
            meta = obj["metadata"]
            self._objects[Key(group, plural)][(meta.get("namespace", ""), meta["name"])] = obj
