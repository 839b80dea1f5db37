# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describing a directory of archives: archive_info against checkpointctl, listing it once and showing one after the other.

The archives are copies of the real fixtures of both engines. The module runs as a process of its own, as Ansible runs
it, and is measured from the start of Python to its end, with its peak memory. checkpointctl is timed with "list
DIRECTORY" and with one "show FILE" for each archive. Medians; prints a table, and JSON with --json FILE. Ends with 1 if
the promise (5 times faster than the loop) is broken; where checkpointctl is not installed, it says "not run".
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROMISE = 5.0
PEAK_LIMIT_KIB = 256 * 1024
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "unit" / "plugins" / "fixtures" / "archives"
# Around the module: what Ansible puts before its main(), and afterwards what the kernel counted for this process.
RUNNER = """
import sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[1].encode()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.container_checkpoint.kubernetes.plugins.modules import archive_info
try:
    archive_info.main()
finally:
    with open("/proc/self/status") as status, open(sys.argv[2], "w") as out:
        out.write([line.split()[1] for line in status if line.startswith("VmHWM:")][0])
"""


def lay_out(directory: pathlib.Path, count: int) -> int:
    """Copies of the fixtures, named as the kubelet names archives; returns their bytes."""
    sources = sorted(FIXTURES.glob("*.tar"))
    total = 0
    for number in range(count):
        target = directory / ("checkpoint-pod%05d_default-c-2026-11-21T11-55-44Z.tar" % number)
        shutil.copyfile(sources[number % len(sources)], target)
        total += target.stat().st_size
    return total


def run_module(directory: pathlib.Path, count: int, work: pathlib.Path) -> dict:
    """One run of archive_info over the directory."""
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"path": str(directory), "_ansible_remote_tmp": str(work)}})
    begin, used = time.monotonic(), processor()
    done = subprocess.run([sys.executable, "-c", RUNNER, arguments, str(work / "peak")], stdout=subprocess.PIPE, text=True, check=False)
    seconds, used = time.monotonic() - begin, processor() - used
    result = json.loads(done.stdout)
    if done.returncode or len(result["archives"]) != count or result["errors"]:
        raise SystemExit("archive_info did not describe %d archives: %s" % (count, done.stdout[:500]))
    return {"seconds": seconds, "cpu": used, "peak_kib": int((work / "peak").read_text())}


def processor() -> float:
    """Seconds of processor time that ended children used: on a busy machine it says more than the clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(*commands: list) -> dict:
    """One command after the other."""
    begin, used = time.monotonic(), processor()
    for command in commands:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return {"seconds": time.monotonic() - begin, "cpu": processor() - used}


def run_loop(program: str, directory: pathlib.Path) -> dict:
    return timed(*([program, "show", str(path)] for path in sorted(directory.glob("*.tar"))))


def measure(arguments: argparse.Namespace) -> dict:
    """All contenders in turn, as often as asked for."""
    runs: dict = {"archive_info": [], "list": [], "loop": []}
    with tempfile.TemporaryDirectory(prefix="bench-archive-info.") as name:
        work = pathlib.Path(name)
        directory = work / "archives"
        directory.mkdir()
        total = lay_out(directory, arguments.archives)
        for dummy in range(arguments.runs):
            runs["archive_info"].append(run_module(directory, arguments.archives, work))
            if arguments.checkpointctl:
                runs["list"].append(timed([arguments.checkpointctl, "list", str(directory)]))
                runs["loop"].append(run_loop(arguments.checkpointctl, directory))
    medians = {name: statistics.median(run["seconds"] for run in entries) for name, entries in runs.items() if entries}
    peak = max(run["peak_kib"] for run in runs["archive_info"])
    ratio = medians["loop"] / medians["archive_info"] if "loop" in medians else None
    return {
        "archives": arguments.archives,
        "bytes": total,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "python": sys.version.split()[0]},
        "checkpointctl": arguments.checkpointctl,
        "runs": runs,
        "seconds": medians,
        "cpu": {name: statistics.median(run["cpu"] for run in entries) for name, entries in runs.items() if entries},
        "times_faster_than_loop": ratio,
        "peak_kib": peak,
        "kept": {"memory": peak < PEAK_LIMIT_KIB, **({"faster": ratio >= PROMISE} if ratio is not None else {})},
    }


def table(report: dict) -> str:
    """For people."""
    base = report["seconds"]["archive_info"]
    lines = ["%d archives, %d bytes; load %.1f" % (report["archives"], report["bytes"], report["machine"]["load"])]
    values = ("archive_info", base, report["cpu"]["archive_info"], report["peak_kib"] / 1024)
    lines.append("%-28s %8.2f s %8.2f s of processor   peak of the main process %.1f MiB" % values)
    for name, label in (("list", "checkpointctl list"), ("loop", "checkpointctl show, looped")):
        if name not in report["seconds"]:
            lines.append("%-28s not run" % label)
            continue
        seconds, used = report["seconds"][name], report["cpu"][name]
        lines.append("%-28s %8.2f s %8.2f s of processor   %.1f times as long" % (label, seconds, used, seconds / base))
    broken = [name for name, kept in report["kept"].items() if not kept]
    return "\n".join(lines + (["NOT KEPT: " + ", ".join(broken)] if broken else []))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--archives", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--checkpointctl", default=shutil.which("checkpointctl"), help="the program (default: the one in PATH)")
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file")
    arguments = parser.parse_args()
    report = measure(arguments)
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return 0 if all(report["kept"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
