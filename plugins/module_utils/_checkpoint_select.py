# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors, for a kubelet's list of pods, which it does not filter itself.

PRIVATE to the collection. Pure functions; the grammar is that of Kubernetes' API.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

_KEY = r"(?:[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
_EXISTS = re.compile(r"(!?)\s*(%s)" % _KEY)
_EQUALS = re.compile(r"(%s)\s*(=|==|!=)\s*(%s)" % (_KEY, _VALUE))
_SET = re.compile(r"(%s)\s+(in|notin)\s*\(([^()]*)\)" % _KEY)
_FIELD = re.compile(r"([A-Za-z.]+)\s*(==|=|!=)\s*([^=!]*)")
_SPLIT = re.compile(r",(?![^(]*\))")

# The fields by which the API server can select pods, and how to find them.
_FIELDS: t.Dict[str, t.Tuple[str, ...]] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.restartPolicy": ("spec", "restartPolicy"),
    "spec.schedulerName": ("spec", "schedulerName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
    "spec.hostNetwork": ("spec", "hostNetwork"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
    "status.nominatedNodeName": ("status", "nominatedNodeName"),
}

Pod = t.Mapping[str, t.Any]
Predicate = t.Callable[[Pod], bool]


def selector(label_selectors: t.Sequence[str], field_selectors: t.Sequence[str]) -> Predicate:
    """A predicate for pods that match all of them; InputError for one that cannot be understood."""
    predicates = [_label(part) for part in _parts(label_selectors)] + [_field(part) for part in _parts(field_selectors)]
    return lambda pod: all(predicate(pod) for predicate in predicates)


def _parts(selectors: t.Sequence[str]) -> t.Iterator[str]:
    for text in selectors:
        for part in _SPLIT.split(text):
            yield part.strip()


def _label(text: str) -> Predicate:
    match = _EQUALS.fullmatch(text)
    if match:
        return _label_in(match.group(1), [match.group(3)], match.group(2) != "!=")
    match = _SET.fullmatch(text)
    if match:
        values = [value.strip() for value in match.group(3).split(",")]
        if all(re.fullmatch(_VALUE, value) for value in values):
            return _label_in(match.group(1), values, match.group(2) == "in")
    match = _EXISTS.fullmatch(text)
    if match:
        key, wanted = match.group(2), not match.group(1)
        return lambda pod: (key in _labels(pod)) is wanted
    raise InputError(
        "label selector %r cannot be understood: use key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
        % text
    )


def _label_in(key: str, values: t.Sequence[str], wanted: bool) -> Predicate:
    # As in Kubernetes: != and notin also select what has no such label.
    return lambda pod: (key in _labels(pod) and _labels(pod)[key] in values) is wanted


def _labels(pod: Pod) -> t.Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def _field(text: str) -> Predicate:
    match = _FIELD.fullmatch(text)
    path = _FIELDS.get(match.group(1)) if match else None
    if match is None or path is None:
        raise InputError(
            "field selector %r cannot be understood: use field=value or field!=value with one of %s"
            % (text, ", ".join(sorted(_FIELDS)))
        )

    operator, value = match.group(2), match.group(3)

    def predicate(pod: Pod) -> bool:
        found = (pod.get(path[0]) or {}).get(path[1])
        shown = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return (shown == value) is (operator != "!=")

    return predicate
