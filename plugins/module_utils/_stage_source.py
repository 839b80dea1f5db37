# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a staged archive's bytes come from: a file on the node, decrypted and decompressed in the stream where it has to be.

PRIVATE to the collection. A feed takes sinks and gives every block to each of them.
"""

from __future__ import annotations

import os
import threading
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import RunWithPipes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._decompress import Find, Sniffing
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, CheckpointError, RuntimeToolError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import DEFAULT_BLOCK, stream_file

Sink = t.Callable[[bytes], t.Any]
Feed = t.Callable[[t.Sequence[Sink]], t.Any]


def from_file(path: str) -> Feed:
    """A plain archive."""
    return lambda sinks: stream_file(path, sinks)


def decompressed(feed: Feed, what: str, find: Find, run: RunWithPipes) -> Feed:
    """What a feed gives, without its compression (gzip, zstd) if it has one. find and run: for the program zstd."""

    def inner(sinks: t.Sequence[Sink]) -> None:
        def give(block: bytes) -> None:
            for sink in sinks:
                sink(block)

        decoder = Sniffing(give, what, find, run)
        try:
            feed([decoder.write])
        except BaseException:
            decoder.abort()
            raise
        decoder.close()

    return inner


class _Reader(threading.Thread):
    """Reads a pipe to its end and gives what it reads to the sinks; keeps the first exception."""

    def __init__(self, handle: int, sinks: t.Sequence[Sink]) -> None:
        super().__init__(daemon=True)
        self._pipe, self._sinks = handle, sinks
        self.error: t.Optional[BaseException] = None

    def run(self) -> None:
        with os.fdopen(self._pipe, "rb", buffering=0) as stream:
            while True:
                block = stream.read(DEFAULT_BLOCK)
                if not block:
                    return
                if self.error is not None:
                    continue
                try:
                    for sink in self._sinks:
                        sink(block)
                except BaseException as exc:
                    self.error = exc


def from_age(module: t.Any, path: str, identity_file: str) -> Feed:
    """An archive that age or rage encrypted. C(module) is anything with get_bin_path() and run_command()."""
    tool = module.get_bin_path("age") or module.get_bin_path("rage")
    if not tool:
        raise RuntimeToolError("%s is to be decrypted, and neither age nor rage is installed: install one of them" % path)

    def feed(sinks: t.Sequence[Sink]) -> None:
        reading, writing = os.pipe()
        reader = _Reader(reading, sinks)
        reader.start()
        try:
            status, _out, err = module.run_command(
                [tool, "--decrypt", "--identity", identity_file, "--output", "/dev/fd/%d" % writing, path],
                pass_fds=[writing], check_rc=False,
            )
        finally:
            os.close(writing)
            reader.join()
        if status != 0:
            raise ArchiveError("%s cannot be decrypted with %s: %s" % (path, identity_file, err.strip()[-500:]))
        if isinstance(reader.error, CheckpointError):
            raise reader.error
        if reader.error is not None:
            raise ArchiveError("%s was decrypted and cannot be used: %s" % (path, reader.error)) from reader.error

    return feed
