# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_preflight against the real CRIU: one workload of every kind and some at random, predicted × happened.

WORKLOADS_LAB names a lab that is up and provisioned, WORKLOADS_NODE one of its nodes (node1). WORKLOADS_RANDOM and
WORKLOADS_SEED say how many at random, and which; WORKLOADS_ALL=1 runs everything. run.py does the same from the command line.
"""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lab_node  # noqa: E402
import run  # noqa: E402
import score  # noqa: E402
from catalog import BY_HAND, HARMFUL, HARMLESS, SHORT, at_random  # noqa: E402


def test_the_catalogue_is_whole():
    names = [workload.name for workload in BY_HAND]
    assert len(set(names)) == len(names)
    assert SHORT <= set(names)
    assert at_random(1, 20) == at_random(1, 20) != at_random(2, 20)
    assert not set(HARMLESS) & set(HARMFUL)


def test_a_yes_that_fails_is_never_good_enough():
    def outcome(verdict, checkpoint):
        reasons = [] if verdict == "yes" else [{"id": "x", "severity": "error"}]
        entry = {"verdict": verdict, "reasons": reasons, "verdicts": {"checkpoint": verdict, "restore": "yes"}}
        return score.Outcome("w", (), "role", "", entry, checkpoint, True if checkpoint else None)

    good = [outcome("yes", True), outcome("no", False)] * 50
    assert score.problems(good) == []
    assert any("was said to work" in problem for problem in score.problems(good + [outcome("yes", False)]))
    assert any("less than 95" in problem for problem in score.problems(good + [outcome("no", True)] * 10))


NODE = os.environ.get("WORKLOADS_NODE", "node1")
needs_lab = pytest.mark.skipif("WORKLOADS_LAB" not in os.environ, reason="needs a lab: WORKLOADS_LAB=NAME")


@needs_lab
@pytest.mark.parametrize("keep_log", [True, False])
def test_the_playbook_names_the_cause_of_a_failure_from_the_logs_on_the_node(tmp_path, keep_log):
    """Once from the log that the configuration keeps, once from where the runtime leaves it."""
    bench = lab_node.Bench(os.environ["WORKLOADS_LAB"], NODE)
    try:
        bench.configure("role", keep_log)
        one = bench.start(next(workload for workload in BY_HAND if workload.name == "mptcp"))
        try:
            bench.ready(one)
            happened, _archive = bench.checkpoint(one)
            assert not happened.ok
            result = bench.diagnose(tmp_path / "report.json", diagnose_window=30)
        finally:
            bench.remove(one)
    finally:
        bench.close()
    assert result["findings"][0]["id"] == "mptcp", result
    assert "GODEBUG" in result["answer"] and "GODEBUG" in result["output"]
    assert any(log["stage"] == "dump" and not log["succeeded"] for log in result["logs"])


@needs_lab
def test_predicted_is_what_happens(tmp_path):
    arguments = ["--lab", os.environ["WORKLOADS_LAB"], "--node", NODE, "--logs", str(tmp_path)]
    arguments += ["--seed", os.environ.get("WORKLOADS_SEED", "1"), "--random", os.environ.get("WORKLOADS_RANDOM", "6")]
    if os.environ.get("WORKLOADS_ALL") != "1":
        arguments.append("--short")
    assert run.main(arguments) == 0
