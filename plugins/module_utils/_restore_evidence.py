# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge, from what the container runtime or the restore handler recorded, whether containers were restored, and from which
checkpoint.

PRIVATE to the collection. Pure. A Pod's phase and image prove nothing (the status shows the base image, and old log lines
come along); the runtime's own note on the container does, and so does the status that the restore handler wrote for that very
container into its directory, which only root can write to.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Container
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

Reason = t.Dict[str, str]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Expected:
    """One container that shall be a restored one; what is None is not compared."""

    name: str
    image: t.Optional[str] = None
    checkpointed_at: t.Optional[str] = None
    archive_sha256: t.Optional[str] = None


@dataclass(frozen=True)
class Handled:
    """What the restore handler wrote about one restore. outcome: C(restored), or how far it came."""

    entry: str
    container: str
    container_id: str
    outcome: str
    reason: str = ""
    archive_sha256: t.Optional[str] = None
    image: t.Optional[str] = None
    checkpointed_at: t.Optional[str] = None
    pid: int = 0
    diagnosis: t.Tuple[t.Mapping[str, t.Any], ...] = ()

    def told(self) -> t.Dict[str, t.Any]:
        """As results show it."""
        return {
            "entry": self.entry,
            "container": self.container,
            "container_id": self.container_id or None,
            "outcome": self.outcome,
            "reason": self.reason or None,
            "diagnosis": list(self.diagnosis),
        }


def handled(
    staged: t.Iterable[t.Mapping[str, t.Any]], namespace: str, pod: str, pod_uid: t.Optional[str]
) -> t.List[Handled]:
    """What the handler wrote for a Pod, the newest last; staged: entries as C(_stage.describe) tells them."""
    found = []
    for entry in staged:
        binding, status, checkpoint = entry["binding"], entry.get("status") or {}, entry.get("checkpoint") or {}
        if (binding["namespace"], binding["pod"]) != (namespace, pod) or pod_uid not in (None, binding.get("pod_uid")):
            continue
        found.append(
            Handled(
                entry=entry["id"],
                container=binding["container"],
                container_id=status.get("container_id") or "",
                outcome=status.get("outcome") or entry["state"],
                reason=status.get("reason") or "",
                archive_sha256=checkpoint.get("sha256"),
                image=checkpoint.get("image"),
                checkpointed_at=checkpoint.get("checkpointed_at"),
                pid=int(status.get("pid") or 0),
                diagnosis=tuple(status.get("diagnosis") or ()),
            )
        )
    return found


def _reason(name: str, container: str, text: str) -> Reason:
    return {"id": name, "container": container, "text": text}


def same_time(one: str, other: str) -> t.Optional[bool]:
    """Whether two RFC 3339 times are the same instant, None if one of them is none or they are of different zones."""
    left, right = _TIME.fullmatch(one), _TIME.fullmatch(other)
    if not left or not right or left.group(3).replace("+00:00", "Z") != right.group(3).replace("+00:00", "Z"):
        return None
    # Compared to the precision that both have: JSON writers cut trailing zeros, some writers nanoseconds.
    fractions = [(match.group(2) or "") for match in (left, right)]
    digits = min(6, max(len(fraction) for fraction in fractions))
    return left.group(1) == right.group(1) and len({fraction.ljust(9, "0")[:digits] for fraction in fractions}) == 1


def _compare_image(
    recorded: t.Optional[str], expected: Expected, digests_of: t.Callable[[str], t.Sequence[str]]
) -> t.List[Reason]:
    wanted = _DIGEST.search(expected.image or "")
    if expected.image and not wanted:
        raise InputError(
            "container %s: the expected checkpoint image %s is not given by digest" % (expected.name, expected.image)
        )
    if not wanted or not recorded:
        return []
    found = _DIGEST.search(recorded)
    known = (
        [found.group(0)] if found else [match.group(0) for match in map(_DIGEST.search, digests_of(recorded)) if match]
    )
    if wanted.group(0) in known:
        return []
    if not known:
        return [
            _reason(
                "image-not-comparable",
                expected.name,
                "the runtime names the checkpoint %s, whose digest is not known here" % recorded,
            )
        ]
    return [
        _reason(
            "other-image",
            expected.name,
            "it was restored from %s, not from %s" % (recorded, expected.image),
        ),
    ]


