# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_stage_image: the archive comes out of an image as it went in, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage, _stage_build, _stage_image
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    InputError,
    RegistryError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import HttpClient
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image import ImageJob, ImageRequest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_layout import LayoutTarget
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_target import RegistryTarget
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import Credentials
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    fixture,
    fixture_bytes,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.shelf import pipes

ARCHIVE = fixture_bytes("containerd-counter-counter")
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


def store(fake, credentials=None):
    registry = Registry(
        HttpClient(timeout=60).send, fake.url, "team/app", credentials, retries=2, sleep=lambda seconds: None
    )
    registry.connect()
    return registry


def push(target, compression="none"):
    """Make a real checkpoint image; its reference."""
    job = ImageJob(
        ImageRequest(src=fixture("containerd-counter-counter"), compression=compression), target, shutil.which, pipes
    )
    job.make()
    return ImageReference.parse("registry.example/team/app@" + job.progress["digest"])


def pushed(fake, compression="none"):
    return push(RegistryTarget(store(fake), "1", 0), compression)


def read(here, image, find=shutil.which):
    got = []
    _stage_image.feed_from(here, image, find, pipes)([lambda block: got.append(bytes(block))])
    return b"".join(got)


@pytest.fixture
def fake():
    with FakeRegistry() as registry:
        yield registry


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_went_in_comes_out(fake, compression):
    if compression == "zstd" and not shutil.which("zstd"):
        pytest.skip("zstd is not installed here")
    reference = pushed(fake, compression)
    here = store(fake)
    image = _stage_image.look(here, reference)
    assert (image.archive_sha256, image.compression) == (DIGEST, compression)
    assert read(here, image) == ARCHIVE


def test_and_is_staged(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(_stage_build.platform, "machine", lambda: "x86_64")
    here = store(fake)
    image = _stage_image.look(here, pushed(fake, "gzip"))
    order = _stage_build.Order(
        "default", "counter", "counter", image.archive_sha256, pod_uid="u", image=image.reference
    )
    _stage_build.rehearse(order, _stage_image.feed_from(here, image, shutil.which, pipes))
    assert not (tmp_path / "restore").exists()
    _stage_build.stage(str(tmp_path / "restore"), order, _stage_image.feed_from(here, image, shutil.which, pipes))
    entries = _stage.entries(str(tmp_path / "restore"))
    assert [entry.document["checkpoint"]["image"] for entry in entries] == [image.reference]


def test_a_layout_in_a_directory(tmp_path):
    path = str(tmp_path / "layout")
    reference = push(LayoutTarget(path, None))
    here = _stage_image.LayoutStore(path)
    assert read(here, _stage_image.look(here, reference)) == ARCHIVE
    layer = os.path.join(path, "blobs", "sha256", DIGEST)
    os.rename(layer, layer + ".away")
    os.symlink(layer + ".away", layer)
    with pytest.raises(ArchiveError, match="blob sha256:"):
        read(here, _stage_image.look(here, reference))


def test_an_account(fake):
    reference = pushed(fake)
    fake.auth = "bearer"
    right = store(fake, credentials=Credentials("lab", "secret"))
    assert read(right, _stage_image.look(right, reference)) == ARCHIVE
    with pytest.raises(RegistryError, match="wants a user name and a password"):
        store(fake)


# -- breaks ----------------------------------------------------------------------------------------------------------


def cutting(cuts, after):
    """A fault: cut the first answers for the layer after so many bytes."""
    left = list(range(cuts))

    def fault(handler):
        if "/blobs/sha256:" + DIGEST not in handler.path or not left:
            return False
        left.pop()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(ARCHIVE)))
        handler.end_headers()
        handler.wfile.write(ARCHIVE[:after])
        handler.wfile.flush()
        handler.cut()
        return True

    return fault


def test_after_a_break_nothing_comes_twice(fake):
    reference = pushed(fake)
    here = store(fake)
    image = _stage_image.look(here, reference)
    with fake.faulty(cutting(2, 100000)):
        assert read(here, image) == ARCHIVE


