# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Push a small image to a registry over HTTP; only for the lab's own images."""

from __future__ import annotations

import base64
import http.client
import ssl
import typing as t
import urllib.parse

from .errors import LabError
from .images import Image, digest


class Registry:
    """One registry: where it is, which CA vouches for it, who we are."""

    def __init__(self, address: str, port: int, name: str, ca: str, user: str = "", password: str = "") -> None:
        context = ssl.create_default_context(cafile=ca)
        self._connection = _Connection(name, address, port, context)
        self._headers = {"Host": f"{name}:{port}"}
        if user:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        """One request, its answer read to the end."""
        self._connection.request(method, path, body=body, headers={**self._headers, **headers})
        answer = self._connection.getresponse()
        answer.read()
        return answer

    def _expect(self, wanted: int, method: str, path: str, body: bytes | None = None, **headers: str) -> t.Any:
        answer = self.request(method, path, body, **headers)
        if answer.status != wanted:
            raise LabError(f"{method} {path}: the registry answered {answer.status} {answer.reason}")
        return answer

    def push(self, image: Image) -> str:
        """Push what is missing; the digest that the registry has for the tag afterwards."""
        for number, content in image.blobs.items():
            if self.request("HEAD", f"/v2/{image.name}/blobs/{number}").status == 200:
                continue
            begun = self._expect(202, "POST", f"/v2/{image.name}/blobs/uploads/", b"")
            place = urllib.parse.urlsplit(begun.headers["Location"])
            query = f"{place.query}&digest={urllib.parse.quote(number)}".lstrip("&")
            octets = {"Content-Type": "application/octet-stream"}
            self._expect(201, "PUT", f"{place.path}?{query}", content, **octets)
        path = f"/v2/{image.name}/manifests/{image.tag}"
        self._expect(201, "PUT", path, image.manifest, **{"Content-Type": image.media_type})
        told = self._expect(200, "HEAD", path, Accept=image.media_type).headers.get("Docker-Content-Digest")
        if told != digest(image.manifest):
            raise LabError(f"{image.name}:{image.tag} is {told} in the registry, but {digest(image.manifest)} was sent")
        return told


class _Connection(http.client.HTTPSConnection):
    """Connects to an address and checks the certificate for a name that this machine cannot resolve."""

    def __init__(self, name: str, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=30, context=context)
        self._name, self._context_of_name = name, context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context_of_name.wrap_socket(self.sock, server_hostname=self._name)
