# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server double: discovery, objects, access, watches, scheduling, deletion."""

from __future__ import annotations

import http.client
import json
import os
import threading
import typing as t

import pytest

from apidouble import auth
from apidouble.store import PODS, Store
from doubles_testkit import Client, Cluster, data

PODS_URL = "/api/v1/namespaces/default/pods"
MERGE, STRATEGIC, JSON, APPLY = (
    f"application/{kind}"
    for kind in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml")
)


def pod(name: str = "a", **spec: t.Any) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "base.lab:5001/x:1"}], **spec},
    }


# --- discovery


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/version", "version.json"),
        ("/apis", "apis.json"),
        ("/api/v1", "api_v1.json"),
        ("/apis/apps/v1", "apis_apps_v1.json"),
        ("/apis/node.k8s.io/v1", "apis_node.k8s.io_v1.json"),
    ],
)
def test_discovery_is_a_real_servers(cluster: Cluster, path: str, file: str) -> None:
    answer = cluster.admin("GET", path)
    assert (answer.status, answer.json) == (200, json.loads(data(os.path.join("api", file))))


def test_every_group_can_be_discovered(cluster: Cluster) -> None:
    for group in cluster.admin("GET", "/apis").json["groups"]:
        assert cluster.admin("GET", f"/apis/{group['name']}").json["kind"] == "APIGroup"
        for version in group["versions"]:
            assert (
                cluster.admin("GET", f"/apis/{version['groupVersion']}").json["groupVersion"] == version["groupVersion"]
            )


def test_what_is_not_there(cluster: Cluster) -> None:
    assert cluster.admin("GET", "/nothing").body == "404 page not found\n"
    answer = cluster.admin("GET", "/api/v1/namespaces/default/nothings")
    assert (answer.status, answer.json["message"]) == (404, "the server could not find the requested resource")


# --- who may


def test_who_is_asking(cluster: Cluster) -> None:
    nobody = cluster.client()
    assert cluster.client(token="nonsense")("GET", PODS_URL).json["code"] == 401
    assert nobody("GET", "/version").status == 200
    assert nobody("GET", PODS_URL).json["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
        '"default"'
    )
    answer = cluster.ckpt("GET", PODS_URL + "/x")
    assert (answer.status, answer.json["reason"], answer.json["details"]) == (
        403,
        "Forbidden",
        {"name": "x", "kind": "pods"},
    )


