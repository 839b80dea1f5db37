# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that marks a container as restored and not yet started, and what is needed to get rid of it.

It lies in a tmpfs, so that no marker outlives a boot, and its name is the container's ID, so that the shell front can
look for it with one test.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import typing as t

import bundle
import processes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from arguments import Call
from settings import Settings

_FILE = "entry.json"
_RUNC_ROOT = "/run/runc"
_RUNC_NOTE = "runc"
_DELETE_TIMEOUT = 30.0
_CGROUP_TIMEOUT = 5.0


def path(config: Settings, container_id: str) -> str:
    """Where the marker of a container is."""
    if not container_id or "/" in container_id or container_id.startswith("."):
        raise ValueError("%r is not a container ID" % container_id)
    return os.path.join(config.state, container_id)


def write(config: Settings, call: Call, spec: bundle.Spec, entry: stage.Entry) -> str:
    """Mark a container; return the marker's directory."""
    directory = path(config, call.container_id)
    os.makedirs(config.state, mode=0o700, exist_ok=True)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    stage.write_json(os.path.join(directory, _FILE), {
        "entry": entry.id,
        "globals": call.lasting_globals,
        "runc_state": os.path.join(call.global_options.get("root") or _RUNC_ROOT, call.container_id),
        "cgroup": bundle.cgroup_leaf(spec),
        "cgroups_path": (spec.get("linux") or {}).get("cgroupsPath") or "",
    })
    return directory


def read(config: Settings, container_id: str) -> stage.Document:
    """What a marker says; empty if it says nothing."""
    try:
        return stage.read_json(os.path.join(path(config, container_id), _FILE))
    except (OSError, ValueError):
        return {}


def entry_of(config: Settings, container_id: str) -> t.Optional[stage.Entry]:
    """The claimed entry that a marker points at."""
    return stage.load(config.staging, stage.CLAIMED, str(read(config, container_id).get("entry")))


def runc_note(directory: str) -> str:
    """Where in a marker it says which process is the runc that restores."""
    return os.path.join(directory, _RUNC_NOTE)


def kill(config: Settings, container_id: str) -> stage.Document:
    """Kill the runc that restores the marked container, then what is in its cgroup, CRIU included; return what the marker says."""
    document = read(config, container_id)
    processes.kill_noted(runc_note(path(config, container_id)))
    processes.kill_cgroup(str(document.get("cgroup") or ""))
    return document


def discard(config: Settings, container_id: str) -> None:
    """Leave no half container behind: kill it, have runc forget it, remove its cgroups and its marker."""
    document = kill(config, container_id)
    state = str(document.get("runc_state") or "")
    if state:
        # For a restore, runc mounts the root file system here; killed, it leaves the mount, and could not remove what is below.
        processes.unmount_below(state)
    with contextlib.suppress(TimeoutError, OSError):
        processes.run([config.runc, *document.get("globals", []), "delete", "--force", container_id], _DELETE_TIMEOUT, quiet=True)
    if state and not os.path.exists(os.path.join(state, "state.json")):
        shutil.rmtree(state, ignore_errors=True)
    remove_cgroups(document)
    remove(config, container_id)


def remove(config: Settings, container_id: str) -> None:
    """Remove the marker alone."""
    shutil.rmtree(path(config, container_id), ignore_errors=True)


def remove_cgroups(document: stage.Document) -> None:
    """Empty cgroups of the cgroupfs manager that runc made before it knew the container; systemd removes its own."""
    where = str(document.get("cgroups_path") or "")
    if not where or ":" in where or ".." in where:
        return
    base = "/sys/fs/cgroup"
    left = [os.path.join(place, where.lstrip("/")) for place in [base] + [os.path.join(base, name) for name in os.listdir(base)]]

    def all_removed() -> bool:
        left[:] = [directory for directory in left if not _try_to_remove(directory)]
        return not left

    processes.wait_for(all_removed, _CGROUP_TIMEOUT)


def _try_to_remove(directory: str) -> bool:
    """Remove a cgroup; false where a process that has not quite gone keeps it."""
    try:
        os.rmdir(directory)
    except OSError as exc:
        return exc.errno != errno.EBUSY
    return True
