# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore: failures with their cause and remedy, deadlines, and what is cleaned up."""

from __future__ import annotations

import json

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _restore,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    RestoreError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import (
    KubeApi,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import (
    REQUEST,
    Restored,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.restorecluster import (
    ANNOTATIONS,
    IMAGE,
    RUNNING,
    WAITING,
    ApiError,
    Cluster,
    Time,
    fixture,
    node,
    order,
    run,
    source,
    status,
    verbs,
)

# -- failures: cause, remedy, clean-up -------------------------------------------------------------------------------


def failed(cluster, **changes):
    with pytest.raises(RestoreError) as caught:
        run(cluster, **changes)
    return caught.value


def waiting(reason, message, **more):
    return status({"waiting": {"reason": reason, "message": message}}, **more)


@pytest.mark.parametrize(
    "runtime, state, expected",
    [
        (
            "containerd://2.1.9",
            waiting("CreateContainerError", "failed to pull checkpoint base image base.lab/x@sha256:1: 401"),
            "containerd-base-pull",
        ),
        (
            "containerd://2.3.4",
            waiting("CreateContainerError", "checkpoint restore via CreateContainer is disabled by configuration"),
            "containerd-restore-off",
        ),
        (
            "containerd://2.1.9",
            waiting("CreateContainerError", "failed to generate spec: no command specified"),
            "no-command",
        ),
        (
            "cri-o://1.36.3",
            waiting("CreateContainerError", 'locating image with ID "f8": image not known'),
            "crio-base-image",
        ),
        (
            "cri-o://1.36.3",
            waiting("CreateContainerError", "expects following bind mounts defined (/var/run/secrets)"),
            "crio-mounts",
        ),
        ("containerd://2.1.9", waiting("ErrImagePull", "failed to pull and unpack image: not found"), "image-pull"),
    ],
)
def test_the_runtimes_message_becomes_cause_and_remedy(runtime, state, expected):
    annotations = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": runtime.partition(":")[0]})
    cluster = Cluster(source(), node(runtime=runtime), script=[WAITING, state])
    error = failed(cluster, containers=(Restored("counter", IMAGE, annotations),))
    assert error.details["diagnosis"][0]["id"] == expected
    assert "Likely cause: %s. Remedy: " % error.details["diagnosis"][0]["cause"] in error.msg
    assert error.msg.endswith("It was deleted again. The source was not touched.")
    assert error.details["cleaned_up"] is True and error.details["changed"] is False
    assert cluster.calls[-2][0] == "delete" and cluster.calls[-2][2] == {"name": "counter-restored", "uid": "new-uid"}
    assert ("Pod", "default", "counter") in cluster.objects and (
        "Pod",
        "default",
        "counter-restored",
    ) not in cluster.objects


@pytest.mark.parametrize("engine, expected", [("containerd", "criu-wrapper"), ("crio", "crio-mounts")])
def test_what_real_clusters_answered_when_the_serviceaccount_mount_was_missing(engine, expected):
    real = fixture(engine, "pod-restore-failed.json")["status"]
    real["containerStatuses"][0]["name"] = "counter"
    events = fixture(engine, "events-restore-failed.json")["items"]
    for event in events:
        event["involvedObject"]["uid"] = "new-uid"
    runtime, name = ("containerd://2.1.9", "containerd") if engine == "containerd" else ("cri-o://1.36.3", "cri-o")
    annotations = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": name})
    cluster = Cluster(source(), node(runtime=runtime), script=[WAITING, real], events=events)
    error = failed(cluster, containers=(Restored("counter", IMAGE, annotations),))
    assert error.details["diagnosis"][0]["id"] == expected
    # A message that only passes another one on is not called a cause.
    assert ("That message does not say why. To find out: read dump.log" in error.msg) is (expected == "criu-wrapper")
    assert ("Likely cause" in error.msg) is (expected != "criu-wrapper")
    assert len(error.details["events"]) == len(events) and error.details["events"][0].keys() == {
        "type",
        "reason",
        "message",
        "count",
        "time",
    }
    assert error.details["verified"] is None and error.details["backend"] == "image"


def test_events_of_other_pods_are_not_shown():
    event = {"involvedObject": {"uid": "somebody"}, "type": "Warning", "message": "secret of somebody", "reason": "x"}
    error = failed(Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")], events=[event]))
    assert error.details["events"] == []


def test_what_only_the_events_say_is_said():
    """A sandbox that cannot be made leaves no word in the Pod's status."""
    event = {"involvedObject": {"uid": "new-uid"}, "type": "Warning", "reason": "FailedCreatePodSandBox"}
    events = [dict(event, message="first"), dict(event, message="the runtime is ill."), dict(event, type="Normal", message="x")]
    error = failed(Cluster(source(), node(), script=[{"phase": "Pending"}], events=events), wait_timeout=1)
    assert "has not taken the pod up yet. Its last event says: the runtime is ill. It was deleted again." in error.msg


def test_what_may_pass_by_itself_is_waited_for():
    transient = waiting("CreateContainerError", "failed to resolve image x during checkpoint import")
    result = run(Cluster(source(), node(), script=[transient, transient, RUNNING]))
    assert result["pod"]["phase"] == "Running"


def test_the_deadline():
    cluster = Cluster(source(), node(), script=[WAITING])
    error = failed(cluster, wait_timeout=7)
    assert "not running after 7 s: container counter: ContainerCreating" in error.msg
    assert error.details["cleaned_up"] is True and error.details["stages"]["wait"] == 7.0


def test_a_pod_that_cannot_be_scheduled_says_so_at_the_deadline():
    pending = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}],
    }
    assert "0/2 nodes are available" in failed(Cluster(source(), node(), script=[pending]), wait_timeout=1).msg


