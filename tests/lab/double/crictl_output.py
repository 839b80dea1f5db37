# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What crictl prints: CRI messages to the JSON of crictl 1.36 and to plain tables. Pure functions."""

from __future__ import annotations

import datetime
import json
import typing as t

from google.protobuf import json_format

ZERO_TIME = "0001-01-01T00:00:00Z"


def as_dict(message: t.Any) -> dict[str, t.Any]:
    """A message as Go's protojson writes it with default values: camelCase, 64-bit numbers as strings."""
    try:
        return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    except TypeError:  # protobuf < 5.26 has the older name of the option
        return json_format.MessageToDict(message, including_default_value_fields=True)


def go_time(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds in the local zone, trailing zeros dropped, as Go prints time.RFC3339Nano."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).astimezone()
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if nanos:
        text += "." + f"{nanos:09d}".rstrip("0")
    offset = moment.strftime("%z")
    return text + ("Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}")


def container_status(status: t.Any) -> dict[str, t.Any]:
    """The ``status`` of ``crictl inspect``: the times readable, a time that has not come yet as Go's zero time."""
    state = status.state
    result = as_dict(status)
    result["createdAt"] = go_time(status.created_at)
    result["startedAt"] = ZERO_TIME if state == 0 else go_time(status.started_at)
    exited = state == 2 or (state == 3 and status.finished_at > 0)
    result["finishedAt"] = go_time(status.finished_at) if exited else ZERO_TIME
    return result


def sandbox_status(status: t.Any) -> dict[str, t.Any]:
    """The ``status`` of ``crictl inspectp``."""
    result = as_dict(status)
    result["createdAt"] = go_time(status.created_at)
    return result


def with_info(info: t.Mapping[str, str], **parts: t.Any) -> dict[str, t.Any]:
    """Merge a verbose answer's ``info`` map: JSON objects are decoded, anything else is a string without quotes."""
    merged = {key: value for key, value in parts.items() if value is not None}
    for key, value in info.items():
        merged[key] = json.loads(value) if value.startswith("{") else value.strip('"')
    return merged


def runtime_info(response: t.Any) -> dict[str, t.Any]:
    """``crictl info``: handlers and features keep their snake_case names there and lose false values."""

    def plain(message: t.Any) -> dict[str, t.Any]:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)

    handlers = [plain(handler) for handler in response.runtime_handlers] or None
    features = plain(response.features) if response.HasField("features") else None
    return with_info(response.info, status=as_dict(response.status), runtimeHandlers=handlers, features=features)


def dump(value: t.Any, sort: bool) -> str:
    return json.dumps(value, indent=2, sort_keys=sort, ensure_ascii=False)


def inspected(results: list[dict[str, t.Any]]) -> str:
    """crictl prints one result bare and several as a list; keys sorted, as Go marshals maps."""
    return dump(results[0] if len(results) == 1 else results, sort=True)


def table(header: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    lines = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("".join(cell.ljust(width + 4) for cell, width in zip(line, widths)).rstrip() for line in lines)


def short(identifier: str) -> str:
    return identifier.partition(":")[2][:13] if identifier.startswith("sha256:") else identifier[:13]
