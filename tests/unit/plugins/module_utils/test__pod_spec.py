# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_pod_spec: what of the source's Pod stays, what goes, and what is said about it."""

from __future__ import annotations

import copy
import dataclasses
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _pod_spec
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import Request, Restored, build
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_backend_image import apply

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")
IMAGE = "checkpoints.lab:5000/counter@sha256:" + "1" * 64
REQUEST = Request("counter-restored", "node2", (Restored("counter", IMAGE),))


def fixture(*path):
    with open(os.path.join(FIXTURES, *path), encoding="utf-8") as stream:
        return json.load(stream)


def source(**spec):
    pod = fixture("containerd", "pod-counter.json")
    pod["spec"].update(spec)
    return pod


def made(pod, **changes):
    return build(pod, dataclasses.replace(REQUEST, **changes), apply)


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_a_real_pod(engine):
    pod = fixture(engine, "pod-counter.json")
    built = made(pod)
    spec = built.pod["spec"]
    container = spec["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == (IMAGE, "IfNotPresent")
    # A restore needs the very mounts of the source, its ServiceAccount's token among them.
    assert container["volumeMounts"] == pod["spec"]["containers"][0]["volumeMounts"]
    assert spec["volumes"] == pod["spec"]["volumes"]
    assert (spec["serviceAccountName"], spec["nodeName"], spec["restartPolicy"]) == ("default", "node2", "Never")
    assert not {"priority", "preemptionPolicy", "serviceAccount", "status"} & set(spec)
    assert set(built.pod) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(built.pod["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert built.warnings == () and dict(built.labels_removed) == {}


def test_the_source_object_is_not_changed():
    pod = source(nodeSelector={"kubernetes.io/hostname": "node1"}, affinity={"nodeAffinity": {}})
    before = copy.deepcopy(pod)
    made(pod, placement="affinity")
    assert pod == before


def test_stale_annotations_go_and_the_origin_is_written_down():
    pod = source()
    pod["metadata"]["annotations"].update(
        {"cni.projectcalico.org/podIP": "10.0.0.1", "team": "a", "container-checkpoint/request": "old"}
    )
    annotations = made(pod, annotations={"note": "b"}).pod["metadata"]["annotations"]
    assert annotations.pop("container-checkpoint/request") != "old"
    assert annotations == {
        "team": "a",
        "note": "b",
        "container-checkpoint/source-pod": "counter",
        "container-checkpoint/source-uid": pod["metadata"]["uid"],
        "container-checkpoint/image.counter": IMAGE,
    }


def test_terminal_security_context_and_command():
    pod = source(hostPID=True, securityContext={"fsGroup": 7})
    pod["spec"]["containers"][0].update(
        tty=True,
        stdin=True,
        command=["sh"],
        args=["-c", "x"],
        securityContext={"runAsUser": 5},
        env=[{"name": "A", "value": "b"}],
    )
    container = made(pod).pod["spec"]["containers"][0]
    assert (container["tty"], container["stdin"], container["securityContext"]) == (True, True, {"runAsUser": 5})
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert "command" not in container and "args" not in container
    assert made(pod).pod["spec"]["hostPID"] is True


def test_init_and_debug_containers_are_left_out_with_a_warning():
    built = made(source(initContainers=[{"name": "setup"}], ephemeralContainers=[{"name": "debug"}]))
    assert not {"initContainers", "ephemeralContainers"} & set(built.pod["spec"])
    assert built.warnings[0].startswith("init container(s) setup are left out")
    assert "debug" in built.warnings[1]


def test_a_post_start_hook_does_not_run_twice():
    pod = source()
    pod["spec"]["containers"][0]["lifecycle"] = {"postStart": {"exec": {}}, "preStop": {"exec": {}}}
    built = made(pod)
    assert built.pod["spec"]["containers"][0]["lifecycle"] == {"preStop": {"exec": {}}}
    assert "postStart hook is left out" in built.warnings[0]
    pod["spec"]["containers"][0]["lifecycle"] = {"postStart": {"exec": {}}}
    assert "lifecycle" not in made(pod).pod["spec"]["containers"][0]


@pytest.mark.parametrize(
    "volume, words",
    [
        ({"emptyDir": {}}, "is an emptyDir: its content is not part of a checkpoint"),
        ({"hostPath": {"path": "/x"}}, "is a path of the node: node2 must have the same content"),
        ({"persistentVolumeClaim": {"claimName": "data"}}, "(claim data) can be mounted on node2 only if"),
        ({"ephemeral": {}}, "starts empty"),
    ],
)
def test_volumes_that_do_not_come_along(volume, words):
    pod = source()
    pod["spec"]["volumes"].append(dict(volume, name="v"))
    assert made(pod).warnings == ()
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "v", "mountPath": "/v"})
    assert words in made(pod).warnings[0]


def test_another_container_starts_afresh_by_digest_only_when_allowed():
    pod = fixture("containerd", "pod-two.json")
    built = made(pod, containers=(Restored("a", IMAGE),), fresh_containers=True)
    other = built.pod["spec"]["containers"][1]
    assert other["image"].startswith("localhost:5000/counter@sha256:")
    assert built.warnings[0].startswith("container b starts afresh from localhost:5000/counter@sha256:")


def test_a_fresh_container_whose_digest_is_not_known():
    pod = fixture("containerd", "pod-two.json")
    del pod["status"]
    built = made(pod, containers=(Restored("a", IMAGE),), fresh_containers=True)
    assert built.pod["spec"]["containers"][1]["image"] == "localhost:5000/counter:1"
    assert "its digest is not known" in built.warnings[0]


# -- placement -------------------------------------------------------------------------------------------------------

HERE = [{"key": "metadata.name", "operator": "In", "values": ["node2"]}]
DAEMON = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node1"]}]}
ZONE = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}


