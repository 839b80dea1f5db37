# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging an archive for the restore handler: verify, sanitise, unpack, bind, and put it where only its pod finds it.

PRIVATE to the collection. The archive is read once. Nothing is visible to the handler before the last rename.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
import typing as t
import uuid
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_tasks, _stage, _stage_pod
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveContents, ArchiveScanner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import CONTAINERD, CRIO
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_cpu import Cpu
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_unpack import Unpacker

# CRIU's numbers of machines (core.proto) and what uname calls them.
_MACHINES = {1: "x86_64", 3: "aarch64", 4: "ppc64le", 5: "s390x", 7: "loongarch64", 8: "riscv64"}

Feed = t.Callable[[t.Sequence[t.Callable[[bytes], t.Any]]], t.Any]


@dataclass(frozen=True)
class Order:
    """What the caller wants staged, and what it knows about it from elsewhere than the archive."""

    namespace: str
    pod: str
    container: str
    archive_sha256: str
    pod_uid: t.Optional[str] = None
    owner_uid: t.Optional[str] = None
    service_account: t.Optional[str] = None
    base_image_digest: t.Optional[str] = None
    source_pod: t.Optional[str] = None
    policy: str = "fail"
    expires: int = 3600
    accept: t.Tuple[str, ...] = ()
    pod_object: t.Optional[t.Mapping[str, t.Any]] = None
    record: t.Optional[t.Mapping[str, t.Any]] = None
    record_sha256: t.Optional[str] = None
    image: t.Optional[str] = None

    @property
    def binding(self) -> t.Dict[str, t.Any]:
        """What decides which container may claim the entry."""
        return {
            "namespace": self.namespace, "pod": self.pod, "container": self.container, "pod_uid": self.pod_uid,
            "owner_uid": self.owner_uid, "service_account": self.service_account, "base_image_digest": self.base_image_digest,
        }


@dataclass(frozen=True)
class Staged:
    """An entry that is staged (or would be, in check mode), and what is worth knowing about it."""

    document: t.Dict[str, t.Any]
    created: bool
    warnings: t.List[str] = field(default_factory=list)
    stages: t.Dict[str, float] = field(default_factory=dict)


def existing(root: str, order: Order) -> t.Optional[_stage.Entry]:
    """The entry that already waits for this container with this checkpoint; RestoreError if another one does."""
    if not os.path.isdir(root):
        return None
    _stage.check_root(root)
    for entry in _stage.entries(root, (_stage.STAGED, _stage.CLAIMED, _stage.FAILED)):
        mine = entry.binding
        if any(mine.get(key) != order.binding[key] for key in ("namespace", "pod", "container")):
            continue
        if mine.get("pod_uid") and order.pod_uid and mine["pod_uid"] != order.pod_uid:
            continue
        if entry.state == _stage.STAGED and entry.document["checkpoint"]["sha256"] == order.archive_sha256 \
                and mine.get("owner_uid") == order.owner_uid and not entry.expired(time.time()):
            return entry
        raise RestoreError(
            "restore %s is already %s for %s/%s/%s; remove it with state=absent before you stage another one"
            % (entry.id, entry.state, order.namespace, order.pod, order.container), entry_id=entry.id,
        )
    return None


def stage(root: str, order: Order, feed: Feed, cpu: t.Optional[Cpu] = None) -> Staged:
    """Stage what C(feed) streams into the sinks it is given. cpu: this node's, to be compared with the checkpoint's."""
    began = time.monotonic()
    _check_order(order)
    _stage.ensure_root(root)
    name = uuid.uuid4().hex
    directory = os.path.join(root, _stage.INCOMING, name)
    os.mkdir(directory, 0o700)
    done = False
    try:
        _stage.write_json(os.path.join(directory, _stage.CLAIM_FILE), _stage.claimer())
        contents, files, digest = _unpack(directory, feed)
        unpacked = time.monotonic()
        images = _criu_tasks.read(os.path.join(directory, _stage.IMAGES))
        warnings = check(order, contents, digest, images)
        warnings += cpu.judge(contents.identity.cpu, os.path.join(directory, _stage.IMAGES)) if cpu else []
        document = _document(name, order, contents, files, digest)
        _stage.write_json(os.path.join(directory, _stage.ENTRY_FILE), document)
        os.unlink(os.path.join(directory, _stage.CLAIM_FILE))
        with _stage.locked(root):
            if existing(root, order) is not None:
                raise RestoreError("the same restore was staged by somebody else in the meantime")
            _stage.move(root, _stage.Entry(name, _stage.INCOMING, directory, document), _stage.STAGED)
        done = True
    except OSError as exc:
        raise RestoreError("the archive cannot be staged below %s: %s" % (root, exc)) from exc
    finally:
        if not done:
            _stage.remove(_stage.Entry(name, _stage.INCOMING, directory, {}))
    return Staged(document, True, warnings, {
        "unpack": round(unpacked - began, 3), "check": round(time.monotonic() - unpacked, 3),
    })


def rehearse(order: Order, feed: Feed, cpu: t.Optional[Cpu] = None) -> t.List[str]:
    """Read and judge what C(feed) streams as far as that goes without unpacking it; returns warnings."""
    if order.pod_object is not None:
        _check_order(order)
    digest, scanner = hashlib.sha256(), ArchiveScanner()
    feed([digest.update, scanner.feed])
    contents = scanner.finish()
    return check(order, contents, digest.hexdigest(), None) + (cpu.judge(contents.identity.cpu, None) if cpu else [])


