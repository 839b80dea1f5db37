# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores through the handler on a real containerd, runc and CRIU: what issue 3 wants to see proven."""

from __future__ import annotations

import json
import time

import pytest
from cri_node import HANDLER, IMAGE, SECONDS, STAGING, Node, wait
from staging import THERE, stage

FILES = """
import os, time
os.makedirs("/data/gone", exist_ok=True)
open("/data/gone/x", "w").write("x")
open("/data/kept", "w").write("before")
time.sleep(0.3)
open("/data/kept", "w").write("after"); os.chmod("/data/kept", 0o4711); os.symlink("/etc/passwd", "/data/link")
os.remove("/data/gone/x"); os.rmdir("/data/gone"); os.remove("/app/counter.py")
print("ready", flush=True)
count = 0
while True:
    count += 1; print("n", count, 0, flush=True); time.sleep(0.05)
"""

# Writes its count to a file as fast as it can: if the workload runs at all, it shows.
SPIN = """
import os
handle = os.open("/spin", os.O_RDWR | os.O_CREAT)
print("spinning", flush=True)
count = 0
while True:
    count += 1
    os.pwrite(handle, b"%016d" % count, 0)
"""

GROW = """
import os, sys, time
nonce = os.urandom(8).hex(); count = 0; hold = []
while True:
    count += 1; print(nonce, count, 0, flush=True); time.sleep(0.02)
    if os.path.exists("/tmp/grow"): hold.append(bytearray(os.urandom(1 << 20) * 8))
"""


def source(node: Node, **container: object) -> tuple:
    """A running counter that has counted a while, checkpointed: its pod, and the archive."""
    pod = node.pod("web")
    identity = node.container(pod, **container)
    wait(lambda: len(node.log(pod)) > 10, SECONDS, "the workload's log")
    return pod, node.checkpoint(identity)


def test_the_counter_goes_on(node: Node) -> None:
    """Same nonce, next number, logs, exec, the new pod's cgroup, ordinary image; memory is gone from the staging directory."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    assert node.run("find %s -perm /077" % STAGING).strip() == "", "something staged is readable by others"
    assert node.run("find %s/staged -name 'pages-*' | wc -l" % STAGING).strip() != "0"
    identity = node.container(target)
    new = wait(lambda: node.counts(target)[5:] and node.counts(target), SECONDS, "the restored counter's log")
    old = node.counts(pod)
    assert new[0][0] == old[0][0], "another process"
    assert old[0][1] < new[0][1] <= old[-1][1] + 1
    assert [count for _nonce, count in new] == list(range(new[0][1], new[0][1] + len(new))), "numbers were lost or counted twice"
    assert node.inside(identity, "print('alive')") == "alive"
    pid = node.pid(identity)
    assert node.cgroup_parent(target.uid) in node.run("cat /proc/%d/cgroup" % pid)
    assert node.cri.status(identity).image.image == IMAGE
    state, status = node.entries()[entry]
    assert (state, status["outcome"], status["container_id"], status["pid"]) == ("done", "restored", identity, pid)
    assert node.run("find %s -name 'pages-*'" % STAGING).strip() == ""
    assert "restored default/web-restored/c" in node.run("journalctl -t container-checkpoint-runc --no-pager")
    node.remove_pod(target)
    wait(lambda: node.leftovers(identity) == "", SECONDS, "the node to be free of the container: " + node.leftovers(identity))


def test_nothing_runs_before_start(traced: Node) -> None:
    """Between create and start not one instruction of the workload runs; afterwards it does."""
    node = traced
    pod = node.pod("web")
    identity = node.container(pod, command=["python3", "-c", SPIN])
    wait(lambda: "spinning" in node.log(pod), SECONDS, "the workload")
    time.sleep(0.3)
    archive = node.checkpoint(identity)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    where = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/rootfs/spin"
    node.put(THERE + "/plan.json", json.dumps({"command": "start", "observe": where}))
    restored = node.container(target)
    first, second = (value[:16] for value in node.json(THERE + "/observed"))
    assert int(first) > 0
    assert first == second, "the workload ran before it was started"
    assert int(node.inside(restored, "print(open('/spin').read(16))")) > int(second)


def test_a_crash_starts_it_afresh(node: Node) -> None:
    """The checkpoint is used once: after a crash the container starts as its image says."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    identity = node.container(target)
    wait(lambda: node.counts(target), SECONDS, "the restored counter's log")
    node.run("kill -9 %d" % node.pid(identity))
    wait(lambda: node.cri.status(identity).state == 2, SECONDS, "the container to be seen as exited")
    node.container(target, attempt=1)
    fresh = wait(lambda: node.counts(target, attempt=1), SECONDS, "the fresh counter's log")
    assert fresh[0][1] == 1
    assert fresh[0][0] != node.counts(target)[0][0]


