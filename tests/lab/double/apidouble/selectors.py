# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors: text to a predicate over objects. Pure functions."""

from __future__ import annotations

import re
import typing as t

from apidouble.errors import bad_request

Predicate = t.Callable[[dict], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s,!=<>()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s,!=<>()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,!=<>()]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s,!=<>()]+)\s*$")

# What the real server can select by; "" stands for every resource.
FIELDS: dict[str, tuple[str, ...]] = {
    "": ("metadata.name", "metadata.namespace"),
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "jobs": ("status.successful",),
}


def _split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses."""
    return [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def labels(text: str) -> Predicate:
    tests: list[t.Callable[[dict], bool]] = []
    for part in _split(text):
        found = _SET.match(part)
        if found:
            key, values = found["key"], {value.strip() for value in found["values"].split(",")}
            if found["op"] == "in":
                tests.append(lambda have, k=key, v=values: have.get(k) in v)
            else:
                tests.append(lambda have, k=key, v=values: have.get(k) not in v)
            continue
        found = _EQUAL.match(part)
        if found:
            key, value = found["key"], found["value"]
            if found["op"] == "!=":
                tests.append(lambda have, k=key, v=value: have.get(k) != v)
            else:
                tests.append(lambda have, k=key, v=value: have.get(k) == v)
            continue
        found = _EXISTS.match(part)
        if not found:
            raise bad_request(f"unable to parse requirement: found '{part.strip()}', expected: identifier")
        key, absent = found["key"], bool(found["not"])
        tests.append(lambda have, k=key, a=absent: (k not in have) if a else (k in have))
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def field_value(obj: dict, path: str) -> str:
    value: t.Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return "false" if path in ("spec.hostNetwork", "spec.unschedulable") else ""
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else str(value)


def fields(text: str, plural: str) -> Predicate:
    known = (*FIELDS[""], *FIELDS.get(plural, ()))
    tests = []
    for part in _split(text):
        found = _EQUAL.match(part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if found["key"] not in known:
            raise bad_request(f"field label not supported: {found['key']}")
        tests.append((found["key"], found["op"] != "!=", found["value"]))
    return lambda obj: all((field_value(obj, key) == value) is equal for key, equal, value in tests)


def both(label_text: str, field_text: str, plural: str) -> Predicate:
    by_label = labels(label_text) if label_text else None
    by_field = fields(field_text, plural) if field_text else None
    return lambda obj: (by_label is None or by_label(obj)) and (by_field is None or by_field(obj))


def label_selector(selector: t.Optional[dict], have: dict) -> bool:
    """A LabelSelector object ({matchLabels, matchExpressions}) against labels; an empty one matches everything."""
    selector = selector or {}
    if any(have.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(expression(entry, have) for entry in selector.get("matchExpressions") or [])


def expression(entry: dict, have: dict) -> bool:
    """One requirement of a LabelSelector or a NodeSelectorTerm."""
    value, values, operator = have.get(entry["key"]), entry.get("values") or [], entry["operator"]
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
