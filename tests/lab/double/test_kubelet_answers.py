# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet double answers what a real kubelet 1.36.2 answered (data/answers.txt), byte for byte."""

from __future__ import annotations

import os
import re
import socket
import time
import typing as t

import pytest

from cri_errors import CriError
from doubles_testkit import Answer, Cluster, Kubelet, data

CHECKPOINT = "/checkpoint/default/counter/counter"


def recorded() -> dict[str, tuple[str, str]]:
    """Heading -> (body, last line) of answers.txt; the recorder ended every body with a line break of its own."""
    found = {}
    for part in re.split(r"^== ", data("answers.txt"), flags=re.M)[1:]:
        heading, _sep, rest = part.partition("\n")
        body, _sep, last = rest.rstrip("\n").rpartition("\n")
        found[heading] = (body, last)
    return found


def told(answer: Answer) -> tuple[str, str]:
    return answer.body, f"HTTP {answer.status} {answer.content_type}"


CALLS: dict[str, t.Callable[[Kubelet], Answer]] = {
    "no token": lambda k: k.nobody("POST", CHECKPOINT),
    "bad token": lambda k: k.cluster.client(token="nonsense", port=k.port)("POST", CHECKPOINT),
    "token without the right": lambda k: k.nothing("POST", CHECKPOINT),
    "unknown namespace": lambda k: k.ckpt("POST", "/checkpoint/nowhere/counter/counter"),
    "unknown pod": lambda k: k.ckpt("POST", "/checkpoint/default/nopod/counter"),
    "unknown container": lambda k: k.ckpt("POST", "/checkpoint/default/counter/noctr"),
    "timeout=abc": lambda k: k.ckpt("POST", CHECKPOINT + "?timeout=abc"),
    "timeout=-1": lambda k: k.ckpt("POST", CHECKPOINT + "?timeout=-1"),
    "GET": lambda k: k.ckpt("GET", CHECKPOINT),
    "DELETE": lambda k: k.ckpt("DELETE", CHECKPOINT),
    "/pods with the checkpoint right only": lambda k: k.ckpt("GET", "/pods"),
    "/configz with the checkpoint right only": lambda k: k.ckpt("GET", "/configz"),
    "/healthz with the checkpoint right only": lambda k: k.ckpt("GET", "/healthz"),
    "apiserver-kubelet-client certificate (kubeadm 1.36.2)": lambda k: k.cluster.client(
        name="apiserver-kubelet-client", port=k.port
    )("POST", CHECKPOINT),
}


@pytest.mark.parametrize("heading", CALLS)
def test_as_recorded(kubelet: Kubelet, heading: str) -> None:
    assert told(CALLS[heading](kubelet)) == recorded()[heading]


def test_every_recorded_answer_is_tested() -> None:
    elsewhere = {"success", "plain HTTP", "API server proxy as cluster admin, kubelet identity without the right"}
    assert set(recorded()) == set(CALLS) | elsewhere


