# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a container holds, and how long its checkpoint may take.

PRIVATE to the collection. The cgroup is read first, because that costs nothing; the runtime is asked when it is not
found.
"""

from __future__ import annotations

import math
import os
import re
import threading
import typing as t

GIB = 1024**3
_FILES = ("memory.current", "memory.usage_in_bytes")
# Where memory cgroups are: v1, v2. systemd (kubepods.slice) and cgroupfs (kubepods) nest them alike.
ROOTS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")
_DEPTH = 6
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def derived_timeout(memory: t.Optional[int]) -> int:
    """Seconds for the kubelet's timeout parameter: 60 and 30 for each GiB, and never below the kubelet's own 120."""
    return max(120, 60 + math.ceil(30 * (memory or 0) / GIB))


def own_deadline(timeout: int) -> float:
    """How long we wait for an answer: longer than the kubelet does, which raises a short timeout to its own default of
    120."""
    return max(timeout, 120) + 60.0


class Cgroups:
    """The memory cgroups of this machine's containers, found in one walk however many containers are asked for."""

    def __init__(self, roots: t.Sequence[str] = ROOTS) -> None:
        self._roots = roots
        self._lock = threading.Lock()
        self._directories: t.Optional[t.Dict[str, str]] = None

    def memory(self, container_id: str) -> t.Optional[int]:
        """Bytes of memory of the cgroup that is named after the container; None when there is none on this machine."""
        with self._lock:
            if self._directories is None:
                # Where cgroup v1 has a memory controller, the unified hierarchy has none.
                root = next((root for root in self._roots if os.path.isdir(root)), None)
                self._directories = dict(_walk(root, _DEPTH)) if root else {}
        directory = self._directories.get(container_id)
        for name in _FILES if directory else ():
            try:
                with open(os.path.join(str(directory), name), encoding="ascii") as stream:
                    return int(stream.read(32))
            except (OSError, ValueError):
                continue
        return None


def _walk(directory: str, depth: int) -> t.Iterator[t.Tuple[str, str]]:
    """(container ID, cgroup) for every cgroup whose name holds an ID; those below belong to the container itself."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for name in names:
        match = _ID.search(name)
        if match:
            yield match.group(0), os.path.join(directory, name)
        elif depth:
            yield from _walk(os.path.join(directory, name), depth - 1)
