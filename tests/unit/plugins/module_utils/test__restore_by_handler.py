# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore with the back-end 'handler': a gated Pod first, then its start; and the choice between the back-ends."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_pod
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import GATE, Restored
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.restorecluster import (
    ANNOTATIONS,
    IMAGE,
    RUNNING,
    WAITING,
    ApiError,
    Cluster,
    fixture,
    node,
    refused,
    run,
    source,
    status,
    verbs,
)

SHA = "a" * 64
CLASS = {
    "kind": "RuntimeClass",
    "metadata": {"name": "container-checkpoint"},
    "handler": "container-checkpoint",
}
RUNC_FAILED = status({"waiting": {"reason": "RunContainerError", "message": "could not be restored: it is broken"}})


def info(handler=True, image=False, engine="containerd", version="2.4.0", runtime="container-checkpoint"):
    """What node_info says of a node with the handler, on a containerd that cannot restore by itself."""
    return {
        "node": {
            "engine": engine,
            "engine_version": version,
            "arch": "x86_64",
            "restore_handler": {"installed": handler is not None, "runtime": runtime if handler is not None else None},
        },
        "restore_paths": [
            {"name": "image", "available": image, "enabled": image, "why": "removed in 2.4", "remedy": "an older one"},
            {
                "name": "handler",
                "available": handler is not None,
                "enabled": bool(handler),
                "why": "criu check fails" if handler is False else "about the handler",
                "remedy": "role restore_handler",
            },
        ],
        "verdict": {},
    }


def cluster(*objects, runtime="containerd://2.4.0", **more):
    return Cluster(*(objects or (source(),)), node(runtime=runtime), copy.deepcopy(CLASS), **more)


def asked(**changes):
    given = {"containers": (Restored("counter", archive_sha256=SHA),), "backend": "handler", "node_info": info()}
    given.update(changes)
    return given


def made(found):
    return found.objects[("Pod", "default", "counter-restored")]


# -- the two steps ---------------------------------------------------------------------------------------------------


def test_first_the_pod_waits_behind_its_gate():
    here = cluster(script=[{"phase": "Pending"}])
    result = run(here, **asked())
    assert (result["changed"], result["gated"], result["backend"], result["verified"]) == (True, True, "handler", None)
    assert verbs(here) == [("dry-run", "Pod"), ("create", "Pod")]
    assert "wait" not in result["stages"]
    spec, annotations = made(here)["spec"], made(here)["metadata"]["annotations"]
    assert spec["schedulingGates"] == [{"name": GATE}] and spec["runtimeClassName"] == "container-checkpoint"
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node2"]}]}]
    assert "nodeName" not in spec
    assert annotations["container-checkpoint/archive.counter"] == SHA
    assert "container-checkpoint/image.counter" not in annotations


def test_the_pod_keeps_what_a_fresh_start_needs():
    kept = source()
    kept["spec"]["restartPolicy"] = "Always"
    kept["spec"]["containers"][0].update(command=["/bin/sh"], args=["-c", "x"])
    here = cluster(kept)
    run(here, **asked())
    spec = made(here)["spec"]
    assert spec["restartPolicy"] == "Always"
    assert (spec["containers"][0]["command"], spec["containers"][0]["args"]) == (["/bin/sh"], ["-c", "x"])
    # The ordinary image, by the digest that really ran.
    ran = kept["status"]["containerStatuses"][0]["imageID"]
    assert spec["containers"][0]["image"] == ran.rpartition("://")[2] and "@sha256:" in ran


def test_then_it_starts():
    here = cluster(script=[{"phase": "Pending"}])
    first = run(here, **asked())
    here.script = [WAITING, RUNNING]
    result = run(here, staged=True, **asked())
    assert (result["changed"], result["gated"]) == (True, False)
    assert result["pod"]["uid"] == first["pod"]["uid"] and result["pod"]["phase"] == "Running"
    assert result["pod"]["containers"][0]["container_id"] == "c" * 64
    assert made(here)["spec"]["schedulingGates"] == []
    assert verbs(here)[2:] == [("patch", "Pod")]


def test_both_steps_again_change_nothing():
    here = cluster(script=[{"phase": "Pending"}])
    run(here, **asked())
    again = run(here, **asked())
    assert (again["changed"], again["gated"]) == (False, True)
    here.script = [RUNNING]
    run(here, staged=True, **asked())
    done = run(here, **asked())
    assert (done["changed"], done["gated"]) == (False, False)
    assert run(here, staged=True, **asked())["changed"] is False
    assert [verb for verb, _kind in verbs(here)] == ["dry-run", "create", "patch"]


