# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control groups of the lab where PID 1 is not systemd, and the end of all processes in them.

A node's processes cannot leave their cgroup in the unified hierarchy, so it is by it that they are found,
whatever happened to the process that started them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from . import shell
from .host import Host


def roots(host: Host, path: str) -> list[str]:
    """The directories of one cgroup in every hierarchy, the unified one first."""
    points = [host.cgroup2] if host.cgroup2 else []
    return [f"{point}/{path}" for point in [*points, *(mount.point for mount in host.cgroup1)]]


def create(host: Host, path: str) -> None:
    """Make a cgroup in every hierarchy, level by level."""
    points = [host.cgroup2] if host.cgroup2 else []
    for point in [*points, *(mount.point for mount in host.cgroup1)]:
        here = point
        for part in path.split("/"):
            parent, here = here, f"{here}/{part}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(here)
            if point == host.cgroup2:
                enable_controllers(parent)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if os.path.exists(f"{here}/{name}") and not shell.read_text(f"{here}/{name}").strip():
                    _write(f"{here}/{name}", shell.read_text(f"{parent}/{name}"))
            if os.path.exists(f"{here}/cpuset.cpus") and os.path.exists(f"{here}/cgroup.clone_children"):
                _write(f"{here}/cgroup.clone_children", "1")


def enable_controllers(directory: str) -> None:
    """Give the children of a unified cgroup every controller that it has; a refusal of one is not fatal."""
    for controller in shell.read_text(f"{directory}/cgroup.controllers", "").split():
        with contextlib.suppress(OSError):
            _write(f"{directory}/cgroup.subtree_control", f"+{controller}")


def join(directories: t.Iterable[str]) -> None:
    """Move this process."""
    for directory in directories:
        _write(f"{directory}/cgroup.procs", str(os.getpid()))


def processes(directory: str) -> list[int]:
    """The processes in a cgroup and below it."""
    found = []
    for here, _directories, _files in os.walk(directory):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in shell.read_text(f"{here}/cgroup.procs").split()]
    return found


def kill(directories: t.Sequence[str]) -> None:
    """Kill every process of a cgroup; a frozen one is thawed first, because version 1 keeps it alive otherwise."""

    def empty() -> bool:
        left = False
        for directory in directories:
            for here, _directories, files in os.walk(directory):
                if "freezer.state" in files:
                    with contextlib.suppress(OSError):
                        _write(f"{here}/freezer.state", "THAWED")
            for pid in processes(directory):
                if pid > 0:
                    left = True
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        return not left

    shell.wait_until(f"the end of the processes in {directories[0] if directories else '-'}", empty, 20, 0.03)


def remove(directories: t.Iterable[str]) -> None:
    """Remove cgroups and all below; the kernel may need a moment after the last process."""

    def gone(directory: str) -> bool:
        for here, _directories, _files in os.walk(directory, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(here)
        return not os.path.isdir(directory)

    for directory in directories:
        shell.wait_until(f"the removal of {directory}", lambda d=directory: gone(d), 10, 0.05)
        with contextlib.suppress(OSError):  # the lab's own, and that of all labs, when this was the last
            os.rmdir(os.path.dirname(directory))
            os.rmdir(os.path.dirname(os.path.dirname(directory)))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)
