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


def test_a_version_6_network_has_its_own_field():
    found = pod_network(objects(), "fd00:10::/56")
    assert json.loads(found[1]["data"]["net-conf.json"]) == {**SETTINGS, "IPv6Network": "fd00:10::/56"}


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
        (objects()[:1], "10.42.0.0/16", "is it flannel's"),
        (["<html>"], "10.42.0.0/16", "no Kubernetes object"),
    ],
)
def test_what_cannot_be_used(given, subnet, words):
    with pytest.raises(AnsibleFilterError, match=words):
        pod_network(given, subnet)
