# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet double asks of the runtime and tells the API, against what a real kubelet did (data/*.json)."""

from __future__ import annotations

import datetime
import json
import os
import types
import typing as t

import pytest

from doubles_testkit import data
from kubeletdouble import spec, status
from kubeletdouble.images import FIRST_BACKOFF, Backoff, credentials
from kubeletdouble.volumes import write_atomically

POD = json.loads(data("kubelet-pods.json"))["items"][0]
INSPECT = json.loads(data("inspect-started-fresh.json"))
FAILED = json.loads(data("pod-restore-failed.json"))


def full(value: t.Any) -> t.Any:
    """Without what protobuf's JSON leaves out: empty strings, lists, zeros, false."""
    if isinstance(value, dict):
        kept = {key: full(entry) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry not in ("", [], 0, False, None)}
    return [full(entry) for entry in value] if isinstance(value, list) else value


def test_container_configuration_is_the_real_kubelets() -> None:
    recorded = INSPECT["info"]["config"]
    container = POD["spec"]["containers"][0]
    # what is random or of that cluster: the mounts' places and the service's variables
    mounts = recorded["mounts"]
    environment = [(entry["key"], entry["value"]) for entry in recorded["envs"]]
    made = full(
        spec.container_config(
            POD, container, 0, recorded["image"]["image"], {"uid": None, "username": ""}, mounts, environment
        )
    )
    wanted = json.loads(json.dumps(recorded))
    assert len(made["annotations"].pop("io.kubernetes.container.hash")) <= 8
    del wanted["annotations"]["io.kubernetes.container.hash"]
    assert (
        made["linux"]["security_context"].pop("run_as_user")
        == wanted["linux"]["security_context"].pop("run_as_user")
        == {}
    )
    assert made == full(wanted)


def test_sandbox_of_a_host_network_pod_has_no_name_of_its_own() -> None:
    pod = {**POD, "spec": {**POD["spec"], "hostNetwork": True}}
    made = spec.sandbox_config(pod, 0, False, {})
    assert (made["hostname"], made["linux"]["security_context"]["namespace_options"]["network"]) == ("", spec.NODE)
    usual = spec.sandbox_config(POD, 3, False, {})
    assert (usual["hostname"], usual["metadata"]["attempt"]) == ("py", 3)
    assert usual["log_directory"] == os.path.dirname(os.path.dirname(INSPECT["status"]["logPath"]))


@pytest.mark.parametrize(
    ("systemd", "wanted"),
    [
        (False, "/kubepods/besteffort/pod5550bf3a-2a9f-4fee-a4fe-359c3ce50cbc"),
        (True, "kubepods-besteffort-pod5550bf3a_2a9f_4fee_a4fe_359c3ce50cbc.slice"),
    ],
)
def test_cgroup_of_the_pod(systemd: bool, wanted: str) -> None:
    assert spec.cgroup_parent(POD, systemd) == wanted


def test_security_context_and_resources() -> None:
    container = {
        "securityContext": {
            "runAsUser": 1000,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        },
        "resources": {"limits": {"memory": "20Mi", "cpu": "500m"}},
    }
    made = spec.security_context(POD, container, {})
    assert (made["run_as_user"], made["no_new_privs"], made["readonly_rootfs"]) == ({"value": 1000}, True, True)
    assert made["capabilities"] == {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["ALL"]}
    have = spec.resources(container, "Burstable")
    assert (have["memory_limit_in_bytes"], have["cpu_quota"], have["cpu_shares"]) == (20 * 2**20, 50000, 512)
    privileged = spec.security_context(POD, {"securityContext": {"privileged": True}}, {})
    assert privileged["privileged"] and "masked_paths" not in privileged
    with pytest.raises(spec.SpecError, match="will run as root"):
        spec.security_context(POD, {"securityContext": {"runAsNonRoot": True}}, {})


def test_expansion_of_variables() -> None:
    assert spec.expand("$(A) $$(A) $(B) $A", {"A": "1"}) == "1 $(A) $(B) $A"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("a/b:1", "docker.io/a/b:1"),
        ("localhost/x", "localhost/x:latest"),
        ("base.lab:5001/x@sha256:00", "base.lab:5001/x@sha256:00"),
    ],
)
def test_image_names(name: str, wanted: str) -> None:
    assert spec.normalised(name) == wanted


