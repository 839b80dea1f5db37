# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One read of a file for everybody who needs its bytes: hash, scanner, upload.

PRIVATE to the collection. The file is opened once, without following a link at its last component, and it is an error
if it changes, grows, shrinks or is replaced while it is read.
"""

from __future__ import annotations

import hashlib
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import (
    ArchiveContents,
    ArchiveScanner,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import ArchiveLimits
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular

DEFAULT_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class FileState:
    """What tells one state of a file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, result: os.stat_result) -> FileState:
        """From a stat result."""
        return cls(result.st_dev, result.st_ino, result.st_size, result.st_mtime_ns)


@dataclass(frozen=True)
class VerifiedArchive:
    """An archive that was read from beginning to end."""

    contents: ArchiveContents
    sha256: str
    state: FileState


def iter_file(path: str, block: int = DEFAULT_BLOCK, expect: t.Optional[FileState] = None) -> t.Iterator[bytes]:
    """Yield the file's bytes, then make sure that it is still the file that was opened.

    expect: the state it had when somebody looked before; a different one is an error.
    """
    try:
        opened = open_regular(path)
    except OSError as exc:
        raise ArchiveError("%s cannot be opened: %s" % (path, exc.strerror or exc)) from None
    with opened as stream:
        before = FileState.of(os.fstat(stream.fileno()))
        if expect is not None and before != expect:
            raise ArchiveError("%s was replaced or changed since it was looked at" % path)
        done = 0
        while True:
            try:
                chunk = stream.read(block)
            except OSError as exc:
                raise ArchiveError("%s cannot be read after %d bytes: %s" % (path, done, exc.strerror or exc)) from None
            if not chunk:
                break
            done += len(chunk)
            if done > before.size:
                raise ArchiveError("%s grew while it was read (from %d bytes)" % (path, before.size), incomplete=True)
            yield chunk
        _check_unchanged(path, stream.fileno(), before, done)


def _check_unchanged(path: str, descriptor: int, before: FileState, done: int) -> None:
    if done < before.size:
        raise ArchiveError("%s was truncated while it was read (%d of %d bytes)" % (path, done, before.size))
    if FileState.of(os.fstat(descriptor)) != before:
        raise ArchiveError("%s was changed while it was read" % path, incomplete=True)
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        raise ArchiveError("%s was removed while it was read" % path) from None
    if (there.st_dev, there.st_ino) != (before.device, before.inode):
        raise ArchiveError("%s was replaced by another file while it was read" % path)


def stream_file(
    path: str,
    sinks: t.Sequence[t.Callable[[bytes], t.Any]],
    block: int = DEFAULT_BLOCK,
    expect: t.Optional[FileState] = None,
    before_block: t.Optional[t.Callable[[], None]] = None,
) -> int:
    """Read the file once and give every block to every sink; return the number of bytes.

    before_block: called before each block; it may raise to stop (a deadline).
    """
    total = 0
    for chunk in iter_file(path, block, expect):
        if before_block is not None:
            before_block()
        for sink in sinks:
            sink(chunk)
        total += len(chunk)
    return total


def verify_archive(
    path: str,
    limits: t.Optional[ArchiveLimits] = None,
    expect: t.Optional[FileState] = None,
    extra_sinks: t.Sequence[t.Callable[[bytes], t.Any]] = (),
    before_block: t.Optional[t.Callable[[], None]] = None,
) -> VerifiedArchive:
    """Hash and scan an archive in one read. ArchiveError says what is wrong with it and names the path."""
    digest = hashlib.sha256()
    scanner = ArchiveScanner(limits)
    try:
        state = FileState.of(os.stat(path, follow_symlinks=False))
        stream_file(
            path, [digest.update, scanner.feed, *extra_sinks], expect=expect or state, before_block=before_block
        )
        contents = scanner.finish()
    except ArchiveError as exc:
        text = exc.msg if path in exc.msg else "archive %s: %s" % (path, exc.msg)
        raise ArchiveError(text, **exc.details) from None
    except OSError as exc:
        raise ArchiveError("archive %s cannot be read: %s" % (path, exc.strerror or exc)) from None
    return VerifiedArchive(contents=contents, sha256=digest.hexdigest(), state=expect or state)
