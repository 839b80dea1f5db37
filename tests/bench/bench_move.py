# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A counter from checkpoint to its restored twin: the playbook migrate against the manual recipe, in one provisioned lab, in turn.

The recipe is what people write today: curl to the kubelet, buildah (from scratch, add, config, commit, push; storage driver vfs) on
the source node, then a Pod with that image on the target; its Pod is created through the Kubernetes client library, which spares
it kubectl's start. It proves nothing and removes nothing. The playbook's time is the whole ansible-playbook process, with its
checks before, the proof and the removal of the source. Both times end when the twin has answered with the old count and nonce.
Prints a table, and JSON with --json FILE. Needs buildah on node1 (installed here, outside the measurement).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from cluster import Cluster, Counter  # noqa: E402

REGISTRY = "checkpoints.lab:5000"
AUTH = "/run/bench-move-auth.json"
TOKEN = "/run/bench-move-token"
# Prints "stage seconds" lines. The image is named after the size, so that no layer is in the registry before the first round.
RECIPE = """
set -eu
export STORAGE_DRIVER=vfs
stage() { now=$(date +%%s.%%N); echo "$1 $last $now"; last=$now; }
last=$(date +%%s.%%N)
archive=$(curl -sk -X POST -H "Authorization: Bearer $(cat %(token)s)" https://127.0.0.1:10250/checkpoint/default/%(pod)s/counter |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0])')
stage checkpoint
container=$(buildah from scratch)
buildah add -q "$container" "$archive" / >/dev/null
buildah config --annotation=org.criu.checkpoint.container.name=counter "$container"
buildah commit -q "$container" %(image)s >/dev/null
stage image
buildah push -q --authfile %(auth)s %(image)s docker://%(image)s
stage push
buildah rm "$container" >/dev/null
buildah rmi -f %(image)s >/dev/null
rm -f "$archive"
"""


def same(counter: Counter, before: dict) -> bool:
    """Whether the twin answers, as the old process."""
    if not counter.answers():
        return False
    answer = counter.ask()
    return all(answer[key] == before[key] for key in ("count", "nonce", "memory_sha256"))


def by_recipe(cluster: Cluster, size: int, number: int) -> dict[str, float]:
    """One move by hand; seconds by stage."""
    name = "recipe"
    cluster.delete(name + "-restored")
    counter = cluster.counter(name, "node1", memory_mib=size)
    before = counter.ask()
    image = "%s/bench/recipe-%d:%d" % (REGISTRY, size, number)
    began = time.monotonic()
    lines = cluster.on("node1", RECIPE % {"token": TOKEN, "auth": AUTH, "image": image, "pod": name}).splitlines()
    times = {stage: float(end) - float(start) for stage, start, end in (line.split() for line in lines if line)}
    created = time.monotonic()
    container = {"name": "counter", "image": image, "imagePullPolicy": "IfNotPresent"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name + "-restored", "namespace": "default"},
        "spec": {"nodeName": "node2", "restartPolicy": "Never", "containers": [container]},
    }
    cluster.resource("Pod").create(body=body, namespace="default")
    twin = Counter(cluster, name + "-restored")
    cluster.wait(lambda: cluster.ready(twin.name), "the restored pod")
    cluster.wait(lambda: same(twin, before), "the old count and nonce")
    times["restore"] = time.monotonic() - created
    times["total"] = time.monotonic() - began
    for pod in (name, twin.name):
        cluster.delete(pod)
    return times


def by_playbook(cluster: Cluster, size: int, number: int) -> dict[str, float]:
    """One move by the playbook; seconds by stage as it reports them, and the whole process."""
    name = "moved-%d-%d" % (size, number)
    counter = cluster.counter(name, "node1", memory_mib=size)
    before = counter.ask()
    began = time.monotonic()
    play = cluster.play("container_checkpoint.kubernetes.migrate", migrate_pod=name, target_node="node2")
    if play.code or not play.report or play.report["verified"] is not True:
        raise SystemExit("the playbook failed:\n" + play.output[-4000:])
    twin = Counter(cluster, play.report["pod"]["name"])
    cluster.wait(lambda: same(twin, before), "the old count and nonce")
    times = {**play.report["stages"], "process": time.monotonic() - began}
    cluster.delete(twin.name)
    return times


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Stage by stage."""
    return {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", required=True, help="name of a lab that is up and provisioned")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-mib", type=int, nargs="+", default=[16, 256])
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    cluster = Cluster(options.lab, pathlib.Path(tempfile.mkdtemp(prefix="container-checkpoint-bench.")))
    cluster.connect()
    install = "apt-get update -q && apt-get install -q -y --no-install-recommends buildah netavark curl"
    cluster.on("node1", "command -v buildah >/dev/null || { %s; } >/dev/null 2>&1" % install)
    cluster.on("node1", "umask 077; cat > %s <<'EOF'\n%s\nEOF" % (TOKEN, (cluster.state / "kubelet-token").read_text().strip()))
    auth = next(cluster.state.glob("**/auth.json")).read_text()
    cluster.on("node1", "umask 077; cat > %s <<'EOF'\n%s\nEOF" % (AUTH, auth))
    results = {}
    for size in options.memory_mib:
        runs: dict[str, list[dict[str, float]]] = {"recipe": [], "playbook": []}
        for number in range(options.rounds):
            runs["recipe"].append(by_recipe(cluster, size, number))
            runs["playbook"].append(by_playbook(cluster, size, number))
        results[size] = {name: medians(values) for name, values in runs.items()}
        print("\n%d MiB, medians of %d, seconds" % (size, options.rounds))
        for name, stages in results[size].items():
            for stage, seconds in stages.items():
                print("  %-10s %-44s %8.2f" % (name, stage, seconds))
    cluster.on("node1", "rm -f %s %s" % (TOKEN, AUTH))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
