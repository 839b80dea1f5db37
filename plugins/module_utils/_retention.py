# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: which complete archives to keep, and by which rule.

PRIVATE to the collection. Pure: no files, no clock. Hours, days, weeks (from Monday) and months are those of UTC. The
newest archive of each group and what is pinned are kept whatever the policy says.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

PINNED, NEWEST, NO_POLICY = "pinned", "last_complete", "no_policy"
WITHIN, NOT_KEPT, MAX_BYTES = "keep_within", "not_kept", "max_bytes"

_LAST_SECOND = 253402300799
_DURATION = re.compile(r"([0-9]{1,12})([smhdw]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Candidate:
    """A complete archive. time: seconds since 1970 at which it was checkpointed."""

    key: str
    group: str
    time: float
    bytes: int
    pinned: bool = False


@dataclass(frozen=True)
class Policy:
    """How many to keep of each group, and how many bytes of all groups together. None: this rule is not asked for."""

    keep_last: t.Optional[int] = None
    keep_hourly: t.Optional[int] = None
    keep_daily: t.Optional[int] = None
    keep_weekly: t.Optional[int] = None
    keep_monthly: t.Optional[int] = None
    keep_within: t.Optional[float] = None
    max_bytes: t.Optional[int] = None

    @property
    def keeps(self) -> bool:
        """Whether any rule says what to keep; where none does, only C(max_bytes) removes."""
        return any(
            value is not None
            for value in (
                self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_within
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """rules: all that keep it, or the one that removes it."""

    keep: bool
    rules: t.Tuple[str, ...]


def duration(text: str, name: str) -> int:
    """Seconds of C(90), C(90s), C(15m), C(12h), C(7d), C(4w)."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise InputError("%s is %r; it must be a number of seconds, or a number with s, m, h, d or w" % (name, text))
    return int(match.group(1)) * _UNITS[match.group(2)]


def decide(
    candidates: t.Iterable[Candidate], policy: Policy, now: float, other_bytes: int = 0
) -> t.Dict[str, Decision]:
    """What becomes of each candidate, by its key. other_bytes: what else lies there and stays."""
    groups: t.Dict[str, t.List[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.group, []).append(candidate)
    decisions: t.Dict[str, Decision] = {}
    kept: t.List[Candidate] = []
    protected: t.Set[str] = set()
    for members in groups.values():
        members.sort(key=_age_order, reverse=True)
        for candidate, rules in zip(members, _rules(members, policy, now)):
            decisions[candidate.key] = Decision(bool(rules), tuple(rules) or (NOT_KEPT,))
            if rules:
                kept.append(candidate)
            if PINNED in rules or NEWEST in rules:
                protected.add(candidate.key)
    if policy.max_bytes is not None:
        for candidate in _too_many(kept, protected, policy.max_bytes - other_bytes):
            decisions[candidate.key] = Decision(False, (MAX_BYTES,))
    return decisions


def _age_order(candidate: Candidate) -> t.Tuple[float, str]:
    return candidate.time, candidate.key


def _rules(members: t.Sequence[Candidate], policy: Policy, now: float) -> t.List[t.List[str]]:
    """For each member of a group, the newest first, the rules that keep it."""
    rules: t.List[t.List[str]] = [[] for dummy in members]
    for index, candidate in enumerate(members):
        if candidate.pinned:
            rules[index].append(PINNED)
        if policy.keep_last is not None and index < policy.keep_last:
            rules[index].append("keep_last")
        if policy.keep_within is not None and candidate.time >= now - policy.keep_within:
            rules[index].append(WITHIN)
        if not policy.keeps:
            rules[index].append(NO_POLICY)
    for name, period in _PERIODS.items():
        limit = getattr(policy, name)
        seen: t.Set[int] = set()
        for index, candidate in enumerate(members):
            number = period(candidate.time)
            if limit is not None and number not in seen and len(seen) < limit:
                seen.add(number)
                rules[index].append(name)
    for newest in rules[:1]:
        newest.append(NEWEST)
    return rules


def _month(seconds: float) -> int:
    day = datetime.datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), datetime.timezone.utc)
    return day.year * 12 + day.month


# The number of the hour, day, week or month that a time is in. 1970 began on a Thursday.
_PERIODS: t.Dict[str, t.Callable[[float], int]] = {
    "keep_hourly": lambda seconds: int(seconds // 3600),
    "keep_daily": lambda seconds: int(seconds // 86400),
    "keep_weekly": lambda seconds: int((seconds // 86400 + 3) // 7),
    "keep_monthly": _month,
}


def _too_many(kept: t.List[Candidate], protected: t.AbstractSet[str], room: int) -> t.Iterator[Candidate]:
    """The oldest ones of all groups that have to go so that the rest fits, if that can be reached at all."""
    total = sum(candidate.bytes for candidate in kept)
    for candidate in sorted(kept, key=_age_order):
        if total <= room:
            return
        if candidate.key not in protected:
            total -= candidate.bytes
            yield candidate