def test_review_of_access(cluster: Cluster) -> None:
    def may(client: Client, **what: str) -> bool:
        return client(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": what}}
        ).json["status"]["allowed"]

    checkpoint = {"verb": "create", "resource": "nodes", "subresource": "checkpoint"}
    assert may(cluster.ckpt, **checkpoint) and may(cluster.admin, **checkpoint)
    assert not may(cluster.nothing, **checkpoint)
    assert not may(cluster.ckpt, verb="create", resource="nodes", subresource="proxy")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["create"]}, True),
        ({"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}, True),
        ({"apiGroups": [""], "resources": ["*/checkpoint"], "verbs": ["create"]}, True),
        ({"apiGroups": [""], "resources": ["nodes"], "verbs": ["create"]}, False),
        ({"apiGroups": ["apps"], "resources": ["nodes/checkpoint"], "verbs": ["create"]}, False),
        ({"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["get"]}, False),
        (
            {"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["create"], "resourceNames": ["other"]},
            False,
        ),
    ],
)
def test_rules(rule: dict, allowed: bool) -> None:
    what = auth.Attributes("create", "", "nodes", "checkpoint", "", "node1")
    assert auth.rule_allows(rule, what) is allowed


def test_token_request_and_its_end(cluster: Cluster) -> None:
    url = "/api/v1/namespaces/default/serviceaccounts/ckpt/token"
    short = cluster.admin("POST", url, {"spec": {"expirationSeconds": 60}})
    assert short.status == 422
    answer = cluster.admin("POST", url, {"spec": {"expirationSeconds": 600}}).json
    key = cluster.server.app.token_key
    user = auth.user_of_token(key, answer["status"]["token"], cluster.store)
    assert user is not None and user.name == "system:serviceaccount:default:ckpt"
    account = cluster.store.get(auth.Key("", "serviceaccounts"), "default", "ckpt")
    assert auth.user_of_token(key, auth.issue_token(key, account, -1), cluster.store) is None
    cluster.admin("DELETE", "/api/v1/namespaces/default/serviceaccounts/ckpt")
    assert auth.user_of_token(key, answer["status"]["token"], cluster.store) is None


# --- objects


def test_create_read_update_delete(cluster: Cluster) -> None:
    url = "/api/v1/namespaces/default/configmaps"
    made = cluster.admin("POST", url, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    assert (made.status, made.json["kind"]) == (201, "ConfigMap")
    again = cluster.admin("POST", url, {"metadata": {"name": "a"}})
    assert (again.status, again.json["reason"], again.json["message"]) == (
        409,
        "AlreadyExists",
        'configmaps "a" already exists',
    )
    body = made.json
    body["data"]["x"] = "2"
    assert cluster.admin("PUT", url + "/a", body).status == 200
    stale = cluster.admin("PUT", url + "/a", body)
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")
    gone = cluster.admin("DELETE", url + "/a").json
    assert (gone["kind"], gone["status"], gone["details"]["kind"]) == ("Status", "Success", "configmaps")
    missing = cluster.admin("GET", url + "/a")
    assert (missing.status, missing.json["message"]) == (404, 'configmaps "a" not found')


def test_generated_name_and_missing_namespace(cluster: Cluster) -> None:
    url = "/api/v1/namespaces/default/configmaps"
    assert cluster.admin("POST", url, {"metadata": {"generateName": "x-"}}).json["metadata"]["name"].startswith("x-")
    answer = cluster.admin("POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "a"}})
    assert (answer.status, answer.json["message"]) == (404, 'namespaces "nowhere" not found')


def test_dry_run_changes_nothing(cluster: Cluster) -> None:
    before = cluster.store.version
    assert cluster.admin("POST", PODS_URL + "?dryRun=All", pod()).status == 201
    assert cluster.admin("GET", PODS_URL + "/a").status == 404
    assert cluster.store.version == before


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (MERGE, {"data": {"x": None, "y": "2"}}, {"y": "2"}),
        (STRATEGIC, {"data": {"y": "2"}}, {"x": "1", "y": "2"}),
        (JSON, [{"op": "replace", "path": "/data/x", "value": "9"}], {"x": "9"}),
        (
            APPLY,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"z": "3"}},
            {"x": "1", "z": "3"},
        ),
    ],
)
def test_patches(cluster: Cluster, kind: str, body: t.Any, wanted: dict) -> None:
    url = "/api/v1/namespaces/default/configmaps"
    cluster.admin("POST", url, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    answer = cluster.admin("PATCH", url + "/a?fieldManager=test", body, kind)
    assert (answer.status, answer.json["data"]) == (200, wanted)
    same = cluster.admin("PATCH", url + "/a?fieldManager=test", {"data": wanted}, MERGE).json
    assert same["metadata"]["resourceVersion"] == answer.json["metadata"]["resourceVersion"]


def test_patch_that_does_not_apply(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod())
    assert cluster.admin("PATCH", PODS_URL + "/a", [{"op": "remove", "path": "/metadata/nothing"}], JSON).status == 422
    assert cluster.admin("PATCH", PODS_URL + "/a", {}, "text/plain").status == 415


def test_selectors(cluster: Cluster) -> None:
    for name in ("a", "b", "c"):
        cluster.admin("POST", PODS_URL, pod(name, nodeName="node1" if name == "a" else "node2"))

    def names(query: str) -> list[str]:
        return [entry["metadata"]["name"] for entry in cluster.admin("GET", "/api/v1/pods?" + query).json["items"]]

    assert names("labelSelector=app%3Da") == ["a"]
    assert names("labelSelector=app+in+(a,b),app!%3Db") == ["a"]
    assert names("labelSelector=!app") == []
    assert names("fieldSelector=spec.nodeName%3Dnode2") == ["b", "c"]
    assert names("fieldSelector=metadata.name!%3Da,status.phase%3DPending") == ["b", "c"]
    bad = cluster.admin("GET", "/api/v1/pods?fieldSelector=spec.nothing%3Da")
    assert (bad.status, bad.json["message"]) == (400, "field label not supported: spec.nothing")


# --- pods


def test_pod_gets_what_admission_gives(cluster: Cluster) -> None:
    spec = cluster.admin("POST", PODS_URL, pod()).json["spec"]
    recorded = json.loads(data("kubelet-pods.json"))["items"][0]["spec"]
    assert set(spec) == set(recorded) - {"nodeName"}
    assert set(spec["containers"][0]) == set(recorded["containers"][0])
    mount = spec["containers"][0]["volumeMounts"][0]
    assert (mount["mountPath"], mount["readOnly"]) == ("/var/run/secrets/kubernetes.io/serviceaccount", True)
    without = cluster.admin("POST", PODS_URL, pod("b", automountServiceAccountToken=False)).json["spec"]
    assert "volumes" not in without


def test_pods_that_are_refused(cluster: Cluster) -> None:
    answer = cluster.admin("POST", PODS_URL, pod("a", containers=[]))
    assert (answer.status, answer.json["message"]) == (422, 'Pod "a" is invalid: spec.containers: Required value')
    assert answer.json["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers"}
    ]
    assert cluster.admin("POST", PODS_URL, pod("../x")).status == 422
    assert (
        'serviceaccount "x" not found'
        in cluster.admin("POST", PODS_URL, pod("b", serviceAccountName="x")).json["message"]
    )
    assert (
        'RuntimeClass "x" not found' in cluster.admin("POST", PODS_URL, pod("b", runtimeClassName="x")).json["message"]
    )
    twice = [{"name": "c", "image": "x"}, {"name": "c", "image": "x"}]
    assert "Duplicate value" in cluster.admin("POST", PODS_URL, pod("b", containers=twice)).json["message"]


DEPLOYMENTS_URL = "/apis/apps/v1/namespaces/default/deployments"


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"env": [{"name": "N", "value": 1}]}, "number into Go struct field EnvVar.%s.env.value of type string"),
        ({"env": [{"name": "N", "value": True}]}, "bool into Go struct field EnvVar.%s.env.value of type string"),
        ({"env": [{"name": "A", "value": "1"}, {"name": 2}]}, "number into Go struct field EnvVar.%s.env.name of type string"),
        ({"args": ["--port", 8080]}, "number into Go struct field Container.%s.args of type string"),
        ({"command": [["sh"]]}, "array into Go struct field Container.%s.command of type string"),
    ],
)
def test_what_the_decoder_refuses(cluster: Cluster, container: dict, message: str) -> None:
    """YAML's numbers and booleans where a string belongs: 400 before any validation, with the decoder's own words."""
    wrong = pod()
    wrong["spec"]["containers"][0].update(container)
    answer = cluster.admin("POST", PODS_URL, wrong)
    assert (answer.status, answer.json["reason"], answer.json["message"]) == (
        400,
        "BadRequest",
        'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal ' + message % "spec.containers",
    )
    template = {"metadata": {"labels": {"app": "a"}}, "spec": wrong["spec"]}
    deployment = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template}}
    answer = cluster.admin("POST", DEPLOYMENTS_URL, deployment)
    assert (answer.status, message % "spec.template.spec.containers" in answer.json["message"]) == (400, True)
    assert cluster.admin("GET", PODS_URL).json["items"] == []


