# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the virtual machines are made of: releases, kernels, and the files that make a root file system bootable. Pure."""

from __future__ import annotations

import typing as t

from lablib.nodefiles import File

FORMAT = 1  # count up when the way of building changes
ADDRESS = "10.0.2.15"  # QEMU's user network: the guest, the machine below it, the resolver
GATEWAY = "10.0.2.2"
RESOLVER = "10.0.2.3"
NAME = "node1"
SNAPSHOT = "booted"
# An emulated processor has nothing to guard against, and page table isolation makes it slower by half.
COMMAND_LINE = "root=/dev/vda1 rw console=ttyS0 net.ifnames=0 mitigations=off quiet"

_MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service man-db.timer"
    " getty@tty1.service systemd-networkd-wait-online.service systemd-pstore.service systemd-firstboot.service sshd-keygen.service"
    " ldconfig.service systemd-timesyncd.service motd-news.timer"
).split()


class Recipe(t.NamedTuple):
    """One kind of virtual machine."""

    suite: str
    kernel: str  # apt's words for the kernel's package
    kernel_suite: str  # where that comes from: "" for the suite itself
    packages: tuple[str, ...]
    grub: bool  # starts from its own boot loader, so that it can be rebooted into another kernel
    memory_mib: int


RECIPES = {
    # Forky's containerd, runc and CRIU. Its own kernel (7.2) is one that CRIU 4.2.1 is not known to work with, so: trixie's.
    "forky": Recipe("forky", "linux-image-cloud-amd64/trixie", "trixie", (), False, 1536),
    # A kernel from before 5.13.
    "bullseye": Recipe("bullseye", "linux-image-cloud-amd64", "", ("grub-pc",), True, 1024),
}

_NETWORK = f"""#!/bin/sh -e
tries=0
until [ -e /sys/class/net/host0 ] || [ -e /sys/class/net/eth0 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ]
    sleep 0.1
done
[ -e /sys/class/net/host0 ] || ip link set dev eth0 name host0
ip link set dev lo up
ip link set dev host0 up
ip address replace {ADDRESS}/24 dev host0
ip route replace default via {GATEWAY}
"""
_NETWORK_UNIT = """[Unit]
Description=The address in QEMU's user network
DefaultDependencies=no
After=systemd-udev-trigger.service
Before=network-pre.target network.target ssh.service
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/vm-network

[Install]
WantedBy=multi-user.target
"""
_GRUB = """GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_LINUX_UUID=true
GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0 mitigations=off"
GRUB_CMDLINE_LINUX_DEFAULT=quiet
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
"""


def files(recipe: Recipe, apt_settings: t.Sequence[str], public_key: str, host_key: tuple[str, str], machine_id: str) -> dict[str, File]:
    """Every file that a virtual machine has beyond its packages, by absolute path."""
    found = {
        "/etc/hostname": File(f"{NAME}\n"),
        "/etc/machine-id": File(f"{machine_id}\n", 0o444),
        "/etc/hosts": File(f"127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {NAME}\n{GATEWAY} checkpoints.lab base.lab controller.lab\n"),
        "/etc/resolv.conf": File(f"nameserver {RESOLVER}\n"),
        "/etc/fstab": File("/dev/vda1 / ext4 defaults,noatime 0 1\n"),
        "/etc/apt/apt.conf.d/90lab": File("".join(f"{line}\n" for line in apt_settings)),
        "/etc/ssh/ssh_host_ed25519_key": File(host_key[0], 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(host_key[1]),
        "/etc/ssh/sshd_config.d/lab.conf": File("HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\nMaxSessions 64\nMaxStartups 64\n"),
        "/root/.ssh/authorized_keys": File(public_key, 0o600),
        "/etc/systemd/system.conf.d/lab.conf": File("[Manager]\nDefaultTimeoutStopSec=10s\n"),
        "/etc/systemd/system/vm-network.service": File(_NETWORK_UNIT),
        "/usr/local/sbin/vm-network": File(_NETWORK, 0o755),
        # A small initial file system: emulated processors take long over a large one.
        "/etc/initramfs-tools/conf.d/vm": File("MODULES=list\nRESUME=none\n"),
        "/etc/initramfs-tools/modules": File("virtio_pci\nvirtio_blk\nvirtio_net\next4\n"),
    }
    if recipe.grub:
        found["/etc/default/grub"] = File(_GRUB)
    return found


def links() -> dict[str, str]:
    """Every symbolic link."""
    found = {f"/etc/systemd/system/{unit}": "/dev/null" for unit in _MASKED}
    found["/etc/systemd/system/multi-user.target.wants/vm-network.service"] = "/etc/systemd/system/vm-network.service"
    return found
