# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long pod_preflight takes for many pods on one node, and whether a workload notices.

    bench_preflight.py --lab NAME [--pods 100] [--rounds 3] [--json FILE]

Needs root, a provisioned lab, and ANSIBLE_COLLECTIONS_PATH with this collection. In each pod a process looks at the
clock all the
time and notes its longest gap; the gaps without and with preflight are compared. Prints JSON; exit status 1 when it
takes 60 s or more.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "workloads"))

from catalog import Workload  # noqa: E402
from lab_node import Bench  # noqa: E402

LIMIT_SECONDS = 60.0


def measure(bench: Bench, watched: t.Any, work: t.Callable[[], t.Any]) -> t.Tuple[float, float]:
    """(seconds that the work took, the longest gap of the watched workload meanwhile in ms)."""
    bench.node.exec(watched.container, "python3", "-S", "-c", "open('/tmp/reset', 'w')")
    time.sleep(0.5)
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    return seconds, float(bench.node.exec(watched.container, "python3", "-S", "-c", "print(open('/tmp/gap').read())"))


def main(argv: t.Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", required=True)
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="write the result there, too")
    given = parser.parse_args(argv)
    bench = Bench(given.lab)
    running: t.List[t.Any] = []
    try:
        bench.configure("role")
        watched = bench.start(Workload("watched", ("watch_clock", "heap")))
        running.append(watched)
        for number in range(given.pods - 1):
            running.append(bench.start(Workload("many-%d" % number, ("tcp_listen", "epoll", "socketpair"))))
        for one in running:
            bench.ready(one)
        quiet, busy, seconds = [], [], []
        found = 0
        for _round in range(given.rounds):
            quiet.append(measure(bench, watched, lambda: time.sleep(5))[1])
            answers: t.List[t.Any] = []
            taken, gap = measure(bench, watched, lambda: answers.append(bench.preflight()))
            found = len(answers[0]["containers"])
            seconds.append(taken)
            busy.append(gap)
    finally:
        for one in running:
            bench.remove(one)
        bench.close()
    result = {
        "pods": found,
        "seconds": round(statistics.median(seconds), 2),
        "seconds_all": [round(value, 2) for value in seconds],
        "longest_gap_ms_without": round(statistics.median(quiet), 2),
        "longest_gap_ms_with": round(statistics.median(busy), 2),
    }
    print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 0 if found >= given.pods and result["seconds"] < LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