def test_only_our_gate_is_removed():
    here = cluster(script=[{"phase": "Pending"}])
    run(here, **asked())
    made(here)["spec"]["schedulingGates"].insert(0, {"name": "example.com/quota"})
    here.script = [WAITING, RUNNING]
    run(here, staged=True, **asked())
    assert made(here)["spec"]["schedulingGates"] == [{"name": "example.com/quota"}]


def test_check_mode_of_both_steps():
    here = cluster(script=[{"phase": "Pending"}])
    predicted = run(here, check_mode=True, **asked())
    assert verbs(here) == [("dry-run", "Pod")]
    assert predicted["changed"] is True and predicted["pod"]["uid"] is None
    assert predicted["pod_object"]["metadata"]["uid"] is None
    real = run(here, **asked())
    assert set(real) == set(predicted)
    assert run(here, check_mode=True, staged=True, **asked())["changed"] is True
    assert made(here)["spec"]["schedulingGates"] == [{"name": GATE}] and ("patch", "Pod") not in verbs(here)


def test_there_is_nothing_to_start():
    refused(cluster(), "there is no pod default/counter-restored to start", staged=True, **asked())


def test_another_checkpoint_is_another_request():
    here = cluster(script=[{"phase": "Pending"}])
    run(here, **asked())
    with pytest.raises(RestoreError, match="is not this restore"):
        run(here, **asked(containers=(Restored("counter", archive_sha256="b" * 64),)))


def test_what_restore_stage_gets_holds_no_environment():
    kept = source()
    kept["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    here = cluster(kept)
    result = run(here, **asked())
    assert "hunter2" not in json.dumps(result)
    pod = made(here)
    same = {key: pod[key] for key in ("metadata", "spec")}
    for name, value in (("uid", pod["metadata"]["uid"]), ("namespace", "default"), ("name", "counter-restored")):
        assert result["pod_object"]["metadata"][name] == value
    one, other = result["pod_object"], same
    assert _stage_pod.check_identity(one, "default", "counter-restored", "counter") == _stage_pod.check_identity(
        other, "default", "counter-restored", "counter"
    )


# -- failures --------------------------------------------------------------------------------------------------------


def started(**asks):
    here = cluster(script=[{"phase": "Pending"}])
    run(here, **asked(**asks))
    here.calls.clear()
    return here


def test_a_restore_that_the_handler_refuses_is_cleaned_up():
    here = started()
    here.script = [WAITING, RUNC_FAILED]
    with pytest.raises(RestoreError, match="could not be restored: it is broken.*deleted again") as caught:
        run(here, staged=True, **asked())
    assert ("Pod", "default", "counter-restored") not in here.objects
    assert ("Pod", "default", "counter") in here.objects
    assert (caught.value.details["cleaned_up"], caught.value.details["changed"]) == (True, False)


def test_or_left_when_asked_for():
    here = started()
    here.script = [RUNC_FAILED]
    with pytest.raises(RestoreError, match="left in place") as caught:
        run(here, staged=True, cleanup_on_failure=False, **asked())
    assert caught.value.details["changed"] is True
    assert ("Pod", "default", "counter-restored") in here.objects


def test_a_pod_that_somebody_else_let_start_is_left():
    here = started()
    made(here)["spec"]["schedulingGates"] = []
    here.script = [RUNC_FAILED]
    with pytest.raises(RestoreError, match="this run did not create it"):
        run(here, staged=True, **asked())
    assert ("Pod", "default", "counter-restored") in here.objects


def test_a_gate_that_cannot_be_removed():
    here = started()
    here.errors[("patch", "Pod")] = ApiError(403, "pods is forbidden")
    with pytest.raises(RestoreError, match=r"scheduling gate could not be removed: .*verbs: \['patch'\]"):
        run(here, staged=True, **asked())
    assert ("Pod", "default", "counter-restored") not in here.objects


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, words, error",
    [
        ({"containers": (Restored("counter"),)}, "no checkpoint is given for container counter", InputError),
        ({"containers": (Restored("counter", archive_sha256="XY"),)}, "64 hexadecimal digits", InputError),
        (
            {"containers": (Restored("counter", image="r/x:1"),)},
            "r/x:1 of container counter is not given by",
            InputError,
        ),
        (
            {"containers": (Restored("counter", archive_sha256=SHA, base_image="r/x:1"),)},
            "base_image r/x:1 of container counter is not given by digest",
            InputError,
        ),
        ({"placement": "node_name"}, "must not have a node yet", InputError),
        ({"runtime_class": "../x"}, "is not a DNS-1123", InputError),
        ({"runtime_class": "other"}, "there is no RuntimeClass other", RestoreError),
        ({"node_info": info(runtime="ours")}, "there is no RuntimeClass ours", RestoreError),
        (
            {"node_info": info(runtime="ours"), "runtime_class": "container-checkpoint"},
            "asks for the runtime container-checkpoint, and node2 knows the restore handler as ours",
            RestoreError,
        ),
        ({"node_info": info(handler=False)}, "handler: criu check fails. Remedy: role restore_handler", RestoreError),
    ],
)
def test_refused_before_anything_is_created(changes, words, error):
    refused(cluster(), words, error, **asked(**changes))


