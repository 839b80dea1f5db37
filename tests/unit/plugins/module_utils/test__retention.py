# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention against a model that was written another way: by calendar strings and set operations, group by group."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import (
    Candidate,
    Decision,
    Policy,
    decide,
    duration,
)

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.timezone.utc).timestamp()
HOUR, DAY = 3600, 86400
FORMATS = {"keep_hourly": "%Y-%m-%d %H", "keep_daily": "%Y-%m-%d", "keep_weekly": "%G-%V", "keep_monthly": "%Y-%m"}


def model(candidates, policy, now, other_bytes):
    """The keys that stay."""
    stay, safe = set(), set()
    for group in {candidate.group for candidate in candidates}:
        newest_first = sorted((c for c in candidates if c.group == group), key=lambda c: (-c.time, [-ord(x) for x in c.key]))
        safe.add(newest_first[0].key)
        safe |= {c.key for c in newest_first if c.pinned}
        wanted = [value for name, value in vars(policy).items() if name != "max_bytes" and value is not None]
        if not wanted:
            stay |= {c.key for c in newest_first}
        stay |= {c.key for c in newest_first[: policy.keep_last or 0]}
        if policy.keep_within is not None:
            stay |= {c.key for c in newest_first if now - c.time <= policy.keep_within}
        for name, form in FORMATS.items():
            newest_of = {}
            for c in newest_first:
                label = datetime.datetime.fromtimestamp(c.time, datetime.timezone.utc).strftime(form)
                newest_of.setdefault(label, c.key)
            stay |= set(list(newest_of.values())[: getattr(policy, name) or 0])
    stay |= safe
    if policy.max_bytes is not None:
        oldest_first = sorted((c for c in candidates if c.key in stay), key=lambda c: (c.time, c.key))
        for c in oldest_first:
            if other_bytes + sum(k.bytes for k in candidates if k.key in stay) <= policy.max_bytes:
                break
            stay -= {c.key} - safe
    return stay


# Few distinct times, so that equal ones and full buckets are common.
TIMES = st.one_of(
    st.integers(-400 * 24, 2).map(lambda hours: NOW + hours * HOUR),
    st.integers(-40 * 24 * 3600, 0).map(lambda seconds: NOW + seconds),
    st.floats(0, 4e9, allow_nan=False),
)
COUNT = st.one_of(st.none(), st.integers(0, 5))


@st.composite
def cases(draw):
    entries = draw(st.lists(st.tuples(st.sampled_from("abc"), TIMES, st.integers(0, 1000), st.booleans()), max_size=40))
    candidates = [Candidate("%03d" % index, *entry) for index, entry in enumerate(entries)]
    policy = Policy(
        *[draw(COUNT) for dummy in range(5)],
        keep_within=draw(st.one_of(st.none(), st.integers(0, 60 * DAY))),
        max_bytes=draw(st.one_of(st.none(), st.integers(0, 20000))),
    )
    return candidates, policy, draw(st.integers(0, 3000))


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(cases())
def test_the_model_decides_the_same(case):
    candidates, policy, other = case
    decisions = decide(candidates, policy, NOW, other)
    assert set(decisions) == {candidate.key for candidate in candidates}
    assert {key for key, decision in decisions.items() if decision.keep} == model(candidates, policy, NOW, other)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(cases())
def test_laws(case):
    candidates, policy, other = case
    decisions = decide(candidates, policy, NOW, other)
    kept = [candidate for candidate in candidates if decisions[candidate.key].keep]
    for group in {candidate.group for candidate in candidates}:
        newest = max((c for c in candidates if c.group == group), key=lambda c: (c.time, c.key))
        assert "last_complete" in decisions[newest.key].rules
    for candidate in candidates:
        decision = decisions[candidate.key]
        assert decision.keep or not candidate.pinned
        assert decision.rules and (decision.keep or len(decision.rules) == 1)
    # The order in which they are listed does not matter, and pruning twice removes nothing more.
    assert decide(reversed(candidates), policy, NOW, other) == decisions
    assert all(decision.keep for decision in decide(kept, policy, NOW, other).values())


def one(time, key="k", **fields):
    return Candidate(key, "g", time, 10, **fields)


def test_rules_are_told():
    days = [one(NOW - index * DAY, str(index)) for index in range(4)]
    decisions = decide(days, Policy(keep_last=1, keep_daily=2, keep_within=DAY), NOW)
    assert decisions["0"] == Decision(True, ("keep_last", "keep_within", "keep_daily", "last_complete"))
    assert decisions["1"] == Decision(True, ("keep_within", "keep_daily"))
    assert decisions["2"] == decisions["3"] == Decision(False, ("not_kept",))


def test_the_last_one_stays_whatever_is_asked_for():
    decisions = decide([one(0.0)], Policy(keep_last=0, keep_within=0, max_bytes=0), NOW)
    assert decisions == {"k": Decision(True, ("last_complete",))}


def test_size_alone_takes_the_oldest_of_all_groups():
    several = [Candidate(key, group, time, 10) for key, group, time in (("a1", "a", 1), ("a2", "a", 5), ("b1", "b", 2), ("b2", "b", 3))]
    decisions = decide(several, Policy(max_bytes=30), NOW)
    assert {key for key, decision in decisions.items() if not decision.keep} == {"a1"}
    assert decisions["a1"].rules == ("max_bytes",)
    assert decisions["b1"].rules == ("no_policy",)


def test_weeks_begin_on_monday():
    monday = datetime.datetime(2026, 11, 16, tzinfo=datetime.timezone.utc).timestamp()
    decisions = decide([one(monday - 1, "sunday"), one(monday, "monday"), one(monday + 6 * DAY, "end")], Policy(keep_weekly=2), NOW)
    assert {key for key, decision in decisions.items() if decision.keep} == {"sunday", "end"}


@pytest.mark.parametrize("text,seconds", [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("12h", 43200), ("7d", 604800), (" 4w ", 2419200)])
def test_durations(text, seconds):
    assert duration(text, "x") == seconds


@pytest.mark.parametrize("text", ["", "d", "-1", "1.5h", "1y", "١", "9" * 13])
def test_wrong_durations(text):
    with pytest.raises(InputError, match="keep_within is "):
        duration(text, "keep_within")
