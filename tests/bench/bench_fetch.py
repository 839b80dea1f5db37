# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching an archive over ssh with become: archive_fetch against ansible.builtin.fetch and slurp, in one run, side by side.

An ssh server on loopback and sudo, the contenders in turn: archive_fetch as it is, with zstd, and with zstd and age in
the same pass; ansible.builtin.fetch, and what it takes to compress and encrypt after it. The time of ansible.builtin.fetch grows
with the square of the size over ssh (256 MiB take many minutes), and it holds a file several times over in memory: it gets files of
its own sizes (--fetch-mib), and the line for the size of archive_fetch is computed from its rate at the largest of them, which
flatters it, and is marked so. ansible.builtin.slurp, which fetch with become uses inside, reads --slurp-mib from this machine,
without ssh. Peak memory is the kernel's VmHWM of the controller's largest process and of the largest one on the node. Prints
a table, and JSON with --json FILE. Ends with 1 if a promise is broken. Needs root, sshd, sudo, zstd and age.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration/targets/archive_fetch/files"))
import bench_image
import loopback_ssh

MIB = 1 << 20
PROMISED = 5.0
SLURP = "ansible.builtin.slurp"
# What Ansible starts without ssh is known by this variable.
MARK = "BENCH_FETCH_NODE"
PEAK_LIMIT_KIB = 100 * 1024
OURS, OURS_ZSTD, OURS_AGE = "archive_fetch", "archive_fetch, zstd", "archive_fetch, zstd + age"
FETCH, FETCH_AGE = "fetch", "fetch, then zstd, then age"
# No Python is smaller.
SMALLEST_KIB = 6 * 1024


