# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary containers through the handler: not one difference, whether something is staged on the node or not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time

import pytest
from cri_node import HANDLER, STAGING, Node, Pod, wait
from staging import THERE

TOPIC = re.compile(r"/(?:tasks|containers|snapshot|images)/[a-z-]+")

# Everything a process can see of how it was started.
PROBE = """
import json, os, re, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
keep = ("Umask", "Uid", "Gid", "Groups", "NSpid", "SigQ", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
        "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed", "Threads")
print(json.dumps({
    "status": {key: status.get(key) for key in keep if key != "SigQ"},
    "limits": open("/proc/self/limits").read(),
    "environment": sorted(os.environ.items()),
    "descriptors": sorted((name, re.sub("[0-9]+", "N", os.readlink("/proc/self/fd/" + name))) for name in os.listdir("/proc/self/fd") if name in "012"),
    "count": len(os.listdir("/proc/self/fd")),
    "mounts": sorted(line.split()[4] + " " + line.split(" - ")[1].split()[0] + " " + line.split()[5] for line in open("/proc/self/mountinfo")),
    "cgroup": re.sub("[0-9a-f]{64}", "ID", open("/proc/self/cgroup").read()),
    "oom": open("/proc/self/oom_score_adj").read(), "cwd": os.getcwd(), "nice": os.nice(0), "session": os.getsid(0), "argv": sys.argv,
}), flush=True)
sys.exit(7)
"""
STARTS = int(os.environ.get("HANDLER_STARTS", "20"))


def run_once(node: Node, pod: Pod, attempt: int) -> "tuple[str, dict[str, object]]":
    """Run the probe to its end; return its container, and all that it and the CRI saw, less what names this very pod."""
    identity = node.container(pod, attempt=attempt, command=["python3", "-c", PROBE], start=False)
    created = node.cri.status(identity)
    node.cri.call("StartContainer", container_id=identity)
    wait(lambda: node.cri.status(identity).state == 2, 30, "the probe's end")
    ended = node.cri.status(identity)
    line = wait(lambda: [line for line in node.log(pod, attempt=attempt) if line.startswith("{")], 30, "the probe's answer")[0]
    node.cri.call("RemoveContainer", container_id=identity)
    node.run("rm -f /var/log/pods/%s/c-%d.log" % (pod.uid, attempt))
    assert "environment" in json.loads(line)
    line = line.replace(pod.uid, "UID").replace(pod.name, "POD").replace(pod.sandbox, "SANDBOX")
    return identity, {
        "seen": re.sub(r"tmpfs rw[^\"]*", "tmpfs", line), "created": created.state, "exit_code": ended.exit_code, "reason": ended.reason,
        "message": ended.message, "times": created.created_at == ended.created_at < ended.started_at <= ended.finished_at,
    }


def program(node: Node, pod: Pod) -> str:
    """Which program containerd calls for a pod; empty for the shim's own choice, runc."""
    info = json.loads(node.cri.call("PodSandboxStatus", pod_sandbox_id=pod.sandbox, verbose=True).info["info"])
    return (info.get("runtimeOptions") or {}).get("binary_name", "")


class Events:
    """containerd's own events, container by container, while the block runs."""

    def __init__(self, node: Node) -> None:
        self._node, self._path = node, THERE + "/events"

    def __enter__(self) -> Events:
        self._node.run("rm -f " + self._path)
        self._listener = subprocess.Popen(self._node.command("exec ctr --namespace k8s.io events > " + self._path), stdin=subprocess.DEVNULL)
        # It listens once it has heard something: here, that a label of the namespace changed.
        label = "ctr namespaces label k8s.io container-checkpoint-listening="
        wait(lambda: self._node.run("%s%d; cat %s 2>/dev/null || true" % (label, time.time_ns(), self._path)), 30, "ctr to listen")
        self._node.run(label)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._node.run("pkill -f '^ctr --namespace k8s.io events'")
        self._listener.wait()

    def of(self, identity: str) -> "list[str]":
        """The topics of a container's events, in order."""
        return [TOPIC.search(line).group(0) for line in self._node.run("grep %s %s || true" % (identity, self._path)).splitlines()]


@pytest.mark.parametrize("staged", [False, True], ids=["nothing-staged", "something-staged"])
def test_starts_do_not_differ(node: Node, staged: bool) -> None:
    """As the node's default runtime, against runc itself: HANDLER_STARTS starts, 20 if not set.

    With something staged, every call passes through Python as well.
    """
    assert re.search("default_runtime_name = ['\"]%s['\"]" % HANDLER, node.run("containerd config dump")), "the handler is not the default runtime"
    plain, through = node.pod("plain", handler="runc"), node.pod("through")
    assert (HANDLER in program(node, plain), HANDLER in program(node, through)) == (False, True)
    with Events(node) as events:
        first, wanted = run_once(node, plain, 0)
        assert (wanted["exit_code"], wanted["reason"], wanted["times"]) == (7, "Error", True)
        if staged:
            # An entry of another pod, as far as the handler looks at it.
            entry = {"schema": 1, "policy": "fail", "expires_at": 9e9, "created_at": 1,
                     "binding": {"namespace": "default", "pod": "another", "container": "c", "pod_uid": "u"}}
            node.run("mkdir -m 0700 %s/staged/%s" % (STAGING, "a" * 32))
            node.put("%s/staged/%s/entry.json" % (STAGING, "a" * 32), json.dumps(entry))
        topics = wait(lambda: "/tasks/delete" in events.of(first) and events.of(first), 30, "containerd's events")
        for attempt in range(STARTS // 2):
            identity, found = run_once(node, through, attempt)
            assert found == wanted
            wait(lambda: events.of(identity)[-1:] == topics[-1:], 30, "the last event")
            assert events.of(identity) == topics
