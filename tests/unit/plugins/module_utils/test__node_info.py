# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_node_info and _node_info_assess: whole nodes, from nothing installed to switched-off restore."""

from __future__ import annotations

import base64
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_assess as assess
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_kernel as kernel_reader
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import DeadlineError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info import Inspector, with_scratch
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.infonode import (
    CONTAINERD,
    FILES,
    Node,
    commands,
    ids,
    path,
    reason,
)

# -- whole nodes -----------------------------------------------------------------------------------------------------


def test_a_node_with_nothing_installed_gives_a_clean_report():
    node = Node()
    facts, result = node.facts(), node.judge()
    assert (facts["engine"], facts["criu_version"], facts["oci_runtime"]["path"], facts["config"]) == (
        None,
        None,
        None,
        None,
    )
    assert result["verdict"] == {"checkpoint": "no", "restore": "no"}
    assert ids(result, "error") == ["no-engine", "no-criu", "no-restore-path"]
    assert json.dumps(result) and json.dumps(facts)


def test_containerd_that_restores_without_a_switch():
    node = Node(commands("2.1.9"), FILES)
    facts, result = node.facts(), node.judge()
    assert facts["engine_version"] == "2.1.9" and facts["oci_runtime"]["version"] == "1.3.6"
    assert facts["criu_config"] == ["skip-in-flight", "tcp-close"]
    assert path(result, "image")["enabled"] is True
    assert result["verdict"] == {"checkpoint": "yes", "restore": "risky"}
    assert ids(result) == ["cve-2026-95837", "restore-is-on"]


@pytest.mark.parametrize(
    "version, setting, available, enabled, words",
    [
        ("2.0.5", "", False, False, "cannot restore from a checkpoint image: not yet built"),
        ("2.2.6", "", True, True, "and it is on"),
        ("2.2.7", "", True, False, "switched off in the configuration of containerd 2.2.7"),
        ("2.3.4", "enable_experimental_restore_via_create = false", True, False, "switched off"),
        ("2.3.4", "enable_experimental_restore_via_create = true", True, True, "and it is on"),
        (
            "2.3.4",
            "enable_experimental_restore_via_create = true\n    enable_criu = false",
            True,
            False,
            "CRIU is switched off",
        ),
        ("2.4.0-beta.0", "enable_experimental_restore_via_create = true", False, False, "removed in 2.4"),
        ("1.7.24", "", False, False, "not yet built"),
    ],
)
def test_the_image_path_by_version_and_switch(version, setting, available, enabled, words):
    result = Node(commands(version, setting), FILES).judge()
    image = path(result, "image")
    assert (image["available"], image["enabled"]) == (available, enabled)
    assert words in image["why"]
    assert bool(image["remedy"]) is not enabled
    assert (result["verdict"]["restore"] == "no") is not enabled
    if not enabled:
        assert image["why"] in reason(result, "no-restore-path")["text"]


def test_switched_off_restore_leaves_checkpoint_alone_and_says_what_to_set():
    result = Node(commands("2.3.4"), FILES).judge()
    assert result["verdict"] == {"checkpoint": "yes", "restore": "no"}
    assert "enable_experimental_restore_via_create = true" in reason(result, "no-restore-path")["remedy"]


def test_containerd_1_7_cannot_checkpoint():
    result = Node(commands("1.7.24"), FILES).judge()
    assert result["verdict"]["checkpoint"] == "no"
    assert reason(result, "engine-too-old")["remedy"] == "use containerd 2.0 or later"


def test_an_installed_engine_that_does_not_answer_is_still_described():
    table = commands()
    table["crictl version"] = (1, "", "connect: no such file or directory")
    table["containerd --version"] = (0, "containerd github.com/containerd/containerd/v2 2.1.9~ds1 2.1.9~ds1-1\n", "")
    node = Node(table, FILES)
    assert (node.facts()["engine"], node.facts()["engine_version"]) == ("containerd", "2.1.9~ds1")
    result = node.judge()
    assert "no such file or directory" in reason(result, "cri-silent")["text"]
    assert result["verdict"]["checkpoint"] == "risky"


def test_a_program_that_hangs_is_a_fact_and_no_failure():
    table = commands(**{"criu check": DeadlineError("'criu check' did not finish within 60 s and was ended")})
    facts = Node(table, FILES).facts()
    assert facts["criu_check"]["rc"] is None and "did not finish" in facts["criu_check"]["text"]


@pytest.mark.parametrize(
    "kernel, criu, expected, verdict",
    [
        ("6.18.0", "4.0", "criu-older-than-kernel", "no"),
        ("7.2.1", "4.2", "criu-older-than-kernel", "no"),
        ("7.2.1", "4.2.1", "kernel-unproven", "risky"),
        ("6.12.0", "3.15", "criu-too-old", "no"),
    ],
)
def test_kernel_and_criu_must_fit(kernel, criu, expected, verdict):
    result = Node(commands(criu=criu), FILES, kernel=kernel).judge()
    assert expected in ids(result)
    assert result["verdict"]["checkpoint"] == verdict


