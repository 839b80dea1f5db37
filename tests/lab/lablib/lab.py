# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole lab: up, down, status, clean. Every step can be repeated and looks at what is there first."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import time
import typing as t

from . import aptconf, inventory, network, node, parts, pki, registry, rootfs, shell, state
from .errors import LabError
from .host import Host

_GLOBAL = ".all"  # the lock for what all labs of a machine share


class Progress:
    """Says what happens and when, on standard error."""

    def __init__(self, quiet: bool = False) -> None:
        self.begin = time.monotonic()
        self.quiet = quiet

    def __call__(self, text: str) -> None:
        if not self.quiet:
            print(f"lab [{time.monotonic() - self.begin:5.1f} s] {text}", file=sys.stderr, flush=True)


def up(host: Host, name: str, count: int, suite: str, cluster: bool, say: t.Callable[[str], None]) -> state.Lab:
    """Bring a lab up, or complete one that is there."""
    with state.lock(name):
        lab = _describe(name, count, suite, cluster)
        apt = aptconf.read_host()
        lower = rootfs.ensure(suite, apt, say)
        os.makedirs(lab.data, mode=0o755, exist_ok=True)
        with state.lock(_GLOBAL, wait=True):
            network.up(lab)
        pki.ensure_ssh_keys(lab)
        pki.ensure_authority(lab)
        trusted = pki.trust_files(lab, lower)
        started = []
        for one in lab.nodes:
            if node.alive(lab, one):
                continue
            node.end(lab, one, host)  # what a killed launcher left
            node.prepare(lab, one, host, lower, apt, trusted)
            node.start(lab, one, host)
            started.append(one)
        say(f"{len(started)} nodes starting, {len(lab.nodes) - len(started)} running already")
        if cluster:
            registry.up(host, lab, lower, say)
        for one in lab.nodes:
            node.wait_ready(lab, one)
        inventory.write(host, lab)
        say(f"lab {name!r} is up: {lab.state}/inventory.yml")
    return lab


def _describe(name: str, count: int, suite: str, cluster: bool) -> state.Lab:
    """The lab that is there if it is the one asked for, else a new description with a free number."""
    present = state.load(name)
    wanted = state.make_lab(name, present.number if present else 0, count, suite, cluster)
    if present:
        if present != wanted:
            was = f"{len(present.nodes)} nodes of {present.suite}{'' if present.cluster else ', no cluster'}"
            raise LabError(f"lab {name!r} exists with {was}: take it down first, or choose another --name")
        return present
    with state.lock(_GLOBAL, wait=True):
        taken = [lab.number for lab in state.all_labs()]
        taken += [int(bridge[len("cclab") :]) for bridge in network.leftovers()]
        number = state.free_number(taken, network.read_host_networks())
        lab = state.make_lab(name, number, count, suite, cluster)
        state.save(lab)
    return lab


def down(host: Host, name: str, say: t.Callable[[str], None]) -> bool:
    """Take a lab down; false when there is nothing of that name."""
    with state.lock(name):
        lab = state.load(name)
        if lab is None:
            lab = _from_leftovers(name)
        if lab is None:
            return False
        parts.kill_processes(f"{lab.state}/cluster")  # the double of the API server
        for part in registry.PARTS:
            parts.end(host, lab, part, registry.marker(lab, part))
        for one in state.make_lab(name, lab.number, state.MAX_NODES, lab.suite, lab.cluster).nodes:
            node.end(lab, one, host)
        with state.lock(_GLOBAL, wait=True):
            others = [other for other in state.all_labs() if other.name != name]
            network.down(lab.bridge, last=not others)
            for path in (lab.data, lab.state):
                if os.path.lexists(path):
                    rootfs.remove_tree(path)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(lab.data))  # when this was the last lab
        say(f"lab {name!r} is down")
    return True


def _from_leftovers(name: str) -> state.Lab | None:
    """A description for cleaning up when the file was lost: from the bridge's alias, or from a directory."""
    for bridge, owner in network.leftovers().items():
        if owner == name:
            return state.make_lab(name, int(bridge[len("cclab") :]), 1, rootfs.SUITES[0], True)
    if os.path.isdir(f"{state.BASE}/{name}") or os.path.isdir(f"{state.cache_dir()}/labs/{name}"):
        return state.make_lab(name, 255, 1, rootfs.SUITES[0], True)
    return None


def clean(host: Host, names: t.Sequence[str], cache: bool, say: t.Callable[[str], None]) -> None:
    """Take down everything that any lab left on this machine (or those named); with C(cache) also the cache."""
    found = set(names)
    if not names:
        found.update(lab.name for lab in state.all_labs())
        found.update(network.leftovers().values())
        for directory in (state.BASE, f"{state.cache_dir()}/labs"):
            found.update(n for n in (os.listdir(directory) if os.path.isdir(directory) else []) if "." not in n)
    for name in sorted(found):
        if not down(host, name, say):
            say(f"nothing is left of lab {name!r}")
    for directory in ("", "/rootfs", "/images"):
        shell.sweep(state.cache_dir() + directory)
    if cache:
        for path in glob.glob(f"{glob.escape(state.cache_dir())}/*"):
            rootfs.remove_tree(path)
        say(f"the cache {state.cache_dir()} is empty")


def status(lab: state.Lab) -> dict[str, t.Any]:
    """What of a lab is there and works."""
    nodes = {
        one.name: {"address": one.address, "launcher": node.alive(lab, one), "ssh": node.ssh_answers(one.address)}
        for one in lab.nodes
    }
    services = {part: bool(parts.running(registry.marker(lab, part))) for part in registry.PARTS} if lab.cluster else {}
    healthy = all(n["launcher"] and n["ssh"] for n in nodes.values()) and all(services.values())
    return {
        "name": lab.name,
        "suite": lab.suite,
        "state": lab.state,
        "bridge": lab.bridge if network.exists(lab) else None,
        "nodes": nodes,
        "registries": services,
        "up": healthy and network.exists(lab),
    }


def find_node(lab: state.Lab, name: str) -> state.Node:
    """The node of that name."""
    for one in lab.nodes:
        if one.name == name:
            return one
    raise LabError(f"lab {lab.name!r} has no node {name!r}: it has {', '.join(n.name for n in lab.nodes)}")


def reboot(lab: state.Lab, one: state.Node) -> float:
    """Reboot a node as its administrator would; the seconds until ssh answered again."""
    begin = time.monotonic()
    ask = node.ssh_argv(lab, one, ["cat /proc/sys/kernel/random/boot_id"])
    before = shell.output(ask).strip()
    shell.run(node.ssh_argv(lab, one, ["systemctl reboot"]), check=False)

    def changed() -> bool:
        answer = shell.run(ask, check=False, timeout=30).stdout.decode().strip()
        return bool(answer) and answer != before

    shell.wait_until(f"the reboot of {one.name}", changed, 60, 0.2)
    return time.monotonic() - begin
