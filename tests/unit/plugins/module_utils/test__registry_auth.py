# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RegistryError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import (
    Challenge,
    Credentials,
    check_realm,
    choose_challenge,
    credentials_from_auth_file,
    parse_challenges,
    parse_token,
    token_url,
)


@pytest.mark.parametrize(
    "header, expected",
    [
        ('Basic realm="a registry"', [Challenge("basic", {"realm": "a registry"})]),
        (
            'Bearer realm="https://r.example/token",service="r.example",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://r.example/token", "service": "r.example", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'Basic realm="x", Bearer realm="y" , service=plain',
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y", "service": "plain"})],
        ),
        ('BEARER Realm="with \\"quotes\\" and , comma"', [Challenge("bearer", {"realm": 'with "quotes" and , comma'})]),
        ("Negotiate", [Challenge("negotiate", {})]),
        ("", []),
        ("=?", []),
    ],
)
def test_challenges(header, expected):
    assert parse_challenges(header) == expected


def test_bearer_is_preferred_and_basic_needs_credentials():
    both = 'Basic realm="x", Bearer realm="y"'
    assert choose_challenge(both, False).scheme == choose_challenge(both, True).scheme == "bearer"
    assert choose_challenge('Basic realm="x"', True).scheme == "basic"
    assert choose_challenge('Basic realm="x"', False) is None
    assert choose_challenge("Negotiate", True) is None


def test_token_url_keeps_the_query_of_the_realm_and_encodes():
    challenge = Challenge("bearer", {"realm": "https://r.example/token?a=1", "service": "my registry"})
    url = token_url(challenge, "repository:a/b:pull,push", "user&x=y")
    assert (
        url
        == "https://r.example/token?a=1&service=my+registry&scope=repository%3Aa%2Fb%3Apull%2Cpush&account=user%26x%3Dy"
    )


REGISTRY = "https://r.example:5000"


@pytest.mark.parametrize(
    "realm, allowed, plain, credentials",
    [
        ("https://r.example:5001/token", [], False, True),
        ("https://r.example/token", [], False, True),
        ("https://auth.example/token", ["auth.example"], False, True),
        ("https://auth.example:444/token", ["auth.example:444"], False, True),
        ("https://auth.example/token", [], False, False),
        ("http://r.example/token", [], True, True),
    ],
)
def test_realms_that_may_be_asked(realm, allowed, plain, credentials):
    check_realm(realm, REGISTRY, allowed, plain, credentials)


@pytest.mark.parametrize(
    "realm, allowed, plain, credentials, says",
    [
        ("https://evil.example/token", [], False, True, "auth_hosts: \\[evil.example\\]"),
        ("https://r.example.evil.example/token", [], False, True, "were not sent there"),
        ("https://r.example@evil.example/token", [], False, True, "not a usable URL"),
        ("https://evil.example:444/token", ["evil.example:443"], False, True, "were not sent there"),
        ("http://r.example/token", [], False, True, "plain HTTP"),
        ("http://r.example/token", [], False, False, "plain HTTP"),
        ("http://evil.example/token", ["evil.example"], True, True, "plain HTTP"),
        ("ftp://r.example/token", [], False, True, "not a usable URL"),
        ("https://r.example:99999/token", [], False, True, "not a usable URL"),
        ("", [], False, True, "not a usable URL"),
    ],
)
def test_realms_that_may_not(realm, allowed, plain, credentials, says):
    with pytest.raises(RegistryError, match=says):
        check_realm(realm, REGISTRY, allowed, plain, credentials)


def test_token():
    assert parse_token(b'{"token": "abc"}', "r") == "abc"
    assert parse_token(b'{"access_token": "def"}', "r") == "def"
    for body in (b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nX-Evil: 1"}'):
        with pytest.raises(RegistryError, match="without a usable token"):
            parse_token(body, "r.example")


def entry(username, password):
    return {"auth": base64.b64encode(("%s:%s" % (username, password)).encode()).decode()}


def read(document, host="r.example:5000", repository="team/app"):
    return credentials_from_auth_file(json.dumps(document), host, repository, "/root/auth.json")


def test_the_longest_key_wins():
    auths = {
        "r.example:5000": entry("host", "1"),
        "r.example:5000/team": entry("team", "2"),
        "r.example:5000/team/app": entry("app", "3"),
    }
    assert read({"auths": auths}) == Credentials("app", "3")
    assert read({"auths": auths}, repository="team/other") == Credentials("team", "2")
    assert read({"auths": auths}, repository="elsewhere") == Credentials("host", "1")
    assert read({"auths": auths}, repository="teamwork") == Credentials("host", "1")
    assert read({"auths": auths}, host="other.example") is None


def test_old_keys_of_docker_and_its_hub():
    assert read({"auths": {"https://r.example:5000/v1/": entry("old", "x")}}) == Credentials("old", "x")
    assert read({"auths": {"https://index.docker.io/v1/": entry("hub", "x")}}, host="docker.io") == Credentials(
        "hub", "x"
    )


def test_passwords_may_have_colons_and_names_may_be_plain():
    assert read({"auths": {"r.example:5000": entry("u", "a:b")}}) == Credentials("u", "a:b")
    assert read({"auths": {"r.example:5000": {"username": "u", "password": "p"}}}) == Credentials("u", "p")


@pytest.mark.parametrize(
    "document, says",
    [
        ({"credHelpers": {"r.example:5000": "ecr-login"}}, "credential helper 'ecr-login'"),
        ({"auths": {"r.example:5000": {}}, "credsStore": "desktop"}, "credential helper 'desktop'"),
        ({"auths": {"r.example:5000": {"identitytoken": "x"}}}, "identity token"),
        ({"auths": {"r.example:5000": {"auth": "???"}}}, "no usable 'auth'"),
        ({"auths": {"r.example:5000": {"auth": 5}}}, "no usable 'auth'"),
        ({"auths": {"r.example:5000": {"auth": base64.b64encode(b"nocolon").decode()}}}, "user:password"),
        ({"auths": []}, "must be objects|not a registry"),
        ([], "not a registry credentials file"),
    ],
)
def test_files_that_cannot_be_used_say_why(document, says):
    if document == {"auths": []}:
        document = {"auths": ["x"]}
    with pytest.raises(InputError, match=says):
        read(document)


def test_text_that_is_not_json():
    with pytest.raises(InputError, match="/root/auth.json is not a registry credentials file"):
        credentials_from_auth_file("{", "h.example", "r", "/root/auth.json")


def test_a_password_never_shows():
    assert "s3cret" not in repr(Credentials("u", "s3cret"))
    with pytest.raises(InputError) as error:
        read({"auths": {"r.example:5000": {"auth": base64.b64encode(b"s3cret").decode()}}})
    assert "s3cret" not in str(error.value) and base64.b64encode(b"s3cret").decode() not in str(error.value)
