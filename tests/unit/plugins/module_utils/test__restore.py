# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore: what is created, and every refusal before anything is."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _restore,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    HttpStatusError,
    InputError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import (
    KubeApi,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import failure
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import (
    Restored,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.restorecluster import (
    ANNOTATIONS,
    CONTAINERD_KEY,
    CRIO_KEY,
    IMAGE,
    RUNNING,
    WAITING,
    ApiError,
    Cluster,
    Time,
    fixture,
    node,
    order,
    refused,
    run,
    source,
    status,
    verbs,
)

# -- it works --------------------------------------------------------------------------------------------------------


def test_a_restore_that_runs():
    cluster = Cluster(source(), node(), script=[WAITING, WAITING, RUNNING])
    result = run(cluster)
    assert result["changed"] is True and result["backend"] == "image"
    # The API cannot know.
    assert result["verified"] is None and result["evidence"] is None
    assert result["pod"]["containers"] == [{"name": "counter", "container_id": "c" * 64, "image": IMAGE}]
    assert (result["pod"]["name"], result["pod"]["node"], result["pod"]["uid"]) == (
        "counter-restored",
        "node2",
        "new-uid",
    )
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
    refused(
        Cluster(source(), node(), other), "counter-restored exists already and is not this restore; nothing was touched"
    )


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


# -- refusals: nothing is created ------------------------------------------------------------------------------------


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
    refused(
        Cluster(node()),
        "the source is pod default/counter, not default/other: wrong source_file",
        source=source(),
        pod="other",
    )


@pytest.mark.parametrize("content", [{}, [], {"kind": "Pod"}, {"metadata": {"name": "a"}, "spec": {}}])
def test_a_file_that_holds_no_pod(content):
    refused(Cluster(node()), "not a Pod object", InputError, source=content)


def test_an_image_without_digest():
    image = "checkpoints.lab:5000/counter:1"
    refused(
        Cluster(source(), node()),
        "is not given by digest",
        InputError,
        containers=(Restored("counter", image, ANNOTATIONS),),
    )


def test_more_than_the_pod_grants_is_refused_before_anything_is_created():
    careful = source()
    careful["spec"]["containers"][0]["securityContext"] = {"allowPrivilegeEscalation": False}
    refused(Cluster(careful, node()), "may gain privileges, which the new container forbids")
    result = run(Cluster(careful, node(), script=[RUNNING]), accept_privileges=("no_new_privs",))
    assert "accepted by accept_privileges" in result["warnings"][0]


def test_what_is_not_known_is_not_compared_and_that_is_said():
    item = Restored("counter", IMAGE, ANNOTATIONS)
    result = run(Cluster(source(), node(), script=[RUNNING]), containers=(item,))
    assert "so it was not compared with what the pod grants" in result["warnings"][0]


def test_an_unknown_container():
    refused(
        Cluster(source(), node()),
        "has no container web: it has counter",
        InputError,
        containers=(Restored("web", IMAGE, ANNOTATIONS),),
    )


def test_a_container_without_checkpoint():
    two = fixture("containerd", "pod-two.json")
    item = (Restored("a", IMAGE, ANNOTATIONS),)
    refused(
        Cluster(two, node()),
        r"no checkpoint is given for the container\(s\) b of pod two",
        pod="two",
        containers=item,
    )


@pytest.mark.parametrize(
    "made_by, runtime, words",
    [
        (
            "containerd",
            "cri-o://1.36.3",
            "was made by containerd and the target node2 runs cri-o: .*Choose a containerd node",
        ),
        (
            "cri-o",
            "containerd://2.1.9",
            "was made by cri-o and the target node2 runs containerd: .*Choose a cri-o node",
        ),
    ],
)
def test_cross_engine_is_refused_before_anything_is_created(made_by, runtime, words):
    annotations = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": made_by})
    refused(Cluster(source(), node(runtime=runtime)), words, containers=(Restored("counter", IMAGE, annotations),))


@pytest.mark.parametrize("runtime, key", [("containerd://2.1.9", CONTAINERD_KEY), ("cri-o://1.36.3", CRIO_KEY)])
def test_an_image_that_the_target_would_not_recognise(runtime, key):
    annotations = {
        name: value for name, value in ANNOTATIONS.items() if name not in (key, "org.criu.checkpoint.engine.name")
    }
    refused(
        Cluster(source(), node(runtime=runtime)),
        "has no annotation " + key,
        containers=(Restored("counter", IMAGE, annotations),),
    )


def test_another_platform():
    refused(Cluster(source(), node(arch="arm64")), "was made on x86_64 and the target node2 is aarch64")


@pytest.mark.parametrize(
    "runtime, words",
    [
        (
            "containerd://2.4.0",
            "nothing can be restored on node2 .containerd 2.4.0.; nothing was created. handler: nobody asked .*; image: .*removed in "
            "2.4.*Remedy: .*2.1 to 2.3",
        ),
        ("containerd://1.7.24", "cannot restore from a checkpoint image: not yet built there"),
        ("docker://28.0.0", "docker 28.0.0 is not known to restore"),
    ],
)
def test_a_runtime_that_cannot_restore(runtime, words):
    error = refused(Cluster(source(), node(runtime=runtime)), words)
    assert error.details["restore_paths"][0]["enabled"] is False


def info(enabled, why="because", remedy="do this", engine="containerd", version="2.3.4"):
    path = {"name": "image", "available": True, "enabled": enabled, "why": why, "remedy": remedy}
    return {
        "node": {"engine": engine, "engine_version": version, "arch": "x86_64"},
        "restore_paths": [path],
        "verdict": {},
    }


def test_restore_switched_off_is_refused_with_reason_and_remedy():
    given = info(
        False,
        "restoring is switched off in the configuration of containerd 2.3.4",
        "enable_experimental_restore_via_create = true",
    )
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
        "whether node2 can restore is not known: containerd 2.3.4 restores checkpoint images if it is switched on, "
        "which it is not by default"
    ]


def test_node_info_of_another_node_is_noticed():
    refused(
        Cluster(source(), node()),
        "node_info is not of the node node2: it says cri-o",
        InputError,
        node_info=info(True, engine="cri-o"),
    )


def test_node_info_that_is_something_else():
    refused(
        Cluster(source(), node()), "must be a result of the module node_info", InputError, node_info={"changed": False}
    )


def test_a_backend_that_is_not_there():
    refused(
        Cluster(source(), node()),
        "back-end 'magic' is not part of this version: use one of auto, handler, image",
        InputError,
        backend="magic",
    )


def test_what_the_api_server_refuses_is_not_created():
    cluster = Cluster(
        source(), node(), errors={("dry-run", "Pod"): ApiError(422, 'Pod "x" is invalid: spec.containers')}
    )
    error = refused(
        cluster, "could not try out pod default/counter-restored: HTTP 422: Pod .* is invalid", HttpStatusError
    )
    assert error.status == 422


def test_a_missing_right_is_shown():
    cluster = Cluster(
        source(), node(), errors={("dry-run", "Pod"): ApiError(403, "pods is forbidden: User x cannot create")}
    )
    refused(
        cluster,
        r"HTTP 403: pods is forbidden.* Missing right: apiGroups: \[''\], resources: \['pods'\], verbs: \['create'\]",
        HttpStatusError,
    )


@pytest.mark.parametrize(
    "status, message, cause, remedy",
    [
        (
            403,
            'pods "x" is forbidden: exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1',
            "quota-exceeded",
            "raise the quota",
        ),
        (403, 'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: c', "quota-unsaid", "LimitRange"),
        (
            403,
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "c" '
            "must set securityContext.runAsNonRoot=true)",
            "pod-security",
            "pod-security.kubernetes.io/enforce",
        ),
        (
            403,
            'pods "x" is forbidden: admission webhook "v.example.com" denied the request: no such registry',
            "admission-webhook",
            "let the pod through",
        ),
        (400, 'admission webhook "v.example.com" does not support dry run', "admission-webhook-dry-run", "NoneOnDryRun"),
        (
            422,
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "admission-policy",
            "leave this namespace out",
        ),
        (
            500,
            'Internal error occurred: failed calling webhook "v.example.com": failed to call webhook: connection refused',
            "admission-webhook-away",
            "try again",
        ),
    ],
)
def test_quotas_and_admission_refuse_before_anything_is_created_and_the_remedy_is_named(status, message, cause, remedy):
    cluster = Cluster(source(), node(), errors={("dry-run", "Pod"): ApiError(status, message)})
    error = refused(cluster, "could not try out pod default/counter-restored: HTTP %d: " % status, HttpStatusError)
    assert message in error.msg and remedy in error.msg.split("Remedy: ")[1]
    assert "Missing right" not in error.msg and error.msg.endswith(". Nothing was created.")
    assert failure(error)["diagnosis"][0]["id"] == cause


def test_without_the_right_to_read_nodes_it_goes_on_with_less_checks():
    cluster = Cluster(source(), errors={("get", "Node"): ApiError(403, "nodes is forbidden")}, script=[RUNNING])
    result = run(cluster)
    assert len(result["warnings"]) == 2 and "may not be read, so less could be checked" in result["warnings"][0]


def test_the_api_servers_secrets_stay_secret():
    class Refused(OSError):
        pass

    cluster = Cluster(errors={("get", "Pod"): Refused("token hunter2 was refused")})
    error = refused(
        cluster, "could not read Pod default/counter: Refused: token .*", TransportError, secrets=["hunter2"]
    )
    assert "hunter2" not in error.msg


def test_a_bug_is_not_dressed_up_as_trouble_with_the_api():
    cluster = Cluster(errors={("get", "Pod"): ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        run(cluster)


# -- owners ----------------------------------------------------------------------------------------------------------


def owned(selector=None):
    pod = source()
    pod["metadata"]["labels"] = {"app": "counter", "tier": "web", "pod-template-hash": "abc"}
    pod["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u", "controller": True}
    ]
    owner = {
        "kind": "ReplicaSet",
        "metadata": {"name": "rs", "namespace": "default"},
        "spec": {"selector": selector or {"matchLabels": {"app": "counter"}}},
    }
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
