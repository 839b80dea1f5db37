# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles kubernetes_node, control_plane and worker did, as the doubles recorded it."""

from __future__ import annotations

import json
import pathlib
import stat

import pytest
import yaml


@pytest.fixture
def name(host):
    """The node's name."""
    return host.ansible.get_variables()["inventory_hostname"]


@pytest.fixture
def calls(host):
    """How kubeadm was called, less the questions for its version."""
    lines = host.file("/var/log/kubernetes-doubles/calls.jsonl").content_string.splitlines()
    return [one for one in map(json.loads, lines) if one["argv"][0] != "version"]


def state(host):
    return pathlib.Path(host.ansible.get_variables()["lab_state"])


def test_the_asked_version_is_installed_and_held(host):
    for package in ("kubelet", "kubeadm", "kubectl"):
        assert host.package(package).version == "1.36.1-1.1"
    assert set(host.check_output("apt-mark showhold").split()) == {"kubelet", "kubeadm", "kubectl"}
    assert json.loads(host.file("/var/lib/container-checkpoint/roles/kubernetes_node.json").content_string)["held"] == ["kubeadm", "kubectl", "kubelet"]


def test_an_upgrade_leaves_them_alone(host):
    simulated = host.check_output("apt-get --simulate upgrade")
    assert "kubelet" not in [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")]


def test_sysctls_and_modules(host):
    assert host.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"
    assert "net.ipv4.ip_forward = 1" in host.file("/etc/sysctl.d/90-container-checkpoint-kubernetes.conf").content_string
    assert host.file("/etc/modules-load.d/container-checkpoint-kubernetes.conf").content_string.splitlines()[1:] == ["overlay", "fuse"]


def test_swap_of_the_host_is_left_alone(host):
    assert "/dev/none none swap sw 0 0" in host.file("/etc/fstab").content_string.splitlines()


def test_the_control_plane_was_validated_and_then_made_once(name, calls):
    if name != "node1":
        pytest.skip("the worker")
    words = [one["argv"][0] for one in calls]
    assert words[:2] == ["config", "init"] and words.count("init") == 1
    assert {"--skip-token-print", "--skip-certificate-key-print"} <= set(calls[1]["argv"])


def test_the_gate_is_in_the_kubelets_configuration_only(host, name):
    if name != "node1":
        pytest.skip("the worker")
    documents = {one["kind"]: one for one in yaml.safe_load_all(host.file("/etc/container-checkpoint/kubeadm-init.yaml").content_string)}
    assert documents["ClusterConfiguration"]["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert documents["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.1"
    assert documents["ClusterConfiguration"]["apiServer"]["extraArgs"] == [{"name": "audit-log-maxage", "value": "7"}]
    assert documents["KubeletConfiguration"]["featureGates"] == {"ContainerCheckpoint": True}
    assert documents["InitConfiguration"]["nodeRegistration"]["criSocket"] == "unix:///run/containerd/containerd.sock"
    assert "ContainerCheckpoint" not in str([documents["ClusterConfiguration"], documents["InitConfiguration"]])
    running = yaml.safe_load(host.file("/var/lib/kubelet/config.yaml").content_string)
    assert running["featureGates"] == {"ContainerCheckpoint": True} and running["maxPods"] == 64


def test_kubelet_runs(host):
    assert host.service("kubelet").is_running and host.service("kubelet").is_enabled
    assert host.check_output("python3 -c %s", ASK) == "ok"


ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:10248/healthz').read().decode())"


def test_the_kubeconfig_is_fetched_for_its_owner_only(host):
    path = state(host) / "fetched.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret-of-the-administrator" in path.read_text()
    assert "secret-of-the-administrator" not in (state(host) / "ansible.log").read_text()


def test_the_worker_joined_with_a_token_that_is_gone(host, name, calls):
    if name == "node1":
        made, removed = ([one for one in calls if one["argv"][:2] == ["token", word]] for word in ("create", "delete"))
        assert len(made) == len(removed) == 1 and ["--ttl", "15m0s"] == made[0]["argv"][2:4]
        assert json.loads(host.file("/var/lib/kubernetes-doubles/tokens.json").content_string) == {}
        return
    assert [one["argv"][0] for one in calls][:2] == ["config", "join"]
    assert calls[1]["config_mode"] == "0o600"
    assert not host.file("/etc/container-checkpoint/kubeadm-join.yaml").exists


def test_the_token_is_in_no_log_and_no_argument(host, name):
    if name != "node1":
        pytest.skip("the token was made on node1")
    token = host.file("/var/lib/kubernetes-doubles/last-token").content_string.strip()
    secret = token.partition(".")[2]
    assert len(secret) == 16
    log = (state(host) / "ansible.log").read_text()
    assert "Have a token made" in log and secret not in log
    assert secret not in host.check_output("journalctl --no-pager")
    assert secret not in host.file("/var/log/kubernetes-doubles/calls.jsonl").content_string
