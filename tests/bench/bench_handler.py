# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore handler on a node of a running lab: what it adds to ordinary calls, and a restore through it against one
through a checkpoint image.

Added to an ordinary call: the same runc call, directly and through the handler's front, in turn, medians; with nothing
staged, and with a restore staged for another pod. Restore: from the archive's being there to the container's having
answered again (log line of the restored process). handler: module restore_stage, create, start. image: module image to
the lab's registry, pull, create, start. Both on the same node, in turn. Needs grpcio, ansible-core and a lab of containerd 2.1
with the handler installed (tests/handler/install.yml); prints a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "handler"))

from cri_node import HANDLER, STAGING, STATE, Node, wait  # noqa: E402
from staging import THERE, module, prepared, stage  # noqa: E402

FRONT = "/usr/local/libexec/container-checkpoint/container-checkpoint-runc"
REGISTRY = "checkpoints.lab:5000"

# Runs on the node: the time of one process start, alternating between the two programs.
CALLS = """
import json, subprocess, sys, time
programs = {"runc": ["runc"], "handler": [%r]}
times = {name: [] for name in programs}
for _round in range(%d):
    for name, program in programs.items():
        began = time.perf_counter()
        subprocess.run(program + %r, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times[name].append(time.perf_counter() - began)
print(json.dumps(times))
"""


def added(node: Node, rounds: int, arguments: t.List[str]) -> t.Dict[str, float]:
    """Medians of one call in milliseconds, and the difference."""
    times = json.loads(node.python(CALLS % (FRONT, rounds, arguments)))
    result = {name: statistics.median(values) * 1000 for name, values in times.items()}
    return dict(result, added=result["handler"] - result["runc"])


def ordinary(node: Node, rounds: int) -> t.Dict[str, t.Dict[str, float]]:
    """What the handler adds to a create (of a bundle that is not there, so that runc itself does least) and a state."""
    # A spec of another pod than the one something is staged for.
    bundle = THERE + "/bundle"
    node.run("mkdir -p " + bundle)
    node.put(bundle + "/config.json", json.dumps({"ociVersion": "1.0.2", "annotations": {
        "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-namespace": "default",
        "io.kubernetes.cri.sandbox-name": "x", "io.kubernetes.cri.sandbox-uid": "u", "io.kubernetes.cri.container-name": "c"}}))
    create = ["--root", "/run/bench", "create", "--bundle", bundle, "bench"]
    result = {"create, nothing staged": added(node, rounds, create)}
    for command in ("start", "state", "delete"):
        result[command + ", nothing staged"] = added(node, rounds, ["--root", "/run/bench", command, "x"])
    entry = "%s/staged/%s" % (STAGING, "b" * 32)
    node.run("mkdir -m 0700 " + entry)
    node.put(entry + "/entry.json", json.dumps({"schema": 1, "policy": "fail", "expires_at": 9e9, "created_at": 1, "binding": {
        "namespace": "default", "pod": "another", "container": "c", "pod_uid": "u"}}))
    result["create, a restore staged for another pod"] = added(node, rounds, create)
    node.run("rm -r " + entry)
    return result


def starts(node: Node, rounds: int) -> t.Dict[str, float]:
    """Medians of a whole start through the CRI (CreateContainer and StartContainer), in turn under runc and under the handler."""
    pods = {"runc": node.pod("bench-r", handler="runc"), "handler": node.pod("bench-h", handler=HANDLER)}
    times: t.Dict[str, t.List[float]] = {name: [] for name in pods}
    for attempt in range(rounds):
        for name, pod in pods.items():
            began = time.perf_counter()
            identity = node.container(pod, attempt=attempt, command=["python3", "-c", "import signal; signal.pause()"])
            times[name].append(time.perf_counter() - began)
            node.cri.stop(identity, 0)
            node.cri.call("RemoveContainer", container_id=identity)
    for pod in pods.values():
        node.remove_pod(pod)
    result = {name: statistics.median(values) * 1000 for name, values in times.items()}
    return dict(result, added=result["handler"] - result["runc"])


