# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet double's client of the API server: requests and watches with the certificate of a kubeconfig."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
import typing as t
import urllib.parse

TIMEOUT = 30.0
WATCH_SECONDS = 300


class ApiFailure(Exception):
    """The API server refused (code), or could not be reached (code 0)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ApiClient:
    """One kept connection a thread; a broken one is opened again once."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)  # the double's kubeconfigs are JSON
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        split = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = split.hostname or "", split.port or 443
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:  # 0600; the ssl module reads files only
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        self._local = threading.local()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=self._context, timeout=timeout)

    def request(
        self, method: str, path: str, body: t.Any = None, content_type: str = "application/json", **query: t.Any
    ) -> dict:
        url = path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, "User-Agent": "kubelet/v1.36.2 (double)", "Accept": "application/json"}
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect(TIMEOUT)
            try:
                connection.request(method, url, body=data, headers=headers)
                response = connection.getresponse()
                content = response.read()
                break
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise ApiFailure(0, f"the API server at {self.host}:{self.port} does not answer: {exc}") from None
        value = json.loads(content) if content[:1] in b"{[" else {"message": content.decode(errors="replace")}
        if response.status >= 400:
            raise ApiFailure(response.status, value.get("message", str(response.status)))
        return value

    def watch(self, path: str, version: str, **query: t.Any) -> t.Iterator[dict]:
        """Events of a watch until it ends; a lost connection ends it, too."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": WATCH_SECONDS, **query}
        connection = self._connect(WATCH_SECONDS + 30)
        try:
            connection.request("GET", path + "?" + urllib.parse.urlencode(query))
            response = connection.getresponse()
            if response.status != 200:
                raise ApiFailure(response.status, response.read().decode(errors="replace"))
            while True:
                line = response.readline()
                if not line:
                    return
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise ApiFailure(0, f"watch broke: {exc}") from None
        finally:
            connection.close()
