# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore: refusals before anything is created, waiting, failures with their cause, and what is cleaned up."""

from __future__ import annotations

import copy
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    HttpStatusError,
    InputError,
    RestoreError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import KubeApi
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import REQUEST, Request, Restored

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")
IMAGE = "checkpoints.lab:5000/counter@sha256:" + "1" * 64
CONTAINERD_KEY = "org.criu.checkpoint.container.name"
CRIO_KEY = "io.kubernetes.cri-o.annotations.checkpoint.name"
ANNOTATIONS = {
    CONTAINERD_KEY: "counter",
    CRIO_KEY: "counter",
    "org.criu.checkpoint.engine.name": "containerd",
    "org.criu.checkpoint.host.arch": "x86_64",
}


def fixture(*path):
    with open(os.path.join(FIXTURES, *path), encoding="utf-8") as stream:
        return json.load(stream)


class ApiError(Exception):
    """As the dynamic client's errors look."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.reason = "whatever"
        self.body = json.dumps({"kind": "Status", "message": message}).encode()


class Cluster:
    """The dynamic client of a tiny cluster. script: statuses a created Pod goes through, one with every read."""

    def __init__(self, *objects, script=(), events=(), errors=None):
        self.objects = {(entry["kind"], entry["metadata"].get("namespace"), entry["metadata"]["name"]): entry for entry in objects}
        self.script = list(script)
        self.events = list(events)
        self.errors = errors or {}
        self.calls = []
        self.resources = self

    # The library's two steps: find the resource, then use its verbs.
    def get(self, api_version, kind):
        return Resource(self, kind)


class Resource:
    def __init__(self, cluster, kind):
        self.cluster = cluster
        self.kind = kind

    def _log(self, verb, **more):
        self.cluster.calls.append((verb, self.kind, more))
        error = self.cluster.errors.get((verb, self.kind))
        if error:
            raise error

    def get(self, name=None, namespace=None, field_selector=None, _request_timeout=None):
        self._log("get", name=name, field_selector=field_selector)
        assert _request_timeout
        if self.kind == "Event":
            return {"items": copy.deepcopy(self.cluster.events)}
        found = self.cluster.objects.get((self.kind, namespace, name))
        if found is None:
            raise ApiError(404, '%s "%s" not found' % (self.kind, name))
        if self.kind == "Pod" and found["metadata"].get("uid") == "new-uid" and self.cluster.script:
            found["status"] = self.cluster.script.pop(0) if len(self.cluster.script) > 1 else self.cluster.script[0]
        return copy.deepcopy(found)

    def create(self, body=None, namespace=None, dry_run=None, _request_timeout=None):
        self._log("dry-run" if dry_run else "create", body=copy.deepcopy(body))
        pod = copy.deepcopy(body)
        pod["metadata"]["uid"] = "dry-uid" if dry_run else "new-uid"
        if not dry_run:
            self.cluster.objects[("Pod", namespace, pod["metadata"]["name"])] = pod
        return copy.deepcopy(pod)

    def delete(self, name=None, namespace=None, body=None, _request_timeout=None):
        self._log("delete", name=name, uid=body["preconditions"]["uid"])
        del self.cluster.objects[("Pod", namespace, name)]
        return {"kind": "Status", "status": "Success"}


def node(name="node2", runtime="containerd://2.1.9", ready="True", arch="amd64", **spec):
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"containerRuntimeVersion": runtime, "architecture": arch},
        },
    }


def source(engine="containerd"):
    return fixture(engine, "pod-counter.json")


def status(state, phase="Pending", **more):
    return {"phase": phase, "containerStatuses": [dict({"name": "counter", "state": state, "restartCount": 0}, **more)]}


WAITING = status({"waiting": {"reason": "ContainerCreating"}})
RUNNING = status({"running": {"startedAt": "now"}}, "Running", containerID="containerd://" + "c" * 64)


class Time:
    """A clock that sleep() moves."""

    def __init__(self):
        self.now = 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def order(**changes):
    request = {
        "name": "counter-restored",
        "target_node": "node2",
        "containers": (Restored("counter", IMAGE, ANNOTATIONS),),
    }
    request.update({key: changes.pop(key) for key in list(changes) if key in Request.__dataclass_fields__ and key != "restart_policy"})
    return _restore.Order(namespace=changes.pop("namespace", "default"), pod=changes.pop("pod", "counter"), request=Request(**request), **changes)


def run(cluster, check_mode=False, secrets=(), **changes):
    passing = Time()
    return _restore.Restorer(KubeApi(cluster, secrets), order(**changes), check_mode, passing.clock, passing.sleep).run()


def verbs(cluster):
    return [(verb, kind) for verb, kind, _more in cluster.calls if verb != "get"]


def refused(cluster, message, error=RestoreError, **changes):
    """Nothing may have been created, and the message says what is wrong."""
    with pytest.raises(error, match=message) as caught:
        run(cluster, **changes)
    assert ("create", "Pod") not in verbs(cluster)
    return caught.value


# -- it works -----------------------------------------------------------------------------------------------------------


def test_a_restore_that_runs():
    cluster = Cluster(source(), node(), script=[WAITING, WAITING, RUNNING])
    result = run(cluster)
    assert result["changed"] is True and result["backend"] == "image"
    # The API cannot know.
    assert result["verified"] is None and result["evidence"] is None
    assert result["pod"]["containers"] == [{"name": "counter", "container_id": "c" * 64, "image": IMAGE}]
    assert (result["pod"]["name"], result["pod"]["node"], result["pod"]["uid"]) == ("counter-restored", "node2", "new-uid")
    assert verbs(cluster) == [("dry-run", "Pod"), ("create", "Pod")]
    assert result["stages"]["wait"] == 1.5
    assert result["warnings"] == []


def test_the_source_is_only_read():
    cluster = Cluster(source(), node(), script=[RUNNING])
    before = copy.deepcopy(cluster.objects[("Pod", "default", "counter")])
    run(cluster)
    assert cluster.objects[("Pod", "default", "counter")] == before


def test_check_mode_asks_the_server_and_creates_nothing_with_the_same_keys():
    cluster, real = Cluster(source(), node()), Cluster(source(), node(), script=[RUNNING])
    predicted, result = run(cluster, check_mode=True), run(real)
    assert verbs(cluster) == [("dry-run", "Pod")]
    assert set(predicted) == set(result) and set(predicted["pod"]) == set(result["pod"])
    assert predicted["changed"] is True and predicted["pod"]["uid"] is None


def test_the_same_request_twice_changes_nothing():
    cluster = Cluster(source(), node(), script=[RUNNING])
    run(cluster)
    cluster.calls.clear()
    result = run(cluster)
    assert result["changed"] is False and verbs(cluster) == []
    assert result["pod"]["uid"] == "new-uid"


def test_another_pod_of_that_name_is_left_alone():
    other = source()
    other["metadata"] = {"name": "counter-restored", "namespace": "default", "uid": "other"}
    refused(Cluster(source(), node(), other), "counter-restored exists already and is not this restore; nothing was touched")


def test_a_pod_being_deleted_is_waited_for():
    leaving = source()
    leaving["metadata"] = {"name": "counter-restored", "namespace": "default", "uid": "old", "deletionTimestamp": "now"}
    cluster = Cluster(source(), node(), leaving, script=[RUNNING])
    passing = Time()
    reads = []

    def sleep(seconds):
        passing.sleep(seconds)
        reads.append(seconds)
        if len(reads) == 3:
            del cluster.objects[("Pod", "default", "counter-restored")]

    result = _restore.Restorer(KubeApi(cluster), order(), False, passing.clock, sleep).run()
    assert result["pod"]["uid"] == "new-uid" and len(reads) >= 3


def test_no_waiting_when_not_asked_for():
    result = run(Cluster(source(), node(), script=[WAITING]), wait=False)
    assert result["changed"] is True and "wait" not in result["stages"]


def test_the_source_may_come_from_a_file():
    result = run(Cluster(node(), script=[RUNNING]), source=source())
    assert result["pod"]["name"] == "counter-restored"


def test_a_job_that_ends_well_meanwhile_is_no_failure():
    ended = status({"terminated": {"exitCode": 0, "reason": "Completed"}}, "Succeeded")
    result = run(Cluster(source(), node(), script=[WAITING, ended]))
    assert result["warnings"] == ["container counter has ended"]


# -- refusals: nothing is created -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "../kube-system"},
        {"pod": "counter#x"},
        {"name": "a%2fb"},
        {"target_node": "node2/../.."},
        {"containers": (Restored("Counter", IMAGE, ANNOTATIONS),)},
    ],
)
def test_names_that_are_not_dns_1123_never_reach_a_url(changes):
    cluster = Cluster(source(), node())
    refused(cluster, "is not a DNS-1123", InputError, **changes)
    assert cluster.calls == []


def test_no_such_pod_points_at_the_kept_specification():
    refused(Cluster(node()), "there is no pod default/counter .*source_file")


def test_no_such_node():
    refused(Cluster(source()), "there is no node node2")


def test_a_node_that_is_not_ready():
    refused(Cluster(source(), node(ready="Unknown")), "node2 is not Ready")


def test_a_file_of_another_pod():
    refused(Cluster(node()), "the source is pod default/counter, not default/other: wrong source_file", source=source(), pod="other")


@pytest.mark.parametrize("content", [{}, [], {"kind": "Pod"}, {"metadata": {"name": "a"}, "spec": {}}])
def test_a_file_that_holds_no_pod(content):
    refused(Cluster(node()), "not a Pod object", InputError, source=content)


def test_an_image_without_digest():
    image = "checkpoints.lab:5000/counter:1"
    refused(Cluster(source(), node()), "is not given by digest", InputError, containers=(Restored("counter", image, ANNOTATIONS),))


def test_an_unknown_container():
    refused(Cluster(source(), node()), "has no container web: it has counter", InputError, containers=(Restored("web", IMAGE, ANNOTATIONS),))


def test_a_container_without_checkpoint():
    two = fixture("containerd", "pod-two.json")
    item = (Restored("a", IMAGE, ANNOTATIONS),)
    refused(Cluster(two, node()), r"no checkpoint image is given for the container\(s\) b of pod two", pod="two", containers=item)


@pytest.mark.parametrize(
    "made_by, runtime, words",
    [
        ("containerd", "cri-o://1.36.3", "was made by containerd and the target node2 runs cri-o: .*Choose a containerd node"),
        ("cri-o", "containerd://2.1.9", "was made by cri-o and the target node2 runs containerd: .*Choose a cri-o node"),
    ],
)
def test_cross_engine_is_refused_before_anything_is_created(made_by, runtime, words):
    annotations = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": made_by})
    refused(Cluster(source(), node(runtime=runtime)), words, containers=(Restored("counter", IMAGE, annotations),))


@pytest.mark.parametrize("runtime, key", [("containerd://2.1.9", CONTAINERD_KEY), ("cri-o://1.36.3", CRIO_KEY)])
def test_an_image_that_the_target_would_not_recognise(runtime, key):
    annotations = {name: value for name, value in ANNOTATIONS.items() if name not in (key, "org.criu.checkpoint.engine.name")}
    refused(Cluster(source(), node(runtime=runtime)), "has no annotation " + key, containers=(Restored("counter", IMAGE, annotations),))


def test_another_platform():
    refused(Cluster(source(), node(arch="arm64")), "was made on x86_64 and the target node2 is aarch64")


@pytest.mark.parametrize(
    "runtime, words",
    [
        ("containerd://2.4.0", "nothing can be restored on node2 .containerd 2.4.0.; nothing was created. image: .*removed in 2.4.*Remedy: .*2.1 to 2.3"),
        ("containerd://1.7.24", "cannot restore from a checkpoint image: not yet built there"),
        ("docker://28.0.0", "docker 28.0.0 is not known to restore"),
    ],
)
def test_a_runtime_that_cannot_restore(runtime, words):
    error = refused(Cluster(source(), node(runtime=runtime)), words)
    assert error.details["restore_paths"][0]["enabled"] is False


def info(enabled, why="because", remedy="do this", engine="containerd", version="2.3.4"):
    path = {"name": "image", "available": True, "enabled": enabled, "why": why, "remedy": remedy}
    return {"node": {"engine": engine, "engine_version": version, "arch": "x86_64"}, "restore_paths": [path], "verdict": {}}


def test_restore_switched_off_is_refused_with_reason_and_remedy():
    given = info(False, "restoring is switched off in the configuration of containerd 2.3.4", "enable_experimental_restore_via_create = true")
    refused(
        Cluster(source(), node(runtime="containerd://2.3.4")),
        "image: restoring is switched off .* Remedy: enable_experimental_restore_via_create = true",
        node_info=given,
    )


def test_restore_switched_on_is_believed():
    result = run(Cluster(source(), node(runtime="containerd://2.3.4"), script=[RUNNING]), node_info=info(True))
    assert result["warnings"] == []


def test_a_switch_that_nobody_looked_at_is_a_warning():
    result = run(Cluster(source(), node(runtime="containerd://2.3.4"), script=[RUNNING]))
    assert result["warnings"] == [
        "whether node2 can restore is not known: containerd 2.3.4 restores checkpoint images if it is switched on, which it is not by default"
    ]


def test_node_info_of_another_node_is_noticed():
    refused(Cluster(source(), node()), "node_info is not of the node node2: it says cri-o", InputError, node_info=info(True, engine="cri-o"))


def test_node_info_that_is_something_else():
    refused(Cluster(source(), node()), "must be a result of the module node_info", InputError, node_info={"changed": False})


def test_a_backend_that_is_not_there_yet():
    refused(Cluster(source(), node()), "back-end 'handler' is not part of this version: use one of auto, image", InputError, backend="handler")


def test_what_the_api_server_refuses_is_not_created():
    cluster = Cluster(source(), node(), errors={("dry-run", "Pod"): ApiError(422, 'Pod "x" is invalid: spec.containers')})
    error = refused(cluster, "could not try out pod default/counter-restored: HTTP 422: Pod .* is invalid", HttpStatusError)
    assert error.status == 422


def test_a_missing_right_is_shown():
    cluster = Cluster(source(), node(), errors={("dry-run", "Pod"): ApiError(403, "pods is forbidden: User x cannot create")})
    refused(cluster, r"HTTP 403: pods is forbidden.* Missing right: apiGroups: \[''\], resources: \['pods'\], verbs: \['create'\]", HttpStatusError)


def test_without_the_right_to_read_nodes_it_goes_on_with_less_checks():
    cluster = Cluster(source(), errors={("get", "Node"): ApiError(403, "nodes is forbidden")}, script=[RUNNING])
    result = run(cluster)
    assert len(result["warnings"]) == 2 and "may not be read, so less could be checked" in result["warnings"][0]


def test_the_api_servers_secrets_stay_secret():
    class Refused(OSError):
        pass

    cluster = Cluster(errors={("get", "Pod"): Refused("token hunter2 was refused")})
    error = refused(cluster, "could not read Pod default/counter: Refused: token .*", TransportError, secrets=["hunter2"])
    assert "hunter2" not in error.msg


def test_a_bug_is_not_dressed_up_as_trouble_with_the_api():
    cluster = Cluster(errors={("get", "Pod"): ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        run(cluster)


# -- owners -----------------------------------------------------------------------------------------------------------------


def owned(selector=None):
    pod = source()
    pod["metadata"]["labels"] = {"app": "counter", "tier": "web", "pod-template-hash": "abc"}
    pod["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u", "controller": True}]
    owner = {"kind": "ReplicaSet", "metadata": {"name": "rs", "namespace": "default"}, "spec": {"selector": selector or {"matchLabels": {"app": "counter"}}}}
    return pod, owner


def created(cluster):
    return next(more["body"] for verb, _kind, more in cluster.calls if verb == "create")


def test_detached_leaves_out_what_the_owner_selects_by():
    pod, owner = owned()
    cluster = Cluster(pod, owner, node(), script=[RUNNING])
    result = run(cluster)
    assert result["labels_removed"] == {"app": "counter", "pod-template-hash": "abc"}
    assert created(cluster)["metadata"]["labels"] == {"tier": "web"}
    assert "ownerReferences" not in created(cluster)["metadata"]


def test_keep_keeps_them_and_warns():
    pod, owner = owned()
    cluster = Cluster(pod, owner, node(), script=[RUNNING])
    result = run(cluster, owner="keep")
    assert result["labels_removed"] == {} and "ReplicaSet rs will adopt the new pod" in result["warnings"][0]
    assert created(cluster)["metadata"]["labels"]["app"] == "counter"


def test_an_owner_that_cannot_be_read_costs_all_labels():
    pod, _owner = owned()
    cluster = Cluster(pod, node(), script=[RUNNING], errors={("get", "ReplicaSet"): ApiError(403, "forbidden")})
    result = run(cluster)
    assert set(result["labels_removed"]) == {"app", "tier", "pod-template-hash"}
    assert "so all labels are left out" in result["warnings"][0]


# -- failures: cause, remedy, clean-up ----------------------------------------------------------------------------------------


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
    annotations = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": runtime.split(":")[0]})
    cluster = Cluster(source(), node(runtime=runtime), script=[WAITING, state])
    error = failed(cluster, containers=(Restored("counter", IMAGE, annotations),))
    assert error.details["diagnosis"][0]["id"] == expected
    assert "Likely cause: %s. Remedy: " % error.details["diagnosis"][0]["cause"] in error.msg
    assert error.msg.endswith("It was deleted again. The source was not touched.")
    assert error.details["cleaned_up"] is True and error.details["changed"] is False
    assert cluster.calls[-2][0] == "delete" and cluster.calls[-2][2] == {"name": "counter-restored", "uid": "new-uid"}
    assert ("Pod", "default", "counter") in cluster.objects and ("Pod", "default", "counter-restored") not in cluster.objects


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
    assert len(error.details["events"]) == len(events) and error.details["events"][0].keys() == {"type", "reason", "message", "count", "time"}
    assert error.details["verified"] is None and error.details["backend"] == "image"


def test_events_of_other_pods_are_not_shown():
    event = {"involvedObject": {"uid": "somebody"}, "type": "Warning", "message": "secret of somebody", "reason": "x"}
    error = failed(Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")], events=[event]))
    assert error.details["events"] == []


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
    pending = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]}
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
    cluster = Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")], errors={("delete", "Pod"): ApiError(500, "etcd is down")})
    error = failed(cluster)
    assert error.details["cleaned_up"] is False
    assert "could not be deleted (could not delete pod default/counter-restored: HTTP 500: etcd is down.): delete pod" in error.msg


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
    cluster = Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")], errors={("get", "Event"): ApiError(403, "no")})
    error = failed(cluster)
    assert "its events could not be read" in error.details["warnings"][-1]


def test_every_failure_is_a_checkpoint_error_with_plain_details():
    error = failed(Cluster(source(), node(), script=[waiting("InvalidImageName", "bad")]))
    assert isinstance(error, CheckpointError) and json.dumps(error.details)
    assert REQUEST not in json.dumps(error.details)
