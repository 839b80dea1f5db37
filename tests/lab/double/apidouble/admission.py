# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to an object between the request and the store: names, defaults, validation, what may change.

Pods get the treatment of a real API server as far as FACTS and the fixtures show it; other kinds get their metadata
checked and are stored as they are.
"""

from __future__ import annotations

import base64
import copy
import random
import re
import typing as t

from apidouble import decode, errors, podsecurity, quota
from apidouble.resources import Resource
from apidouble.store import NODES, PODS, Key, Store, now

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SERVICE_ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def random_suffix() -> str:
    return "".join(random.choice(_ALPHABET) for _i in range(5))


def prepare(resource: Resource, obj: dict, namespace: str) -> dict:
    """Check that the body is what the URL says and give it its name and namespace."""
    obj = copy.deepcopy(obj)
    obj.setdefault("apiVersion", resource.api_version)
    obj.setdefault("kind", resource.kind)
    if (obj["kind"], obj["apiVersion"]) != (resource.kind, resource.api_version):
        raise errors.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: the API version '
            f"in the data ({obj['apiVersion']}) does not match the expected API version ({resource.api_version})"
        )
    decode.check(resource, obj)
    meta = obj.setdefault("metadata", {}) or {}
    obj["metadata"] = meta
    if resource.namespaced:
        if meta.get("namespace", namespace) != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + random_suffix()
    return obj


def problems_of_metadata(resource: Resource, meta: dict) -> list[tuple[str, str]]:
    name = meta.get("name")
    if not name:
        return [("metadata.name", "Required value: name or generateName is required")]
    if resource.key.group == "rbac.authorization.k8s.io":  # names like system:node are fine there
        return []
    found: list[tuple[str, str]] = []
    if resource.key.plural in ("namespaces", "services"):
        if not _LABEL.match(name) or len(name) > 63:
            found.append(("metadata.name", f'Invalid value: "{name}": {_LABEL_TEXT}'))
    elif not _SUBDOMAIN.match(name) or len(name) > 253:
        found.append(("metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_TEXT}'))
    for value in (meta.get("labels") or {}).values():
        if not isinstance(value, str) or not _LABEL_VALUE.match(value) or len(value) > 63:
            found.append(
                (
                    "metadata.labels",
                    f'Invalid value: "{value}": a valid label must be an empty string or consist'
                    " of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
                    " character",
                )
            )
    return found


def on_create(store: Store, resource: Resource, obj: dict) -> dict:
    """Defaults and validation of a new object."""
    key, meta = resource.key, obj["metadata"]
    problems = problems_of_metadata(resource, meta)
    if resource.namespaced:
        where = store.find(Key("", "namespaces"), "", meta["namespace"])
        if where is None:
            raise errors.not_found("", "namespaces", meta["namespace"])
        if where["metadata"].get("deletionTimestamp"):
            raise errors.forbidden(
                key.group,
                key.plural,
                meta.get("name", ""),
                f"unable to create new content in namespace {meta['namespace']} because it is being terminated",
            )
    if key == PODS:
        obj = default_pod(store, obj)
        problems += pod_problems(obj)
    elif key == Key("", "namespaces"):
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj["status"] = {"phase": "Active"}
    elif key == Key("", "secrets"):
        obj.setdefault("type", "Opaque")
        _fold_string_data(obj)
    elif key.group == "apps" and resource.kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        obj.setdefault("spec", {}).setdefault("replicas", 1)
        if not obj["spec"].get("selector"):
            problems.append(("spec.selector", "Required value"))
    elif key == quota.QUOTAS:
        quota.check_itself(obj)
    elif key.group == "rbac.authorization.k8s.io" and key.plural.endswith("bindings"):
        if not obj.get("roleRef"):
            problems.append(("roleRef", "Required value"))
    if problems:
        raise errors.invalid(key.group, resource.kind, meta.get("name", ""), problems)
    if key == PODS:
        podsecurity.check(store, obj)
        quota.check(store, obj)
    if "status" in resource.subresources and key not in (PODS, NODES, Key("", "namespaces")):
        obj["status"] = {}
    return obj


def on_update(resource: Resource, have: dict, obj: dict, subresource: str) -> dict:
    """What a PUT or PATCH may change: the status only through the status subresource, little of a Pod's spec."""
    obj = copy.deepcopy(obj)
    if subresource == "status":
        kept = copy.deepcopy(have)
        if "status" in obj:
            kept["status"] = obj["status"]
        if resource.key in (NODES, PODS):  # their status strategies let labels and annotations through
            for field in ("labels", "annotations"):
                if field in obj["metadata"]:
                    kept["metadata"][field] = obj["metadata"][field]
        kept["metadata"]["resourceVersion"] = obj["metadata"].get("resourceVersion")
        return kept
    if "status" in resource.subresources:
        obj.pop("status", None)
        if "status" in have:
            obj["status"] = copy.deepcopy(have["status"])
    problems = problems_of_metadata(resource, obj["metadata"])
    if resource.key == PODS:
        problems += _pod_update_problems(have["spec"], obj.get("spec") or {})
        if have["spec"].get("schedulingGates") and not obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [
                c for c in obj["status"].get("conditions", []) if c.get("reason") != "SchedulingGated"
            ]
    if resource.key == Key("", "secrets"):
        _fold_string_data(obj)
    if problems:
        raise errors.invalid(resource.key.group, resource.kind, obj["metadata"]["name"], problems)
    return obj


