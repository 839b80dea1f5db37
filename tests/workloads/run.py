# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make workloads on a node of a lab, ask pod_preflight, then let CRIU decide: prints predicted × happened.

    run.py --lab NAME [--node NODE] [--part K/N] [--hand all|short|none] [--seed N] [--random COUNT] [--only NAME,...]
           [--report FILE] [--logs DIRECTORY]

Needs root, a provisioned lab, and ANSIBLE_COLLECTIONS_PATH with this collection. Exit status 1 unless the score is
good enough. Reports are what publish.py puts into the guide.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import golden  # noqa: E402
import score  # noqa: E402
from catalog import BY_HAND, SHORT, Workload, at_random  # noqa: E402
from lab_node import Bench, Running  # noqa: E402

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose  # noqa: E402

BATCH = 12


def choose(hand: str, only: t.Sequence[str], seed: int, count: int) -> t.List[Workload]:
    """The workloads of this run: those written by hand (all, short, none), and some at random."""
    if only:
        known = {workload.name: workload for workload in BY_HAND + at_random(seed, count)}
        return [known[name] for name in only]
    written = {"all": BY_HAND, "short": [one for one in BY_HAND if one.name in SHORT], "none": []}[hand]
    return list(written) + at_random(seed, count)


def batches(workloads: t.Sequence[Workload]) -> t.Iterator[t.List[Workload]]:
    """Those with the same configuration of CRIU together, a few at a time."""
    for config in sorted({workload.config for workload in workloads}):
        same = [workload for workload in workloads if workload.config == config]
        for start in range(0, len(same), BATCH):
            yield same[start : start + BATCH]


def run_batch(
    bench: Bench, batch: t.Sequence[Workload], logs: t.Optional[pathlib.Path], outcomes: t.List[score.Outcome]
) -> None:
    """Start them all, look once, then checkpoint and restore one after the other."""
    bench.configure(batch[0].config)
    running: t.List[Running] = []
    try:
        for workload in batch:
            try:
                running.append(bench.start(workload))
            except Exception as exc:
                print("cannot be made here: %s: %s" % (workload.name, str(exc)[:300]), file=sys.stderr)
        for one in list(running):
            try:
                bench.ready(one)
            except Exception as exc:
                print("cannot be made here: %s: %s" % (one.workload.name, str(exc)[:300]), file=sys.stderr)
                running.remove(one)
                bench.remove(one)
        entries = {entry["container_id"]: entry for entry in bench.preflight()["containers"]}
        for one in running:
            outcomes.append(decide(bench, one, entries[one.container], logs))
            print(score.row(outcomes[-1]), flush=True)
    finally:
        for one in running:
            bench.remove(one)


def decide(bench: Bench, one: Running, entry: t.Dict[str, t.Any], logs: t.Optional[pathlib.Path]) -> score.Outcome:
    """Let CRIU have its say about one workload."""
    workload = one.workload
    outcome = score.Outcome(workload.name, workload.features, workload.config, workload.expect, entry)
    happened, archive = bench.checkpoint(one)
    outcome.checkpoint = happened.ok
    stage = "dump"
    if happened.ok:
        happened, stage = bench.restore(one, archive), "restore"
        outcome.restore = happened.ok
    if not happened.ok:
        outcome.error = happened.error
        found = diagnose(happened.log, where=stage) or diagnose(happened.error)
        outcome.diagnosed = tuple(item["id"] for item in found)
        if logs is not None:
            (logs / ("%s.%s.log" % (workload.name, stage))).write_text(happened.log)
            (logs / ("%s.%s.error" % (workload.name, stage))).write_text(happened.error)
    return outcome


def main(argv: t.Sequence[str]) -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--hand", choices=("all", "short", "none"), default="all", help="those written by hand")
    parser.add_argument("--only", default="")
    parser.add_argument("--node", default="node1")
    parser.add_argument("--part", default="1/1", help="K/N: every Nth workload, beginning with the Kth")
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--logs", type=pathlib.Path)
    given = parser.parse_args(argv)
    if given.logs:
        given.logs.mkdir(parents=True, exist_ok=True)
    outcomes: t.List[score.Outcome] = []
    started = time.monotonic()
    number, parts = (int(word) for word in given.part.split("/"))
    only = [name for name in given.only.split(",") if name]
    chosen = choose(given.hand, only, given.seed, given.random)[number - 1 :: parts]
    bench = Bench(given.lab, given.node)
    versions = bench.versions()
    try:
        for batch in batches(chosen):
            run_batch(bench, batch, given.logs, outcomes)
    except KeyboardInterrupt:
        print("interrupted: what follows is not the whole")
    finally:
        bench.close()
    print("seed %d, %.0f s" % (given.seed, time.monotonic() - started))
    print(score.report(outcomes))
    if given.report:
        about = {"seed": given.seed, "random": given.random, "hand": given.hand, "date": time.strftime("%Y-%m-%d")}
        answer = dict(about, versions=versions, outcomes=[outcome.as_dict() for outcome in outcomes])
        given.report.write_text(json.dumps(answer, indent=1))
    problems = score.problems(outcomes, golden.causes())
    for problem in problems:
        print("problem: " + problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
