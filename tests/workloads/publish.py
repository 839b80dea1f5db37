# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put what run.py reported into the guide: predicted × happened, counted, between two marks.

    publish.py [--guide FILE] [--counts FILE] REPORT...

Reports of parts of one run are added together. The counts are kept in fixtures/predictions.json; the guide's table is made of
them (text), so that a test can tell whether somebody wrote in it by hand.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
COUNTS = HERE / "fixtures" / "predictions.json"
GUIDE = HERE.parents[1] / "docs" / "docsite" / "rst" / "guide_preflight.rst"
BEGIN, END = ".. predictions: begin (make predictions)\n", ".. predictions: end\n"
PARTS = ("containerd", "runc", "criu", "kernel")
KINDS = tuple((said, happened) for said in ("yes", "no", "risky") for happened in ("worked", "failed"))
COLUMNS = ("Run", "Workloads", *("%s, %s" % kind for kind in KINDS), "Not run", "Right of those decided")


def runs_of(reports: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """One entry for those written by hand and one for each seed, with the counts of all their reports. Pure."""
    runs: t.Dict[str, t.Dict[str, t.Any]] = {}
    for report in reports:
        for outcome in report["outcomes"]:
            run_name = "at random, seed %d" % report["seed"] if outcome["name"].startswith("random-") else "by hand"
            run = runs.setdefault(run_name, {"name": run_name, "counts": {}, "wrong": [], "dates": [], "versions": []})
            kind = "%s, %s" % (outcome["predicted"], outcome["happened"])
            run["counts"][kind] = run["counts"].get(kind, 0) + 1
            if kind in ("yes, failed", "no, worked"):
                run["wrong"].append(outcome["name"])
            versions = {name: report["versions"][name] for name in PARTS if name in report["versions"]}
            for key, value in (("dates", report["date"]), ("versions", versions)):
                if value not in run[key]:
                    run[key].append(value)
    return sorted(runs.values(), key=lambda run: (run["name"] != "by hand", len(run["name"]), run["name"]))


def _row(name: str, counts: t.Mapping[str, int]) -> t.Tuple[str, ...]:
    right = counts.get("yes, worked", 0) + counts.get("no, failed", 0)
    decided = right + counts.get("yes, failed", 0) + counts.get("no, worked", 0)
    idle = sum(number for kind, number in counts.items() if kind.endswith(", not run"))
    numbers = [counts.get("%s, %s" % kind, 0) for kind in KINDS]
    share = "%d of %d (%.1f %%)" % (right, decided, 100.0 * right / max(1, decided))
    return (name, str(sum(counts.values())), *map(str, numbers), str(idle), share)


def text(runs: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The table and what it was made with, as reStructuredText. Pure."""
    total: t.Dict[str, int] = {}
    for run in runs:
        for kind, number in run["counts"].items():
            total[kind] = total.get(kind, 0) + number
    rows = [COLUMNS] + [_row(run["name"], run["counts"]) for run in runs] + [_row("all", total)]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += ["   %s %s" % ("*" if number == 0 else " ", "- " + cell) for number, cell in enumerate(row)]
    wrong = ["%s (%s)" % (name, run["name"]) for run in runs for name in run["wrong"]]
    lines += ["", "Wrong: %s." % (", ".join(wrong) or "none"), ""]
    dates = sorted({date for run in runs for date in run["dates"]})
    kinds = {json.dumps(one, sort_keys=True): one for run in runs for one in run["versions"]}
    for one in kinds.values():
        lines.append(
            "Run on %s with containerd %s, runc %s, CRIU %s and kernel %s."
            % (" and ".join(dates), *(one[part] for part in PARTS))
        )
    return "\n".join(lines) + "\n"


def between_marks(guide: str, new: str) -> str:
    """The guide with the new table. Pure."""
    before, begin, rest = guide.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the guide has no marks for the table")
    return before + BEGIN + "\n" + new + "\n" + END + after


def main(argv: t.Sequence[str]) -> int:
    """Read, count, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--guide", type=pathlib.Path, default=GUIDE)
    parser.add_argument("--counts", type=pathlib.Path, default=COUNTS)
    parser.add_argument("reports", nargs="+", type=pathlib.Path)
    given = parser.parse_args(argv)
    runs = runs_of(json.loads(path.read_text()) for path in given.reports)
    given.counts.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
    given.guide.write_text(between_marks(given.guide.read_text(), text(runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
