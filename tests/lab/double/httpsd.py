# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A threaded HTTPS server with optional client certificates, shared by the kubelet and the API server doubles.

It behaves like Go's at the edges that clients can see: plain HTTP on the TLS port gets a 400 sentence, requests may be
kept alive, a request body is always read.
"""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import ssl
import traceback
import typing as t
import urllib.parse

PLAIN_HTTP_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
HANDSHAKE_SECONDS = 10.0
IDLE_SECONDS = 300.0


def server_context(cert: str, key: str, client_ca: t.Optional[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class TlsServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One thread a connection; the TLS handshake happens in that thread, so a silent client blocks nobody."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: t.Any, context: ssl.SSLContext, app: t.Any) -> None:
        super().__init__(address, handler)
        self.context = context
        self.app = app

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of this machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        try:
            request.settimeout(HANDSHAKE_SECONDS)
            first = request.recv(1, socket.MSG_PEEK)
            if not first:
                return
            if first != b"\x16":
                request.recv(65536)
                request.sendall(PLAIN_HTTP_ANSWER)
                request.shutdown(socket.SHUT_WR)
                return
            tls = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        try:
            tls.settimeout(IDLE_SECONDS)
            self.RequestHandlerClass(tls, client_address, self)  # type: ignore[call-arg]
        except (OSError, ssl.SSLError):
            pass
        finally:
            tls.close()

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that hangs up is not worth a traceback; programming errors are answered in Handler.dispatch."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Splits a request into the parts that both doubles need; a subclass implements ``answer``."""

    protocol_version = "HTTP/1.1"
    server: TlsServer
    disable_nagle_algorithm = True

    def dispatch(self) -> None:
        split = urllib.parse.urlsplit(self.path)
        # Go's router works on the decoded path; a %2f is therefore a separator there, as it is here
        self.url_path = urllib.parse.unquote(split.path)
        self.query = urllib.parse.parse_qs(split.query, keep_blank_values=True)
        self.raw_query = split.query
        self.body = self.read_body()
        self.started = False
        try:
            self.answer()
        except (BrokenPipeError, ConnectionError, ssl.SSLError):
            self.close_connection = True
        except Exception as exc:  # a defect of the double must be seen by the client that met it
            self.log_error("defect in the double: %s", traceback.format_exc())
            if self.started:
                self.close_connection = True
            else:
                self.text(500, f"defect in the double: {exc!r}\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = dispatch

    def answer(self) -> None:
        raise NotImplementedError

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0] or b"0", 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if not size:
                    return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else b""

    def last(self, name: str, default: str = "") -> str:
        """A query parameter; of several the last one counts."""
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        return self.last(name).lower() in ("1", "true", "t")

    def send(self, status: int, body: bytes, content_type: t.Optional[str]) -> None:
        self.started = True
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def text(self, status: int, body: str) -> None:
        self.send(status, body.encode(), "text/plain; charset=utf-8")

    def json(self, status: int, value: t.Any) -> None:
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self.send(status, body, "application/json")

    def begin_stream(self, content_type: str) -> None:
        self.started = True
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def peer(self) -> t.Optional[tuple[str, list[str]]]:
        """(common name, organisations) of the verified client certificate, or None."""
        certificate = self.connection.getpeercert()  # type: ignore[attr-defined]
        if not certificate:
            return None
        names = [pair for entry in certificate["subject"] for pair in entry]
        common = [value for key, value in names if key == "commonName"]
        return (common[0] if common else ""), [value for key, value in names if key == "organizationName"]

    def bearer(self) -> t.Optional[str]:
        scheme, _sep, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def log_message(self, format: str, *args: t.Any) -> None:
        if getattr(self.server.app, "verbose", False) or "defect" in format:
            super().log_message(format, *args)
