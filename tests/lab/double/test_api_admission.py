# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server double: quotas and Pod Security Standards refuse a pod as a real server does, also in a dry run."""

from __future__ import annotations

import typing as t

import pytest

from apidouble.quota import amount, written
from doubles_testkit import Cluster

NAMESPACE_URL = "/api/v1/namespaces/default"
PODS_URL = NAMESPACE_URL + "/pods"
MERGE = "application/merge-patch+json"
STRICT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, resources: t.Optional[dict] = None, context: t.Optional[dict] = None, **spec: t.Any) -> dict:
    container: dict = {"name": "c", "image": "base.lab:5001/x:1"}
    if resources:
        container["resources"] = resources
    if context:
        container["securityContext"] = context
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def quota(cluster: Cluster, name: str, **hard: str) -> None:
    spec = {"hard": {key.replace("__", "."): value for key, value in hard.items()}}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec}
    assert cluster.admin("POST", NAMESPACE_URL + "/resourcequotas", body).status == 201


def enforce(cluster: Cluster, level: t.Optional[str]) -> None:
    body = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}
    assert cluster.admin("PATCH", NAMESPACE_URL, body, MERGE).status == 200


def refused(cluster: Cluster, body: dict, dry_run: bool = False) -> str:
    answer = cluster.admin("POST", PODS_URL + ("?dryRun=All" if dry_run else ""), body)
    assert (answer.status, answer.json["reason"]) == (403, "Forbidden"), answer.body
    assert answer.json["details"] == {"name": body["metadata"]["name"], "kind": "pods"}
    return answer.json["message"]


def names(cluster: Cluster) -> list[str]:
    return sorted(one["metadata"]["name"] for one in cluster.admin("GET", PODS_URL).json["items"])


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_quota_of_pods_that_is_used_up(cluster: Cluster, dry_run: bool) -> None:
    assert cluster.admin("POST", PODS_URL, pod("a")).status == 201
    quota(cluster, "one", pods="1")
    assert refused(cluster, pod("b"), dry_run) == (
        'pods "b" is forbidden: exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1'
    )
    assert names(cluster) == ["a"]
    cluster.admin("DELETE", PODS_URL + "/a")
    assert cluster.admin("POST", PODS_URL + "?dryRun=All", pod("b")).status == 201 and names(cluster) == []


def test_a_quota_of_memory_and_processors_counts_what_is_requested_and_limited(cluster: Cluster) -> None:
    first = {"requests": {"cpu": "300m", "memory": "64Mi"}, "limits": {"memory": "128Mi", "cpu": "1"}}
    assert cluster.admin("POST", PODS_URL, pod("a", first)).status == 201
    quota(cluster, "b-unlimited", pods="100")
    quota(cluster, "a-small", requests__memory="100Mi", limits__cpu="1500m", requests__cpu="1")
    assert refused(cluster, pod("b", first)) == (
        'pods "b" is forbidden: exceeded quota: a-small, requested: limits.cpu=1,requests.memory=64Mi, '
        "used: limits.cpu=1,requests.memory=64Mi, limited: limits.cpu=1500m,requests.memory=100Mi"
    )
    # A limit without a request is one.
    fits = {"limits": {"memory": "36Mi", "cpu": "500m"}}
    assert cluster.admin("POST", PODS_URL, pod("b", fits)).status == 201
    assert "requested: limits.cpu=1m,requests.memory=1Ki," in refused(cluster, pod("d", {"limits": {"memory": "1Ki", "cpu": "1m"}}))


def test_a_quota_obliges_to_say_what_is_wanted(cluster: Cluster) -> None:
    quota(cluster, "q", requests__memory="1Gi", limits__cpu="4")
    assert refused(cluster, pod("a")) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: c; requests.memory for: c'
    )


def test_quotas_with_scopes_are_not_imitated(cluster: Cluster) -> None:
    body = {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}
    assert cluster.admin("POST", NAMESPACE_URL + "/resourcequotas", body).status == 501


@pytest.mark.parametrize("dry_run", [True, False])
def test_restricted(cluster: Cluster, dry_run: bool) -> None:
    enforce(cluster, "restricted")
    try:
        assert refused(cluster, pod("a"), dry_run) == (
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": '
            'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
            'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
            'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
            'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
        )
        assert cluster.admin("POST", PODS_URL + "?dryRun=All", pod("a", context=STRICT)).status == 201
    finally:
        enforce(cluster, None)
    assert cluster.admin("POST", PODS_URL + "?dryRun=All", pod("a")).status == 201


@pytest.mark.parametrize(
    ("context", "spec", "wanted"),
    [
        ({"privileged": True}, {}, 'privileged (container "c" must not set securityContext.privileged=true)'),
        ({}, {"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork, hostPID)"),
        (
            {},
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "hostPath": {"path": "/"}}]},
            'hostPath volumes (volumes "v", "w")',
        ),
    ],
)
def test_baseline(cluster: Cluster, context: dict, spec: dict, wanted: str) -> None:
    enforce(cluster, "baseline")
    try:
        message = refused(cluster, pod("a", context=context, **spec))
        assert message == 'pods "a" is forbidden: violates PodSecurity "baseline:latest": ' + wanted
        assert cluster.admin("POST", PODS_URL + "?dryRun=All", pod("a")).status == 201
    finally:
        enforce(cluster, None)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}, None),
        (
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN", "CHOWN"]}},
            'container "c" must not include "CHOWN", "SYS_ADMIN" in securityContext.capabilities.add',
        ),
        ({"runAsNonRoot": False}, 'container "c" must not set securityContext.runAsNonRoot=false'),
        (
            {"seccompProfile": {"type": "Unconfined"}},
            'container "c" must not set securityContext.seccompProfile.type to "Unconfined"',
        ),
    ],
)
def test_single_rules_of_restricted(cluster: Cluster, changed: dict, wanted: t.Optional[str]) -> None:
    enforce(cluster, "restricted")
    try:
        body = pod("a", context={**STRICT, **changed})
        if wanted is None:
            assert cluster.admin("POST", PODS_URL + "?dryRun=All", body).status == 201
        else:
            assert refused(cluster, body, True).endswith("(%s)" % wanted)
    finally:
        enforce(cluster, None)


@pytest.mark.parametrize(
    ("name", "text", "same"),
    [("memory", "64Mi", "64Mi"), ("requests.memory", "1024Ki", "1Mi"), ("cpu", "1500m", "1500m"), ("cpu", "2.0", "2"), ("pods", "0", "0")],
)
def test_quantities(name: str, text: str, same: str) -> None:
    assert written(name, amount(text)) == same
