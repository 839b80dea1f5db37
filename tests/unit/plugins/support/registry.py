# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry on loopback that keeps the OCI distribution protocol, and breaks it where a test says so.

It is strict where real registries are: chunks must follow one another, digests must match, a manifest needs its blobs.
Faults are functions C(fault(handler) -> bool) in C(FakeRegistry.faults); one that returns true has answered in the
registry's place.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeRegistry:
    """One registry; use it as a context manager. C(log) has (method, path, authorization) of every request."""

    def __init__(self, auth=None, username="lab", password="secret", realm=None, min_chunk=None, tls=None):
        self.auth = auth
        self.basic = "Basic " + base64.b64encode(("%s:%s" % (username, password)).encode()).decode()
        self.realm = realm
        self.min_chunk = min_chunk
        self.tokens = set()
        self.token_requests = []
        self.blobs = {}
        self.uploads = {}
        self.manifests = {}
        self.log = []
        self.faults = []
        self.patched = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.registry = self
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if tls is not None else "http"
        self.host = "localhost:%d" % self.server.server_address[1]
        self.url = "%s://%s" % (self.scheme, self.host)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()

    def requests(self, method, contains=""):
        return [entry for entry in self.log if entry[0] == method and contains in entry[1]]

    @contextlib.contextmanager
    def faulty(self, fault):
        self.faults.append(fault)
        try:
            yield
        finally:
            self.faults.remove(fault)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def registry(self):
        return self.server.registry

    def log_message(self, *args):
        """Quiet."""

    def handle(self):
        with contextlib.suppress(ConnectionError, TimeoutError, OSError):
            super().handle()

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, **headers):
        self.answer(status, {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}, **headers)

    def body(self, limit=None):
        """The request's body; limit: read no more than this, as a registry that dies in the middle."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = bytearray()
            while True:
                line = self.rfile.readline()
                if not line:
                    raise ConnectionResetError("the body broke off")
                size = int(line.split(b";")[0], 16)
                content += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    return bytes(content)
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length if limit is None else min(length, limit))
        if limit is None and len(content) < length:
            raise ConnectionResetError("the body broke off")
        return content

    def cut(self):
        """Break the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(2)

    def _do(self):
        registry = self.registry
        with registry.lock:
            registry.log.append((self.command, self.path, self.headers.get("Authorization")))
        for fault in list(registry.faults):
            if fault(self):
                return
        path, dummy, query = self.path.partition("?")
        if path == "/token":
            self._token(urllib.parse.parse_qs(query))
        elif self._allowed():
            self._route(path, urllib.parse.parse_qs(query))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    def _allowed(self):
        registry, sent = self.registry, self.headers.get("Authorization")
        if registry.auth == "basic" and sent != registry.basic:
            self.drain()
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="fake"')
            return False
        if registry.auth == "bearer" and (sent or "").partition(" ")[2] not in registry.tokens:
            self.drain()
            realm = registry.realm or registry.url + "/token"
            self.refuse(
                401,
                "UNAUTHORIZED",
                WWW_Authenticate='Bearer realm="%s",service="fake registry",scope="repository:x:pull"' % realm,
            )
            return False
        return True

    def drain(self):
        self.body()

    def _token(self, query):
        registry = self.registry
        registry.token_requests.append((query, self.headers.get("Authorization")))
        if self.headers.get("Authorization") != registry.basic:
            self.refuse(401, "UNAUTHORIZED")
            return
        token = uuid.uuid4().hex
        registry.tokens.add(token)
        self.answer(200, {"token": token, "expires_in": 60})

    def _route(self, path, query):
        if path == "/v2/":
            return self.answer(200, {})
        for pattern, method in (
            (r"/v2/(.+)/blobs/uploads/", self._start),
            (r"/v2/(.+)/blobs/uploads/([0-9a-f]+)", self._upload),
            (r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", self._blob),
            (r"/v2/(.+)/manifests/([^/]+)", self._manifest),
            (r"/v2/(.+)/tags/list", self._tags),
        ):
            match = re.fullmatch(pattern, path)
            if match:
                return method(query, *match.groups())
        self.drain()
        return self.refuse(404, "NOT_FOUND")

    def _start(self, query, repository):
        self.drain()
        session = uuid.uuid4().hex
        self.registry.uploads[session] = bytearray()
        headers = {"OCI_Chunk_Min_Length": str(self.registry.min_chunk)} if self.registry.min_chunk else {}
        self.answer(202, Location="/v2/%s/blobs/uploads/%s?state=a%%2Fb" % (repository, session), **headers)

    def _upload(self, query, repository, session):
        registry = self.registry
        upload = registry.uploads.get(session)
        if upload is None:
            self.drain()
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        if query.get("state") != ["a/b"]:
            self.drain()
            return self.refuse(400, "BLOB_UPLOAD_INVALID")
        where = {"Location": "/v2/%s/blobs/uploads/%s?state=a%%2Fb" % (repository, session)}
        if self.command == "PATCH":
            span = self.headers.get("Content-Range")
            body = self.body()
            if span and int(span.partition("-")[0]) != len(upload):
                return self.refuse(416, "BLOB_UPLOAD_INVALID", Range="0-%d" % max(0, len(upload) - 1), **where)
            upload += body
            registry.patched.append(len(body))
            return self.answer(202, Range="0-%d" % (len(upload) - 1), **where)
        if self.command == "GET":
            return self.answer(204, Range="0-%d" % max(0, len(upload) - 1), **where)
        if self.command == "DELETE":
            del registry.uploads[session]
            return self.answer(204)
        content = bytes(upload) + self.body()
        digest = query["digest"][0]
        del registry.uploads[session]
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            return self.refuse(400, "DIGEST_INVALID")
        registry.blobs[digest] = content
        return self.answer(201, Location="/v2/%s/blobs/%s" % (repository, digest), Docker_Content_Digest=digest)

    def _blob(self, query, repository, digest):
        self.drain()
        if digest not in self.registry.blobs:
            return self.refuse(404, "BLOB_UNKNOWN")
        content = self.registry.blobs[digest]
        return self.answer(200, content, Content_Length=str(len(content)))

    def _tags(self, query, repository):
        """Two at a time, with a link to the rest."""
        tags = sorted(tag for tag in self.registry.manifests if not tag.startswith("sha256:"))
        if not tags:
            return self.refuse(404, "NAME_UNKNOWN")
        rest = [tag for tag in tags if tag > query.get("last", [""])[0]]
        link = {"Link": '</v2/%s/tags/list?n=1000&last=%s>; rel="next"' % (repository, rest[1])} if len(rest) > 2 else {}
        return self.answer(200, {"name": repository, "tags": rest[:2]}, **link)

    def _manifest(self, query, repository, reference):
        registry = self.registry
        if self.command == "PUT":
            content = self.body()
            document = json.loads(content)
            for descriptor in [document["config"]] + document["layers"]:
                if len(registry.blobs.get(descriptor["digest"], b"")) != descriptor["size"]:
                    return self.refuse(400, "MANIFEST_BLOB_UNKNOWN")
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            registry.manifests[reference] = registry.manifests[digest] = content
            return self.answer(201, Docker_Content_Digest=digest)
        if reference not in registry.manifests:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        content = registry.manifests[reference]
        return self.answer(200, content, Docker_Content_Digest="sha256:" + hashlib.sha256(content).hexdigest())