def test_bookworms_criu_on_a_new_kernel_fails_its_own_check():
    table = commands(
        criu="3.17.1", **{"criu check": (1, "", "Error (criu/vdso.c:654): Unexpected rt vDSO area bounds\n")}
    )
    result = Node(table, FILES, kernel="6.18.44").judge()
    assert "Unexpected rt vDSO area bounds" in reason(result, "criu-check-fails")["text"]


@pytest.mark.parametrize(
    "answer, kernel, present",
    [
        ((1, "", "get_rseq_conf is not supported\n"), "5.10.0", True),
        ((0, "get_rseq_conf is supported\n", ""), "4.18.0-553.el8", False),
        ((1, "", "Error (criu/cr-check.c:1): Unknown feature: get_rseq_conf\n"), "5.10.0", True),
        ((1, "", "Error (criu/cr-check.c:1): Unknown feature: get_rseq_conf\n"), "5.14.0", False),
    ],
)
def test_the_rseq_feature_outranks_the_kernels_number(answer, kernel, present):
    result = Node(commands(**{"criu check --feature get_rseq_conf": answer}), FILES, kernel=kernel).judge()
    assert ("kernel-without-rseq" in ids(result)) is present


def test_without_root_the_verdict_is_unknown():
    result = Node(commands(), FILES, root=False).judge()
    assert result["verdict"] == {"checkpoint": "unknown", "restore": "unknown"}
    assert reason(result, "not-root")["remedy"] == "become: true"


def test_little_space_is_a_warning():
    result = Node(commands(), FILES, free=100 << 20).judge()
    assert reason(result, "little-space")["text"] == "/var/lib/kubelet/checkpoints has 100 MiB free, less than 1024 MiB"


@pytest.mark.parametrize(
    "version, configz, off",
    [
        ("1.29.6", None, True),
        ("1.29.6", {"featureGates": {"ContainerCheckpoint": True}}, False),
        ("1.36.2", None, False),
        ("1.36.2", {"kubeletconfig": {"featureGates": {"ContainerCheckpoint": False}}}, True),
        ("1.36.2", {"kubeletconfig": {"enableDebuggingHandlers": False}}, True),
        ("1.24.17", {"featureGates": {"ContainerCheckpoint": True}}, True),
    ],
)
def test_the_kubelets_gate(version, configz, off):
    table = commands(**{"kubelet --version": (0, "Kubernetes v%s\n" % version, "")})
    result = Node(table, FILES).judge(configz=configz)
    assert ("kubelet-gate" in ids(result)) is off
    assert (result["verdict"]["checkpoint"] == "no") is off


def test_no_iptables_and_no_other_lock():
    table = commands()
    del table["iptables-restore"]
    assert "no-network-lock" in ids(Node(table, FILES).judge())
    files = dict(FILES, **{"/etc/criu/runc.conf": "tcp-close\nnetwork-lock nftables\n"})
    assert "no-network-lock" not in ids(Node(table, files).judge())


def test_a_lock_that_is_asked_for_needs_its_program():
    table = commands()
    del table["iptables-restore"]
    files = dict(FILES, **{"/etc/criu/runc.conf": "tcp-close\nnetwork-lock nftables\nnetwork-lock iptables # the last one counts\n"})
    node = Node(table, files)
    assert node.facts()["criu_network_lock"] == "iptables"
    assert "no-network-lock" in ids(node.judge())


def test_without_tar_no_tmpfs_can_be_taken_along():
    table = commands()
    del table["tar"]
    result = Node(table, FILES).judge()
    assert "role criu" in reason(result, "no-tar")["remedy"] and result["verdict"]["checkpoint"] == "risky"


def test_no_criu_configuration_at_all():
    files = {CONTAINERD: ""}
    assert "tcp-not-closed" in ids(Node(commands(), files).judge(), "info")


KERNEL_CONFIG = "".join(
    "CONFIG_%s=%s\n" % (name, "my"[i % 2])
    for i, name in enumerate(kernel_reader.REQUIRED + kernel_reader.WANTED + ("NF_TABLES",))
)


def test_kernel_options_are_read_and_named_when_missing():
    files = dict(FILES, **{"/boot/config-6.1.0-35-amd64": KERNEL_CONFIG})
    facts = Node(commands(), files).facts()
    assert facts["kernel_options"] == {
        "known": True,
        "source": "/boot/config-6.1.0-35-amd64",
        "missing": [],
        "missing_wanted": [],
    }
    text = KERNEL_CONFIG.replace("CONFIG_UNIX_DIAG=", "# CONFIG_UNIX_DIAG is not set ")
    poor = dict(FILES, **{"/proc/config.gz": text})
    # CRIU's own check outranks the list ...
    result = Node(commands(), poor).judge()
    assert reason(result, "kernel-lacks-options")["severity"] == "info"
    assert result["verdict"]["checkpoint"] == "yes"
    # ... and without CRIU the list decides.
    table = {name: answer for name, answer in commands().items() if not name.startswith("criu")}
    result = Node(table, poor).judge()
    assert "without CONFIG_UNIX_DIAG (/proc/config.gz)" in reason(result, "kernel-lacks-options")["text"]
    assert reason(result, "kernel-lacks-options")["severity"] == "error"