def test_what_the_decoder_takes(cluster: Cluster) -> None:
    """A null is no value, and environments may come from elsewhere."""
    right = pod()
    right["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": None},
        {"name": "B", "value": ""},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    assert cluster.admin("POST", PODS_URL, right).status == 201
    assert cluster.admin("PATCH", PODS_URL + "/a", {"metadata": {"labels": {"tier": 1}}}, MERGE).status == 400
    assert cluster.admin("PATCH", PODS_URL + "/a", {"metadata": {"labels": {"tier": None}}}, MERGE).status == 200


def test_what_of_a_pod_may_change(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod())
    assert cluster.admin("PATCH", PODS_URL + "/a", {"spec": {"nodeName": "x"}}, MERGE).status == 422
    assert (
        cluster.admin(
            "PATCH", PODS_URL + "/a", {"spec": {"containers": [{"name": "c", "image": "y"}]}}, STRATEGIC
        ).status
        == 200
    )
    assert (
        cluster.admin("PATCH", PODS_URL + "/a", {"status": {"phase": "Running"}}, MERGE).json["status"]["phase"]
        == "Pending"
    )
    assert (
        cluster.admin("PATCH", PODS_URL + "/a/status", {"status": {"phase": "Running"}}, MERGE).json["status"]["phase"]
        == "Running"
    )


