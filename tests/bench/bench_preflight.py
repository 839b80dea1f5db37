# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long pod_preflight takes for many pods on one node, and whether a workload notices.

    bench_preflight.py --lab NAME [--pods 100] [--rounds 15] [--json FILE]

Needs root, a provisioned lab, and ANSIBLE_COLLECTIONS_PATH with this collection. The time is that of a whole C(ansible)
call. For the second question the module that Ansible sent is run on the node alone, in turn with nothing and with
another program that uses as much processor time (stall_node.py); one of the pods maps memory, opens a file and sleeps
all the time and notes how long each such round took. Prints JSON; exit status 1 when it takes 60 s or more, or when the
workload's longest round with it (median of all intervals) is beyond what 19 of 20 intervals without it have.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "workloads"))

from catalog import Workload  # noqa: E402
from lab_node import Bench  # noqa: E402

LIMIT_SECONDS = 60.0
CALLS = 3
KEPT = "/root/.ansible/tmp"


def quantile(values: t.Sequence[float], share: float) -> float:
    """Of a few values, the one below or at which so large a share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(intervals: t.Sequence[t.Mapping[str, float]]) -> t.Dict[str, float]:
    """Of all intervals of one kind."""
    longest = [one["longest"] for one in intervals]
    return {
        "longest_ms_median": round(statistics.median(longest), 2),
        "longest_ms_p95": round(quantile(longest, 0.95), 2),
        "p999_ms_median": round(statistics.median(one["p999"] for one in intervals), 2),
        "round_ms_median": round(statistics.median(one["median"] for one in intervals), 3),
        "seconds_median": round(statistics.median(one["seconds"] for one in intervals), 2),
        "processor_median": round(statistics.median(one["processor"] for one in intervals), 2),
    }


def stalls(bench: Bench, watched: t.Any, rounds: int) -> t.Dict[str, t.Dict[str, float]]:
    """What the watched workload notes of the module, of another program, and of nothing."""
    bench.node.run("rm -rf %s" % KEPT)
    bench.preflight(environment={"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0"})
    module = bench.node.run("ls %s/*/AnsiballZ_pod_preflight.py" % KEPT).strip()
    bench.node.put("/root/stall_node.py", (HERE / "stall_node.py").read_bytes())
    pid = bench.node.pid(watched.container)
    try:
        command = "python3 /root/stall_node.py %d %d python3 %s" % (pid, rounds, shlex.quote(module))
        done = subprocess.run(
            bench.node.command(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=3600
        )
    finally:
        bench.node.run("rm -rf %s /root/stall_node.py" % KEPT)
    return {name: summary(intervals) for name, intervals in json.loads(done.stdout).items()}


def main(argv: t.Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", required=True)
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=pathlib.Path, help="write the result there, too")
    given = parser.parse_args(argv)
    bench = Bench(given.lab)
    running: t.List[t.Any] = []
    seconds, found = [], 0
    try:
        bench.configure("role")
        watched = bench.start(Workload("watched", ("watch_clock", "heap")))
        running.append(watched)
        for number in range(given.pods - 1):
            running.append(bench.start(Workload("many-%d" % number, ("tcp_listen", "epoll", "socketpair"))))
        for one in running:
            bench.ready(one)
        for _call in range(CALLS):
            started = time.monotonic()
            found = len(bench.preflight(check_node=True)["containers"])
            seconds.append(time.monotonic() - started)
        noted = stalls(bench, watched, given.rounds)
    finally:
        for one in running:
            bench.remove(one)
        bench.close()
    unnoticed = noted["program"]["longest_ms_median"] <= noted["nothing"]["longest_ms_p95"]
    result = {
        "pods": found,
        "seconds": round(statistics.median(seconds), 2),
        "seconds_all": [round(value, 2) for value in seconds],
        "noted": noted,
        "unnoticed": unnoticed,
    }
    print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 0 if found >= given.pods and result["seconds"] < LIMIT_SECONDS and unnoticed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
