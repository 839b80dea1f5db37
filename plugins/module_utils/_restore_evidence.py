# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge, from what the container runtime recorded, whether containers were restored, and from which checkpoint.

PRIVATE to the collection. Pure. A Pod's phase and image prove nothing (the status shows the base image, and old log lines
come along); the runtime's own note on the container does.
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
    container: Container, expected: Expected, digests_of: t.Callable[[str], t.Sequence[str]]
) -> t.List[Reason]:
    wanted = _DIGEST.search(expected.image or "")
    if expected.image and not wanted:
        raise InputError(
            "container %s: the expected checkpoint image %s is not given by digest" % (expected.name, expected.image)
        )
    if not wanted or not container.checkpoint_image:
        return []
    found = _DIGEST.search(container.checkpoint_image)
    known = (
        [found.group(0)]
        if found
        else [match.group(0) for match in map(_DIGEST.search, digests_of(container.checkpoint_image)) if match]
    )
    if wanted.group(0) in known:
        return []
    if not known:
        return [
            _reason(
                "image-not-comparable",
                expected.name,
                "the runtime names the checkpoint %s, whose digest is not known here" % container.checkpoint_image,
            )
        ]
    return [
        _reason(
            "other-image",
            expected.name,
            "it was restored from %s, not from %s" % (container.checkpoint_image, expected.image),
        ),
    ]


def _compare_time(container: Container, expected: Expected) -> t.List[Reason]:
    if not expected.checkpointed_at or not container.checkpointed_at:
        return []
    same = same_time(container.checkpointed_at, expected.checkpointed_at)
    if same is None:
        text = "the times %s and %s cannot be compared" % (container.checkpointed_at, expected.checkpointed_at)
        return [_reason("time-not-comparable", expected.name, text)]
    if same:
        return []
    text = "it was restored from a checkpoint of %s, not of %s" % (container.checkpointed_at, expected.checkpointed_at)
    return [_reason("other-checkpoint", expected.name, text)]


# Reasons that do not speak against the proof.
_NOTES = ("image-not-comparable", "time-not-comparable")


def judge(
    container: Container,
    expected: Expected,
    alive: t.Callable[[int], bool],
    digests_of: t.Callable[[str], t.Sequence[str]],
) -> t.List[Reason]:
    """Everything that speaks against this container being the restored one, and runs; [] is the proof.

    alive: whether a process exists. digests_of: the registry digests of a local image.
    """
    if not container.restored:
        return [_reason("started-fresh", expected.name, "the runtime says that it was started afresh, not restored")]
    reasons = _compare_image(container, expected, digests_of) + _compare_time(container, expected)
    if not container.running:
        reasons.append(_reason("not-running", expected.name, "it was restored but does not run: %s" % container.state))
    elif not container.pid or not alive(container.pid):
        reasons.append(
            _reason("no-process", expected.name, "it was restored but its process %s is gone" % container.pid)
        )
    if container.attempt:
        text = "it was restarted %d time(s), each time from the same checkpoint" % container.attempt
        reasons.append(_reason("restarted", expected.name, text))
    return reasons


def verified(reasons: t.Sequence[Reason]) -> bool:
    """Whether nothing speaks against the proof."""
    return all(reason["id"] in _NOTES for reason in reasons)


def describe(container: Container) -> t.Dict[str, t.Any]:
    """The evidence as results show it."""
    return {
        "name": container.name,
        "container_id": container.id,
        "restored": bool(container.restored),
        "by": "cri" if container.restored else None,
        "engine": container.engine,
        "checkpoint_image": container.checkpoint_image,
        "checkpointed_at": container.checkpointed_at,
        "state": container.state,
        "restarts": container.attempt,
        "pid": container.pid,
        "started_at": container.started_at,
    }
