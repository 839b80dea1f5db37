# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: our JSON description of one archive, written next to it, last. An archive without one is not complete.

PRIVATE to the collection. C(build) is pure; C(read) and C(write) touch the disk. The pod's object lies beside it as
C(<archive>.pod.json), because it may hold secrets in plain text: 0600, never returned.
"""

from __future__ import annotations

import io
import json
import os
import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import parse_time
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular, write_atomic
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import VerifiedArchive
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._version import VERSION

SCHEMA = 1
RECORD_SUFFIX = ".record.json"
POD_SUFFIX = ".pod.json"
_MAX_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")

Record = t.Dict[str, t.Any]

# What a reader may rely on: section, field, and the types its value may have.
_REQUIRED: t.Tuple[t.Tuple[str, str, t.Tuple[type, ...]], ...] = (
    ("source", "namespace", (str, type(None))),
    ("source", "pod", (str, type(None))),
    ("source", "container", (str, type(None))),
    ("source", "container_id", (str,)),
    ("engine", "name", (str,)),
    ("archive", "name", (str,)),
    ("archive", "bytes", (int,)),
    ("archive", "sha256", (str,)),
)


def path_for(archive: str) -> str:
    """Where the record of an archive is."""
    return archive + RECORD_SUFFIX


def pod_path_for(archive: str) -> str:
    """Where the pod's object that belongs to an archive is."""
    return archive + POD_SUFFIX


def build(
    archive: str,
    verified: VerifiedArchive,
    node: t.Optional[str] = None,
    cluster: t.Optional[str] = None,
    pod: t.Optional[t.Mapping[str, t.Any]] = None,
    engine_version: t.Optional[str] = None,
    stages: t.Optional[t.Mapping[str, float]] = None,
) -> Record:
    """Describe an archive that was read and verified. pod: the pod's object, of which only the owner is taken."""
    identity = verified.contents.identity
    return {
        "schema": SCHEMA,
        "id": verified.sha256[:32],
        "source": {
            "cluster": cluster,
            "node": node,
            "namespace": identity.namespace,
            "pod": identity.pod,
            "pod_uid": identity.pod_uid,
            "owner": _owner(pod or {}),
            "container": identity.container,
            "container_id": identity.container_id,
            "restart_count": identity.restart_count,
            "hostname": identity.hostname,
            "tty": identity.tty,
        },
        "engine": {"name": identity.engine, "version": engine_version},
        "oci_runtime": identity.oci_runtime,
        "criu": identity.criu,
        "kernel": identity.kernel,
        "arch": identity.arch,
        "cpu": identity.cpu,
        "base_image": {
            "requested": identity.base_image_requested,
            "ref": identity.base_image_ref,
            "digest": identity.base_image_digest,
            "id": identity.base_image_id,
        },
        "archive": {
            "name": os.path.basename(archive),
            "bytes": verified.state.size,
            "sha256": verified.sha256,
            "stored_sha256": verified.sha256,
        },
        "created_at": identity.created_at,
        "checkpointed_at": identity.checkpointed_at,
        "stages": {key: round(value, 6) for key, value in (stages or {}).items()},
        "frozen": False,
        "unfrozen_after_dump_ms": None,
        "mounts": list(identity.mounts),
        "credentials": identity.credentials,
        "tool_version": VERSION,
    }


def _owner(pod: t.Mapping[str, t.Any]) -> t.Optional[t.Dict[str, t.Any]]:
    for reference in (pod.get("metadata") or {}).get("ownerReferences") or []:
        if reference.get("controller"):
            return {key: reference.get(key) for key in ("apiVersion", "kind", "name", "uid")}
    return None


def dumps(record: Record) -> bytes:
    """The record's bytes: indented, sorted, with a line end."""
    return (json.dumps(record, indent=2, sort_keys=True) + "\n").encode("utf-8")


def write(archive: str, record: Record) -> str:
    """Write the record of an archive, atomically, readable for its owner only; return the path."""
    path = path_for(archive)
    write_atomic(path, dumps(record))
    return path


def write_pod(archive: str, pod: t.Mapping[str, t.Any]) -> str:
    """Keep the pod's object beside the archive; return the path."""
    path = pod_path_for(archive)
    write_atomic(path, (json.dumps(pod, sort_keys=True) + "\n").encode("utf-8"))
    return path


def read(path: str) -> Record:
    """Read a record and check that it is one this version understands."""
    try:
        with open_regular(path) as stream:
            raw = io.BufferedReader(t.cast(io.RawIOBase, stream)).read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ArchiveError("record %s cannot be read: %s" % (path, exc.strerror or exc)) from None
    if len(raw) > _MAX_BYTES:
        raise ArchiveError("record %s has more than %d bytes; this is not a record" % (path, _MAX_BYTES))
    try:
        record = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ArchiveError("record %s is not valid JSON" % path) from None
    return check(record, path)


def check(record: t.Any, path: str) -> Record:
    """Return the record if its shape is right, else raise ArchiveError naming path."""
    schema = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise ArchiveError("record %s has no schema number; this is not a record" % path)
    if schema > SCHEMA:
        raise ArchiveError(
            "record %s has schema %d, and this version of the collection reads up to %d; use the version that wrote it"
            " or a newer one" % (path, schema, SCHEMA),
            record_schema=schema,
        )
    for section, field, types in _REQUIRED:
        value = record.get(section)
        if not isinstance(value, dict) or not isinstance(value.get(field), types) or isinstance(value.get(field), bool):
            raise ArchiveError("record %s is damaged: %s.%s is missing or of the wrong type" % (path, section, field))
    if not _SHA256.fullmatch(record["archive"]["sha256"]) or record["archive"]["bytes"] < 0:
        raise ArchiveError("record %s is damaged: archive.sha256 or archive.bytes cannot be right" % path)
    if record["archive"]["name"] != os.path.basename(record["archive"]["name"]):
        raise ArchiveError("record %s is damaged: archive.name is not a file name" % path)
    if record.get("checkpointed_at") is not None and parse_time(record["checkpointed_at"]) is None:
        raise ArchiveError("record %s is damaged: checkpointed_at is not a time" % path)
    return record
