# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node: does a workload (watch_clock) notice a program. C(stall_node.py PID ROUNDS PROGRAM ARGUMENT...)

In turn, over and over: nothing happens; the program runs; another program uses as much processor time. Prints, as
JSON, what the workload noted in each of these intervals, which are equally long but for chance.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

BURN = "import time\nend = time.process_time() + %f\nwhile time.process_time() < end:\n    sum(range(1000))"


def mark(root):
    """End the workload's interval; return the lengths of its rounds in ms."""
    open(root + "/tmp/reset", "w").close()
    end = time.monotonic() + 30
    while not os.path.exists(root + "/tmp/rounds"):
        if time.monotonic() > end:
            raise SystemExit("the workload notes nothing")
        time.sleep(0.02)
    with open(root + "/tmp/rounds") as stream:
        found = [float(word) for word in stream.read().split()]
    os.unlink(root + "/tmp/rounds")
    return found


def interval(root, work):
    """What the workload notes while something happens, how long that took, and how much processor time."""
    time.sleep(0.5)
    mark(root)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    seconds = time.monotonic() - started
    after, found = resource.getrusage(resource.RUSAGE_CHILDREN), sorted(mark(root))
    return {
        "seconds": seconds,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rounds": len(found),
        "longest": found[-1],
        "p999": found[int(0.999 * (len(found) - 1))],
        "median": found[len(found) // 2],
    }


def run(command):
    """Run to the end; what it prints is not wanted."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main(pid, rounds, program):
    """In turn."""
    root = "/proc/%s/root" % pid
    # The first run makes the files that Python keeps, and says how long the intervals are.
    first = interval(root, lambda: run(program))
    seconds, processor = first["seconds"], first["processor"]
    found = {"nothing": [], "program": [], "another": []}
    for _round in range(rounds):
        found["nothing"].append(interval(root, lambda: time.sleep(seconds)))
        found["program"].append(interval(root, lambda: run(program)))
        found["another"].append(interval(root, lambda: run([sys.executable, "-c", BURN % processor])))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
