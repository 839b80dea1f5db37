# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images on disk: an OCI image layout as a directory, or the same in one tar file.

PRIVATE to the collection. In a directory the C(index.json), and for a tar its final name, is written last and
atomically. Files are readable for their owner only: they hold a container's memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tarfile
import tempfile
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import (
    remove_if_there,
    sync_directory,
    write_atomic,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    LAYOUT_FILE,
    MANIFEST_TYPE,
    Descriptor,
    index_lookup,
    index_with,
)

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BLOBS = "blobs/sha256"
_MAX_DOCUMENT = 4 * 1024 * 1024
_PARTIAL = ".partial-"


class _PartialFile:
    """A file that is being written next to where it will be. Locked, so that others can tell it from left-overs."""

    def __init__(self, directory: str, prefix: str) -> None:
        prefix = ".%s%s" % (prefix, _PARTIAL)
        _remove_leftovers(directory, prefix)
        descriptor, self.path = tempfile.mkstemp(prefix=prefix, dir=directory)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.stream = open(descriptor, "r+b", buffering=0)

    def write(self, block: t.Union[bytes, memoryview]) -> None:
        view = memoryview(block)
        while view:
            view = view[self.stream.write(view) or 0 :]

    def rename(self, path: str) -> None:
        os.fsync(self.stream.fileno())
        os.replace(self.path, path)
        self.stream.close()
        sync_directory(os.path.dirname(path) or ".")

    def abort(self) -> None:
        if not self.stream.closed:
            self.stream.close()
            remove_if_there(self.path)


