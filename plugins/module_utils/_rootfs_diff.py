# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply the C(rootfs-diff.tar) and C(deleted.files) of an archive to a root directory, without ever leaving it.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.
Links, whiteouts and set-uid files are legitimate in a diff; devices are not, apart from whiteouts. Every path is
walked component by component from an open descriptor of the root, and no component that is a link is followed.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import stat
import tarfile
import typing as t
import zlib

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_BLOCK = 1024 * 1024
_DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Applied(t.NamedTuple):
    """What was done to the root."""

    written: int
    deleted: int
    bytes: int


def apply(root: str, diff: t.Optional[t.BinaryIO], deleted: t.Optional[bytes] = None,
          max_bytes: int = 64 << 30, max_members: int = 5000000) -> Applied:
    """Apply a diff (tar, plain or gzip) and a list of deleted files (JSON) to the directory C(root)."""
    writer = _Root(root, max_bytes)
    try:
        if diff is not None:
            _apply_tar(writer, diff, max_members)
        for name in _deleted_names(deleted):
            writer.remove(_parts(name, "deleted.files"))
        return Applied(writer.written, writer.deleted, writer.bytes)
    except OSError as exc:
        raise ArchiveError("the root file system's changes cannot be applied: %s" % exc) from exc
    finally:
        writer.close()


def inspect(diff: t.BinaryIO, max_members: int = 5000000) -> int:
    """Read a diff without applying it and refuse what C(apply) would refuse by its name or kind; count the members."""
    count = 0
    with _open(diff) as tar:
        for count, member in enumerate(_members(tar, max_members), 1):
            parts = _parts(member.name, "rootfs-diff.tar")
            if member.islnk():
                _parts(member.linkname, "rootfs-diff.tar")
            if not (member.isdir() or member.issym() or member.islnk() or member.isfifo() or member.isreg() or _is_whiteout(member)):
                raise ArchiveError("rootfs-diff.tar: %r is a device, and a diff may hold none" % member.name)
            if parts and parts[-1] in (_WHITEOUT, _WHITEOUT + ".", _WHITEOUT + ".."):
                raise ArchiveError("rootfs-diff.tar: %r is not a whiteout" % member.name)
    return count


def _apply_tar(writer: _Root, diff: t.BinaryIO, max_members: int) -> None:
    with _open(diff) as tar:
        for member in _members(tar, max_members):
            writer.member(tar, member)
    writer.finish()


@contextlib.contextmanager
def _open(diff: t.BinaryIO) -> t.Iterator[tarfile.TarFile]:
    stream: t.Any = diff
    head = diff.peek(2)[:2] if hasattr(diff, "peek") else b""
    if head == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=diff)
    elif head == b"(\xb5":
        raise ArchiveError("rootfs-diff.tar is compressed with zstd, which no engine writes and this cannot read")
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as tar:
            yield tar
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise ArchiveError("rootfs-diff.tar is damaged: %s" % exc) from exc


def _members(tar: tarfile.TarFile, limit: int) -> t.Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        if count >= limit:
            raise ArchiveError("rootfs-diff.tar has more than %d members" % limit)
        yield member
        # A TarFile remembers every member; a diff may have millions.
        tar.members = []


def _is_whiteout(member: tarfile.TarInfo) -> bool:
    return member.ischr() and member.devmajor == 0 and member.devminor == 0


def _deleted_names(raw: t.Optional[bytes]) -> t.List[str]:
    if not raw or not raw.strip():
        return []
    try:
        names = json.loads(raw.decode("utf-8"))
    except ValueError as exc:
        raise ArchiveError("deleted.files is not JSON: %s" % exc) from exc
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArchiveError("deleted.files is not a list of paths")
    return names


