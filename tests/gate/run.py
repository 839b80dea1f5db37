# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run named parts of the gate, two at a time, each into its own log; print each log whole when it ends, then a table and what failed.

    run.py [--jobs N] LOGDIR PART...

A PART is a make target. Parts that need the lab to themselves take turns. The exit status is 0 when every part passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from excerpt import excerpt

TURNS = {"e2e", "demo", "bench"}
HEARTBEAT = 30.0


class Gate:
    """What has run, with what outcome; one lock for the output."""

    def __init__(self, logs: str, parts: list[str]) -> None:
        self.logs = logs
        self.waiting = list(parts)
        self.running: dict[str, float] = {}
        self.done: list[tuple[str, int, float]] = []
        self.lock = threading.Lock()

    def take(self) -> str | None:
        """The next part that may start now; None when nothing is left; an empty string when something must end first."""
        with self.lock:
            busy = TURNS & self.running.keys()
            for name in self.waiting:
                if not (name in TURNS and busy):
                    self.waiting.remove(name)
                    self.running[name] = time.monotonic()
                    return name
            return "" if self.waiting else None

    def work(self) -> None:
        """One worker: run parts until none is left."""
        while (name := self.take()) is not None:
            if not name:
                time.sleep(1)
                continue
            path = os.path.join(self.logs, name + ".log")
            with open(path, "wb") as log:
                status = subprocess.call(
                    [os.environ.get("MAKE", "make"), "--no-print-directory", name],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self.finish(name, status, path)

    def finish(self, name: str, status: int, path: str) -> None:
        """Print a part's log and note how it went."""
        with self.lock:
            seconds = time.monotonic() - self.running.pop(name)
            self.done.append((name, status, seconds))
            print("=" * 20, name, "=" * 20, flush=True)
            with open(path, "rb") as log:
                sys.stdout.buffer.write(log.read())
            if status:
                self.show(name)
            print("== %s: %s in %.0f s" % (name, "passed" if status == 0 else "FAILED", seconds), flush=True)

    def show(self, name: str) -> None:
        """Print the lines of a part's log that say what failed."""
        with open(os.path.join(self.logs, name + ".log"), encoding="utf-8", errors="replace") as log:
            for line in excerpt(log.read()):
                print("!! %s: %s" % (name, line), flush=True)

    def heartbeat(self) -> None:
        """Say what is running, for whoever watches."""
        with self.lock:
            now = time.monotonic()
            state = ", ".join("%s (%.0f s)" % (name, now - begin) for name, begin in self.running.items())
        if state:
            print("-- running:", state, flush=True)


def main(argv: list[str]) -> int:
    """Run the parts and print the summary."""
    jobs = 2
    if argv[:1] == ["--jobs"]:
        jobs, argv = int(argv[1]), argv[2:]
    logs, parts = argv[0], argv[1:]
    os.makedirs(logs, exist_ok=True)
    begin = time.monotonic()
    gate = Gate(logs, parts)
    workers = [threading.Thread(target=gate.work) for _number in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(HEARTBEAT)
            if worker.is_alive():
                gate.heartbeat()
    failed = [name for name, status, _seconds in gate.done if status]
    print("=" * 20, "summary", "=" * 20)
    for name, status, seconds in sorted(gate.done, key=lambda entry: parts.index(entry[0])):
        print("%-20s %-7s %6.0f s" % (name, "FAILED" if status else "passed", seconds))
    for name in failed:
        gate.show(name)
    print("%-20s %-7s %6.0f s" % ("all", "FAILED" if failed else "passed", time.monotonic() - begin))
    if failed or len(gate.done) != len(parts):
        print("not passed: " + (", ".join(failed) or "parts are missing"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
