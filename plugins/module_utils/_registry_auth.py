# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who we are to a registry: credentials, challenges, and where credentials may go.

PRIVATE to the collection. Pure functions: they parse and decide, C(_registry) sends. The rule that they keep:
credentials go to the registry itself, and to a token service (realm) only over TLS and only if its host is the
registry's own or one that the caller allowed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RegistryError

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(r"(%s)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|(%s))" % (_TOKEN, _TOKEN))
_SCHEME = re.compile(r"(%s)(?=\s|,|$)" % _TOKEN)
_SEPARATOR = re.compile(r"[\s,]*")
_DOCKER_HUB_KEYS = ("docker.io", "index.docker.io", "https://index.docker.io/v1/")


@dataclass(frozen=True)
class Credentials:
    """A user name and a password (or an access token in its place). The password never shows in a repr."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The value of an Authorization header for the Basic scheme."""
        pair = "%s:%s" % (self.username, self.password)
        return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")


@dataclass(frozen=True)
class Challenge:
    """One challenge of a WWW-Authenticate header: scheme and parameter names in lower case."""

    scheme: str
    parameters: t.Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header (RFC 9110, section 11.6.1); what cannot be read ends the list."""
    challenges: list[Challenge] = []
    position = 0
    while True:
        position = t.cast("re.Match[str]", _SEPARATOR.match(header, position)).end()
        parameter = _PARAMETER.match(header, position)
        if parameter and challenges:
            name, quoted, plain = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            t.cast("dict[str, str]", challenges[-1].parameters)[name.lower()] = value
            position = parameter.end()
            continue
        scheme = _SCHEME.match(header, position)
        if not scheme:
            return challenges
        challenges.append(Challenge(scheme.group(1).lower(), {}))
        position = scheme.end()


def choose_challenge(header: str, with_credentials: bool) -> t.Optional[Challenge]:
    """The challenge to answer: Bearer where offered, Basic only if there are credentials; None if neither fits."""
    offered = {challenge.scheme: challenge for challenge in reversed(parse_challenges(header))}
    if "bearer" in offered:
        return offered["bearer"]
    return offered.get("basic") if with_credentials else None


def token_url(challenge: Challenge, scope: str, account: t.Optional[str]) -> str:
    """The URL of the token service for this challenge; the realm's own query is kept."""
    realm = urlsplit(challenge.parameters.get("realm", ""))
    query = parse_qsl(realm.query, keep_blank_values=True)
    if challenge.parameters.get("service"):
        query.append(("service", challenge.parameters["service"]))
    query.append(("scope", scope))
    if account:
        query.append(("account", account))
    return urlunsplit((realm.scheme, realm.netloc, realm.path, urlencode(query), ""))


def check_realm(
    realm: str, registry_url: str, allowed_hosts: t.Sequence[str], plain_http: bool, with_credentials: bool
) -> None:
    """Raise RegistryError unless a token may be asked for at realm (with our credentials, if there are any).

    registry_url: the registry as we call it. plain_http: the caller asked for HTTP; then, and only then, the
    registry's own host may also be asked over HTTP.
    """
    url = urlsplit(realm)
    own = urlsplit(registry_url)
    try:
        host = url.hostname
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        host, port_is_valid = None, False
    if not host or not port_is_valid or url.username is not None or url.scheme not in ("http", "https"):
        raise RegistryError(
            "registry %s names a token service that is not a usable URL: %r" % (own.netloc, realm[:200])
        )
    is_own = host == own.hostname
    if url.scheme != "https" and not (plain_http and is_own):
        raise RegistryError(
            "registry %s asks for a token from %s over plain HTTP; refused, because whoever listens could read it. "
            "Give the token service TLS" % (own.netloc, host)
        )
    if with_credentials and not is_own and host not in allowed_hosts and url.netloc not in allowed_hosts:
        raise RegistryError(
            "registry %s sends us to the token service of another host, %s; the credentials were not sent there. "
            "If that host is the registry's token service, allow it with auth_hosts: [%s]" % (own.netloc, host, host)
        )


def parse_token(body: bytes, realm_host: str) -> str:
    """The bearer token in the answer of a token service."""
    try:
        document = json.loads(body)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError):
        token = None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise RegistryError("the token service on %s answered without a usable token" % realm_host)
    return token


def credentials_from_auth_file(text: str, host: str, repository: str, where: str) -> t.Optional[Credentials]:
    """The credentials for host/repository in an C(auth.json) (containers) or C(config.json) (docker).

    The longest matching key wins: C(host/org/name), C(host/org), C(host), then docker's old C(https://host/v1/).
    None if the file has nothing for this registry. Credential helpers are programs of somebody else and are not run.
    """
    try:
        document = json.loads(text)
        auths = document.get("auths") or {}
        helpers = document.get("credHelpers") or {}
        store = document.get("credsStore")
        if not isinstance(auths, dict) or not isinstance(helpers, dict):
            raise ValueError("'auths' and 'credHelpers' must be objects")
    except (ValueError, AttributeError) as exc:
        raise InputError("%s is not a registry credentials file (JSON with 'auths'): %s" % (where, exc)) from None
    for key in _auth_keys(host, repository):
        entry = auths.get(key)
        if isinstance(entry, dict) and entry:
            return _entry_credentials(entry, key, where)
    if host in helpers or store:
        helper = helpers.get(host) or store
        raise InputError(
            "%s leaves the credentials for %s to the credential helper %r; helpers are not run by this module. "
            "Give username and password, or a file that has them under 'auths'" % (where, host, helper)
        )
    return None


def _auth_keys(host: str, repository: str) -> t.Iterator[str]:
    path = "%s/%s" % (host, repository)
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield from ("https://%s" % host, "https://%s/v1/" % host, "https://%s/v2/" % host, "http://%s" % host)
    if host in _DOCKER_HUB_KEYS:
        yield from _DOCKER_HUB_KEYS


def _entry_credentials(entry: dict[str, t.Any], key: str, where: str) -> Credentials:
    if entry.get("identitytoken"):
        raise InputError(
            "%s has an identity token for %s, which this module does not use; give username and password "
            "(most registries issue access tokens for that)" % (where, key)
        )
    try:
        if entry.get("auth"):
            pair = base64.b64decode(entry["auth"], validate=True).decode("utf-8")
        else:
            pair = "%s:%s" % (entry["username"], entry["password"])
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise InputError("%s: the entry for %s has no usable 'auth' (base64 of user:password)" % (where, key)) from None
    username, colon, password = pair.partition(":")
    if not colon or not username:
        raise InputError("%s: the entry for %s is not base64 of user:password" % (where, key))
    return Credentials(username, password.rstrip("\0"))
