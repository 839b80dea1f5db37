# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter pod_network: addresses and images of flannel's objects."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.pod_network import pod_network

SETTINGS = {"Network": "10.244.0.0/16", "EnableNFTables": False, "Backend": {"Type": "vxlan"}}


def objects():
    image = {"image": "ghcr.io/flannel-io/flannel:v1"}
    return [
        {"kind": "Namespace", "metadata": {"name": "kube-flannel"}},
        {"kind": "ConfigMap", "metadata": {"name": "cfg"}, "data": {"cni-conf.json": "{}", "net-conf.json": json.dumps(SETTINGS)}},
        None,
        {
            "kind": "DaemonSet",
            "spec": {"template": {"spec": {"initContainers": [dict(image)], "containers": [dict(image), {"image": "flannel:v1"}]}}},
        },
    ]


def test_the_addresses_are_the_clusters_and_nothing_else_changes():
    given = objects()
    found = pod_network(given, "10.42.0.0/16")
    assert json.loads(found[1]["data"]["net-conf.json"]) == {**SETTINGS, "Network": "10.42.0.0/16"}
    assert (found[0], found[2]) == (given[0], given[3]) and found[1]["data"]["cni-conf.json"] == "{}"
    assert given == objects()


@pytest.mark.parametrize(
    "subnet, wanted",
    [
        ("10.42.0.0/16", {"Network": "10.42.0.0/16"}),
        ("fd00:10::/56", {"IPv6Network": "fd00:10::/56", "EnableIPv4": False, "EnableIPv6": True}),
        ("10.42.0.0/16,fd00:10::/56", {"Network": "10.42.0.0/16", "IPv6Network": "fd00:10::/56", "EnableIPv6": True}),
    ],
)
def test_flannel_has_the_versions_of_ip_that_the_cluster_has(subnet, wanted):
    others = {name: value for name, value in SETTINGS.items() if name != "Network"}
    assert json.loads(pod_network(objects(), subnet)[1]["data"]["net-conf.json"]) == {**others, **wanted}


def test_a_switch_of_the_manifest_that_says_otherwise_is_turned():
    given = objects()
    given[1]["data"]["net-conf.json"] = json.dumps({**SETTINGS, "EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00::/48"})
    assert json.loads(pod_network(given, "10.42.0.0/16")[1]["data"]["net-conf.json"]) == {
        **SETTINGS,
        "Network": "10.42.0.0/16",
        "EnableIPv4": True,
        "EnableIPv6": False,
    }


def test_images_of_another_registry():
    spec = pod_network(objects(), "10.42.0.0/16", "mirror.example.com:5000/k8s")[2]["spec"]["template"]["spec"]
    assert [one["image"] for one in spec["initContainers"] + spec["containers"]] == [
        "mirror.example.com:5000/k8s/flannel-io/flannel:v1",
        "mirror.example.com:5000/k8s/flannel-io/flannel:v1",
        "mirror.example.com:5000/k8s/flannel:v1",
    ]


@pytest.mark.parametrize(
    "given, subnet, words",
    [
        (objects(), "10.42.0.1/16", "has host bits set"),
        (objects(), "10.42.0.0/16,10.43.0.0/16", "flannel takes one network of each version"),
        (objects()[:1], "10.42.0.0/16", "is it flannel's"),
        (["<html>"], "10.42.0.0/16", "no Kubernetes object"),
    ],
)
def test_what_cannot_be_used(given, subnet, words):
    with pytest.raises(AnsibleFilterError, match=words):
        pod_network(given, subnet)