def test_limits_are_in_force(node: Node) -> None:
    """The new pod's memory limit, not the source's, holds the restored process."""
    pod, archive = source(node, command=["python3", "-c", GROW])
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    identity = node.container(target, resources={"memory_limit_in_bytes": 48 << 20})
    wait(lambda: node.counts(target), SECONDS, "the restored counter's log")
    node.inside(identity, "open('/tmp/grow', 'w')")
    wait(lambda: node.cri.status(identity).state == 2, SECONDS, "the out-of-memory kill")
    assert node.cri.status(identity).reason == "OOMKilled"


def test_tty(node: Node) -> None:
    """A container with a terminal."""
    pod, archive = source(node, tty=True)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    identity = node.container(target, tty=True)
    new = wait(lambda: node.counts(target), SECONDS, "the restored counter's log")
    assert new[0][0] == node.counts(pod)[0][0]
    assert "pts" in node.run("readlink /proc/%d/fd/0" % node.pid(identity))


def test_two_containers_in_one_pod(node: Node) -> None:
    """Each container of a pod gets its own checkpoint."""
    pod = node.pod("web")
    ids = {name: node.container(pod, name) for name in ("a", "b")}
    wait(lambda: node.counts(pod, "a")[5:] and node.counts(pod, "b")[5:], SECONDS, "the logs")
    archives = {name: node.checkpoint(ids[name]) for name in ids}
    target = node.pod("web-restored", handler=HANDLER)
    for name in ids:
        stage(node, archives[name], target, pod, container=name)
    for name in ids:
        node.container(target, name)
    for name in ids:
        new = wait(lambda: node.counts(target, name), SECONDS, "the log of " + name)
        assert new[0][0] == node.counts(pod, name)[0][0]
        assert new[0][1] > 1


@pytest.mark.parametrize("layout", ["containerd", "crio"])
def test_files_changed_added_and_deleted(node: Node, layout: str) -> None:
    """The root file system's changes travel along, in containerd's layout (gzip, whiteouts) and (a double) CRI-O's."""
    pod = node.pod("web")
    mounts = [{"container_path": "/run/.containerenv", "host_path": "/etc/hostname", "readonly": True}] if layout == "crio" else []
    identity = node.container(pod, command=["python3", "-c", FILES], mounts=mounts)
    wait(lambda: len(node.log(pod)) > 5, SECONDS, "the workload's log")
    if layout == "crio":
        node.run("chmod 0555 /proc/%d/root/" % node.pid(identity))
    archive = node.checkpoint(identity)
    if layout == "crio":
        given, archive = archive, node.new_archive()
        node.double("crio", given, archive)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    restored = node.container(target)
    wait(lambda: node.log(target), SECONDS, "the restored log")
    assert node.inside(restored, "print(open('/data/kept').read())") == "after"
    assert node.inside(
        restored, "import os; s = os.lstat('/data/kept'); print(oct(s.st_mode), os.readlink('/data/link'))"
    ).split() == ["0o104711", "/etc/passwd"]
    assert node.inside(restored, "import os; print(os.path.exists('/data/gone'), os.path.exists('/app/counter.py'))") == "False False"
    mode = node.inside(restored, "import os; print(oct(os.stat('/').st_mode & 0o777))")
    status = node.entries()[entry][1]
    assert (mode, status["stand_ins"]) == (("0o555", ["/run/.containerenv"]) if layout == "crio" else ("0o755", []))
    assert status["source_engine"] == ("cri-o" if layout == "crio" else "containerd")


def test_a_heap_of_256_mib(node: Node) -> None:
    """A large heap arrives whole."""
    pod, archive = source(node, env={"MIB": "256"})
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    node.container(target, env={"MIB": "256"})
    wait(lambda: node.counts(target), SECONDS, "the restored log")
    assert node.log(target)[0].split()[2] == str(256 << 20)
    assert node.entries()[entry][1]["criu"]["pages_restored"] >= (256 << 20) // 4096
