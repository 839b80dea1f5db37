# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_pair: what decides whether one node's checkpoint can be restored on another, and the matrix of many."""

from __future__ import annotations

import base64
import copy
import struct

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _cpu, _pair, _pair_needs

IMAGE = {"name": "image", "available": True, "enabled": True, "why": "it is on", "remedy": ""}
NO_IMAGE = {"name": "image", "available": True, "enabled": False, "why": "switched off", "remedy": ""}
HANDLER = {"name": "handler", "available": True, "enabled": True, "why": "it passes", "remedy": ""}
DIGEST = "sha256:" + "1" * 64


def node(*paths, **changes):
    facts = {
        "engine": "containerd",
        "engine_version": "2.1.9",
        "oci_runtime": {"name": "runc", "version": "1.3.6"},
        "criu_version": "4.2.1",
        "criu_config": ["tcp-close"],
        "kernel": "6.18.0",
        "arch": "x86_64",
        "lsm": "apparmor",
        "cgroup_version": 2,
        "cpu": {"vendor": "AuthenticAMD", "model": "EPYC", "flags": ["fpu", "sse2", "avx", "avx2"]},
    }
    facts.update(changes)
    return {"node": facts, "verdict": {"restore": "yes"}, "restore_paths": list(paths or (IMAGE,)), "reasons": []}


def ids(result, severity="error"):
    return [found["id"] for found in result["reasons"] if found["severity"] == severity]


def test_twins_fit():
    result = _pair.compare(node(), node())
    assert result["verdict"] == "yes" and result["reasons"] == []
    assert result["paths"] == [{"name": "image", "usable": True, "why": "it is on"}]


@pytest.mark.parametrize(
    "changes, name, severity",
    [
        ({"arch": "aarch64"}, "arch-differs", "error"),
        ({"kernel": "6.1.0"}, "kernel-older", "warning"),
        ({"criu_version": "3.19"}, "criu-older", "error"),
        ({"criu_version": "4.1.1"}, "criu-older", "warning"),
        ({"criu_config": []}, "criu-config-differs", "warning"),
        ({"oci_runtime": {"name": "crun", "version": "1.28"}}, "oci-runtime-differs", "error"),
        ({"oci_runtime": {"name": "runc", "version": "1.1.15"}}, "oci-runtime-older", "warning"),
        ({"engine_version": "2.0.1"}, "engine-older", "warning"),
        ({"lsm": ""}, "lsm-differs", "error"),
        ({"lsm": "selinux"}, "lsm-differs", "error"),
        ({"cgroup_version": 1}, "cgroup-version-differs", "warning"),
        ({"engine": "cri-o"}, "no-common-path", "error"),
    ],
)
def test_what_differs_is_named_with_both_sides(changes, name, severity):
    result = _pair.compare(node(), node(**changes))
    assert name in ids(result, severity), result["reasons"]
    found = next(one for one in result["reasons"] if one["id"] == name)
    assert found["remedy"] and found["affects"] == ["restore"]


@pytest.mark.parametrize("changes", [{"kernel": "6.19.1"}, {"criu_version": "4.3"}, {"engine_version": "2.2.1"}])
def test_newer_is_fine(changes):
    assert _pair.compare(node(), node(**changes))["verdict"] == "yes"


@pytest.mark.parametrize("missing", ["cpu", "lsm", "cgroup_version", "kernel", "criu_version", "oci_runtime", "engine"])
def test_what_one_of_them_does_not_say_is_not_compared(missing):
    lacking = node()
    del lacking["node"][missing]
    assert _pair.compare(node(), lacking)["verdict"] == "yes"
    assert _pair.compare(lacking, node())["verdict"] == "yes"


def test_the_handler_crosses_engines_and_switches():
    result = _pair.compare(node(), node(NO_IMAGE, HANDLER, engine="cri-o"))
    assert "no-common-path" not in ids(result)
    assert [path["usable"] for path in result["paths"]] == [False, True]


def test_a_target_that_cannot_restore_says_why():
    target = node(NO_IMAGE)
    target["reasons"] = [
        {
            "id": "no-restore-path",
            "severity": "error",
            "affects": ["restore"],
            "text": "no restore path",
            "remedy": "x",
        },
        {"id": "little-space", "severity": "error", "affects": ["checkpoint"], "text": "", "remedy": ""},
    ]
    assert ids(_pair.compare(node(), target)) == ["target-no-restore-path"]


def test_a_target_of_which_too_little_is_known_is_risky():
    target = node()
    target["verdict"]["restore"] = "unknown"
    assert ids(_pair.compare(node(), target), "warning") == ["target-unknown"]


def cpu(*flags, image=None, **changes):
    given = {"vendor": "AuthenticAMD", "model": "EPYC", "flags": ["fpu", *flags], "criu_image": image}
    given.update(changes)
    return node(cpu=given)


def test_cpus():
    assert ids(_pair.compare(cpu("avx512f"), cpu())) == ["cpu-registers"]
    assert ids(_pair.compare(cpu("sha_ni"), cpu()), "warning") == ["cpu-instructions"]
    assert _pair.compare(cpu("vmx", "md_clear", "hypervisor"), cpu())["verdict"] == "yes"
    assert _pair.compare(cpu(), cpu("avx512f"))["verdict"] == "yes"
    assert ids(_pair.compare(cpu(), cpu(vendor="GenuineIntel")), "warning") == ["cpu-vendor"]