def first_line(node: Node, pod: t.Any) -> None:
    wait(lambda: node.counts(pod), 60, "the restored process's log")


def by_handler(node: Node, archive: str, digest: str, source: t.Any, mib: int) -> t.Dict[str, float]:
    pod = node.pod("bench-h", handler=HANDLER)
    began = time.monotonic()
    stage(node, archive, pod, source, archive_sha256=digest)
    staged = time.monotonic()
    node.container(pod, env={"MIB": str(mib)})
    created = time.monotonic()
    first_line(node, pod)
    ended = time.monotonic()
    node.remove_pod(pod)
    return {"bring": staged - began, "create and start": created - staged, "total": ended - began}


def by_image(node: Node, archive: str, source: t.Any, mib: int) -> t.Dict[str, float]:
    pod = node.pod("bench-i")
    user, password = "lab", (STATE / node.lab / "registry" / "password").read_text().strip()
    began = time.monotonic()
    name = "%s/bench:%d" % (REGISTRY, time.time_ns())
    image = module(node, "image", src=archive, name=name, username=user, password=password)["image"]
    node.cri.call("PullImage", image={"image": image}, auth={"username": user, "password": password})
    brought = time.monotonic()
    node.container(pod, image=image, env={"MIB": str(mib)})
    created = time.monotonic()
    first_line(node, pod)
    ended = time.monotonic()
    node.remove_pod(pod)
    node.cri.call("RemoveImage", image={"image": image})
    return {"bring": brought - began, "create and start": created - brought, "total": ended - began}


def restores(node: Node, mib: int, rounds: int) -> t.Dict[str, t.Any]:
    """Checkpoint once, restore in turn by both ways."""
    source = node.pod("bench")
    container = node.container(source, env={"MIB": str(mib)})
    wait(lambda: node.counts(source)[3:], 60, "the workload")
    began = time.monotonic()
    archive = node.checkpoint(container)
    checkpoint = time.monotonic() - began
    node.remove_pod(source)
    digest = node.run("sha256sum '%s'" % archive).split()[0]
    results: t.Dict[str, t.List[t.Dict[str, float]]] = {"handler": [], "image": []}
    for _round in range(rounds):
        results["handler"].append(by_handler(node, archive, digest, source, mib))
        results["image"].append(by_image(node, archive, source, mib))
    node.run("rm '%s'" % archive)
    return {"checkpoint": checkpoint, **{
        way: {key: statistics.median(one[key] for one in runs) for key in runs[0]} for way, runs in results.items()}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", default="lab")
    parser.add_argument("--node", default="node1")
    parser.add_argument("--mib", type=int, nargs="*", default=[8, 256, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    report: t.Dict[str, t.Any] = {"calls": {}, "restores": {}}
    with prepared(arguments.lab, arguments.node) as node:
        node.run("rm -rf %s/*/*" % STAGING)
        report["calls"] = ordinary(node, arguments.calls)
        report["calls"]["a whole start through the CRI"] = starts(node, max(3, arguments.calls // 10))
        print("%-45s %10s %10s %10s" % ("call (median, ms)", "runc", "handler", "added"))
        for name, row in report["calls"].items():
            print("%-45s %10.2f %10.2f %10.2f" % (name, row["runc"], row["handler"], row["added"]))
        print("\n%-10s %10s %-8s %8s %18s %8s" % ("MiB", "checkpoint", "way", "bring", "create and start", "total"))
        for mib in arguments.mib:
            one = report["restores"][mib] = restores(node, mib, arguments.rounds)
            for way in ("handler", "image"):
                print(
                    "%-10d %10.2f %-8s %8.2f %18.2f %8.2f"
                    % (mib, one["checkpoint"], way, one[way]["bring"], one[way]["create and start"], one[way]["total"])
                )
            print("%-10s image takes %.1f times as long" % ("", one["image"]["total"] / one["handler"]["total"]))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=2) + "\n")
    small = report["calls"]["create, nothing staged"]["added"]
    if small >= 5:
        print("FAILED: the handler adds %.1f ms to an ordinary create, and less than 5 are promised" % small)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
