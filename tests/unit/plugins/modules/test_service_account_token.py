# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""service_account_token: what is asked for, what comes back, and what is refused before anything is asked."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import KubeApi
from ansible_collections.container_checkpoint.kubernetes.plugins.modules.service_account_token import request_token


class Tokens:
    """The subresource of the dynamic client."""

    def __init__(self, status):
        self.status = status
        self.asked = []

    def create(self, **arguments):
        self.asked.append(arguments)
        return {"status": self.status}


class Client:
    """A dynamic client that knows ServiceAccounts."""

    def __init__(self, status=None, there=True):
        self.tokens = Tokens(status)
        self.subresources = {"token": self.tokens}
        self.resources = self
        self.there = there

    def get(self, api_version=None, kind=None, name=None, namespace=None, **_more):
        if kind:
            return self
        if not self.there:
            error = Exception()
            error.status, error.body = 404, "{}"
            raise error
        return {"metadata": {"name": name}}


def params(**given):
    return {"namespace": "backup", "name": "checkpointer", "expiration_seconds": 600, "audiences": None, **given}


def test_a_token_is_asked_for_and_returned():
    client = Client({"token": "abc", "expirationTimestamp": "2026-11-21T10:00:00Z"})
    result = request_token(KubeApi(client), params(), check_mode=False)
    assert result == {"changed": False, "token": "abc", "expiration": "2026-11-21T10:00:00Z"}
    asked = client.tokens.asked[0]
    assert (asked["namespace"], asked["name"]) == ("backup", "checkpointer")
    assert asked["body"]["kind"] == "TokenRequest" and asked["body"]["spec"] == {"expirationSeconds": 600}


def test_audiences_are_passed_on():
    client = Client({"token": "abc"})
    request_token(KubeApi(client), params(audiences=["vault"]), check_mode=False)
    assert client.tokens.asked[0]["body"]["spec"]["audiences"] == ["vault"]


def test_check_mode_only_looks():
    client = Client()
    assert request_token(KubeApi(client), params(), check_mode=True)["token"] is None
    assert client.tokens.asked == []
    with pytest.raises(InputError, match="no service account backup/checkpointer"):
        request_token(KubeApi(Client(there=False)), params(), check_mode=True)


@pytest.mark.parametrize("bad", [{"namespace": "../x"}, {"name": "a/b"}, {"expiration_seconds": 599}])
def test_bad_input_is_refused_before_anything_is_asked(bad):
    client = Client({"token": "abc"})
    with pytest.raises(InputError):
        request_token(KubeApi(client), params(**bad), check_mode=False)
    assert client.tokens.asked == []


def test_an_answer_without_a_token_is_a_failure():
    with pytest.raises(CheckpointError, match="without a token"):
        request_token(KubeApi(Client({})), params(), check_mode=False)
