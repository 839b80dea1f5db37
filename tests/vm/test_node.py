# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock Debian kernel, systemd as the first process, cgroup version 2 and every capability: a bare node becomes one
that can checkpoint and restore.

The tests build on each other, in this order.
"""

from __future__ import annotations

import typing as t

import pytest
from cri_node import Node, Pod, wait
from playbook import HERE, node_info, play, reasons, restore_path, role, succeed
from staging import prepared
from vmlib.lab import Vm

KIND = "forky"
TESTS = HERE.parent
SECONDS = 120  # for what takes a moment on a real processor


def test_a_bare_node(vm: Vm) -> None:
    """node_info before: a kernel that would do, and nothing else; the role kernel leaves it alone."""
    info = node_info(vm)
    assert info["verdict"] == {"checkpoint": "no", "restore": "no"}
    assert {"no-criu", "no-engine"} <= set(reasons(info))
    assert not [name for name in reasons(info) if name.startswith("kernel-")]
    assert restore_path(info, "image") == (False, False)
    assert restore_path(info, "handler") == (False, False)
    assert succeed(role(vm, "kernel")).changed == 0


def test_what_the_machine_is(vm: Vm) -> None:
    """Debian's own kernel, unified cgroups with the controllers, all capabilities: what the nodes in namespaces have not."""
    assert vm.machine.run("cat /proc/1/comm").strip() == "systemd"
    assert vm.machine.run("stat -f -c %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert {"cpu", "memory", "pids"} <= set(vm.machine.run("cat /sys/fs/cgroup/cgroup.controllers").split())
    assert "Debian" in vm.machine.run("cat /proc/version")
    assert int(vm.machine.run("awk '/CapEff/ {print $2}' /proc/self/status"), 16) >> 24 & 1, "no CAP_SYS_RESOURCE"


@pytest.fixture(scope="module")
def provisioned(vm: Vm) -> Vm:
    """The machine after the roles criu and container_runtime."""
    succeed(play(vm, TESTS / "lab" / "provision.yml", lab_cluster=False))
    return vm


def test_the_roles_make_it_fit(provisioned: Vm) -> None:
    """criu check passes, the runtime lets systemd manage cgroups, and nothing speaks against the node any more."""
    run = provisioned.machine.run
    assert "Looks good" in run("criu check 2>&1")
    assert "SystemdCgroup = true" in run("containerd config dump")
    info = node_info(provisioned)
    assert reasons(info) == [], info["reasons"]
    assert info["node"]["criu_check"]["rc"] == 0
    assert info["node"]["criu_features"]["get_rseq_conf"] is True
    assert info["node"]["kernel_options"]["missing"] == []
    assert info["verdict"]["checkpoint"] in ("yes", "risky"), info["reasons"]
    assert info["verdict"]["restore"] in ("yes", "risky"), info["reasons"]
    assert restore_path(info, "image") == (True, True)


@pytest.fixture(scope="module")
def node(provisioned: Vm) -> t.Iterator[Node]:
    """The machine as the tests of the handler use a node: its CRI socket, the collection, the images."""
    with prepared(provisioned.lab.name, "node1") as found:
        yield found


def counter(node: Node, name: str, **container: t.Any) -> t.Tuple[Pod, str]:
    """A pod whose container counts, and the container."""
    pod = node.pod(name)
    identity = node.container(pod, **container)
    wait(lambda: node.counts(pod)[5:], SECONDS, "the workload's log")
    return pod, identity


def goes_on(node: Node, old: Pod, new: Pod) -> None:
    """The new pod's container is the old one's process, and goes on counting where it was."""
    nonce, number = node.counts(old)[-1]
    # Lines of the old log may have travelled along; only the process itself can have written a higher number.
    wait(lambda: any(count > number for _nonce, count in node.counts(new)), SECONDS, "the restored counter to go on")
    assert {who for who, _count in node.counts(new)} == {nonce}, "another process"


def cgroup_of(node: Node, identity: str) -> str:
    """The directory of a container's cgroup (version 2)."""
    line = node.run("cat /proc/%d/cgroup" % node.pid(identity)).strip()
    assert line.startswith("0::/"), line
    return "/sys/fs/cgroup" + line[3:]


def test_a_checkpoint_is_restored_by_the_runtime(node: Node) -> None:
    """Through the CRI, both ways: real containerd, runc and CRIU on real cgroup version 2."""
    old, identity = counter(node, "web")
    archive = node.checkpoint(identity)
    node.cri.stop(identity, 0)
    new = node.pod("web-restored")
    restored = node.container(new, image=archive)
    goes_on(node, old, new)
    assert cgroup_of(node, restored).startswith("/sys/fs/cgroup" + node.cgroup_parent(new.uid) + "/")
    for pod in (old, new):
        node.remove_pod(pod)
