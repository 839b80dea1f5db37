# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a checkpoint archive: a scanner that takes its bytes as they pass by, and a quick look that seeks.

PRIVATE to the collection. The scanner reads nothing itself and keeps only the small documents, so it costs no second
pass over the file and no memory that grows with it. It refuses what C(_archive_policy) refuses while it reads.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import (
    ArchiveIdentity,
    identify,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import (
    DOCUMENTS,
    KEPT,
    REQUIRED,
    ArchiveLimits,
    MemberGuard,
    parse_document,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import (
    FILE,
    Sink,
    TarMember,
    TarParser,
)

_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"))
_QUICK_BLOCK = 32 * 1024


@dataclass(frozen=True)
class ArchiveContents:
    """What was found in an archive that was read to its end.

    documents: parsed JSON by member name. small: raw bytes of small members (of dump.log only the beginning).
    members: name and size of every regular file, in the archive's order. bytes: the archive's length.
    """

    identity: ArchiveIdentity
    documents: t.Dict[str, t.Any]
    small: t.Dict[str, bytes]
    members: t.Tuple[t.Tuple[str, int], ...]
    bytes: int


class _Head:
    """Keeps the first bytes of what it is given."""

    def __init__(self, limit: int) -> None:
        self.content = bytearray()
        self._limit = limit

    def __call__(self, chunk: memoryview) -> None:
        room = self._limit - len(self.content)
        if room > 0:
            self.content += chunk[:room]


class ArchiveScanner:
    """Give it the archive's bytes with C(feed), in blocks of any size, then ask for the C(finish)."""

    def __init__(self, limits: t.Optional[ArchiveLimits] = None) -> None:
        self._limits = limits or ArchiveLimits()
        self._guard = MemberGuard(self._limits)
        self._parser = TarParser(self._member, self._member_end)
        self._current: t.Tuple[str, t.Optional[_Head]] = ("", None)
        self._documents: t.Dict[str, t.Any] = {}
        self._small: t.Dict[str, bytes] = {}
        self._members: t.List[t.Tuple[str, int]] = []
        self._magic = bytearray()

    @property
    def complete(self) -> bool:
        """Whether the end marker of the tar was read."""
        return self._parser.complete

    @property
    def skippable(self) -> int:
        """How many of the next bytes are content that nobody looks at (see C(skip))."""
        return self._parser.skippable

    def skip(self, count: int) -> None:
        """The next C(count) bytes, as many as C(skippable) said, are seeked over instead of fed."""
        self._parser.skip(count)

    def feed(self, data: t.Union[bytes, bytearray, memoryview]) -> None:
        """Take the next bytes of the archive."""
        if len(self._magic) < 8:
            self._magic += data[: 8 - len(self._magic)]
            for magic, name in _COMPRESSED:
                if self._magic.startswith(magic):
                    raise ArchiveError(
                        "the archive is compressed with %s as a whole; containerd and CRI-O write uncompressed archives"
                        % name
                    )
        self._parser.feed(data)

    def finish(self) -> ArchiveContents:
        """The archive is over: return what it holds, or raise ArchiveError if it is incomplete."""
        self._parser.finish()
        names = {name for name, dummy in self._members}
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise ArchiveError("this is not a checkpoint archive: it has no %s" % ", ".join(missing))
        return ArchiveContents(
            identity=identify(self._documents, self._small.get("dump.log", b"")),
            documents=self._documents,
            small=self._small,
            members=tuple(self._members),
            bytes=self._parser.offset,
        )

    def _member(self, member: TarMember) -> t.Optional[Sink]:
        name = self._guard.admit(member)
        limit = KEPT.get(name)
        self._current = (name, _Head(limit) if limit else None)
        if member.kind == FILE:
            self._members.append((name, member.size))
        return self._current[1]

    def _member_end(self, member: TarMember) -> None:
        name, head = self._current
        self._current = ("", None)
        if head is None:
            return
        raw = bytes(head.content)
        if name in DOCUMENTS:
            self._documents[name] = parse_document(name, raw, self._limits)
        else:
            self._small[name] = raw


def feed_seeking(stream: t.BinaryIO, consumer: t.Union[ArchiveScanner, TarParser]) -> None:
    """Give a file from here to its end to a scanner or parser; what that does not look at is seeked over."""
    size = os.fstat(stream.fileno()).st_size
    while True:
        jump = consumer.skippable
        if jump:
            if stream.tell() + jump > size:
                break
            stream.seek(jump, os.SEEK_CUR)
            consumer.skip(jump)
        block = stream.read(_QUICK_BLOCK)
        if not block:
            break
        consumer.feed(block)


def scan_file(path: str, limits: t.Optional[ArchiveLimits] = None) -> ArchiveContents:
    """A quick look at an archive: headers and small documents are read, memory pages are seeked over.

    It proves that the tar is complete and sane, not that the pages are undamaged: for that, hash it (C(_pipeline)).
    """
    scanner = ArchiveScanner(limits)
    try:
        with open_regular(path) as stream:
            feed_seeking(stream, scanner)
        return scanner.finish()
    except ArchiveError as exc:
        raise ArchiveError("archive %s: %s" % (path, exc.msg), **exc.details) from None
    except OSError as exc:
        raise ArchiveError("archive %s cannot be read: %s" % (path, exc.strerror or exc)) from None
