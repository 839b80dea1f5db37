# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what was predicted with what happened, and print it. Pure.

A risky prediction is a decision neither way: it is shown, counted apart and limited, and never counted as right.
Where the
machine itself lacks a right (containers that are not root's, without CAP_SYS_RESOURCE) nothing is counted: not run.
"""

from __future__ import annotations

import dataclasses
import typing as t

RIGHT_AT_LEAST = 0.95
RISKY_AT_MOST = 0.20
WORKED, FAILED, NOT_RUN = "worked", "failed", "not run"
NOT_POSSIBLE_HERE = "rlimit-denied"


@dataclasses.dataclass
class Outcome:
    """One workload: predicted is pod_preflight's entry, checkpoint and restore what CRIU then did (None: not tried)."""

    name: str
    features: t.Tuple[str, ...]
    config: str
    expect: str
    predicted: t.Mapping[str, t.Any]
    checkpoint: t.Optional[bool] = None
    restore: t.Optional[bool] = None
    error: str = ""
    diagnosed: t.Tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What was predicted for both together."""
        return str(self.predicted["verdict"])

    @property
    def happened(self) -> str:
        """What came of it."""
        if any(reason["id"] == NOT_POSSIBLE_HERE for reason in self.predicted["reasons"]):
            return NOT_RUN
        if self.checkpoint is False or self.restore is False:
            return FAILED
        return WORKED if self.restore else NOT_RUN

    @property
    def stage_right(self) -> t.Optional[bool]:
        """Whether it failed where it was said to; None where nothing decided was said or nothing failed."""
        if self.verdict != "no" or self.happened != FAILED:
            return None
        said = self.predicted["verdicts"]
        return (said["checkpoint"] == "no") == (self.checkpoint is False)

    @property
    def found(self) -> bool:
        """Whether the finding that the workload is there to make was made."""
        return not self.expect or any(reason["id"] == self.expect for reason in self.predicted["reasons"])

    @property
    def failed(self) -> bool:
        """Whether CRIU refused it, counted or not."""
        return self.checkpoint is False or self.restore is False

    def true_causes(self, causes: t.Mapping[str, str]) -> t.Set[str]:
        """What its failure may be diagnosed as: its own golden log's cause, or those of what it is combined of."""
        if self.name in causes:
            return {causes[self.name]}
        names = (feature.replace("_", "-") + suffix for feature in self.features for suffix in ("", "-bare", "-remap"))
        return {causes[name] for name in names if name in causes}

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For the report."""
        return {
            "name": self.name,
            "features": list(self.features),
            "config": self.config,
            "predicted": self.verdict,
            "happened": self.happened,
            "reasons": [reason["id"] for reason in self.predicted["reasons"] if reason["severity"] != "info"],
            "checkpoint": self.checkpoint,
            "restore": self.restore,
            "error": self.error,
            "diagnosed": list(self.diagnosed),
        }


def table(outcomes: t.Sequence[Outcome]) -> t.Dict[str, t.Dict[str, int]]:
    """Predicted × happened."""
    counts = {word: {WORKED: 0, FAILED: 0, NOT_RUN: 0} for word in ("yes", "risky", "no")}
    for outcome in outcomes:
        counts[outcome.verdict][outcome.happened] += 1
    return counts


def problems(outcomes: t.Sequence[Outcome], causes: t.Optional[t.Mapping[str, str]] = None) -> t.List[str]:
    """Why the run does not count as passed; empty when it does. causes: of the golden logs; each failure is compared with them."""
    found = []
    counts = table(outcomes)
    right = counts["yes"][WORKED] + counts["no"][FAILED]
    decided = right + counts["yes"][FAILED] + counts["no"][WORKED]
    risky = counts["risky"][WORKED] + counts["risky"][FAILED]
    for outcome in outcomes:
        if outcome.verdict == "yes" and outcome.happened == FAILED:
            found.append("%s was said to work and failed: %s" % (outcome.name, outcome.error[:300]))
        if not outcome.found:
            found.append("%s: %s was not found" % (outcome.name, outcome.expect))
        if causes is not None and outcome.failed and outcome.diagnosed[:1] not in {(one,) for one in outcome.true_causes(causes)}:
            known = ", ".join(sorted(outcome.true_causes(causes))) or "nothing that a golden log is kept of"
            said = (outcome.diagnosed or ("nothing",))[0]
            found.append("%s failed because of %s, and was diagnosed as %s" % (outcome.name, known, said))
    if decided and right < RIGHT_AT_LEAST * decided:
        found.append(
            "%d of %d decided predictions are right, less than %.0f %%" % (right, decided, 100 * RIGHT_AT_LEAST)
        )
    if decided and risky > RISKY_AT_MOST * (decided + risky):
        found.append("%d of %d predictions are only risky" % (risky, decided + risky))
    return found


def row(outcome: Outcome) -> str:
    """One line of the table."""
    mark = "  <-- wrong" if (outcome.verdict, outcome.happened) in {("yes", FAILED), ("no", WORKED)} else ""
    reasons = ",".join(outcome.as_dict()["reasons"]) or "-"
    why = ",".join(outcome.diagnosed[:2]) or outcome.error[:100].replace("\n", " ")
    return "%-26s %-9s %-9s %-28s %s%s" % (outcome.name, outcome.verdict, outcome.happened, reasons, why, mark)


def report(outcomes: t.Sequence[Outcome]) -> str:
    """The tables, for people."""
    lines = ["%-26s %-9s %-9s %-28s %s" % ("workload", "predicted", "happened", "reasons", "diagnosed / error")]
    lines += [row(outcome) for outcome in outcomes]
    counts = table(outcomes)
    lines += ["", "%-10s %8s %8s %8s" % ("predicted", WORKED, FAILED, NOT_RUN)]
    lines += ["%-10s %8d %8d %8d" % (word, row[WORKED], row[FAILED], row[NOT_RUN]) for word, row in counts.items()]
    right = counts["yes"][WORKED] + counts["no"][FAILED]
    decided = right + counts["yes"][FAILED] + counts["no"][WORKED]
    risky = counts["risky"][WORKED] + counts["risky"][FAILED]
    stages = [outcome.stage_right for outcome in outcomes if outcome.stage_right is not None]
    lines.append(
        "right: %d of %d decided (%.1f %%); risky: %d of %d; at the stage that was said: %d of %d"
        % (right, decided, 100.0 * right / max(1, decided), risky, decided + risky, sum(stages), len(stages))
    )
    return "\n".join(lines)
