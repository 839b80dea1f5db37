# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel from before 5.13 and the role kernel alone: refused, installed, booted, verified. The tests build on each other, in this order."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from lablib import aptconf, rootfs
from playbook import Run, node_info, reasons, refuse, role, succeed
from vmlib.lab import Vm

KIND = "bullseye"
# Bullseye's own backports are no more on the mirrors; the kernel of the release after it works on it.
KERNEL = "linux-image-cloud-amd64"
HOOK = "- name: Leave a mark\n  ansible.builtin.command:\n    argv: [touch, /root/{0}]\n    creates: /root/{0}\n"


def upgrade(vm: Vm, **variables: t.Any) -> Run:
    """The role, with the next release's repository for the kernel."""
    repository = {
        "name": "vm-kernel",
        "uris": [rootfs.choose_mirror(aptconf.read_host())],
        "suites": ["bookworm"],
        "components": ["main"],
        "signed_by": "/usr/share/keyrings/debian-archive-keyring.gpg",
    }
    return role(vm, "kernel", kernel_packages=[KERNEL], kernel_release="bookworm", kernel_repositories=[repository], **variables)


@pytest.fixture(scope="module")
def boot_id(vm: Vm) -> str:
    """Tells one boot from another."""
    return vm.machine.run("cat /proc/sys/kernel/random/boot_id")


def test_the_old_kernel_is_named(vm: Vm, boot_id: str) -> None:
    """node_info before: it is the kernel that speaks against a checkpoint."""
    assert vm.machine.run("uname -r").startswith("5.10.")
    info = node_info(vm, subset=["kernel", "criu"])
    assert info["verdict"]["checkpoint"] == "no"
    assert "kernel-old" in reasons(info)
    assert "kernel-lacks-options" not in reasons(info)
    assert info["node"]["kernel"].startswith("5.10.")


def test_another_kernel_of_the_release_is_refused(vm: Vm, boot_id: str) -> None:
    """What the node's own sources have is as old, so nothing is installed."""
    before = vm.machine.run("dpkg -l 'linux-image*'; ls /etc/apt/sources.list.d")
    run = refuse(role(vm, "kernel", kernel_packages=[KERNEL], kernel_release="bullseye", kernel_reboot_ok=True))
    assert "which is older than 5.13 too" in run.text
    assert vm.machine.run("dpkg -l 'linux-image*'; ls /etc/apt/sources.list.d") == before


def test_without_leave_it_is_not_rebooted(vm: Vm, boot_id: str) -> None:
    """The new kernel is installed and the play ends, saying what to do."""
    run = refuse(upgrade(vm))
    assert "kernel_reboot_ok does not allow a reboot" in run.text
    assert "linux-image-6.1." in vm.machine.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 'linux-image-6*'")
    assert vm.machine.run("uname -r").startswith("5.10.")
    assert vm.machine.run("cat /proc/sys/kernel/random/boot_id") == boot_id
    # Pinned for the kernel only: nothing else of the other release came along.
    assert vm.machine.run("dpkg-query -W -f '${Version}' libc6").startswith("2.31")


def test_with_leave_it_is(vm: Vm, boot_id: str, tmp_path: pathlib.Path) -> None:
    """Rebooted into the new kernel, with the tasks for before and after, and node_info has nothing against it any more."""
    for name in ("before", "after"):
        (tmp_path / (name + ".yml")).write_text(HOOK.format(name))
    succeed(upgrade(vm, kernel_reboot_ok=True, kernel_before_reboot=str(tmp_path / "before.yml"), kernel_after_reboot=str(tmp_path / "after.yml")))
    assert vm.machine.run("uname -r").startswith("6.1.")
    assert vm.machine.run("cat /proc/sys/kernel/random/boot_id") != boot_id
    before, booted, after = vm.machine.run("stat -c %Y /root/before; awk '/btime/ {print $2}' /proc/stat; stat -c %Y /root/after").split()
    assert int(before) <= int(booted) <= int(after)
    info = node_info(vm, subset=["kernel", "criu"])
    assert info["node"]["kernel"].startswith("6.1.")
    # What is left is that there is no CRIU, which is not this role's business.
    assert reasons(info) == ["no-criu"]


def test_again_changes_nothing(vm: Vm) -> None:
    """A second run finds a kernel that will do."""
    assert succeed(upgrade(vm, kernel_reboot_ok=True)).changed == 0


def test_the_running_kernel_is_not_removed(vm: Vm) -> None:
    """state: absent refuses to take away what runs."""
    run = refuse(role(vm, "kernel", kernel_state="absent"))
    assert "Boot another kernel first. Nothing was removed." in run.text
    assert vm.machine.run("ls /boot/vmlinuz-$(uname -r)").strip()