def test_scheduling_with_gates_and_selectors(cluster: Cluster, ready_node: dict) -> None:
    cluster.admin("POST", PODS_URL, pod("gated", schedulingGates=[{"name": "x/y"}]))
    cluster.admin("POST", PODS_URL, pod("fits", nodeSelector={"kubernetes.io/hostname": "node1"}))
    cluster.admin("POST", PODS_URL, pod("nowhere", nodeSelector={"a": "b"}))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node1"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    cluster.admin("POST", PODS_URL, pod("affine", affinity=affinity))
    cluster.run_controllers()

    def look(name: str) -> tuple[t.Optional[str], str]:
        found = cluster.admin("GET", f"{PODS_URL}/{name}").json
        condition = [c for c in found["status"]["conditions"] if c["type"] == "PodScheduled"][0]
        return found["spec"].get("nodeName"), condition.get("reason", condition["status"])

    assert look("gated") == (None, "SchedulingGated")
    assert look("fits") == look("affine") == ("node1", "True")
    assert look("nowhere") == (None, "Unschedulable")
    cluster.admin("PATCH", PODS_URL + "/gated", [{"op": "remove", "path": "/spec/schedulingGates"}], JSON)
    cluster.run_controllers()
    assert look("gated") == ("node1", "True")
    more = cluster.admin("PATCH", PODS_URL + "/fits", {"spec": {"schedulingGates": [{"name": "x/y"}]}}, MERGE)
    assert "only deletion is allowed" in more.json["message"]


def test_cordoned_node_gets_nothing(cluster: Cluster, ready_node: dict) -> None:
    cluster.admin("PATCH", "/api/v1/nodes/node1", {"spec": {"unschedulable": True}}, MERGE)
    cluster.admin("POST", PODS_URL, pod())
    cluster.run_controllers()
    found = cluster.admin("GET", PODS_URL + "/a").json
    assert "nodeName" not in found["spec"]
    assert "1 node(s) were unschedulable" in found["status"]["conditions"][0]["message"]


def test_deletion_waits_for_the_kubelet(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod(nodeName="node1", terminationGracePeriodSeconds=7))
    marked = cluster.admin("DELETE", PODS_URL + "/a").json
    assert (marked["metadata"]["deletionGracePeriodSeconds"], "deletionTimestamp" in marked["metadata"]) == (7, True)
    assert (
        cluster.admin("DELETE", PODS_URL + "/a", {"gracePeriodSeconds": 0, "preconditions": {"uid": "other"}}).status
        == 409
    )
    kubelet = cluster.client(name="nodes/node1/kubelet-client")
    assert (
        kubelet(
            "DELETE", PODS_URL + "/a", {"gracePeriodSeconds": 0, "preconditions": {"uid": marked["metadata"]["uid"]}}
        ).status
        == 200
    )
    assert cluster.admin("GET", PODS_URL + "/a").status == 404


def test_finalizer_holds_an_object(cluster: Cluster) -> None:
    body = pod()
    body["metadata"]["finalizers"] = ["x/y"]
    cluster.admin("POST", PODS_URL, body)
    cluster.admin("DELETE", PODS_URL + "/a")
    assert cluster.admin("GET", PODS_URL + "/a").json["metadata"]["finalizers"] == ["x/y"]
    cluster.admin("PATCH", PODS_URL + "/a", {"metadata": {"finalizers": None}}, MERGE)
    assert cluster.admin("GET", PODS_URL + "/a").status == 404


