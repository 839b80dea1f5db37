# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions instead of objects: TokenReview, SubjectAccessReview and their Self variants. Nothing is stored."""

from __future__ import annotations

import typing as t

from apidouble import auth
from apidouble.auth import Attributes, User
from apidouble.errors import invalid
from apidouble.resources import Resource
from apidouble.store import Store


def attributes(spec: dict) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    what = spec.get("resourceAttributes") or {}
    return Attributes(
        what.get("verb", ""),
        what.get("group", ""),
        what.get("resource", ""),
        what.get("subresource", ""),
        what.get("namespace", ""),
        what.get("name", ""),
    )


def user_info(user: User) -> dict:
    info: dict[str, t.Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    return info


def review(store: Store, token_key: bytes, caller: User, resource: Resource, body: dict) -> dict:
    """The object with its status filled in."""
    spec = body.get("spec") or {}
    result = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"creationTimestamp": None},
        "spec": spec,
    }
    if resource.kind == "TokenReview":
        found = auth.user_of_token(token_key, spec.get("token", ""), store)
        result["status"] = (
            {"authenticated": True, "user": user_info(found), "audiences": [auth.ISSUER]}
            if found
            else {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        )
    elif resource.kind == "SelfSubjectReview":
        result["status"] = {"userInfo": user_info(caller)}
    else:
        if any(value for name, value in (body.get("metadata") or {}).items() if name not in ("namespace", "managedFields")):
            raise invalid(
                resource.key.group,
                resource.kind,
                (body["metadata"] or {}).get("name", ""),
                [("metadata", "Invalid value: must be empty")],
            )
        what = attributes(spec)
        if not what.verb and not what.path and not what.resource:
            raise invalid(
                resource.key.group,
                resource.kind,
                "",
                [
                    (
                        "spec.resourceAttributes",
                        "Invalid value: null: exactly"
                        " one of nonResourceAttributes or resourceAttributes must be specified",
                    )
                ],
            )
        user = caller
        if resource.kind == "SubjectAccessReview":
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        why = auth.why_allowed(store, user, what)
        result["status"] = {"allowed": why is not None, **({"reason": why} if why else {})}
    return result
