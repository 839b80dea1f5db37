# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role enable and the playbooks cluster and teardown: nodes given back or kept, and a question before anything goes."""

from __future__ import annotations

import contextlib
import json
import re

import kubernetes.dynamic.exceptions
import pytest
import yaml

TEARDOWN = "container_checkpoint.kubernetes.teardown"
CLUSTER = "container_checkpoint.kubernetes.cluster"
ENABLE = "container_checkpoint.kubernetes.enable"
# How the double of the kubelet runs on a lab's node.
KUBELET = {
    "kubernetes_node_kubelet_service": "kubelet-double",
    "kubernetes_node_kubelet_health_url": "https://127.0.0.1:10250/healthz",
    "kubernetes_node_kubelet_wait_seconds": 90,
    "kubernetes_node_kubelet_settle_seconds": 1,
    "kubernetes_node_kubelet_version": "1.36.2",
}
CONFIG = "/var/lib/kubelet/config.yaml"


def changes(play):
    """How many tasks changed something, by host."""
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", play.output, re.MULTILINE)}


def test_teardown_asks_first(cluster):
    accounts = len(cluster.resource("ServiceAccount").get().items)
    done = cluster.play(TEARDOWN, teardown_registry=True, registry_host="node1")
    assert done.code != 0 and done.says("Say teardown_confirm=true if that is meant. Nothing was changed"), done.output[-3000:]
    assert len(cluster.resource("ServiceAccount").get().items) == accounts


def test_a_cluster_needs_a_control_plane_and_a_place_for_its_kubeconfig(cluster):
    done = cluster.play(CLUSTER, cluster_control_plane="node1", cluster_workers="node2")
    assert done.code != 0 and done.says("an absolute path in cluster_kubeconfig (''). Nothing was changed"), done.output[-3000:]
    done = cluster.play(CLUSTER, cluster_control_plane="node1:node2", cluster_workers="none", cluster_kubeconfig="/nowhere")
    assert done.code != 0 and done.says("with several of them control_plane_endpoint ('')"), done.output[-3000:]


def node_of(cluster, name):
    """The Node object."""
    return cluster.resource("Node").get(name=name).to_dict()


def cordoned(cluster, name):
    """Whether it is cordoned."""
    return bool(node_of(cluster, name)["spec"].get("unschedulable"))


@pytest.fixture
def uncordoned(cluster):
    """Both nodes are schedulable before and after."""
    yield
    for name in ("node1", "node2"):
        cluster.resource("Node").patch(name=name, body={"spec": {"unschedulable": None}}, content_type="application/merge-patch+json")


@pytest.fixture
def for_new_nodes(cluster):
    """What kubeadm gives to kubelets of new nodes, as a function."""
    with contextlib.suppress(kubernetes.dynamic.exceptions.ConflictError):
        cluster.resource("Namespace").create(body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})
    place = {"name": "kubelet-config", "namespace": "kube-system"}
    config = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 110\nfeatureGates:\n  Other: true\n"
    maps = cluster.resource("ConfigMap")
    maps.create(body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"kubelet": config}}, namespace="kube-system")
    yield lambda: yaml.safe_load(maps.get(**place).to_dict()["data"]["kubelet"])
    maps.delete(**place)


def test_nodes_are_emptied_changed_and_given_back_one_by_one(cluster, counter, uncordoned, for_new_nodes):
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "owner", "uid": "0", "controller": True}
    cluster.resource("Pod").patch(
        name="counter", namespace="default", body={"metadata": {"ownerReferences": [owner]}}, content_type="application/merge-patch+json"
    )
    before = cluster.on("node1", "cat " + CONFIG)
    # Once through CRIU and the runtime is enough.
    settings = {"kubernetes_node_kubelet_settings": {"maxPods": 64}, "enable_runtime": "{{ inventory_hostname == 'node1' }}"}
    settings["kubernetes_node_kubelet_cluster_wide"] = True
    try:
        done = cluster.play(ENABLE, **KUBELET, **settings)
        assert done.code == 0, done.output[-4000:]
        assert cluster.pod("counter") is None, "the node was not emptied"
        assert not cordoned(cluster, "node1") and not cordoned(cluster, "node2")
        for node in ("node1", "node2"):
            found = json.loads(cluster.on(node, "cat " + CONFIG))
            assert found["maxPods"] == 64 and found["featureGates"]["ContainerCheckpoint"] is True
        kept = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
        assert for_new_nodes() == {**kept, "maxPods": 64, "featureGates": {"Other": True, "ContainerCheckpoint": True}}
        order = [match.start() for match in re.finditer("Cordon and drain the node|Uncordon the node", done.output)]
        assert len(order) >= 4 and done.output.index("Uncordon the node") < done.output.rindex("Cordon and drain the node")
    finally:
        for node in ("node1", "node2"):
            cluster.on(node, "cat > %s <<'EOF'\n%s\nEOF\nsystemctl restart kubelet-double" % (CONFIG, before.strip()))


def test_a_pod_that_nothing_makes_anew_is_not_lost(cluster, counter, uncordoned):
    before = counter.uid
    done = cluster.play(ENABLE, **KUBELET, enable_runtime=False)
    assert done.code != 0 and done.says("node1 could not be emptied: Pod deletion errors: cannot delete Pods not managed by"), done.output[-3000:]
    assert done.says("It was uncordoned again, and nothing was changed on it")
    assert counter.uid == before and not cordoned(cluster, "node1")


def test_the_first_node_that_does_not_pass_stays_cordoned_and_ends_the_play(cluster, uncordoned):
    before = cluster.on("node1", "cat " + CONFIG)
    wrong = {**KUBELET, "kubernetes_node_kubelet_wait_seconds": 30, "kubernetes_node_kubelet_settings": {"authorization": None}}
    done = cluster.play(ENABLE, **wrong, enable_runtime=False)
    assert done.code != 0, done.output[-3000:]
    assert done.says("node1 was not made ready: The kubelet of node1 did not come back with its new configuration"), done.output[-3000:]
    assert done.says("the kubelet runs with it again") and done.says("It stays cordoned; the nodes after it were not touched")
    assert cordoned(cluster, "node1") and not cordoned(cluster, "node2")
    assert cluster.on("node1", "cat " + CONFIG) == before
    assert "node2" not in changes(done)
    # Mended, it is given back, and nothing of that is remembered.
    kept = "container-checkpoint/enable"
    assert kept in node_of(cluster, "node1")["metadata"]["annotations"]
    again = cluster.play(ENABLE, **KUBELET, enable_runtime=False, target="node1")
    assert again.code == 0, again.output[-3000:]
    assert not cordoned(cluster, "node1") and kept not in node_of(cluster, "node1")["metadata"].get("annotations", {})


def test_a_node_that_somebody_else_cordoned_stays_so(cluster, uncordoned):
    cluster.resource("Node").patch(name="node1", body={"spec": {"unschedulable": True}}, content_type="application/merge-patch+json")
    done = cluster.play(ENABLE, **KUBELET, enable_runtime=False, target="node1")
    assert done.code == 0 and cordoned(cluster, "node1"), done.output[-3000:]