def test_a_cordoned_target():
    here = Cluster(source(), node(runtime="containerd://2.4.0", unschedulable=True), CLASS)
    refused(here, "is cordoned, so the scheduler would never put the pod there", **asked())


def test_an_image_that_is_not_known_by_digest():
    kept = source()
    del kept["status"]["containerStatuses"]
    refused(cluster(kept), "not known by digest: give base_image", **asked())
    given = "r/x@sha256:" + "2" * 64
    here = cluster(kept)
    run(here, **asked(containers=(Restored("counter", archive_sha256=SHA, base_image=given),)))
    assert made(here)["spec"]["containers"][0]["image"] == given


def test_a_source_of_another_runtime():
    kept = source()
    kept["spec"]["runtimeClassName"] = "gvisor"
    refused(cluster(kept), "the source runs under the RuntimeClass gvisor", **asked())
    kept["spec"]["runtimeClassName"] = "container-checkpoint"
    assert run(cluster(kept), **asked())["gated"] is True


def test_without_the_right_to_read_runtime_classes_it_goes_on():
    here = cluster(errors={("get", "RuntimeClass"): ApiError(403, "forbidden")})
    result = run(here, **asked())
    assert "RuntimeClass container-checkpoint may not be read" in result["warnings"][0]


# -- the choice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "handler, image, chosen",
    [(True, True, "handler"), (True, False, "handler"), (False, True, "image"), (None, True, "image")],
)
def test_auto(handler, image, chosen):
    items = (Restored("counter", IMAGE, ANNOTATIONS),)
    here = cluster(runtime="containerd://2.3.4", script=[RUNNING])
    given = info(handler, image, version="2.3.4")
    assert run(here, backend="auto", containers=items, node_info=given)["backend"] == chosen


def test_auto_refuses_with_both_reasons():
    refused(
        cluster(),
        "handler: about the handler. Remedy: role restore_handler; image: removed in 2.4. Remedy: an older one",
        backend="auto",
        node_info=info(handler=None),
    )


def test_auto_does_not_guess_that_the_handler_is_there():
    assert run(cluster(runtime="containerd://2.1.9", script=[RUNNING]), backend="auto")["backend"] == "image"


def test_asked_for_by_name_an_unknown_handler_is_a_warning():
    here = cluster()
    result = run(here, **asked(node_info=None))
    assert result["warnings"] == [
        "whether node2 can restore is not known: nobody asked that node for its restore handler"
    ]
    assert made(here)["spec"]["runtimeClassName"] == "container-checkpoint"


@pytest.mark.parametrize("made_by", ["containerd", "crio"])
def test_the_handler_takes_what_the_image_back_end_refuses(made_by):
    """A checkpoint of one engine on a node of the other."""
    target_engine, runtime = (
        ("cri-o", "cri-o://1.36.3") if made_by == "containerd" else ("containerd", "containerd://2.1.9")
    )
    notes = dict(ANNOTATIONS, **{"org.criu.checkpoint.engine.name": {"crio": "cri-o"}.get(made_by, made_by)})
    items = (Restored("counter", IMAGE, notes),)
    kept = fixture(made_by, "pod-counter.json")
    given = info(image=True, engine=target_engine, version="1")
    refused(
        cluster(kept, runtime=runtime),
        "only be restored by the engine",
        backend="image",
        containers=items,
        node_info=given,
    )
    here = cluster(kept, runtime=runtime)
    assert run(here, backend="handler", containers=items, node_info=given)["gated"] is True
    assert made(here)["metadata"]["annotations"]["container-checkpoint/image.counter"] == IMAGE