def test_success(kubelet: Kubelet) -> None:
    answer = kubelet.ckpt("POST", CHECKPOINT)
    body, last = recorded()["success"]
    assert f"HTTP {answer.status} {answer.content_type}" == last
    pattern = re.escape(body).replace("2026\\-11\\-21T13:00:27Z", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")
    assert re.fullmatch(pattern.replace("/var/lib/kubelet", re.escape(kubelet.root)), answer.body)
    path = answer.json["items"][0]
    assert kubelet.runtime.asked == [("c0ffee", path, 0)]
    assert os.path.getsize(path) == 7000


def test_plain_http(kubelet: Kubelet) -> None:
    with socket.create_connection(("127.0.0.1", kubelet.port), 5) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := plain.recv(4096):
            answer += part
    head, _sep, body = answer.partition(b"\r\n\r\n")
    assert (body.decode(), head.split(b" ", 1)[1][:3]) == (recorded()["plain HTTP"][0], b"400")


def test_api_proxy_passes_the_refusal_on(kubelet: Kubelet, cluster: Cluster, ready_node: dict) -> None:
    answer = cluster.admin("POST", f"/api/v1/nodes/node1:{kubelet.port}/proxy{CHECKPOINT}")
    body, last = recorded()["API server proxy as cluster admin, kubelet identity without the right"]
    assert (answer.status, answer.body.strip()) == (403, f"{body}{last}".partition(": ")[2])


def test_granting_the_right_to_the_api_server_opens_the_proxy(
    kubelet: Kubelet, cluster: Cluster, ready_node: dict
) -> None:
    binding = cluster.admin("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/checkpoint-only").json
    binding["subjects"].append(
        {"kind": "User", "name": "kube-apiserver-kubelet-client", "apiGroup": "rbac.authorization.k8s.io"}
    )
    assert (
        cluster.admin("PUT", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/checkpoint-only", binding).status
        == 200
    )
    assert cluster.admin("POST", f"/api/v1/nodes/node1:{kubelet.port}/proxy{CHECKPOINT}").json["items"]


def test_method_not_allowed_with_the_right(kubelet: Kubelet) -> None:
    assert told(kubelet.admin("GET", CHECKPOINT)) == ("405: Method Not Allowed", "HTTP 405 text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "change", [{"featureGates": {"ContainerCheckpoint": False}}, {"enableDebuggingHandlers": False}]
)
def test_gate_off(kubelet: Kubelet, change: dict) -> None:
    kubelet.settings.config.update(change)
    assert told(kubelet.ckpt("POST", CHECKPOINT)) == ("404 page not found\n", "HTTP 404 text/plain; charset=utf-8")


def test_container_not_running_and_pod_uid_for_a_name(kubelet: Kubelet) -> None:
    assert told(kubelet.ckpt("POST", "/checkpoint/default/counter/asleep")) == (
        "checkpointing of default/counter/asleep failed (container asleep not found)",
        "HTTP 500 text/plain; charset=utf-8",
    )
    assert kubelet.ckpt("POST", "/checkpoint/default/u-1/counter").body == "pod does not exist"


def test_runtime_error_is_quoted(kubelet: Kubelet) -> None:
    kubelet.runtime.errors.append(CriError("DeadlineExceeded", "stream terminated by RST_STREAM with error code: CANCEL"))
    assert kubelet.ckpt("POST", CHECKPOINT).body == (
        "checkpointing of default/counter/counter failed (rpc error: code = DeadlineExceeded desc = stream terminated "
        "by RST_STREAM with error code: CANCEL)"
    )


def test_last_timeout_counts_and_reaches_the_runtime(kubelet: Kubelet) -> None:
    assert kubelet.ckpt("POST", CHECKPOINT + "?timeout=abc&timeout=300").status == 200
    assert [timeout for _id, _path, timeout in kubelet.runtime.asked] == [300]
    assert kubelet.runtime.timeout == 120


def test_file_name_has_the_nodes_zone(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert kubelet.ckpt("POST", CHECKPOINT).json["items"][0].endswith("+05:30.tar")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_refusal_is_cached_until_the_switch_shortens_it(kubelet: Kubelet, cluster: Cluster) -> None:
    assert kubelet.nothing("POST", CHECKPOINT).status == 403
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    cluster.admin(
        "POST",
        path,
        {
            "metadata": {"name": "more"},
            "roleRef": {"kind": "ClusterRole", "name": "checkpoint-only"},
            "subjects": [{"kind": "ServiceAccount", "name": "nothing", "namespace": "default"}],
        },
    )
    assert kubelet.nothing("POST", CHECKPOINT).status == 403


def test_resource_names_narrow_the_right_to_a_node(kubelet: Kubelet, cluster: Cluster) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/checkpoint-only"
    role = cluster.admin("GET", path).json
    role["rules"][0]["resourceNames"] = ["node2"]
    cluster.admin("PUT", path, role)
    assert kubelet.ckpt("POST", CHECKPOINT).status == 403


def test_authorisation_that_cannot_be_asked(kubelet: Kubelet, cluster: Cluster) -> None:
    kubelet.faults(cache_unauthorized=0)
    assert kubelet.nothing("POST", CHECKPOINT).status == 403  # the token is cached now
    cluster.server.shutdown()
    cluster.server.server_close()
    kubelet.server.app.access._api._local.__dict__.clear()
    answer = kubelet.nothing("POST", CHECKPOINT)
    assert (answer.status, answer.body.startswith("Authorization error (user=")) == (500, True)


def test_switches(kubelet: Kubelet) -> None:
    kubelet.faults(status=500, body="boom", count=1)
    assert kubelet.ckpt("POST", CHECKPOINT).body == "boom"
    assert kubelet.ckpt("POST", CHECKPOINT).status == 200
    kubelet.faults(gate=False)
    assert kubelet.ckpt("POST", CHECKPOINT).status == 404
    kubelet.faults(answer_path="/etc/shadow", match="other/.*")
    assert kubelet.ckpt("POST", CHECKPOINT).json["items"] != ["/etc/shadow"]
    kubelet.faults(answer_path="/etc/shadow")
    assert kubelet.ckpt("POST", CHECKPOINT).json["items"] == ["/etc/shadow"]
    kubelet.faults(misspelt=1)
    assert "unknown switches" in kubelet.ckpt("POST", CHECKPOINT).body


def test_pods_and_configz_for_the_admin(kubelet: Kubelet) -> None:
    pods = kubelet.admin("GET", "/pods").json
    assert (pods["kind"], [p["metadata"]["name"] for p in pods["items"]]) == ("PodList", ["counter"])
    assert kubelet.admin("GET", "/configz").json["kubeletconfig"]["featureGates"] == {"ContainerCheckpoint": True}
    assert kubelet.admin("GET", "/healthz").body == "ok"
