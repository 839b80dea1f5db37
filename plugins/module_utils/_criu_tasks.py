# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the images of a checkpoint say about its processes: credentials, limits, state, mounts, root directory.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_image as image
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

ALIVE, DEAD, STOPPED, ZOMBIE = 1, 2, 3, 6
LSM_NAMES = {0: "", 1: "selinux", 2: "apparmor"}
_CAPABILITY_SETS = {"inheritable": 9, "permitted": 10, "effective": 11, "bounding": 12, "ambient": 19}
_UIDS = (1, 3, 5, 7)
_GIDS = (2, 4, 6, 8)
_FILE_REG = 1
_MAX_TASKS = 100000


@dataclass(frozen=True)
class Thread:
    """The credentials of one thread. Capabilities are bit masks."""

    tid: int
    uids: t.FrozenSet[int]
    gids: t.FrozenSet[int]
    groups: t.FrozenSet[int]
    capabilities: t.Mapping[str, int]
    no_new_privs: bool
    seccomp_mode: int
    lsm_profile: str


@dataclass(frozen=True)
class Task:
    """One process: its pid inside the container, name, state, threads and hard limits by resource number."""

    pid: int
    comm: str
    state: int
    threads: t.Tuple[Thread, ...] = ()
    hard_limits: t.Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Images:
    """Everything a privilege check needs to know about a checkpoint."""

    tasks: t.Tuple[Task, ...]
    machine: int
    lsm: str
    user_namespace: bool


Load = t.Callable[[str], bytes]


def read(directory: str) -> Images:
    """Read the images in C(directory); raise ArchiveError if they are incomplete or not what CRIU writes."""
    return read_images(lambda name: image.load(directory, name), os.listdir(directory))


def read_images(load: Load, names: t.Iterable[str]) -> Images:
    """The same of images that lie elsewhere. load: the bytes of one, or ArchiveError; names: what there is."""
    inventory = next(image.entries(load("inventory.img"), "inventory"), None)
    if inventory is None:
        raise ArchiveError("CRIU image inventory.img is empty")
    tasks = []
    machine = 0
    for process in image.entries(load("pstree.img"), "pstree"):
        pid = image.number(process, 1)
        tids = image.numbers(process, 5)
        if len(tasks) + len(tids) > _MAX_TASKS:
            raise ArchiveError("the checkpoint holds more than %d tasks" % _MAX_TASKS)
        core = _core(load, pid)
        machine = machine or image.number(core, 1)
        tasks.append(_task(load, pid, tids, core))
    if not tasks:
        raise ArchiveError("the checkpoint holds no process")
    return Images(
        tasks=tuple(tasks),
        machine=machine,
        lsm=LSM_NAMES.get(image.number(inventory, 6), "unknown"),
        user_namespace=any(name.startswith("userns-") for name in names),
    )


def _core(load: Load, pid: int) -> image.Message:
    name = "core-%d.img" % pid
    core = next(image.entries(load(name), "core", name), None)
    if core is None:
        raise ArchiveError("CRIU image %s is empty" % name)
    return core


def _task(load: Load, pid: int, tids: t.List[int], core: image.Message) -> Task:
    process = image.message(core, 3)
    if process is None:
        raise ArchiveError("CRIU image core-%d.img says nothing about its process" % pid)
    state = image.number(process, 1)
    comm = image.text(process, 6)
    if state in (DEAD, ZOMBIE):
        return Task(pid=pid, comm=comm, state=state)
    limits = image.message(process, 8) or {}
    hard = {index: image.number(entry, 2) for index, entry in enumerate(image.messages(limits, 1))}
    threads = [_thread(tid, core if tid == pid else _core(load, tid)) for tid in tids or [pid]]
    return Task(pid=pid, comm=comm, state=state, threads=tuple(threads), hard_limits=hard)


def _thread(tid: int, core: image.Message) -> Thread:
    thread = image.message(core, 5)
    creds = image.message(thread, 10) if thread else None
    if thread is None or creds is None:
        raise ArchiveError("CRIU image core-%d.img holds no credentials" % tid)
    return Thread(
        tid=tid,
        uids=frozenset(image.number(creds, number) for number in _UIDS),
        gids=frozenset(image.number(creds, number) for number in _GIDS),
        groups=frozenset(image.numbers(creds, 14)),
        capabilities={name: _mask(image.numbers(creds, number)) for name, number in _CAPABILITY_SETS.items()},
        no_new_privs=bool(image.number(creds, 18)),
        seccomp_mode=image.number(thread, 11),
        lsm_profile=image.text(creds, 15),
    )


def _mask(words: t.List[int]) -> int:
    return sum((word & 0xFFFFFFFF) << (32 * index) for index, word in enumerate(words[:2]))


def external_mounts(directory: str) -> t.Dict[str, str]:
    """Mount points that the restore must be given from outside: key to the path inside the container."""
    found: t.Dict[str, str] = {}
    for name in sorted(os.listdir(directory)):
        if not (name.startswith("mountpoints-") and name.endswith(".img")):
            continue
        for mount in image.entries(image.load(directory, name), "mountpoints", name):
            key = image.text(mount, 18)
            if key:
                found[key] = image.text(mount, 7)
    return found


def root_mode(directory: str) -> t.Optional[int]:
    """The permission bits that the root directory had, if an open file or a working directory recorded them."""
    for entry in image.entries(image.load(directory, "files.img"), "files"):
        if image.number(entry, 1) != _FILE_REG:
            continue
        regular = image.message(entry, 3)
        if regular and image.text(regular, 6) == "/" and 10 in regular:
            return image.number(regular, 10) & 0o7777
    return None


def restore_statistics(data: bytes) -> t.Dict[str, int]:
    """CRIU's own numbers about a restore (stats-restore): times in microseconds and pages."""
    names = {1: "pages_compared", 2: "pages_skipped_cow", 3: "forking_time", 4: "restore_time", 5: "pages_restored"}
    for entry in image.entries(data, "stats", "stats-restore"):
        restore = image.message(entry, 2)
        if restore:
            return {name: image.number(restore, number) for number, name in names.items()}
    return {}
