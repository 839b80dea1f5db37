# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_retry: only what is transient, not for ever, and with growing pauses."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retry import Policy, pause_before_next

TRANSIENT = diagnose("(00.1) Error (criu/seize.c:635): Unable to freeze cgroup x (100 x 100ms attempts, timeout: 10s)")
PERMANENT = diagnose("(00.1) Error (criu/sk-inet.c:137): inet: Unsupported proto 262 for socket 5")


def test_pauses_grow_and_end():
    policy = Policy(attempts=6, first=2.0, factor=3.0, longest=20.0)
    assert [pause_before_next(TRANSIENT, failed, policy=policy) for failed in range(1, 7)] == [
        2.0,
        6.0,
        18.0,
        20.0,
        20.0,
        None,
    ]


@pytest.mark.parametrize("found", [PERMANENT, [], PERMANENT + TRANSIENT])
def test_permanent_or_unknown_never(found):
    assert pause_before_next(found, 1) is None


def test_by_default_three_attempts():
    assert [pause_before_next(TRANSIENT, failed) for failed in (1, 2, 3)] == [2.0, 4.0, None]


def test_not_beyond_the_deadline_and_not_before_a_failure():
    assert pause_before_next(TRANSIENT, 1, time_left=1.5) is None
    assert pause_before_next(TRANSIENT, 1, time_left=10.0) == 2.0
    assert pause_before_next(TRANSIENT, 0) is None
