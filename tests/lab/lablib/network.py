# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's network: a bridge, address translation to the outside, routes to the pods of each node.

Everything hangs on two names, the bridge and an nftables table, and is gone with them. Rules in a foreign
firewall (the C(iptables) FORWARD chain of a machine with Docker or ufw) carry a comment by which they are found again.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import shutil
import typing as t

from . import shell, state

_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_FORWARD_BEFORE = f"{state.BASE}/ip_forward.before"


def ruleset(lab: state.Lab) -> str:
    """The nftables table of a lab."""
    private = ", ".join([lab.subnet, *(f"10.{100 + k}.{lab.number}.0/24" for k in range(1, state.MAX_NODES + 1))])
    return (
        f"table ip {lab.bridge} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat;\n"
        f'    ip saddr {{ {private} }} ip daddr != {{ {private} }} oifname != "{lab.bridge}" masquerade\n'
        "  }\n"
        "}\n"
    )


def foreign_rules(lab: state.Lab) -> list[list[str]]:
    """Rules for a packet filter that would drop the lab's traffic (without the leading C(-I) or C(-D))."""
    comment = ["-m", "comment", "--comment", lab.bridge, "-j", "ACCEPT"]
    return [
        ["FORWARD", "-i", lab.bridge, *comment],
        ["FORWARD", "-o", lab.bridge, *comment],
        ["INPUT", "-i", lab.bridge, *comment],
    ]


def tagged_rules(listing: str, bridge: str) -> list[list[str]]:
    """The rules of this bridge among the output of C(iptables -S)."""
    rules = [shlex.split(line) for line in listing.splitlines() if line.startswith("-A ")]
    return [words[1:] for words in rules if _after(words, "--comment") == bridge]


def _after(words: t.Sequence[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words[:-1] else None


def filters(listing: str) -> bool:
    """Whether C(iptables -S) shows anything that may drop: a policy other than ACCEPT, or any rule."""
    lines = [line for line in listing.splitlines() if line.split()[1:2] in (["FORWARD"], ["INPUT"])]
    return any(line.startswith("-A ") or not line.endswith(" ACCEPT") for line in lines)


def host_networks(routes_json: str) -> list[str]:
    """Networks that this machine already routes, from C(ip -j route)."""
    found = []
    for route in json.loads(routes_json or "[]"):
        if route["dst"] != "default" and not route.get("dev", "").startswith("cclab"):
            found.append(str(ipaddress.ip_network(route["dst"], strict=False)))
    return found


def read_host_networks() -> list[str]:
    """What is already in use here."""
    return host_networks(shell.output(["ip", "-j", "-4", "route"]))


def uplink_mtu() -> int:
    """The MTU of the way out, so that a node's packets fit through a tunnel."""
    routes = json.loads(shell.output(["ip", "-j", "-4", "route", "show", "default"]) or "[]")
    device = routes[0].get("dev") if routes else None
    return int(shell.read_text(f"/sys/class/net/{device}/mtu", "1500")) if device else 1500


def nameservers(resolv_conf: str) -> list[str]:
    """Nameservers that are reachable from another machine."""
    found = [words[1] for words in map(str.split, resolv_conf.splitlines()) if words[:1] == ["nameserver"] and words[1:]]
    return [address for address in found if not address.startswith(("127.", "::1", "fe80:"))]


def node_resolv_conf() -> str:
    """The nodes' C(resolv.conf): the host's, or what stands behind its local stub."""
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"):
        servers = nameservers(shell.read_text(path, ""))
        if servers:
            return "".join(f"nameserver {address}\n" for address in servers[:3])
    return "# the host's resolver listens on loopback only, and nothing behind it was found\n"


def exists(lab: state.Lab) -> bool:
    """Whether the bridge is there."""
    return os.path.isdir(f"/sys/class/net/{lab.bridge}")


def up(lab: state.Lab) -> None:
    """Create what is missing."""
    if not exists(lab):
        shell.run(["ip", "link", "add", lab.bridge, "type", "bridge"])
    shell.run(["ip", "link", "set", lab.bridge, "alias", f"container-checkpoint-lab:{lab.name}"])
    shell.run(["ip", "address", "replace", f"{lab.gateway}/24", "dev", lab.bridge])
    shell.run(["ip", "link", "set", lab.bridge, "up"])
    for node in lab.nodes:
        shell.run(["ip", "route", "replace", node.pod_subnet, "via", node.address, "dev", lab.bridge, "onlink"])
    if shell.run(["nft", "list", "table", "ip", lab.bridge], check=False).returncode:
        shell.run(["nft", "-f", "-"], text_input=ruleset(lab))
    if shutil.which("iptables"):
        listing = shell.run(["iptables", "-S"], check=False).stdout.decode(errors="replace")
        if filters(listing) and not tagged_rules(listing, lab.bridge):
            for rule in foreign_rules(lab):
                shell.run(["iptables", "-w", "5", "-I", *rule])
    if shell.read_text(_FORWARD).strip() == "0":
        shell.write_file(_FORWARD_BEFORE, "0\n")
        with open(_FORWARD, "w", encoding="ascii") as stream:
            stream.write("1")


def down(bridge: str, last: bool) -> None:
    """Remove everything of a bridge; after the last lab, forwarding is what it was before the first."""
    # The kernel takes an ended node's network apart in its own time; the next lab with this number must not find it.
    for link in json.loads(shell.output(["ip", "-j", "link"]) or "[]"):
        if link["ifname"].startswith(f"vb-{bridge}-"):
            shell.run(["ip", "link", "delete", link["ifname"]], check=False)
    shell.run(["ip", "link", "delete", bridge], check=False)
    shell.run(["nft", "delete", "table", "ip", bridge], check=False)
    if shutil.which("iptables"):
        listing = shell.run(["iptables", "-S"], check=False).stdout.decode(errors="replace")
        for rule in tagged_rules(listing, bridge):
            shell.run(["iptables", "-w", "5", "-D", *rule], check=False)
    before = shell.read_text(_FORWARD_BEFORE, "")
    if last and before:
        with open(_FORWARD, "w", encoding="ascii") as stream:
            stream.write(before)
        os.unlink(_FORWARD_BEFORE)


def leftovers() -> dict[str, str]:
    """Bridges of labs on this machine, by what their alias says: bridge -> lab's name."""
    found = {}
    for link in json.loads(shell.output(["ip", "-j", "link"]) or "[]"):
        kind, _separator, name = link.get("ifalias", "").partition(":")
        if kind == "container-checkpoint-lab" and link["ifname"].startswith("cclab"):
            found[link["ifname"]] = name
    return found
