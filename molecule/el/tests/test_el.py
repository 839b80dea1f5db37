# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles kernel, criu and container_runtime left on a node that calls itself AlmaLinux 9."""

from __future__ import annotations

import json
import tomllib


def ledger(host, name):
    """What a role added."""
    return json.loads(host.file(f"/var/lib/container-checkpoint/roles/{name}.json").content_string)


def test_kernel_lt_is_installed_and_the_one_that_is_booted(host):
    assert host.check_output("rpm --query kernel-lt") == "kernel-lt-6.12.57-1.el9.elrepo.x86_64"
    calls = host.file("/var/log/grubby-double.log").content_string.splitlines()
    assert calls.count("grubby --set-default /boot/vmlinuz-6.12.57-1.el9.elrepo.x86_64") == 1
    assert ledger(host, "kernel") == {"packages": ["kernel-lt"], "files": ["/etc/yum.repos.d/doubles.repo"]}


def test_the_node_was_rebooted_after_it(host):
    assert host.run("criu check --feature get_rseq_conf").rc == 0


def test_packages_went_through_dnf(host):
    assert ledger(host, "criu")["packages"] == ["iptables-nft", "tar"]
    assert ledger(host, "container_runtime")["packages"] == ["cri-o"]
    assert host.run("rpm --query cri-o").rc == 0


def test_crio_only_checkpoints(host):
    crio = tomllib.loads(host.check_output("crio status config"))["crio"]
    assert crio["checkpoint_restore"]["container_level_enabled"] == "checkpoint_only"
    assert crio["runtime"]["default_runtime"] == "runc"
    # Not asked to restore, so the signature policy of CRI-O's packages stays.
    assert crio["image"]["signature_policy"] == "/etc/crio/policy.json"


def test_kubernetes_packages_are_of_the_asked_version_and_excluded_from_upgrades(host):
    for name in ("kubelet", "kubeadm", "kubectl"):
        assert host.check_output(f"rpm --query --queryformat %{{VERSION}} {name}") == "1.36.1"
    text = host.file("/etc/yum.repos.d/container-checkpoint-kubernetes.repo").content_string
    assert "excludepkgs=kubelet kubeadm kubectl" in text.splitlines()
    # 1.36.2 is in the repository, and an ordinary upgrade does not see it.
    assert "kubelet" not in host.check_output("dnf --quiet check-update || test $? = 100")
    shown = host.check_output("dnf --quiet --setopt=disable_excludes=container-checkpoint-kubernetes check-update || test $? = 100")
    assert "1.36.2-150500.1.1" in shown
    assert ledger(host, "kubernetes_node")["packages"] == ["kubeadm", "kubectl", "kubelet"]
    assert host.service("kubelet").is_enabled


def test_options_of_criu(host):
    assert "tcp-close" in host.file("/etc/criu/runc.conf").content_string.splitlines()
