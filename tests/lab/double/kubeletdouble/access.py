# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Webhook authentication and authorisation of the kubelet: TokenReview and SubjectAccessReview, with its caches.

A refusal stays cached for 30 s (cacheUnauthorizedTTL), as on a real cluster (FACTS 10.1); ``cache_unauthorized``
shortens that for tests.
"""

from __future__ import annotations

import threading
import time
import typing as t

from kubeletdouble.apiclient import ApiClient, ApiFailure
from kubeletdouble.settings import Settings, go_duration

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# path prefix: subresources that give access, any one is enough (FACTS 1.5, 10.1)
SUBRESOURCES = (
    ("/pods", ["pods", "proxy"]),
    ("/runningpods", ["pods", "proxy"]),
    ("/healthz", ["healthz", "proxy"]),
    ("/configz", ["configz", "proxy"]),
    ("/checkpoint", ["checkpoint"]),
    ("/stats", ["stats"]),
    ("/metrics", ["metrics"]),
    ("/logs", ["log"]),
)


class User(t.NamedTuple):
    name: str
    groups: tuple[str, ...]


class Denied(Exception):
    """Not allowed (status 401, 403 or 500); str() is the body."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status


def subresources(path: str) -> list[str]:
    for prefix, names in SUBRESOURCES:
        if path == prefix or path.startswith(prefix + "/"):
            return names
    return ["proxy"]


class Access:
    def __init__(self, api: ApiClient, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        self._lock = threading.Lock()
        self._cache: dict[t.Any, tuple[float, t.Any]] = {}
        authorisation = settings.config.get("authorization", {}).get("webhook", {})
        self._allowed_ttl = go_duration(authorisation.get("cacheAuthorizedTTL", "5m0s"))
        self._denied_ttl = go_duration(authorisation.get("cacheUnauthorizedTTL", "30s"))
        self._token_ttl = go_duration(
            settings.config.get("authentication", {}).get("webhook", {}).get("cacheTTL", "2m0s")
        )

    def _cached(self, key: t.Any) -> t.Any:
        with self._lock:
            end, value = self._cache.get(key, (0.0, None))
        return value if end > time.monotonic() else None

    def _remember(self, key: t.Any, value: t.Any, seconds: float) -> None:
        with self._lock:
            self._cache[key] = (time.monotonic() + seconds, value)

    def user(self, certificate: t.Optional[tuple[str, list[str]]], token: t.Optional[str]) -> User:
        """Who asks; Denied(401) for nobody we know."""
        if certificate:
            return User(certificate[0], (*certificate[1], "system:authenticated"))
        if not token:
            raise Denied(401, "Unauthorized")
        found = self._cached(("token", token))
        if found is None:
            try:
                answer = self._api.request(
                    "POST",
                    "/apis/authentication.k8s.io/v1/tokenreviews",
                    {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}},
                )
            except ApiFailure:
                raise Denied(401, "Unauthorized") from None
            status = answer["status"]
            if not status.get("authenticated"):
                raise Denied(401, "Unauthorized")
            found = User(status["user"]["username"], tuple(status["user"].get("groups") or ()))
            self._remember(("token", token), found, self._token_ttl)
        return found

    def authorise(self, user: User, method: str, path: str) -> None:
        """Denied(403) unless one of the path's subresources of this node is granted to the user."""
        verb, names = VERBS.get(method, method.lower()), subresources(path)
        described = f"user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(names)}]"
        for name in names:
            key = ("access", user, verb, name)
            may = self._cached(key)
            if may is None:
                try:
                    answer = self._api.request(
                        "POST",
                        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                        {
                            "apiVersion": "authorization.k8s.io/v1",
                            "kind": "SubjectAccessReview",
                            "spec": {
                                "user": user.name,
                                "groups": list(user.groups),
                                "resourceAttributes": {
                                    "verb": verb,
                                    "resource": "nodes",
                                    "subresource": name,
                                    "version": "v1",
                                    "name": self._settings.node,
                                },
                            },
                        },
                    )
                except ApiFailure:
                    raise Denied(500, f"Authorization error ({described})\n") from None
                may = bool(answer["status"].get("allowed"))
                denied = self._settings.all_faults().get("cache_unauthorized", self._denied_ttl)
                self._remember(key, may, self._allowed_ttl if may else denied)
            if may:
                return
        raise Denied(403, f"Forbidden ({described})\n")
