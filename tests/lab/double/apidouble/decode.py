# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real API server cannot decode: a number or a boolean where its types have a string, as YAML without quotes brings it.

Only the fields that people get wrong: labels and annotations, and in the containers of a Pod or of a Pod's template the names, images, commands,
arguments and environments. A null is no value and passes, as with the real one.
"""

from __future__ import annotations

import typing as t

from apidouble import errors
from apidouble.resources import Resource

_TEMPLATES = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_TEMPLATE = ("spec", "template", "spec")
# Field of a container, and of an entry of its environment.
_TEXTS, _LISTS = ("name", "image", "workingDir", "imagePullPolicy"), ("command", "args")
_KINDS = {bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


def check(resource: Resource, obj: t.Mapping[str, t.Any]) -> None:
    """Raise the decoder's error for the first value that is no string where one belongs."""
    for go_type, path, value in _strings(resource, obj):
        if value is not None and not isinstance(value, str):
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: cannot unmarshal '
                f"{_KINDS[type(value)]} into Go struct field {go_type}.{path} of type string"
            )


def _strings(resource: Resource, obj: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, t.Any]]:
    """(Go's name of the struct, the field's path without indices, the value) of everything that must be a string."""
    for field in ("labels", "annotations"):
        for value in _mapping(_mapping(obj.get("metadata")).get(field)).values():
            yield "ObjectMeta", f"metadata.{field}", value
    path = _TEMPLATES.get(resource.kind, _TEMPLATE)
    spec: t.Any = obj
    for name in path:
        spec = _mapping(_mapping(spec).get(name))
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in _sequence(spec.get(group)):
            yield from _container(".".join((*path, group)), _mapping(container))


def _container(path: str, container: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, t.Any]]:
    for field in _TEXTS:
        yield "Container", f"{path}.{field}", container.get(field)
    for field in _LISTS:
        for value in _sequence(container.get(field)):
            yield "Container", f"{path}.{field}", value
    for entry in _sequence(container.get("env")):
        for field in ("name", "value"):
            yield "EnvVar", f"{path}.env.{field}", _mapping(entry).get(field)


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: t.Any) -> t.Sequence[t.Any]:
    return value if isinstance(value, list) else []
