# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that make the shared root file system one particular node. Pure: names and content, no effect."""

from __future__ import annotations

import typing as t

from .host import Mount
from .state import Lab, Node

# Units that only cost time, or that want things a node in namespaces cannot have.
_MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service"
    " getty@tty1.service console-getty.service systemd-networkd-wait-online.service systemd-pstore.service"
    " systemd-firstboot.service sshd-keygen.service ldconfig.service"
).split()
_RUNTIMES = ("containerd.service", "crio.service")
CGROUP1_VIEW = "/run/cgv1"


class File(t.NamedTuple):
    """Content and mode."""

    content: str
    mode: int = 0o644


def hosts_file(lab: Lab, me: Node) -> str:
    """C(/etc/hosts): all nodes and the registries by name."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{node.address} {node.name}" for node in lab.nodes]
    lines.append(f"{lab.gateway} checkpoints.lab base.lab controller.lab")
    return "".join(f"{line}\n" for line in lines) + f"# this is {me.name} of lab {lab.name}\n"


def network_script(lab: Lab, me: Node, mtu: int) -> str:
    """Static addresses: there is no DHCP to wait for."""
    lines = [
        "#!/bin/sh -e",
        f"ip link set host0 mtu {mtu} up",
        f"ip address replace {me.address}/24 dev host0",
        f"ip route replace default via {lab.gateway}",
        "sysctl -q -w net.ipv4.ip_forward=1",
    ]
    lines += [f"ip route replace {other.pod_subnet} via {other.address}" for other in lab.nodes if other != me]
    return "".join(f"{line}\n" for line in lines)


_NETWORK_UNIT = """[Unit]
Description=Addresses and routes of this lab node
DefaultDependencies=no
Before=network-pre.target network.target
Wants=network.target
After=systemd-sysctl.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-network

[Install]
WantedBy=multi-user.target
"""


def cgroup1_script(mounts: t.Sequence[Mount]) -> str:
    """Show the version 1 hierarchies in one directory, for the container runtime only."""
    lines = ["#!/bin/sh -e", f"mkdir -p {CGROUP1_VIEW}", f"mount -t tmpfs -o mode=755 tmpfs {CGROUP1_VIEW}"]
    for mount in mounts:
        name = mount.point.rsplit("/", 1)[-1]
        lines += [f"mkdir {CGROUP1_VIEW}/{name}", f"mount -t cgroup -o {mount.options} cgroup {CGROUP1_VIEW}/{name}"]
    return "".join(f"{line}\n" for line in lines)


_CGROUP1_UNIT = f"""[Unit]
Description=Version 1 cgroups for the container runtime (this machine's cgroup2 has no controllers)
Before={" ".join(_RUNTIMES)}
ConditionPathIsMountPoint=!{CGROUP1_VIEW}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-cgroup1

[Install]
WantedBy=multi-user.target
"""
_CGROUP1_DROPIN = f"""[Unit]
Requires=lab-cgroup1.service
After=lab-cgroup1.service

[Service]
BindPaths={CGROUP1_VIEW}:/sys/fs/cgroup
"""


def files(
    lab: Lab,
    me: Node,
    *,
    mtu: int,
    resolv_conf: str,
    apt_settings: t.Sequence[str],
    public_key: str,
    host_key: tuple[str, str],
    machine_id: str,
    cgroup1: t.Sequence[Mount],
) -> dict[str, File]:
    """Every regular file of a node, by absolute path."""
    found = {
        "/etc/hostname": File(f"{me.name}\n"),
        "/etc/machine-id": File(f"{machine_id}\n", 0o444),
        "/etc/hosts": File(hosts_file(lab, me)),
        "/etc/resolv.conf": File(resolv_conf),
        "/etc/apt/apt.conf.d/90lab": File("".join(f"{line}\n" for line in apt_settings)),
        "/etc/ssh/ssh_host_ed25519_key": File(host_key[0], 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(host_key[1]),
        "/etc/ssh/sshd_config.d/lab.conf": File(
            "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\nMaxSessions 64\nMaxStartups 64\n"
        ),
        "/root/.ssh/authorized_keys": File(public_key, 0o600),
        "/etc/systemd/system.conf.d/lab.conf": File("[Manager]\nDefaultTimeoutStopSec=5s\n"),
        "/etc/systemd/journald.conf.d/lab.conf": File("[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n"),
        "/etc/systemd/system/lab-network.service": File(_NETWORK_UNIT),
        "/usr/local/sbin/lab-network": File(network_script(lab, me, mtu), 0o755),
    }
    if cgroup1:
        found["/etc/systemd/system/lab-cgroup1.service"] = File(_CGROUP1_UNIT)
        found["/usr/local/sbin/lab-cgroup1"] = File(cgroup1_script(cgroup1), 0o755)
        for unit in _RUNTIMES:
            found[f"/etc/systemd/system/{unit}.d/lab-cgroup1.conf"] = File(_CGROUP1_DROPIN)
    return found


def links(cgroup1: t.Sequence[Mount]) -> dict[str, str]:
    """Every symbolic link of a node."""
    found = {f"/etc/systemd/system/{unit}": "/dev/null" for unit in _MASKED}
    wants = "/etc/systemd/system/multi-user.target.wants"
    for unit in ["lab-network.service", *(["lab-cgroup1.service"] if cgroup1 else [])]:
        found[f"{wants}/{unit}"] = f"/etc/systemd/system/{unit}"
    return found
