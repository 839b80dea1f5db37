# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubelet wants of a kernel, by the role kubernetes_node: modules, sysctls, no swap; the same after a reboot, and back again.

The tests build on each other, in this order.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest
from cri_node import wait
from lablib.errors import LabError
from playbook import Run, role, succeed
from vmlib.lab import Vm
from vmlib.machine import BOOT_SECONDS

KIND = "forky"
SWAP = "/swapfile none swap sw 0 0"
# The role's own, and one that is otherwise where nobody sets it after the module was loaded.
SYSCTLS = {
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.bridge.bridge-nf-call-ip6tables": 1,
    "net.ipv4.ip_forward": 1,
    "net.bridge.bridge-nf-call-arptables": 0,
}
FILES = ("/etc/modules-load.d", "/etc/sysctl.d", "/etc/fstab")


def configure(vm: Vm, *arguments: str, **variables: t.Any) -> Run:
    """The role's part that is about the kernel."""
    return succeed(role(vm, "kubernetes_node", "--tags", "kubernetes_node_configure", *arguments, kubernetes_node_sysctls=SYSCTLS, **variables))


def files(vm: Vm) -> str:
    """What the files say that the role changes."""
    return vm.machine.run("grep -r '' %s" % " ".join(FILES))


def swaps(vm: Vm) -> t.List[str]:
    """The swap that is on."""
    return vm.machine.run("cat /proc/swaps").splitlines()[1:]


def boot_id(vm: Vm) -> str:
    """Tells one boot from another; empty while there is none."""
    with contextlib.suppress(LabError):  # a connection that hangs
        return vm.machine.run("cat /proc/sys/kernel/random/boot_id", check=False, timeout=60)
    return ""


def expect_configured(vm: Vm) -> None:
    """Modules, sysctls, and no swap, also none that would come back."""
    loaded = {line.split()[0] for line in vm.machine.run("cat /proc/modules").splitlines()}
    assert {"overlay", "br_netfilter"} <= loaded
    for name, value in SYSCTLS.items():
        assert vm.machine.run("cat /proc/sys/" + name.replace(".", "/")).strip() == str(value), name
    assert swaps(vm) == []
    lines = [line for line in vm.machine.run("cat /etc/fstab").splitlines() if "swap" in line]
    assert len(lines) == 1 and lines[0].startswith("#") and lines[0].endswith(SWAP), lines


@pytest.fixture(scope="module")
def before(vm: Vm) -> str:
    """A node with swap, as an installer of Debian leaves it, that forwards nothing and whose module is not loaded; what its files say."""
    vm.machine.run("modprobe -r br_netfilter; sysctl -q -w net.ipv4.ip_forward=0")
    vm.machine.run("fallocate -l 64M /swapfile && chmod 0600 /swapfile && mkswap -q /swapfile && echo '%s' >> /etc/fstab" % SWAP)
    vm.machine.run("systemctl daemon-reload && systemctl start swapfile.swap")
    return files(vm)


def test_a_check_changes_nothing(vm: Vm, before: str) -> None:
    """In check mode it says that it would, and does not."""
    assert configure(vm, "--check").changed > 0
    assert files(vm) == before
    assert not vm.machine.run("ls -d /sys/module/br_netfilter 2>/dev/null || true")
    assert vm.machine.run("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    assert [line.split()[0] for line in swaps(vm)] == ["/swapfile"]


def test_it_is_configured(vm: Vm, before: str) -> None:
    """The module is loaded, so that its sysctls are there, and swap is off; a second run changes nothing."""
    assert configure(vm).changed > 0
    expect_configured(vm)
    assert configure(vm).changed == 0


def test_it_is_so_after_a_reboot(vm: Vm, before: str) -> None:
    """systemd loads the modules before it sets their sysctls, and brings no swap back."""
    old = vm.machine.run("cat /proc/sys/kernel/random/boot_id")
    vm.machine.run("systemctl reboot", check=False)
    wait(lambda: boot_id(vm) not in ("", old), BOOT_SECONDS, "the reboot")
    vm.machine.run("systemctl is-system-running --wait", check=False)
    vm.machine.run("date -s @%d" % time.time())
    expect_configured(vm)


def test_it_goes_away(vm: Vm, before: str) -> None:
    """state: absent leaves the files as they were; fstab has its swap back."""
    assert configure(vm, kubernetes_node_state="absent").changed > 0
    assert files(vm) == before
