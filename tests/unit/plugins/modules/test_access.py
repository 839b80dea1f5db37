# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""access_review and kubelet_access: what is asked, how an answer is understood, how long a refusal is waited out."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kube_api
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import HttpStatusError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import KubeApi
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import KubeletClient
from ansible_collections.container_checkpoint.kubernetes.plugins.modules import access_review, kubelet_access

RIGHT = {"verb": "create", "resource": "nodes", "subresource": "checkpoint", "group": "", "namespace": "", "name": "node1"}
FORBIDDEN = "Forbidden (user=system:serviceaccount:a:b, verb=create, resource=nodes, subresource(s)=[checkpoint])\n"


class Reviews:
    """The dynamic client's resource SelfSubjectAccessReview."""

    def __init__(self, *statuses):
        self.statuses, self.asked, self.resources = list(statuses), [], self

    def get(self, **_what):
        return self

    def create(self, body=None, **_more):
        self.asked.append(body)
        return {"status": self.statuses.pop(0)}


def test_each_right_is_one_question_without_empty_attributes_and_without_metadata():
    client = Reviews({"allowed": True, "reason": "RBAC: allowed"}, {"allowed": False})
    answered = access_review.review(KubeApi(client), [RIGHT, {**RIGHT, "subresource": "proxy", "name": ""}])
    assert client.asked[0]["spec"] == {"resourceAttributes": {"verb": "create", "resource": "nodes", "subresource": "checkpoint", "name": "node1"}}
    # The API server refuses a review with metadata.
    assert set(client.asked[0]) == {"apiVersion", "kind", "spec"}
    assert [entry["allowed"] for entry in answered] == [True, False]
    assert answered[0] == {**RIGHT, "allowed": True, "reason": "RBAC: allowed"}


class Configuration:
    """What the kubernetes library keeps of a kubeconfig with a client certificate."""

    cert_file, key_file, username, password = "admin.crt", "admin.key", "admin", "secret"
    refresh_api_key_hook, api_key, api_key_prefix = print, {"authorization": "Bearer admin"}, {"authorization": "Bearer"}
    host = "https://api:6443"


def test_a_token_replaces_every_other_login():
    found = Configuration()
    _kube_api.log_in_with(found, "abc")
    assert (found.cert_file, found.key_file, found.username, found.password, found.refresh_api_key_hook) == (None,) * 5
    assert found.api_key == {"authorization": "Bearer abc"} and found.api_key_prefix == {}
    assert found.host == "https://api:6443"


class Kubelet:
    """Answers one after the other; the last one for ever. A clock that moves only while somebody sleeps."""

    def __init__(self, *replies):
        self.replies, self.urls, self.now = list(replies), [], 100.0

    def send(self, method, url, **_more):
        self.urls.append((method, url))
        status, text = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return Answer(status=status, headers={}, body=text.encode())

    def sleep(self, seconds):
        self.now += seconds

    def wait(self, seconds):
        client = KubeletClient(self.send, "https://127.0.0.1:10250")
        return kubelet_access.wait_for_access(client, seconds, clock=lambda: self.now, sleep=self.sleep)


def test_a_missing_pod_means_that_the_request_was_let_through():
    kubelet = Kubelet((404, "pod does not exist"))
    assert kubelet.wait(40) == 0
    method, url = kubelet.urls[0]
    assert method == "POST" and url.startswith("https://127.0.0.1:10250/checkpoint/default/container-checkpoint-probe")


def test_a_remembered_refusal_is_waited_out():
    kubelet = Kubelet((403, FORBIDDEN), (403, FORBIDDEN), (404, "pod does not exist"))
    assert kubelet.wait(40) == 2 * kubelet_access.PAUSE


def test_a_lasting_refusal_ends_with_the_right_that_is_missing():
    kubelet = Kubelet((403, FORBIDDEN))
    with pytest.raises(HttpStatusError, match="nodes/checkpoint") as caught:
        kubelet.wait(9)
    assert caught.value.status == 403 and kubelet.now <= 109


@pytest.mark.parametrize(
    "reply, words",
    [
        ((401, "Unauthorized"), "401 Unauthorized"),
        ((404, "404 page not found\n"), "no checkpoint endpoint"),
        ((200, '{"items":["/var/lib/kubelet/checkpoints/x.tar"]}'), "HTTP 200"),
    ],
)
def test_anything_else_is_said_at_once(reply, words):
    kubelet = Kubelet(reply)
    with pytest.raises(HttpStatusError, match=words):
        kubelet.wait(40)
    assert len(kubelet.urls) == 1
