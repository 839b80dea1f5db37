# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's way to a kubelet: its own client certificate, no check of the kubelet's (as kubeadm sets it up)."""

from __future__ import annotations

import http.client
import ssl
import typing as t
import urllib.parse

from apidouble.errors import ApiError, bad_request
from apidouble.pki import Directory
from apidouble.store import NODES, Store

KUBELET_PORT = 10250
HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "authorization",
    "host",
    "content-length",
    "proxy-authorization",
)


class Answer(t.NamedTuple):
    status: int
    body: bytes
    content_type: str


def target(store: Store, name: str) -> tuple[str, str, int]:
    """(node, address, port) of ``node``, ``node:port`` or ``https:node:port``."""
    parts = name.split(":")
    if len(parts) == 3:
        if parts[0] not in ("https", ""):
            raise bad_request(f'invalid node request "{name}"')
        parts = parts[1:]
    node = store.get(NODES, "", parts[0])
    address = next(
        (a["address"] for a in node.get("status", {}).get("addresses") or [] if a["type"] == "InternalIP"), ""
    )
    if not address:
        raise ApiError(503, "ServiceUnavailable", "no preferred addresses found; known addresses: []")
    port = node.get("status", {}).get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", KUBELET_PORT)
    return parts[0], address, int(parts[1]) if len(parts) == 2 and parts[1] else port


def kubelet_context(place: Directory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the machine's own authorities
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(place.file("apiserver-kubelet-client.crt"), place.file("apiserver-kubelet-client.key"))
    return context


def forward(
    context: ssl.SSLContext,
    address: str,
    port: int,
    method: str,
    path: str,
    query: str,
    body: bytes,
    headers: t.Mapping[str, str],
    timeout: float,
) -> Answer:
    connection = http.client.HTTPSConnection(address, port, context=context, timeout=timeout)
    passed = {key: value for key, value in headers.items() if key.lower() not in HOP_BY_HOP}
    url = urllib.parse.quote(path, safe="/:+@,;=~!$&'()*") + (f"?{query}" if query else "")
    try:
        connection.request(method, url, body=body or None, headers=passed)
        response = connection.getresponse()
        return Answer(response.status, response.read(), response.getheader("Content-Type", ""))
    except TimeoutError:
        raise ApiError(
            504,
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ) from None
    except (OSError, http.client.HTTPException) as exc:
        text = str(exc).partition("] ")[2].lower() or str(exc)
        raise ApiError(
            503, "ServiceUnavailable", f"error trying to reach service: dial tcp {address}:{port}: connect: {text}"
        ) from None
    finally:
        connection.close()
