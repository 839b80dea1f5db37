# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the doubles are made with: clients, the API server double and the kubelet double on loopback.

The runtime behind the kubelet double is a stand-in here; its real one is tested in the lab.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import types
import typing as t

import httpsd
from apidouble import controllers, pki
from kubeletdouble.access import Access
from kubeletdouble.apiclient import ApiClient
from kubeletdouble.checkpoints import Checkpoints
from kubeletdouble.server import App, KubeletHandler
from kubeletdouble.settings import Settings

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = "node1"


def data(name: str) -> str:
    with open(os.path.join(HERE, "data", name), encoding="utf-8") as file:
        return file.read()


class Answer(t.NamedTuple):
    status: int
    body: str
    content_type: str

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


class Client:
    """Requests to one server as one user."""

    def __init__(self, port: int, certificate: t.Optional[tuple[str, str]] = None, token: str = "") -> None:
        self.port = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.token = token
        if certificate:
            self.context.load_cert_chain(*certificate)

    def __call__(
        self, method: str, path: str, body: t.Any = None, content_type: str = "application/json", **headers: str
    ) -> Answer:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=10)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": content_type, **headers}
            )
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.getheader("Content-Type", ""))
        finally:
            connection.close()


class Cluster:
    """The API server double with clients for its users."""

    def __init__(self, place: pki.Directory, server: httpsd.TlsServer) -> None:
        self.place, self.server = place, server
        self.store = server.app.store
        self.port = server.server_address[1]
        self.admin = self.client(name="admin")
        self.ckpt = self.client(token=place.read("kubelet-token").strip())
        self.nothing = self.client(token=place.read("nothing-token").strip())

    def client(self, name: str = "", token: str = "", port: int = 0) -> Client:
        pair = (self.place.file(f"{name}.crt"), self.place.file(f"{name}.key")) if name else None
        return Client(port or self.port, pair, token)

    def run_controllers(self) -> None:
        for controller in controllers.CONTROLLERS:
            controller(self.store, "CA")


class Runtime:
    """Stands in for a CRI client: ``answer`` is what a checkpoint does (a path is written, or an error raised)."""

    def __init__(self) -> None:
        self.running = {"counter": "c0ffee"}
        self.asked: list[tuple[str, str, int]] = []
        self.errors: list[Exception] = []

    def connect(self, _endpoint: str, timeout: float) -> Runtime:
        self.timeout = timeout
        return self

    def containers(self, **wanted: t.Any) -> list[t.Any]:
        name = wanted["label_selector"]["io.kubernetes.container.name"]
        return [types.SimpleNamespace(id=self.running[name])] if name in self.running else []

    def begin_checkpoint(self, container_id: str, location: str, timeout: int) -> t.Any:
        if timeout < 0:
            raise ValueError("CheckpointContainer requires the timeout value to be > 0")
        self.asked.append((container_id, location, timeout))

        def result() -> None:
            for error in self.errors:
                raise error
            with open(location, "wb") as file:
                file.write(b"archive" * 1000)

        return types.SimpleNamespace(wait=lambda _seconds: True, result=result, cancel=lambda: None)

    def close(self) -> None:
        pass


class Kubelet:
    """The kubelet double's HTTPS side over a stand-in runtime, with the cluster's API behind its webhooks."""

    def __init__(self, cluster: Cluster, root: str, config: dict) -> None:
        self.cluster = cluster
        path = os.path.join(root, "config.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        kubeconfig = os.path.join(root, "kubelet.conf")
        with open(kubeconfig, "w", encoding="utf-8") as file:
            server = f"https://127.0.0.1:{cluster.port}"
            file.write(pki.kubeconfig(cluster.place, server, f"system:node:{NODE}", f"nodes/{NODE}/kubelet-client"))
        self.faults_path = os.path.join(root, "faults.json")
        self.root = root
        self.settings = Settings(NODE, "127.0.0.1", root, path, "", self.faults_path)
        self.runtime = Runtime()
        self.pods: list[dict] = [
            {
                "metadata": {"name": "counter", "namespace": "default", "uid": "u-1"},
                "spec": {
                    "containers": [{"name": "counter"}, {"name": "asleep"}],
                    "initContainers": [{"name": "first"}],
                },
            }
        ]
        node = types.SimpleNamespace(pods=lambda: self.pods, pod=self.find)
        app = App(
            self.settings,
            Access(ApiClient(kubeconfig), self.settings),
            Checkpoints(self.settings, self.find, self.runtime.connect),
            node,
        )
        app.verbose = False
        context = httpsd.server_context(
            cluster.place.file("apiserver.crt"), cluster.place.file("apiserver.key"), cluster.place.file("ca.crt")
        )
        self.server = httpsd.TlsServer(("127.0.0.1", 0), KubeletHandler, context, app)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.ckpt = cluster.client(token=cluster.ckpt.token, port=self.port)
        self.nothing = cluster.client(token=cluster.nothing.token, port=self.port)
        self.admin = cluster.client(name="admin", port=self.port)
        self.nobody = cluster.client(port=self.port)

    def find(self, namespace: str, name: str) -> t.Optional[dict]:
        return next(
            (p for p in self.pods if (p["metadata"]["namespace"], p["metadata"]["name"]) == (namespace, name)), None
        )

    def faults(self, **switches: t.Any) -> None:
        with open(self.faults_path, "w", encoding="utf-8") as file:
            json.dump(switches, file)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
