# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_node_info and _node_info_assess: nodes of every kind, from nothing installed to switched-off restore."""

from __future__ import annotations

import base64
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_assess as assess
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_kernel as kernel_reader
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_handler
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import DeadlineError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info import (
    Inspector,
    System,
    with_scratch,
)

CRICTL = "Version:  0.1.0\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  v1\n"
CONTAINERD_DUMP = """
version = 3
[plugins]
  [plugins.'io.containerd.cri.v1.runtime']
    %s
    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'
          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
"""
FEATURES = json.dumps({"annotations": {"org.opencontainers.runc.checkpoint.enabled": "true"}})
CONTAINERD = "/run/containerd/containerd.sock"


class Node:
    """A node: commands and their answers, files, sockets."""

    def __init__(self, commands=None, files=None, kernel="6.1.0-35-amd64", root=True, free=50 << 30):
        self.commands = commands or {}
        self.files = files or {}
        self.system = System(root, kernel, "x86_64", lambda path: path in self.files, self.files.get, lambda path: free)

    def find(self, name):
        return "/usr/bin/" + name if any(command.split()[0] == name for command in self.commands) else None

    def run(self, argv, timeout):
        line = " ".join([argv[0].split("/")[-1]] + list(argv[1:]))
        line = line.replace("crictl --runtime-endpoint unix://%s --timeout 30s" % CONTAINERD, "crictl")
        answer = self.commands.get(line, (127, "", "unexpected command: %s" % line))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def facts(self, configz=None, wanted=1 << 30, **more):
        return Inspector(self.run, self.find, self.system).gather(
            "/var/lib/kubelet/checkpoints", wanted, configz, **more
        )

    def judge(self, **options):
        return assess.assess(self.facts(**options))


def commands(version="2.1.9", setting="", engine="containerd", criu="4.2.1", **more):
    table = {
        "crictl version": (0, CRICTL % (engine, version), ""),
        "containerd config dump": (0, CONTAINERD_DUMP % setting, ""),
        "runc --version": (0, "runc version 1.3.6\ncommit: x\n", ""),
        "runc features": (0, FEATURES, ""),
        "criu --version": (0, "Version: %s\nGitID: v%s\n" % (criu, criu), ""),
        "criu check": (0, "Looks good.\n", ""),
        "criu check --feature get_rseq_conf": (0, "get_rseq_conf is supported\n", ""),
        "kubelet --version": (0, "Kubernetes v1.36.2\n", ""),
        "iptables-restore": (0, "", ""),
    }
    table.update(more)
    return table


FILES = {CONTAINERD: "", "/etc/criu/runc.conf": "# ours\ntcp-close\nskip-in-flight\n"}


def ids(result, severity=None):
    return [reason["id"] for reason in result["reasons"] if severity in (None, reason["severity"])]


def reason(result, name):
    return next(entry for entry in result["reasons"] if entry["id"] == name)


def path(result, name):
    return next(entry for entry in result["restore_paths"] if entry["name"] == name)


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


def test_no_criu_configuration_at_all():
    files = {CONTAINERD: ""}
    assert "tcp-not-closed" in ids(Node(commands(), files).judge(), "info")


KERNEL_CONFIG = "".join(
    "CONFIG_%s=%s\n" % (name, "my"[i % 2]) for i, name in enumerate(kernel_reader.REQUIRED + kernel_reader.WANTED)
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


# -- OCI runtimes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more, words",
    [
        ({"runc features": (0, FEATURES.replace("true", "false"), "")}, "says checkpoint.enabled is false"),
        (
            {"runc features": (1, "", ""), "runc checkpoint --help": (3, "", "No help topic")},
            "'/usr/bin/runc checkpoint --help' fails",
        ),
    ],
)
def test_runc_without_criu(more, words):
    result = Node(commands(**more), FILES).judge()
    assert words in reason(result, "oci-runtime-without-criu")["text"]
    assert result["verdict"]["checkpoint"] == "no"


def test_an_old_runc_is_asked_for_its_command():
    node = Node(commands(**{"runc features": (1, "", ""), "runc checkpoint --help": (0, "NAME:", "")}), FILES)
    assert node.facts()["oci_runtime"]["criu"] is True


