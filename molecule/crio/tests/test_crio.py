# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles container_runtime (provider crio) and kernel left on nodes with doubles."""

from __future__ import annotations

import json
import tomllib

import pytest

DROPIN = "/etc/crio/crio.conf.d/50-container-checkpoint.conf"


@pytest.fixture
def node1(host):
    """The node with CRI-O."""
    if host.ansible.get_variables()["inventory_hostname"] != "node1":
        pytest.skip("not the node with CRI-O")
    return host


@pytest.fixture
def node2(host):
    """The node with another kernel."""
    if host.ansible.get_variables()["inventory_hostname"] != "node2":
        pytest.skip("not the node with the kernel")
    return host


def test_drop_in_has_both_generations_of_keys(node1):
    crio = tomllib.loads(node1.file(DROPIN).content_string)["crio"]
    assert crio["runtime"]["enable_criu_support"] is True
    assert crio["checkpoint_restore"] == {"container_level_enabled": "checkpoint_restore"}
    assert crio["runtime"]["default_runtime"] == "runc"
    assert crio["runtime"]["drop_infra_ctr"] is False


def test_settings_are_in_effect_in_the_running_service(node1):
    crio = tomllib.loads(node1.check_output("crio status config"))["crio"]
    assert crio["checkpoint_restore"]["container_level_enabled"] == "checkpoint_restore"
    assert crio["image"]["signature_policy"] == ""
    assert crio["image"]["pause_image"] == "registry.example.com/pause:3.10"
    assert crio["runtime"]["log_level"] == "info"


def test_runc_is_under_conmon_which_can_checkpoint(node1):
    runtimes = tomllib.loads(node1.check_output("crio status config"))["crio"]["runtime"]["runtimes"]
    assert runtimes["runc"] == {
        "runtime_path": "/usr/libexec/crio/runc",
        "runtime_root": "/run/runc",
        "runtime_type": "oci",
        "monitor_path": "/usr/libexec/crio/conmon",
    }
    assert runtimes["crun"]["runtime_type"] == "pod", "another runtime was touched"


def test_files_of_others_are_untouched_and_in_effect(node1):
    text = node1.file("/etc/crio/crio.conf.d/20-by-hand.conf").content_string
    assert text == "# written by hand\n[crio.runtime]\npids_limit = 4096\n"
    assert 'default_runtime = "crun"' in node1.file("/etc/crio/crio.conf.d/10-crio.conf").content_string
    assert tomllib.loads(node1.check_output("crio status config"))["crio"]["runtime"]["pids_limit"] == 4096


def test_service_runs_at_boot_and_was_restarted_only_when_something_changed(node1):
    service = node1.service("crio")
    assert service.is_running and service.is_enabled
    # The first start, and the restart for the drop-in; the second run of the role added none.
    starts = [line for line in node1.file("/var/log/crio-double.log").content_string.splitlines() if line == "crio"]
    assert 1 <= len(starts) <= 2, starts


def test_ledger_and_repository(node1):
    ledger = json.loads(node1.file("/var/lib/container-checkpoint/roles/container_runtime.json").content_string)
    assert ledger == {"packages": ["cri-o"], "files": ["/etc/apt/sources.list.d/doubles.sources"]}
    assert "URIs: file:///srv/packages" in node1.file("/etc/apt/sources.list.d/doubles.sources").content_string


def test_the_kernel_was_installed_by_the_package_manager_and_booted(node2):
    assert node2.package("linux-image-amd64").version == "6.12.57-1"
    installed_in = node2.file("/var/lib/kernel-double/installed-in").content_string.strip()
    assert installed_in != node2.file("/proc/sys/kernel/random/boot_id").content_string.strip(), "not rebooted"
    assert node2.file("/var/log/kernel-double.log").content_string == "postinst configure \n"


def test_criu_was_asked_before_and_after(node2):
    asked = node2.file("/var/log/criu-double.log").content_string.splitlines()
    assert asked.count("criu check --feature get_rseq_conf") >= 3


def test_hooks_ran_around_the_reboot_once(node2):
    assert node2.file("/var/log/hooks.log").content_string.splitlines() == ["drain", "uncordon"]
