# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image import ImageJob, ImageRequest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_layout import (
    LayoutTarget,
    TarTarget,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_target import Rehearsal
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    fixture,
    fixture_bytes,
)

REAL = fixture_bytes("containerd-counter-counter")
NAME = "registry.example/counter:1"


def make(target, src=None, rehearse=False, compression="none"):
    image = ImageJob(
        ImageRequest(src or fixture("containerd-counter-counter"), compression),
        Rehearsal(target) if rehearse else target,
        lambda name: None,
        None,
    )
    return image.make(), image.progress


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def check_layout(read, digest, names):
    """Follow the layout from its index to the layer; every document must have the digest by which it is called."""
    assert json.loads(read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    entries = json.loads(read("index.json"))["manifests"]
    assert [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in entries] == names
    assert entries[-1]["digest"] == digest
    manifest = read("blobs/sha256/" + digest[7:])
    assert sha256(manifest) == digest and len(manifest) == entries[-1]["size"]
    for descriptor in [json.loads(manifest)["config"]] + json.loads(manifest)["layers"]:
        blob = read("blobs/sha256/" + descriptor["digest"][7:])
        assert (sha256(blob), len(blob)) == (descriptor["digest"], descriptor["size"])
    return read("blobs/sha256/" + json.loads(manifest)["layers"][0]["digest"][7:])


def read_from(directory):
    return lambda name: (directory / name).read_bytes()


def read_from_tar(path):
    def read(name):
        with tarfile.open(path) as archive:
            return archive.extractfile(name).read()

    return read


def test_directory(tmp_path):
    changed, result = make(LayoutTarget(str(tmp_path / "layout"), NAME))
    assert changed
    assert check_layout(read_from(tmp_path / "layout"), result["digest"], [NAME]) == REAL
    assert result["bytes_read"] == len(REAL)
    for path in (tmp_path / "layout").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert sorted(path.name for path in (tmp_path / "layout" / "blobs" / "sha256").iterdir()) == sorted(
        [blob["digest"][7:] for blob in result["blobs"]] + [result["digest"][7:]]
    )


def test_directory_again_is_unchanged(tmp_path):
    first = make(LayoutTarget(str(tmp_path), NAME))[1]
    index = (tmp_path / "index.json").stat().st_mtime_ns
    changed, second = make(LayoutTarget(str(tmp_path), NAME))
    assert (changed, second["bytes_sent"], second["digest"]) == (False, 0, first["digest"])
    assert (tmp_path / "index.json").stat().st_mtime_ns == index


def test_directory_keeps_other_images(tmp_path):
    make(LayoutTarget(str(tmp_path), NAME))
    result = make(LayoutTarget(str(tmp_path), "registry.example/two:1"), fixture("crio-two-a"))[1]
    check_layout(read_from(tmp_path), result["digest"], [NAME, "registry.example/two:1"])
    changed, result = make(LayoutTarget(str(tmp_path), NAME), fixture("crio-two-b"))
    assert changed
    check_layout(read_from(tmp_path), result["digest"], ["registry.example/two:1", NAME])


def test_directory_without_a_name(tmp_path):
    result = make(LayoutTarget(str(tmp_path), None))[1]
    check_layout(read_from(tmp_path), result["digest"], [None])
    assert make(LayoutTarget(str(tmp_path), None))[0] is False


def test_directory_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(CheckpointError, match="other content, not an OCI image layout"):
        make(LayoutTarget(str(tmp_path), NAME))
    assert os.listdir(tmp_path) == ["precious"]


@pytest.mark.parametrize("digest", ["sha256:../../../etc/shadow", "sha512:" + "a" * 64, "x"])
def test_an_index_cannot_lead_out_of_the_layout(tmp_path, digest):
    (tmp_path / "oci-layout").write_text("{}")
    entry = {"digest": digest, "annotations": {"org.opencontainers.image.ref.name": NAME}}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    with pytest.raises(CheckpointError, match="not a sha256 digest"):
        make(LayoutTarget(str(tmp_path), NAME))


def test_tar(tmp_path):
    path = tmp_path / "image.tar"
    changed, result = make(TarTarget(str(path), NAME))
    assert changed
    assert check_layout(read_from_tar(path), result["digest"], [NAME]) == REAL
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["image.tar"]


def test_tar_is_the_same_each_time_and_again_is_unchanged(tmp_path):
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    make(TarTarget(str(first), NAME))
    make(TarTarget(str(second), NAME))
    assert first.read_bytes() == second.read_bytes()
    assert make(TarTarget(str(first), NAME))[0] is False


def test_tar_with_a_compressed_layer(tmp_path):
    path = tmp_path / "image.tar"
    result = make(TarTarget(str(path), NAME), compression="gzip")[1]
    check_layout(read_from_tar(path), result["digest"], [NAME])
    assert make(TarTarget(str(path), NAME), compression="gzip")[0] is False
    assert make(TarTarget(str(path), NAME), compression="none")[0] is True


def test_a_file_that_is_no_tar_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(CheckpointError, match="exists and is not an OCI archive"):
        make(TarTarget(str(tmp_path / "notes.txt"), NAME))
    assert (tmp_path / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("kind", [LayoutTarget, TarTarget])
def test_rehearsal_writes_nothing_and_predicts(tmp_path, kind):
    path = tmp_path / "there"
    changed, predicted = make(kind(str(path), NAME), rehearse=True)
    assert changed and os.listdir(tmp_path) == []
    result = make(kind(str(path), NAME))[1]
    for outcome in (predicted, result):
        outcome.pop("stages")
    assert predicted == result


@pytest.mark.parametrize("kind", [LayoutTarget, TarTarget])
def test_a_broken_archive_leaves_nothing_visible(tmp_path, kind):
    src = tmp_path / "broken.tar"
    src.write_bytes(REAL[:-1024])
    with pytest.raises(ArchiveError, match="truncated"):
        make(kind(str(tmp_path / "there"), NAME), str(src))
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) in (["broken.tar"], ["broken.tar", "oci-layout"])


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "image.tar"
    (tmp_path / ".image.tar.partial-dead").write_bytes(b"x")
    living = TarTarget(str(path), NAME)
    living.writer(None).write(b"x")
    make(TarTarget(str(path), NAME))
    left = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert len(left) == 1 and "dead" not in left[0]
    living.abort()
    assert os.listdir(tmp_path) == ["image.tar"]


def test_a_disk_that_is_full_is_an_error(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    target = LayoutTarget(str(tmp_path), NAME)
    writer = target.writer(None)
    os.dup2(os.open("/dev/full", os.O_WRONLY), target._partial.stream.fileno())
    with pytest.raises(CheckpointError, match="No space left on device"):
        writer.write(b"x" * 100)
    writer.abort()
    assert os.listdir(tmp_path / "blobs" / "sha256") == []


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot be read or written"):
        make(LayoutTarget(str(tmp_path / "file" / "layout"), NAME))
