# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's documents by version, the gate, and which versions go together."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.checkpoint_gate import checkpoint_gate
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.kubeadm_config import kubeadm_config
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.kubernetes_skew import kubernetes_skew
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support import kubeadm_fields as fields


def settings(version, **more):
    return {"version": version, "pod_subnet": "10.244.0.0/16", "cri_socket": "unix:///run/containerd/containerd.sock", **more}


def by_kind(documents):
    return {document["kind"]: document for document in documents}


@pytest.mark.parametrize(
    "version, api", [("1.22.0", "v1beta3"), ("v1.30.7", "v1beta3"), ("1.31.0", "v1beta4"), ("1.36.2", "v1beta4"), ("1.38.0-alpha.2", "v1beta4")]
)
def test_each_version_gets_the_api_that_it_reads(version, api):
    found = by_kind(kubeadm_config(settings(version), "init"))
    assert found["InitConfiguration"]["apiVersion"] == found["ClusterConfiguration"]["apiVersion"] == "kubeadm.k8s.io/" + api
    assert found["ClusterConfiguration"]["kubernetesVersion"] == "v" + version.lstrip("v")
    assert found["KubeletConfiguration"]["apiVersion"] == "kubelet.config.k8s.io/v1beta1"


def test_flags_are_a_map_before_v1beta4_and_a_list_from_then_on():
    given = {"api_server_extra_args": {"v": 2, "audit": True}, "kubelet_extra_args": {"node-ip": "10.0.0.1"}}
    old = by_kind(kubeadm_config(settings("1.30.7", **given), "init"))
    new = by_kind(kubeadm_config(settings("1.31.0", **given), "init"))
    assert old["ClusterConfiguration"]["apiServer"]["extraArgs"] == {"v": "2", "audit": "true"}
    assert new["ClusterConfiguration"]["apiServer"]["extraArgs"] == [{"name": "audit", "value": "true"}, {"name": "v", "value": "2"}]
    assert old["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"] == {"node-ip": "10.0.0.1"}
    assert new["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "10.0.0.1"}]
    assert "scheduler" not in new["ClusterConfiguration"]


@pytest.mark.parametrize(
    "version, written", [("1.24.9", False), ("1.25.0", True), ("1.29.6", True), ("1.30.0", True), ("1.37.0", True), ("1.45.0", False)]
)
def test_the_gate_is_the_kubelets_and_only_where_the_version_knows_it(version, written):
    documents = kubeadm_config(settings(version), "init")
    assert ("featureGates" in by_kind(documents)["KubeletConfiguration"]) is written
    assert "ContainerCheckpoint" not in str([one for one in documents if one["kind"] != "KubeletConfiguration"])


@pytest.mark.parametrize(
    "version, mode, known, answer",
    [
        ("1.36", "never", True, False),
        ("1.36", "auto", "", True),
        ("1.36", "auto", False, False),
        ("1.45", "auto", True, True),
        ("1.36", "always", None, True),
        ("1.20", "auto", None, False),
    ],
)
def test_what_the_kubelet_says_outranks_its_version(version, mode, known, answer):
    assert checkpoint_gate(version, mode, known) is answer


def test_a_gate_that_the_kubelet_does_not_know_is_refused():
    with pytest.raises(AnsibleFilterError, match="kubelet 1.24.1 does not know the feature gate ContainerCheckpoint .it came with 1.25"):
        checkpoint_gate("1.24.1", "always")


def test_other_gates_and_an_answer_of_the_operator_are_kept():
    kubelet = {"featureGates": {"ContainerCheckpoint": False, "Other": True}, "maxPods": 10}
    found = by_kind(kubeadm_config(settings("1.36.2", kubelet=kubelet, cgroup_driver="systemd"), "init"))["KubeletConfiguration"]
    assert found["featureGates"] == {"ContainerCheckpoint": False, "Other": True} and found["maxPods"] == 10 and found["cgroupDriver"] == "systemd"


@pytest.mark.parametrize("component, field", [("api_server", "apiServer"), ("controller_manager", "controllerManager"), ("scheduler", "scheduler")])
def test_the_gate_elsewhere_is_refused(component, field):
    with pytest.raises(AnsibleFilterError, match="is for the kubelet only: take it out of the arguments of " + field):
        kubeadm_config(settings("1.28.0", **{component + "_extra_args": {"feature-gates": "A=true,ContainerCheckpoint=true"}}), "init")


@pytest.mark.parametrize(
    "version, given",
    [
        ("1.28.0", {"v": "2", "feature-gates": "ContainerCheckpoint=true"}),
        ("1.36.2", [{"name": "v", "value": "2"}, {"name": "feature-gates", "value": "A=true,ContainerCheckpoint=true"}]),
    ],
)
def test_the_gate_elsewhere_is_refused_also_as_a_further_field(version, given):
    extra = {"ClusterConfiguration": {"scheduler": {"extraArgs": given}}}
    with pytest.raises(AnsibleFilterError, match="take it out of the arguments of scheduler"):
        kubeadm_config(settings(version, extra=extra), "init")


def test_no_taints_is_something_else_than_none_given():
    assert "taints" not in by_kind(kubeadm_config(settings("1.36.2"), "init"))["InitConfiguration"]["nodeRegistration"]
    assert by_kind(kubeadm_config(settings("1.36.2", taints=[]), "init"))["InitConfiguration"]["nodeRegistration"]["taints"] == []


def test_the_token_of_init_ends_soon_and_is_not_ours_to_know():
    (token,) = by_kind(kubeadm_config(settings("1.36.2"), "init"))["InitConfiguration"]["bootstrapTokens"]
    assert token["ttl"] == "15m0s" and "token" not in token


def test_further_fields_are_merged_into_their_document():
    extra = {"ClusterConfiguration": {"networking": {"dnsDomain": "example.org"}}, "InitConfiguration": {"timeouts": {"kubeletHealthCheck": "5m0s"}}}
    found = by_kind(kubeadm_config(settings("1.36.2", extra=extra), "init"))
    assert found["ClusterConfiguration"]["networking"] == {"podSubnet": "10.244.0.0/16", "dnsDomain": "example.org"}
    assert found["InitConfiguration"]["timeouts"] == {"kubeletHealthCheck": "5m0s"}


def test_join():
    given = settings("1.30.7", token="abcdef.0123456789abcdef", endpoint="10.0.0.1:6443", ca_cert_hashes=["sha256:00"], node_name="w1", taints=[])
    (found,) = kubeadm_config(given, "join")
    assert (found["apiVersion"], found["kind"]) == ("kubeadm.k8s.io/v1beta3", "JoinConfiguration")
    assert found["discovery"]["bootstrapToken"] == {
        "token": "abcdef.0123456789abcdef",
        "apiServerEndpoint": "10.0.0.1:6443",
        "caCertHashes": ["sha256:00"],
    }
    assert found["nodeRegistration"] == {"name": "w1", "criSocket": "unix:///run/containerd/containerd.sock", "taints": []}
    assert "controlPlane" not in found


def test_a_further_control_plane():
    given = settings("1.36.2", token="abcdef.0123456789abcdef", endpoint="api:6443", ca_cert_hashes=["sha256:00"], certificate_key="k" * 64)
    (found,) = kubeadm_config({**given, "advertise_address": "10.0.0.2"}, "join")
    assert found["controlPlane"] == {"certificateKey": "k" * 64, "localAPIEndpoint": {"advertiseAddress": "10.0.0.2"}}
    assert kubeadm_config(given, "join")[0]["controlPlane"] == {"certificateKey": "k" * 64}


@pytest.mark.parametrize(
    "given, words",
    [
        ("2.1", "is no version of Kubernetes"),
        ("latest", "is no version of Kubernetes"),
        ("1.21.3", "too old: its configuration v1beta3 came with 1.22"),
    ],
)
def test_versions_that_cannot_be(given, words):
    with pytest.raises(AnsibleFilterError, match=words):
        kubeadm_config(settings(given), "init")


def test_a_missing_setting_is_named():
    with pytest.raises(AnsibleFilterError, match="the setting 'token' is missing"):
        kubeadm_config({"version": "1.36"}, "join")


@pytest.mark.parametrize(
    "versions, words",
    [
        ({"kubelet": "1.36", "api_server": "1.36"}, ""),
        ({"kubelet": "1.33", "api_server": "1.36"}, ""),
        ({"kubelet": "1.32", "api_server": "1.36"}, "more than 3 minors older than the API server 1.36"),
        ({"kubelet": "1.24", "api_server": "1.27"}, "more than 2 minors older than the API server 1.27"),
        ({"kubelet": "1.37", "api_server": "1.36"}, "newer than the API server 1.36: upgrade the control plane first"),
        ({"kubelet": "1.36", "api_server": "1.36", "kubeadm": "1.37"}, ""),
        ({"kubelet": "1.36", "api_server": "1.36", "kubeadm": "1.35"}, "kubeadm 1.35 manages control planes of 1.34 and 1.35, not of 1.36"),
        ({"kubelet": "1.36", "api_server": "1.36", "kubectl": "1.34"}, "kubectl 1.34 is more than one minor away"),
        ({"kubelet": "1.35", "installed": "1.36.1"}, "kubelets are not downgraded to 1.35"),
        ({"kubelet": "1.36", "installed": "1.35.1"}, ""),
        ({"kubelet": "1.36", "installed": "1.36.1", "member": True}, ""),
        ({"kubelet": "1.36", "installed": "1.34.1", "member": True}, "with 'kubeadm upgrade', one minor after the other"),
    ],
)
def test_version_skew(versions, words):
    found = kubernetes_skew(**versions)
    assert (words in found[0] and len(found) == 1) if words else found == []


@pytest.mark.parametrize("number", range(22, 39))
def test_every_document_has_only_fields_that_its_version_knows(number):
    given = settings(
        "1.%d.1" % number,
        api_server_extra_args={"v": 2},
        scheduler_extra_args={"v": 2},
        kubelet_extra_args={"node-ip": "10.0.0.1"},
        cert_sans=["a.example.org"],
        advertise_address="10.0.0.1",
        control_plane_endpoint="cp:6443",
        cluster_name="c",
        dns_domain="cluster.local",
        image_repository="r.example.org",
        service_subnet="10.96.0.0/12",
        taints=[{"key": "k", "effect": "NoSchedule"}],
        skip_phases=["addon/kube-proxy"],
        ignore_preflight_errors=["NumCPU"],
        patches_directory="/p",
        token="abcdef.0123456789abcdef",
        endpoint="cp:6443",
        ca_cert_hashes=["sha256:00"],
        certificate_key="k" * 64,
    )
    known = {"cgroupDriver", "featureGates"}
    assert fields.problems(kubeadm_config(given, "init"), number, known) == []
    assert fields.problems(kubeadm_config(given, "join"), number, known) == []
    # The same documents as another version would write them are refused by what reads the other API only.
    other = kubeadm_config({**given, "version": "1.30.0" if number > 36 else "1.40.0"}, "init")
    if number > 36 or number < 31:
        assert any("is registered" in problem for problem in fields.problems(other, number, known))
    wrong = kubeadm_config({**given, "extra": {"ClusterConfiguration": {"apiServer": {"noSuchField": 1}}}}, "init")
    assert fields.problems(wrong, number, known) == ['unknown field "ClusterConfiguration.apiServer.noSuchField"']


@pytest.mark.skipif(shutil.which("kubeadm") is None, reason="no kubeadm on this machine")
@pytest.mark.parametrize("kind", ["init", "join"])
def test_the_real_kubeadm_accepts_the_documents(kind, tmp_path):
    version = subprocess.run(["kubeadm", "version", "-o", "short"], check=True, capture_output=True, text=True).stdout.strip()
    join = {"token": "abcdef.0123456789abcdef", "endpoint": "10.0.0.1:6443", "ca_cert_hashes": ["sha256:" + "0" * 64], "certificate_key": "0" * 64}
    given = settings(version, node_name="node1", control_plane_endpoint="api.example.com:6443", api_server_extra_args={"v": 2}, **join)
    path = tmp_path / "kubeadm.yaml"
    # JSON is YAML.
    path.write_text("".join("---\n%s\n" % json.dumps(document) for document in kubeadm_config(given, kind)))
    done = subprocess.run(["kubeadm", "config", "validate", "--config", str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
