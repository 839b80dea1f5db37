# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP transport of this collection: one request, one answer, streamed both ways.

PRIVATE to the collection. TLS contexts come from C(ansible.module_utils.urls); the connection itself is http.client's,
because a pinned certificate has to be compared before the first byte of a credential is sent, which urls.py has no
place for. Redirects are never followed, bodies never decompressed: an answer is what the other side sent.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import socket
import ssl
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible.module_utils.urls import make_context

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, TransportError

Body = t.Union[None, bytes, t.Iterable[bytes]]

USER_AGENT = "container_checkpoint.kubernetes"
_BLOCK = 256 * 1024
_FINGERPRINT = re.compile(r"(?:sha-?256(?: fingerprint)?[:= ])?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})")
_DEFAULT_PORTS = {"https": 443, "http": 80}

# OpenSSL's verification results (x509_vfy.h) that deserve a sentence of their own.
_EXPIRED, _NOT_YET, _HOST_MISMATCH, _IP_MISMATCH = 10, 9, 62, 64


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers (lower-case names, repeated ones joined), and the body, cut at the limit asked
    for."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Tls:
    """How the other side is trusted and how we identify ourselves.

    fingerprint: SHA-256 of the certificate that must be presented; replaces the check against a CA.
    """

    ca_cert: t.Optional[str] = None
    client_cert: t.Optional[str] = None
    client_key: t.Optional[str] = None
    fingerprint: t.Optional[str] = None
    validate_certs: bool = True


def normal_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint in any of its usual spellings as 64 hexadecimal digits, or InputError."""
    match = _FINGERPRINT.fullmatch(text.strip().lower())
    if not match:
        raise InputError(
            "the fingerprint %r is not a SHA-256 fingerprint: give 64 hexadecimal digits, with or without colons" % text
        )
    return match.group(1).replace(":", "")


def certificate_fingerprint(path: str) -> str:
    """The SHA-256 fingerprint of the first certificate in a PEM file."""
    try:
        with open(path, encoding="ascii") as stream:
            text = stream.read(1024 * 1024)
        begin, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER)
        der = ssl.PEM_cert_to_DER_cert(text[begin : end + len(ssl.PEM_FOOTER)] + "\n")
    except OSError as exc:
        raise InputError("the certificate %s cannot be read: %s" % (path, exc.strerror or exc)) from None
    except (ValueError, UnicodeDecodeError):
        raise InputError("%s holds no certificate in PEM format" % path) from None
    return hashlib.sha256(der).hexdigest()


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for a connection; InputError when one of the files cannot be used."""
    for option, path in (("ca_cert", tls.ca_cert), ("client_cert", tls.client_cert), ("client_key", tls.client_key)):
        if path:
            try:
                with open(path, "rb"):
                    pass
            except OSError as exc:
                raise InputError("%s %s cannot be read: %s" % (option, path, exc.strerror or exc)) from None
    try:
        # With a fingerprint the chain proves nothing more, and a self-signed certificate has none.
        context = make_context(cafile=tls.ca_cert, validate_certs=tls.validate_certs and not tls.fingerprint)
    except (ssl.SSLError, ValueError):
        raise InputError("ca_cert %s holds no certificate in PEM format" % tls.ca_cert) from None
    # Since 3.13 Python refuses what RFC 5280 only recommends, such as a CA without key usage. kubectl and the runtimes
    # accept such certificates, and the answer must not depend on the node's version of Python.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if tls.client_cert:
        try:
            context.load_cert_chain(tls.client_cert, keyfile=tls.client_key, password=_no_password)
        except (ssl.SSLError, ValueError) as exc:
            raise InputError(
                "client_cert %s and its key %s cannot be used: %s"
                % (tls.client_cert, tls.client_key or "(in the same file)", _ssl_text(exc))
            ) from None
    return context


def _no_password() -> str:
    """Instead of OpenSSL asking on the terminal."""
    raise ValueError("the key is encrypted with a password, which is not supported")


