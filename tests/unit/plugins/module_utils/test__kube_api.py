# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_kube_api: options become the library's configuration, and a real client talks to a small HTTP server."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kube_api
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_kube_api import (
    kube_api_argument_spec,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    HttpStatusError,
    InputError,
    TransportError,
)

needs_library = pytest.mark.skipif(
    not _kube_api.HAS_KUBERNETES, reason="the kubernetes library is a matter of the controller"
)


def params(**given):
    found = dict.fromkeys(kube_api_argument_spec())
    found.update(given)
    return found


def kubeconfig(server, token="hunter2"):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "clusters": [{"name": "lab", "cluster": {"server": server}}],
        "users": [{"name": "admin", "user": {"token": token}}],
    }


class Server:
    """Discovery of core/v1 and one Pod; remembers requests."""

    def __init__(self):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.requests.append(
                    (self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body)
                )
                status, document = outer.respond(self.command, self.path.partition("?")[0], body)
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def respond(self, method, path, body):
        verbs = ["create", "delete", "get", "list"]
        documents = {
            "/version": {"gitVersion": "v1.36.2", "major": "1", "minor": "36"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {
                "kind": "APIResourceList",
                "groupVersion": "v1",
                "resources": [
                    {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": verbs},
                    {"name": "events", "singularName": "event", "namespaced": True, "kind": "Event", "verbs": verbs},
                ],
            },
            "/api/v1/namespaces/default/pods/counter": {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": "counter"},
            },
            "/api/v1/namespaces/default/events": {"kind": "EventList", "apiVersion": "v1", "items": []},
        }
        if method == "POST":
            return 403, {"kind": "Status", "message": "pods is forbidden: token hunter2 may not"}
        if path in documents:
            return 200, documents[path]
        return 404, {"kind": "Status", "message": "%s not found" % path}


@pytest.fixture
def server():
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@needs_library
def test_a_real_client_by_kubeconfig_dictionary(server, tmp_path):
    api = _kube_api.connect(params(kubeconfig=kubeconfig(server.url)), str(tmp_path))
    assert api.get("v1", "Pod", "counter", "default")["metadata"]["name"] == "counter"
    assert api.get("v1", "Pod", "missing", "default") is None
    assert server.requests[-1][2]["authorization"] == "Bearer hunter2"
    # What discovery learned is kept in our own directory only.
    assert [entry.name for entry in tmp_path.iterdir()] == ["kube-api-discovery.json"]


@needs_library
def test_explicit_options_win_over_the_kubeconfig(server, tmp_path):
    given = params(
        kubeconfig=kubeconfig("http://127.0.0.1:1"),
        host=server.url,
        api_key="other",
        impersonate_user="jane",
        impersonate_groups=["ops"],
    )
    _kube_api.connect(given, str(tmp_path)).get("v1", "Pod", "counter", "default")
    headers = server.requests[-1][2]
    assert (headers["authorization"], headers["impersonate-user"], headers["impersonate-group"]) == (
        "Bearer other",
        "jane",
        "ops",
    )


@needs_library
def test_dry_run_delete_and_events_as_they_go_over_the_wire(server, tmp_path):
    api = _kube_api.connect(params(kubeconfig=kubeconfig(server.url)), str(tmp_path))
    with pytest.raises(HttpStatusError) as caught:
        api.create_pod(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "default"}}, dry_run=True
        )
    assert server.requests[-1][:2] == ("POST", "/api/v1/namespaces/default/pods?dryRun=All")
    assert caught.value.status == 403 and "hunter2" not in caught.value.msg
    assert "Missing right: apiGroups: [''], resources: ['pods'], verbs: ['create']" in caught.value.msg
    with pytest.raises(HttpStatusError):
        api.delete_pod("default", "x", "the-uid", 1)
    method, path, _headers, body = server.requests[-1]
    assert (method, path) == ("DELETE", "/api/v1/namespaces/default/pods/x")
    assert (body["preconditions"], body["gracePeriodSeconds"]) == ({"uid": "the-uid"}, 1)
    assert api.pod_events("default", "the-uid") == []
    assert server.requests[-1][1] == "/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid%3Dthe-uid"


@needs_library
def test_nobody_listens(tmp_path):
    with pytest.raises(TransportError, match="could not reach the API server at http://127.0.0.1:1: ") as caught:
        _kube_api.connect(params(kubeconfig=kubeconfig("http://127.0.0.1:1")), str(tmp_path))
    assert "hunter2" not in caught.value.msg


@needs_library
@pytest.mark.parametrize(
    "given, words",
    [
        ({"kubeconfig": "/nowhere/config"}, "kubeconfig /nowhere/config cannot be used"),
        ({"kubeconfig": {"kind": "Config"}}, "the kubeconfig given as a dictionary cannot be used"),
        ({"kubeconfig": kubeconfig("http://x"), "context": "other"}, "cannot be used"),
        ({"impersonate_groups": ["a", "b"], "host": "http://x", "api_key": "k"}, "one group at a time, not 2"),
    ],
)
def test_configurations_that_cannot_be_used(given, words, tmp_path):
    with pytest.raises(InputError, match=words):
        _kube_api.connect(params(**given), str(tmp_path))


def test_secrets_are_found_everywhere():
    given = params(
        api_key="a",
        password="b",
        kubeconfig={"users": [{"user": {"token": "c", "auth-provider": {"config": {"id-token": "d"}}}}]},
    )
    assert _kube_api.secrets_of(given) == {"a", "b", "c", "d"}
    assert _kube_api.secrets_of(params(kubeconfig="/path")) == set()


def test_scrub():
    assert _kube_api.scrub("Bearer hunter2!", ["hunter2"]) == "Bearer ********!"
