# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that outlive the command that started them (nodes, registries): start, look, end.

Where PID 1 is systemd a part is a transient unit, else a session of its own in a cgroup of the lab.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import typing as t

from . import cgroups, shell
from .host import Host
from .state import Lab


def start(host: Host, lab: Lab, part: str, argv: t.Sequence[str], log_path: str) -> None:
    """Start a part; what it prints goes to its log."""
    if host.systemd:
        unit = lab.unit(part)
        shell.run(["systemctl", "reset-failed", unit], check=False)
        options = ["--quiet", "--collect", f"--unit={unit}", "--slice=system.slice"]
        options += ["-p", "Delegate=yes", "-p", "TasksMax=infinity", "-p", "LimitNOFILE=1048576"]
        options += ["-p", f"StandardOutput=append:{log_path}", "-p", f"StandardError=append:{log_path}"]
        shell.run(["systemd-run", *options, *argv])
        return
    with open(log_path, "ab") as log:
        subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def command_lines() -> dict[int, list[str]]:
    """Every process of this machine with its arguments."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/cmdline", "rb") as stream:
                    found[int(name)] = [word.decode(errors="replace") for word in stream.read().split(b"\0")[:-1]]
    return found


def running(marker: str, processes: t.Mapping[int, t.Sequence[str]] | None = None) -> list[int]:
    """The processes that have this very argument (a file of the lab, so nobody else's)."""
    table = command_lines() if processes is None else processes
    return [pid for pid, argv in table.items() if marker in argv and pid != os.getpid()]


def kill_processes(marker: str) -> None:
    """Kill the processes that have this very argument."""
    for pid in running(marker):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cgroup_directories(host: Host, lab: Lab, part: str) -> list[str]:
    """Every cgroup that processes of this part can be in."""
    found = cgroups.roots(host, f"{lab.cgroup}/{part}")
    if host.systemd:
        found.insert(0, f"{host.cgroup2}/system.slice/{lab.unit(part)}")
    return [directory for directory in found if os.path.isdir(directory)]


def end(host: Host, lab: Lab, part: str, marker: str) -> None:
    """End a part at once, with all its processes, and remove its cgroups."""
    kill_processes(marker)
    directories = cgroup_directories(host, lab, part)
    cgroups.kill(directories)
    if host.systemd:
        shell.run(["systemctl", "stop", lab.unit(part)], check=False)
        shell.run(["systemctl", "reset-failed", lab.unit(part)], check=False)
    shell.wait_until(f"the end of {part}", lambda: not running(marker), 10)
    cgroups.remove(d for d in directories if f"/{lab.cgroup}/" in d)


def member_cgroups(host: Host, lab: Lab, part: str) -> list[str]:
    """Make the cgroup that a part without cgroups of its own is to join; none where it is a unit of systemd."""
    if host.systemd:
        return []
    path = f"{lab.cgroup}/{part}"
    cgroups.create(host._replace(cgroup1=()), path)
    return [f"{host.cgroup2}/{path}"]
