# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_preflight against the real CRIU: one workload of every kind and some at random, predicted × happened.

WORKLOADS_LAB names a lab that is up and provisioned, WORKLOADS_NODE one of its nodes (node1). WORKLOADS_RANDOM and
WORKLOADS_SEED say how many at random, and which; WORKLOADS_ALL=1 runs everything. run.py does the same from the command line.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import golden  # noqa: E402
import lab_node  # noqa: E402
import publish  # noqa: E402
import run  # noqa: E402
import score  # noqa: E402
from catalog import BY_HAND, COMBINABLE, HARMFUL, HARMLESS, SHORT, at_random  # noqa: E402
from cri_node import wait  # noqa: E402


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


def test_a_failure_that_is_explained_wrongly_is_never_good_enough():
    def outcome(name, features, *diagnosed):
        entry = {"verdict": "no", "reasons": [{"id": "x", "severity": "error"}], "verdicts": {"checkpoint": "no", "restore": "no"}}
        return score.Outcome(name, features, "role", "", entry, checkpoint=False, diagnosed=diagnosed)

    known = {"mptcp": "mptcp", "flock-bare": "file-locks"}
    fine = [outcome("mptcp", ("mptcp",), "mptcp", "x"), outcome("random-1", ("plain", "flock", "mptcp"), "file-locks")]
    assert score.problems(fine, known) == []
    for wrong in (outcome("mptcp", ("mptcp",), "file-locks"), outcome("mptcp", ("mptcp",)), outcome("new", ("new",), "mptcp")):
        assert len(score.problems([wrong], known)) == 1


def test_golden_logs_are_the_lines_that_say_why():
    log = "(00.1) Version: 4\n(00.1) Running on node\n(00.2) Dumping processes (pid: 1)\n(00.3) Error (criu/x.c:1): no\n(00.3) Warn  (criu/y.c:2): hm\n"
    assert golden.shortened(log).splitlines() == [line for line in log.splitlines() if "node" not in line]
    # Of a workload, or of what only random ones combine: a feature where CRIU is configured so.
    names = {workload.name for workload in BY_HAND} | {one.replace("_", "-") + suffix for one in COMBINABLE for suffix in ("-bare", "-remap")}
    assert set(golden.causes()) <= names, "golden logs of workloads that are no more"


def test_the_guide_says_what_was_counted():
    runs = json.loads(publish.COUNTS.read_text())
    guide = publish.GUIDE.read_text()
    assert publish.between_marks(guide, publish.text(runs)) == guide, "written by hand? run publish.py"
    assert sum(number for run in runs for kind, number in run["counts"].items() if kind == "yes, failed") == 0


def test_parts_of_a_run_are_added_together():
    def report(seed, *outcomes):
        listed = [{"name": name, "predicted": said, "happened": happened} for name, said, happened in outcomes]
        return {"seed": seed, "date": "2026-01-02", "versions": {"criu": "4"}, "outcomes": listed}

    runs = publish.runs_of(
        [
            report(3, ("plain", "yes", "worked"), ("random-0", "no", "worked")),
            report(3, ("random-1", "yes", "worked"), ("random-2", "risky", "failed")),
            report(20, ("random-0", "yes", "not run")),
        ]
    )
    assert [run["name"] for run in runs] == ["by hand", "at random, seed 3", "at random, seed 20"]
    assert runs[1]["counts"] == {"no, worked": 1, "yes, worked": 1, "risky, failed": 1}
    assert runs[1]["wrong"] == ["random-0"] and runs[0]["wrong"] == []


ROLE_LOGS = """
- name: Logs of CRIU
  hosts: %s
  gather_facts: false
  become: true
  tasks:
    - name: Logs
      ansible.builtin.include_role:
        name: container_checkpoint.kubernetes.criu
        tasks_from: logs.yml
"""
NODE = os.environ.get("WORKLOADS_NODE", "node1")
needs_lab = pytest.mark.skipif("WORKLOADS_LAB" not in os.environ, reason="needs a lab: WORKLOADS_LAB=NAME")


