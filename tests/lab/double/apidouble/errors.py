# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's failures as Status objects, with the words of the real one."""

from __future__ import annotations

import typing as t


class ApiError(Exception):
    """A refusal: code, reason, message and details of the Status that the client gets."""

    def __init__(self, code: int, reason: str, message: str, details: t.Optional[dict[str, t.Any]] = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def status(self) -> dict[str, t.Any]:
        result: dict[str, t.Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            result["reason"] = self.reason
        if self.details:
            result["details"] = self.details
        result["code"] = self.code
        return result


def qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(group: str, kind: str, name: str = "", **more: t.Any) -> dict[str, t.Any]:
    details = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    details.update(more)
    return details


def not_found(group: str, plural: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', _details(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        409, "AlreadyExists", f'{qualified(group, plural)} "{name}" already exists', _details(group, plural, name)
    )


def conflict(group: str, plural: str, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}',
        _details(group, plural, name),
    )


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    subject = qualified(group, plural) + (f' "{name}"' if name else "")
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(group, plural, name))


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media_type(given: str) -> ApiError:
    accepted = (
        "application/json-patch+json, application/merge-patch+json, "
        "application/strategic-merge-patch+json, application/apply-patch+yaml"
    )
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def expired(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_many_requests(message: str) -> ApiError:
    return ApiError(429, "TooManyRequests", message, {"causes": [{"reason": "DisruptionBudget", "message": message}]})


_CAUSE_REASONS = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Forbidden": "FieldValueForbidden",
    "Duplicate value": "FieldValueDuplicate",
    "Unsupported value": "FieldValueNotSupported",
    "Not found": "FieldValueNotFound",
}


def invalid(group: str, kind: str, name: str, problems: t.Sequence[tuple[str, str]]) -> ApiError:
    """422; problems are (field, what) pairs, where what begins with one of the words of _CAUSE_REASONS."""
    causes = [
        {"reason": _CAUSE_REASONS.get(what.partition(":")[0], "FieldValueInvalid"), "message": what, "field": field}
        for field, what in problems
    ]
    texts = [f"{field}: {what}" for field, what in problems]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    subject = kind + (f".{group}" if group else "")
    return ApiError(
        422, "Invalid", f'{subject} "{name}" is invalid: {text}', _details(group, kind, name, causes=causes)
    )
