# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The four kinds of PATCH: JSON patch, merge patch, strategic merge patch, apply. Pure functions.

Apply is a strategic merge without conflict detection and without removal of fields that a manager no longer sets.
"""

from __future__ import annotations

import copy
import typing as t

from apidouble.errors import ApiError, bad_request

# Lists that are merged by a key of their entries (patchMergeKey in the API's types); other lists are replaced.
MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "schedulingGates": "name",
    "ownerReferences": "uid",
    "conditions": "type",
    "taints": "key",
    "addresses": "type",
    "containerStatuses": "name",
    "initContainerStatuses": "name",
    "podIPs": "ip",
    "hostIPs": "ip",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
}
# "ports" has one key in a Pod and another in a Service.
_PORT_KEYS = ("containerPort", "port")
_UNION_LISTS = ("finalizers",)


def merge(target: t.Any, patch: t.Any) -> t.Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: t.Any, patch: t.Any, field: str = "") -> t.Any:
    if isinstance(patch, dict):
        return _strategic_map(target, patch)
    if isinstance(patch, list):
        return _strategic_list(target if isinstance(target, list) else [], patch, field)
    return copy.deepcopy(patch)


def _strategic_map(target: t.Any, patch: dict) -> dict:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [entry for entry in result.get(name) or [] if entry not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, key)
    return result


def _merge_key(field: str, entries: list) -> t.Optional[str]:
    if field == "ports":
        for key in _PORT_KEYS:
            if all(isinstance(entry, dict) and key in entry for entry in entries):
                return key
        return None
    return MERGE_KEYS.get(field)


def _strategic_list(target: list, patch: list, field: str) -> list:
    plain = [entry for entry in patch if not (isinstance(entry, dict) and entry.get("$patch") == "replace")]
    if len(plain) != len(patch):
        return copy.deepcopy(plain)
    if field in _UNION_LISTS:
        return target + [entry for entry in patch if entry not in target]
    key = _merge_key(field, patch)
    if key is None or not all(isinstance(entry, dict) for entry in patch):
        return copy.deepcopy(patch)
    result = list(target)
    for entry in patch:
        if key not in entry:
            raise bad_request(f"map: {entry} does not contain declared merge key: {key}")
        index = next((i for i, have in enumerate(result) if have.get(key) == entry[key]), None)
        if entry.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(_strategic_map({}, entry))
        else:
            result[index] = _strategic_map(result[index], entry)
    return result


def json_patch(target: t.Any, operations: t.Any) -> t.Any:
    """RFC 6902; a failed ``test`` or a path that is not there refuses the whole patch."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result = copy.deepcopy(target)
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            raise ApiError(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request: "
                f"{operation.get('op')} operation does not apply: doc is missing path: "
                f'"{operation.get("path")}": missing value',
                {},
            ) from None
    return result


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _resolve(document: t.Any, steps: t.Sequence[str]) -> t.Any:
    for step in steps:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _operate(document: t.Any, operation: dict) -> t.Any:
    kind, steps = operation["op"], _steps(operation["path"])
    if kind == "test":
        if _resolve(document, steps) != operation.get("value"):
            raise ValueError("test failed")
        return document
    if kind in ("move", "copy"):
        origin = _steps(operation["from"])
        value = copy.deepcopy(_resolve(document, origin))
        if kind == "move":
            document = _change(document, origin, "remove", None)
        return _change(document, steps, "add", value)
    if kind not in ("add", "remove", "replace"):
        raise ValueError(kind)
    return _change(document, steps, kind, copy.deepcopy(operation.get("value")))


def _change(document: t.Any, steps: t.Sequence[str], kind: str, value: t.Any) -> t.Any:
    if not steps:
        return value
    parent, last = _resolve(document, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        if kind == "add":
            parent.insert(len(parent) if last == "-" else _position(last, len(parent)), value)
        elif kind == "remove":
            del parent[int(last)]
        else:
            parent[int(last)] = value
    elif kind == "add":
        parent[last] = value
    elif kind == "remove":
        del parent[last]
    elif last in parent:
        parent[last] = value
    else:
        raise KeyError(last)
    return document


def _position(step: str, length: int) -> int:
    index = int(step)
    if not 0 <= index <= length:
        raise IndexError(step)
    return index
