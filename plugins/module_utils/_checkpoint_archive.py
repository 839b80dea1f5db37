# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in the checkpoint directory: is this path one, is it complete, is it the right one, is there one already.

PRIVATE to the collection. Works on this machine's disk; the times are injected.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import threading
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import scan_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import parse_time
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_targets import Target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    DeadlineError,
    HttpStatusError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import rename_synced
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import (
    FileState,
    VerifiedArchive,
    verify_archive,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,254}")
_POLL = 0.2
# A file that is not complete and has not changed for so many seconds will not become complete.
STALLED = 5.0
# Clocks of file systems are coarser than the system's.
_COARSE = 2.0
# How far in the future an archive may seem to be (a clock that was set back) and still count as fresh.
_FUTURE = 60.0


def check_path(path: str, directory: str) -> str:
    """Return the path if it is that of a file right inside the checkpoint directory, else raise; nothing is opened."""
    folder, slash, name = path.rpartition("/")
    wanted = directory.rstrip("/")
    same = folder == wanted or (
        folder.startswith("/")
        and ".." not in folder.split("/")
        and os.path.realpath(folder) == os.path.realpath(directory)
    )
    if not slash or not same or not _NAME.fullmatch(name):
        raise HttpStatusError(
            "the answer names %r, which is not a file in the checkpoint directory %s. It was not touched. "
            "If the kubelet runs with another root directory, set checkpoint_dir to its 'checkpoints' directory"
            % (path, directory),
            200,
        )
    return "%s/%s" % (wanted, name)


