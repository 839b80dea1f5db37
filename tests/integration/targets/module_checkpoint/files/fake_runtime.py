# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""crictl and ctr of a node with containerd, as far as the module calls them: fake_runtime.py STATE_DIR TOOL ARGUMENTS.

STATE_DIR/paused holds the IDs of paused containers, one to a line; "tasks resume" takes one out and notes it in
STATE_DIR/resumed.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kubelet_server import PODS, archive, container_id  # noqa: E402


def containers():
    for pod, names in PODS.items():
        for name in names:
            labels = {
                "io.kubernetes.container.name": name,
                "io.kubernetes.pod.name": pod,
                "io.kubernetes.pod.namespace": "default",
            }
            yield {
                "id": container_id("default", pod, name),
                "metadata": {"name": name},
                "labels": labels,
                "state": "CONTAINER_RUNNING",
            }


def lines(path):
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().split()
    except FileNotFoundError:
        return []


def write_lines(path, values):
    with open(path, "w", encoding="ascii") as stream:
        stream.write("".join(value + "\n" for value in values))


def crictl(words, arguments):
    if "version" in words:
        return "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.1.9\nRuntimeApiVersion:  v1\n"
    if "ps" in words:
        return json.dumps({"containers": list(containers())})
    if "stats" in words:
        return json.dumps({"stats": [{"memory": {"workingSetBytes": {"value": "1048576"}}}]})
    found = [entry for entry in containers() if entry["id"] == words[-1]]
    if found and "inspect" in words:
        return json.dumps({"status": found[0], "info": {"runtimeType": "io.containerd.runc.v2"}})
    if found and "checkpoint" in words:
        export = [word for word in arguments if word.startswith("--export=")][0][len("--export=") :]
        labels = found[0]["labels"]
        with open(export, "wb") as stream:
            stream.write(archive("default", labels["io.kubernetes.pod.name"], labels["io.kubernetes.container.name"]))
        return ""
    return None


def ctr(state, words):
    paused = lines(os.path.join(state, "paused"))
    if words[-2:] == ["tasks", "ls"]:
        rows = ["%s 1 %s" % (entry["id"], "PAUSED" if entry["id"] in paused else "RUNNING") for entry in containers()]
        return "TASK PID STATUS\n" + "\n".join(rows) + "\n"
    if words[-3:-1] == ["tasks", "resume"]:
        write_lines(os.path.join(state, "paused"), [entry for entry in paused if entry != words[-1]])
        write_lines(os.path.join(state, "resumed"), lines(os.path.join(state, "resumed")) + [words[-1]])
        return ""
    return None


def main():
    state, tool, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    words = [word for word in arguments if not word.startswith("-")]
    answer = crictl(words, arguments) if tool == "crictl" else ctr(state, words)
    if answer is None:
        sys.stderr.write("%s: not found: %s\n" % (tool, " ".join(arguments)))
        sys.exit(1)
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
