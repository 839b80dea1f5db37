# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holds one node: cgroups, mounts, C(systemd-nspawn), and a new start whenever the node reboots.

Runs as a process of its own (C(python3 launcher.py NODE.json)) in a private mount namespace, so every mount
made here is gone with the node's last process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lablib import cgroups, shell  # noqa: E402
from lablib.host import Host, Mount  # noqa: E402

_REBOOT = 133  # exit code of systemd-nspawn when the node asked for a reboot


def nspawn_argv(node: t.Mapping[str, t.Any], fuse: bool) -> list[str]:
    """The command line of one boot."""
    argv = ["systemd-nspawn", "-q", "--keep-unit", "--register=no", "-M", node["machine"], "-D", node["root"]]
    argv += [f"--hostname={node['name']}", "--capability=all", f"--network-bridge={node['bridge']}"]
    argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
    argv += [f"--bind={source}:{target}" for source, target in node["binds"]]
    argv += [f"--bind-ro={source}:{target}" for source, target in node["binds_ro"]]
    if fuse:
        argv.append("--bind=/dev/fuse")
    return [*argv, "-b"]


def unified_path(proc_self_cgroup: str) -> str:
    """Our cgroup in the unified hierarchy, from C(/proc/self/cgroup)."""
    for line in proc_self_cgroup.splitlines():
        if line.startswith("0::"):
            return line[3:].strip().strip("/")
    raise ValueError("no unified hierarchy in /proc/self/cgroup")


def enter_cgroups(host: Host, node: t.Mapping[str, t.Any]) -> str:
    """Put this process into a leaf of the node's cgroup; the path of the node's cgroup in the unified hierarchy."""
    if host.systemd:
        path = unified_path(shell.read_text("/proc/self/cgroup"))
        for mount in host.cgroup1:  # a machine with systemd and hierarchies of version 1
            cgroups.create(host._replace(cgroup2=None), node["cgroup"])
            cgroups.join([f"{mount.point}/{node['cgroup']}"])
    else:
        path = node["cgroup"]
        cgroups.create(host, path)
        cgroups.join(f"{mount.point}/{path}" for mount in host.cgroup1)
    # The unified hierarchy wants processes in leaves only.
    here = f"{host.cgroup2}/{path}"
    os.makedirs(f"{here}/launcher", exist_ok=True)
    os.makedirs(f"{here}/node", exist_ok=True)
    cgroups.join([f"{here}/launcher"])
    cgroups.enable_controllers(here)
    return path


def mount_all(host: Host, node: t.Mapping[str, t.Any]) -> None:
    """The node's root and what systemd-nspawn wants to see; private to our namespace."""
    if node["tmpfs"]:  # the disk below cannot carry an overlay
        shell.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=70%", "tmpfs", node["disk"]])
        shell.run(["cp", "-a", f"{node['seed']}/.", node["disk"]])
    for name in ("upper", "work", "root", *(os.path.basename(source) for source, _target in node["binds"])):
        os.makedirs(f"{node['disk']}/{name}", mode=0o755, exist_ok=True)
    layers = f"lowerdir={node['lower']},upperdir={node['disk']}/upper,workdir={node['disk']}/work"
    shell.run(["mount", "-t", "overlay", "overlay", "-o", layers, node["root"]])
    # Locks and the like of systemd-nspawn; it must not talk to the machine's own systemd.
    runtime = "/run/systemd/nspawn" if host.systemd else "/run/systemd"
    os.makedirs(runtime, exist_ok=True)
    shell.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", runtime])
    if host.cgroup2 != "/sys/fs/cgroup":
        shell.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"])


def main(path: str) -> int:
    """Run the node until it is switched off."""
    node = json.loads(shell.read_text(path))
    host = Host(**{**node["host"], "cgroup1": tuple(Mount(*mount) for mount in node["host"]["cgroup1"])})
    leaf = f"/sys/fs/cgroup/{enter_cgroups(host, node)}/node"
    mount_all(host, node)
    environment = {**os.environ, "SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}
    argv = nspawn_argv(node, os.path.exists("/dev/fuse"))
    while True:
        # The kernel takes an ended node's network apart in its own time; the name must be free for the next start.
        shell.run(["ip", "link", "delete", f"vb-{node['machine']}"], check=False)
        code = subprocess.call(
            argv, env=environment, stdin=subprocess.DEVNULL, preexec_fn=lambda: cgroups.join([leaf])
        )
        print(f"lab: systemd-nspawn ended with {code}", flush=True)
        if code != _REBOOT:
            return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
