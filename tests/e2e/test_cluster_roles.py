# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles access, registry, doctor and pod_network: rights that hold, a real registry on a real node, a report on every node."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from cluster import ROOT

ROLES = str(ROOT / "tests" / "e2e" / "cluster_roles.yml")
REGISTRY = "node1:5443"
LOGIN = {"username": "checkpoints", "password": "not-a-secret-1"}


def changes(play):
    """How many tasks changed something, by host."""
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", play.output, re.MULTILINE)}


@pytest.fixture(scope="module")
def provided(cluster):
    """Access and registry: in check mode, for real, once more, and at the end taken away again."""
    checked = cluster.play(ROLES, check=True)
    assert checked.code == 0, checked.output[-3000:]
    assert cluster.on("node1", "ls -d /etc/container-checkpoint/registry /var/lib/container-checkpoint-registry 2>/dev/null || true") == ""
    made = cluster.play(ROLES)
    assert made.code == 0, made.output[-3000:]
    again = cluster.play(ROLES)
    assert again.code == 0, again.output[-3000:]
    yield again
    gone = cluster.play(ROLES, access_state="absent", registry_state="absent")
    assert gone.code == 0, gone.output[-3000:]
    left = "ls -d /etc/container-checkpoint/registry /var/lib/container-checkpoint-registry /etc/containerd/certs.d/%s 2>/dev/null; "
    left += "systemctl list-units --no-legend 'container-checkpoint-registry*'; "
    left += "dpkg-query --show '--showformat=${db:Status-Status}' docker-registry 2>/dev/null | grep -x installed; true"
    assert cluster.on("node1", left % REGISTRY) == ""
    assert cluster.on("node2", left % REGISTRY) == ""
    cluster.wait(lambda: "container-checkpoint" not in [one.metadata.name for one in cluster.resource("Namespace").get().items], "the namespace to be gone", 20)


def test_a_second_run_changes_nothing(provided):
    assert changes(provided) == {"node1": 0, "node2": 0}


def test_the_role_grants_one_right(cluster, provided):
    role = cluster.resource("ClusterRole", "rbac.authorization.k8s.io/v1").get(name="container-checkpoint").to_dict()
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["create"]}]
    assert "eyJ" not in provided.output, "a token was shown"