def of_kind(name):
    return next(workload for workload in BY_HAND if workload.name == name)


def failed_mptcp(bench, tmp_path, named=lambda: True):
    """What the playbook finds of a checkpoint that has just failed. named: whether its log has its name."""
    one = bench.start(of_kind("mptcp"))
    try:
        bench.ready(one)
        happened, _archive = bench.checkpoint(one)
        assert not happened.ok
        wait(named, 60, "the log to have its name")
        return bench.diagnose(tmp_path / "report.json", diagnose_window=30, diagnose_container_id=one.container)
    finally:
        bench.remove(one)


def failed_restore(bench, tmp_path, named):
    """What the playbook finds of a restore that has just failed, whose log the runtime has deleted."""
    one = bench.start(of_kind("tcp-listen-pod"))
    try:
        bench.ready(one)
        happened, archive = bench.checkpoint(one)
        assert happened.ok, happened.error
        wait(named, 60, "the checkpoint's log to have its name")
        happened = bench.restore(one, archive)
        assert not happened.ok and "criu failed: type RESTORE" in happened.error, happened.error
        wait(named, 60, "the restore's log to have its name")
        return bench.diagnose(tmp_path / "report.json", diagnose_window=30, diagnose_container_id=happened.container)
    finally:
        bench.remove(one)


def explained(result, cause="mptcp", remedy="GODEBUG", stage="dump"):
    assert result["findings"][0]["id"] == cause, result
    assert remedy in result["answer"] and remedy in result["output"]
    return [log["path"] for log in result["logs"] if log["stage"] == stage and not log["succeeded"]]


@needs_lab
def test_the_playbook_names_the_cause_of_a_failure_from_where_the_runtime_leaves_its_log(tmp_path):
    bench = lab_node.Bench(os.environ["WORKLOADS_LAB"], NODE)
    try:
        bench.configure("role", log="")
        assert explained(failed_mptcp(bench, tmp_path))
    finally:
        bench.close()


@needs_lab
def test_the_role_keeps_a_log_of_each_operation_and_the_playbook_finds_the_one(tmp_path):
    """criu_log_dir: CRIU opens current.log, which gets another name while it writes."""
    logs, playbook = "/var/log/workloads-operations", tmp_path / "logs.yml"
    playbook.write_text(ROLE_LOGS % NODE)
    bench = lab_node.Bench(os.environ["WORKLOADS_LAB"], NODE)
    try:
        bench.play(str(playbook), criu_log_dir=logs)
        assert "changed=0 " in bench.play(str(playbook), criu_log_dir=logs)
        bench.configure("role", log=logs + "/current.log")
        gone = "test ! -e %s/current.log && echo yes || true" % logs

        def named():
            return bench.node.run(gone).strip()

        found = [explained(failed_mptcp(bench, tmp_path, named)) for _number in range(2)]
        found.append(explained(failed_restore(bench, tmp_path, named), "bind-address", "0.0.0.0", "restore"))
        # Each is named after its moment, and is of this container.
        assert [len(paths) for paths in found] == [1, 1, 1] and len({path for paths in found for path in paths}) == 3, found
        assert all(path.startswith(logs + "/2") for paths in found for path in paths)
        bench.play(str(playbook), criu_log_dir="")
        assert bench.node.run("ls /etc/systemd/system | grep -c criu-logs || true").strip() == "0"
    finally:
        bench.node.run("rm -rf %s" % logs)
        bench.close()


@needs_lab
def test_predicted_is_what_happens(tmp_path):
    arguments = ["--lab", os.environ["WORKLOADS_LAB"], "--node", NODE, "--logs", str(tmp_path)]
    arguments += ["--seed", os.environ.get("WORKLOADS_SEED", "1"), "--random", os.environ.get("WORKLOADS_RANDOM", "6")]
    if os.environ.get("WORKLOADS_ALL") != "1":
        arguments += ["--hand", "short"]
    assert run.main(arguments) == 0
