# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of C(checkpoint) without a socket: what is asked and what is written (faults: test__checkpoint_faults)."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_run import Tools, run
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    InputError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import KubeletClient
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import named_archive
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.checkpointnode import (
    NAME,
    ONE,
    Node,
    only_failure,
    quicken,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.fakekubelet import (
    FORBIDDEN,
    container_id,
    pod_object,
)


@pytest.fixture
def quick(monkeypatch):
    quicken(monkeypatch)


def test_success(tmp_path):
    node = Node(tmp_path, runtime=True)
    result = node.run(cluster="prod")
    assert result["changed"] is True and result["failures"] == [] and result["msg"] == "1 container checkpointed"
    entry = result["checkpoints"][0]
    path = os.path.join(node.directory, "checkpoint-counter_default-counter-2026-11-21T12:00:01+01:00.tar")
    with open(path, "rb") as stream:
        data = stream.read()
    assert entry["path"] == path and entry["size"] == len(data) and entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert (entry["namespace"], entry["pod"], entry["container"]) == NAME and entry["container_id"] == container_id(
        *NAME
    )
    assert entry["node"] == "node1" and entry["verified"] and entry["changed"] and not entry["reused"]
    assert sorted(entry["stages"]) == ["call", "verify", "wait"]
    assert node.files() == [os.path.basename(path) + suffix for suffix in ("", ".pod.json", ".record.json")]
    with open(entry["record_path"], encoding="utf-8") as stream:
        assert json.load(stream) == entry["record"]
    assert entry["record"]["source"]["cluster"] == "prod" and entry["record"]["engine"] == {
        "name": "containerd",
        "version": "v2.1.9",
    }
    for suffix in (".pod.json", ".record.json"):
        assert stat.S_IMODE(os.stat(path + suffix).st_mode) == 0o600
    assert "do-not-show" not in json.dumps(result)
    with open(path + ".pod.json", encoding="utf-8") as stream:
        assert "do-not-show" in stream.read()  # the pod's object is kept whole


def test_safe_names(tmp_path):
    node = Node(tmp_path)
    entry = node.run(rename="safe")["checkpoints"][0]
    assert os.path.basename(entry["path"]) == "checkpoint-counter_default-counter-2026-11-21T12-00-01_01-00.tar"
    assert entry["record"]["archive"]["name"] == os.path.basename(entry["path"])
    assert not [name for name in node.files() if ":" in name or "+" in name]


def test_timeouts(tmp_path):
    node = Node(tmp_path, runtime=True)
    node.runtime.memory = 5 * 1024**3
    node.run()
    assert node.kubelet.checkpoint_calls[-1][1:] == ("/checkpoint/default/counter/counter?timeout=210", 270.0)
    node.run(timeout=300)
    assert node.kubelet.checkpoint_calls[-1][1:] == ("/checkpoint/default/counter/counter?timeout=300", 360.0)
    node.run(timeout=10, deadline=500)
    assert node.kubelet.checkpoint_calls[-1][1:] == ("/checkpoint/default/counter/counter?timeout=10", 500.0)


@pytest.mark.parametrize(
    "options,text",
    [
        ({"timeout": 0}, "timeout must be at least 1"),
        ({"max_age": -1}, "max_age must be at least 0"),
        ({"timeout": 100, "deadline": 100}, "must be longer than timeout"),
        ({"concurrency": 0}, "concurrency must be between"),
        ({"checkpoint_dir": "x"}, "is not an absolute path"),
        ({"pods": [{"namespace": "default", "name": "../../etc"}]}, "pod '../../etc' is not a DNS-1123 subdomain"),
        ({"pods": [{"namespace": "a%2fb", "name": "x"}]}, "namespace 'a%2fb' is not"),
        ({"pods": [{"namespace": "default", "name": "x", "containers": ["c#"]}]}, "container 'c#' is not"),
        ({"namespace": "Default"}, "namespace 'Default' is not"),
        ({"namespace": "default", "containers": ["../x"]}, "container '../x' is not"),
        ({"label_selectors": ["a=b=c"]}, "label selector 'a=b=c' cannot be understood"),
        ({"field_selectors": ["spec.nope=1"]}, "field selector 'spec.nope=1' cannot be understood"),
    ],
)
def test_bad_options_touch_nothing(tmp_path, options, text):
    node = Node(tmp_path)
    with pytest.raises(InputError) as caught:
        node.run(**options)
    assert text in caught.value.msg and node.kubelet.calls == []


def test_selectors(tmp_path):
    pods = [
        pod_object("shop", "cart-0", ["cart", "cache"], labels={"app": "cart"}),
        pod_object("shop", "cart-1", ["cart", "cache"], labels={"app": "cart"}, running=False),
        pod_object("shop", "web", ["web"], labels={"app": "web"}),
        pod_object("other", "cart-0", ["cart"], labels={"app": "cart"}),
    ]
    node = Node(tmp_path, pods)
    result = node.run(namespace="shop", label_selectors=["app in (cart, x)"], containers=["cart"])
    assert [(entry["namespace"], entry["pod"], entry["container"]) for entry in result["checkpoints"]] == [
        ("shop", "cart-0", "cart")
    ]
    assert result["not_running"] == [
        {"namespace": "shop", "pod": "cart-1", "container": "cart", "why": "waiting: ImagePullBackOff"}
    ]
    names = {
        (entry["namespace"], entry["pod"], entry["container"])
        for entry in node.run(field_selectors=["metadata.name=cart-0"])["checkpoints"]
    }
    assert names == {("shop", "cart-0", "cart"), ("shop", "cart-0", "cache"), ("other", "cart-0", "cart")}


def test_nothing_matches(tmp_path):
    result = Node(tmp_path).run(namespace="empty")
    assert result["changed"] is False and result["checkpoints"] == [] and result["failures"] == []
    assert result["msg"] == "no running container matches, so there was nothing to checkpoint"


def test_partial_failure_keeps_what_succeeded(tmp_path, quick):
    pods = [pod_object("default", "two", ["a", "b"]), pod_object("default", "late", ["c"], running=False)]
    node = Node(
        tmp_path,
        pods,
        special={
            "default/two/a": lambda kubelet, path: Answer(500, {}, b"checkpointing of default/two/a failed (boom)")
        },
    )
    wanted = [{"namespace": "default", "name": name} for name in ("two", "gone", "late")] + [
        {"namespace": "default", "name": "two", "containers": ["x"]}
    ]
    result = node.run(pods=wanted)
    assert [entry["container"] for entry in result["checkpoints"]] == ["b"] and result["changed"]
    messages = {(failure["pod"], failure["container"]): failure["msg"] for failure in result["failures"]}
    assert messages[("gone", None)].startswith("there is no pod gone in namespace default on this node")
    assert (
        messages[("late", "c")]
        == "the container default/late/c does not run (waiting: ImagePullBackOff); only a running container can be"
        " checkpointed"
    )
    assert messages[("two", "x")] == "pod default/two has no container x; it has a, b"
    assert "boom" in messages[("two", "a")]
    assert result["msg"].startswith("4 of 5 checkpoints failed. The first, of ")
    assert all(
        {"namespace", "pod", "container", "msg", "http_status", "diagnosis", "paused"} <= set(failure)
        for failure in result["failures"]
    )


def test_concurrency(tmp_path):
    pods = [pod_object("default", "p%d" % number, ["c"]) for number in range(6)]

    # Whoever is asked waits for two more: fewer at once would never get on.
    together = threading.Barrier(3, timeout=60)

    def slow(kubelet, path):
        together.wait()
        pod = path.split("checkpoint-")[1].partition("_")[0]
        kubelet.write(path, named_archive("default", pod, "c", container_id("default", pod, "c")))

    node = Node(tmp_path, pods, special={"default/p%d/c" % number: slow for number in range(6)})
    result = node.run(namespace="default", concurrency=3)
    assert len(result["checkpoints"]) == 6 and node.kubelet.most_active == 3
    assert [entry["pod"] for entry in result["checkpoints"]] == ["p%d" % number for number in range(6)]


def test_one_container_asked_for_twice_is_done_once(tmp_path):
    node = Node(tmp_path)
    assert len(node.run(pods=ONE + ONE, concurrency=2)["checkpoints"]) == 1


def test_two_calls_for_one_container_are_a_second_apart(tmp_path):
    node = Node(tmp_path)
    # On a busy machine the second may be over before the next call.
    for dummy in range(50):
        node.run()
        if node.slept:
            break
    assert node.slept and 0 < node.slept[0] <= 1.0


# -- max_age ---------------------------------------------------------------------------------------------------------


def test_max_age(tmp_path):
    node = Node(tmp_path)
    first = node.run(max_age=3600)
    second = node.run(max_age=3600)
    assert (first["changed"], second["changed"]) == (True, False)
    entry = second["checkpoints"][0]
    assert (
        entry["reused"]
        and entry["verified"]
        and not entry["changed"]
        and entry["record"] == first["checkpoints"][0]["record"]
    )
    assert second["msg"] == "1 already had a fresh enough archive"
    assert len(node.kubelet.checkpoint_calls) == 1


def test_max_age_zero_and_old_archives(tmp_path):
    node = Node(tmp_path)
    node.kubelet.now = "2026-11-01T00:00:00Z"
    node.run()
    assert node.run(max_age=3600)["changed"] is True


def test_max_age_asks_for_this_very_container(tmp_path):
    node = Node(tmp_path)
    node.run()
    node.pods[0]["status"]["containerStatuses"][0]["containerID"] = "containerd://" + "b" * 64
    node.kubelet.special["default/counter/counter"] = lambda kubelet, path: kubelet.write(
        path, named_archive(*NAME, container_id="b" * 64)
    )
    assert node.run(max_age=3600)["checkpoints"][0]["reused"] is False


@pytest.mark.parametrize("damage", ["gone", "short", "other"])
def test_max_age_does_not_trust_a_damaged_archive(tmp_path, damage):
    node = Node(tmp_path)
    path = node.run()["checkpoints"][0]["path"]
    if damage == "gone":
        os.unlink(path)
    elif damage == "short":
        os.truncate(path, os.path.getsize(path) - 1024)
    else:
        with open(path, "wb") as stream:
            stream.write(named_archive("default", "other", "counter"))
    result = node.run(max_age=3600)
    assert result["checkpoints"][0]["reused"] is False and result["changed"]


def test_max_age_with_digest(tmp_path):
    node = Node(tmp_path)
    path = node.run()["checkpoints"][0]["path"]
    assert node.run(max_age=3600, verify="always")["changed"] is False
    with open(path, "r+b") as stream:
        data = bytearray(stream.read())
        position = data.index(b"\xa5" * 100)
        stream.seek(position)
        stream.write(b"\x5a")
    failure = only_failure(node.run(max_age=3600, verify="always"))
    assert "is damaged: its SHA-256 is" in failure["msg"]


def test_an_archive_without_a_record_becomes_complete(tmp_path):
    """Killed between the kubelet's answer and the record: the next run finishes the work instead of doing it again."""
    node = Node(tmp_path)
    entry = node.run()["checkpoints"][0]
    os.unlink(entry["record_path"])
    result = node.run(max_age=3600, check_mode=True)
    assert (
        result["changed"]
        and result["checkpoints"][0]["path"] == entry["path"]
        and not os.path.exists(entry["record_path"])
    )
    result = node.run(max_age=3600)
    assert (
        result["changed"] and result["checkpoints"][0]["reused"] and result["checkpoints"][0]["path"] == entry["path"]
    )
    assert os.path.exists(entry["record_path"]) and len(node.kubelet.checkpoint_calls) == 1


def test_max_age_needs_the_containers_id(tmp_path):
    node = Node(tmp_path, may_read_pods=False)
    assert "max_age needs the ID of the container default/counter/counter" in only_failure(node.run(max_age=60))["msg"]


# -- least privilege, other transports ---------------------------------------------------------------------------------


def test_without_the_right_to_read_pods(tmp_path):
    node = Node(tmp_path, may_read_pods=False)
    entry = node.run()["checkpoints"][0]
    assert entry["verified"] and entry["record"]["source"]["container_id"] == container_id(*NAME)
    assert not [name for name in node.files() if name.endswith(".pod.json")]
    with pytest.raises(CheckpointError, match="nodes/pods"):
        node.run(pods=[{"namespace": "default", "name": "counter"}])
    with pytest.raises(CheckpointError, match="nodes/pods"):
        node.run(namespace="default")


def test_the_runtime_knows_what_the_kubelet_does_not_tell(tmp_path):
    node = Node(tmp_path, may_read_pods=False, runtime=True)
    result = node.run(pods=[{"namespace": "default", "name": "counter"}], max_age=60)
    assert result["checkpoints"][0]["container_id"] == container_id(*NAME)
    assert node.run(pods=[{"namespace": "default", "name": "counter"}], max_age=60)["changed"] is False
    failure = only_failure(node.run(pods=[{"namespace": "default", "name": "nowhere", "containers": ["c"]}]))
    assert (
        failure["msg"]
        == "the container runtime of this node runs no container c of pod default/nowhere: is the pod on another node?"
    )


def test_cri(tmp_path):
    node = Node(tmp_path, runtime=True)

    def checkpoint(export, cid):
        assert cid == container_id(*NAME)
        with open(export, "wb") as stream:
            stream.write(named_archive(*NAME, container_id=cid))
        return 0, "", ""

    node.runtime.on_checkpoint = checkpoint
    entry = node.run(transport="cri")["checkpoints"][0]
    assert entry["verified"] and os.path.basename(entry["path"]).startswith("checkpoint-counter_default-counter-2")
    assert node.kubelet.calls == []
    with pytest.raises(InputError, match="transport=cri knows no labels"):
        node.run(transport="cri", label_selectors=["a=b"])
    assert node.run(transport="cri", check_mode=True)["checkpoints"][0]["path"] is None
    assert [
        entry["pod"] for entry in node.run(transport="cri", namespace="default", check_mode=True)["checkpoints"]
    ] == ["counter"]


def test_cri_failures(tmp_path, quick):
    node = Node(tmp_path, runtime=True)
    node.runtime.on_checkpoint = lambda export, cid: (
        1,
        "",
        "rpc error: code = Unimplemented desc = method CheckpointContainer not implemented",
    )
    failure = only_failure(node.run(transport="cri"))
    assert "crictl checkpoint failed: rpc error" in failure["msg"] and failure["diagnosis"][0]["remedy"]
    assert failure["paused"]["found"] is False
    failure = only_failure(
        node.run(transport="cri", pods=[{"namespace": "default", "name": "counter", "containers": ["x"]}])
    )
    assert (
        failure["msg"]
        == "the container runtime of this node runs no container x of pod default/counter; it runs counter"
    )


def test_cri_without_crictl(tmp_path):
    with pytest.raises(InputError, match="needs crictl on this machine"):
        Node(tmp_path).run(transport="cri")


def test_through_the_api_server_from_elsewhere(tmp_path):
    node = Node(tmp_path)
    seen = []

    def send(method, url, **kwargs):
        seen.append(url)
        if "/proxy/checkpoint/" in url:
            return node.kubelet.success(
                "/var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T12:00:01Z.tar"
            )
        if url.endswith("/pods/moved"):
            return Answer(200, {}, json.dumps(pod_object("default", "moved", ["c"], node="node2")).encode())
        if url.endswith("/pods/nowhere"):
            return Answer(404, {}, b"{}")
        return Answer(200, {}, json.dumps({"items": node.pods}).encode())

    params = dict.fromkeys(
        "namespace label_selectors field_selectors containers cluster timeout deadline max_age".split()
    )
    params.update(
        transport="api_proxy",
        checkpoint_dir="/var/lib/kubelet/checkpoints",
        concurrency=1,
        rename="keep",
        verify="auto",
        authorization_wait=0,
        node="node1",
    )
    params["pods"] = ONE + [
        {"namespace": "default", "name": name, "containers": ["c"]} for name in ("moved", "nowhere")
    ]
    result = run(params, Tools(KubeletClient(send, "https://api", node="node1"), None, node.locks), False)
    entry = result["checkpoints"][0]
    assert entry["verified"] is False and entry["record"] is None and entry["sha256"] is None and entry["changed"]
    assert [failure["msg"] for failure in result["failures"]][
        0
    ] == "pod default/moved is on node node2, not on the node that was asked"
    assert result["failures"][1]["msg"].startswith("there is no pod nowhere")
    assert "https://api/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1" in seen


# -- check mode -------------------------------------------------------------------------------------------------------


def test_check_mode_has_the_same_keys_and_no_effect(tmp_path):
    node = Node(tmp_path)
    predicted = node.run(check_mode=True)
    assert node.files() == [] and not os.path.exists(node.locks)
    assert [call[1] for call in node.kubelet.checkpoint_calls] == [
        "/checkpoint/default/counter/container-checkpoint-probe-that-no-container-is-named-after"
    ]
    done = node.run()
    assert set(predicted) == set(done) and set(predicted["checkpoints"][0]) == set(done["checkpoints"][0])
    assert predicted["changed"] is done["changed"] is True
    assert predicted["msg"] == "1 container would be checkpointed"
    assert predicted["checkpoints"][0]["path"] is None


def test_check_mode_meets_the_same_refusals(tmp_path):
    node = Node(tmp_path)
    node.kubelet.checkpoint = lambda *names: Answer(403, {}, (FORBIDDEN % ("create", "checkpoint")).encode())
    failure = only_failure(node.run(check_mode=True))
    assert failure["http_status"] == 403 and 'resources: ["nodes/checkpoint"]' in failure["msg"]


def test_check_mode_with_max_age(tmp_path):
    node = Node(tmp_path)
    assert node.run(max_age=60, check_mode=True)["changed"] is True
    node.run(max_age=60)
    assert node.run(max_age=60, check_mode=True)["changed"] is False