@pytest.mark.parametrize("name", ["/etc/passwd", "a b", ""])
def test_what_is_no_image_name(name: str) -> None:
    with pytest.raises(spec.SpecError, match="invalid reference format"):
        spec.normalised(name)


def test_pull_credentials_for_the_registry_only() -> None:
    config = json.dumps(
        {
            "auths": {
                "checkpoints.lab:5000": {"auth": "bGFiOnNlY3JldA=="},
                "https://other": {"username": "u", "password": "p"},
            }
        }
    )
    found = credentials([config.encode()], "checkpoints.lab:5000/x:1")
    assert [(entry["username"], entry["password"]) for entry in found] == [("lab", "secret")]
    assert credentials([config.encode()], "base.lab:5001/x:1") == []


def test_back_off_doubles() -> None:
    backoff = Backoff()
    assert backoff.left("x") == 0
    backoff.failed("x")
    assert FIRST_BACKOFF - 1 < backoff.left("x") <= FIRST_BACKOFF
    backoff.failed("x")
    assert backoff.delay("x") == 2 * FIRST_BACKOFF
    backoff.forget("x")
    assert backoff.left("x") == 0


def test_volume_has_the_kubelets_links(tmp_path: t.Any) -> None:
    write_atomically(str(tmp_path / "v"), {"token": b"abc", "deep/er": b"x"}, 0o600)
    assert (tmp_path / "v" / "token").read_bytes() == b"abc"
    assert os.readlink(tmp_path / "v" / "token") == "..data/token"
    assert (tmp_path / "v" / "deep" / "er").read_bytes() == b"x"


# --- status


def nanoseconds(text: str) -> int:
    return (
        int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp())
        * 10**9
    )


def as_the_runtime_said(recorded: dict) -> types.SimpleNamespace:
    """The CRI status behind a container status that ended."""
    ended = recorded["lastState"]["terminated"]
    return types.SimpleNamespace(
        id=recorded["containerID"].partition("://")[2],
        state=status.EXITED,
        exit_code=ended["exitCode"],
        finished_at=nanoseconds(ended["finishedAt"]),
        started_at=0,
        message=ended["message"],
        reason=ended["reason"],
        image=types.SimpleNamespace(image=recorded["image"]),
        image_ref=recorded["imageID"],
        annotations={"io.kubernetes.container.restartCount": str(recorded["restartCount"])},
        HasField=lambda _name: True,
        user=types.SimpleNamespace(linux=types.SimpleNamespace(uid=0, gid=0, supplemental_groups=[0])),
    )


def test_status_of_a_restore_that_failed_is_the_real_kubelets() -> None:
    recorded = FAILED["status"]["containerStatuses"][0]
    seen = status.Seen(as_the_runtime_said(recorded), None, recorded["state"]["waiting"], False, False)
    made = status.container_status(FAILED["spec"]["containers"][0], seen, "containerd", "ContainerCreating")
    assert made == recorded
    whole = status.pod_status(FAILED, [], [made], True, ["10.244.2.3"], "10.210.0.12", "2026-11-21T12:31:13Z")
    wanted = {**FAILED["status"], "resources": {}}
    assert whole == wanted


@pytest.mark.parametrize(
    ("policy", "codes", "wanted"),
    [
        ("Never", [0, 0], "Succeeded"),
        ("Never", [0, 1], "Failed"),
        ("OnFailure", [0], "Succeeded"),
        ("OnFailure", [1], "Running"),
        ("Always", [0], "Running"),
    ],
)
def test_phase_when_all_ended(policy: str, codes: list[int], wanted: str) -> None:
    pod = {"spec": {"restartPolicy": policy}}
    main = [{"state": {"terminated": {"exitCode": code}}, "lastState": {}} for code in codes]
    assert status.phase(pod, [], main, "") == wanted


def test_ready_waits_for_the_readiness_gates() -> None:
    pod = {"metadata": {"generation": 1}, "spec": {"readinessGates": [{"conditionType": "x/y"}]}, "status": {}}
    running = {"name": "c", "ready": True, "state": {"running": {}}, "lastState": {}, "started": True}

    def ready(given: list) -> str:
        made = status.pod_status({**pod, "status": {"conditions": given}}, [], [running], True, [], "h", "now")
        return next(c["status"] for c in made["conditions"] if c["type"] == "Ready")

    assert (ready([]), ready([{"type": "x/y", "status": "True"}])) == ("False", "True")