def _fold_string_data(obj: dict) -> None:
    for name, value in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()


# --- pods


def default_pod(store: Store, pod: dict) -> dict:
    meta, spec = pod["metadata"], pod.setdefault("spec", {}) or {}
    pod["spec"] = spec
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    found = store.find(Key("", "serviceaccounts"), meta["namespace"], account)
    if found is None:
        raise errors.forbidden(
            "",
            "pods",
            meta.get("name", ""),
            f'error looking up service account {meta["namespace"]}/{account}: serviceaccount "{account}" not found',
        )
    _runtime_class(store, meta, spec)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    if not spec.get("imagePullSecrets") and found.get("imagePullSecrets"):
        spec["imagePullSecrets"] = copy.deepcopy(found["imagePullSecrets"])
    tolerations = spec.setdefault("tolerations", [])
    for taint in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(entry.get("key") == taint for entry in tolerations):
            tolerations.append({"effect": "NoExecute", "key": taint, "operator": "Exists", "tolerationSeconds": 300})
    for container in _containers(spec):
        image = container.get("image", "")
        newest = "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
        container.setdefault("imagePullPolicy", "Always" if newest else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
        for probe in (
            container[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container
        ):
            for field, value in (
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ):
                probe.setdefault(field, value)
            if "httpGet" in probe:
                probe["httpGet"].setdefault("path", "/")
                probe["httpGet"].setdefault("scheme", "HTTP")
    _service_account_volume(spec, found)
    gated = bool(spec.get("schedulingGates"))
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if gated:
        pod["status"]["conditions"] = [
            {
                "lastProbeTime": None,
                "lastTransitionTime": now(),
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "reason": "SchedulingGated",
                "status": "False",
                "type": "PodScheduled",
            }
        ]
    return pod


def _containers(spec: dict) -> list[dict]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _runtime_class(store: Store, meta: dict, spec: dict) -> None:
    name = spec.get("runtimeClassName")
    if not name:
        return
    found = store.find(Key("node.k8s.io", "runtimeclasses"), "", name)
    if found is None:
        raise errors.forbidden("", "pods", meta.get("name", ""), f'pod rejected: RuntimeClass "{name}" not found')
    scheduling = found.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **scheduling["nodeSelector"]}
    spec.setdefault("tolerations", []).extend(copy.deepcopy(scheduling.get("tolerations") or []))


def _service_account_volume(spec: dict, account: dict) -> None:
    """Admission's projected volume with the token, unless the pod or the account says no (fixture pod-two.json)."""
    if not spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
        return
    wanting = [
        c
        for c in _containers(spec)
        if not any(m.get("mountPath") == SERVICE_ACCOUNT_PATH for m in c.get("volumeMounts") or [])
    ]
    if not wanting:
        return
    volumes = spec.setdefault("volumes", [])
    name = next((v["name"] for v in volumes if v["name"].startswith("kube-api-access-")), None)
    if name is None:
        name = "kube-api-access-" + random_suffix()
        volumes.append(
            {
                "name": name,
                "projected": {
                    "defaultMode": 420,
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {
                                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                        "path": "namespace",
                                    }
                                ]
                            }
                        },
                    ],
                },
            }
        )
    for container in wanting:
        container.setdefault("volumeMounts", []).append(
            {"mountPath": SERVICE_ACCOUNT_PATH, "name": name, "readOnly": True}
        )


