# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching an archive over ssh with become: archive_fetch against ansible.builtin.fetch, in one run, side by side.

An ssh server on loopback and sudo, the contenders in turn: archive_fetch as it is, with zstd, and with zstd and age in
the same pass; ansible.builtin.fetch, and what it takes to compress and encrypt after it. ansible.builtin.fetch takes
time that grows with the square of the size, and memory that is a multiple of it, so it gets a file of its own size
(--fetch-mib), and the rates are compared: that flatters it. Peak memory is the kernel's VmHWM of the controller's
worker process and of the largest process that Ansible started on the node. Prints a table, and JSON with --json FILE.
Ends with 1 if a promise is broken. Needs root, sshd, sudo, zstd and age.
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
PEAK_LIMIT_KIB = 100 * 1024


class Watch(threading.Thread):
    """Peak memory of Ansible's processes on both sides: all that descend from the command, and all behind its sudo."""

    def __init__(self, pid: int, user: str) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._mark = b"SUDO_USER=" + user.encode()
        self._ended = threading.Event()
        self.controller_kib = self.node_kib = 0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self._look()

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _look(self) -> None:
        parents, sizes, modules = {}, {}, set()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines = (process / "status").read_text().splitlines()
                words = dict(line.split(":", 1) for line in lines if ":" in line)
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if "VmHWM" not in words:
                continue
            pid = int(process.name)
            parents[pid], sizes[pid] = int(words["PPid"]), int(words["VmHWM"].split()[0])
            if self._mark in environment:
                modules.add(pid)
        for pid, size in sizes.items():
            if self._descends(pid, parents):
                self.controller_kib = max(self.controller_kib, size)
            elif pid in modules:
                self.node_kib = max(self.node_kib, size)

    def _descends(self, pid: int, parents: dict) -> bool:
        while pid in parents:
            if pid == self._pid:
                return True
            pid = parents[pid]
        return False


def run_ansible(inventory: pathlib.Path, module: str, options: dict) -> dict:
    """One task; seconds are those of the whole command, less nothing."""
    ansible = shutil.which("ansible") or str(pathlib.Path(sys.executable).parent / "ansible")
    command = [ansible, "-i", str(inventory), "loopback", "-o", "-m", module, "-a", json.dumps(options)]
    environment = dict(os.environ, ANSIBLE_PIPELINING="true", ANSIBLE_NOCOLOR="1", ANSIBLE_HOST_KEY_CHECKING="true")
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        watch = Watch(process.pid, loopback_ssh.user_of(inventory.parent))
        watch.start()
        output = process.communicate()[0]
        watch.stop()
    seconds = time.monotonic() - begin
    if process.returncode != 0 or '"changed": true' not in output:
        raise SystemExit("%s failed: %s" % (module, output[-2000:]))
    return {"seconds": seconds, "controller_kib": watch.controller_kib, "node_kib": watch.node_kib}


def timed(command: list) -> float:
    """Seconds that a command takes."""
    begin = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begin


def measure(arguments: argparse.Namespace, work: pathlib.Path) -> dict:
    """All contenders."""
    archives = {}
    for mib in sorted({arguments.mib, arguments.fetch_mib}):
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
    rows = {}
    try:
        loopback_ssh.up(ssh)
        inventory = ssh / "inventory.yml"
        # The connection is there for everybody.
        subprocess.run([shutil.which("ansible") or "ansible", "-i", str(inventory), "loopback", "-m", "ansible.builtin.ping"], check=True, capture_output=True)
        for name, options in (
            ("archive_fetch", {}),
            ("archive_fetch, zstd", {"compress": "zstd"}),
            ("archive_fetch, zstd + age", {"compress": "zstd", "recipients": [recipient]}),
        ):
            options = {"src": str(archives[arguments.mib]), "dest": str(out) + "/", "progress_seconds": 0, **options}
            rows[name] = {**run_ansible(inventory, "container_checkpoint.kubernetes.archive_fetch", options), "mib": arguments.mib}
            print(name, "%.1f s" % rows[name]["seconds"], file=sys.stderr, flush=True)
            for path in out.iterdir():
                path.unlink()
        options = {"src": str(archives[arguments.fetch_mib]), "dest": str(out / "fetched"), "flat": True}
        rows["fetch"] = {**run_ansible(inventory, "ansible.builtin.fetch", options), "mib": arguments.fetch_mib}
        print("fetch", "%.1f s" % rows["fetch"]["seconds"], file=sys.stderr, flush=True)
        after = timed(["zstd", "-q", "-1", str(out / "fetched"), "-o", str(out / "fetched.zst")])
        after += timed(["age", "-r", recipient, "-o", str(out / "fetched.zst.age"), str(out / "fetched.zst")])
        rows["fetch, then zstd, then age"] = {**rows["fetch"], "seconds": rows["fetch"]["seconds"] + after}
    finally:
        loopback_ssh.down(ssh)
    return rows


def judge(rows: dict) -> None:
    """Rates, and whether the promises are kept."""
    for row in rows.values():
        row["mib_per_second"] = row["mib"] / row["seconds"]
    for name, baseline in (
        ("archive_fetch", "fetch"),
        ("archive_fetch, zstd", "fetch"),
        ("archive_fetch, zstd + age", "fetch, then zstd, then age"),
    ):
        row = rows[name]
        row["times_faster"] = row["mib_per_second"] / rows[baseline]["mib_per_second"]
        row["kept"] = {
            "faster": row["times_faster"] >= PROMISED,
            "memory": 0 < row["controller_kib"] < PEAK_LIMIT_KIB and 0 < row["node_kib"] < PEAK_LIMIT_KIB,
        }


def table(rows: dict) -> str:
    """For people."""
    lines = ["%-28s %8s %10s %12s %8s %12s %10s" % ("", "MiB", "seconds", "MiB/s", "faster", "controller", "node")]
    for name, row in rows.items():
        broken = [key for key, value in row.get("kept", {}).items() if not value]
        lines.append(
            "%-28s %8d %8.1f s %12.2f %8s %8.1f MiB %6.1f MiB %s"
            % (
                name,
                row["mib"],
                row["seconds"],
                row["mib_per_second"],
                "%.1fx" % row["times_faster"] if "times_faster" in row else "",
                row["controller_kib"] / 1024,
                row["node_kib"] / 1024,
                "NOT KEPT: " + ", ".join(broken) if broken else "",
            )
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024, help="size for archive_fetch (default: %(default)s)")
    parser.add_argument("--fetch-mib", type=int, default=64, help="size for ansible.builtin.fetch (default: %(default)s)")
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
