# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles doctor, pod_network and access: a report on every node, a network with the cluster's addresses, an account that checkpoints are made with.

What access grants and refuses, and the registry: molecule/access_registry.
"""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from cluster import ARCHIVES, ROOT


def changes(play):
    """How many tasks changed something, by host."""
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", play.output, re.MULTILINE)}


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


def one_role(cluster, place, role, tag):
    """Run one part of a role alone."""
    playbook = place / "role.yml"
    roles = ["container_checkpoint.kubernetes." + role]
    playbook.write_text(json.dumps([{"name": "One role", "hosts": "kube_node", "become": True, "gather_facts": False, "roles": roles}]))
    return cluster.play(str(playbook), tags=tag)


@pytest.mark.parametrize("tag", ["criu_verify", "container_runtime_verify"])
def test_a_part_of_a_role_alone(cluster, tmp_path, tag):
    done = one_role(cluster, tmp_path, tag.rpartition("_")[0], tag)
    assert done.code == 0 and changes(done) == {"node1": 0, "node2": 0}, done.output[-3000:]
    assert "Refuse" in done.output and " : Install" not in done.output, "nothing was verified, or more was done"


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
# Nothing runs its pods here.
DAEMON_SET = """
---
kind: DaemonSet
apiVersion: apps/v1
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel}}
    spec:
      containers: [{name: kube-flannel, image: "ghcr.io/flannel-io/flannel:v0.27.4"}]
"""


def test_a_pod_network_gets_the_clusters_addresses(cluster, tmp_path):
    manifest = tmp_path / "network.yml"
    manifest.write_text(MANIFEST)
    playbook = str(ROOT / "tests" / "e2e" / "pod_network.yml")
    settings = {"pod_network_manifest": str(manifest), "pod_network_manifest_checksum": "sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest()}
    predicted = cluster.play(playbook, check=True, **settings)
    assert predicted.code == 0 and changes(predicted) == {"localhost": 1}, predicted.output[-3000:]
    assert "kube-flannel" not in [one.metadata.name for one in cluster.resource("Namespace").get().items]
    assert changes(cluster.play(playbook, **settings)) == {"localhost": 1}
    found = cluster.resource("ConfigMap").get(name="kube-flannel-cfg", namespace="kube-flannel").to_dict()
    assert json.loads(found["data"]["net-conf.json"]) == {"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan"}}
    assert changes(cluster.play(playbook, **settings)) == {"localhost": 0}
    wrong = cluster.play(playbook, **{**settings, "pod_network_manifest_checksum": "sha256:" + "0" * 64})
    assert wrong.code != 0 and wrong.says("is not the file with the digest sha256:000"), wrong.output[-3000:]
    far = cluster.play(playbook, pod_network_manifest="http://127.0.0.1:9/kube-flannel.yml")
    assert far.code != 0 and far.says("http://127.0.0.1:9/kube-flannel.yml, cannot be had: "), far.output[-3000:]
    assert far.says("For a cluster without internet give a file in pod_network_manifest"), far.output[-3000:]
    manifest.write_text(MANIFEST + DAEMON_SET)
    late = cluster.play(playbook, pod_network_manifest=str(manifest), pod_network_wait_seconds=5)
    assert late.code != 0 and late.says("The pods of kube-flannel/kube-flannel-ds are not ready after 5 s: 0 of"), late.output[-3000:]
    assert changes(cluster.play(playbook, pod_network_manifest=str(manifest), pod_network_state="absent")) == {"localhost": 1}
    cluster.wait(lambda: "kube-flannel" not in [one.metadata.name for one in cluster.resource("Namespace").get().items], "the namespace to be gone")


def test_checkpoints_are_made_with_the_account_of_access_until_teardown(cluster, counter, tmp_path):
    settings = {"checkpoint_namespace": "default", "checkpoint_pods": ["counter"], "checkpoint_kubelet_token_file": ""}
    cluster.on("node1", "mkdir -p -m 0700 " + ARCHIVES)

    def archives():
        return {name for name in cluster.archives("node1") if name.endswith(".tar")}

    before = archives()
    done = cluster.play(str(ROOT / "tests" / "e2e" / "access.yml"), **settings)
    assert done.code == 0, done.output[-3000:]
    # One by the account, one by the API server.
    assert len(archives() - before) == 2
    assert "eyJ" not in done.output, "the token was shown"
    asked = one_role(cluster, tmp_path, "access", "access_check")
    assert asked.code == 0 and asked.says("Ask the kubelet of this node"), asked.output[-3000:]
    gone = cluster.play("container_checkpoint.kubernetes.teardown", cluster_control_plane="node1", cluster_workers="node2", teardown_confirm=True)
    assert gone.code == 0, gone.output[-3000:]
    roles = cluster.resource("ClusterRole", "rbac.authorization.k8s.io/v1").get().items
    assert not [role.metadata.name for role in roles if role.metadata.name.startswith("container-checkpoint")]
    assert "checkpointer" not in [one.metadata.name for one in cluster.resource("ServiceAccount").get(namespace="container-checkpoint").items]
