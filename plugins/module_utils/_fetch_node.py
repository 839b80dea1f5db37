# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's half of a fetch, as far as it answers at once: look at the archive, compute its digest, remove it.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _age, _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    InputError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import remove_if_there
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import FileState, iter_file


def check_tools(runner: CommandRunner, compress: str, recipients: t.Sequence[str]) -> None:
    """Everything the transfer needs is installed, and the recipients are good; else say so before a byte moves."""
    if compress == "zstd" and runner.find("zstd") is None:
        raise RuntimeToolError(
            "the archive is to be compressed, and zstd is not installed on this machine: install the package zstd,"
            " or use compress none"
        )
    if recipients:
        _age.try_out(_age.find_program(runner.find), recipients, runner.run)


def look(src: str, digest: bool) -> t.Dict[str, t.Any]:
    """Whether the archive is there, its state, and its digest as far as the record tells (or, with digest, for sure)."""
    try:
        status = os.lstat(src)
    except FileNotFoundError:
        return {"exists": False, "state": None, "sha256": None}
    except OSError as exc:
        raise InputError("%s cannot be looked at: %s" % (src, exc.strerror or exc)) from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError("%s is not a regular file; links are not followed" % src)
    if not os.access(src, os.R_OK):
        raise InputError("%s cannot be read by this user; use become" % src)
    sha256 = _recorded_digest(src, status)
    if sha256 is None and digest:
        sha256 = _digest(src, FileState.of(status))
    return {"exists": True, "state": state_to_dict(FileState.of(status)), "sha256": sha256}


def _recorded_digest(src: str, status: os.stat_result) -> t.Optional[str]:
    """The digest that the record states, if the archive was not written to since the record was."""
    where = _record.path_for(src)
    if not os.path.lexists(where):
        return None
    record = _record.read(where)
    if status.st_size != record["archive"]["bytes"]:
        raise ArchiveError(
            "%s has %d bytes and its record says %d; it is damaged or another file"
            % (src, status.st_size, record["archive"]["bytes"])
        )
    if status.st_mtime_ns > os.lstat(where).st_mtime_ns:
        return None
    return record["archive"]["sha256"]


def _digest(src: str, state: FileState) -> str:
    digest = hashlib.sha256()
    for block in iter_file(src, expect=state):
        digest.update(block)
    return digest.hexdigest()


def remove(src: str, state: t.Optional[FileState]) -> bool:
    """Remove the archive in that state, then what belongs to it, the record last; return whether anything was there.

    state: None if the archive is gone already and only what belongs to it is to be removed.
    """
    if os.path.lexists(src):
        if state is None or FileState.of(os.lstat(src)) != state:
            raise ArchiveError("%s was replaced or changed after it was fetched; it is not removed" % src)
        os.unlink(src)
        removed = True
    else:
        removed = False
    for path in (_record.pod_path_for(src), _record.path_for(src)):
        removed = remove_if_there(path) or removed
    return removed


def state_to_dict(state: FileState) -> t.Dict[str, int]:
    """For the way through JSON."""
    return {"device": state.device, "inode": state.inode, "size": state.size, "mtime_ns": state.mtime_ns}


def state_from_dict(state: t.Mapping[str, t.Any]) -> FileState:
    """What C(state_to_dict) made."""
    return FileState(int(state["device"]), int(state["inode"]), int(state["size"]), int(state["mtime_ns"]))
