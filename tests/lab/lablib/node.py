# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node's life: its disk, its start, when it is ready, its end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import typing as t
import uuid

from . import network, nodefiles, parts, rootfs, shell
from .aptconf import HostApt
from .errors import LabError
from .host import Host
from .state import Lab, Node

_LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher.py")
_READY_SECONDS = 60


def description_path(lab: Lab, node: Node) -> str:
    """The file that the launcher reads, which also identifies its processes."""
    return f"{lab.state}/nodes/{node.name}/node.json"


def log_path(lab: Lab, node: Node) -> str:
    """What the launcher, systemd-nspawn and the node's console said."""
    return f"{lab.state}/nodes/{node.name}/console.log"


def disk(lab: Lab, node: Node) -> str:
    """The directory with the node's own layer and its container storage."""
    return f"{lab.data}/{node.name}"


def description(lab: Lab, node: Node, host: Host, lower: str, tmpfs: bool, modules: str) -> dict[str, t.Any]:
    """Everything that the launcher must know."""
    place = disk(lab, node)
    return {
        "name": node.name,
        "machine": f"{lab.bridge}-{node.name}",  # names the host's end of the cable, so it is unique on the machine
        "lower": lower,
        "disk": place,
        "seed": f"{lab.data}/seed/{node.name}",
        "root": f"{place}/root",
        "tmpfs": tmpfs,
        "bridge": lab.bridge,
        "binds": [[f"{place}/containerd", "/var/lib/containerd"]],
        "binds_ro": [[modules, modules]] if modules else [],
        "cgroup": f"{lab.cgroup}/{node.name}",
        "host": {**host._asdict(), "cgroup1": [list(mount) for mount in host.cgroup1]},
    }


def on_overlay(path: str) -> bool:
    """Whether a directory cannot carry the upper layer of an overlay because it lies on one itself."""
    return shell.output(["stat", "-f", "-c", "%T", path]).strip() == "overlayfs"


def prepare(lab: Lab, node: Node, host: Host, lower: str, apt: HostApt, extra: t.Mapping[str, nodefiles.File]) -> None:
    """Write a fresh disk and the launcher's description."""
    tmpfs = on_overlay(os.path.dirname(lab.data.rstrip("/")))
    seed = f"{lab.data}/seed/{node.name}" if tmpfs else disk(lab, node)
    key = f"{lab.state}/ssh_host_key"
    regular = nodefiles.files(
        lab,
        node,
        mtu=network.uplink_mtu(),
        resolv_conf=network.node_resolv_conf(),
        apt_settings=apt.settings,
        public_key=shell.read_text(f"{lab.state}/ssh_key.pub"),
        host_key=(shell.read_text(key), shell.read_text(f"{key}.pub")),
        machine_id=uuid.uuid4().hex,
        cgroup1=host.cgroup1,
    )
    os.makedirs(f"{seed}/upper", mode=0o755, exist_ok=True)
    os.makedirs(disk(lab, node), mode=0o755, exist_ok=True)
    for path, file in {**regular, **extra}.items():
        shell.write_file(f"{seed}/upper{path}", file.content, file.mode)
    for path, target in nodefiles.links(host.cgroup1).items():
        os.makedirs(os.path.dirname(f"{seed}/upper{path}"), exist_ok=True)
        os.symlink(target, f"{seed}/upper{path}")
    os.chmod(f"{seed}/upper/root", 0o700)
    os.chmod(f"{seed}/upper/root/.ssh", 0o700)
    modules = f"/lib/modules/{os.uname().release}"
    described = description(lab, node, host, lower, tmpfs, modules if os.path.isdir(modules) else "")
    shell.write_file(description_path(lab, node), json.dumps(described, indent=2) + "\n")


def start(lab: Lab, node: Node, host: Host) -> None:
    """Start the launcher in a mount namespace of its own."""
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", _LAUNCHER, description_path(lab, node)]
    parts.start(host, lab, node.name, argv, log_path(lab, node))


def alive(lab: Lab, node: Node) -> bool:
    """Whether the launcher runs."""
    return bool(parts.running(description_path(lab, node)))


def ssh_answers(address: str) -> bool:
    """Whether the node's ssh server greets."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_ready(lab: Lab, node: Node) -> None:
    """Wait until ssh answers; a launcher that gave up is reported at once, with its last words."""

    def probe() -> bool:
        if ssh_answers(node.address):
            return True
        if not alive(lab, node):
            last = shell.read_text(log_path(lab, node), "").strip().splitlines()[-6:]
            raise LabError(f"{node.name} stopped while starting; {log_path(lab, node)} ends: {' | '.join(last)}")
        return False

    shell.wait_until(f"ssh on {node.name} ({node.address})", probe, _READY_SECONDS)


def end(lab: Lab, node: Node, host: Host) -> None:
    """Stop the node the hard way and remove its disk."""
    parts.end(host, lab, node.name, description_path(lab, node))
    for path in (disk(lab, node), f"{lab.data}/seed/{node.name}", os.path.dirname(description_path(lab, node))):
        if os.path.lexists(path):
            rootfs.remove_tree(path)


def ssh_argv(lab: Lab, node: Node, command: t.Sequence[str]) -> list[str]:
    """The ssh command for a node."""
    key, known = f"{lab.state}/ssh_key", f"{lab.state}/known_hosts"
    options = ["-i", key, "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes", "-F", "none"]
    return [shutil.which("ssh") or "ssh", *options, "-o", "LogLevel=ERROR", f"root@{node.address}", *command]