def check(order: Order, contents: ArchiveContents, digest: str, images: t.Optional[_criu_tasks.Images]) -> t.List[str]:
    """Everything that can be held against an archive before its pod exists; returns warnings."""
    identity = contents.identity
    if digest != order.archive_sha256:
        raise ArchiveError("the archive has the SHA-256 digest %s, not %s: it is another one, or it was changed" % (digest, order.archive_sha256))
    if identity.engine not in (CONTAINERD, CRIO):
        raise ArchiveError("the archive was made by %s; only archives of containerd and CRI-O can be restored" % identity.engine)
    identity.check(namespace=order.namespace, container=order.container, pod=order.source_pod or order.pod)
    if order.base_image_digest and identity.base_image_digest and identity.base_image_digest != order.base_image_digest:
        raise ArchiveError("the archive's base image has the digest %s, not %s" % (identity.base_image_digest, order.base_image_digest))
    if order.record is not None:
        _check_record(order.record, identity, digest)
    here = platform.machine()
    machine = _MACHINES.get(images.machine) if images else identity.arch
    if machine and machine != here:
        raise RestoreError("the checkpoint was made on %s and this node is %s" % (machine, here))
    warnings = []
    if identity.kernel and _version(identity.kernel) > _version(platform.release()):
        warnings.append("the checkpoint was made on kernel %s and this node runs the older %s" % (identity.kernel, platform.release()))
    if images and order.pod_object is not None:
        _stage_pod.check_fitness(order.pod_object, order.container, images, identity.tty, order.accept)
    return warnings


def bind(root: str, name: str, order: Order, check_mode: bool = False) -> _stage.Entry:
    """Confirm that a pod which its owner made is the one an entry waits for: from now on only that pod may claim it."""
    with _stage.locked(root):
        entry = _stage.load(root, _stage.STAGED, name)
        if entry is None:
            raise RestoreError("there is no staged restore %s" % name)
        mine = entry.binding
        if order.pod_object is None:
            raise InputError("binding a restore to its pod needs the pod's object")
        uid = _stage_pod.check_identity(
            order.pod_object, mine["namespace"], mine["pod"], mine["container"], mine.get("pod_uid"), mine.get("owner_uid"),
            mine.get("service_account"), mine.get("base_image_digest"),
        )
        images = _criu_tasks.read(os.path.join(entry.path, _stage.IMAGES))
        _stage_pod.check_fitness(order.pod_object, mine["container"], images, bool(entry.document["checkpoint"]["tty"]),
                                 entry.document.get("accept") or [])
        document = dict(entry.document, binding=dict(mine, pod_uid=uid))
        if not check_mode:
            _stage.write_json(os.path.join(entry.path, _stage.ENTRY_FILE), document)
        return _stage.Entry(entry.id, entry.state, entry.path, document)


def _check_order(order: Order) -> None:
    if order.pod_object is not None:
        _stage_pod.check_identity(order.pod_object, order.namespace, order.pod, order.container, order.pod_uid,
                                  order.owner_uid, order.service_account, order.base_image_digest)
    if not order.pod_uid and not (order.owner_uid and order.base_image_digest and order.service_account):
        raise InputError(
            "a restore is bound to a pod's UID, or to the owner's UID together with ServiceAccount and base image digest; "
            "a name alone would let anybody who can create pods take it"
        )


def _unpack(directory: str, feed: Feed) -> t.Tuple[ArchiveContents, t.Dict[str, int], str]:
    digest = hashlib.sha256()
    scanner, unpacker = ArchiveScanner(), Unpacker(directory)
    try:
        feed([digest.update, scanner.feed, unpacker.feed])
        return scanner.finish(), unpacker.finish(), digest.hexdigest()
    finally:
        unpacker.close()


def _check_record(record: t.Mapping[str, t.Any], identity: t.Any, digest: str) -> None:
    if record["archive"]["sha256"] != digest:
        raise ArchiveError("the record is of another archive: it says %s, the archive has %s" % (record["archive"]["sha256"], digest))
    source = record["source"]
    for key in ("namespace", "pod", "container", "container_id"):
        if source.get(key) != getattr(identity, key):
            raise ArchiveError("the record says %s %r and the archive says %r" % (key, source.get(key), getattr(identity, key)))


def _document(name: str, order: Order, contents: ArchiveContents, files: t.Dict[str, int], digest: str) -> t.Dict[str, t.Any]:
    now = time.time()
    identity = contents.identity
    return {
        "schema": _stage.SCHEMA,
        "id": name,
        "created_at": now,
        "expires_at": now + order.expires,
        "binding": order.binding,
        "policy": order.policy,
        "accept": sorted(order.accept),
        "checkpoint": {
            "sha256": digest, "bytes": contents.bytes, "engine": identity.engine, "checkpointed_at": identity.checkpointed_at,
            "container_id": identity.container_id, "pod": identity.pod, "pod_uid": identity.pod_uid, "tty": identity.tty,
            "base_image_digest": identity.base_image_digest, "record_sha256": order.record_sha256,
            "record": (order.record or {}).get("id"), "image": order.image,
        },
        "files": files,
    }


def _version(text: str) -> t.List[int]:
    return [int(part) for part in text.partition("-")[0].split(".")[:2] if part.isdigit()]