def _compare_time(recorded: t.Optional[str], expected: Expected) -> t.List[Reason]:
    if not expected.checkpointed_at or not recorded:
        return []
    same = same_time(recorded, expected.checkpointed_at)
    if same is None:
        text = "the times %s and %s cannot be compared" % (recorded, expected.checkpointed_at)
        return [_reason("time-not-comparable", expected.name, text)]
    if same:
        return []
    text = "it was restored from a checkpoint of %s, not of %s" % (recorded, expected.checkpointed_at)
    return [_reason("other-checkpoint", expected.name, text)]


# Reasons that do not speak against the proof.
_NOTES = ("archive-not-comparable", "image-not-comparable", "time-not-comparable")


def _compare_archive(recorded: t.Optional[str], expected: Expected) -> t.List[Reason]:
    if not expected.archive_sha256 or recorded == expected.archive_sha256:
        return []
    if recorded is None:
        text = "the runtime does not record the digest of the archive that it restored from"
        return [_reason("archive-not-comparable", expected.name, text)]
    text = "it was restored from the archive with the digest %s, not %s" % (recorded, expected.archive_sha256)
    return [_reason("other-archive", expected.name, text)]


def own(container: Container, restores: t.Iterable[Handled]) -> t.Optional[Handled]:
    """What the handler wrote about this very container."""
    return next((one for one in restores if one.container_id and one.container_id == container.id), None)


def _fresh(expected: Expected, restores: t.Iterable[Handled]) -> Reason:
    """Neither restored it; perhaps the handler knows why."""
    text = "the runtime says that it was started afresh, not restored"
    for one in restores:
        if one.container != expected.name:
            continue
        if one.outcome == "restored":
            text += (
                "; the restore handler restored it as container %s before, and it has ended since" % one.container_id
            )
        elif one.reason:
            text += "; the restore handler says: %s" % one.reason
    return _reason("started-fresh", expected.name, text)


def judge(
    container: Container,
    expected: Expected,
    alive: t.Callable[[int], bool],
    digests_of: t.Callable[[str], t.Sequence[str]],
    restores: t.Sequence[Handled] = (),
) -> t.List[Reason]:
    """Everything that speaks against this container being the restored one, and runs; [] is the proof.

    alive: whether a process exists. digests_of: the registry digests of a local image. restores: what the handler wrote.
    """
    mine = own(container, restores)
    if mine is not None and mine.outcome != "restored":
        text = "the restore handler did not restore it (%s): %s" % (mine.outcome, mine.reason or "it gave no reason")
        return [_reason("handler-failed", expected.name, text)]
    if mine is None and not container.restored:
        return [_fresh(expected, restores)]
    image = mine.image if mine else container.checkpoint_image
    when = mine.checkpointed_at if mine else container.checkpointed_at
    reasons = _compare_image(image, expected, digests_of) + _compare_time(when, expected)
    reasons += _compare_archive(mine.archive_sha256 if mine else None, expected)
    if mine and container.running and mine.pid != container.pid:
        text = "the handler restored the process %d, and what runs is the process %d" % (mine.pid, container.pid)
        reasons.append(_reason("other-process", expected.name, text))
    if not container.running:
        reasons.append(_reason("not-running", expected.name, "it was restored but does not run: %s" % container.state))
    elif not container.pid or not alive(container.pid):
        reasons.append(
            _reason("no-process", expected.name, "it was restored but its process %s is gone" % container.pid)
        )
    if container.attempt and mine is None:
        text = "it was restarted %d time(s), each time from the same checkpoint" % container.attempt
        reasons.append(_reason("restarted", expected.name, text))
    return reasons


def verified(reasons: t.Sequence[Reason]) -> bool:
    """Whether nothing speaks against the proof."""
    return all(reason["id"] in _NOTES for reason in reasons)


def describe(container: Container, restores: t.Sequence[Handled] = ()) -> t.Dict[str, t.Any]:
    """The evidence as results show it."""
    mine = own(container, restores)
    handled_it = mine is not None and mine.outcome == "restored"
    return {
        "name": container.name,
        "container_id": container.id,
        "restored": bool(container.restored) or handled_it,
        "by": "handler" if handled_it else "cri" if container.restored else None,
        "engine": container.engine,
        "checkpoint_image": mine.image if mine else container.checkpoint_image,
        "checkpointed_at": mine.checkpointed_at if mine else container.checkpointed_at,
        "archive_sha256": mine.archive_sha256 if mine else None,
        "state": container.state,
        "restarts": container.attempt,
        "pid": container.pid,
        "started_at": container.started_at,
    }
