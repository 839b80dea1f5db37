# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging directory of the restore handler: what lies there, who may claim it, and what became of it.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.

An entry is a directory with a random name. Its parent says its state: C(staged) waits for its container, C(claimed)
belongs to one container that is being created, C(failed) makes its pod fail, C(done) is history without memory. A
change of state is one rename. Who looks for an entry or changes one holds the lock; the kernel drops it with the
process, so that a killed handler leaves none behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import sync_directory, write_atomic

DEFAULT_ROOT = "/var/lib/container-checkpoint/restore"
SCHEMA = 1
INCOMING, STAGED, CLAIMED, FAILED, DONE = STATES = ("incoming", "staged", "claimed", "failed", "done")
POLICIES = ("fail", "cold_start")
ENTRY_FILE, CLAIM_FILE, STATUS_FILE = "entry.json", "claim.json", "status.json"
IMAGES, DIFF, DELETED, SPEC, WORK = "checkpoint", "rootfs-diff.tar", "deleted.files", "spec.dump", "work"
# What an entry keeps when its memory is removed.
_KEPT = (ENTRY_FILE, CLAIM_FILE, STATUS_FILE, "restore.log")
_ID = re.compile(r"[0-9a-f]{32}")
_UNWRITTEN = re.compile(r"\.(?:entry|claim|status)\.json\..*\.tmp")
_MAX_JSON = 4 * 1024 * 1024

Document = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Target:
    """The container that asks, as its own OCI spec names it."""

    namespace: str
    pod: str
    pod_uid: str
    container: str
    image: str = ""


@dataclass(frozen=True)
class Entry:
    """One entry: where it is, in which state, and what C(entry.json) says."""

    id: str
    state: str
    path: str
    document: Document

    @property
    def binding(self) -> Document:
        return self.document["binding"]

    @property
    def policy(self) -> str:
        return self.document["policy"]

    def expired(self, now: float) -> bool:
        """Whether the time for which it was staged is over."""
        return now >= float(self.document["expires_at"])

    def names(self, target: Target) -> bool:
        """Whether it was staged under these names. The names alone never entitle anybody (see C(entitled))."""
        mine = self.binding
        return (mine["namespace"], mine["pod"], mine["container"]) == (target.namespace, target.pod, target.container)

    def entitled(self, target: Target) -> bool:
        """Whether it was staged for exactly this pod."""
        uid = self.binding.get("pod_uid")
        return bool(uid) and uid == target.pod_uid and self.names(target)


def check_root(root: str) -> None:
    """Refuse a staging directory that somebody else could write to or read; it holds the memory of processes."""
    try:
        status = os.lstat(root)
    except OSError as exc:
        raise RestoreError("the staging directory %s cannot be used: %s" % (root, exc.strerror or exc)) from exc
    if not stat.S_ISDIR(status.st_mode):
        raise RestoreError("the staging directory %s is not a directory (a link is not accepted)" % root)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise RestoreError(
            "the staging directory %s belongs to uid %d with mode %04o; it must belong to root with mode 0700"
            % (root, status.st_uid, stat.S_IMODE(status.st_mode))
        )


def ensure_root(root: str) -> None:
    """Create the staging directory and one directory for each state."""
    if not os.path.lexists(root):
        os.makedirs(os.path.dirname(root), mode=0o755, exist_ok=True)
        os.mkdir(root, 0o700)
    check_root(root)
    for state in STATES:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(root, state), 0o700)
        check_root(os.path.join(root, state))


