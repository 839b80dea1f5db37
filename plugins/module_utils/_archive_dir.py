# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of archives: which of its files are archives, what belongs to them, and what was left behind.

PRIVATE to the collection. Looks at names and C(lstat) only; opens nothing and follows no link.
"""

from __future__ import annotations

import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._record import POD_SUFFIX, RECORD_SUFFIX

PIN_SUFFIX = ".pin"
ENCRYPTED_SUFFIX = ".age"
COMPRESSED_SUFFIXES = (".gz", ".zst")
# What lies beside an archive and means nothing without it. In the order of removal: the record last.
COMPANIONS = (POD_SUFFIX + ENCRYPTED_SUFFIX, POD_SUFFIX, RECORD_SUFFIX)
_ARCHIVE = re.compile(r"[^.].*\.(?:tar|tar\.gz|tgz|tar\.zst|tzst)(?:\.age)?", re.DOTALL)
_TEMPORARY = re.compile(r"\..*\.tar.*\.(?:tmp|part|partial|state)", re.DOTALL)

ARCHIVE, RECORD, POD, TEMPORARY = "archive", "record", "pod", "temporary"


@dataclass(frozen=True)
class Found:
    """One file of the directory."""

    name: str
    kind: str
    size: int
    mtime: float
    device: int
    inode: int
    regular: bool


@dataclass(frozen=True)
class Directory:
    """What a directory holds, sorted by name.

    archives: everything that is named like one. leftovers: companions without their archive, and temporary files.
    names: all names, to look companions up.
    """

    path: str
    archives: t.Tuple[Found, ...]
    leftovers: t.Tuple[Found, ...]
    names: t.FrozenSet[str]


def is_archive_name(name: str) -> bool:
    """Whether a file is named like an archive."""
    return _ARCHIVE.fullmatch(name) is not None


def plain_names(name: str) -> t.List[str]:
    """The names that a file may have had before it was encrypted and compressed, its own first."""
    names = [name]
    if name.endswith(ENCRYPTED_SUFFIX):
        names.append(name[: -len(ENCRYPTED_SUFFIX)])
    for suffix in COMPRESSED_SUFFIXES:
        if names[-1].endswith(suffix):
            names.append(names[-1][: -len(suffix)])
            break
    return names


def companions_of(name: str, names: t.AbstractSet[str]) -> t.List[str]:
    """The files that belong to an archive and to no other one of the directory, in the order of removal."""
    found = []
    for suffix in COMPANIONS:
        for base in plain_names(name):
            if base + suffix in names and _owners(base, names) == {name}:
                found.append(base + suffix)
    return found


def _owners(base: str, names: t.AbstractSet[str]) -> t.Set[str]:
    """The archives that companions named after C(base) belong to."""
    forms = [base] + [base + suffix for suffix in COMPRESSED_SUFFIXES]
    return {name for form in forms for name in (form, form + ENCRYPTED_SUFFIX) if name in names}


def look(path: str, name: str, kind: str) -> Found:
    """The state of one file; OSError if it is not there."""
    status = os.lstat(os.path.join(path, name))
    regular = stat.S_ISREG(status.st_mode)
    return Found(name, kind, status.st_size, status.st_mtime, status.st_dev, status.st_ino, regular)


def read_directory(path: str) -> Directory:
    """List a directory; InputError if it is none, or a link to one."""
    try:
        if os.path.islink(path.rstrip("/") or "/"):
            raise InputError("%s is a symbolic link; give the directory itself" % path)
        names = frozenset(os.listdir(path))
    except OSError as exc:
        raise InputError("the directory %s cannot be read: %s" % (path, exc.strerror or exc)) from None
    archives, leftovers = [], []
    for name in sorted(names):
        kind = _kind(name, names)
        if kind is None:
            continue
        try:
            found = look(path, name, kind)
        except OSError:
            # Somebody was faster.
            continue
        (archives if kind == ARCHIVE else leftovers).append(found)
    return Directory(path, tuple(archives), tuple(leftovers), names)


def _kind(name: str, names: t.AbstractSet[str]) -> t.Optional[str]:
    if is_archive_name(name):
        # "x.tar.pod.json" is no archive by its name, and neither is anything hidden.
        return ARCHIVE
    for suffix in COMPANIONS:
        if name.endswith(suffix) and is_archive_name(name[: -len(suffix)]):
            if _owners(name[: -len(suffix)], names):
                return None
            return RECORD if suffix == RECORD_SUFFIX else POD
    return TEMPORARY if _TEMPORARY.fullmatch(name) else None