def qos_class(spec: dict) -> str:
    requests, limits, every = {}, {}, True
    for container in _containers(spec):
        resources = container.get("resources") or {}
        have = resources.get("limits") or {}
        limits.update(have)
        requests.update({**have, **(resources.get("requests") or {})})
        every = (
            every
            and {"cpu", "memory"} <= set(have)
            and all((resources.get("requests") or {}).get(name, value) == value for name, value in have.items())
        )
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if every else "Burstable"


def pod_problems(pod: dict) -> list[tuple[str, str]]:
    spec = pod["spec"]
    found: list[tuple[str, str]] = []
    if not spec.get("containers"):
        found.append(("spec.containers", "Required value"))
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        found.append(
            (
                "spec.restartPolicy",
                f'Unsupported value: "{spec.get("restartPolicy")}": supported values: "Always", "Never", "OnFailure"',
            )
        )
    if spec.get("schedulingGates") and spec.get("nodeName"):
        found.append(("spec.nodeName", "Forbidden: cannot be set until all schedulingGates have been cleared"))
    volumes = [volume.get("name") for volume in spec.get("volumes") or []]
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            found += _container_problems(f"spec.{field}[{index}]", container, volumes, seen)
    return found


def _container_problems(path: str, container: dict, volumes: list, seen: set[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    name = container.get("name")
    if not name:
        found.append((f"{path}.name", "Required value"))
    elif not _LABEL.match(name) or len(name) > 63:
        found.append((f"{path}.name", f'Invalid value: "{name}": {_LABEL_TEXT}'))
    elif name in seen:
        found.append((f"{path}.name", f'Duplicate value: "{name}"'))
    seen.add(name or "")
    image = container.get("image") or ""
    if not image:
        found.append((f"{path}.image", "Required value"))
    elif image != image.strip():
        found.append((f"{path}.image", f'Invalid value: "{image}": must not have leading or trailing whitespace'))
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            found.append((f"{path}.volumeMounts[{index}].name", f'Not found: "{mount.get("name")}"'))
    return found


_MUTABLE = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds")
_IMMUTABLE_TEXT = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def _pod_update_problems(before: dict, after: dict) -> list[tuple[str, str]]:
    gated = bool(before.get("schedulingGates"))

    def fixed_part(spec: dict) -> dict:
        rest = {key: value for key, value in spec.items() if key not in _MUTABLE}
        if gated:  # a gated pod may still be narrowed; that it is only narrowed is not checked here
            rest.pop("nodeSelector", None)
            rest.pop("affinity", None)
        for field in ("containers", "initContainers"):
            if field in rest:
                rest[field] = [{k: v for k, v in c.items() if k != "image"} for c in rest[field]]
        return rest

    found = []
    if fixed_part(before) != fixed_part(after):
        found.append(("spec", _IMMUTABLE_TEXT))
    have = [gate["name"] for gate in before.get("schedulingGates") or []]
    if any(gate.get("name") not in have for gate in after.get("schedulingGates") or []):
        found.append(("spec.schedulingGates", "Forbidden: only deletion is allowed, but found new scheduling gates"))
    return found


def field_manager(agent: str, asked: str) -> str:
    return asked or (agent.partition("/")[0] if agent else "unknown")


def managed_fields(obj: dict, manager: str, operation: str, subresource: str) -> list[dict]:
    """One entry a manager; which fields it set is only said at the top level."""
    kept = [
        entry
        for entry in obj["metadata"].get("managedFields") or []
        if (entry["manager"], entry.get("subresource", "")) != (manager, subresource)
    ]
    parts: t.Iterable[str] = (
        ("status",) if subresource else (key for key in obj if key not in ("apiVersion", "kind", "status"))
    )
    entry = {
        "apiVersion": obj["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{part}": {} for part in parts},
        "manager": manager,
        "operation": operation,
        "time": now(),
    }
    if subresource:
        entry["subresource"] = subresource
    return kept + [entry]
