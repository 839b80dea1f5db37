# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a failed attempt is worth another one, and how long to wait before it. Pure.

PRIVATE to the collection. Only what the diagnosis table calls transient is tried again, each time after a longer
while; what is
permanent, unknown or ran into a deadline never is (after a deadline the archive may exist, and the container may be
paused).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """attempts: in all, the first one included. first, factor, longest: seconds to wait, and how they grow."""

    attempts: int = 3
    first: float = 2.0
    factor: float = 2.0
    longest: float = 30.0


DEFAULT = Policy()


def is_transient(diagnosis: t.Sequence[t.Mapping[str, t.Any]]) -> bool:
    """Whether the likeliest cause may be gone at the next try. Nothing known: no."""
    return bool(diagnosis) and bool(diagnosis[0].get("transient"))


def pause_before_next(
    diagnosis: t.Sequence[t.Mapping[str, t.Any]],
    failed: int,
    time_left: t.Optional[float] = None,
    policy: Policy = DEFAULT,
) -> t.Optional[float]:
    """Seconds to wait before the next attempt, None when there is to be none.

    failed: attempts that failed so far. time_left: until a deadline that the pause must not exceed.
    """
    if failed < 1 or failed >= policy.attempts or not is_transient(diagnosis):
        return None
    pause = min(policy.first * policy.factor ** (failed - 1), policy.longest)
    return None if time_left is not None and pause >= time_left else pause
