# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server double's HTTP side: who asks, for what, may they, and the answer as the real server writes it."""

from __future__ import annotations

import json
import ssl
import typing as t

from apidouble import auth, crud, errors, proxy, reviews, watch
from apidouble.auth import Attributes, User
from apidouble.pki import Directory
from apidouble.resources import Discovery, Resource
from apidouble.store import Store
from httpsd import Handler

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
HEALTH = ("/healthz", "/livez", "/readyz")
PROXY_TIMEOUT = 60.0  # the API server's --request-timeout; it cuts long calls (FACTS 1.1)


class App:
    """What the request handlers share."""

    def __init__(self, place: Directory, store: Store, discovery: Discovery) -> None:
        self.place = place
        self.store = store
        self.discovery = discovery
        self.token_key = place.read("tokens.key").encode()
        self.kubelet_context: ssl.SSLContext = proxy.kubelet_context(place)
        self.verbose = False


class Request(t.NamedTuple):
    """A resource request taken apart."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    rest: str


class ApiHandler(Handler):
    server_version = "kube-apiserver-double"

    @property
    def app(self) -> App:
        return self.server.app

    def answer(self) -> None:
        try:
            self._answer()
        except errors.ApiError as exc:
            if self.started:
                raise
            self.json(exc.code, exc.status())

    def user(self) -> User:
        certificate = self.peer()
        if certificate:
            return auth.user_of_certificate(*certificate)
        token = self.bearer()
        if token is not None:
            found = auth.user_of_token(self.app.token_key, token, self.app.store)
            if found is None:
                raise errors.unauthorized()
            return found
        if self.headers.get("Authorization"):
            raise errors.unauthorized()
        return auth.ANONYMOUS

    def authorise(self, user: User, what: Attributes) -> None:
        if not auth.allowed(self.app.store, user, what):
            raise auth.refusal(user, what)

    def _answer(self) -> None:
        user = self.user()
        segments = [segment for segment in self.url_path.split("/") if segment]
        if segments[:1] == ["api"] and len(segments) > 2 or segments[:1] == ["apis"] and len(segments) > 3:
            self._resource(user, segments)
            return
        self.authorise(user, Attributes(VERBS.get(self.command, self.command.lower()), path=self.url_path))
        document = self._document(segments)
        if document is not None and self.command not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        if document is not None:
            self.json(200, document)
        elif self.url_path in HEALTH:
            self.text(200, "ok")
        else:
            self.text(404, "404 page not found\n")

    def _document(self, segments: list[str]) -> t.Optional[dict]:
        discovery = self.app.discovery
        if segments == ["version"]:
            return discovery.version
        if segments == ["api"]:
            return discovery.api
        if segments == ["apis"]:
            return discovery.apis
        if not segments:
            return {
                "paths": [
                    "/api",
                    "/api/v1",
                    "/apis",
                    *(f"/apis/{name}" for name in sorted(discovery.lists) if "/" in name),
                    *HEALTH,
                    "/version",
                ]
            }
        if segments[0] == "apis" and len(segments) == 2:
            return discovery.group(segments[1])
        return discovery.lists.get("/".join(segments[1:]))

    def _split(self, segments: list[str]) -> t.Optional[Request]:
        """The parts of /api/v1/... and /apis/GROUP/VERSION/..., or None when no such resource is served."""
        depth = 2 if segments[0] == "api" else 3
        group_version, rest = "/".join(segments[1:depth]), segments[depth:]
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and (group_version, rest[2]) in self.app.discovery.resources:
            namespace, rest = rest[1], rest[2:]
        resource = self.app.discovery.resources.get((group_version, rest[0]))
        if resource is None or bool(namespace) and not resource.namespaced:
            return None
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        return Request(resource, namespace, name, subresource, "/".join(rest[3:]))

    def _verb(self, request: Request) -> str:
        verb = VERBS.get(self.command)
        if verb is None:
            raise errors.method_not_allowed()
        if request.name:
            return verb
        if verb == "get":
            return "watch" if self.flag("watch") else "list"
        return "deletecollection" if verb == "delete" else verb

    def _resource(self, user: User, segments: list[str]) -> None:
        request = self._split(segments)
        if request is None:
            raise errors.ApiError(404, "NotFound", "the server could not find the requested resource", {})
        verb, resource = self._verb(request), request.resource
        what = Attributes(
            verb, resource.key.group, resource.key.plural, request.subresource, request.namespace, request.name
        )
        self.authorise(user, what)
        if request.subresource and request.subresource not in resource.subresources:
            raise errors.ApiError(404, "NotFound", "the server could not find the requested resource", {})
        if request.subresource == "proxy" and resource.kind == "Node":
            self._proxy(request.name, request.rest)
            return
        if request.subresource == "log":
            self._log(request)
            return
        if not request.subresource and verb not in (*resource.verbs, "get" if "get" in resource.verbs else ""):
            raise errors.method_not_allowed()
        if verb == "watch":
            self._watch(request)
            return
        options = crud.Options(
            dry_run=self.last("dryRun") == "All",
            label_selector=self.last("labelSelector"),
            field_selector=self.last("fieldSelector"),
            field_manager=self.last("fieldManager"),
            force=self.flag("force"),
            agent=self.headers.get("User-Agent", ""),
            content_type=self.headers.get("Content-Type", "").partition(";")[0].strip(),
            grace=int(self.last("gracePeriodSeconds")) if self.last("gracePeriodSeconds").isdigit() else None,
            propagation=self.last("propagationPolicy"),
        )
        if self.last("dryRun") not in ("", "All"):
            raise errors.invalid("", "PatchOptions", "", [("dryRun", f'Unsupported value: "{self.last("dryRun")}"')])
        if resource.key.group in ("authorization.k8s.io", "authentication.k8s.io"):
            self.json(201, reviews.review(self.app.store, self.app.token_key, user, resource, self._object(options)))
            return
        status, value = self._act(verb, request, options)
        self.json(status, value)

    def _act(self, verb: str, request: Request, options: crud.Options) -> tuple[int, dict]:
        store, resource = self.app.store, request.resource
        namespace, name, sub = request.namespace, request.name, request.subresource
        if verb == "list":
            return 200, crud.list_objects(store, resource, namespace, options)
        if verb == "get":
            return 200, store.get(resource.key, namespace, name)
        if verb == "create":
            body = self._object(options)
            if sub:
                return 201, crud.create_subresource(
                    store, self.app.token_key, resource, namespace, name, sub, body, options
                )
            if name:
                raise errors.method_not_allowed()
            return 201, crud.create(store, resource, namespace, body, options)
        if verb == "update":
            return 200, crud.update(store, resource, namespace, name, sub, self._object(options), options)
        if verb == "patch":
            return crud.patch(store, resource, namespace, name, sub, self._body(options), options)
        deletion = self._object(options) if self.body else {}
        if verb == "delete":
            return 200, crud.delete(store, resource, namespace, name, deletion, options)
        return 200, crud.delete_collection(store, resource, namespace, deletion, options)

    def _body(self, options: crud.Options) -> t.Any:
        try:
            return json.loads(self.body)
        except ValueError as exc:
            if "yaml" in options.content_type:
                raise errors.ApiError(415, "UnsupportedMediaType", "the double reads JSON only; JSON is YAML") from None
            raise errors.bad_request(f"the object provided is unrecognized (must be of type Status): {exc}") from None

    def _object(self, options: crud.Options) -> dict:
        body = self._body(options)
        if not isinstance(body, dict):
            raise errors.bad_request("the object provided is unrecognized (must be an object)")
        return body

    def _watch(self, request: Request) -> None:
        stream = watch.Stream(
            self.app.store,
            request.resource,
            request.namespace or "",
            request.name,
            self.last("labelSelector"),
            self.last("fieldSelector"),
            self.last("resourceVersion"),
            float(self.last("timeoutSeconds") or 1800),
        )
        stream.start()
        self.begin_stream("application/json")
        for line in stream:
            self.chunk(line)
        self.wfile.write(b"0\r\n\r\n")

    def _proxy(self, name: str, path: str) -> None:
        _node, address, port = proxy.target(self.app.store, name)
        answer = proxy.forward(
            self.app.kubelet_context,
            address,
            port,
            self.command,
            "/" + path,
            self.raw_query,
            self.body,
            dict(self.headers.items()),
            PROXY_TIMEOUT,
        )
        self.send(answer.status, answer.body, answer.content_type or None)

    def _log(self, request: Request) -> None:
        pod = self.app.store.get(request.resource.key, request.namespace, request.name)
        container = self.last("container") or pod["spec"]["containers"][0]["name"]
        if not pod["spec"].get("nodeName"):
            raise errors.bad_request(f"pod {request.name} does not have a host assigned")
        _node, address, port = proxy.target(self.app.store, pod["spec"]["nodeName"])
        path = f"/containerLogs/{request.namespace}/{request.name}/{container}"
        answer = proxy.forward(
            self.app.kubelet_context, address, port, "GET", path, self.raw_query, b"", {}, PROXY_TIMEOUT
        )
        if answer.status != 200:
            raise errors.ApiError(answer.status, "", answer.body.decode(errors="replace").strip())
        self.send(200, answer.body, "text/plain")
