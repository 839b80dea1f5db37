# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe archives: what each is of, when it was made, how large its parts are, whether its record fits.

PRIVATE to the collection. An archive that is broken, hostile or of an unknown kind becomes an entry that says so; it
never ends the listing. Values of environment variables, and memory beyond command lines, are never returned.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import (
    ArchiveContents,
    ArchiveScanner,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_details import read_details
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import (
    plain_names,
    read_directory,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import format_time
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_source import (
    NONE,
    ArchiveSource,
    ZstdTools,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpointctl import Run, inspect
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._criu_stats import dump_statistics
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    InputError,
    RuntimeToolError,
)

COMPLETE, MISSING, MISMATCH, NEWER, DAMAGED = "complete", "missing", "mismatch", "newer_schema", "damaged"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

JsonDict = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Tools:
    """Programs of this machine, as far as they are needed. Each is looked for once."""

    find: t.Callable[[str], t.Optional[str]]
    run: Run
    zstd: ZstdTools


@dataclass(frozen=True)
class Wish:
    """What to find out. tool: auto, builtin or checkpointctl. trust_record: a compressed archive with a record is not
    decompressed only to read its identity again."""

    verify: bool = False
    details: bool = False
    tool: str = "auto"
    trust_record: bool = False


def paths_of(path: str) -> t.List[str]:
    """The archives that a path means: itself, or those right inside the directory."""
    if not os.path.isdir(path) or os.path.islink(path):
        if not os.path.lexists(path):
            raise InputError("there is nothing at %s" % path)
        return [path]
    directory = read_directory(path)
    return [os.path.join(path, found.name) for found in directory.archives]


def describe_all(paths: t.Sequence[str], wish: Wish, tools: Tools, workers: int = 1) -> t.List[JsonDict]:
    """All of them, in their order; with several workers, in so many processes, because it is work of the processor."""
    parts = [paths[number::workers] for number in range(workers)]
    pipes = [_start(part, wish, tools) for part in parts[1:]]
    results = [[describe(path, wish, tools) for path in parts[0]]]
    for part, (child, reading) in zip(parts[1:], pipes):
        with open(reading, "rb") as stream:
            raw = stream.read()
        dummy, status = os.waitpid(child, 0)
        # A worker that was killed costs time, and nothing else.
        results.append(json.loads(raw) if status == 0 else [describe(path, wish, tools) for path in part])
    return [results[number % workers][number // workers] for number in range(len(paths))]


def workers_for(count: int) -> int:
    """How many processes are worth it for so many archives on this machine."""
    return max(1, min(4, os.cpu_count() or 1, count // 50))


def _start(paths: t.Sequence[str], wish: Wish, tools: Tools) -> t.Tuple[int, int]:
    """A worker, and the pipe that it writes its results into when it has all of them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.close(reading)
        with open(writing, "wb") as stream:
            stream.write(json.dumps([describe(path, wish, tools) for path in paths]).encode("ascii"))
        status = 0
    finally:
        # Not sys.exit: nothing of the parent's may run twice.
        os._exit(status)


def describe(path: str, wish: Wish, tools: Tools) -> JsonDict:
    """One archive. Whatever is wrong with it is in C(error)."""
    entry = _blank(path)
    try:
        status = os.lstat(path)
        entry["size"] = status.st_size
        entry["modified_at"] = utc(status.st_mtime)
        record = _read_record(path, entry["record"])
        with ArchiveSource(path, tools.zstd) as source:
            _fill(entry, source, record, wish, tools)
            source.check_unchanged()
    except CheckpointError as exc:
        entry["error"] = exc.msg
        entry["incomplete"] = bool(exc.details.get("incomplete"))
    except OSError as exc:
        entry["error"] = "it cannot be read: %s" % (exc.strerror or exc)
    return t.cast(JsonDict, clean(entry))


def utc(seconds: float) -> t.Optional[str]:
    """A file's time as the record writes times; None for one that no calendar has."""
    try:
        return format_time(datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc))
    except (ValueError, OverflowError, OSError):
        return None


def clean(value: t.Any) -> t.Any:
    """The same value with nothing in its texts that a terminal or a log would act on."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else _UNSAFE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {clean(key): clean(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(child) for child in value]
    return value


def _blank(path: str) -> JsonDict:
    entry: JsonDict = {"path": path, "name": os.path.basename(path), "error": None, "incomplete": False}
    for key in (
        "size", "modified_at", "compression", "encrypted", "identity_from", "engine", "namespace", "pod", "pod_uid",
        "container", "container_id", "cluster", "node", "owner", "restart_count", "image", "oci_runtime", "created_at", "checkpointed_at", "sizes",
        "statistics", "machine", "sha256", "verified", "details", "details_by", "details_error",
    ):  # fmt: skip
        entry[key] = None
    entry["record"] = {"state": MISSING, "path": None, "id": None, "sha256": None, "why": None}
    return entry


def _fill(
    entry: JsonDict, source: ArchiveSource, record: t.Optional[_record.Record], wish: Wish, tools: Tools
) -> None:
    entry["compression"], entry["encrypted"] = source.compression, source.encrypted
    usable = record is not None and record["archive"]["name"] in plain_names(entry["name"])
    unread = source.encrypted or (source.compression != NONE and wish.trust_record and not wish.verify)
    contents: t.Optional[ArchiveContents] = None
    if unread and record is not None and usable:
        entry["identity_from"] = "record"
        entry.update(_from_record(record))
    elif source.encrypted:
        raise CheckpointError("it is encrypted with age, and no record beside it tells what it is")
    else:
        contents, digest = _scan(source, wish.verify)
        entry["sha256"] = digest
        entry["identity_from"] = "archive"
        entry.update(_from_contents(contents))
    if record is not None:
        entry.update((key, record["source"].get(key)) for key in ("cluster", "node", "owner"))
        why = _mismatch(entry, record, contents)
        if why is None and wish.verify:
            why = _wrong_digest(entry, source, record)
        entry["record"].update(state=MISMATCH if why else COMPLETE, why=why)
        entry["verified"] = (why is None) if wish.verify else None
    elif wish.verify and entry["sha256"] is None:
        entry["sha256"] = source.stored_sha256()
    if wish.details and contents is not None:
        _add_details(entry, source, contents, wish.tool, tools)


def _scan(source: ArchiveSource, hash_it: bool) -> t.Tuple[ArchiveContents, t.Optional[str]]:
    scanner = ArchiveScanner()
    digest = hashlib.sha256() if hash_it else None
    source.feed(scanner, digest.update if digest is not None else None)
    return scanner.finish(), digest.hexdigest() if digest is not None else None


# The record -------------------------------------------------------------------------------------------------------


def _read_record(path: str, state: JsonDict) -> t.Optional[_record.Record]:
    """The archive's record, None if there is none that can be used; C(state) tells which."""
    folder, name = os.path.split(path)
    places = [_record.path_for(os.path.join(folder, base)) for base in plain_names(name)]
    where = next((place for place in places if os.path.lexists(place)), None)
    if where is None:
        return None
    state["path"] = where
    try:
        record = _record.read(where)
    except CheckpointError as exc:
        state["state"] = NEWER if exc.details.get("record_schema", 0) > _record.SCHEMA else DAMAGED
        state["why"] = exc.msg
        return None
    state["id"] = record.get("id") if isinstance(record.get("id"), str) else None
    state["sha256"] = record["archive"]["sha256"]
    return record


def _mismatch(entry: JsonDict, record: _record.Record, contents: t.Optional[ArchiveContents]) -> t.Optional[str]:
    """Why a record is not this archive's; None if nothing speaks against it."""
    recorded = record["archive"]
    if recorded["name"] not in plain_names(entry["name"]):
        return "the record is of the file %s" % recorded["name"]
    if contents is not None and recorded["bytes"] != contents.bytes:
        return "the record says %d bytes, the archive has %d" % (recorded["bytes"], contents.bytes)
    if record["source"]["container_id"] != entry["container_id"]:
        return "the record is of container %s" % record["source"]["container_id"]
    if record["engine"]["name"] != entry["engine"]:
        return "the record is of an archive of %s" % record["engine"]["name"]
    return None


def _wrong_digest(entry: JsonDict, source: ArchiveSource, record: _record.Record) -> t.Optional[str]:
    wanted = record["archive"]["sha256"]
    if entry["sha256"] is None:
        # Encrypted: only the file as it lies there can be compared.
        entry["sha256"] = source.stored_sha256()
        wanted = record["archive"].get("stored_sha256")
    if entry["sha256"] != wanted:
        return "the record says SHA-256 %s, the archive has %s" % (wanted, entry["sha256"])
    return None


# Fields -----------------------------------------------------------------------------------------------------------


def _from_contents(contents: ArchiveContents) -> JsonDict:
    identity = contents.identity
    sizes = {"uncompressed": contents.bytes, "memory_pages": 0, "rootfs_diff": 0, "checkpoint": 0}
    for name, size in contents.members:
        if name.startswith("checkpoint/"):
            sizes["checkpoint"] += size
            if name.startswith("checkpoint/pages-"):
                sizes["memory_pages"] += size
        elif name == "rootfs-diff.tar":
            sizes["rootfs_diff"] = size
    container = identity.container
    if container is None and isinstance(contents.documents["config.dump"].get("name"), str):
        # podman has no pods of Kubernetes; the container has a name all the same.
        container = contents.documents["config.dump"]["name"]
    return {
        "engine": identity.engine,
        "namespace": identity.namespace,
        "pod": identity.pod,
        "pod_uid": identity.pod_uid,
        "container": container,
        "container_id": identity.container_id,
        "restart_count": identity.restart_count,
        "image": {
            "requested": identity.base_image_requested,
            "ref": identity.base_image_ref,
            "digest": identity.base_image_digest,
            "id": identity.base_image_id,
        },
        "oci_runtime": identity.oci_runtime,
        "created_at": identity.created_at,
        "checkpointed_at": identity.checkpointed_at,
        "sizes": sizes,
        "statistics": _statistics(contents.small.get("stats-dump")),
        "machine": {"criu": identity.criu, "kernel": identity.kernel, "arch": identity.arch, "cpu": identity.cpu},
    }


def _statistics(raw: t.Optional[bytes]) -> t.Optional[t.Dict[str, int]]:
    """CRIU's numbers; None where they are missing or damaged, which says nothing against the rest of the archive."""
    try:
        return dump_statistics(raw) if raw is not None else None
    except ArchiveError:
        return None


def _from_record(record: _record.Record) -> JsonDict:
    source, image = record["source"], record.get("base_image")
    result = {key: source.get(key) for key in ("namespace", "pod", "pod_uid", "container", "container_id", "restart_count")}
    result["engine"] = record["engine"]["name"]
    result["image"] = {key: image.get(key) for key in ("requested", "ref", "digest", "id")} if isinstance(image, dict) else None
    for key in ("oci_runtime", "created_at", "checkpointed_at"):
        result[key] = record.get(key)
    result["sizes"] = {
        "uncompressed": record["archive"]["bytes"], "memory_pages": None, "rootfs_diff": None, "checkpoint": None
    }  # fmt: skip
    result["machine"] = {key: record.get(key) for key in ("criu", "kernel", "arch", "cpu")}
    return result


def _add_details(entry: JsonDict, source: ArchiveSource, contents: ArchiveContents, tool: str, tools: Tools) -> None:
    """Processes and what they hold, by checkpointctl or our own reader; mounts and names of variables by the spec."""
    spec = contents.documents["spec.dump"]
    details: JsonDict = {"processes": None, "open_files": None, "sockets": None}
    try:
        found, entry["details_by"] = _inspect(entry["path"], source, tool, tools)
        details.update(found)
    except CheckpointError as exc:
        entry["details_error"] = exc.msg
    details["mounts"] = _mounts(spec)
    details["environment"] = _environment_names(spec)
    entry["details"] = details


def _inspect(path: str, source: ArchiveSource, tool: str, tools: Tools) -> t.Tuple[JsonDict, str]:
    program = tools.find("checkpointctl") if tool != "builtin" else None
    if program is None:
        if tool == "checkpointctl":
            raise RuntimeToolError("the program checkpointctl is not installed here: install the package checkpointctl")
        return read_details(source), "builtin"
    try:
        details = inspect(tools.run, program, path)
    except CheckpointError:
        if tool == "checkpointctl":
            raise
        return read_details(source), "builtin"
    if tool == "auto" and any(not process["command_line"] for process in details["processes"]):
        # checkpointctl before 1.4 does not find the arguments in images of CRIU 4.2.
        own = {process["pid"]: process for process in read_details(source)["processes"]}
        for process in details["processes"]:
            process["command_line"] = process["command_line"] or own.get(process["pid"], {}).get("command_line", "")
        return details, "checkpointctl, command lines builtin"
    return details, "checkpointctl"


def _mounts(spec: t.Mapping[str, t.Any]) -> t.List[JsonDict]:
    mounts = spec.get("mounts")
    return [
        {key: mount.get(key) if isinstance(mount.get(key), str) else None for key in ("destination", "type", "source")}
        for mount in (mounts if isinstance(mounts, list) else [])
        if isinstance(mount, dict)
    ]


def _environment_names(spec: t.Mapping[str, t.Any]) -> t.List[str]:
    """Names only. What has no C(=), or no name before it that can be one, is left out: it may be a value."""
    process = spec.get("process")
    entries = process.get("env") if isinstance(process, dict) else None
    names = set()
    for entry in entries if isinstance(entries, list) else []:
        name, equals, dummy = entry.partition("=") if isinstance(entry, str) else ("", "", "")
        if equals and _NAME.fullmatch(name):
            names.add(name)
    return sorted(names)
