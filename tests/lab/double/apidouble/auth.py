# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asking and may they: service account tokens, and RBAC from the ClusterRoles and bindings in the store.

Tokens are JWTs signed with a key of the cluster (HMAC, where a real cluster uses RSA), so they survive a restart of
the double and end when they say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import typing as t

from apidouble.errors import ApiError, forbidden
from apidouble.store import Key, Store

RBAC = "rbac.authorization.k8s.io"
ISSUER = "https://kubernetes.default.svc.cluster.local"


class User(t.NamedTuple):
    name: str
    groups: tuple[str, ...]
    uid: str = ""


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Attributes(t.NamedTuple):
    """What is being done; for a path that is no resource only verb and path count."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def user_of_certificate(name: str, organisations: t.Sequence[str]) -> User:
    return User(name, (*organisations, "system:authenticated"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def issue_token(
    key: bytes, account: dict, seconds: int, audiences: t.Sequence[str] = (), pod: t.Optional[dict] = None
) -> str:
    meta = account["metadata"]
    claim: dict[str, t.Any] = {
        "namespace": meta["namespace"],
        "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
    }
    if pod:
        claim["pod"] = {"name": pod["name"], "uid": pod.get("uid", "")}
    issued = int(time.time())
    payload = {
        "aud": list(audiences) or [ISSUER],
        "exp": issued + seconds,
        "iat": issued,
        "iss": ISSUER,
        "kubernetes.io": claim,
        "nbf": issued,
        "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
    }
    signed = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload))
    return signed + "." + _encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def user_of_token(key: bytes, token: str, store: Store) -> t.Optional[User]:
    """The service account behind a token; None if it is no token of ours, has ended, or its account is gone."""
    try:
        signed, _sep, signature = token.rpartition(".")
        if not hmac.compare_digest(_decode(signature), hmac.new(key, signed.encode(), hashlib.sha256).digest()):
            return None
        payload = json.loads(_decode(signed.partition(".")[2]))
        claim = payload["kubernetes.io"]
        namespace, account = claim["namespace"], claim["serviceaccount"]
    except (ValueError, KeyError, TypeError):
        return None
    if payload["exp"] < time.time():
        return None
    found = store.find(Key("", "serviceaccounts"), namespace, account["name"])
    if found is None or found["metadata"]["uid"] != account["uid"]:
        return None
    return User(
        payload["sub"],
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
        account["uid"],
    )


# --- RBAC


def _is_subject(subject: dict, user: User, binding_namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    namespace = subject.get("namespace") or binding_namespace
    return kind == "ServiceAccount" and user.name == f"system:serviceaccount:{namespace}:{name}"


def _listed(values: t.Optional[t.Sequence[str]], wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def rule_allows(rule: dict, what: Attributes) -> bool:
    if not _listed(rule.get("verbs"), what.verb):
        return False
    if what.path:
        return any(
            url == what.path or (url.endswith("*") and what.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or []
        )
    full = what.resource + (f"/{what.subresource}" if what.subresource else "")
    resources = rule.get("resources") or []
    named = "*" in resources or full in resources or bool(what.subresource) and f"*/{what.subresource}" in resources
    names = rule.get("resourceNames")
    return _listed(rule.get("apiGroups"), what.group) and named and (not names or what.name in names)


def _rules(store: Store, reference: dict, namespace: str) -> list[dict]:
    if reference.get("kind") == "Role":
        role = store.find(Key(RBAC, "roles"), namespace, reference["name"])
    else:
        role = store.find(Key(RBAC, "clusterroles"), "", reference["name"])
    return (role or {}).get("rules") or []


def allowed(store: Store, user: User, what: Attributes) -> bool:
    return why_allowed(store, user, what) is not None


def why_allowed(store: Store, user: User, what: Attributes) -> t.Optional[str]:
    """The reason as the RBAC authorizer words it (empty for system:masters); None if nothing allows it."""
    if "system:masters" in user.groups:
        return ""
    bindings = [(binding, "") for binding in store.list(Key(RBAC, "clusterrolebindings"))]
    if what.namespace:
        bindings += [(binding, what.namespace) for binding in store.list(Key(RBAC, "rolebindings"), what.namespace)]
    for binding, namespace in bindings:
        for subject in binding.get("subjects") or []:
            if _is_subject(subject, user, namespace) and any(
                rule_allows(rule, what) for rule in _rules(store, binding["roleRef"], namespace)
            ):
                return _reason(binding, namespace, subject)
    return None


def _reason(binding: dict, namespace: str, subject: dict) -> str:
    name = f'"{binding["metadata"]["name"]}/{namespace}"' if namespace else f'"{binding["metadata"]["name"]}"'
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    who = subject["name"] + (f"/{subject.get('namespace') or namespace}" if subject["kind"] == "ServiceAccount" else "")
    role = binding["roleRef"]
    return f'RBAC: allowed by {kind} {name} of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'


def refusal(user: User, what: Attributes) -> ApiError:
    if what.path:
        return ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {what.verb} path "{what.path}"', {})
    full = what.resource + (f"/{what.subresource}" if what.subresource else "")
    where = f'in the namespace "{what.namespace}"' if what.namespace else "at the cluster scope"
    return forbidden(
        what.group,
        what.resource,
        what.name,
        f'User "{user.name}" cannot {what.verb} resource "{full}" in API group "{what.group}" {where}',
    )
