# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the OCI distribution API for one repository: log in, look, send blobs and manifests.

PRIVATE to the collection. The transport is injected. Large blobs are C(_registry_upload)'s work. Rules kept here:
authorization is only ever sent to the registry's own origin, redirects are followed for reads only and without it,
and nothing goes from HTTPS to HTTP.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
import typing as t
from urllib.parse import quote, urljoin, urlsplit

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _registry_auth as auth
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    RegistryError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer, Body
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    sha256_digest,
)

TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
# Kinds of transport failures (C(_http)) that another try will not cure.
_PERMANENT = ("fingerprint", "tls_ca", "tls_client", "tls_expired", "tls_host", "tls_protocol")
_ACCEPT = ", ".join((MANIFEST_TYPE, INDEX_TYPE, "application/vnd.docker.distribution.manifest.v2+json"))
_MAX_REDIRECTS = 5
_MAX_WAIT = 60.0
_OCTETS = "application/octet-stream"

# send(method, url, headers, body) -> Answer for every HTTP status; raises TransportError when there is no answer. With sink=…, the
# body of a 2xx answer goes there.
Send = t.Callable[..., Answer]
Sink = t.Callable[[bytes], t.Any]


def origin(url: str) -> tuple[str, t.Optional[str], t.Optional[int]]:
    """Scheme, host and port of a URL, with the default port filled in."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def is_transient(answer: t.Optional[Answer], failure: t.Optional[TransportError]) -> bool:
    """Whether another try may succeed: a status that says so, or a connection that broke or was not made."""
    if answer is not None:
        return answer.status in TRANSIENT
    return failure is None or failure.details.get("transport") not in _PERMANENT


def error_text(answer: Answer) -> str:
    """What the registry says went wrong: its error codes and messages, else the beginning of the body."""
    try:
        errors = json.loads(answer.body)["errors"]
        texts = ["%s: %s" % (error.get("code"), error.get("message")) for error in errors]
        text = "; ".join(texts)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = answer.body[:300].decode("utf-8", "replace")
    return re.sub(r"\s+", " ", text).strip()[:500] or "no reason given"


class Registry:
    """One repository of one registry.

    send: the transport. base_url: C(https://host:port). retries: how often a transient failure is tried again.
    sleep: called with seconds. credentials: None for anonymous. auth_hosts: token services allowed besides the own.
    """

    def __init__(
        self,
        send: Send,
        base_url: str,
        repository: str,
        credentials: t.Optional[auth.Credentials] = None,
        auth_hosts: t.Sequence[str] = (),
        retries: int = 5,
        sleep: t.Callable[[float], t.Any] = time.sleep,
    ) -> None:
        self._send = send
        self._base = base_url.rstrip("/")
        self._origin = origin(self._base)
        self.host = urlsplit(self._base).netloc
        self.repository = repository
        self._credentials = credentials
        self._auth_hosts = auth_hosts
        self.retries = retries
        self._sleep = sleep
        self._authorization: t.Optional[str] = None

    @property
    def _plain_http(self) -> bool:
        return self._origin[0] == "http"

    # Requests -------------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        """The URL of something in this repository, C(blobs/sha256:…) for example."""
        return "%s/v2/%s/%s" % (self._base, self.repository, quote(path, safe="/:@?=&"))

    def once(
        self,
        method: str,
        url: str,
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: Body = None,
        sink: t.Optional[Sink] = None,
    ) -> Answer:
        """One request, without retries; a 401 is answered once by logging in again if the body can be sent again."""
        repeatable = body is None or isinstance(body, (bytes, list, tuple))
        answer = self._follow(method, url, headers or {}, body, sink)
        if answer.status == 401 and repeatable and origin(url) == self._origin:
            if self._log_in(answer):
                answer = self._follow(method, url, headers or {}, body, sink)
        return answer

    def call(
        self,
        what: str,
        method: str,
        url: str,
        ok: t.Sequence[int],
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: Body = None,
    ) -> Answer:
        """A request that may be repeated; retried while the failure is transient. RegistryError says what failed."""
        attempt = 0
        while True:
            answer: t.Optional[Answer] = None
            try:
                answer = self.once(method, url, headers, body)
                failure: t.Optional[TransportError] = None
            except TransportError as exc:
                failure = exc
            if answer is not None and answer.status in ok:
                return answer
            if attempt >= self.retries or not is_transient(answer, failure):
                raise self.failure(what, answer, failure, attempt + 1)
            self.pause(attempt, answer)
            attempt += 1

    def pause(self, attempt: int, answer: t.Optional[Answer] = None) -> None:
        """Wait before the next try: what the registry asks for, else 0.5 s, 1 s, 2 s and so on, a minute at most."""
        wait = _retry_after(answer.headers.get("retry-after")) if answer is not None else None
        self._sleep(min(_MAX_WAIT, wait if wait is not None else 0.5 * 2**attempt))

    def failure(
        self, what: str, answer: t.Optional[Answer], cause: t.Optional[TransportError] = None, attempts: int = 1
    ) -> RegistryError:
        """The exception for a request that did not succeed."""
        times = " (tried %d times)" % attempts if attempts > 1 else ""
        if answer is None:
            details = cause.details if cause else {}
            return RegistryError(
                "%s failed%s: registry %s: %s" % (what, times, self.host, cause.msg if cause else "no answer"),
                **details,
            )
        advice = ""
        if answer.status == 401:
            advice = (
                ". The registry wants a user name and a password"
                if self._credentials is None
                else ". Check the user name and the password"
            )
        elif answer.status == 403:
            advice = ". The account may not do this in repository %s" % self.repository
        text = "%s failed%s: registry %s answered %d (%s)%s" % (
            what,
            times,
            self.host,
            answer.status,
            error_text(answer),
            advice,
        )
        return RegistryError(text, http_status=answer.status)

    def target(self, location: t.Optional[str], request_url: str, what: str) -> str:
        """The absolute URL of a Location header; never from HTTPS to HTTP."""
        if not location:
            raise RegistryError("%s: registry %s answered without a Location" % (what, self.host))
        url = urljoin(request_url, location)
        try:
            scheme, host, dummy = origin(url)
        except ValueError:
            scheme, host = "", None
        if scheme not in ("http", "https") or not host:
            raise RegistryError(
                "%s: registry %s sends us to %r, which is no HTTP address" % (what, self.host, url[:200])
            )
        if scheme == "http" and not self._plain_http:
            raise RegistryError(
                "%s: registry %s is reached over HTTPS but sends us on to plain HTTP (%s); refused. "
                "A proxy in front of it should pass X-Forwarded-Proto, or the registry should answer with relative URLs"
                % (what, self.host, urlsplit(url).netloc)
            )
        return url

    def _follow(
        self, method: str, url: str, headers: t.Mapping[str, str], body: Body, sink: t.Optional[Sink] = None
    ) -> Answer:
        diverted = {} if sink is None else {"sink": sink}
        for dummy in range(_MAX_REDIRECTS):
            sent = dict(headers)
            if self._authorization and origin(url) == self._origin:
                sent["Authorization"] = self._authorization
            answer = self._send(method, url, sent, body, **diverted)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            if method not in ("GET", "HEAD"):
                raise RegistryError(
                    "registry %s redirects a %s to %s; what is sent to a registry is not sent elsewhere"
                    % (self.host, method, urlsplit(answer.headers.get("location", "")).netloc or "nowhere")
                )
            url = self.target(answer.headers.get("location"), url, "redirect")
        raise RegistryError("registry %s redirects in circles" % self.host)

    # Logging in -----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Find out whether this is a registry, and log in if it wants that."""
        answer = self.call("reaching the registry", "GET", "%s/v2/" % self._base, ok=(200, 401))
        if answer.status == 401:
            raise self.failure("logging in", answer)

    def _log_in(self, refusal: Answer) -> bool:
        """Make a new Authorization from a 401 answer; False if its challenge cannot be answered."""
        challenge = auth.choose_challenge(refusal.headers.get("www-authenticate", ""), self._credentials is not None)
        if challenge is None:
            return False
        before = self._authorization
        if challenge.scheme == "basic" and self._credentials is not None:
            self._authorization = self._credentials.basic()
            return self._authorization != before
        self._authorization = "Bearer " + self._token(challenge)
        return True

    def _token(self, challenge: auth.Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        auth.check_realm(realm, self._base, self._auth_hosts, self._plain_http, self._credentials is not None)
        scope = "repository:%s:pull,push" % self.repository
        url = auth.token_url(challenge, scope, self._credentials.username if self._credentials else None)
        headers = {"Authorization": self._credentials.basic()} if self._credentials else {}
        attempt = 0
        while True:
            answer = self._send("GET", url, headers, None)
            if answer.status == 200:
                return auth.parse_token(answer.body, urlsplit(realm).netloc)
            if answer.status not in TRANSIENT or attempt >= self.retries:
                raise self.failure("getting a token from %s" % urlsplit(realm).netloc, answer, attempts=attempt + 1)
            self.pause(attempt, answer)
            attempt += 1

    # Blobs and manifests --------------------------------------------------------------------------------------------

    def blob_size(self, digest: str) -> t.Optional[int]:
        """The size of a blob that the repository has; None if it has not."""
        answer = self.call("asking for blob %s" % digest[:19], "HEAD", self.url("blobs/" + digest), ok=(200, 404))
        if answer.status == 404:
            return None
        length = answer.headers.get("content-length", "")
        return int(length) if length.isdigit() else -1

    def stream(self, digest: str, sink: Sink) -> None:
        """Give a blob to the sink. After a break it is asked for once more, and what the sink has already is passed over."""
        had, attempt = 0, 0
        while True:
            taker = _Taker(sink, had)
            answer: t.Optional[Answer] = None
            failure: t.Optional[TransportError] = None
            try:
                answer = self.once("GET", self.url("blobs/" + digest), {"Accept": _OCTETS}, sink=taker)
            except _SinkFailed:
                raise t.cast(BaseException, taker.failure) from None
            except TransportError as exc:
                failure = exc
            if answer is not None and answer.status == 200:
                return
            attempt = 0 if taker.seen > had else attempt + 1
            had = max(had, taker.seen)
            if attempt > self.retries or not is_transient(answer, failure):
                raise self.failure("reading blob %s" % digest[:19], answer, failure, attempt)
            self.pause(attempt, answer)

    def put_blob(self, content: bytes) -> None:
        """Send a small blob in one piece."""
        digest = sha256_digest(content)
        what = "sending blob %s" % digest[:19]
        headers = {"Content-Type": _OCTETS, "Content-Length": str(len(content))}
        attempt = 0
        while True:
            url = self.start_upload()[0]
            try:
                answer: t.Optional[Answer] = self.once("PUT", with_digest(url, digest), headers, content)
                failure: t.Optional[TransportError] = None
            except TransportError as exc:
                answer, failure = None, exc
            if answer is not None and answer.status == 201:
                return
            if attempt >= self.retries or not is_transient(answer, failure):
                raise self.failure(what, answer, failure, attempt + 1)
            # The session may be gone or used up, so the next try makes a new one.
            self.pause(attempt, answer)
            attempt += 1

    def start_upload(self) -> tuple[str, int]:
        """Open an upload session: the URL to send to, and the smallest chunk that the registry accepts (0: any)."""
        url = self.url("blobs/uploads/")
        answer = self.call("starting an upload", "POST", url, ok=(202,), headers={"Content-Length": "0"}, body=b"")
        smallest = answer.headers.get("oci-chunk-min-length", "")
        return self.target(answer.headers.get("location"), url, "starting an upload"), (
            int(smallest) if smallest.isdigit() else 0
        )

    def manifest(self, reference: str) -> t.Optional[bytes]:
        """The manifest under a tag or digest, byte for byte; None if there is none."""
        headers = {"Accept": _ACCEPT}
        answer = self.call(
            "reading manifest %s" % reference[:71],
            "GET",
            self.url("manifests/" + reference),
            ok=(200, 404),
            headers=headers,
        )
        return answer.body if answer.status == 200 else None

    def put_manifest(self, tag: str, content: bytes) -> None:
        """Put a manifest under a tag, read it back by digest and by tag, and compare."""
        digest = sha256_digest(content)
        headers = {"Content-Type": MANIFEST_TYPE, "Content-Length": str(len(content))}
        answer = self.call(
            "writing manifest %s" % tag, "PUT", self.url("manifests/" + tag), ok=(201,), headers=headers, body=content
        )
        stated = answer.headers.get("docker-content-digest")
        if stated and stated != digest:
            raise self._changed(tag, "it calls it %s, but it was sent as %s" % (stated, digest))
        for reference in (digest, tag):
            there = self.manifest(reference)
            if there != content:
                what = "is not there" if there is None else "has another content (%s)" % sha256_digest(there)
                raise self._changed(tag, "read back as %s it %s; it was sent as %s" % (reference, what, digest))

    def _changed(self, tag: str, how: str) -> RegistryError:
        return RegistryError(
            "manifest changed by the registry: %s/%s:%s: %s. Runtimes would not recognise the checkpoint; "
            "use a registry (or a proxy in front of it) that stores OCI manifests unchanged"
            % (self.host, self.repository, tag, how)
        )


class _SinkFailed(Exception):
    """Whoever takes the bytes cannot; the connection is not to blame."""


class _Taker:
    """Passes on what is new of a blob that is read once more."""

    def __init__(self, sink: Sink, skip: int) -> None:
        self._given, self._skip = sink, skip
        self.seen = 0
        self.failure: t.Optional[BaseException] = None

    def __call__(self, block: bytes) -> None:
        new = block[max(0, self._skip - self.seen) :]
        self.seen += len(block)
        if new:
            try:
                self._given(new)
            except BaseException as exc:
                self.failure = exc
                raise _SinkFailed from exc


def with_digest(url: str, digest: str) -> str:
    """An upload's URL with the digest that ends it; the rest of its query is the registry's and stays as it is."""
    return "%s%sdigest=%s" % (url, "&" if urlsplit(url).query else "?", quote(digest, safe=""))


def _retry_after(value: t.Optional[str]) -> t.Optional[float]:
    """Seconds of a Retry-After header (a number or a date); None if there is none that can be read."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value.strip()[:6])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