CRIO_CONFIG = """
[crio]
[crio.runtime]
default_runtime = "%s"
# enable_criu_support = true
[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
[crio.image]
%s
[crio.checkpoint_restore]
%s
"""


def crio(version="1.36.6", runtime="runc", image="", level="", **more):
    table = commands(version, engine="cri-o", **more)
    table["crio config"] = (0, CRIO_CONFIG % (runtime, image, level), "")
    table.setdefault(
        "crun --version", (0, "crun version 1.28\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU +YAJL\n", "")
    )
    table.setdefault("ldconfig -p", (0, "libcriu.so.2 (libc6,x86-64) => /lib/libcriu.so.2\n", ""))
    return Node(table, {"/run/containerd/containerd.sock": "", "/etc/criu/runc.conf": "tcp-close\n"})


@pytest.mark.parametrize(
    "options, enabled, words",
    [
        ({"version": "1.36.3"}, True, "and it is on"),
        ({"version": "1.36.6"}, False, "switched off"),
        ({"level": '# container_level_enabled = "checkpoint_only"'}, False, "switched off"),
        ({"level": 'container_level_enabled = "checkpoint_restore"'}, True, "and it is on"),
        ({"version": "1.36.3", "image": 'signature_policy = "/etc/crio/policy.json"'}, False, "refuses every restore"),
        ({"version": "1.24.0"}, False, "not yet built"),
    ],
)
def test_the_image_path_of_crio(options, enabled, words):
    image = path(crio(**options).judge(), "image")
    assert image["enabled"] is enabled and words in image["why"]


def test_crio_with_level_none_can_do_nothing():
    result = crio(level='container_level_enabled = "none"').judge()
    assert result["verdict"] == {"checkpoint": "no", "restore": "no"}
    assert "criu-switched-off" in ids(result)


def test_crun_without_libcriu():
    result = crio(runtime="crun", **{"ldconfig -p": (0, "libc.so.6\n", "")}).judge()
    assert "libcriu is not installed" in reason(result, "oci-runtime-without-criu")["text"]


def test_crun_with_everything_is_still_a_risk():
    result = crio(version="1.36.3", runtime="crun").judge()
    assert result["verdict"]["restore"] == "risky" and "crun" in ids(result, "warning")


# -- the restore handler ---------------------------------------------------------------------------------------------

HANDLED = """BinaryName = ''
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.restore]
          runtime_type = 'io.containerd.runc.v2'
          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.restore.options]
            BinaryName = '%s/runtime'""" % _restore_handler.HANDLER_DIR


@pytest.mark.parametrize(
    "status, enabled, words",
    [
        (None, False, "has not reported yet"),
        ('{"state": "passing", "version": "1"}', True, "installed as runtime 'restore' and passes"),
        ('{"state": "failing", "why": "runc is too old"}', False, "does not pass: runc is too old"),
        ("nonsense", False, "is not a JSON object"),
        ("[]", False, "is not a JSON object"),
    ],
)
def test_the_handler_counts_only_when_it_passes(status, enabled, words):
    table = commands("2.4.0")
    table["containerd config dump"] = (0, (CONTAINERD_DUMP % "").replace("BinaryName = ''", HANDLED), "")
    files = dict(FILES)
    if status is not None:
        files[_restore_handler.HANDLER_STATUS] = status
    result = Node(table, files).judge()
    found = path(result, "handler")
    assert (found["available"], found["enabled"]) == (True, enabled) and words in found["why"]
    assert (result["verdict"]["restore"] == "no") is not enabled


def test_no_handler():
    found = path(Node(commands(), FILES).judge(), "handler")
    assert (found["available"], found["enabled"], found["remedy"]) == (False, False, "role restore_handler")


# -- what pod_restore asks about a target of which it knows only the version -----------------------------------------


@pytest.mark.parametrize(
    "engine, version, expected",
    [
        ("containerd", "2.1.9", (True, True)),
        ("containerd", "2.3.4", (True, None)),
        ("containerd", "2.4.0", (False, False)),
        ("cri-o", "1.36.6", (True, None)),
        ("docker", "28.0.0", (False, False)),
        (None, None, (False, False)),
    ],
)
def test_the_image_path_without_a_configuration(engine, version, expected):
    found = assess.image_path(engine, version, None)
    assert (found["available"], found["enabled"]) == expected
