# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kubelet double brings pods up, restarts, reports and removes them, over the API server double."""

from __future__ import annotations

import json
import time
import typing as t

import pytest

from apidouble import pki
from cri_errors import CriError
from doubles_testkit import NODE, Cluster, data
from fake_runtime import FakeRuntime
from kubeletdouble import spec
from kubeletdouble.apiclient import ApiClient
from kubeletdouble.node import Node
from kubeletdouble.settings import Settings
from kubeletdouble.worker import Worker

PODS = "/api/v1/namespaces/default/pods"
IMAGE = "base.lab:5001/x:1"


class Rig:
    """A node without its loops: a test makes the steps of one pod's worker itself."""

    def __init__(self, cluster: Cluster, root: t.Any) -> None:
        self.cluster = cluster
        config = root / "config.yaml"
        config.write_text(json.dumps(json.loads(data("configz.json"))["kubeletconfig"]))
        kubeconfig = root / "kubelet.conf"
        server = f"https://127.0.0.1:{cluster.port}"
        kubeconfig.write_text(
            pki.kubeconfig(cluster.place, server, f"system:node:{NODE}", f"nodes/{NODE}/kubelet-client")
        )
        self.runtime = FakeRuntime([IMAGE])
        settings = Settings(NODE, "127.0.0.1", str(root), str(config), "", str(root / "faults"))
        self.node = Node(settings, ApiClient(str(kubeconfig)), self.runtime)

    def create(self, **spec: t.Any) -> Worker:
        body = {
            "metadata": {"name": "a"},
            "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": IMAGE}], **spec},
        }
        answer = self.cluster.admin("POST", PODS, body)
        assert answer.status == 201, answer.body
        return Worker(self.node, answer.json)

    def step(self, worker: Worker, times: int = 1) -> dict:
        for _i in range(times):
            worker._step()
            found = self.cluster.admin("GET", PODS + "/a")
            if found.status == 200:
                worker.update(found.json)
        return found.json

    def events(self) -> list[str]:
        found = self.cluster.admin("GET", "/api/v1/namespaces/default/events").json["items"]
        return [event["reason"] for event in sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))]

    def only(self) -> t.Any:
        (item,) = self.runtime.containers(state={"state": 1})
        return item


