# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's registry options (C(_argspec_registry)) to a client for the repository of an image.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import HttpClient, Tls
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry, Send
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import (
    Credentials,
    credentials_from_auth_file,
)

_MAX_AUTH_FILE = 4 * 1024 * 1024
# The one registry whose name in image references is not its address.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_DOCKER_HUB_AUTH = "auth.docker.io"


def sender_for(params: t.Mapping[str, t.Any]) -> Send:
    """The transport with the options' certificates, time-out and proxy."""
    for name, least in (("request_timeout", 1), ("retries", 0)):
        if params[name] < least:
            raise InputError("%s must be at least %d, not %d" % (name, least, params[name]))
    tls = Tls(
        ca_cert=params["ca_cert"],
        client_cert=params["client_cert"],
        client_key=params["client_key"],
        validate_certs=params["validate_certs"],
    )
    return HttpClient(tls, timeout=params["request_timeout"], proxy=params["proxy"]).send


def registry_for(params: t.Mapping[str, t.Any], reference: ImageReference, send: Send) -> Registry:
    """The client for reference's repository."""
    host = _DOCKER_HUB.get(reference.host, reference.host)
    scheme = "http" if params["plain_http"] else "https"
    auth_hosts = list(params["auth_hosts"]) + ([_DOCKER_HUB_AUTH] if reference.host in _DOCKER_HUB else [])
    return Registry(
        send,
        "%s://%s" % (scheme, host),
        reference.repository,
        credentials=credentials_for(params, reference),
        auth_hosts=auth_hosts,
        retries=params["retries"],
    )


def credentials_for(params: t.Mapping[str, t.Any], reference: ImageReference) -> t.Optional[Credentials]:
    """The credentials from the options or from the file that they name; None for anonymous."""
    if params["username"] is not None:
        return Credentials(params["username"], params["password"])
    path = params["auth_file"]
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read(_MAX_AUTH_FILE)
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("auth_file %s cannot be read: %s" % (path, getattr(exc, "strerror", None) or exc)) from None
    return credentials_from_auth_file(text, reference.host, reference.repository, path)
