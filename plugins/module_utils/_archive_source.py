# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive file as it lies there, perhaps compressed as a whole (gzip, zstd) or encrypted (age).

PRIVATE to the collection. What is not compressed is seeked through; gzip is read with the standard library, zstd with
C(compression.zstd) of Python 3.14 or later, else with the program C(zstd) between two descriptors. What a compressed
file may grow to is bounded by its own size.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import threading
import typing as t
import zlib
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import (
    ArchiveScanner,
    feed_seeking,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import RunWithPipes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import FileState, iter_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import TarParser

NONE, GZIP, ZSTD = "none", "gzip", "zstd"
_MAGIC = ((b"\x1f\x8b", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD))
_AGE = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_BLOCK = 256 * 1024
# gzip cannot do better than 1:1032, and a zstd stream that does holds no memory of a process.
_MAX_RATIO = 1100
_ALWAYS = 64 * 1024 * 1024
# The largest window zstd writes without being told otherwise is far below 2^26.
_WINDOW_LOG = 26
_SCRIPT = 'exec "$3" -q -d -c --memory=64MB <"$1" >"$2"'

Consumer = t.Union[ArchiveScanner, TarParser]


@dataclass(frozen=True)
class ZstdTools:
    """The way to the program zstd: where it is, and how to run it with descriptors of ours."""

    find: t.Callable[[str], t.Optional[str]]
    run: RunWithPipes


class ArchiveSource:
    """One open archive. Use it in a C(with) statement; the file is never opened by its name a second time."""

    def __init__(self, path: str, tools: t.Optional[ZstdTools] = None) -> None:
        self.path = path
        self._tools = tools
        try:
            self._stream = open_regular(path)
        except OSError as exc:
            raise ArchiveError("it cannot be opened: %s" % _why(exc)) from None
        self.state = FileState.of(os.fstat(self._stream.fileno()))
        head = self._stream.read(64)
        self.compression = next((name for magic, name in _MAGIC if head.startswith(magic)), NONE)
        self.encrypted = head.startswith(_AGE)

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *exception: t.Any) -> None:
        self._stream.close()

    def feed(self, consumer: Consumer, whole: t.Optional[t.Callable[[bytes], t.Any]] = None) -> None:
        """Give the tar inside to a scanner or parser, from its beginning.

        whole: receives every byte of the tar, too; then nothing can be seeked over.
        """
        self._stream.seek(0)
        if self.compression == NONE and whole is None:
            feed_seeking(self._stream, consumer)
            return
        with contextlib.closing(self._blocks()) as blocks:
            for block in blocks:
                if whole is not None:
                    whole(block)
                consumer.feed(block)

    def ranges(self, wanted: t.Mapping[str, t.Sequence[t.Tuple[int, int, int]]]) -> t.Dict[str, t.List[bytes]]:
        """Parts of members: for each name, of (offset of the member in the tar, offset in it, length) the bytes."""
        if self.compression == NONE:
            return {
                name: [os.pread(self._stream.fileno(), length, base + start) for base, start, length in parts]
                for name, parts in wanted.items()
            }
        cutter = _Cutter(wanted)
        self._stream.seek(0)
        with contextlib.closing(self._blocks()) as blocks:
            for block in blocks:
                if cutter.done(block):
                    break
        return cutter.result()

    def stored_sha256(self) -> str:
        """The digest of the file as it lies there; ArchiveError if it changes while it is read."""
        digest = hashlib.sha256()
        for block in iter_file(self.path, expect=self.state):
            digest.update(block)
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """Raise if the file was written to since it was opened."""
        if FileState.of(os.fstat(self._stream.fileno())) != self.state:
            raise ArchiveError("it was changed while it was read", incomplete=True)

    def _blocks(self) -> t.Generator[bytes, None, None]:
        if self.compression == GZIP:
            blocks = _gunzip(self._stream)
        elif self.compression == ZSTD:
            blocks = self._unzstd()
        else:
            blocks = _plain(self._stream)
        limit = _ALWAYS + _MAX_RATIO * self.state.size
        total = 0
        try:
            for block in blocks:
                total += len(block)
                if total > limit:
                    raise ArchiveError(
                        "it grows to more than %d bytes when decompressed, %d times its size; this is no checkpoint"
                        % (limit, _MAX_RATIO)
                    )
                yield block
        finally:
            blocks.close()

    def _unzstd(self) -> t.Generator[bytes, None, None]:
        with contextlib.suppress(ImportError):
            return _unzstd_library(self._stream, importlib.import_module("compression.zstd"))
        program = self._tools.find("zstd") if self._tools else None
        if self._tools is None or program is None:
            raise RuntimeToolError(
                "it is compressed with zstd, and the program zstd is not installed here: install the package zstd, or"
                " use Python 3.14 or later"
            )
        return _unzstd_program(self._stream.fileno(), program, self._tools.run)