def wait_complete(
    path: str,
    deadline: float,
    stalled: t.Optional[float] = None,
    sleep: t.Callable[[float], t.Any] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> FileState:
    """Wait until the file is a complete tar, and return its state then. deadline: on C(clock).

    A file that cannot become a good archive (hostile, of another kind) is refused at once; one that is merely not
    finished gets time as long as it keeps growing.
    """
    stalled = STALLED if stalled is None else stalled
    last, since = None, clock()
    while True:
        state: t.Optional[FileState] = None
        problem: CheckpointError
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                raise ArchiveError("%s is not a regular file" % path)
            state = FileState.of(status)
            scan_file(path)
            if FileState.of(os.lstat(path)) == state:
                return state
            problem = ArchiveError("archive %s is still being written" % path)
        except FileNotFoundError:
            problem = ArchiveError("archive %s, which the answer names, is not there" % path)
        except ArchiveError as exc:
            if not exc.details.get("incomplete"):
                raise
            problem = exc
        now = clock()
        if state != last:
            last, since = state, now
        if now - since >= stalled:
            raise ArchiveError("%s; it has not changed for %g s" % (problem.msg, stalled))
        if now >= deadline:
            raise DeadlineError("%s; there is no time left to wait for it" % problem.msg)
        sleep(_POLL)


def verify(
    path: str,
    target: Target,
    called_at: t.Optional[float],
    state: FileState,
    deadline: float,
    clock: t.Callable[[], float] = time.monotonic,
) -> VerifiedArchive:
    """Read the whole archive, and make sure that it is the target's and not older than the call (seconds since
    1970)."""

    def in_time() -> None:
        if clock() >= deadline:
            raise DeadlineError("archive %s could not be read to its end in time" % path)

    verified = verify_archive(path, expect=state, before_block=in_time)
    check_identity(path, verified.contents.identity, target)
    if called_at is not None and state.mtime_ns / 1e9 < called_at - _COARSE:
        raise ArchiveError("archive %s is older than the call that is said to have written it" % path)
    return verified


def check_identity(path: str, identity: t.Any, target: Target) -> None:
    """Raise unless the archive is of the target, by what is inside."""
    try:
        identity.check(
            namespace=target.namespace,
            pod=target.pod,
            container=target.container,
            container_id=target.container_id,
            pod_uid=target.pod_uid,
        )
    except ArchiveError as exc:
        raise ArchiveError("archive %s: %s" % (path, exc.msg)) from None


def safe_path(path: str) -> str:
    """The same path without characters that tools and file systems stumble over: C(:) becomes C(-), C(+) becomes
    C(_)."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + name.replace(":", "-").replace("+", "_")


def rename_safe(path: str) -> str:
    """Give the archive its safe name; return it."""
    safe = safe_path(path)
    if safe != path:
        rename_synced(path, safe)
    return safe


def leftovers(directory: str, target: Target, since: float) -> t.List[str]:
    """Archives that seem to be the target's and were written after a time (since 1970): a failed call may leave
    some."""
    prefix = name_prefix(target)
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if (
                    entry.name.startswith(prefix)
                    and entry.name.endswith(".tar")
                    and entry.stat(follow_symlinks=False).st_mtime >= since - _COARSE
                ):
                    found.append(entry.path)
    except OSError:
        return []
    return sorted(found)


def name_prefix(target: Target) -> str:
    """How the kubelet begins the names of a container's archives. A hint only: names are ambiguous."""
    return "checkpoint-%s_%s-%s-" % (target.pod, target.namespace, target.container)


def new_path(directory: str, target: Target, now: datetime.datetime) -> str:
    """A path as the kubelet would choose it, for a checkpoint that does not go through it."""
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return os.path.join(directory, "%s%s.tar" % (name_prefix(target), stamp))


@dataclass(frozen=True)
class Existing:
    """An archive that is there already. record: None if the archive has none yet."""

    path: str
    record: t.Optional[_record.Record]
    age: float


class Shelf:
    """The archives of a directory, for C(max_age). Records are parsed once, however many containers ask."""

    def __init__(self, directory: str, now: t.Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._now = now
        self._lock = threading.Lock()
        self._cache: t.Dict[str, t.Tuple[FileState, t.Optional[_record.Record]]] = {}

    def fresh(self, target: Target, max_age: float) -> t.Optional[Existing]:
        """The newest complete archive of this very container that is young enough: one with a record, else one
        without."""
        with self._lock:
            recorded = [entry for entry in self._recorded(target) if -_FUTURE <= entry.age <= max_age]
        for entry in sorted(recorded, key=lambda entry: entry.age):
            if self._sound(entry, target):
                return entry
        unrecorded = [entry for entry in self._unrecorded(target) if -_FUTURE <= entry.age <= max_age]
        return min(unrecorded, key=lambda entry: entry.age) if unrecorded else None

    def _names(self) -> t.List[str]:
        try:
            return sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise CheckpointError(
                "the checkpoint directory %s cannot be read: %s" % (self._directory, exc.strerror or exc)
            ) from None

    def _recorded(self, target: Target) -> t.Iterator[Existing]:
        for name in self._names():
            if not name.endswith(_record.RECORD_SUFFIX):
                continue
            path = os.path.join(self._directory, name)
            record = self._read(path)
            archive = path[: -len(_record.RECORD_SUFFIX)]
            if record is None or record["archive"]["name"] != os.path.basename(archive):
                continue
            source = record["source"]
            wanted = (target.namespace, target.pod, target.container, target.container_id)
            made = parse_time(record.get("checkpointed_at"))
            if (
                made is not None
                and (source["namespace"], source["pod"], source["container"], source["container_id"]) == wanted
            ):
                yield Existing(archive, record, self._now() - made.timestamp())

    def _read(self, path: str) -> t.Optional[_record.Record]:
        try:
            state = FileState.of(os.lstat(path))
            known = self._cache.get(path)
            if known is None or known[0] != state:
                self._cache[path] = known = (state, _record.read(path))
            return known[1]
        except (OSError, ArchiveError):
            return None

    def _sound(self, entry: Existing, target: Target) -> bool:
        """Size as recorded, tar complete, identity as asked for; the digest is not computed again."""
        try:
            contents = scan_file(entry.path)
            check_identity(entry.path, contents.identity, target)
        except ArchiveError:
            return False
        return entry.record is not None and contents.bytes == entry.record["archive"]["bytes"]

    def _unrecorded(self, target: Target) -> t.Iterator[Existing]:
        """Complete archives whose record is missing: whoever made them was interrupted, or was not us."""
        names = set(self._names())
        for name in names:
            if (
                not (name.startswith(name_prefix(target)) and name.endswith(".tar"))
                or name + _record.RECORD_SUFFIX in names
            ):
                continue
            path = os.path.join(self._directory, name)
            try:
                identity = scan_file(path).identity
                check_identity(path, identity, target)
            except ArchiveError:
                continue
            made = parse_time(identity.checkpointed_at)
            if made is not None:
                yield Existing(path, None, self._now() - made.timestamp())