def _ssl_text(exc: Exception) -> str:
    reason = getattr(exc, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(exc)


class _TlsConnection(http.client.HTTPSConnection):
    """An HTTPS connection that compares the certificate before anything is sent."""

    fingerprint: t.Optional[str] = None

    def connect(self) -> None:
        super().connect()
        if self.fingerprint:
            der = t.cast(ssl.SSLSocket, self.sock).getpeercert(binary_form=True) or b""
            found = hashlib.sha256(der).hexdigest()
            if not hmac.compare_digest(found, self.fingerprint):
                self.close()
                raise _FingerprintMismatch(found)


class _FingerprintMismatch(Exception):
    """The certificate presented is not the pinned one."""


class HttpClient:
    """Sends requests; knows no application.

    timeout: seconds without any byte from the other side. connect_timeout: seconds until connected.
    proxy: C(http://host:port) of a proxy to tunnel through.
    """

    def __init__(
        self,
        tls: t.Optional[Tls] = None,
        timeout: float = 60.0,
        connect_timeout: float = 15.0,
        proxy: t.Optional[str] = None,
    ) -> None:
        self._tls = tls or Tls()
        self._fingerprint = normal_fingerprint(self._tls.fingerprint) if self._tls.fingerprint else None
        self._context: t.Optional[ssl.SSLContext] = None
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._proxy = proxy

    def send(
        self,
        method: str,
        url: str,
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: Body = None,
        timeout: t.Optional[float] = None,
        max_body: int = 4 * 1024 * 1024,
        sink: t.Optional[t.Callable[[bytes], t.Any]] = None,
    ) -> Answer:
        """Send one request and return the answer, whatever its status; TransportError when there is none.

        body: bytes, or an iterable of bytes (chunked unless a Content-Length header is given). sink: gets the body of a
        2xx answer in blocks instead of the answer. TransportError's detail C(transport) names the kind of failure.
        """
        where = self._where(url)
        connection = self._connection(url)
        all_headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        try:
            connection.connect()
        except (OSError, http.client.HTTPException, _FingerprintMismatch) as exc:
            connection.close()
            failure = self._failure(where, exc, self._connect_timeout)
            if failure.details["transport"] == "timeout":
                failure.details["transport"] = "connect_timeout"
            raise failure from exc
        try:
            connection.sock.settimeout(timeout or self._timeout)
            broken: t.Optional[OSError] = None
            try:
                connection.request(method, self._target(url), body=body, headers=all_headers)
            except (BrokenPipeError, ConnectionResetError) as exc:
                # The other side may have answered and hung up before it took the whole body.
                broken = exc
            try:
                response = connection.getresponse()
            except (OSError, http.client.HTTPException):
                if broken is not None:
                    raise broken from None
                raise
            return self._answer(response, max_body, sink)
        except (OSError, http.client.HTTPException) as exc:
            raise self._failure(where, exc, timeout or self._timeout) from exc
        finally:
            connection.close()

    @staticmethod
    def _answer(
        response: http.client.HTTPResponse, max_body: int, sink: t.Optional[t.Callable[[bytes], t.Any]]
    ) -> Answer:
        headers: t.Dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            headers[name] = "%s, %s" % (headers[name], value) if name in headers else value
        if sink is not None and 200 <= response.status < 300:
            for chunk in iter(lambda: response.read(_BLOCK), b""):
                sink(chunk)
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return Answer(response.status, headers)
        body = response.read(max_body)
        if response.length and len(body) < max_body:
            raise http.client.IncompleteRead(body, response.length)
        return Answer(response.status, headers, body)

    def _connection(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            host = None
        if not host or parts.username is not None:
            raise InputError(
                "%r is not a URL that can be called: it must be https://HOST[:PORT]/… or http://HOST[:PORT]/…" % url
            )
        peer = self._proxy_address() or (host, port)
        if parts.scheme == "https":
            if self._context is None:
                self._context = tls_context(self._tls)
            connection: http.client.HTTPConnection = _TlsConnection(
                peer[0], peer[1], timeout=self._connect_timeout, context=self._context
            )
            t.cast(_TlsConnection, connection).fingerprint = self._fingerprint
        else:
            connection = http.client.HTTPConnection(peer[0], peer[1], timeout=self._connect_timeout)
        if self._proxy:
            connection.set_tunnel(host, port)
        return connection

    def _proxy_address(self) -> t.Optional[t.Tuple[str, int]]:
        if not self._proxy:
            return None
        parts = urlsplit(self._proxy if "://" in self._proxy else "http://" + self._proxy)
        if parts.scheme != "http" or not parts.hostname:
            raise InputError("proxy %r is not http://HOST:PORT" % self._proxy)
        return parts.hostname, parts.port or 3128

    @staticmethod
    def _target(url: str) -> str:
        parts = urlsplit(url)
        return (parts.path or "/") + ("?" + parts.query if parts.query else "")

    @staticmethod
    def _where(url: str) -> str:
        """Scheme, host and port: never the query, which may hold a signature."""
        parts = urlsplit(url)
        return "%s://%s" % (parts.scheme, parts.netloc.rpartition("@")[2])

    def _failure(self, where: str, exc: Exception, timeout: float) -> TransportError:
        kind, text = self._explain(exc, timeout)
        return TransportError("no answer from %s: %s" % (where, text), transport=kind)

    def _explain(self, exc: Exception, timeout: float) -> t.Tuple[str, str]:
        if isinstance(exc, _FingerprintMismatch):
            return (
                "fingerprint",
                "its certificate is not the pinned one (SHA-256 of the one presented: %s). Nothing was sent. If the"
                " certificate was renewed, compare with the file on the server and change the fingerprint; else"
                " somebody stands in between" % exc,
            )
        if isinstance(exc, ssl.SSLCertVerificationError):
            return self._explain_certificate(exc)
        if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return "closed", "it closed the TLS connection without an answer (perhaps it wants another client certificate)"
        if isinstance(exc, ssl.SSLError):
            text = _ssl_text(exc)
            if "alert" in text and "cert" in text or "unknown ca" in text:
                return (
                    "tls_client",
                    "it rejected our client certificate (%s). Is it signed by the CA that the server trusts for"
                    " clients, and not expired?" % text,
                )
            if "wrong version number" in text or "http request" in text:
                return "tls_protocol", "it does not speak TLS on this port"
            return "tls", "TLS failed: %s" % text
        if isinstance(exc, socket.gaierror):
            return "dns", "the host name cannot be resolved (%s)" % exc.strerror
        if isinstance(exc, (socket.timeout, TimeoutError)):
            return "timeout", (
                "nothing came back within %g s" % timeout if exc.errno is None else "the connection timed out"
            )
        if isinstance(exc, ConnectionRefusedError):
            return "refused", "the connection was refused; nothing listens there, or a firewall refuses it"
        if isinstance(exc, http.client.RemoteDisconnected):
            return "closed", "it closed the connection without an answer"
        if isinstance(exc, http.client.IncompleteRead):
            return "closed", "the answer was cut off"
        if isinstance(exc, (ConnectionResetError, BrokenPipeError)):
            return "closed", "the connection broke (%s)" % (exc.strerror or exc)
        if isinstance(exc, http.client.HTTPException):
            return "protocol", "it does not answer as an HTTP server should (%s)" % type(exc).__name__
        return "network", str(getattr(exc, "strerror", None) or exc)

    def _explain_certificate(self, exc: ssl.SSLCertVerificationError) -> t.Tuple[str, str]:
        if exc.verify_code == _EXPIRED:
            return "tls_expired", "its certificate has expired. Renew it on the server"
        if exc.verify_code == _NOT_YET:
            return "tls_expired", "its certificate is not valid yet. Compare the clocks of both machines"
        if exc.verify_code in (_HOST_MISMATCH, _IP_MISMATCH):
            return "tls_host", "its certificate is not made out for this name (%s)" % exc.verify_message
        return "tls_ca", "its certificate is not signed by %s (%s)" % (
            "a CA of %s" % self._tls.ca_cert if self._tls.ca_cert else "a CA that this machine trusts",
            exc.verify_message,
        )
