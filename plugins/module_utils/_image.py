# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a checkpoint archive into a checkpoint image in one read of the archive.

PRIVATE to the collection. The archive's bytes pass once: through the scanner that refuses hostile archives, the hash,
the compression if any, and into the target. Only when all of them agree is the image published. If the record or the
target already know enough, the archive is not read at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _archive_privileges,
    _oci,
    _oci_checkpoint,
    _record,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveContents, scan_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import (
    RunWithPipes,
    check_level,
    make_compressor,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_target import Target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import (
    FileState,
    VerifiedArchive,
    verify_archive,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_upload import UploadLost

_PROGRESS = 16 * 1024 * 1024


@dataclass(frozen=True)
class ImageRequest:
    """What to make. record_path: None for the one beside the archive, if there is one."""

    src: str
    compression: str = "none"
    level: t.Optional[int] = None
    machine: t.Optional[str] = None
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    record_path: t.Optional[str] = None


def nothing_yet() -> dict[str, t.Any]:
    """The result of a job that has not begun."""
    return {
        "digest": None,
        "layer": None,
        "bytes_read": 0,
        "bytes_sent": 0,
        "blobs": [],
        "annotations": {},
        "identity": None,
        "privileges": None,
        "stages": {},
    }


class ImageJob:
    """One archive on its way to one target.

    C(progress) can be read at any time, also after a failure; C(previous) is the manifest that was there before.
    """

    def __init__(
        self,
        request: ImageRequest,
        target: Target,
        find: t.Callable[[str], t.Optional[str]],
        run: t.Optional[RunWithPipes],
        restarts: int = 5,
    ) -> None:
        self._request = request
        self._target = target
        self._find = find
        self._run = run
        self._restarts = restarts
        self._level = check_level(request.compression, request.level)
        self._layer_type = _oci.LAYER_TYPES[request.compression]
        self._bytes_read = 0
        self._stages: dict[str, float] = {}
        self._result = {
            key: value for key, value in nothing_yet().items() if key not in ("bytes_read", "bytes_sent", "stages")
        }
        self.previous: t.Optional[bytes] = None

    @property
    def progress(self) -> dict[str, t.Any]:
        """The result as far as it has come."""
        stages = {name: round(seconds, 3) for name, seconds in self._stages.items()}
        return dict(self._result, bytes_read=self._bytes_read, bytes_sent=self._target.bytes_sent, stages=stages)

    def make(self) -> bool:
        """Make sure that the image is at the target; return whether it was not there before."""
        try:
            return self._make()
        finally:
            self._target.abort()

    def _make(self) -> bool:
        state = _state(self._request.src)
        record = self._record(state)
        there = self.previous = self._timed("look", self._target.manifest)
        known: t.Optional[str] = None
        quick: t.Optional[ArchiveContents] = None
        if record is not None or there is not None:
            quick = self._timed("look", lambda: scan_file(self._request.src))
            known = self._known_sha256(record, quick, state)
        if there is not None and quick is not None and self._may_be_same(there, quick, state):
            if known is None:
                known = self._timed("read", lambda: self._hash(state))
            if self._is_same(there, quick, known, state):
                return False
        contents, diff_id, layer = self._layer(quick, known, state)
        if record is not None:
            _compare_record(record, contents, diff_id)
        self._publish(contents, diff_id, layer)
        return True

    # The layer ------------------------------------------------------------------------------------------------------

    def _layer(
        self, quick: t.Optional[ArchiveContents], known: t.Optional[str], state: FileState
    ) -> tuple[ArchiveContents, str, _oci.Descriptor]:
        if quick is not None and known is not None and self._layer_type == _oci.LAYER_TYPE and self._target.keeps_blobs:
            _oci_checkpoint.checkpoint_annotations(quick, self._request.annotations)
            layer = _oci.Descriptor(self._layer_type, "sha256:" + known, state.size)
            if self._target.blob_size(layer.digest) in (layer.size, -1):
                self._note_blob(layer.digest, existed=True)
                return quick, layer.digest, layer
        restarts, position = 0, 0
        while True:
            try:
                return self._timed("stream", lambda: self._stream(known, state))
            except UploadLost as exc:
                # A long upload may break more often, as long as it gets on in between.
                restarts = 1 if exc.position >= position + _PROGRESS else restarts + 1
                position = max(position, exc.position)
                if restarts > self._restarts:
                    raise

    def _stream(self, known: t.Optional[str], state: FileState) -> tuple[ArchiveContents, str, _oci.Descriptor]:
        """The one read: scan, hash, compress and send at the same time."""
        writer = self._target.writer(state.size if self._layer_type == _oci.LAYER_TYPE else None)
        tally = _Tally(writer.write)
        try:
            compressor = make_compressor(
                self._request.compression,
                self._level,
                # Without compression the layer is the archive, and one hash serves both.
                writer.write if self._layer_type == _oci.LAYER_TYPE else tally.write,
                self._find,
                self._run,
            )
            try:
                reader = _archive_privileges.PrivilegeReader()
                verified = self._read(state, [compressor.write, reader.feed])
                self._note_privileges(reader.images)
                # Whatever is wrong with the archive is found out before the upload becomes a blob.
                if known is not None and verified.sha256 != known:
                    raise ArchiveError(
                        "archive %s has the sha256 %s, but its record says %s: it was changed after it was verified"
                        % (self._request.src, verified.sha256, known)
                    )
                _oci_checkpoint.checkpoint_annotations(verified.contents, self._request.annotations)
                compressor.close()
            except BaseException:
                compressor.abort()
                raise
            diff_id = "sha256:" + verified.sha256
            plain = self._layer_type == _oci.LAYER_TYPE
            layer = _oci.Descriptor(
                self._layer_type, diff_id if plain else tally.digest, state.size if plain else tally.size
            )
            writer.finish(layer.digest)
        except BaseException:
            writer.abort()
            raise
        self._note_blob(layer.digest, existed=False)
        return verified.contents, diff_id, layer

    def _read(self, state: FileState, sinks: t.Sequence[t.Callable[[bytes], t.Any]]) -> VerifiedArchive:
        return verify_archive(self._request.src, expect=state, extra_sinks=[self._count, *sinks])

    def _hash(self, state: FileState) -> str:
        return self._read(state, []).sha256

    def _count(self, block: bytes) -> None:
        self._bytes_read += len(block)

    # What is known without reading ----------------------------------------------------------------------------------

    def _record(self, state: FileState) -> t.Optional[_record.Record]:
        path = self._request.record_path or _record.path_for(self._request.src)
        if self._request.record_path is None and not os.path.exists(path):
            return None
        record = _record.read(path)
        if record["archive"]["bytes"] != state.size:
            raise ArchiveError(
                "archive %s has %d bytes, but its record says %d: it was truncated or changed after it was verified"
                % (self._request.src, state.size, record["archive"]["bytes"])
            )
        return record

    def _known_sha256(
        self, record: t.Optional[_record.Record], quick: ArchiveContents, state: FileState
    ) -> t.Optional[str]:
        """The digest that the record vouches for, unless the archive was touched after the record was written."""
        if record is None:
            return None
        _compare_record(record, quick, None)
        path = self._request.record_path or _record.path_for(self._request.src)
        fresh = state.mtime_ns <= os.stat(path).st_mtime_ns
        return t.cast(str, record["archive"]["sha256"]) if fresh else None

    def _may_be_same(self, there: bytes, quick: ArchiveContents, state: FileState) -> bool:
        """Whether the image that is there can be of this archive; only then is it worth hashing the archive."""
        layer = _oci.single_layer(there)
        if layer is None or layer.media_type != self._layer_type:
            return False
        if self._layer_type == _oci.LAYER_TYPE and layer.size != state.size:
            return False
        annotations = _oci_checkpoint.checkpoint_annotations(quick, self._request.annotations)
        return bool(json.loads(there).get("annotations") == annotations)

    def _is_same(self, there: bytes, quick: ArchiveContents, sha256: str, state: FileState) -> bool:
        """Whether the image that is there is the one that we would make, and complete.

        A compressed layer is not compressed again to find out: the configuration names the digest of what is inside,
        and every runtime checks it when it unpacks.
        """
        diff_id = "sha256:" + sha256
        layer = t.cast(_oci.Descriptor, _oci.single_layer(there))
        if self._layer_type == _oci.LAYER_TYPE and layer.digest != diff_id:
            return False
        config, manifest = self._documents(quick, diff_id, layer)
        config_digest = _oci.sha256_digest(config)
        if (
            manifest != there
            or self._target.blob_size(layer.digest) not in (layer.size, -1)
            or self._target.blob_size(config_digest) is None
        ):
            return False
        self._describe(quick, diff_id, layer, manifest)
        for digest in (layer.digest, config_digest):
            self._note_blob(digest, existed=True)
        return True

    # Documents ------------------------------------------------------------------------------------------------------

    def _documents(self, contents: ArchiveContents, diff_id: str, layer: _oci.Descriptor) -> tuple[bytes, bytes]:
        machine = _oci_checkpoint.image_machine(contents, self._request.machine, platform.machine())
        config = _oci.image_config(machine, contents.identity.checkpointed_at, diff_id)
        annotations = _oci_checkpoint.checkpoint_annotations(contents, self._request.annotations)
        return config, _oci.image_manifest(config, layer, annotations)

    def _publish(self, contents: ArchiveContents, diff_id: str, layer: _oci.Descriptor) -> None:
        config, manifest = self._documents(contents, diff_id, layer)
        self._describe(contents, diff_id, layer, manifest)
        digest = _oci.sha256_digest(config)
        existed = self._target.keeps_blobs and self._target.blob_size(digest) is not None
        if not existed:
            self._timed("publish", lambda: self._target.put_blob(config, digest))
        self._note_blob(digest, existed)
        self._timed("publish", lambda: self._target.publish(manifest, _oci.sha256_digest(manifest)))

    def _describe(self, contents: ArchiveContents, diff_id: str, layer: _oci.Descriptor, manifest: bytes) -> None:
        self._result.update(
            digest=_oci.sha256_digest(manifest),
            layer={"digest": layer.digest, "size": layer.size, "diff_id": diff_id, "media_type": layer.media_type},
            annotations=json.loads(manifest)["annotations"],
            identity=contents.identity.as_dict(),
        )
        if self._result["privileges"] is None:
            # The archive was not read, because its record knows its digest.
            self._note_privileges(lambda: _archive_privileges.read_file(self._request.src))

    def _note_privileges(self, read: t.Callable[[], t.Any]) -> None:
        """What the processes hold. An image can be made of what is not understood here; nobody has to restore it."""
        try:
            self._result["privileges"] = _archive_privileges.as_dict(read())
        except ArchiveError as exc:
            self._result["privileges"] = {"error": exc.msg}

    def _note_blob(self, digest: str, existed: bool) -> None:
        self._result["blobs"].append({"digest": digest, "existed": existed, "sent": not existed})

    def _timed(self, stage: str, work: t.Callable[[], t.Any]) -> t.Any:
        begin = time.monotonic()
        try:
            return work()
        finally:
            self._stages[stage] = self._stages.get(stage, 0.0) + time.monotonic() - begin


class _Tally:
    """Hashes and measures what passes through to the next sink."""

    def __init__(self, sink: t.Callable[[bytes], t.Any]) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes) -> None:
        self._hash.update(block)
        self.size += len(block)
        self._sink(block)

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


def _state(path: str) -> FileState:
    try:
        return FileState.of(os.stat(path, follow_symlinks=False))
    except OSError as exc:
        raise ArchiveError("archive %s cannot be read: %s" % (path, exc.strerror or exc)) from None


def _compare_record(record: _record.Record, contents: ArchiveContents, diff_id: t.Optional[str]) -> None:
    """Raise ArchiveError unless the record is of this archive."""
    source, identity = record["source"], contents.identity
    identity.check(
        namespace=source["namespace"],
        pod=source["pod"],
        container=source["container"],
        container_id=source["container_id"],
        engine=record["engine"]["name"],
        checkpointed_at=record.get("checkpointed_at"),
    )
    if diff_id is not None and diff_id != "sha256:" + record["archive"]["sha256"]:
        raise ArchiveError(
            "the archive has the digest %s, but its record says sha256:%s: it was changed after it was verified"
            % (diff_id, record["archive"]["sha256"])
        )