def required(*terms):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


@pytest.mark.parametrize(
    "affinity, expected",
    [
        (None, required({"matchFields": HERE})),
        (required(DAEMON), required({"matchFields": HERE})),
        (required(ZONE), required(dict(ZONE, matchFields=HERE))),
        ({"podAffinity": {"x": 1}}, dict(required({"matchFields": HERE}), podAffinity={"x": 1})),
    ],
)
def test_placement_by_affinity(affinity, expected):
    spec = made(source(**({"affinity": affinity} if affinity else {})), placement="affinity").pod["spec"]
    assert spec["affinity"] == expected and "nodeName" not in spec


def test_placement_by_name_forgets_what_tied_the_pod_to_its_old_node():
    spec = made(source(affinity=required(DAEMON), nodeSelector={"kubernetes.io/hostname": "node1", "disk": "ssd"})).pod[
        "spec"
    ]
    assert spec["nodeName"] == "node2" and "affinity" not in spec and spec["nodeSelector"] == {"disk": "ssd"}
    assert made(source(affinity=required(ZONE))).pod["spec"]["affinity"] == required(ZONE)


# -- labels, secrets, sameness ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "owner, expected",
    [
        (
            {
                "spec": {
                    "selector": {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}
                }
            },
            {"a", "b"},
        ),
        ({"spec": {"selector": {"a": "1"}}}, {"a"}),
        ({"spec": {}}, set()),
        ({}, set()),
    ],
)
def test_selector_keys(owner, expected):
    assert _pod_spec.selector_keys(owner) == expected


def test_labels_asked_for_win():
    pod = source()
    built = made(pod, drop_labels=frozenset(["app"]), labels={"app": "mine"})
    assert built.pod["metadata"]["labels"] == {"app": "mine"} and dict(built.labels_removed) == {}
    assert "labels" not in made(pod, drop_labels=None).pod["metadata"]


def test_pull_secrets_are_added_once():
    built = made(source(imagePullSecrets=[{"name": "a"}]), image_pull_secrets=("a", "b"))
    assert built.pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_the_same_request_has_the_same_fingerprint_and_another_has_not():
    key = _pod_spec.REQUEST
    one, two = made(source()), made(source())
    other = made(source(), target_node="node3")
    assert one.pod["metadata"]["annotations"][key] == two.pod["metadata"]["annotations"][key]
    assert one.pod["metadata"]["annotations"][key] != other.pod["metadata"]["annotations"][key]


def test_controller_of():
    references = [{"kind": "A", "controller": False}, {"kind": "B", "controller": True}]
    assert _pod_spec.controller_of({"metadata": {"ownerReferences": references}})["kind"] == "B"
    assert _pod_spec.controller_of({"metadata": {}}) is None