@pytest.fixture
def rig(cluster: Cluster, tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(spec, "log_directory", lambda meta: f"{tmp_path}/logs/{meta['name']}")
    return Rig(cluster, tmp_path)


def waiting(pod: dict) -> dict:
    return pod["status"]["containerStatuses"][0]["state"]["waiting"]


def test_pod_comes_up(rig: Rig) -> None:
    status = rig.step(rig.create())["status"]
    ready = {c["type"]: c["status"] for c in status["conditions"]}
    assert (status["phase"], ready["Ready"], status["podIP"]) == ("Running", "True", "10.0.0.9")
    assert status["containerStatuses"][0]["containerID"] == f"containerd://{rig.only().id}"
    assert rig.events() == ["Pulled", "Created", "Started"]
    mounts = [mount["container_path"] for mount in rig.only().config["mounts"]]
    assert mounts == ["/var/run/secrets/kubernetes.io/serviceaccount", "/etc/hosts", "/dev/termination-log"]


def test_token_in_the_pod_is_the_accounts(rig: Rig) -> None:
    rig.step(rig.create())
    place = rig.only().config["mounts"][0]["host_path"]
    with open(f"{place}/token", encoding="utf-8") as file:
        token = file.read()
    answer = rig.cluster.client(token=token)("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert answer.json["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"


def test_first_crash_restarts_at_once_the_second_waits(rig: Rig) -> None:
    worker = rig.create()
    rig.step(worker)
    rig.runtime.exit(rig.only().id, 1)
    status = rig.step(worker, 2)["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 1)
    rig.runtime.exit(rig.only().id, 1)
    assert waiting(rig.step(worker, 2))["reason"] == "CrashLoopBackOff"
    assert rig.runtime.containers(state={"state": 1}) == []
    assert rig.events()[-1] == "BackOff"


@pytest.mark.parametrize(
    ("policy", "code", "phase"), [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")]
)
def test_end_of_a_pod_that_is_not_restarted(rig: Rig, policy: str, code: int, phase: str) -> None:
    worker = rig.create(restartPolicy=policy)
    rig.step(worker)
    rig.runtime.exit(rig.only().id, code)
    assert rig.step(worker, 2)["status"]["phase"] == phase
    assert [box.state for box in rig.runtime.sandboxes()] == [1]


def test_start_that_fails_is_told_with_the_runtimes_words(rig: Rig) -> None:
    worker = rig.create()
    text = "failed to restore containerd task: criu failed: type RESTORE errno 0"
    rig.runtime.fail["CreateContainer"] = CriError("Unknown", text)
    assert waiting(rig.step(worker)) == {"reason": "CreateContainerError", "message": text}
    asked = len(rig.runtime.requests)
    rig.step(worker)
    assert "CreateContainer" not in [method for method, _fields in rig.runtime.requests[asked:]]  # it is held back
    message = rig.cluster.admin("GET", "/api/v1/namespaces/default/events").json["items"]
    assert f"Error: {text}" in [event["message"] for event in message]


def test_image_that_cannot_be_pulled(rig: Rig) -> None:
    rig.runtime.images.clear()
    rig.runtime.fail["PullImage"] = CriError("NotFound", "nothing there")
    worker = rig.create()
    pod = rig.step(worker)
    assert waiting(pod) == {"reason": "ErrImagePull", "message": "rpc error: code = NotFound desc = nothing there"}
    worker._hold.clear()
    assert waiting(rig.step(worker))["reason"] == "ImagePullBackOff"
    never = {"name": "c", "image": "base.lab:5001/y:1", "imagePullPolicy": "Never"}
    rig.cluster.admin("DELETE", PODS + "/a?gracePeriodSeconds=0")
    assert waiting(rig.step(rig.create(containers=[never])))["reason"] == "ErrImageNeverPull"


def test_init_container_goes_first(rig: Rig) -> None:
    worker = rig.create(initContainers=[{"name": "i", "image": IMAGE}])
    assert rig.step(worker)["status"]["phase"] == "Pending"
    assert rig.only().metadata.name == "i"
    rig.runtime.exit(rig.only().id, 0)
    assert rig.step(worker)["status"]["phase"] == "Running"
    assert rig.only().metadata.name == "c"


def test_changed_image_restarts_the_container(rig: Rig) -> None:
    worker = rig.create(terminationGracePeriodSeconds=4)
    rig.step(worker)
    first = rig.only().id
    change = {"spec": {"containers": [{"name": "c", "image": "base.lab:5001/x:2"}]}}
    worker.update(rig.cluster.admin("PATCH", PODS + "/a", change, "application/strategic-merge-patch+json").json)
    rig.step(worker)
    assert rig.runtime.stopped == [(first, 4)]
    assert rig.only().config["image"]["user_specified_image"] == "base.lab:5001/x:2"


def test_runtime_class_chooses_the_handler(rig: Rig) -> None:
    url = "/apis/node.k8s.io/v1/runtimeclasses"
    rig.cluster.admin("POST", url, {"metadata": {"name": "restoring"}, "handler": "checkpoint-restore"})
    rig.step(rig.create(runtimeClassName="restoring"))
    assert [box.handler for box in rig.runtime.sandboxes()] == ["checkpoint-restore"]


def test_sandbox_of_an_earlier_boot_is_replaced_and_restarts_are_counted(rig: Rig) -> None:
    worker = rig.create()
    rig.step(worker)
    (box,) = rig.runtime.sandboxes()
    rig.runtime.call("StopPodSandbox", pod_sandbox_id=box.id)
    status = rig.step(worker, 2)["status"]["containerStatuses"][0]
    assert (status["restartCount"], rig.only().pod_sandbox_id != box.id) == (1, True)


def test_deletion_stops_with_grace_and_cleans_up(rig: Rig, tmp_path: t.Any) -> None:
    worker = rig.create(terminationGracePeriodSeconds=7)
    uid = rig.step(worker)["metadata"]["uid"]
    name = rig.only().id
    worker.update(rig.cluster.admin("DELETE", PODS + "/a").json)
    assert (tmp_path / "pods" / uid).exists()
    worker._step()
    assert rig.runtime.stopped == [(name, 7)]
    assert worker.finished and not rig.runtime.items and not rig.runtime.boxes
    assert not (tmp_path / "pods" / uid).exists()
    assert rig.cluster.admin("GET", PODS + "/a").status == 404


def test_missing_secret_keeps_the_pod_waiting(rig: Rig) -> None:
    volumes = [{"name": "s", "secret": {"secretName": "nothere"}}]
    worker = rig.create(volumes=volumes)
    assert rig.step(worker)["status"]["phase"] == "Pending"
    assert "FailedMount" in rig.events()
    rig.cluster.admin("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "nothere"}})
    assert rig.step(worker)["status"]["phase"] == "Running"


def test_readiness_probe_decides(rig: Rig) -> None:
    probe = {"tcpSocket": {"port": 1, "host": "127.0.0.1"}, "periodSeconds": 1, "failureThreshold": 1}
    worker = rig.create(containers=[{"name": "c", "image": IMAGE, "readinessProbe": probe}])
    status = rig.step(worker)["status"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "False"
    end = time.monotonic() + 60
    while "Unhealthy" not in rig.events() and time.monotonic() < end:
        time.sleep(0.05)
    assert "Unhealthy" in rig.events()
    worker._end_probe("c")
