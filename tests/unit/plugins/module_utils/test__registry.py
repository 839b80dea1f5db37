# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    RegistryError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer, HttpClient
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    Descriptor,
    image_manifest,
    sha256_digest,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import (
    Registry,
    error_text,
    with_digest,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import Credentials
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry

LAB = Credentials("lab", "secret")


def client(fake, credentials=None, retries=2, **changes):
    """A client of the fake registry, and the list of its pauses."""
    pauses = []
    registry = Registry(
        HttpClient(timeout=60).send,
        fake.url,
        "team/app",
        credentials=credentials,
        retries=retries,
        sleep=pauses.append,
        **changes,
    )
    return registry, pauses


def push_blob_and_manifest(registry):
    config = b'{"os":"linux"}'
    registry.put_blob(config)
    manifest = image_manifest(config, Descriptor("t", sha256_digest(config), len(config)), {"k": "v"})
    registry.put_manifest("1", manifest)
    return config, manifest


# Logging in ---------------------------------------------------------------------------------------


def test_anonymous():
    with FakeRegistry() as fake:
        registry, dummy = client(fake)
        registry.connect()
        config, manifest = push_blob_and_manifest(registry)
        assert registry.blob_size(sha256_digest(config)) == len(config)
        assert registry.blob_size("sha256:" + "00" * 32) is None
        assert registry.manifest("1") == registry.manifest(sha256_digest(manifest)) == manifest
        assert registry.manifest("2") is None
        assert all(authorization is None for dummy, dummy, authorization in fake.log)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_authentication(auth):
    with FakeRegistry(auth=auth) as fake:
        registry, dummy = client(fake, LAB)
        registry.connect()
        push_blob_and_manifest(registry)
        assert fake.manifests["1"]
        if auth == "bearer":
            query, authorization = fake.token_requests[0]
            assert (
                query["scope"] == ["repository:team/app:pull,push"]
                and query["service"] == ["fake registry"]
                and query["account"] == ["lab"]
            )
            assert authorization == LAB.basic()
            # The password goes to the token service only, and one token serves all requests.
            assert len(fake.token_requests) == 1
            assert not any(entry[2] == LAB.basic() for entry in fake.log if entry[1].startswith("/v2/"))


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_password(auth):
    with FakeRegistry(auth=auth) as fake:
        registry, pauses = client(fake, Credentials("lab", "wr0ng-word"))
        with pytest.raises(RegistryError, match="401.*Check the user name and the password") as error:
            registry.connect()
        assert error.value.details["http_status"] == 401
        assert pauses == []
        assert "wr0ng-word" not in str(error.value) + repr(error.value.details)


def test_a_registry_that_wants_a_password_and_gets_none():
    with FakeRegistry(auth="basic") as fake:
        with pytest.raises(RegistryError, match="401.*wants a user name and a password"):
            client(fake)[0].connect()


def test_a_token_that_expires_is_renewed():
    with FakeRegistry(auth="bearer") as fake:
        registry, dummy = client(fake, LAB)
        registry.connect()
        fake.tokens.clear()
        push_blob_and_manifest(registry)
        assert len(fake.token_requests) == 2


def test_credentials_do_not_go_to_a_foreign_realm():
    with FakeRegistry() as foreign, FakeRegistry(auth="bearer") as fake:
        fake.realm = foreign.url.replace("localhost", "127.0.0.1").replace("http:", "https:") + "/token"
        with pytest.raises(
            RegistryError, match="token service of another host, 127.0.0.1; the credentials were not sent"
        ):
            client(fake, LAB)[0].connect()
        assert foreign.log == []


def test_credentials_do_not_go_to_a_foreign_realm_over_http_even_if_it_is_allowed():
    with FakeRegistry() as foreign, FakeRegistry(auth="bearer") as fake:
        fake.realm = foreign.url.replace("localhost", "127.0.0.1") + "/token"
        with pytest.raises(RegistryError, match="plain HTTP"):
            client(fake, LAB, auth_hosts=["127.0.0.1"])[0].connect()
        assert foreign.log == []


def test_a_realm_on_the_same_host_and_another_port_gets_the_credentials():
    with FakeRegistry() as tokens, FakeRegistry(auth="bearer") as fake:
        fake.realm = tokens.url + "/token"
        fake.tokens = tokens.tokens
        registry = client(fake, LAB)[0]
        registry.connect()
        assert tokens.token_requests and not fake.token_requests


# Redirects and other hosts ------------------------------------------------------------------------


def test_a_redirect_is_followed_for_reads_without_the_credentials():
    with FakeRegistry() as store, FakeRegistry(auth="basic") as fake:
        content = b"x" * 1000
        store.blobs[sha256_digest(content)] = content

        def redirect(handler):
            if "/blobs/sha256:" not in handler.path:
                return False
            handler.answer(307, Location=store.url.replace("localhost", "127.0.0.1") + handler.path)
            return True

        registry = client(fake, LAB)[0]
        registry.connect()
        with fake.faulty(redirect):
            assert registry.blob_size(sha256_digest(content)) == 1000
        assert [entry[2] for entry in store.log] == [None]


def test_a_redirect_of_a_write_is_refused():
    with FakeRegistry() as other, FakeRegistry(auth="basic") as fake:

        def redirect(handler):
            if handler.command != "POST":
                return False
            handler.drain()
            handler.answer(307, Location=other.url + handler.path)
            return True

        registry = client(fake, LAB)[0]
        registry.connect()
        with (
            fake.faulty(redirect),
            pytest.raises(
                RegistryError,
                match="redirects a POST to localhost:[0-9]+; what is sent to a registry is not sent elsewhere",
            ),
        ):
            registry.put_blob(b"x")
        assert other.log == []


def test_redirects_in_circles_end():
    with FakeRegistry() as fake:

        def redirect(handler):
            handler.answer(302, Location=handler.path)
            return True

        with fake.faulty(redirect), pytest.raises(RegistryError, match="in circles"):
            client(fake)[0].connect()


def test_an_upload_address_on_another_host_gets_no_credentials():
    with FakeRegistry() as store, FakeRegistry(auth="basic") as fake:
        session = "ab"
        store.uploads[session] = bytearray()

        def elsewhere(handler):
            if handler.command != "POST":
                return False
            handler.drain()
            handler.answer(
                202,
                Location="%s/v2/team/app/blobs/uploads/%s?state=a%%2Fb"
                % (store.url.replace("localhost", "127.0.0.1"), session),
            )
            return True

        registry = client(fake, LAB)[0]
        registry.connect()
        with fake.faulty(elsewhere):
            registry.put_blob(b"content")
        assert store.blobs == {sha256_digest(b"content"): b"content"}
        assert {entry[2] for entry in store.log} == {None}


@pytest.mark.parametrize(
    "location, says",
    [
        ("http://r.example/upload", "sends us on to plain HTTP"),
        ("ftp://r.example/upload", "no HTTP address"),
        ("https://r.example:99999/upload", "no HTTP address"),
        (None, "without a Location"),
    ],
)
def test_upload_addresses_that_are_refused(location, says):
    sent = []

    def send(method, url, headers, body):
        sent.append(url)
        return Answer(202, {"location": location} if location else {})

    with pytest.raises(RegistryError, match=says):
        Registry(send, "https://r.example", "x").put_blob(b"secret")
    assert sent == ["https://r.example/v2/x/blobs/uploads/"]


# Transient failures -------------------------------------------------------------------------------


def fail_first(number, status, **headers):
    """A fault that answers the first requests with a status."""
    left = [number]

    def fault(handler):
        if left[0] <= 0:
            return False
        left[0] -= 1
        handler.drain()
        handler.refuse(status, "TOOMANYREQUESTS", **headers)
        return True

    return fault


def test_transient_statuses_are_tried_again_with_growing_pauses():
    with FakeRegistry() as fake:
        registry, pauses = client(fake, retries=3)
        with fake.faulty(fail_first(3, 503)):
            registry.connect()
        assert pauses == [0.5, 1.0, 2.0]


def test_retry_after_is_obeyed_and_bounded():
    with FakeRegistry() as fake:
        registry, pauses = client(fake)
        with fake.faulty(fail_first(1, 429, Retry_After="7")), fake.faulty(fail_first(1, 429, Retry_After="86400")):
            registry.connect()
        assert sorted(pauses) == [7.0, 60.0]


def test_retry_after_may_be_a_date_and_may_be_nonsense():
    with FakeRegistry() as fake:
        registry, pauses = client(fake)
        with (
            fake.faulty(fail_first(1, 503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")),
            fake.faulty(fail_first(1, 503, Retry_After="soon")),
        ):
            registry.connect()
        assert 0.0 in pauses and max(pauses) <= 1.0


def test_a_transient_failure_that_stays_is_reported():
    with FakeRegistry() as fake:
        registry, pauses = client(fake, retries=2)
        with (
            fake.faulty(fail_first(99, 502)),
            pytest.raises(RegistryError, match=r"tried 3 times.*502 \(TOOMANYREQUESTS: toomanyrequests\)") as error,
        ):
            registry.connect()
        assert len(pauses) == 2 and error.value.details["http_status"] == 502


def test_a_registry_that_is_down_is_reported_with_its_name():
    with FakeRegistry() as fake:
        pass
    registry, pauses = client(fake, retries=1)
    with pytest.raises(
        RegistryError, match="reaching the registry failed .tried 2 times.: registry %s: no answer.*refused" % fake.host
    ):
        registry.connect()
    assert pauses == [0.5]


def test_a_bad_certificate_is_not_tried_again():
    pauses = []

    def send(method, url, headers, body):
        raise TransportError(
            "no answer from https://r.example: its certificate is not signed by a CA", transport="tls_ca"
        )

    with pytest.raises(RegistryError, match="not signed by a CA"):
        Registry(send, "https://r.example", "x", sleep=pauses.append).connect()
    assert pauses == []


def test_a_refusal_is_not_tried_again():
    with FakeRegistry() as fake:
        registry, pauses = client(fake, LAB)
        with (
            fake.faulty(fail_first(1, 403)),
            pytest.raises(RegistryError, match="403.*may not do this in repository team/app"),
        ):
            registry.connect()
        assert pauses == []


def test_a_small_blob_is_sent_again_with_a_new_session():
    with FakeRegistry() as fake:
        cuts = [1]

        def cut(handler):
            if handler.command == "PUT" and "/blobs/" in handler.path and cuts:
                cuts.pop()
                handler.cut()
                return True
            return False

        registry, pauses = client(fake)
        with fake.faulty(cut):
            registry.put_blob(b"content")
        assert sha256_digest(b"content") in fake.blobs
        assert len(fake.requests("POST")) == 2 and len(pauses) == 1


# Manifests ----------------------------------------------------------------------------------------


def test_a_manifest_that_the_registry_changes_is_an_error():
    with FakeRegistry() as fake:

        def rewrite(handler):
            if handler.command != "GET" or "/manifests/" not in handler.path:
                return False
            content = fake.manifests[handler.path.rpartition("/")[2]]
            handler.answer(200, json.dumps(json.loads(content), indent=1).encode())
            return True

        registry = client(fake)[0]
        with (
            fake.faulty(rewrite),
            pytest.raises(
                RegistryError, match="manifest changed by the registry.*read back as sha256:.* has another content"
            ),
        ):
            push_blob_and_manifest(registry)


def test_a_manifest_that_gets_another_digest_is_an_error():
    with FakeRegistry() as fake:

        def other_digest(handler):
            if handler.command != "PUT" or "/manifests/" not in handler.path:
                return False
            handler.drain()
            handler.answer(201, Docker_Content_Digest="sha256:" + hashlib.sha256(b"other").hexdigest())
            return True

        registry = client(fake)[0]
        with (
            fake.faulty(other_digest),
            pytest.raises(RegistryError, match="manifest changed by the registry.*it calls it sha256:"),
        ):
            push_blob_and_manifest(registry)


def test_a_manifest_that_vanishes_is_an_error():
    with FakeRegistry() as fake:

        def forget(handler):
            if handler.command == "GET" and "/manifests/1" in handler.path:
                handler.refuse(404, "MANIFEST_UNKNOWN")
                return True
            return False

        registry = client(fake)[0]
        with fake.faulty(forget), pytest.raises(RegistryError, match="read back as 1 it is not there"):
            push_blob_and_manifest(registry)


# Small things -------------------------------------------------------------------------------------


def test_the_digest_is_added_to_an_upload_url_as_it_is():
    assert with_digest("https://r/u?state=a%2Fb%3D", "sha256:ab") == "https://r/u?state=a%2Fb%3D&digest=sha256%3Aab"
    assert with_digest("https://r/u", "sha256:ab") == "https://r/u?digest=sha256%3Aab"


@pytest.mark.parametrize(
    "body, text",
    [
        (b'{"errors":[{"code":"DENIED","message":"no\\nway"},{"code":"X","message":"y"}]}', "DENIED: no way; X: y"),
        (b"<html>Bad  Gateway</html>", "<html>Bad Gateway</html>"),
        (b"", "no reason given"),
        (b'{"errors": 5}', '{"errors": 5}'),
        (b"[]", "[]"),
    ],
)
def test_error_text(body, text):
    assert error_text(Answer(500, {}, body)) == text