@contextlib.contextmanager
def locked(root: str) -> t.Iterator[None]:
    """Hold the lock of the staging directory: look, decide and rename as one step."""
    handle = os.open(os.path.join(root, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_json(path: str) -> Document:
    """A small JSON object from a regular file, never through a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("%s is not a regular file" % path)
        raw = stream.read(_MAX_JSON + 1)
    if len(raw) > _MAX_JSON:
        raise ValueError("%s is too large" % path)
    document = json.loads(raw.decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("%s is not a JSON object" % path)
    return document


def write_json(path: str, document: Document) -> None:
    """Write a JSON object atomically, readable by its owner only."""
    write_atomic(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode("utf-8"))


def load(root: str, state: str, name: str) -> t.Optional[Entry]:
    """The entry of this name, or None if there is none or it is not one."""
    path = os.path.join(root, state, name)
    if not _ID.fullmatch(name) or os.path.islink(path):
        return None
    try:
        document = read_json(os.path.join(path, ENTRY_FILE))
    except (OSError, ValueError):
        return None
    try:
        usable = document["schema"] == SCHEMA and document["policy"] in POLICIES and float(document["expires_at"]) > 0 \
            and all(isinstance(document["binding"][key], str) for key in ("namespace", "pod", "container"))
    except (KeyError, TypeError, ValueError):
        return None
    return Entry(name, state, path, document) if usable else None


def entries(root: str, states: t.Sequence[str] = STATES[1:]) -> t.List[Entry]:
    """All entries in these states, oldest first."""
    found = []
    for state in states:
        try:
            names = os.listdir(os.path.join(root, state))
        except FileNotFoundError:
            continue
        found += [entry for entry in (load(root, state, name) for name in names) if entry]
    return sorted(found, key=lambda entry: float(entry.document.get("created_at") or 0))


def move(root: str, entry: Entry, state: str) -> Entry:
    """Change an entry's state by one rename."""
    path = os.path.join(root, state, entry.id)
    os.rename(entry.path, path)
    sync_directory(os.path.join(root, state))
    sync_directory(os.path.join(root, entry.state))
    return Entry(entry.id, state, path, entry.document)


def claim(root: str, entry: Entry, container_id: str, attempt: int = 1) -> Entry:
    """Make the entry this container's. Call it with the lock held."""
    for name in os.listdir(entry.path):
        # What a killed process was about to write (C(_files.write_atomic)).
        if _UNWRITTEN.fullmatch(name):
            os.unlink(os.path.join(entry.path, name))
    write_json(os.path.join(entry.path, CLAIM_FILE), dict(claimer(), container_id=container_id, attempt=attempt, started=False))
    return entry if entry.state == CLAIMED else move(root, entry, CLAIMED)


def claim_of(entry: Entry) -> Document:
    """Who claimed the entry; empty if nobody did or it cannot be read."""
    try:
        return read_json(os.path.join(entry.path, CLAIM_FILE))
    except (OSError, ValueError):
        return {}


def mark_started(entry: Entry) -> None:
    """From here on the restored processes may have run, and the checkpoint must never be restored again."""
    write_json(os.path.join(entry.path, CLAIM_FILE), dict(claim_of(entry), started=True))


def claimer() -> Document:
    """What identifies this process also after its number was given to another one."""
    return {"pid": os.getpid(), "start_time": process_start(os.getpid()), "boot_id": boot_id(), "at": time.time()}


def claimer_lives(document: Document) -> bool:
    """Whether the process that made a claim still exists."""
    return bool(document) and document.get("boot_id") == boot_id() \
        and document.get("start_time") == process_start(int(document.get("pid") or 0)) != 0


def in_use(entry: Entry) -> bool:
    """Whether a claimed entry is being restored, or its container was restored and waits for its start."""
    if entry.state != CLAIMED:
        return False
    claim, status = claim_of(entry), status_of(entry)
    if claimer_lives(claim):
        return True
    return status.get("outcome") == "held" and claim.get("boot_id") == boot_id() \
        and status.get("pid_start_time") == process_start(int(status.get("pid") or 0)) != 0


def process_start(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 if there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def forget_memory(entry: Entry) -> None:
    """Remove everything from an entry that holds the container's memory or files."""
    for name in os.listdir(entry.path):
        if name in _KEPT:
            continue
        path = os.path.join(entry.path, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def finish(root: str, entry: Entry, state: str, status: Document) -> Entry:
    """Write what became of an entry, move it to C(failed) or C(done), and remove its memory."""
    write_json(os.path.join(entry.path, STATUS_FILE), status)
    moved = move(root, entry, state)
    forget_memory(moved)
    return moved


def finish_now(root: str, entry: Entry, state: str, status: Document) -> Entry:
    """C(finish), at this time."""
    return finish(root, entry, state, dict(status, finished_at=time.time()))


def remove(entry: Entry) -> None:
    """Remove an entry altogether."""
    shutil.rmtree(entry.path)


def status_of(entry: Entry) -> Document:
    """What the handler wrote about an entry; empty before it did anything."""
    try:
        return read_json(os.path.join(entry.path, STATUS_FILE))
    except (OSError, ValueError):
        return {}


def describe(entry: Entry, now: float) -> Document:
    """What may be told about an entry: everything but its memory."""
    document = {key: entry.document.get(key) for key in ("id", "binding", "policy", "accept", "created_at", "expires_at", "checkpoint")}
    return dict(document, state=entry.state, expired=entry.expired(now), status=status_of(entry))


def expire(root: str, now: float, keep_history: float) -> t.List[t.Tuple[str, str]]:
    """End what is over: staged entries past their time lose their memory, old history goes, so do remains of a
    staging that died. Returns pairs of entry and what happened to it. A claimed entry is left to its handler."""
    happened = []
    with locked(root):
        for entry in entries(root, (STAGED, CLAIMED)):
            if in_use(entry):
                continue
            if entry.expired(now):
                happened.append((entry.id, expire_one(root, entry, now)))
        for entry in entries(root, (FAILED, DONE)):
            if now >= float(status_of(entry).get("finished_at") or entry.document["expires_at"]) + keep_history:
                remove(entry)
                happened.append((entry.id, "removed"))
        incoming = os.path.join(root, INCOMING)
        for name in os.listdir(incoming):
            path = os.path.join(incoming, name)
            if not claimer_lives(_owner_of_incoming(path)):
                shutil.rmtree(path, ignore_errors=True)
                happened.append((name, "removed"))
    return happened


def expire_one(root: str, entry: Entry, now: float) -> str:
    """End one entry whose time is over. A pod that was to be restored or to fail still fails."""
    bound = bool(entry.binding.get("pod_uid"))
    state = FAILED if entry.policy == "fail" and bound else DONE
    finish(root, entry, state, {
        "schema": SCHEMA, "entry": entry.id, "outcome": "expired", "finished_at": now,
        "reason": "the restore was staged until %s and no container came for it in time"
                  % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(entry.document["expires_at"]))),
    })
    return "expired"


def _owner_of_incoming(path: str) -> Document:
    try:
        return read_json(os.path.join(path, CLAIM_FILE))
    except (OSError, ValueError):
        return {}
