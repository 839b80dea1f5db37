# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images read back from a registry that keeps the protocol, and from one whose disk does not."""

from __future__ import annotations

import gzip

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _image_info
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_privileges import as_dict, read_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, RegistryError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import HttpClient
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    LAYER_TYPES,
    Descriptor,
    image_config,
    image_manifest,
    sha256_digest,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import Credentials
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support import archives
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry

CONFIG, LAYER = b'{"os":"linux"}', b"memory" * 100000


def client(fake, credentials=None):
    """A registry's client."""
    return Registry(HttpClient(timeout=60).send, fake.url, "team/app", credentials, retries=1, sleep=lambda seconds: None)


def push(registry, *tags):
    """One image under each tag; the last one's digest."""
    for blob in (CONFIG, LAYER):
        registry.put_blob(blob)
    for tag in tags:
        manifest = image_manifest(CONFIG, Descriptor("t", sha256_digest(LAYER), len(LAYER)), {"tag": tag})
        registry.put_manifest(tag, manifest)
    return sha256_digest(manifest)


@pytest.mark.parametrize("auth", [None, "basic", "bearer"])
def test_an_image_is_read_back(auth):
    with FakeRegistry(auth=auth) as fake:
        registry = client(fake, Credentials("lab", "secret") if auth else None)
        digest = push(registry, "1")
        # A token that has expired must not be taken for a blob.
        fake.tokens.clear()
        image = _image_info.describe(registry, digest)
        assert (image["digest"], image["tag"], image["verified"]) == (digest, None, None)
        assert [blob["size"] for blob in image["blobs"]] == [len(CONFIG), len(LAYER)]
        fake.tokens.clear()
        _image_info.verify(registry, image)
        assert image["verified"] is True
        assert len(fake.requests("GET", "/blobs/")) >= 2


def push_archive(registry, archive, compression="none", diff_id=None):
    """A checkpoint image of a real archive; its reference by digest."""
    layer = gzip.compress(archive) if compression == "gzip" else archive
    config = image_config("amd64", None, diff_id or sha256_digest(archive))
    registry.put_blob(config)
    registry.put_blob(layer)
    manifest = image_manifest(config, Descriptor(LAYER_TYPES[compression], sha256_digest(layer), len(layer)), {})
    registry.put_manifest("1", manifest)
    return "host/team/app@" + sha256_digest(manifest)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_the_processes_may_do_is_read_out_of_the_layer(compression):
    archive = archives.fixture_bytes("containerd-counter-counter")
    with FakeRegistry() as fake:
        registry = client(fake)
        image = push_archive(registry, archive, compression)
        found = _image_info.privileges(registry, image, lambda name: None, None)
    assert found == as_dict(read_file(archives.fixture("containerd-counter-counter")))


def test_an_archive_that_is_not_what_the_image_says_or_not_what_it_should_be():
    archive = archives.fixture_bytes("containerd-counter-counter")
    with FakeRegistry() as fake:
        registry = client(fake)
        image = push_archive(registry, archive, diff_id=sha256_digest(b"another"))
        with pytest.raises(ArchiveError, match="does not have the digest"):
            _image_info.privileges(registry, image, lambda name: None, None)
        for hostile in (archives.member("../x", b"y") + archive, archive[:-4096]):
            image = push_archive(registry, hostile)
            with pytest.raises(ArchiveError):
                _image_info.privileges(registry, image, lambda name: None, None)


def test_what_is_not_there():
    with FakeRegistry() as fake:
        registry = client(fake)
        assert _image_info.list_tags(registry) == []
        assert _image_info.describe(registry, "1") is None


def test_tags_over_several_pages():
    with FakeRegistry() as fake:
        registry = client(fake)
        push(registry, "c", "a", "e", "b", "d")
        assert _image_info.list_tags(registry) == ["a", "b", "c", "d", "e"]
        assert _image_info.describe(registry, "c")["annotations"] == {"tag": "c"}


@pytest.mark.parametrize("damage", [b"", LAYER[:-1], b"x" + LAYER[1:], LAYER + b"x"])
def test_a_damaged_blob(damage):
    with FakeRegistry() as fake:
        registry = client(fake)
        image = _image_info.describe(registry, push(registry, "1"))
        fake.blobs[sha256_digest(LAYER)] = damage
        with pytest.raises(RegistryError, match="what it stores is damaged"):
            _image_info.verify(registry, image)
        assert image["verified"] is None


def test_a_missing_blob():
    with FakeRegistry() as fake:
        registry = client(fake)
        image = _image_info.describe(registry, push(registry, "1"))
        del fake.blobs[sha256_digest(LAYER)]
        with pytest.raises(RegistryError, match="BLOB_UNKNOWN"):
            _image_info.verify(registry, image)


def test_a_blob_that_breaks_off_is_read_again():
    def once(handler):
        if "/blobs/" in handler.path and handler.command == "GET" and sha256_digest(LAYER) in handler.path and not seen:
            seen.append(handler.path)
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(LAYER)))
            handler.end_headers()
            handler.wfile.write(LAYER[:1000])
            handler.cut()
            return True
        return False

    seen = []
    with FakeRegistry() as fake:
        registry = client(fake)
        image = _image_info.describe(registry, push(registry, "1"))
        with fake.faulty(once):
            _image_info.verify(registry, image)
        assert seen and image["verified"] is True


def test_a_manifest_that_is_another_one():
    with FakeRegistry() as fake:
        registry = client(fake)
        first = push(registry, "1", "2")
        fake.manifests[first] = fake.manifests["1"]
        with pytest.raises(RegistryError, match="damaged"):
            _image_info.describe(registry, first)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"config": {"digest": "x", "size": 1}, "layers": []}'])
def test_what_is_no_manifest(content):
    with FakeRegistry() as fake:
        fake.manifests["1"] = content
        with pytest.raises(RegistryError, match="no image manifest"):
            _image_info.describe(client(fake), "1")
