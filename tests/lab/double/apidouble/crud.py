# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, list, update, patch and delete over the store, with admission in between; subresources that create."""

from __future__ import annotations

import copy
import typing as t

from apidouble import admission, auth, controllers, errors, selectors
from apidouble import patch as patches
from apidouble.resources import Resource
from apidouble.store import NAMESPACES, PODS, Key, Store, later

PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+cbor": "apply",
}
MAX_TOKEN_SECONDS = 48 * 3600
MIN_TOKEN_SECONDS = 600


class Options(t.NamedTuple):
    """What the query and the headers of a request say."""

    dry_run: bool = False
    label_selector: str = ""
    field_selector: str = ""
    field_manager: str = ""
    force: bool = False
    agent: str = ""
    content_type: str = ""
    grace: t.Optional[int] = None
    propagation: str = ""


def list_objects(store: Store, resource: Resource, namespace: str, options: Options) -> dict:
    test = selectors.both(options.label_selector, options.field_selector, resource.key.plural)
    with store.lock:
        found = store.list(resource.key, namespace, test)
        version = str(store.version)
    for obj in found:  # entries of a typed list do not say their kind
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
    return {
        "kind": resource.kind + "List",
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": version},
        "items": found,
    }


def _manager(options: Options) -> str:
    return admission.field_manager(options.agent, options.field_manager)


def create(
    store: Store, resource: Resource, namespace: str, body: dict, options: Options, operation: str = "Update"
) -> dict:
    if resource.namespaced and not namespace:
        raise errors.method_not_allowed()
    with store.lock:
        obj = admission.on_create(store, resource, admission.prepare(resource, body, namespace))
        obj["metadata"]["managedFields"] = admission.managed_fields(obj, _manager(options), operation, "")
        return store.create(resource.key, obj, options.dry_run)


def _store_change(
    store: Store, resource: Resource, have: dict, obj: dict, sub: str, options: Options, operation: str
) -> dict:
    changed = admission.on_update(resource, have, obj, sub)
    without = [
        {**o, "metadata": {k: v for k, v in o["metadata"].items() if k not in ("managedFields", "resourceVersion")}}
        for o in (have, changed)
    ]
    asked = changed["metadata"].get("resourceVersion")
    if asked and asked != have["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.key.group, resource.key.plural, have["metadata"]["name"])
    if without[0] == without[1]:
        return have
    changed["metadata"]["managedFields"] = admission.managed_fields(
        {**changed, "metadata": {**changed["metadata"], "managedFields": have["metadata"].get("managedFields")}},
        _manager(options),
        operation,
        sub,
    )
    return store.update(resource.key, changed, options.dry_run)


def update(store: Store, resource: Resource, namespace: str, name: str, sub: str, body: dict, options: Options) -> dict:
    if sub and sub != "status":
        raise errors.method_not_allowed()
    obj = admission.prepare(resource, body, namespace)
    if obj["metadata"].get("name") != name:
        raise errors.bad_request(
            f"the name of the object ({obj['metadata'].get('name')}) does not match the name on the URL ({name})"
        )
    with store.lock:
        have = store.get(resource.key, namespace, name)
        return _store_change(store, resource, have, obj, sub, options, "Update")


def patch(
    store: Store, resource: Resource, namespace: str, name: str, sub: str, body: t.Any, options: Options
) -> tuple[int, dict]:
    kind = PATCH_TYPES.get(options.content_type)
    if kind is None:
        raise errors.unsupported_media_type(options.content_type)
    if sub and sub != "status":
        raise errors.method_not_allowed()
    operation = "Apply" if kind == "apply" else "Update"
    if kind == "apply" and not options.field_manager:
        raise errors.bad_request(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )
    with store.lock:
        have = store.find(resource.key, namespace, name)
        if have is None:
            if kind == "apply" and not sub:
                return 201, create(store, resource, namespace, body, options, operation)
            raise errors.not_found(resource.key.group, resource.key.plural, name)
        if kind == "json":
            wanted = patches.json_patch(have, body)
        elif kind == "merge":
            wanted = patches.merge(have, body)
        else:
            wanted = patches.strategic(have, body)
        wanted = admission.prepare(resource, copy.deepcopy(wanted), namespace)
        if wanted["metadata"].get("name") != name:
            raise errors.invalid(
                resource.key.group,
                resource.kind,
                name,
                [("metadata.name", f'Invalid value: "{wanted["metadata"].get("name")}": field is immutable')],
            )
        return 200, _store_change(store, resource, have, wanted, sub, options, operation)


def delete(store: Store, resource: Resource, namespace: str, name: str, body: dict, options: Options) -> dict:
    have = store.get(resource.key, namespace, name)
    dry_run = options.dry_run or (body.get("dryRun") or []) == ["All"]
    conditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", options.grace)
    policy = body.get("propagationPolicy") or options.propagation
    if policy == "Orphan" and not dry_run:
        _orphan(store, have["metadata"]["uid"])
    version = conditions.get("resourceVersion")
    if version and version != have["metadata"]["resourceVersion"]:
        raise errors.conflict(
            resource.key.group,
            resource.key.plural,
            name,
            "Precondition failed: ResourceVersion in "
            f"precondition: {version}, ResourceVersion in object meta: "
            f"{have['metadata']['resourceVersion']}",
        )
    if resource.key == PODS:
        return store.delete(PODS, namespace, name, pod_grace(have, grace), conditions.get("uid") or "", dry_run)
    if resource.key == NAMESPACES:
        with store.lock:
            if dry_run or have["metadata"].get("deletionTimestamp"):
                return have
            have["status"] = {"phase": "Terminating"}
            store.update(NAMESPACES, have)
            # a grace period of one second holds it until the controller has emptied it
            return store.delete(NAMESPACES, "", name, 1, conditions.get("uid") or "")
    gone = store.delete(resource.key, namespace, name, 0, conditions.get("uid") or "", dry_run)
    if gone["metadata"].get("finalizers"):
        return gone
    details = {"name": name, "kind": resource.key.plural, "uid": have["metadata"]["uid"]}
    if resource.key.group:
        details["group"] = resource.key.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def pod_grace(pod: dict, asked: t.Optional[int]) -> int:
    """Seconds a pod gets: none if no kubelet has it or it has ended."""
    if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return asked if asked is not None else pod["spec"].get("terminationGracePeriodSeconds", 30)


def delete_collection(store: Store, resource: Resource, namespace: str, body: dict, options: Options) -> dict:
    found = list_objects(store, resource, namespace, options)
    for obj in found["items"]:
        delete(store, resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], body, options)
    return found