def _parts(name: str, where: str) -> t.List[str]:
    """The components of a path inside the root; C(..) and NUL are refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise ArchiveError("%s: the path %r leads out of the root file system" % (where, name))
    return parts


class _Root:
    """A root directory that is only changed below an open descriptor of it."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.max_bytes = max_bytes
        self.written = self.deleted = self.bytes = 0
        self._created: t.Set[t.Tuple[str, ...]] = set()
        self._directories: t.List[t.Tuple[t.List[str], tarfile.TarInfo]] = []

    def close(self) -> None:
        os.close(self.fd)

    @contextlib.contextmanager
    def _parent(self, parts: t.List[str], create: bool) -> t.Iterator[t.Optional[int]]:
        """An open descriptor of the directory that holds the last component; None if there is none."""
        current = os.dup(self.fd)
        try:
            for part in parts[:-1]:
                try:
                    deeper = os.open(part, _DIR_FLAGS, dir_fd=current)
                except FileNotFoundError:
                    if not create:
                        yield None
                        return
                    os.mkdir(part, 0o755, dir_fd=current)
                    deeper = os.open(part, _DIR_FLAGS, dir_fd=current)
                except OSError as exc:
                    if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise ArchiveError(
                            "the path %r passes through %r, which is not a directory" % ("/".join(parts), part)
                        ) from exc
                    raise
                os.close(current)
                current = deeper
            yield current
        finally:
            os.close(current)

    def member(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = _parts(member.name, "rootfs-diff.tar")
        if not parts:
            if member.isdir():
                self._directories.append((parts, member))
            return
        base = parts[-1]
        if base == _OPAQUE:
            self._make_opaque(parts[:-1])
            return
        if base.startswith(_WHITEOUT):
            target = base[len(_WHITEOUT):]
            if target in ("", ".", ".."):
                raise ArchiveError("rootfs-diff.tar: %r is not a whiteout" % member.name)
            self.remove(parts[:-1] + [target])
            return
        if _is_whiteout(member):
            self.remove(parts)
            return
        self._write(tar, member, parts)
        self._created.add(tuple(parts))
        self.written += 1

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parts: t.List[str]) -> None:
        with self._parent(parts, create=True) as parent:
            base = parts[-1]
            if member.isdir():
                if not _is_directory(parent, base):
                    self._discard(parent, base)
                    os.mkdir(base, 0o700, dir_fd=parent)
                self._directories.append((parts, member))
                return
            self._discard(parent, base)
            if member.issym():
                os.symlink(member.linkname, base, dir_fd=parent)
                os.chown(base, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
                return
            if member.islnk():
                self._hardlink(_parts(member.linkname, "rootfs-diff.tar"), parent, base)
                return
            if member.isfifo():
                os.mkfifo(base, 0o600, dir_fd=parent)
                handle = os.open(base, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            elif member.isreg():
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                handle = os.open(base, flags, 0o600, dir_fd=parent)
            else:
                raise ArchiveError("rootfs-diff.tar: %r is a device, and a diff may hold none" % member.name)
            try:
                if member.isreg():
                    self._copy(tar, member, handle)
                _set_metadata(handle, member)
            finally:
                os.close(handle)

    def _copy(self, tar: tarfile.TarFile, member: tarfile.TarInfo, handle: int) -> None:
        self.bytes += member.size
        if self.bytes > self.max_bytes:
            raise ArchiveError("rootfs-diff.tar holds more than %d bytes" % self.max_bytes)
        source = tar.extractfile(member)
        if source is None:
            return
        while True:
            block = source.read(_BLOCK)
            if not block:
                return
            view = memoryview(block)
            while view:
                view = view[os.write(handle, view):]

    def _hardlink(self, target: t.List[str], parent: t.Optional[int], base: str) -> None:
        if not target:
            raise ArchiveError("rootfs-diff.tar: a hard link to the root directory")
        with self._parent(target, create=False) as source:
            if source is None:
                raise ArchiveError("rootfs-diff.tar: the hard link's target %r does not exist" % "/".join(target))
            os.link(target[-1], base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def remove(self, parts: t.List[str]) -> None:
        """Remove what is at a path, if anything is; never the root itself."""
        if not parts:
            return
        with self._parent(parts, create=False) as parent:
            if parent is not None and self._discard(parent, parts[-1]):
                self.deleted += 1

    def _discard(self, parent: t.Optional[int], base: str) -> bool:
        try:
            os.unlink(base, dir_fd=parent)
            return True
        except FileNotFoundError:
            return False
        except (IsADirectoryError, PermissionError):
            pass
        handle = os.open(base, _DIR_FLAGS, dir_fd=parent)
        try:
            for name in os.listdir(handle):
                self._discard(handle, name)
        finally:
            os.close(handle)
        os.rmdir(base, dir_fd=parent)
        return True

    def _make_opaque(self, parts: t.List[str]) -> None:
        """Empty a directory of what was in it before this diff."""
        with self._parent(parts + ["."], create=True) as handle:
            for name in os.listdir(handle):
                path = tuple(parts + [name])
                if any(created[:len(path)] == path for created in self._created):
                    continue
                if self._discard(handle, name):
                    self.deleted += 1

    def finish(self) -> None:
        """Owners, modes and times of directories, last and deepest first, because writing into them changes them."""
        for parts, member in sorted(self._directories, key=lambda item: -len(item[0])):
            with self._parent(parts + ["."], create=False) as handle:
                if handle is not None:
                    # A descriptor that was opened for reading is good enough for its own metadata.
                    _set_metadata(handle, member)


def _is_directory(parent: t.Optional[int], base: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(base, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _set_metadata(handle: int, member: tarfile.TarInfo) -> None:
    os.fchown(handle, member.uid, member.gid)
    os.fchmod(handle, member.mode & 0o7777)
    for key, value in member.pax_headers.items():
        if key.startswith(_XATTR + "user.") or key == _XATTR + "security.capability":
            name = key[len(_XATTR):]
            with contextlib.suppress(OSError):
                os.setxattr(handle, name, value.encode("utf-8", "surrogateescape"))
    os.utime(handle, (member.mtime, member.mtime))