def _why(exc: OSError) -> str:
    if exc.errno is not None and os.strerror(exc.errno) == "Too many levels of symbolic links":
        return "it is a symbolic link, and links are not followed"
    return exc.strerror or str(exc)


def _plain(stream: t.BinaryIO) -> t.Generator[bytes, None, None]:
    while True:
        block = stream.read(_BLOCK)
        if not block:
            return
        yield block


def _gunzip(stream: t.BinaryIO) -> t.Generator[bytes, None, None]:
    """Every member of a gzip file, never more than a block at a time."""
    unzip = None
    pending = b""
    while True:
        pending = pending or stream.read(_BLOCK)
        over = not pending
        if unzip is None:
            pending = pending.lstrip(b"\0")
            if over:
                return
            if not pending:
                continue
            unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            block = unzip.decompress(pending, _BLOCK)
        except zlib.error as exc:
            raise ArchiveError("its gzip stream is damaged: %s" % exc) from None
        pending = unzip.unconsumed_tail
        if unzip.eof:
            pending, unzip = unzip.unused_data, None
        if block:
            yield block
        elif over:
            raise ArchiveError("its gzip stream is truncated", incomplete=True)


def _unzstd_library(stream: t.BinaryIO, zstd: t.Any) -> t.Generator[bytes, None, None]:
    """The same for zstd frames, with Python 3.14's own library."""
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    unzip = None
    pending = b""
    while True:
        if not pending and (unzip is None or unzip.needs_input):
            pending = stream.read(_BLOCK)
            if not pending:
                break
        if unzip is None:
            unzip = zstd.ZstdDecompressor(options=options)
        try:
            block = unzip.decompress(pending, max_length=_BLOCK)
        except zstd.ZstdError as exc:
            raise ArchiveError("its zstd stream is damaged: %s" % exc) from None
        pending = b""
        if unzip.eof:
            pending, unzip = unzip.unused_data, None
        if block:
            yield block
    if unzip is not None:
        raise ArchiveError("its zstd stream is truncated", incomplete=True)


def _unzstd_program(descriptor: int, program: str, run: RunWithPipes) -> t.Generator[bytes, None, None]:
    """The same with the program, which gets our open file as its input and a pipe for its output."""
    reading, writing = os.pipe()
    outcome: t.List[t.Tuple[int, str, str]] = []
    open_ends = [writing]
    started = threading.Event()

    def release() -> None:
        while open_ends:
            os.close(open_ends.pop())
        started.set()

    def work() -> None:
        argv = ["/bin/sh", "-c", _SCRIPT, "sh", "/dev/fd/%d" % descriptor, "/dev/fd/%d" % writing, program]
        try:
            outcome.append(run(argv, [descriptor, writing], release))
        except OSError as exc:
            outcome.append((127, "", str(exc)))
        finally:
            release()

    thread = threading.Thread(target=work, name="unzstd", daemon=True)
    thread.start()
    started.wait()
    ended = False
    try:
        while True:
            block = os.read(reading, _BLOCK)
            if not block:
                break
            yield block
        ended = True
    finally:
        # Closed before its end, the program ends with SIGPIPE.
        os.close(reading)
        thread.join()
    rc, dummy, stderr = outcome[0]
    if ended and rc != 0:
        words = (stderr.strip().splitlines() or ["exit status %d" % rc])[-1][-200:]
        if "premature end" in words:
            raise ArchiveError("its zstd stream is truncated", incomplete=True)
        raise ArchiveError("its zstd stream is damaged: %s" % words)


class _Cutter:
    """Cuts parts out of a stream that passes by."""

    def __init__(self, wanted: t.Mapping[str, t.Sequence[t.Tuple[int, int, int]]]) -> None:
        self._parts = [
            (base + start, length, bytearray()) for parts in wanted.values() for base, start, length in parts
        ]
        self._wanted = wanted
        self._end = max((start + length for start, length, dummy in self._parts), default=0)
        self._at = 0

    def done(self, block: bytes) -> bool:
        """Take a block; whether nothing more is needed."""
        end = self._at + len(block)
        for start, length, kept in self._parts:
            if start < end and start + length > self._at:
                kept += block[max(0, start - self._at) : max(0, start + length - self._at)]
        self._at = end
        return end >= self._end

    def result(self) -> t.Dict[str, t.List[bytes]]:
        """As C(ArchiveSource.ranges) returns it."""
        found = iter(self._parts)
        return {name: [bytes(next(found)[2]) for dummy in parts] for name, parts in self._wanted.items()}