def test_more_rights_than_that_are_noticed(cluster, provided):
    bindings = cluster.resource("ClusterRoleBinding", "rbac.authorization.k8s.io/v1")
    subject = {"kind": "ServiceAccount", "name": "checkpointer", "namespace": "container-checkpoint"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    bindings.create(body={"metadata": {"name": "too-much"}, "roleRef": reference, "subjects": [subject]})
    try:
        done = cluster.play(ROLES, cluster_roles_registry=False, access_check=["api"])
    finally:
        bindings.delete(name="too-much")
    assert done.code != 0 and done.says("may also create nodes/proxy, get nodes/proxy, get secrets, create pods"), done.output[-3000:]


def test_a_kubelet_that_would_refuse_is_noticed(cluster, provided):
    with cluster.fault("node1", gate=False):
        done = cluster.play(ROLES, cluster_roles_registry=False, access_check=["kubelet"], access_kubelet_wait_seconds=4, access_api_server=True)
    binding = cluster.resource("ClusterRoleBinding", "rbac.authorization.k8s.io/v1").get(name="container-checkpoint-api-server").to_dict()
    assert [(one["kind"], one["name"]) for one in binding["subjects"]] == [("User", "kube-apiserver-kubelet-client")]
    assert done.code != 0 and done.says("has no checkpoint endpoint (404 page not found)"), done.output[-3000:]


def pull(cluster, node, image, login=""):
    """What crictl says when it pulls, and whether it could."""
    return cluster.on(node, "crictl --timeout 60s pull %s %s && echo pulled || echo refused" % (login, image) + " 2>&1")


def test_images_are_pushed_and_pulled_until_the_registry_is_full(cluster, provided, counter):
    settings = {
        "checkpoint_namespace": "default",
        "checkpoint_pods": ["counter"],
        "checkpoint_kubelet_token_file": "",
        "checkpoint_kubelet_token_from_service_account": "container-checkpoint/checkpointer",
        "checkpoint_image_repository": REGISTRY + "/test",
    }
    # The first one goes beyond the limit, and is kept: nobody knows before how large an image will be. The guard looks every two seconds
    # here, so it would now and then come between the image's layer and its configuration.
    cluster.on("node1", "systemctl stop container-checkpoint-registry-check.timer")
    done = cluster.play("container_checkpoint.kubernetes.checkpoint", checkpoint_registry=LOGIN, **settings)
    cluster.on("node1", "systemctl start container-checkpoint-registry-check.timer")
    assert done.code == 0, done.output[-3000:]
    image = done.report["checkpoints"][0]["image"]
    assert image.startswith(REGISTRY + "/test/")
    login = "--creds %(username)s:%(password)s" % LOGIN
    assert "pulled" in pull(cluster, "node2", image, login)
    assert image.partition("@")[2] in cluster.on("node2", "crictl images --digests -o json") or "test" in cluster.on("node2", "crictl images")
    cluster.on("node2", "crictl rmi %s" % image)
    assert "refused" in pull(cluster, "node2", image)
    assert "refused" in pull(cluster, "node2", image, "--creds checkpoints:wrong")
    cluster.wait(
        lambda: "readonly" in cluster.on("node1", "cat /run/container-checkpoint-registry.mode 2>/dev/null || true"),
        "the registry to be read-only",
        30,
    )
    full = cluster.play("container_checkpoint.kubernetes.checkpoint", checkpoint_registry=LOGIN, **settings)
    assert full.code != 0 and full.says("405"), full.output[-3000:]
    assert "pulled" in pull(cluster, "node2", image, login)


def test_the_doctor_reports_every_node_and_changes_nothing(cluster, tmp_path):
    page = tmp_path / "nodes.html"
    done = cluster.play("container_checkpoint.kubernetes.doctor", doctor_html=str(page), doctor_ask_api=True, doctor_cluster="<lab>", check=True)
    assert done.code == 0, done.output[-3000:]
    assert {row["node"]: row["checkpoint"] in ("yes", "risky") for row in done.report["rows"]} == {"node1": True, "node2": True}
    assert done.report["summary"] == {"nodes": 2, "checkpoint": 2, "restore": 2}
    assert done.report["rows"][0]["engine"].startswith("containerd 2.") and done.report["rows"][0]["kubelet"]
    assert {row["source"]: row["targets"] for row in done.report["matrix"]} == {"node1": {"node2": "yes"}, "node2": {"node1": "yes"}}, done.report["misfits"]
    text = page.read_text()
    assert "Nodes of &lt;lab&gt;" in text and "node2" in text
    assert not re.search(r"(src|href)=|@import|url\(", text), "the page needs something else"
    assert set(changes(done).values()) == {0}


def test_the_doctor_says_what_is_missing_and_what_could_not_be_asked(cluster):
    cluster.on("node1", "mv /usr/sbin/criu /usr/sbin/criu.away")
    try:
        done = cluster.play("container_checkpoint.kubernetes.doctor", target="node1", doctor_require=["checkpoint"], doctor_ask_api=True)
    finally:
        cluster.on("node1", "mv /usr/sbin/criu.away /usr/sbin/criu")
    assert done.code != 0 and done.says("node1 cannot checkpoint: criu is not installed"), done.output[-3000:]
    assert {row["node"]: row["why"] for row in done.report["rows"]}["node2"] == "the cluster has this node, but it was not asked"


MANIFEST = """
kind: Namespace
apiVersion: v1
metadata: {name: kube-flannel}
---
kind: ConfigMap
apiVersion: v1
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  net-conf.json: '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'
"""


def test_a_pod_network_gets_the_clusters_addresses(cluster, tmp_path):
    manifest = tmp_path / "network.yml"
    manifest.write_text(MANIFEST)
    playbook = str(ROOT / "tests" / "e2e" / "pod_network.yml")
    settings = {"pod_network_manifest": str(manifest), "pod_network_manifest_checksum": "sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest()}
    assert changes(cluster.play(playbook, **settings)) == {"localhost": 1}
    found = cluster.resource("ConfigMap").get(name="kube-flannel-cfg", namespace="kube-flannel").to_dict()
    assert json.loads(found["data"]["net-conf.json"]) == {"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan"}}
    assert changes(cluster.play(playbook, **settings)) == {"localhost": 0}
    wrong = cluster.play(playbook, **{**settings, "pod_network_manifest_checksum": "sha256:" + "0" * 64})
    assert wrong.code != 0 and wrong.says("is not the file with the digest sha256:000"), wrong.output[-3000:]
    assert changes(cluster.play(playbook, **settings, pod_network_state="absent")) == {"localhost": 1}
    cluster.wait(lambda: "kube-flannel" not in [one.metadata.name for one in cluster.resource("Namespace").get().items], "the namespace to be gone", 20)
