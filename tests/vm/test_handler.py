# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore handler where the kernel is Debian's, cgroups are of version 2 and systemd manages them, and every capability is there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from counting import cgroup_of, counter, goes_on
from cri_node import HANDLER, SECONDS, Node, wait
from playbook import HERE, node_info, reasons, restore_path
from staging import stage
from vmlib.lab import Vm

KIND = "forky"
LIMIT = 96 << 20
POD_LIMIT = 160 << 20


def test_the_handler_is_seen(handler: Node, vm: Vm) -> None:
    """node_info knows it and it passes its self-test."""
    info = node_info(vm)
    assert restore_path(info, "handler") == (True, True), info["restore_paths"]
    assert reasons(info) == [], info["reasons"]


def test_limits_of_the_new_pod_hold(handler: Node) -> None:
    """The restored process is in the new pod's cgroup, which systemd knows, and that has the new limits and accounts the memory."""
    node = handler
    old, identity = counter(node, "web", resources={"memory_limit_in_bytes": 64 << 20})
    assert node.run("cat %s/memory.max" % cgroup_of(node, identity)).strip() == str(64 << 20)
    archive = node.checkpoint(identity)
    new = node.pod("web-restored", handler=HANDLER)
    # As the kubelet does for the pod as a whole.
    unit = node.cgroup_parent(new.uid).rsplit("/", 1)[1]
    node.run("systemctl set-property --runtime %s MemoryMax=%d" % (unit, POD_LIMIT))
    entry = stage(node, archive, new, old)
    restored = node.container(new, resources={"memory_limit_in_bytes": LIMIT, "cpu_quota": 50000, "cpu_period": 100000})
    goes_on(node, old, new)
    assert node.entries()[entry][0] == "done"
    directory = cgroup_of(node, restored)
    assert directory == "/sys/fs/cgroup%s/cri-containerd-%s.scope" % (node.cgroup_parent(new.uid), restored)
    assert str(node.pid(restored)) in node.run("cat %s/cgroup.procs" % directory).split()
    assert node.run("cat %s/memory.max" % directory).strip() == str(LIMIT)
    assert node.run("cat %s/cpu.max" % directory).split() == ["50000", "100000"]
    assert node.run("cat %s/memory.max" % os.path.dirname(directory)).strip() == str(POD_LIMIT)
    assert int(node.run("cat %s/memory.current" % directory)) > 1 << 20, "the memory is accounted elsewhere"
    assert "MemoryMax=%d\n" % LIMIT in node.run("systemctl show -p MemoryMax cri-containerd-%s.scope" % restored)
    for pod in (old, new):
        node.remove_pod(pod)
    wait(lambda: not node.run("ls -d %s 2>/dev/null || true" % directory).strip(), SECONDS, "the restored container's cgroup to go")


def test_a_container_that_is_not_roots(handler: Node) -> None:
    """Which needs CAP_SYS_RESOURCE, so that the nodes in namespaces cannot show it."""
    node = handler
    user = {"security_context": {"run_as_user": {"value": 65534}}}
    old, identity = counter(node, "web", **user)
    assert node.run("stat -c %%u /proc/%d" % node.pid(identity)).strip() == "65534"
    archive = node.checkpoint(identity)
    new = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, new, old)
    restored = node.container(new, **user)
    goes_on(node, old, new)
    assert node.run("stat -c %%u /proc/%d" % node.pid(restored)).strip() == "65534"
    assert node.entries()[entry][1]["outcome"] == "restored"
    for pod in (old, new):
        node.remove_pod(pod)


def test_all_restores_of_the_handler(handler: Node, vm: Vm, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture) -> None:
    """The handler's own tests of restores, on this machine: every one of them, none left out."""
    report = tmp_path / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", "-c", "tests/gate/pytest.ini", "--rootdir", ".",
            "--durations=0", "--junit-xml", str(report), "tests/handler/test_restore.py"]
    with capfd.disabled():
        done = subprocess.run(argv, cwd=HERE.parents[1], env=dict(os.environ, CONTAINER_CHECKPOINT_LABS=vm.lab.name), check=False)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert done.returncode == 0
    assert int(suite.get("tests")) > 0 and int(suite.get("skipped")) == 0