def test_dependents_go_with_their_owner(cluster: Cluster) -> None:
    url = "/apis/apps/v1/namespaces/default/replicasets"
    owner = cluster.admin(
        "POST", url, {"metadata": {"name": "r"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    ).json
    body = pod()
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": owner["metadata"]["uid"]}
    ]
    cluster.admin("POST", PODS_URL, body)
    cluster.run_controllers()
    assert cluster.admin("GET", PODS_URL + "/a").status == 200
    cluster.admin("DELETE", url + "/r")
    cluster.run_controllers()
    assert cluster.admin("GET", PODS_URL + "/a").status == 404


def test_namespace_ends_when_it_is_empty(cluster: Cluster) -> None:
    cluster.admin("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    cluster.run_controllers()
    assert cluster.admin("GET", "/api/v1/namespaces/n/serviceaccounts/default").status == 200
    cluster.admin("POST", "/api/v1/namespaces/n/pods", pod(nodeName="node1"))
    assert cluster.admin("DELETE", "/api/v1/namespaces/n").json["status"]["phase"] == "Terminating"
    cluster.run_controllers()
    assert cluster.admin("GET", "/api/v1/namespaces/n").status == 200
    assert cluster.admin("POST", "/api/v1/namespaces/n/configmaps", {"metadata": {"name": "x"}}).status == 403
    cluster.admin("DELETE", "/api/v1/namespaces/n/pods/a?gracePeriodSeconds=0")
    cluster.run_controllers()
    assert cluster.admin("GET", "/api/v1/namespaces/n").status == 404


def test_eviction_respects_a_budget(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod())
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    cluster.admin("POST", budgets, {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "a"}}}})
    refused = cluster.admin(
        "POST", PODS_URL + "/a/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    )
    assert (refused.status, refused.json["reason"]) == (429, "TooManyRequests")
    cluster.admin("DELETE", budgets + "/b")
    assert cluster.admin("POST", PODS_URL + "/a/eviction", {"metadata": {"name": "a"}}).status == 201
    assert cluster.admin("GET", PODS_URL + "/a").status == 404


def test_binding(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod())
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "a"},
        "target": {"kind": "Node", "name": "node1"},
    }
    assert cluster.admin("POST", PODS_URL + "/a/binding", body).status == 201
    assert cluster.admin("GET", PODS_URL + "/a").json["spec"]["nodeName"] == "node1"
    assert cluster.admin("POST", PODS_URL + "/a/binding", body).status == 409


# --- watches


class Watch:
    """Reads a watch in a thread of its own."""

    def __init__(self, client: Client, query: str) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", client.port, context=client.context, timeout=10)
        self._connection.request("GET", f"/api/v1/pods?watch=1&timeoutSeconds=2&{query}")
        self._response = self._connection.getresponse()

    def events(self) -> list[tuple[str, str]]:
        found = [json.loads(line) for line in self._response.read().splitlines()]
        return [(e["type"], e["object"]["metadata"].get("name", e["object"].get("reason"))) for e in found]


def test_watch_from_a_version_with_a_selector(cluster: Cluster) -> None:
    version = cluster.admin("GET", "/api/v1/pods").json["metadata"]["resourceVersion"]
    watch = Watch(cluster.admin, f"resourceVersion={version}&labelSelector=app%3Da")

    def work() -> None:
        cluster.admin("POST", PODS_URL, pod("a"))
        cluster.admin("POST", PODS_URL, pod("b"))
        cluster.admin("PATCH", PODS_URL + "/b", {"metadata": {"labels": {"app": "a"}}}, MERGE)
        cluster.admin("PATCH", PODS_URL + "/a", {"metadata": {"annotations": {"x": "y"}}}, MERGE)
        cluster.admin("PATCH", PODS_URL + "/a", {"metadata": {"labels": {"app": "z"}}}, MERGE)
        cluster.admin("DELETE", PODS_URL + "/b")

    thread = threading.Thread(target=work)
    thread.start()
    events = watch.events()
    thread.join()
    assert events == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "a"), ("DELETED", "b")]


def test_watch_without_a_version_begins_with_what_is_there(cluster: Cluster) -> None:
    cluster.admin("POST", PODS_URL, pod())
    assert Watch(cluster.admin, "fieldSelector=metadata.name%3Da").events() == [("ADDED", "a")]


def test_watch_from_a_version_that_is_forgotten(cluster: Cluster) -> None:
    cluster.store._oldest = 1000
    assert Watch(cluster.admin, "resourceVersion=1").events() == [("ERROR", "Expired")]


# --- the snapshot


def test_objects_survive_a_restart(tmp_path: t.Any) -> None:
    path = str(tmp_path / "state.json")
    store = Store(path)
    made = store.create(PODS, {"metadata": {"name": "a", "namespace": "default"}})
    store.save()
    assert os.stat(path).st_mode & 0o777 == 0o600
    again = Store(path)
    assert again.get(PODS, "default", "a") == made
    assert again.create(PODS, {"metadata": {"name": "b", "namespace": "default"}})["metadata"]["resourceVersion"] == "2"
