# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery: which API groups and resources the double serves.

The core, apps and node.k8s.io groups, the list of groups and the version are a real API server's documents
(data/api, Kubernetes 1.36.2). The other groups hold the resources that the collection or the lab could meet; a group
without any answers an empty list.
"""

from __future__ import annotations

import json
import os
import typing as t

from apidouble.store import Key

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "api")
CRUD = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

# group/version: (plural, singular, Kind, namespaced, verbs, short names)
EXTRA: dict[str, list[tuple[str, str, str, bool, list[str], list[str]]]] = {
    "rbac.authorization.k8s.io/v1": [
        ("clusterroles", "clusterrole", "ClusterRole", False, CRUD, []),
        ("clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", False, CRUD, []),
        ("roles", "role", "Role", True, CRUD, []),
        ("rolebindings", "rolebinding", "RoleBinding", True, CRUD, []),
    ],
    "authorization.k8s.io/v1": [
        ("selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", False, ["create"], []),
        ("subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", False, ["create"], []),
    ],
    "authentication.k8s.io/v1": [
        ("tokenreviews", "tokenreview", "TokenReview", False, ["create"], []),
        ("selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", False, ["create"], []),
    ],
    "batch/v1": [
        ("jobs", "job", "Job", True, CRUD, []),
        ("cronjobs", "cronjob", "CronJob", True, CRUD, ["cj"]),
    ],
    "policy/v1": [("poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", True, CRUD, ["pdb"])],
    "coordination.k8s.io/v1": [("leases", "lease", "Lease", True, CRUD, [])],
    "storage.k8s.io/v1": [("storageclasses", "storageclass", "StorageClass", False, CRUD, ["sc"])],
    "scheduling.k8s.io/v1": [("priorityclasses", "priorityclass", "PriorityClass", False, CRUD, ["pc"])],
}


class Resource(t.NamedTuple):
    key: Key
    version: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: tuple[str, ...]

    @property
    def api_version(self) -> str:
        return f"{self.key.group}/{self.version}" if self.key.group else self.version


def _read(name: str) -> t.Any:
    with open(os.path.join(DATA, name), encoding="utf-8") as file:
        return json.load(file)


class Discovery:
    """The documents, and a table to find a resource by group, version and plural."""

    def __init__(self, address: str) -> None:
        self.version = _read("version.json")
        self.api = _read("api.json")
        self.api["serverAddressByClientCIDRs"][0]["serverAddress"] = address
        self.apis = _read("apis.json")
        self.lists: dict[str, dict] = {
            "v1": _read("api_v1.json"),
            "apps/v1": _read("apis_apps_v1.json"),
            "node.k8s.io/v1": _read("apis_node.k8s.io_v1.json"),
        }
        for group in self.apis["groups"]:
            for version in group["versions"]:
                name = version["groupVersion"]
                self.lists.setdefault(
                    name,
                    {
                        "kind": "APIResourceList",
                        "apiVersion": "v1",
                        "groupVersion": name,
                        "resources": [_entry(row) for row in EXTRA.get(name, [])],
                    },
                )
        self.resources: dict[tuple[str, str], Resource] = {}
        for name, document in self.lists.items():
            self._add(name, document["resources"])

    def _add(self, group_version: str, entries: list[dict]) -> None:
        group, _sep, version = group_version.rpartition("/")
        subresources: dict[str, list[str]] = {}
        for entry in entries:
            plural, _sep, sub = entry["name"].partition("/")
            if sub:
                subresources.setdefault(plural, []).append(sub)
        for entry in entries:
            if "/" not in entry["name"]:
                self.resources[(group_version, entry["name"])] = Resource(
                    Key(group, entry["name"]),
                    version,
                    entry["kind"],
                    entry["namespaced"],
                    tuple(entry["verbs"]),
                    tuple(subresources.get(entry["name"], ())),
                )

    def group(self, name: str) -> t.Optional[dict]:
        for group in self.apis["groups"]:
            if group["name"] == name:
                return {"kind": "APIGroup", "apiVersion": "v1", **group}
        return None

    def by_key(self, key: Key) -> Resource:
        return next(resource for resource in self.resources.values() if resource.key == key)


def _entry(row: tuple[str, str, str, bool, list[str], list[str]]) -> dict:
    plural, singular, kind, namespaced, verbs, short = row
    entry: dict[str, t.Any] = {
        "name": plural,
        "singularName": singular,
        "namespaced": namespaced,
        "kind": kind,
        "verbs": verbs,
    }
    if short:
        entry["shortNames"] = short
    return entry
