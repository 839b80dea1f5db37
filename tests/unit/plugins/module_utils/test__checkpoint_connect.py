# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_connect
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_connect import (
    api_proxy_client,
    kubelet_client,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.httpserver import serving
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.tls import Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def kubelet_params(**options):
    names = "token token_file client_cert client_key ca_cert fingerprint serving_cert".split()
    params = {"kubelet_" + name: None for name in names}
    params.update(kubelet_url="https://127.0.0.1:1", kubelet_validate_certs=True)
    params.update(options)
    return params


def api_params(**options):
    names = (
        "kubeconfig context host api_key username password validate_certs ca_cert client_cert client_key proxy no_proxy"
        " impersonate_user impersonate_groups node"
    )
    return dict(dict.fromkeys(names.split()), **options)


def pods_and_headers(seen):
    def answer(handler):
        seen.append((handler.path, dict(handler.headers)))
        handler.reply(200, json.dumps({"items": []}))

    return answer


def test_kubelet_with_a_token_file_and_the_certificate_of_the_node(pki, tmp_path):
    seen, token = [], tmp_path / "token"
    token.write_text("first\n")
    with serving(pods_and_headers(seen), pki.path("othername.pem"), pki.path("othername.key")) as url:
        client = kubelet_client(
            kubelet_params(
                kubelet_url=url, kubelet_token_file=str(token), kubelet_serving_cert=pki.path("othername.pem")
            )
        )
        client.pods()
        token.write_text("second")
        client.pods()
    assert [headers["Authorization"] for path, headers in seen] == ["Bearer first", "Bearer second"]


def test_kubelet_with_a_client_certificate(pki):
    seen = []
    with serving(pods_and_headers(seen), pki.path("server.pem"), pki.path("server.key"), pki.path("ca.pem")) as url:
        kubelet_client(
            kubelet_params(
                kubelet_url=url,
                kubelet_ca_cert=pki.path("ca.pem"),
                kubelet_client_cert=pki.path("client.pem"),
                kubelet_client_key=pki.path("client.key"),
            )
        ).pods()
    assert "Authorization" not in seen[0][1]


@pytest.mark.parametrize(
    "options,text",
    [
        ({"kubelet_url": "http://127.0.0.1:10255"}, "must begin with https://"),
        ({"kubelet_fingerprint": "abc"}, "is not a SHA-256 fingerprint"),
        ({"kubelet_serving_cert": "/no/such.crt"}, "the certificate /no/such.crt cannot be read"),
        ({"kubelet_token_file": "/no/such/token"}, "kubelet_token_file /no/such/token cannot be read"),
        ({"kubelet_token_file": "/dev/null"}, "the token is empty"),
        ({"kubelet_token": "a\r\nX-Evil: 1"}, "holds characters that cannot be in a header"),
    ],
)
def test_kubelet_options_that_cannot_be_used(options, text):
    with pytest.raises(InputError, match=text) as caught:
        kubelet_client(kubelet_params(**options)).pods()
    assert "X-Evil" not in caught.value.msg


def test_api_server_from_options(pki):
    seen = []
    with serving(pods_and_headers(seen), pki.path("server.pem"), pki.path("server.key")) as url:
        options = {"host": url, "ca_cert": pki.path("ca.pem"), "node": "node1"}
        api_proxy_client(api_params(api_key="t", impersonate_user="jane", impersonate_groups=["ops"], **options)).pods(
            "ns"
        )
        api_proxy_client(api_params(username="u", password="p", **options)).pods()
    path, headers = seen[0]
    assert path == "/api/v1/namespaces/ns/pods?fieldSelector=spec.nodeName%3Dnode1"
    assert (headers["Authorization"], headers["Impersonate-User"], headers["Impersonate-Group"]) == (
        "Bearer t",
        "jane",
        "ops",
    )
    assert seen[1][1]["Authorization"] == "Basic dTpw"


class FakeConfiguration:
    """What the kubernetes library makes of a kubeconfig."""

    ssl_ca_cert = cert_file = key_file = proxy = no_proxy = username = None
    verify_ssl = True

    def __init__(self, host, authorization=None):
        self.host = host
        self.authorizations = [authorization] if isinstance(authorization, str) else authorization or []

    def get_api_key_with_prefix(self, name):
        assert name == "authorization"
        return self.authorizations.pop(0) if self.authorizations else None

    def get_basic_auth_token(self):
        return "Basic x"


def test_api_server_from_a_kubeconfig(pki, monkeypatch):
    seen = []
    with serving(pods_and_headers(seen), pki.path("server.pem"), pki.path("server.key")) as url:
        configuration = FakeConfiguration(url, ["Bearer one", "Bearer two"])
        configuration.ssl_ca_cert = pki.path("ca.pem")
        monkeypatch.setattr(_checkpoint_connect._kube_api, "HAS_KUBERNETES", True)
        monkeypatch.setattr(_checkpoint_connect._kube_api, "load_configuration", lambda params: configuration)
        client = api_proxy_client(api_params(node="node1", kubeconfig="/k"))
        client.pods()
        client.pods()
        configuration.username = "u"
        client.pods()
    assert [headers["Authorization"] for path, headers in seen] == ["Bearer one", "Bearer two", "Basic x"]


def test_a_kubeconfig_without_the_library(monkeypatch):
    monkeypatch.setattr(_checkpoint_connect._kube_api, "HAS_KUBERNETES", False)
    with pytest.raises(InputError, match="can only be read with the Python library 'kubernetes'"):
        api_proxy_client(api_params(node="node1", kubeconfig="/k"))


@pytest.mark.parametrize(
    "options,text",
    [
        ({"host": "https://api", "api_key": "t"}, "node is needed with transport=api_proxy"),
        ({"host": "api:6443", "api_key": "t", "node": "n"}, "is not the URL of an API server"),
        ({"host": "https://api", "api_key": "a\nb", "node": "n"}, "api_key is empty or holds characters"),
        ({"host": "https://api", "api_key": "t", "node": "../n"}, "node '../n' is not a DNS-1123"),
    ],
)
def test_api_options_that_cannot_be_used(options, text):
    with pytest.raises(InputError, match=text):
        api_proxy_client(api_params(**options))


def test_only_one_group():
    client = api_proxy_client(api_params(host="https://api", api_key="t", node="n", impersonate_groups=["a", "b"]))
    with pytest.raises(InputError, match="one group at a time"):
        client.pods()


@pytest.mark.parametrize(
    "proxy,no_proxy,expected",
    [
        (None, None, None),
        ("http://p:1", None, "http://p:1"),
        ("http://p:1", "api.example,other", None),
        ("http://p:1", "other", "http://p:1"),
    ],
)
def test_proxies(proxy, no_proxy, expected):
    assert _checkpoint_connect._proxy("https://api.example:6443", proxy, no_proxy) == expected
