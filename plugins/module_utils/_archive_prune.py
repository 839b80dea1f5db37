# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune a directory of archives: judge every file of it, and remove what the policy and its age let go.

PRIVATE to the collection. C(judge) reads, C(remove) removes. Files are removed through the opened directory, by plain
names, and only while they are still what was judged; no link is followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import (
    ARCHIVE,
    PIN_SUFFIX,
    TEMPORARY,
    Directory,
    Found,
    companions_of,
    look,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import parse_time
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import (
    COMPLETE,
    NEWER,
    clean,
    utc,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import (
    MAX_BYTES,
    NEWEST,
    NO_POLICY,
    NOT_KEPT,
    PINNED,
    Candidate,
    Policy,
    decide,
)

INCOMPLETE, WRITING, NOT_UNDERSTOOD, REFUSED = "incomplete", "being_written", "not_understood", "refused"
ORPHAN, LEFT_BEHIND, IN_USE, CHANGED, NEWER_SCHEMA = "orphan", "temporary", "in_use", "changed", "newer_schema"
# A file that was written to so short ago is taken to be still written, whatever else is asked for.
SETTLED = 60.0
GROUPS = ("container", "pod", "owner", "directory")

_WHY = {
    NEWEST: "only because it is the newest complete archive of its group",
    PINNED: "it is pinned",
    NO_POLICY: "no rule says what to keep",
    NOT_KEPT: "no rule keeps it",
    MAX_BYTES: "it is the oldest one where all together are larger than max_bytes",
    IN_USE: "a process has it open",
    NEWER_SCHEMA: "its record was written by a newer version of this collection",
    WRITING: "it was written to less than a minute ago",
}

JsonDict = t.Dict[str, t.Any]


@dataclass
class Judged:
    """One file and what becomes of it. info: as C(archive_info) describes it; empty for what is no archive."""

    found: Found
    keep: bool
    rules: t.Tuple[str, ...]
    why: str
    complete: bool = False
    group: t.Optional[str] = None
    info: JsonDict = field(default_factory=dict)

    def report(self, directory: str) -> JsonDict:
        """For the module's result."""
        result = {
            "path": os.path.join(directory, self.found.name),
            "kind": self.found.kind,
            "size": self.found.size,
            "complete": self.complete,
            "group": self.group,
            "checkpointed_at": self.info.get("checkpointed_at"),
            "id": (self.info.get("record") or {}).get("id"),
            "rule": self.rules[0],
            "rules": list(self.rules),
            "why": self.why,
        }
        return t.cast(JsonDict, clean(result))


@dataclass(frozen=True)
class Rules:
    """The policy for complete archives, and what applies to everything else. incomplete_after: None never removes."""

    policy: Policy
    group: str = "container"
    pins: t.FrozenSet[str] = frozenset()
    incomplete_after: t.Optional[float] = None


def judge(
    directory: Directory,
    describe: t.Callable[[str], JsonDict],
    rules: Rules,
    now: float,
    open_files: t.Callable[[], t.AbstractSet[t.Tuple[int, int]]],
) -> t.List[Judged]:
    """What becomes of every file of the directory that is an archive or belongs to one, in the order of names.

    open_files: (device, inode) of what processes have open; asked only if something is to be removed.
    """
    judged = [_judge_archive(directory, found, describe, rules, now) for found in directory.archives]
    judged += [_judge_leftover(found, rules, now) for found in directory.leftovers]
    complete = {entry.found.name: entry for entry in judged if entry.complete}
    candidates = [
        Candidate(name, entry.group or "", _time(entry), entry.found.size, entry.rules == (PINNED,))
        for name, entry in complete.items()
    ]
    others = sum(entry.found.size for entry in judged if not entry.complete and entry.keep and entry.found.regular)
    for name, decision in decide(candidates, rules.policy, now, others).items():
        entry = complete[name]
        entry.keep, entry.rules = decision.keep, decision.rules
        entry.why = _WHY.get(decision.rules[0], "the rule %s keeps it" % decision.rules[0])
    if not all(entry.keep for entry in judged):
        busy = open_files()
        for entry in judged:
            if not entry.keep and (entry.found.device, entry.found.inode) in busy:
                entry.keep, entry.rules, entry.why = True, (IN_USE,), _WHY[IN_USE]
    return sorted(judged, key=lambda entry: entry.found.name)


def pins_without_archive(judged: t.Iterable[Judged], directory: str, pins: t.AbstractSet[str]) -> t.List[str]:
    """Pins that name nothing that is there."""
    known: t.Set[str] = set()
    for entry in judged:
        known |= _handles(directory, entry.found, entry.info)
    return sorted(pins - known)


def _judge_archive(
    directory: Directory, found: Found, describe: t.Callable[[str], JsonDict], rules: Rules, now: float
) -> Judged:
    if not found.regular:
        return Judged(found, True, (REFUSED,), "it is a link or another special file; such are never touched")
    info = describe(os.path.join(directory.path, found.name))
    pinned = found.name + PIN_SUFFIX in directory.names or bool(rules.pins & _handles(directory.path, found, info))
    state, error, unfinished = info["record"]["state"], info["error"], info["incomplete"]
    group = group_of(info, rules.group) if info["container_id"] else None
    # Of ten thousand archives, only what is still needed is kept in memory.
    info = {"record": info["record"], "checkpointed_at": info["checkpointed_at"]}
    if state == COMPLETE and error is None:
        return Judged(found, True, (PINNED,) if pinned else (), "", True, group, info)
    if pinned:
        return Judged(found, True, (PINNED,), _WHY[PINNED], False, group, info)
    if state == NEWER:
        return Judged(found, True, (NEWER_SCHEMA,), _WHY[NEWER_SCHEMA], False, group, info)
    ours = found.name.startswith("checkpoint-") or info["record"]["path"] is not None
    if error is not None and not (unfinished and ours):
        return Judged(found, True, (NOT_UNDERSTOOD,), error, False, group, info)
    why = error or info["record"]["why"] or "it has no record"
    keep, rule, why = _by_age(found, INCOMPLETE, why, rules, now)
    return Judged(found, keep, (rule,), why, False, group, info)


def _judge_leftover(found: Found, rules: Rules, now: float) -> Judged:
    if not found.regular:
        return Judged(found, True, (REFUSED,), "it is a link or another special file; such are never touched")
    if found.kind == TEMPORARY:
        keep, rule, why = _by_age(found, LEFT_BEHIND, "it is the temporary file of an interrupted write", rules, now)
    else:
        keep, rule, why = _by_age(found, ORPHAN, "the archive that it belongs to is not there", rules, now)
    return Judged(found, keep, (rule,), why)


def _by_age(found: Found, rule: str, why: str, rules: Rules, now: float) -> t.Tuple[bool, str, str]:
    """Whether something that is not complete may stay: it may become complete, or somebody may still look at it."""
    age = now - found.mtime
    if age < SETTLED:
        return True, WRITING, _WHY[WRITING]
    if rules.incomplete_after is None:
        return True, rule, "%s; such are only reported" % why
    if age <= rules.incomplete_after:
        return True, rule, "%s; last written to %s, too short ago" % (why, utc(found.mtime))
    return False, rule, "%s; last written to %s" % (why, utc(found.mtime))


def _handles(directory: str, found: Found, info: JsonDict) -> t.Set[str]:
    """What a pin may call an archive."""
    record = info.get("record") or {}
    names = {found.name, os.path.join(directory, found.name)}
    return names | {value for value in (record.get("id"), record.get("sha256")) if value}


def group_of(info: JsonDict, by: str) -> str:
    """The name of the group that an archive counts in."""
    if by == "directory":
        return "all"
    owner = info.get("owner") if by == "owner" else None
    if isinstance(owner, dict) and owner.get("kind") and owner.get("name"):
        who = "%s:%s" % (owner["kind"], owner["name"])
    else:
        who = info.get("pod") or ""
    parts = [info.get("cluster") or "", info.get("namespace") or "", who]
    if by != "pod":
        parts.append(info.get("container") or info.get("container_id") or "")
    return "/".join(parts).lstrip("/")


def _time(entry: Judged) -> float:
    made = parse_time(entry.info.get("checkpointed_at"))
    return made.timestamp() if made is not None else entry.found.mtime


# Removing -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """The directory, open, and locked against others that prune it at the same time."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise CheckpointError("the directory %s cannot be opened: %s" % (path, exc.strerror or exc)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CheckpointError("another archive_prune is at work in %s; try again later" % path) from None
        yield descriptor
    finally:
        os.close(descriptor)


def remove(descriptor: int, directory: Directory, entry: Judged) -> bool:
    """Remove one judged file and what belongs to it; return whether it was there and still what was judged.

    The archive goes first, and is gone for good before anything else: at no time is there an archive whose record was
    removed (which would look like one that was only not recorded yet), and a record alone is of nothing.
    """
    name = entry.found.name
    try:
        if look(_at(descriptor), name, entry.found.kind) != entry.found:
            return False
        os.unlink(name, dir_fd=descriptor)
        os.fsync(descriptor)
        if entry.found.kind == ARCHIVE:
            for companion in companions_of(name, directory.names):
                _remove_companion(descriptor, companion)
            os.fsync(descriptor)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise CheckpointError(
            "%s cannot be removed: %s" % (os.path.join(directory.path, name), exc.strerror or exc)
        ) from None
    return True


def _remove_companion(descriptor: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if look(_at(descriptor), name, "").regular:
            os.unlink(name, dir_fd=descriptor)


def _at(descriptor: int) -> str:
    """The opened directory as a path, wherever its name points to by now."""
    return "/proc/self/fd/%d" % descriptor


def files_in_use() -> t.Set[t.Tuple[int, int]]:
    """Device and inode of every file that a process has open, as far as we may see them."""
    found = set()
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        table = "/proc/%s/fd" % pid
        with contextlib.suppress(OSError):
            for number in os.listdir(table):
                with contextlib.suppress(OSError):
                    status = os.stat(os.path.join(table, number))
                    found.add((status.st_dev, status.st_ino))
    return found