def test_arm_flags_all_count():
    arm = node(cpu={"vendor": "0x41", "model": "0xd40", "flags": ["asimd", "sve", "lrcpc"]}, arch="aarch64")
    less = node(cpu={"vendor": "0x41", "model": "0xd40", "flags": ["asimd"]}, arch="aarch64")
    result = _pair.compare(arm, less)
    assert ids(result) == ["cpu-registers"] and ids(result, "warning") == ["cpu-instructions"]


def cpuinfo(mask):
    """What criu cpuinfo dump writes, as far as it matters: field 8 of the x86 entry."""

    def varint(value):
        data = b""
        while value > 0x7F:
            data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
        return data + bytes([value])

    x86 = bytes([8 << 3]) + varint(mask)
    entry = bytes([1 << 3 | 2]) + varint(len(x86)) + x86
    data = struct.pack("<II", 0x54564319, 0x61404013) + struct.pack("<I", len(entry)) + entry
    return base64.b64encode(data).decode()


def test_registers_by_criu_itself_where_flags_say_nothing():
    assert _cpu.frame_features({"criu_image": cpuinfo(0x2E7)}) == 0x2E7
    result = _pair.compare(cpu(image=cpuinfo(0x207)), cpu(image=cpuinfo(0x7)))
    assert ids(result) == ["cpu-registers"] and "PKRU" in result["reasons"][0]["text"]
    assert _pair.compare(cpu(image=cpuinfo(0x7)), cpu(image=cpuinfo(0x207)))["verdict"] == "yes"


@pytest.mark.parametrize("image", [None, "", "not base64!", base64.b64encode(b"\0" * 40).decode()])
def test_an_image_that_is_none_decides_nothing(image):
    assert _cpu.frame_features({"criu_image": image}) is None


def test_the_matrix_has_every_pair_and_why():
    rows = _pair.matrix({"a": node(), "b": node(kernel="6.1.0"), "c": node(arch="aarch64")})
    assert [row["source"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["targets"] == {"b": "risky", "c": "no"}
    assert rows[1]["targets"]["a"] == "yes"
    assert rows[0]["why"]["b"] == ["kernel-older"] and "arch-differs" in rows[0]["why"]["c"]


# -- what the container needs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "needs, given, name",
    [
        ({"base_image": "r/app@" + DIGEST}, {"images": ["r/app:1"], "pullable": False}, "base-image-missing"),
        ({"host_paths": ["/data"]}, {"host_paths": ["/srv"]}, "host-path-missing"),
        ({"claims": ["disk"]}, {"claims": []}, "claim-missing"),
        ({"service_account": "app"}, {"service_accounts": ["default"]}, "service-account-missing"),
        ({"host_access": ["hostPath"]}, {"pod_security": "restricted"}, "pod-security"),
        ({}, {"admission_error": "denied by policy"}, "admission-refuses"),
    ],
)
def test_needs(needs, given, name):
    assert ids(_pair.compare(node(), node(), needs, given)) == [name]
    assert _pair.compare(node(), node(), needs, {})["verdict"] == "yes"


def test_the_base_image_counts_by_digest():
    needs = {"base_image": "other/name@" + DIGEST}
    assert _pair.compare(node(), node(), needs, {"images": ["r/app@" + DIGEST]})["verdict"] == "yes"
    assert _pair.compare(node(), node(), needs, {"images": [], "pullable": True})["verdict"] == "yes"
    assert ids(_pair.compare(node(), node(), needs, {"images": []}), "warning") == ["base-image-missing"]
    crio = node(engine="cri-o")
    found = _pair.compare(copy.deepcopy(crio), crio, needs, {"images": [], "pullable": True})
    assert ids(found) == ["base-image-missing"]


def test_quota():
    quota = {
        "metadata": {"name": "q"},
        "status": {"hard": {"requests.memory": "4Gi", "pods": "10"}, "used": {"requests.memory": "3Gi", "pods": "2"}},
    }
    small, large = {"requests": {"memory": "512Mi"}}, {"requests": {"memory": "1500Mi"}}
    assert _pair.compare(node(), node(), small, {"quotas": [quota]})["verdict"] == "yes"
    assert ids(_pair.compare(node(), node(), large, {"quotas": [quota]})) == ["quota-exceeded"]
    quota["status"]["used"]["pods"] = "10"
    assert ids(_pair.compare(node(), node(), small, {"quotas": [quota]})) == ["quota-exceeded"]


@pytest.mark.parametrize(
    "text, value", [("500m", 0.5), ("2Gi", 2 << 30), ("1k", 1000), ("3", 3), ("1.5", 1.5), ("x", None), ("", None)]
)
def test_quantities(text, value):
    assert _pair_needs.quantity(text) == value


def test_needs_from_a_pod():
    pod = {
        "spec": {
            "serviceAccountName": "app",
            "hostNetwork": True,
            "volumes": [
                {"name": "a", "hostPath": {"path": "/data"}},
                {"name": "b", "persistentVolumeClaim": {"claimName": "disk"}},
                {"name": "unused", "hostPath": {"path": "/other"}},
            ],
            "containers": [
                {"name": "c", "volumeMounts": [{"name": "a"}, {"name": "b"}], "resources": {"requests": {"cpu": "1"}}}
            ],
        }
    }
    assert _pair_needs.needs_of(pod, "c", "img") == {
        "base_image": "img",
        "host_paths": ["/data"],
        "claims": ["disk"],
        "service_account": "app",
        "requests": {"cpu": "1"},
        "host_access": ["hostNetwork", "hostPath"],
    }
