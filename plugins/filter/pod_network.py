# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(pod_network): the objects of flannel's manifest, made to fit a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_network
short_description: Make the manifest of a pod network fit a cluster
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Puts the cluster's addresses into flannel's C(net-conf.json), switches IPv4 and IPv6 there as they need it, and
    puts another registry before the names of its images.
  - Fails when there is no such setting to put them into.
options:
  _input:
    description:
      - The objects of the manifest.
    type: list
    elements: dict
    required: true
  subnet:
    description:
      - The addresses of pods; with both IPv4 and IPv6 one of each, with a comma between them.
    type: str
    required: true
  registry:
    description:
      - The registry to take all images from. Empty leaves their names alone.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the objects
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'kube-flannel.yml') | from_yaml_all
      | container_checkpoint.kubernetes.pod_network(subnet='10.42.0.0/16') }}"
"""

RETURN = r"""
_value:
  description: The objects, changed.
  type: list
  elements: dict
"""

import copy
import ipaddress
import json
import typing as t

from ansible.errors import AnsibleFilterError

NETWORK = "net-conf.json"


def _networks(subnet: str) -> dict[int, str]:
    """The network of each version of IP."""
    try:
        given = [ipaddress.ip_network(one.strip()) for one in subnet.split(",")]
    except ValueError as exc:
        raise AnsibleFilterError("pod_network: %s" % exc) from exc
    found = {network.version: str(network) for network in given}
    if len(found) < len(given):
        raise AnsibleFilterError("pod_network: flannel takes one network of each version of IP, not %s" % subnet)
    return found


def _with_subnets(text: str, networks: t.Mapping[int, str]) -> str:
    """flannel's settings. By itself it has IPv4 on and IPv6 off, whatever networks are named."""
    settings = json.loads(text)
    for version, name, by_itself in ((4, "Network", True), (6, "IPv6Network", False)):
        switch = "EnableIPv%d" % version
        settings.pop(name, None)
        if version in networks:
            settings[name] = networks[version]
        if switch in settings or (version in networks) is not by_itself:
            settings[switch] = version in networks
    return json.dumps(settings, indent=2) + "\n"


def _in_registry(image: str, registry: str) -> str:
    first, _sep, rest = image.partition("/")
    has_host = bool(rest) and ("." in first or ":" in first or first == "localhost")
    return "%s/%s" % (registry.rstrip("/"), rest if has_host else image)


def pod_network(objects: t.Any, subnet: str, registry: str = "") -> list[dict]:
    """The objects with the cluster's addresses and registry."""
    networks = _networks(subnet)
    result, found = [], False
    for one in copy.deepcopy([entry for entry in objects if entry]):
        if not isinstance(one, dict) or "kind" not in one:
            raise AnsibleFilterError("pod_network: the manifest holds something that is no Kubernetes object")
        if one["kind"] == "ConfigMap" and NETWORK in (one.get("data") or {}):
            one["data"][NETWORK] = _with_subnets(one["data"][NETWORK], networks)
            found = True
        template = ((one.get("spec") or {}).get("template") or {}).get("spec") or {}
        for container in (template.get("initContainers") or []) + (template.get("containers") or []):
            if registry and container.get("image"):
                container["image"] = _in_registry(container["image"], registry)
        result.append(one)
    if not found:
        raise AnsibleFilterError("pod_network: the manifest holds no ConfigMap with %s; is it flannel's?" % NETWORK)
    return result


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"pod_network": pod_network}
