# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    DeadlineError,
    HttpStatusError,
    InputError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import (
    PROBE_CONTAINER,
    KubeletClient,
    is_forbidden,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.answers import KUBELET, recorded

REAL = recorded()
URL = "https://127.0.0.1:10250"
API = "https://api.example:6443"


class FakeSend:
    """Gives one answer (or raises one error) and remembers what was asked."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.calls = []

    def __call__(self, method, url, headers=None, body=None, timeout=None, max_body=0):
        self.calls.append((method, url, dict(headers), timeout))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def real(title):
    status, body, dummy = REAL[title]
    return Answer(status, {}, body.encode("utf-8"))


def client(outcome, **kwargs):
    send = FakeSend(outcome)
    return KubeletClient(send, kwargs.pop("url", URL), headers=lambda: {"Authorization": "Bearer t"}, **kwargs), send


def error(outcome, **kwargs):
    with pytest.raises(HttpStatusError) as caught:
        client(outcome, **kwargs)[0].checkpoint("default", "counter", "counter", 120, 180)
    return caught.value


def test_success():
    kubelet, send = client(real("success"))
    assert (
        kubelet.checkpoint("default", "counter", "counter", 150, 210.0)
        == "/var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T13:00:27Z.tar"
    )
    assert send.calls == [
        (
            "POST",
            URL + "/checkpoint/default/counter/counter?timeout=150",
            {"Accept": "application/json", "Authorization": "Bearer t"},
            210.0,
        )
    ]


def test_success_through_the_api_server():
    kubelet, send = client(real("success"), url=API + "/", node="node1")
    kubelet.checkpoint("default", "counter", "counter", 120, 180)
    assert send.calls[0][1] == API + "/api/v1/nodes/node1/proxy/checkpoint/default/counter/counter?timeout=120"
    assert kubelet.through_api and not client(None)[0].through_api


@pytest.mark.parametrize(
    "namespace,pod,container,text",
    [
        ("../../pods", "p", "c", "namespace '../../pods' is not a DNS-1123 label"),
        ("default", "../x", "c", "pod '../x' is not a DNS-1123 subdomain"),
        ("default", "p", "c#", "container 'c#' is not a DNS-1123 label"),
        ("default", "p%2fq", "c", "pod 'p%2fq' is not"),
        ("default", "p", "c?timeout=0", "container 'c?timeout=0' is not"),
        ("default", "p", "", "container '' is not"),
        ("Default", "p", "c", "namespace 'Default' is not"),
        ("default", "p\n", "c", "pod 'p\\n' is not"),
    ],
)
def test_names_are_checked_before_anything_is_sent(namespace, pod, container, text):
    kubelet, send = client(real("success"))
    with pytest.raises(InputError) as caught:
        kubelet.checkpoint(namespace, pod, container, 120, 180)
    assert text in caught.value.msg and send.calls == []


def test_the_nodes_name_is_checked():
    with pytest.raises(InputError, match="node '../x' is not"):
        client(None, node="../x")


@pytest.mark.parametrize("title", ["no token", "bad token"])
def test_401(title):
    exc = error(real(title))
    assert exc.status == 401 and exc.details["http_status"] == 401
    assert exc.msg.startswith(
        "the kubelet at https://127.0.0.1:10250 does not accept our credentials (401 Unauthorized)"
    )
    assert "authentication.webhook.enabled" in exc.msg


def test_401_of_the_api_server():
    body = json.dumps({"kind": "Status", "message": "Unauthorized", "code": 401}).encode()
    assert error(Answer(401, {}, body), url=API, node="node1").msg.startswith(
        "the API server https://api.example:6443 does not accept our credentials"
    )


def test_403_shows_the_missing_rule():
    exc = error(real("token without the right"))
    assert is_forbidden(exc)
    assert "user 'system:serviceaccount:default:nothing' may not create nodes/checkpoint" in exc.msg
    assert 'resources: ["nodes/checkpoint"]\n    verbs: ["create"]' in exc.msg
    assert "{kind: ServiceAccount, namespace: default, name: nothing}" in exc.msg
    assert "remembers a refusal for about 30 seconds" in exc.msg
    assert exc.details["missing_rule"] == {"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["create"]}


def test_403_of_the_api_servers_own_identity():
    exc = error(real("apiserver-kubelet-client certificate (kubeadm 1.36.2)"), url=API, node="node1")
    assert '{kind: User, apiGroup: rbac.authorization.k8s.io, name: "kube-apiserver-kubelet-client"}' in exc.msg
    assert "it is no cluster administrator any more" in exc.msg


def test_403_of_an_old_kubelet():
    exc = error(Answer(403, {}, b"Forbidden (user=u, verb=create, resource=nodes, subresource=proxy)"))
    assert exc.details["missing_rule"]["resources"] == ["nodes/proxy"]


def test_403_by_the_api_server():
    message = (
        'nodes "node1" is forbidden: User "jane" cannot create resource "nodes/proxy" in API group "" at the cluster'
        " scope"
    )
    exc = error(Answer(403, {}, json.dumps({"kind": "Status", "message": message}).encode()), url=API, node="node1")
    assert "user 'jane' may not create nodes/proxy" in exc.msg


def test_403_for_the_list_of_pods():
    with pytest.raises(HttpStatusError) as caught:
        client(real("/pods with the checkpoint right only"))[0].pods()
    assert caught.value.details["missing_rule"] == {"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}


def test_403_in_unknown_words():
    assert (
        error(Answer(403, {}, b"go away")).msg
        == "the kubelet at https://127.0.0.1:10250 refused the checkpoint of default/counter/counter (403): go away"
    )


def test_404_pod():
    msg = error(real("unknown pod")).msg
    assert (
        msg.startswith("there is no pod counter in namespace default on this node")
        and "kubectl get pod -n default counter -o wide" in msg
    )


def test_404_container():
    exc = error(Answer(404, {}, b"container counter does not exist"))
    assert exc.msg.startswith("pod default/counter has no container counter")


def test_404_gate():
    msg = error(Answer(404, {}, b"404 page not found\n")).msg
    assert (
        "has no checkpoint endpoint" in msg and "ContainerCheckpoint: true" in msg and "enableDebuggingHandlers" in msg
    )


def test_404_timeout():
    assert "did not understand the timeout" in error(real("timeout=abc")).msg


def test_404_node():
    body = json.dumps({"kind": "Status", "message": 'nodes "node9" not found'}).encode()
    assert "knows no node node9" in error(Answer(404, {}, body), url=API, node="node9").msg


def test_404_unknown():
    assert "with HTTP 404: what" in error(Answer(404, {}, b"what")).msg


def test_405():
    assert "does not accept POST" in error(Answer(405, {}, b"Method Not Allowed")).msg


def test_400_plain_http():
    assert "speaks HTTPS only (400): write https://" in error(real("plain HTTP")).msg


def test_502_through_the_api_server():
    body = json.dumps(
        {
            "kind": "Status",
            "message": "error trying to reach service: dial tcp 10.0.0.5:10250: connect: no route to host",
        }
    ).encode()
    msg = error(Answer(503, {}, body), url=API, node="node1").msg
    assert (
        msg.startswith("the API server https://api.example:6443 cannot reach the kubelet of node node1 (503)")
        and "no route to host" in msg
    )


def failed(inner):
    return Answer(500, {}, ("checkpointing of default/counter/counter failed (%s)" % inner).encode())


@pytest.mark.parametrize(
    "answer,text",
    [
        (failed("container counter not found"), "the container of default/counter/counter does not run"),
        (failed("rpc error: code = Unimplemented desc = method CheckpointContainer not implemented"), "containerd"),
        (
            failed("rpc error: code = DeadlineExceeded desc = stream terminated by RST_STREAM with error code: CANCEL"),
            "timeout",
        ),
        (real("timeout=-1"), "refused the timeout"),
        (
            Answer(500, {}, b"Authorization error (user=u, verb=create, resource=nodes, subresource(s)=[checkpoint])"),
            "is that reachable from the node?",
        ),
        (Answer(500, {}, b"something new"), "with HTTP 500: something new"),
        (Answer(500, {}, b""), "with HTTP 500: (no text)"),
    ],
)
def test_500(answer, text):
    exc = error(answer)
    assert text in exc.msg and exc.status == 500


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_500_with_a_real_failure_of_criu(engine):
    status, body, dummy = recorded("responses-%s.txt" % engine)["tcp/c"]
    with pytest.raises(HttpStatusError) as caught:
        client(Answer(status, {}, body.encode()))[0].checkpoint("default", "tcp", "c", 120, 180)
    exc = caught.value
    assert exc.msg.startswith("the checkpoint of default/tcp/c failed (the kubelet at %s answered 500)" % URL)
    assert "Cause: " in exc.msg and "Remedy: " in exc.msg
    if engine == "crio":  # quotes dump.log, so the root is known
        assert "tcp" in exc.details["diagnosis"][0]["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"items": []}',
        b'{"items": ["/a", "/b"]}',
        b'{"items": [5]}',
        b'{"items": "/a"}',
        b'{"items": [""]}',
        b"[" * 100000,
    ],
)
def test_strange_success(body):
    if body == b'{"items": "/a"}':
        body = b'{"items": {"a": 1}}'
    assert "is not what a kubelet answers" in error(Answer(200, {}, body)).msg


def test_our_own_deadline():
    with pytest.raises(DeadlineError) as caught:
        client(TransportError("no answer from x: nothing came back", transport="timeout"))[0].checkpoint(
            "default", "counter", "counter", 120, 180.0
        )
    assert (
        caught.value.msg
        == "the checkpoint of default/counter/counter was not finished within 180 s (timeout 120 s). The container may"
        " have been left paused"
    )


@pytest.mark.parametrize(
    "kind,text",
    [
        ("refused", "Is the kubelet running"),
        ("tls_ca", "kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt"),
        ("tls_host", "made out for the node's name only"),
        ("tls_protocol", "10250"),
        ("dns", "x"),
    ],
)
def test_transport_errors_say_what_to_do(kind, text):
    with pytest.raises(TransportError) as caught:
        client(TransportError("no answer from x", transport=kind))[0].checkpoint(
            "default", "counter", "counter", 120, 180
        )
    assert text in caught.value.msg and caught.value.details["transport"] == kind


def test_pods():
    with open(os.path.join(KUBELET, "pods-containerd.json"), "rb") as stream:
        answer = Answer(200, {}, stream.read())
    kubelet, send = client(answer)
    assert [pod["metadata"]["name"] for pod in kubelet.pods()] == ["py"]
    assert kubelet.pods("other") == []
    assert send.calls[0][:2] == ("GET", URL + "/pods")


def test_pods_through_the_api_server():
    kubelet, send = client(
        Answer(200, {}, b'{"items": [{"metadata": {"name": "a", "namespace": "ns"}}]}'), url=API, node="node1"
    )
    assert len(kubelet.pods("ns")) == 1
    assert send.calls[0][1] == API + "/api/v1/namespaces/ns/pods?fieldSelector=spec.nodeName%3Dnode1"
    kubelet.pods()
    assert send.calls[1][1] == API + "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1"
    with pytest.raises(InputError):
        kubelet.pods("../x")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items": [1]}', b'{"items": [{}]}', b'{"items": {"a": 1}}'])
def test_strange_lists_of_pods(body):
    with pytest.raises(HttpStatusError, match="did not answer with a list of pods"):
        client(Answer(200, {}, body))[0].pods()


def test_pods_errors():
    with pytest.raises(HttpStatusError, match="does not accept our credentials"):
        client(Answer(401, {}, b"Unauthorized"))[0].pods()
    with pytest.raises(HttpStatusError, match="with HTTP 418: tea"):
        client(Answer(418, {}, b"tea"))[0].pods()


def test_one_pod_from_the_api_server():
    kubelet, send = client(
        Answer(200, {}, b'{"metadata": {"name": "a"}, "spec": {"nodeName": "node2"}}'), url=API, node="node1"
    )
    assert kubelet.pod("ns", "a")["spec"]["nodeName"] == "node2"
    assert send.calls[0][1] == API + "/api/v1/namespaces/ns/pods/a"
    assert client(Answer(404, {}, b"{}"), url=API, node="node1")[0].pod("ns", "a") is None
    assert client(Answer(200, {}, b"x"), url=API, node="node1")[0].pod("ns", "a") is None
    assert client(None)[0].pod("ns", "a") is None


def test_the_probe_has_no_effect_and_tells_all():
    kubelet, send = client(Answer(404, {}, ("container %s does not exist" % PROBE_CONTAINER).encode()))
    kubelet.probe("default", "counter")
    assert send.calls[0][:2] == ("POST", "%s/checkpoint/default/counter/%s" % (URL, PROBE_CONTAINER))
    assert len(PROBE_CONTAINER) <= 63
    for answer, text in (
        (real("unknown pod"), "there is no pod counter"),
        (real("token without the right"), "nodes/checkpoint"),
        (real("no token"), "401"),
        (Answer(404, {}, b"404 page not found"), "no checkpoint endpoint"),
        (real("success"), "HTTP 200"),
    ):
        with pytest.raises(HttpStatusError, match=text):
            client(answer)[0].probe("default", "counter")


def test_a_new_token_is_used_at_once():
    tokens = iter([{"Authorization": "Bearer 1"}, {}])
    send = FakeSend(real("success"))
    kubelet = KubeletClient(send, URL, headers=lambda: next(tokens))
    kubelet.checkpoint("default", "counter", "counter", 120, 180)
    kubelet.checkpoint("default", "counter", "counter", 120, 180)
    assert [call[2].get("Authorization") for call in send.calls] == ["Bearer 1", None]