def test_breaks_that_do_not_end(fake):
    image = _stage_image.look(store(fake), pushed(fake))
    before = len(fake.log)
    with fake.faulty(cutting(99, 5000)), pytest.raises(RegistryError, match="reading blob"):
        read(store(fake), image)
    assert len(fake.log) - before < 10


def test_who_takes_the_bytes_and_cannot_is_heard(fake):
    """A full disk is no broken connection, and nothing is tried again."""
    here = store(fake)
    image = _stage_image.look(here, pushed(fake))
    before = len(fake.requests("GET", "blobs"))

    def full(block):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        _stage_image.feed_from(here, image, shutil.which, pipes)([full])
    assert len(fake.requests("GET", "blobs")) == before + 1


# -- lies ------------------------------------------------------------------------------------------------------------


def changed(fake, change):
    """The image with its manifest changed and stored under the digest that it then has."""
    pushed(fake)
    manifest = json.loads(fake.manifests["1"])
    change(manifest, fake)
    raw = json.dumps(manifest).encode()
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    fake.manifests[digest] = raw
    return ImageReference.parse("registry.example/team/app@" + digest)


def two_layers(manifest, fake):
    manifest["layers"] *= 2


def no_config(manifest, fake):
    del manifest["config"]


def odd_type(manifest, fake):
    manifest["layers"][0]["mediaType"] = "application/vnd.example.layer.v1.rot13"


def another_config(content):
    def change(manifest, fake):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        fake.blobs[digest] = content
        manifest["config"].update(digest=digest, size=len(content))

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (two_layers, "does not have exactly one layer"),
        (no_config, "names no configuration"),
        (odd_type, "media type application/vnd.example.layer.v1.rot13"),
        (another_config(b"[]"), "is not a JSON object"),
        (another_config(b"{"), "is not a JSON object"),
        (another_config(b'{"rootfs": 1}'), "does not name the digest of its one layer"),
        (another_config(b'{"rootfs": {"diff_ids": ["sha256:1"]}}'), "does not name the digest of its one layer"),
    ],
)
def test_images_that_are_no_checkpoint(fake, change, words):
    with pytest.raises(ArchiveError, match=words):
        _stage_image.look(store(fake), changed(fake, change))


def test_not_pinned_not_there_or_changed(fake):
    here, reference = store(fake), pushed(fake)
    with pytest.raises(InputError, match="not given by digest"):
        _stage_image.look(here, ImageReference.parse("registry.example/team/app:1"))
    with pytest.raises(RegistryError, match="there is no image"):
        _stage_image.look(here, ImageReference.parse("registry.example/team/app@sha256:" + "0" * 64))
    fake.manifests[reference.digest] += b" "
    with pytest.raises(ArchiveError, match="it was changed"):
        _stage_image.look(here, reference)


@pytest.mark.parametrize("what", [ARCHIVE[:-512] + b"\1" * 512, ARCHIVE + bytes(512), ARCHIVE[:-1024]])
def test_a_layer_that_was_changed(fake, what):
    here = store(fake)
    image = _stage_image.look(here, pushed(fake))
    fake.blobs["sha256:" + DIGEST] = what
    with pytest.raises(ArchiveError, match="layer of .* (does not have the digest|is larger than)"):
        read(here, image)


@pytest.mark.parametrize(
    "content, words",
    [
        (gzip.compress(ARCHIVE)[:-20], "truncated"),
        (b"\x1f\x8b" + b"\0" * 100, "damaged"),
        (gzip.compress(ARCHIVE) + b"more", "something behind"),
    ],
)
def test_damaged_gzip(fake, content, words):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()

    def change(manifest, registry):
        registry.blobs[digest] = content
        manifest["layers"][0].update(
            digest=digest, size=len(content), mediaType=manifest["layers"][0]["mediaType"] + "+gzip"
        )

    here = store(fake)
    image = _stage_image.look(here, changed(fake, change))
    with pytest.raises(CheckpointError, match=words):
        read(here, image)


def test_zstd_is_not_installed(fake):
    here = store(fake)
    image = _stage_image.CheckpointImage("x", _stage_image.look(here, pushed(fake)).layer, "zstd", DIGEST)
    with pytest.raises(RuntimeToolError, match="zstd, which is not installed"):
        read(here, image, find=lambda name: None)