def test_a_pod_that_crashes_after_the_restore():
    crashed = status(
        {"running": {}}, "Running", restartCount=1, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    )
    assert "OOMKilled: exit code 137 (restarted 1 times)" in failed(Cluster(source(), node(), script=[crashed])).msg


def test_a_pod_the_kubelet_refused():
    refused_pod = {"phase": "Failed", "reason": "NodeAffinity", "message": "Pod was rejected"}
    assert "NodeAffinity: Pod was rejected" in failed(Cluster(source(), node(), script=[refused_pod])).msg


def test_cleanup_can_be_declined():
    cluster = Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")])
    error = failed(cluster, cleanup_on_failure=False)
    assert error.details["cleaned_up"] is False and error.details["changed"] is True
    assert "was left in place" in error.msg and ("delete", "Pod") not in verbs(cluster)


def test_a_pod_that_this_run_did_not_create_is_never_deleted():
    cluster = Cluster(source(), node(), script=[RUNNING])
    run(cluster)
    cluster.script = [waiting("CreateContainerError", "bad")]
    cluster.calls.clear()
    error = failed(cluster)
    assert "left as it is, because this run did not create it" in error.msg
    assert verbs(cluster) == [] and error.details["cleaned_up"] is False


def test_a_cleanup_that_fails_says_so():
    cluster = Cluster(
        source(),
        node(),
        script=[waiting("InvalidImageName", "bad")],
        errors={("delete", "Pod"): ApiError(500, "etcd is down")},
    )
    error = failed(cluster)
    assert error.details["cleaned_up"] is False
    assert (
        "could not be deleted (could not delete pod default/counter-restored: HTTP 500: etcd is down.): delete pod"
        in error.msg
    )


def test_somebody_elses_pod_of_the_same_name_is_not_waited_for_nor_deleted():
    cluster = Cluster(source(), node(), script=[WAITING])
    passing = Time()

    def sleep(seconds):
        passing.sleep(seconds)
        cluster.objects[("Pod", "default", "counter-restored")]["metadata"]["uid"] = "another"

    with pytest.raises(RestoreError, match="somebody deleted it while it was starting"):
        _restore.Restorer(KubeApi(cluster), order(), False, passing.clock, sleep).run()
    assert ("delete", "Pod") not in verbs(cluster)


def test_events_that_may_not_be_listed_are_a_warning():
    cluster = Cluster(
        source(), node(), script=[waiting("InvalidImageName", "bad")], errors={("get", "Event"): ApiError(403, "no")}
    )
    error = failed(cluster)
    assert "its events could not be read" in error.details["warnings"][-1]


def test_every_failure_is_a_checkpoint_error_with_plain_details():
    error = failed(Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")]))
    assert isinstance(error, CheckpointError) and json.dumps(error.details)
    assert REQUEST not in json.dumps(error.details)
