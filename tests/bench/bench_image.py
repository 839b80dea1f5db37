# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image build and push: module image against buildah from/add/config/commit/push, side by side.

One archive (half of its pages random, half compressible), one registry on loopback (plain HTTP, no password, emptied
before each run), the contenders in turn, medians. The module runs as a process of its own, as Ansible runs it, and is
measured from the start of Python to its end, with its peak memory and what the kernel says that it read; buildah runs
as five commands with storage of its own (vfs, chroot isolation), which is removed outside the measured time. Prints a
table, and JSON with --json FILE. Ends with 1 if a promise is broken. Needs root, docker-registry, buildah and zstd.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

MIB = 1 << 20
PROMISES = {"none": 5.0, "gzip": None, "zstd": 4.0}
PEAK_LIMIT_KIB = 64 * 1024
# Around the module: what Ansible puts before its main(), and afterwards what the kernel counted for this process.
RUNNER = """
import json, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[1].encode()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.container_checkpoint.kubernetes.plugins.modules import image
try:
    image.main()
finally:
    with open("/proc/self/status") as status, open("/proc/self/io") as counters, open(sys.argv[2], "w") as out:
        peak = [line.split()[1] for line in status if line.startswith("VmHWM:")]
        read = [line.split()[1] for line in counters if line.startswith("rchar:")]
        json.dump({"peak_kib": int(peak[0]), "rchar": int(read[0])}, out)
"""
DOCUMENTS = {
    "config.dump": {
        "id": "ab" * 32,
        "name": "bench_bench_default_0_0",
        "rootfsImage": "registry.example/bench:1",
        "rootfsImageRef": "registry.example/bench@sha256:" + "cd" * 32,
        "rootfsImageName": "registry.example/bench:1",
        "runtime": "io.containerd.runc.v2",
        "createdTime": "2026-01-01T00:00:00Z",
        "checkpointedTime": "2026-01-01T01:00:00Z",
    },
    "spec.dump": {
        "process": {"user": {"uid": 0, "gid": 0}},
        "mounts": [],
        "annotations": {
            "io.kubernetes.cri.container-name": "bench",
            "io.kubernetes.cri.sandbox-name": "bench",
            "io.kubernetes.cri.sandbox-namespace": "default",
        },
    },
}


class Pages:
    """Memory pages: one of random bytes, one of text with numbers, in turn; the same for the same seed."""

    def __init__(self) -> None:
        self._random = random.Random(20260101)
        self._number = 0
        self._rest = b""

    def _page(self) -> bytes:
        self._number += 1
        if self._number % 2:
            return self._random.randbytes(4096)
        return b"".join(
            b"%016d request served in %05d us\n" % (self._number * 97, self._random.randrange(99999))
            for dummy in range(96)
        ).ljust(4096, b"\0")[:4096]

    def read(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            parts.append(self._page())
            have += 4096
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]


