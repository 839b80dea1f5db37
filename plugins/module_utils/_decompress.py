# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo the compression of a stream on its way: by name (gzip, zstd), or by what the stream begins with.

PRIVATE to the collection. The counterpart of C(_compress): blocks go in with C(write), what they hold goes on to a sink.
"""

from __future__ import annotations

import typing as t
import zlib

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import (
    PassThrough,
    Program,
    RunWithPipes,
    Sink,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    InputError,
    RuntimeToolError,
)

Find = t.Callable[[str], t.Optional[str]]
_BLOCK = 256 * 1024
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_AGE = b"age-encryption.org/v1"


class Gunzip:
    """gzip in this process, never more than a block of output at a time. what: its name in messages."""

    def __init__(self, sink: Sink, what: str) -> None:
        self._sink = sink
        self._what = what
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def write(self, block: bytes) -> None:
        """Decompress a block; nothing may follow the stream's end."""
        pending = bytes(block)
        while not self._zlib.eof:
            try:
                output = self._zlib.decompress(pending, _BLOCK)
            except zlib.error as exc:
                raise ArchiveError("the gzip stream of %s is damaged: %s" % (self._what, exc)) from None
            if output:
                self._sink(output)
            pending = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            if not pending and len(output) < _BLOCK:
                break
        if self._zlib.eof and pending:
            raise ArchiveError("%s has something behind its gzip stream" % self._what)

    def close(self) -> None:
        """The input is at its end."""
        if not self._zlib.eof:
            raise ArchiveError("the gzip stream of %s is truncated" % self._what)

    def abort(self) -> None:
        """Nothing to give up."""


class Sniffing:
    """Decompresses what begins like gzip or zstd, refuses what is encrypted, and passes everything else on as it is."""

    def __init__(self, sink: Sink, what: str, find: Find, run: RunWithPipes) -> None:
        self._sink, self._what, self._find, self._run = sink, what, find, run
        self._head = b""
        self._decoder: t.Union[PassThrough, Gunzip, Program, None] = None

    def write(self, block: bytes) -> None:
        """The first bytes decide."""
        if self._decoder is not None:
            self._decoder.write(block)
            return
        self._head += bytes(block)
        if len(self._head) >= len(_AGE):
            self._begin()

    def close(self) -> None:
        """The input is at its end."""
        if self._decoder is None:
            self._begin()
        if self._decoder is not None:
            self._decoder.close()

    def abort(self) -> None:
        """Give up."""
        if self._decoder is not None:
            self._decoder.abort()

    def _begin(self) -> None:
        if self._head.startswith(_AGE):
            raise InputError("%s is encrypted with age: give an identity_file" % self._what)
        compression = next((name for magic, name in _MAGIC if self._head.startswith(magic)), "none")
        self._decoder = make_decompressor(compression, self._sink, self._what, self._find, self._run)
        self._decoder.write(self._head)


def make_decompressor(
    compression: str, sink: Sink, what: str, find: Find, run: RunWithPipes
) -> t.Union[PassThrough, Gunzip, Program]:
    """The counterpart of a compression. find and run: for the program zstd. what: whose stream it is, in messages."""
    if compression == "none":
        return PassThrough(sink)
    if compression == "gzip":
        return Gunzip(sink, what)
    program = find("zstd")
    if program is None:
        raise RuntimeToolError("%s is compressed with zstd, which is not installed here: install zstd" % what)
    return Program(sink, [program, "-q", "-d", "-c", "--memory=64MB"], run, "zstd")