class Watch(threading.Thread):
    """Peak memory of Ansible's processes on both sides: all that descend from the command, and all behind its sudo."""

    def __init__(self, pid: int, user: str) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._marks = {b"SUDO_USER=" + user.encode(), MARK.encode() + b"=1"}
        self._ended = threading.Event()
        self._known: set = set()
        self.controller_kib = self.node_kib = 0

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self._look()

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _look(self) -> None:
        parents, sizes = {}, {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines = (process / "status").read_text().splitlines()
            except OSError:
                continue
            words = dict(line.split(":", 1) for line in lines if ":" in line)
            if "VmHWM" in words:
                pid = int(process.name)
                parents[pid], sizes[pid] = int(words["PPid"]), int(words["VmHWM"].split()[0])
        for pid, size in sizes.items():
            if size > SMALLEST_KIB and self._on_node(pid):
                self.node_kib = max(self.node_kib, size)
            elif self._descends(pid, parents):
                self.controller_kib = max(self.controller_kib, size)

    def _on_node(self, pid: int) -> bool:
        """Of a process that is known to be, it is not asked again: the watch must not cost what it measures."""
        if pid not in self._known:
            try:
                environment = pathlib.Path("/proc/%d/environ" % pid).read_bytes()
            except OSError:
                return False
            if self._marks.isdisjoint(environment.split(b"\0")):
                return False
            self._known.add(pid)
        return True

    def _descends(self, pid: int, parents: dict) -> bool:
        while pid in parents:
            if pid == self._pid:
                return True
            pid = parents[pid]
        return False


def run_ansible(inventory: pathlib.Path, module: str, options: dict) -> dict:
    """One task; seconds are those of the whole command, less nothing."""
    task = {module: options, "no_log": module == SLURP}
    if module == SLURP:
        task.update(delegate_to="localhost", environment={MARK: "1"}, vars={"ansible_python_interpreter": sys.executable})
    play = {"hosts": "loopback", "gather_facts": False, "tasks": [task]}
    playbook = inventory.parent / "play.yml"
    playbook.write_text(json.dumps([play]))
    environment = dict(os.environ, ANSIBLE_PIPELINING="true", ANSIBLE_NOCOLOR="1", ANSIBLE_HOST_KEY_CHECKING="true")
    begin = time.monotonic()
    command = [program("ansible-playbook"), "-i", str(inventory), str(playbook)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        watch = Watch(process.pid, loopback_ssh.user_of(inventory.parent))
        watch.start()
        output = process.communicate()[0]
        watch.stop()
    seconds = time.monotonic() - begin
    if process.returncode != 0 or " %s=1 " % ("ok" if module == SLURP else "changed") not in output:
        raise SystemExit("%s failed: %s" % (module, output[-2000:]))
    return {"seconds": seconds, "controller_kib": watch.controller_kib, "node_kib": watch.node_kib}


def program(name: str) -> str:
    """A program of Ansible, beside our own Python if it is not in PATH."""
    return shutil.which(name) or str(pathlib.Path(sys.executable).parent / name)


def timed(command: list) -> float:
    """Seconds that a command takes."""
    begin = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begin


def measure(arguments: argparse.Namespace, work: pathlib.Path) -> dict:
    """All contenders."""
    archives = {}
    for mib in sorted({arguments.mib, arguments.slurp_mib, *arguments.fetch_mib}):
        archives[mib] = work / ("archive-%d.tar" % mib)
        bench_image.make_archive(archives[mib], mib * MIB)
        archives[mib].chmod(0o600)
    identity = work / "identity"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", str(identity)], check=True, capture_output=True, text=True).stdout.strip()
    ssh = work / "ssh"
    ssh.mkdir()
    out = work / "out"
    out.mkdir()
    rows: dict = {}

    def run(name: str, mib: int, module: str, options: dict) -> None:
        rows[name] = {**run_ansible(ssh / "inventory.yml", module, {"src": str(archives[mib]), **options}), "mib": mib}
        print(name, "%.1f s" % rows[name]["seconds"], file=sys.stderr, flush=True)

    def empty() -> None:
        for path in out.iterdir():
            path.unlink()

    try:
        loopback_ssh.up(ssh)
        # The connection is there for everybody.
        command = [program("ansible"), "-i", str(ssh / "inventory.yml"), "loopback", "-m", "ansible.builtin.ping"]
        subprocess.run(command, check=True, capture_output=True)
        for name, options in (
            (OURS, {}),
            (OURS_ZSTD, {"compress": "zstd"}),
            (OURS_AGE, {"compress": "zstd", "recipients": [recipient]}),
        ):
            run(name, arguments.mib, "container_checkpoint.kubernetes.archive_fetch", {"dest": str(out) + "/", "progress_seconds": 0, **options})
            empty()
        for mib in sorted(arguments.fetch_mib):
            empty()
            run("fetch of %d MiB" % mib, mib, "ansible.builtin.fetch", {"dest": str(out / "fetched"), "flat": True})
        after = timed(["zstd", "-q", "-1", str(out / "fetched"), "-o", str(out / "fetched.zst")])
        after += timed(["age", "-r", recipient, "-o", str(out / "fetched.zst.age"), str(out / "fetched.zst")])
        rows["then zstd, then age"] = {**rows["fetch of %d MiB" % mib], "seconds": rows["fetch of %d MiB" % mib]["seconds"] + after}
        empty()
        if arguments.slurp_mib:
            run("slurp of %d MiB, no ssh" % arguments.slurp_mib, arguments.slurp_mib, SLURP, {})
    finally:
        loopback_ssh.down(ssh)
    for name, measured in ((FETCH, "fetch of %d MiB" % mib), (FETCH_AGE, "then zstd, then age")):
        rows[name] = extrapolated(rows[measured], arguments.mib)
    return rows


def extrapolated(row: dict, mib: int) -> dict:
    """The same rate at another size; what its memory would be is not said."""
    if row["mib"] == mib:
        return dict(row)
    return {"mib": mib, "seconds": row["seconds"] * mib / row["mib"], "controller_kib": None, "node_kib": None, "by_rate_of_mib": row["mib"]}


def judge(rows: dict) -> None:
    """Rates, and whether the promises are kept."""
    for row in rows.values():
        row["mib_per_second"] = row["mib"] / row["seconds"]
    for name, baseline in ((OURS, FETCH), (OURS_ZSTD, FETCH), (OURS_AGE, FETCH_AGE)):
        row = rows[name]
        row["times_faster"] = rows[baseline]["seconds"] / row["seconds"]
        row["kept"] = {
            "faster": row["times_faster"] >= PROMISED,
            "memory": 0 < row["controller_kib"] < PEAK_LIMIT_KIB and 0 < row["node_kib"] < PEAK_LIMIT_KIB,
        }


def table(rows: dict) -> str:
    """For people."""
    lines = ["%-28s %6s %10s %8s %8s %13s %13s" % ("", "MiB", "seconds", "MiB/s", "faster", "controller", "node")]
    for name, row in rows.items():
        broken = [key for key, value in row.get("kept", {}).items() if not value]
        notes = ["NOT KEPT: " + ", ".join(broken)] if broken else []
        if "by_rate_of_mib" in row:
            notes.append("not run: by its rate at %d MiB" % row["by_rate_of_mib"])
        faster = "%.1fx" % row["times_faster"] if "times_faster" in row else ""
        peaks = ["%.1f MiB" % (row[key] / 1024) if row[key] else "" for key in ("controller_kib", "node_kib")]
        values = (name, row["mib"], row["seconds"], row["mib_per_second"], faster, *peaks, ", ".join(notes))
        lines.append(("%-28s %6d %8.1f s %8.2f %8s %13s %13s  %s" % values).rstrip())
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024, help="size for archive_fetch (default: %(default)s)")
    parser.add_argument("--fetch-mib", type=int, nargs="+", default=[32, 64], help="sizes for ansible.builtin.fetch (default: 32 64)")
    parser.add_argument("--slurp-mib", type=int, default=256, help="size for ansible.builtin.slurp (default: %(default)s; 0: not at all)")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()), help="where everything lies")
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file")
    arguments = parser.parse_args()
    missing = [program for program in ("zstd", "age", "age-keygen", "ansible") if shutil.which(program) is None]
    missing += loopback_ssh.missing()
    if missing:
        raise SystemExit("not installed: " + " ".join(missing))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-fetch.", dir=arguments.work) as directory:
        rows = measure(arguments, pathlib.Path(directory))
    judge(rows)
    print("load when it began: %.1f on %d processors" % (load, os.cpu_count() or 0))
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"load": load, "rows": rows}, indent=2, sort_keys=True) + "\n")
    return 0 if all(all(row["kept"].values()) for row in rows.values() if "kept" in row) else 1


if __name__ == "__main__":
    sys.exit(main())
