# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack an archive into a staging entry while its bytes pass by, so that nothing but CRIU is left to do at create.

PRIVATE to the collection. Only what a restore reads is written: the CRIU images, the spec, the root file system's
changes. Names and kinds of members are judged by the same guard that judges them everywhere (C(_archive_policy)).
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _rootfs_diff, _stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import ArchiveLimits, MemberGuard
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import FILE, Sink, TarMember, TarParser

_WANTED = (_stage.DIFF, _stage.DELETED, _stage.SPEC)


class Unpacker:
    """Give it the archive's bytes with C(feed); C(finish) returns the files that were written, with their sizes."""

    def __init__(self, directory: str, limits: t.Optional[ArchiveLimits] = None) -> None:
        self._directory = directory
        self._guard = MemberGuard(limits or ArchiveLimits())
        self._parser = TarParser(self._member, self._member_end)
        self._handle: t.Optional[int] = None
        self._files: t.Dict[str, int] = {}

    def feed(self, data: t.Union[bytes, bytearray, memoryview]) -> None:
        """Take the next bytes of the archive."""
        self._parser.feed(data)

    def finish(self) -> t.Dict[str, int]:
        """The archive is over: check what can be checked before a container waits for it."""
        self._parser.finish()
        if _stage.SPEC not in self._files:
            raise ArchiveError("the archive has no %s" % _stage.SPEC)
        diff = os.path.join(self._directory, _stage.DIFF)
        if os.path.exists(diff):
            with open(diff, "rb") as stream:
                _rootfs_diff.inspect(stream)
        return dict(self._files)

    def close(self) -> None:
        """Let go of a file that was being written when something failed."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _member(self, member: TarMember) -> t.Optional[Sink]:
        name = self._guard.admit(member)
        # CRIU's images lie side by side; what is further down is none of them, and could be very many directories.
        image = name.startswith(_stage.IMAGES + "/") and name.count("/") == _stage.IMAGES.count("/") + 1
        if not (name in _WANTED or image) or member.kind != FILE:
            return None
        path = os.path.join(self._directory, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._files[name] = member.size
        return self._write

    def _write(self, chunk: memoryview) -> None:
        if self._handle is None:
            raise ArchiveError("content without a member")
        while chunk:
            chunk = chunk[os.write(self._handle, chunk):]

    def _member_end(self, member: TarMember) -> None:
        if self._handle is not None:
            # The source may be released as soon as this is staged: it has to survive a power cut.
            os.fdatasync(self._handle)
            self.close()
