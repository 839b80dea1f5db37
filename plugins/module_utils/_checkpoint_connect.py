# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's options to a client of the kubelet.

PRIVATE to the collection. Straight to the kubelet this needs the standard library only; through the API server the
C(kubernetes) library is needed when a kubeconfig has to be understood.
"""

from __future__ import annotations

import base64
import typing as t
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kube_api
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import (
    HttpClient,
    Tls,
    certificate_fingerprint,
    normal_fingerprint,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import KubeletClient

Params = t.Mapping[str, t.Any]
_MAX_TOKEN = 64 * 1024


def kubelet_client(params: Params) -> KubeletClient:
    """A client that talks to the kubelet itself (options of C(_argspec))."""
    fingerprint = params["kubelet_fingerprint"]
    if fingerprint is not None:
        fingerprint = normal_fingerprint(fingerprint)
    elif params["kubelet_serving_cert"] is not None:
        fingerprint = certificate_fingerprint(params["kubelet_serving_cert"])
    if urlsplit(params["kubelet_url"]).scheme != "https":
        raise InputError("kubelet_url %r must begin with https://" % params["kubelet_url"])
    tls = Tls(
        ca_cert=params["kubelet_ca_cert"],
        client_cert=params["kubelet_client_cert"],
        client_key=params["kubelet_client_key"],
        fingerprint=fingerprint,
        validate_certs=params["kubelet_validate_certs"],
    )
    return KubeletClient(
        HttpClient(tls).send,
        params["kubelet_url"],
        headers=lambda: _bearer(params["kubelet_token"], params["kubelet_token_file"]),
    )


def _bearer(token: t.Optional[str], token_file: t.Optional[str]) -> t.Dict[str, str]:
    if token_file is not None:
        try:
            with open(token_file, encoding="ascii") as stream:
                token = stream.read(_MAX_TOKEN).strip()
        except OSError as exc:
            raise InputError("kubelet_token_file %s cannot be read: %s" % (token_file, exc.strerror or exc)) from None
        except UnicodeDecodeError:
            raise InputError("kubelet_token_file %s does not hold a token" % token_file) from None
    if token is None:
        return {}
    return {"Authorization": "Bearer " + _one_line(token, "the token")}


def _one_line(value: str, what: str) -> str:
    """What becomes part of a header must not be able to add one."""
    if not value or any(ord(char) < 32 or ord(char) > 126 for char in value):
        raise InputError("%s is empty or holds characters that cannot be in a header" % what)
    return value


def api_proxy_client(params: Params) -> KubeletClient:
    """A client that goes through the API server's proxy (options of C(_argspec_kube_api)) to the node in O(node)."""
    if params["node"] is None:
        raise InputError("node is needed with transport=api_proxy: the name of the node whose kubelet is to be asked")
    explicit = params["host"] and (params["api_key"] or params["client_cert"] or params["username"])
    settings = _from_options(params) if explicit else _from_library(params)
    if urlsplit(settings["url"]).scheme not in ("https", "http"):
        raise InputError("host %r is not the URL of an API server" % settings["url"])
    client = HttpClient(settings["tls"], proxy=settings["proxy"])
    headers = settings["headers"]
    return KubeletClient(
        client.send, settings["url"], headers=lambda: {**headers(), **_impersonation(params)}, node=params["node"]
    )


def _from_options(params: Params) -> t.Dict[str, t.Any]:
    if params["api_key"]:
        authorization = "Bearer " + _one_line(params["api_key"], "api_key")
    elif params["username"]:
        pair = "%s:%s" % (params["username"], params["password"] or "")
        authorization = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
    else:
        authorization = ""
    tls = Tls(
        ca_cert=params["ca_cert"],
        client_cert=params["client_cert"],
        client_key=params["client_key"],
        validate_certs=params["validate_certs"] is not False,
    )
    return {
        "url": params["host"],
        "tls": tls,
        "proxy": _proxy(params["host"], params["proxy"], params["no_proxy"]),
        "headers": lambda: {"Authorization": authorization} if authorization else {},
    }


def _from_library(params: Params) -> t.Dict[str, t.Any]:
    if not _kube_api.HAS_KUBERNETES:
        raise InputError(
            "a kubeconfig can only be read with the Python library 'kubernetes' (>= %s), which this machine's Python"
            " does not have: install it, or give host and api_key (or client_cert and client_key)"
            % _kube_api.MINIMUM
        )
    configuration = _kube_api.load_configuration(params)
    tls = Tls(
        ca_cert=configuration.ssl_ca_cert,
        client_cert=configuration.cert_file,
        client_key=configuration.key_file,
        validate_certs=configuration.verify_ssl,
    )

    def headers() -> t.Dict[str, str]:
        # Asked for each time: the library renews tokens that come from a command.
        authorization = configuration.get_api_key_with_prefix("authorization")
        if not authorization and configuration.username:
            authorization = configuration.get_basic_auth_token()
        return {"Authorization": _one_line(authorization, "the kubeconfig's token")} if authorization else {}

    return {
        "url": configuration.host,
        "tls": tls,
        "proxy": _proxy(configuration.host, configuration.proxy, configuration.no_proxy),
        "headers": headers,
    }


def _impersonation(params: Params) -> t.Dict[str, str]:
    groups = params["impersonate_groups"] or []
    if len(groups) > 1:
        raise InputError("impersonate_groups: one group at a time can be impersonated here, not %d" % len(groups))
    headers = {"Impersonate-User": params["impersonate_user"]} if params["impersonate_user"] else {}
    if groups:
        headers["Impersonate-Group"] = groups[0]
    return {name: _one_line(value, name) for name, value in headers.items()}


def _proxy(url: str, proxy: t.Optional[str], no_proxy: t.Optional[str]) -> t.Optional[str]:
    host = urlsplit(url).hostname or ""
    if proxy and no_proxy and urllib.request.proxy_bypass_environment(host, {"no": no_proxy}):
        return None
    return proxy or None
