# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary containers through the handler: not one difference, whether something is staged on the node or not."""

from __future__ import annotations

import json
import re

import pytest
from cri_node import HANDLER, SLOW, STAGING, Node, Pod, wait

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
STARTS = 1000 if SLOW else 20


def run_once(node: Node, pod: Pod, attempt: int) -> "tuple[str, int]":
    """Run the probe to its end; return what it saw, less what names this very pod, and its status."""
    identity = node.container(pod, attempt=attempt, command=["python3", "-c", PROBE])
    wait(lambda: node.cri.status(identity).state == 2, 30, "the probe's end")
    code = node.cri.status(identity).exit_code
    line = wait(lambda: [line for line in node.log(pod, attempt=attempt) if line.startswith("{")], 10, "the probe's answer")[0]
    node.cri.call("RemoveContainer", container_id=identity)
    node.run("rm -f /var/log/pods/%s/c-%d.log" % (pod.uid, attempt))
    assert "environment" in json.loads(line)
    line = line.replace(pod.uid, "UID").replace(pod.name, "POD").replace(pod.sandbox, "SANDBOX")
    return re.sub(r"tmpfs rw[^\"]*", "tmpfs", line), code


@pytest.mark.parametrize("staged", [False, True], ids=["nothing-staged", "something-staged"])
def test_starts_do_not_differ(node: Node, staged: bool) -> None:
    """HANDLER_SLOW=1: 1,000 starts, otherwise 20. With something staged, every call passes through Python as well."""
    plain, through = node.pod("plain"), node.pod("through", handler=HANDLER)
    wanted, code = run_once(node, plain, 0)
    assert code == 7
    if staged:
        # An entry of another pod, as far as the handler looks at it.
        entry = {"schema": 1, "policy": "fail", "expires_at": 9e9, "created_at": 1,
                 "binding": {"namespace": "default", "pod": "another", "container": "c", "pod_uid": "u"}}
        node.run("mkdir -m 0700 %s/staged/%s" % (STAGING, "a" * 32))
        node.put("%s/staged/%s/entry.json" % (STAGING, "a" * 32), json.dumps(entry))
    for attempt in range(STARTS // 2):
        assert run_once(node, through, attempt) == (wanted, 7)
