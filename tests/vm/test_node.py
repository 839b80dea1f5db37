# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock Debian kernel, systemd as the first process, cgroup version 2 and every capability: a bare node becomes one
that can checkpoint and restore.

The tests build on each other, in this order.
"""

from __future__ import annotations

from counting import cgroup_of, counter, goes_on
from cri_node import Node
from playbook import node_info, reasons, restore_path, role, succeed
from vmlib.lab import Vm

KIND = "forky"


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
