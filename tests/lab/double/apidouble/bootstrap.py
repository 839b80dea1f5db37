# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a cluster has before anybody made one, as data: namespaces, roles, bindings, accounts.

The API server's identity towards kubelets is bound to ``system:kubelet-api-admin``, which has no ``nodes/checkpoint``:
kubeadm since 1.36.1 (FACTS 0.5, 1.5). Two accounts are there for tests: ``ckpt`` may only create nodes/checkpoint,
``nothing`` may do nothing.
"""

from __future__ import annotations

import base64
import typing as t

from apidouble.auth import RBAC
from apidouble.store import Key, Store

CHECKPOINTER = "ckpt"
POWERLESS = "nothing"
READ = ["get", "list", "watch"]


def rule(verbs: t.Sequence[str], *resources: str, group: str = "") -> dict:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


CLUSTER_ROLES: dict[str, list[dict]] = {
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "system:discovery": [
        {
            "nonResourceURLs": [
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ],
            "verbs": ["get"],
        }
    ],
    "system:basic-user": [
        rule(["create"], "selfsubjectaccessreviews", group="authorization.k8s.io"),
        rule(["create"], "selfsubjectreviews", group="authentication.k8s.io"),
    ],
    "system:public-info-viewer": [
        {"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}
    ],
    "system:kubelet-api-admin": [
        rule(READ, "nodes"),
        rule(["proxy"], "nodes"),
        rule(
            ["*"],
            "nodes/log",
            "nodes/metrics",
            "nodes/proxy",
            "nodes/stats",
            "nodes/pods",
            "nodes/healthz",
            "nodes/configz",
        ),
    ],
    # what the Node authoriser lets a kubelet do, without its limit to the kubelet's own pods
    "system:node": [
        rule(READ, "pods", "nodes", "secrets", "configmaps", "services", "persistentvolumeclaims", "persistentvolumes"),
        rule(["create", "patch", "update"], "nodes", "nodes/status", "events"),
        rule(["create", "delete"], "pods"),
        rule(["patch", "update"], "pods/status"),
        rule(["create"], "serviceaccounts/token"),
        rule(READ, "runtimeclasses", group="node.k8s.io"),
        rule(["create"], "tokenreviews", group="authentication.k8s.io"),
        rule(["create"], "subjectaccessreviews", group="authorization.k8s.io"),
    ],
    "checkpoint-only": [rule(["create"], "nodes/checkpoint")],
}


def subject(kind: str, name: str, namespace: str = "") -> dict:
    result = {"kind": kind, "name": name}
    if namespace:
        result["namespace"] = namespace
    else:
        result["apiGroup"] = RBAC
    return result


BINDINGS: dict[str, tuple[str, list[dict]]] = {
    "cluster-admin": ("cluster-admin", [subject("Group", "system:masters")]),
    "kubeadm:cluster-admins": ("cluster-admin", [subject("Group", "kubeadm:cluster-admins")]),
    "system:discovery": ("system:discovery", [subject("Group", "system:authenticated")]),
    "system:basic-user": ("system:basic-user", [subject("Group", "system:authenticated")]),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        [subject("Group", "system:authenticated"), subject("Group", "system:unauthenticated")],
    ),
    "system:node": ("system:node", [subject("Group", "system:nodes")]),
    "kubeadm:apiserver-kubelet-client": (
        "system:kubelet-api-admin",
        [subject("User", "kube-apiserver-kubelet-client")],
    ),
    "checkpoint-only": ("checkpoint-only", [subject("ServiceAccount", CHECKPOINTER, "default")]),
}


def fill(store: Store, ca: str, cluster_ip: str, port: int) -> None:
    """Create what is missing; what is there stays as somebody left it."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        ensure(
            store,
            Key("", "namespaces"),
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
        fill_namespace(store, name, ca)
    for name, rules in CLUSTER_ROLES.items():
        ensure(
            store,
            Key(RBAC, "clusterroles"),
            {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        )
    for name, (role, subjects) in BINDINGS.items():
        ensure(
            store,
            Key(RBAC, "clusterrolebindings"),
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
                "subjects": subjects,
            },
        )
    for name in (CHECKPOINTER, POWERLESS):
        ensure(store, Key("", "serviceaccounts"), account(name, "default"))
    ensure(
        store,
        Key("", "services"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": cluster_ip,
                "type": "ClusterIP",
                "ports": [{"name": "https", "port": port, "protocol": "TCP", "targetPort": port}],
            },
            "status": {"loadBalancer": {}},
        },
    )


def fill_pull_secret(store: Store, path: str) -> None:
    """A docker configuration as a pull secret that pods in ``default`` get through their service account."""
    with open(path, "rb") as file:
        data = {".dockerconfigjson": base64.b64encode(file.read()).decode()}
    name = "checkpoint-registry"
    ensure(
        store,
        Key("", "secrets"),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": "default"},
            "data": data,
        },
    )
    with store.lock:
        found = store.get(Key("", "serviceaccounts"), "default", "default")
        if not any(entry["name"] == name for entry in found.get("imagePullSecrets") or []):
            found.setdefault("imagePullSecrets", []).append({"name": name})
            store.update(Key("", "serviceaccounts"), found)


def account(name: str, namespace: str) -> dict:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def fill_namespace(store: Store, name: str, ca: str) -> None:
    """What the controllers put into every namespace."""
    ensure(store, Key("", "serviceaccounts"), account("default", name))
    ensure(
        store,
        Key("", "configmaps"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-root-ca.crt", "namespace": name},
            "data": {"ca.crt": ca},
        },
    )


def ensure(store: Store, key: Key, obj: dict) -> None:
    meta = obj["metadata"]
    with store.lock:
        if store.find(key, meta.get("namespace", ""), meta["name"]) is None:
            store.create(key, obj)