def _remove_leftovers(directory: str, prefix: str) -> None:
    """Remove what a killed run left behind; what a living one is writing is locked."""
    for name in os.listdir(directory):
        if name.startswith(prefix):
            with contextlib.suppress(OSError), open(os.path.join(directory, name), "rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(stream.name)


@contextlib.contextmanager
def _disk(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise CheckpointError("image %s cannot be read or written: %s" % (path, exc.strerror or exc)) from None


class LayoutTarget:
    """An OCI image layout in a directory, which may hold other images too."""

    keeps_blobs = True

    def __init__(self, path: str, ref_name: t.Optional[str]) -> None:
        self._path = path
        self._ref_name = ref_name
        self._partial: t.Optional[_PartialFile] = None
        self.bytes_sent = 0

    def _blob(self, digest: str) -> str:
        match = _DIGEST.fullmatch(digest)
        if not match:
            raise CheckpointError("image layout %s: %r is not a sha256 digest" % (self._path, digest[:80]))
        return os.path.join(self._path, _BLOBS, match.group(1))

    def _read(self, path: str) -> t.Optional[bytes]:
        with _disk(self._path):
            try:
                with open(path, "rb") as stream:
                    return stream.read(_MAX_DOCUMENT)
            except FileNotFoundError:
                return None

    def _index(self) -> t.Optional[bytes]:
        index = self._read(os.path.join(self._path, "index.json"))
        if (
            index is None
            and os.path.isdir(self._path)
            and self._read(os.path.join(self._path, "oci-layout")) is None
            and os.listdir(self._path)
        ):
            raise CheckpointError("%s is a directory with other content, not an OCI image layout" % self._path)
        return index

    def manifest(self) -> t.Optional[bytes]:
        index = self._index()
        digest = index_lookup(index, self._ref_name) if index is not None else None
        return self._read(self._blob(digest)) if digest else None

    def blob_size(self, digest: str) -> t.Optional[int]:
        with _disk(self._path):
            try:
                return os.stat(self._blob(digest)).st_size
            except FileNotFoundError:
                return None

    def _prepare(self) -> None:
        self._index()
        for part in ("", "blobs", _BLOBS):
            os.makedirs(os.path.join(self._path, part), mode=0o700, exist_ok=True)
        if not os.path.exists(os.path.join(self._path, "oci-layout")):
            write_atomic(os.path.join(self._path, "oci-layout"), LAYOUT_FILE)

    def writer(self, total: t.Optional[int]) -> LayoutTarget:
        with _disk(self._path):
            self._prepare()
            self._partial = _PartialFile(os.path.join(self._path, _BLOBS), "")
        return self

    def write(self, block: bytes) -> None:
        with _disk(self._path):
            t.cast(_PartialFile, self._partial).write(block)
        self.bytes_sent += len(block)

    def finish(self, digest: str) -> None:
        with _disk(self._path):
            t.cast(_PartialFile, self._partial).rename(self._blob(digest))
        self._partial = None

    def abort(self) -> None:
        if self._partial is not None:
            self._partial.abort()
            self._partial = None

    def put_blob(self, content: bytes, digest: str) -> None:
        with _disk(self._path):
            self._prepare()
        write_atomic(self._blob(digest), content)
        self.bytes_sent += len(content)

    def publish(self, manifest: bytes, digest: str) -> None:
        self.put_blob(manifest, digest)
        with _disk(self._path):
            directory = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # Two runs may add to one layout: read, change and write its index one after the other.
                fcntl.flock(directory, fcntl.LOCK_EX)
                index = index_with(self._index(), Descriptor(MANIFEST_TYPE, digest, len(manifest)), self._ref_name)
                write_atomic(os.path.join(self._path, "index.json"), index)
            finally:
                os.close(directory)


class TarTarget:
    """An OCI image layout in one tar file (C(oci-archive)), which is written anew as a whole."""

    keeps_blobs = False

    def __init__(self, path: str, ref_name: t.Optional[str]) -> None:
        self._path = path
        self._ref_name = ref_name
        self._partial: t.Optional[_PartialFile] = None
        self._start = 0
        self.bytes_sent = 0

    def manifest(self) -> t.Optional[bytes]:
        index = self._member("index.json")
        digest = index_lookup(index, self._ref_name) if index is not None else None
        match = _DIGEST.fullmatch(digest) if digest else None
        return self._member("%s/%s" % (_BLOBS, match.group(1))) if match else None

    def _member(self, name: str) -> t.Optional[bytes]:
        with self._open() as archive:
            try:
                member = archive.extractfile(name) if archive is not None else None
                return member.read(_MAX_DOCUMENT) if member is not None else None
            except (KeyError, tarfile.TarError):
                return None

    def blob_size(self, digest: str) -> t.Optional[int]:
        with self._open() as archive:
            try:
                return (
                    archive.getmember("%s/%s" % (_BLOBS, digest.partition(":")[2])).size
                    if archive is not None
                    else None
                )
            except (KeyError, tarfile.TarError):
                return None

    @contextlib.contextmanager
    def _open(self) -> t.Iterator[t.Optional[tarfile.TarFile]]:
        """The file that is there now; None if there is none."""
        with _disk(self._path), contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open(self._path, "rb"))
                archive: t.Optional[tarfile.TarFile] = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
            except FileNotFoundError:
                archive = None
            except tarfile.TarError as exc:
                raise CheckpointError(
                    "%s exists and is not an OCI archive (%s); it is not replaced" % (self._path, exc)
                ) from None
            yield archive

    def _file(self) -> _PartialFile:
        if self._partial is None:
            self._partial = _PartialFile(os.path.dirname(self._path) or ".", os.path.basename(self._path)[:64])
            self._partial.write(_header("blobs/", 0, tarfile.DIRTYPE) + _header(_BLOBS + "/", 0, tarfile.DIRTYPE))
        return self._partial

    def writer(self, total: t.Optional[int]) -> TarTarget:
        with _disk(self._path):
            stream = self._file().stream
            self._start = stream.tell()
            # The header comes first in a tar, but what it says is known last: leave room, go back later.
            self._file().write(bytes(tarfile.BLOCKSIZE))
        return self

    def write(self, block: bytes) -> None:
        with _disk(self._path):
            self._file().write(block)
        self.bytes_sent += len(block)

    def finish(self, digest: str) -> None:
        with _disk(self._path):
            stream = self._file().stream
            size = stream.tell() - self._start - tarfile.BLOCKSIZE
            self._file().write(bytes(-size % tarfile.BLOCKSIZE))
            end = stream.tell()
            stream.seek(self._start)
            self._file().write(_header("%s/%s" % (_BLOBS, digest.partition(":")[2]), size))
            stream.seek(end)

    def put_blob(self, content: bytes, digest: str) -> None:
        self._add("%s/%s" % (_BLOBS, digest.partition(":")[2]), content)

    def _add(self, name: str, content: bytes) -> None:
        with _disk(self._path):
            self._file().write(_header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE))
        self.bytes_sent += len(content)

    def publish(self, manifest: bytes, digest: str) -> None:
        self.put_blob(manifest, digest)
        sent = self.bytes_sent
        self._add("index.json", index_with(None, Descriptor(MANIFEST_TYPE, digest, len(manifest)), self._ref_name))
        self._add("oci-layout", LAYOUT_FILE)
        self.bytes_sent = sent
        with _disk(self._path):
            self._file().write(bytes(2 * tarfile.BLOCKSIZE))
            self._file().rename(self._path)
            self._partial = None

    def abort(self) -> None:
        if self._partial is not None:
            self._partial.abort()
            self._partial = None


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member without anything that changes from one run to the next."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.type = kind
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return member.tobuf(tarfile.GNU_FORMAT)
