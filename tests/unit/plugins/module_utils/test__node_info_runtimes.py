# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_node_info_assess: the OCI runtimes, CRI-O, the restore handler, and what is known of a runtime by its version alone."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_assess as assess
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_handler
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.infonode import (
    CONTAINERD_DUMP,
    FEATURES,
    FILES,
    Node,
    commands,
    ids,
    path,
    reason,
)

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


@pytest.mark.parametrize("answer, name", [("runc version 1.3.6\ncommit: x\n", "runc"), ("a wrapper 1.3.6\n", "container-checkpoint-runc")])
def test_a_runtime_is_called_as_it_calls_itself(answer, name):
    """The restore handler as default runtime is runc to whoever compares two nodes."""
    front = "/usr/local/libexec/container-checkpoint/container-checkpoint-runc"
    table = commands(**{"container-checkpoint-runc --version": (0, answer, ""), "container-checkpoint-runc features": (0, FEATURES, "")})
    table["containerd config dump"] = (0, (CONTAINERD_DUMP % "").replace("BinaryName = ''", "BinaryName = '%s'" % front), "")
    runtime = Node(table, {**FILES, front: ""}).facts()["oci_runtime"]
    assert (runtime["name"], runtime["path"], runtime["version"], runtime["criu"]) == (name, front, "1.3.6", True)


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


def test_the_running_crio_outranks_its_files():
    """Started without CRIU, it has switched itself off, whatever the files say."""
    running = '[crio]\n  [crio.runtime]\n    default_runtime = "runc"\n    enable_criu_support = false\n'
    table = {"crio status config": (0, running, "")}
    assert "criu-switched-off" not in ids(crio(version="1.36.3").judge())
    result = crio(version="1.36.3", **table).judge()
    assert result["verdict"]["checkpoint"] == "no"
    assert "looks for criu only when it starts" in reason(result, "criu-switched-off")["remedy"]


def test_conmon_rs_cannot_checkpoint():
    running = CRIO_CONFIG % ("runc", "", "")
    result = crio(version="1.36.3", **{"crio status config": (0, running, "")}).judge()
    assert "conmon-rs" not in ids(result)
    pod = running.replace("libexec/crio/runc\"", "libexec/crio/runc\"\nruntime_type = \"pod\"")
    result = crio(version="1.36.3", **{"crio status config": (0, pod, "")}).judge()
    assert result["verdict"] == {"checkpoint": "no", "restore": "no"}
    assert 'runtime_type = "pod"' in reason(result, "conmon-rs")["text"]


@pytest.mark.parametrize(
    "version, setting, named",
    [("1.25.4", "", True), ("1.25.4", "drop_infra_ctr = true", True), ("1.25.4", "drop_infra_ctr = false", False), ("1.26.0", "", False)],
)
def test_crio_1_25_needs_the_infra_container(version, setting, named):
    running = '[crio.runtime]\ndefault_runtime = "runc"\nenable_criu_support = true\n%s\n' % setting
    result = crio(version=version, **{"crio status config": (0, running, "")}).judge()
    assert ("infra-container-dropped" in ids(result, "error")) is named


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