def _orphan(store: Store, uid: str) -> None:
    with store.lock:
        for key in store.keys():
            for obj in store.list(key):
                references = obj["metadata"].get("ownerReferences") or []
                kept = [reference for reference in references if reference["uid"] != uid]
                if len(kept) != len(references):
                    obj["metadata"]["ownerReferences"] = kept
                    if not kept:
                        del obj["metadata"]["ownerReferences"]
                    store.update(key, obj)


# --- subresources that are created


def create_subresource(
    store: Store,
    token_key: bytes,
    resource: Resource,
    namespace: str,
    name: str,
    sub: str,
    body: dict,
    options: Options,
) -> dict:
    if resource.key == PODS and sub == "binding":
        return _bind(store, namespace, name, body, options)
    if resource.key == PODS and sub == "eviction":
        return _evict(store, resource, namespace, name, body, options)
    if resource.kind == "ServiceAccount" and sub == "token":
        return _token(store, token_key, namespace, name, body)
    raise errors.ApiError(501, "NotImplemented", f"the double does not imitate {resource.key.plural}/{sub}")


def _bind(store: Store, namespace: str, name: str, body: dict, options: Options) -> dict:
    node = (body.get("target") or {}).get("name")
    if not node:
        raise errors.invalid("", "Binding", name, [("target.name", "Required value")])
    with store.lock:
        pod = store.get(PODS, namespace, name)
        if pod["spec"].get("nodeName"):
            raise errors.conflict(
                "", "pods/binding", name, f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            )
        if pod["spec"].get("schedulingGates"):
            raise errors.conflict("", "pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
        store.update(PODS, controllers.bind(pod, node), options.dry_run, same_generation=True)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _evict(store: Store, resource: Resource, namespace: str, name: str, body: dict, options: Options) -> dict:
    pod = store.get(PODS, namespace, name)
    for budget in store.list(Key("policy", "poddisruptionbudgets"), namespace):
        selector = budget.get("spec", {}).get("selector")
        if selector is not None and selectors.label_selector(selector, pod["metadata"].get("labels") or {}):
            if budget.get("status", {}).get("disruptionsAllowed", 0) < 1:
                raise errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.")
    delete(store, resource, namespace, name, body.get("deleteOptions") or {}, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _token(store: Store, token_key: bytes, namespace: str, name: str, body: dict) -> dict:
    account = store.get(Key("", "serviceaccounts"), namespace, name)
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds") or 3600
    if seconds < MIN_TOKEN_SECONDS:
        raise errors.invalid(
            "authentication.k8s.io",
            "TokenRequest",
            "",
            [("spec.expirationSeconds", f"Invalid value: {seconds}: may not specify a duration less than 10 minutes")],
        )
    seconds = min(seconds, MAX_TOKEN_SECONDS)
    token = auth.issue_token(token_key, account, seconds, spec.get("audiences") or (), spec.get("boundObjectRef"))
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
        "spec": {**spec, "audiences": spec.get("audiences") or [auth.ISSUER], "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": later(seconds)},
    }