@pytest.mark.parametrize("there, missing", [("NF_TABLES", []), ("NETFILTER_XT_MARK", []), ("OTHER", ["NETFILTER_XT_MARK or NF_TABLES"])])
def test_one_of_the_ways_to_hold_the_network_still_is_enough(there, missing):
    text = KERNEL_CONFIG.replace("CONFIG_NF_TABLES=", "CONFIG_%s=" % there)
    facts = Node(commands(), dict(FILES, **{"/proc/config.gz": text})).facts()
    assert facts["kernel_options"]["missing_wanted"] == missing and facts["kernel_options"]["missing"] == []


def test_an_old_kernel_without_criu_counts_by_its_number():
    table = {name: answer for name, answer in commands().items() if not name.startswith("criu")}
    assert "kernel-old" in ids(Node(table, FILES, kernel="5.10.0").judge(), "error")
    assert "kernel-old" not in ids(Node(table, FILES, kernel="5.13.0").judge())
    assert "kernel-old" not in ids(Node(commands(), FILES, kernel="4.18.0-553.el8").judge())


def test_a_part_can_be_looked_at_alone():
    node = Node(commands("1.7.24", criu="3.15"), FILES)
    facts = node.facts(subset=["criu"])
    assert facts["criu_version"] == "3.15" and "engine" not in facts
    result = assess.assess(facts)
    assert result["restore_paths"] == [] and ids(result, "error") == ["criu-too-old"]


def test_more_features_can_be_asked_for():
    table = commands(
        **{"criu check --feature network_lock_nftables": (1, "network_lock_nftables is not supported", "")}
    )
    result = assess.assess(Node(table, FILES).facts(features=["network_lock_nftables"]))
    assert "network_lock_nftables" in reason(result, "criu-lacks-feature")["text"]
    assert result["verdict"]["checkpoint"] == "risky"


@pytest.mark.parametrize(
    "text, off",
    [
        ("kind: KubeletConfiguration\nfeatureGates:\n  ContainerCheckpoint: false\n  Other: true\n", True),
        ("featureGates: {Other: true, ContainerCheckpoint: false}\n", True),
        ("featureGates:\n  # ContainerCheckpoint: false\n  Other: true\n", False),
        ("featureGates:\n  ContainerCheckpoint: true\n", False),
        ("other:\n  ContainerCheckpoint: false\n", False),
        ("enableDebuggingHandlers: false\n", True),
        ("", False),
    ],
)
def test_the_kubelets_file_counts_where_it_was_not_asked(text, off):
    files = dict(FILES, **{"/var/lib/kubelet/config.yaml": text})
    node = Node(commands(), files)
    assert ("kubelet-gate" in ids(node.judge())) is off
    assert "kubelet-gate" not in ids(node.judge(configz={"featureGates": {}, "enableDebuggingHandlers": True}))
    assert node.facts()["kubelet_config_from"] == "/var/lib/kubelet/config.yaml"


def test_a_kubelet_that_was_asked_and_did_not_tell_is_a_reason():
    facts = dict(Node(commands(), FILES).facts(), kubelet_why="connection refused")
    assert "connection refused" in reason(assess.assess(facts), "kubelet-silent")["text"]


CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: sse avx2 avx\n\nprocessor\t: 1\nflags\t: none\n"


def test_what_the_cpu_can_do():
    facts = Node(commands(), dict(FILES, **{"/proc/cpuinfo": CPUINFO})).facts()
    assert facts["cpu"] == {
        "vendor": "GenuineIntel",
        "model": "Xeon",
        "flags": ["avx", "avx2", "sse"],
        "criu_image": None,
    }


def test_crius_own_description_of_the_cpu(tmp_path):
    def dump(argv, timeout):
        if "cpuinfo" in argv:
            (tmp_path / "cpuinfo.img").write_bytes(b"image")
            return 0, "", ""
        return 0, "Version: 4.2.1\n", ""

    node = Node({"criu cpuinfo": (0, "", "")}, {"/proc/cpuinfo": CPUINFO})
    system = node.system._replace(scratch=lambda use: use(str(tmp_path)))
    facts = Inspector(dump, node.find, system).gather("/x", 0, subset=["cpu"])
    assert base64.b64decode(facts["cpu"]["criu_image"]) == b"image"


def test_the_scratch_directory_is_gone_afterwards():
    seen = []
    assert with_scratch(lambda path: seen.append(path) or b"x") == b"x"
    assert not os.path.exists(seen[0])
