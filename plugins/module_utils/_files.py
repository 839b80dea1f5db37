# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening files without surprises, and writing them so that a reader sees the old one or the whole new one.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import stat
import tempfile
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError


def open_regular(path: str) -> t.BinaryIO:
    """Open a regular file for reading, unbuffered; OSError for anything else, also for a link at the last component."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is not a regular file", path)
        return t.cast(t.BinaryIO, open(descriptor, "rb", buffering=0))
    except BaseException:
        os.close(descriptor)
        raise


def write_atomic(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a small file: temporary file in the same directory, fsync, rename over the path, fsync of the directory."""
    directory = os.path.dirname(path) or "."
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(
            prefix=".%s." % os.path.basename(path)[:64], suffix=".tmp", dir=directory
        )
        with open(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
        temporary = ""
        sync_directory(directory)
    except OSError as exc:
        raise CheckpointError("%s cannot be written: %s" % (path, exc.strerror or exc)) from None
    finally:
        if temporary:
            remove_if_there(temporary)


def rename_synced(source: str, destination: str) -> None:
    """Rename within one directory; the destination must not exist."""
    try:
        os.link(source, destination, follow_symlinks=False)
        os.unlink(source)
        sync_directory(os.path.dirname(destination) or ".")
    except OSError as exc:
        raise CheckpointError("%s cannot be renamed to %s: %s" % (source, destination, exc.strerror or exc)) from None


def remove_if_there(path: str) -> bool:
    """Remove a file; return whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise CheckpointError("%s cannot be removed: %s" % (path, exc.strerror or exc)) from None
    return True


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