def make_archive(path: pathlib.Path, size: int) -> None:
    """A checkpoint archive as the module wants it, with pages of this size; kept for the next run."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        for name, document in DOCUMENTS.items():
            add(name, json.dumps(document).encode())
        add("checkpoint/inventory.img", b"\x16\x31\x31\x58")
        member = tarfile.TarInfo("checkpoint/pages-1.img")
        member.size = size
        archive.addfile(member, Pages())
    partial.rename(path)


class RegistryProcess:
    """Debian's docker-registry on loopback."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.data = directory / "registry"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.host = "127.0.0.1:%d" % self.port
        config = directory / "registry.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n"
            "  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n  secret: bench\n" % (self.data, self.host)
        )
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen("http://%s/v2/" % self.host, timeout=2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("docker-registry does not answer on " + self.host)

    def empty(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)

    def layer_bytes(self, repository: str) -> int:
        """What the layers of the image have become in the registry."""
        request = urllib.request.Request(
            "http://%s/v2/%s/manifests/1" % (self.host, repository),
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return sum(layer["size"] for layer in json.load(answer)["layers"])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_module(archive: pathlib.Path, registry: RegistryProcess, compression: str, work: pathlib.Path) -> dict:
    """One push with the module."""
    params = {
        "src": str(archive),
        "name": registry.host + "/bench/module:1",
        "plain_http": True,
        "compression": compression,
    }
    counters = work / "counters.json"
    command = [sys.executable, "-c", RUNNER, json.dumps({"ANSIBLE_MODULE_ARGS": params}), str(counters)]
    begin = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - begin
    result = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"failed": True, "msg": done.stderr}
    if done.returncode or result.get("failed") or not result["changed"]:
        raise SystemExit("the module failed: %s" % result.get("msg"))
    return {
        "seconds": seconds,
        "bytes_read": result["bytes_read"],
        "bytes_sent": result["bytes_sent"],
        "layer_bytes": registry.layer_bytes("bench/module"),
        **json.loads(counters.read_text()),
    }


def run_buildah(archive: pathlib.Path, registry: RegistryProcess, work: pathlib.Path) -> dict:
    """One push with buildah, as the manual recipe has it."""
    root = work / "buildah"
    buildah = ["buildah", "--root", str(root / "root"), "--runroot", str(root / "run"), "--storage-driver", "vfs"]
    environment = dict(os.environ, BUILDAH_ISOLATION="chroot", TMPDIR=str(work))

    def step(*arguments: str) -> str:
        done = subprocess.run(
            [*buildah, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit("buildah %s failed: %s" % (arguments[0], done.stderr))
        return done.stdout.strip()

    stages = {}
    begin = last = time.monotonic()

    def lap(name: str) -> None:
        nonlocal last
        now = time.monotonic()
        stages[name] = now - last
        last = now

    container = step("from", "scratch")
    lap("from")
    step("add", container, str(archive), "/")
    lap("add")
    step(
        "config",
        "--annotation=org.criu.checkpoint.container.name=bench",
        "--annotation=io.kubernetes.cri-o.annotations.checkpoint.name=bench",
        container,
    )
    lap("config")
    step("commit", "--quiet", "--format", "oci", container, "bench")
    lap("commit")
    step("push", "--quiet", "--tls-verify=false", "bench", "docker://%s/bench/buildah:1" % registry.host)
    lap("push")
    seconds = time.monotonic() - begin
    layer_bytes = registry.layer_bytes("bench/buildah")
    shutil.rmtree(root)
    return {"seconds": seconds, "stages": stages, "layer_bytes": layer_bytes, "bytes_sent": layer_bytes}


def measure(arguments: argparse.Namespace) -> dict:
    """All contenders in turn, as often as asked for."""
    archive = arguments.cache / ("archive-%d.tar" % arguments.mib)
    make_archive(archive, arguments.mib * MIB)
    with open(archive, "rb") as stream:
        digest = hashlib.sha256()
        for block in iter(lambda: stream.read(MIB), b""):
            digest.update(block)
    contenders = list(PROMISES) + ["buildah"]
    runs: dict = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="bench-image.", dir=arguments.work) as directory:
        work = pathlib.Path(directory)
        registry = RegistryProcess(work)
        try:
            for round_number in range(arguments.runs):
                for name in contenders:
                    if name == "gzip" and round_number:
                        continue
                    registry.empty()
                    runs[name].append(
                        run_buildah(archive, registry, work)
                        if name == "buildah"
                        else run_module(archive, registry, name, work)
                    )
                    print("%-8s %6.1f s" % (name, runs[name][-1]["seconds"]), file=sys.stderr, flush=True)
        finally:
            registry.stop()
    return {
        "archive": {"bytes": archive.stat().st_size, "sha256": digest.hexdigest()},
        "machine": {
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
            "work": str(arguments.work),
            "python": sys.version.split()[0],
        },
        "versions": {
            name: version(command)
            for name, command in (("buildah", ["buildah", "--version"]), ("zstd", ["zstd", "--version"]))
        },
        "buildah": {"storage": "vfs", "isolation": "chroot", "push": "its default compression (gzip)"},
        "runs": runs,
        "summary": summary(runs, archive.stat().st_size),
    }


def version(command: list) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def summary(runs: dict, size: int) -> dict:
    """Medians, ratios, and whether the promises are kept."""
    baseline = statistics.median(run["seconds"] for run in runs["buildah"])
    result: dict = {"buildah": {"seconds": baseline, "layer_bytes": runs["buildah"][0]["layer_bytes"]}}
    for name, least in PROMISES.items():
        mine = runs[name]
        seconds = statistics.median(run["seconds"] for run in mine)
        peak = max(run["peak_kib"] for run in mine)
        kept = {
            "faster": least is None or baseline / seconds >= least,
            "memory": peak < PEAK_LIMIT_KIB,
            "read_once": all(run["bytes_read"] == size for run in mine),
        }
        if name == "none":
            # Without a compressor's pipe, all that it reads besides the archive is Python itself and small answers.
            kept["read_once"] = kept["read_once"] and all(run["rchar"] - size < 32 * MIB for run in mine)
        if name == "zstd":
            kept["fewer_bytes"] = mine[0]["layer_bytes"] < min(size, runs["buildah"][0]["layer_bytes"])
        result[name] = {
            "seconds": seconds,
            "times_faster": baseline / seconds,
            "promised": least,
            "peak_kib": peak,
            "bytes_read": mine[0]["bytes_read"],
            "bytes_sent": mine[0]["bytes_sent"],
            "layer_bytes": mine[0]["layer_bytes"],
            "kept": kept,
        }
    return result


def table(report: dict) -> str:
    """For people."""
    lines = ["archive: %d bytes; registry and work in %s" % (report["archive"]["bytes"], report["machine"]["work"])]
    lines.append("%-16s %9s %8s %10s %12s %12s" % ("", "median", "faster", "peak", "read", "in registry"))
    for name, row in report["summary"].items():
        label = "buildah" if name == "buildah" else "image, " + name
        faster = "%.1fx" % row["times_faster"] if "times_faster" in row else ""
        peak = "%.1f MiB" % (row["peak_kib"] / 1024) if "peak_kib" in row else ""
        read = "%d" % row["bytes_read"] if "bytes_read" in row else ""
        broken = [key for key, value in row.get("kept", {}).items() if not value]
        lines.append(
            "%-16s %7.2f s %8s %10s %12s %12d %s"
            % (
                label,
                row["seconds"],
                faster,
                peak,
                read,
                row["layer_bytes"],
                "NOT KEPT: " + ", ".join(broken) if broken else "",
            )
        )
    return "\n".join(lines)


def main() -> int:
    default_cache = (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "container-checkpoint" / "bench"
    )
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the pages in the archive (default: %(default)s)")
    parser.add_argument(
        "--runs", type=int, default=3, help="runs of each contender but gzip, which runs once (default: %(default)s)"
    )
    parser.add_argument(
        "--cache", type=pathlib.Path, default=default_cache, help="where the archive is kept (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()),
        help="where registry and buildah store (default: %(default)s)",
    )
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file")
    arguments = parser.parse_args()
    missing = [program for program in ("docker-registry", "buildah", "zstd") if shutil.which(program) is None]
    if missing:
        raise SystemExit("install %s" % " ".join(missing))
    report = measure(arguments)
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return 0 if all(all(row["kept"].values()) for row in report["summary"].values() if "kept" in row) else 1


if __name__ == "__main__":
    sys.exit(main())
