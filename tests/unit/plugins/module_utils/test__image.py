# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    InputError,
    RegistryError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import HttpClient
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image import (
    ImageJob,
    ImageRequest,
    nothing_yet,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_target import (
    RegistryTarget,
    Rehearsal,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import verify_archive
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    archive,
    documents,
    fixture_bytes,
    header,
    member,
    named_archive,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry

CHUNK = 65536
REAL = fixture_bytes("containerd-counter-counter")
ZSTD = shutil.which("zstd")


@pytest.fixture
def fake():
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def src(tmp_path):
    path = tmp_path / "checkpoint.tar"
    path.write_bytes(REAL)
    return str(path)


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def run_with_pipes(argv, pass_fds, started):
    process = subprocess.Popen(
        argv, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started()
    out, err = process.communicate()
    return process.returncode, out, err


def job(fake, src, rehearse=False, tag="1", retries=2, chunk=0, **request):
    registry = Registry(HttpClient(timeout=60).send, fake.url, "team/app", retries=retries, sleep=lambda seconds: None)
    target = RegistryTarget(registry, tag, chunk)
    return ImageJob(
        ImageRequest(src=src, **request),
        Rehearsal(target) if rehearse else target,
        find=lambda name: ZSTD,
        run=run_with_pipes,
        restarts=retries,
    )


def make(fake, src, **request):
    """Make an image; return changed and the result."""
    image = job(fake, src, **request)
    return image.make(), image.progress


def write_record(src):
    return _record.write(src, _record.build(src, verify_archive(src)))


# What an image is ---------------------------------------------------------------------------------


def test_the_archive_is_the_layer(fake, src):
    changed, result = make(fake, src)
    assert changed
    manifest = json.loads(fake.manifests["1"])
    config = json.loads(fake.blobs[manifest["config"]["digest"]])
    assert fake.blobs[manifest["layers"][0]["digest"]] == REAL
    assert manifest["layers"] == [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(REAL), "size": len(REAL)}
    ]
    assert config["rootfs"]["diff_ids"] == [sha256(REAL)] and (config["architecture"], config["os"]) == (
        "amd64",
        "linux",
    )
    assert config["created"] == "2026-11-21T11:55:44.162409Z"
    assert manifest["annotations"]["org.criu.checkpoint.container.name"] == "counter"
    assert manifest["annotations"]["io.kubernetes.cri-o.annotations.checkpoint.name"] == "counter"
    assert result["digest"] == sha256(fake.manifests["1"])
    assert result["layer"] == {
        "digest": sha256(REAL),
        "size": len(REAL),
        "diff_id": sha256(REAL),
        "media_type": "application/vnd.oci.image.layer.v1.tar",
    }
    assert result["annotations"] == manifest["annotations"]
    assert result["identity"]["pod"] == "counter"
    assert set(result) == set(nothing_yet())


def test_the_archive_is_read_once_and_sent_once(fake, src, monkeypatch):
    opened = []
    real_open = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *args, **kwargs: (opened.append(path), real_open(path, *args, **kwargs))[1]
    )
    result = make(fake, src)[1]
    assert opened.count(src) == 1
    assert result["bytes_read"] == len(REAL)
    assert result["bytes_sent"] == sum(len(blob) for blob in fake.blobs.values()) + len(fake.manifests["1"])
    assert sum(fake.patched) == len(REAL)


@pytest.mark.parametrize(
    "compression", ["gzip", pytest.param("zstd", marks=pytest.mark.skipif(ZSTD is None, reason="no zstd"))]
)
def test_a_compressed_layer_unpacks_to_the_archive(fake, src, compression):
    result = make(fake, src, compression=compression)[1]
    layer = fake.blobs[result["layer"]["digest"]]
    unpacked = (
        gzip.decompress(layer)
        if compression == "gzip"
        else subprocess.run([ZSTD, "-dc"], input=layer, stdout=subprocess.PIPE, check=True).stdout
    )
    assert unpacked == REAL
    assert result["layer"]["diff_id"] == sha256(REAL)
    assert result["layer"]["media_type"] == "application/vnd.oci.image.layer.v1.tar+" + compression
    assert result["layer"]["size"] == len(layer) < len(REAL)
    assert result["bytes_read"] == len(REAL)


@pytest.mark.parametrize(
    "compression", ["none", "gzip", pytest.param("zstd", marks=pytest.mark.skipif(ZSTD is None, reason="no zstd"))]
)
def test_the_same_archive_is_the_same_image_with_and_without_a_record(fake, src, compression, tmp_path):
    first = make(fake, src, compression=compression)[1]
    copy = tmp_path / "other-name.tar"
    shutil.copyfile(src, copy)
    os.utime(copy, (1, 1))
    write_record(str(copy))
    with FakeRegistry() as other:
        assert make(other, str(copy), compression=compression)[1]["digest"] == first["digest"]


def test_architecture_and_annotations_can_be_given(fake, src):
    result = make(fake, src, machine="aarch64", annotations={"example.com/ticket": "4711"})[1]
    manifest = json.loads(fake.manifests["1"])
    assert json.loads(fake.blobs[manifest["config"]["digest"]])["architecture"] == "arm64"
    assert result["annotations"]["example.com/ticket"] == "4711"


# Again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_again_is_unchanged_and_sends_nothing(fake, src, compression):
    first = make(fake, src, compression=compression)[1]
    fake.log.clear()
    changed, second = make(fake, src, compression=compression)
    assert not changed
    assert {entry[0] for entry in fake.log} <= {"GET", "HEAD"}
    assert (second["bytes_read"], second["bytes_sent"]) == (len(REAL), 0)
    assert [blob["existed"] for blob in second["blobs"]] == [True, True]
    for key in ("digest", "layer", "annotations", "identity"):
        assert second[key] == first[key]


def test_again_with_a_record_reads_nothing(fake, src):
    write_record(src)
    first = make(fake, src)[1]
    changed, second = make(fake, src)
    assert (changed, second["bytes_read"], second["bytes_sent"], second["digest"]) == (False, 0, 0, first["digest"])


def test_a_second_tag_sends_only_the_manifest_if_there_is_a_record(fake, src):
    write_record(src)
    make(fake, src)
    changed, result = make(fake, src, tag="2")
    assert changed and fake.manifests["2"] == fake.manifests["1"]
    assert (result["bytes_read"], result["bytes_sent"]) == (0, len(fake.manifests["1"]))
    assert [blob["sent"] for blob in result["blobs"]] == [False, False]


def test_an_archive_touched_after_its_record_is_read_again(fake, src):
    record = write_record(src)
    make(fake, src)
    os.utime(record, (1, 1))
    assert make(fake, src)[1]["bytes_read"] == len(REAL)


def test_another_archive_under_the_same_tag_replaces_it(fake, src, tmp_path):
    make(fake, src)
    other = tmp_path / "other.tar"
    other.write_bytes(named_archive("default", "counter", "counter"))
    image = job(fake, str(other))
    assert image.make()
    assert sha256(image.previous) != image.progress["digest"] == sha256(fake.manifests["1"])


def test_same_names_and_size_but_other_bytes_are_another_image(fake, src):
    make(fake, src)
    # A page of memory in the middle of a member: nothing else tells the two apart.
    where = REAL.index(b"checkpoint/pages-1.img") + 4096
    with open(src, "r+b") as stream:
        stream.seek(where)
        stream.write(bytes(byte ^ 255 for byte in REAL[where : where + 1]))
    changed, result = make(fake, src)
    assert changed and result["layer"]["digest"] != sha256(REAL)


def test_another_compression_or_an_incomplete_image_is_made_again(fake, src):
    first = make(fake, src)[1]
    assert make(fake, src, compression="gzip")[0]
    assert make(fake, src)[0]
    del fake.blobs[first["layer"]["digest"]]
    assert make(fake, src)[0]
    assert first["layer"]["digest"] in fake.blobs


@pytest.mark.parametrize("content", [b"{}", b"[]", b"junk", b'{"layers": 5, "annotations": []}'])
def test_something_else_under_the_tag_is_replaced(fake, src, content):
    fake.manifests["1"] = content
    assert make(fake, src)[0]


# Check mode ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compression", ["none", "gzip", pytest.param("zstd", marks=pytest.mark.skipif(ZSTD is None, reason="no zstd"))]
)
def test_rehearsal_predicts_everything_and_sends_nothing(fake, src, compression):
    predicted_changed, predicted = make(fake, src, rehearse=True, compression=compression)
    assert {entry[0] for entry in fake.log} == {"GET", "HEAD"} and not fake.blobs and not fake.uploads
    changed, result = make(fake, src, compression=compression)
    assert predicted_changed is changed is True
    for outcome in (predicted, result):
        outcome.pop("stages")
    assert predicted == result
    assert make(fake, src, rehearse=True, compression=compression)[0] is False


# Archives that are refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, says",
    [
        (REAL[:-1024], "truncated"),
        (REAL[: len(REAL) // 2], "truncated"),
        (b"", "empty"),
        (b"\x28\xb5\x2f\xfd" + bytes(2000), "compressed with zstd"),
        (archive(header("link", kind=b"2", link=b"/etc/shadow")), "only regular files and directories"),
        (archive(header("dev", kind=b"3")), "only regular files and directories"),
        (archive(member("../escape", b"x")), "leads out of it"),
        (archive(member("/absolute", b"x")), "absolute name"),
        (archive(member("checkpoint/.wh.pages-1.img", b"x")), "deletion"),
        (archive(config_dump=None), "no config.dump"),
        (
            archive(spec_dump={"annotations": {"io.container.manager": "libpod"}, "process": {}}),
            "not of a Kubernetes container",
        ),
        (
            archive(
                spec_dump=dict(
                    documents()["spec.dump"],
                    annotations=dict(documents()["spec.dump"]["annotations"], **{"cdi.k8s.io/x": "y"}),
                )
            ),
            "cdi.k8s.io",
        ),
    ],
)
def test_hostile_and_broken_archives_never_become_visible(fake, src, content, says):
    with open(src, "wb") as stream:
        stream.write(content)
    image = job(fake, src)
    with pytest.raises(ArchiveError, match=says):
        image.make()
    assert fake.manifests == {} and fake.blobs == {} and fake.uploads == {}
    assert image.progress["digest"] is None


def test_an_archive_that_changes_meanwhile_never_becomes_visible(fake, src):
    def grow(handler):
        if handler.command == "POST":
            with open(src, "ab") as stream:
                stream.write(bytes(10240))
        return False

    with fake.faulty(grow), pytest.raises(ArchiveError, match="changed since it was looked at"):
        make(fake, src)
    assert fake.manifests == {} and fake.blobs == {}


def test_a_missing_archive(fake, tmp_path):
    with pytest.raises(ArchiveError, match="nowhere.tar cannot be read: No such file"):
        make(fake, str(tmp_path / "nowhere.tar"))


def test_an_archive_that_is_a_link_is_refused(fake, src, tmp_path):
    link = tmp_path / "link.tar"
    link.symlink_to(src)
    with pytest.raises(ArchiveError):
        make(fake, str(link))
    assert fake.manifests == {}


# The record ---------------------------------------------------------------------------------------


def test_an_archive_that_differs_from_its_record_never_becomes_visible(fake, src):
    record = write_record(src)
    where = REAL.index(b"checkpoint/pages-1.img") + 4096
    with open(src, "r+b") as stream:
        stream.seek(where)
        stream.write(b"\0" if REAL[where] else b"\1")
    for age in ((1, 1), None):
        os.utime(record, age)
        with pytest.raises(ArchiveError, match="record says.*it was changed after it was verified"):
            make(fake, src)
    assert fake.manifests == {} and sha256(REAL) not in fake.blobs


def test_a_truncated_archive_is_told_by_its_record(fake, src):
    write_record(src)
    os.truncate(src, len(REAL) - 512)
    with pytest.raises(ArchiveError, match="its record says %d: it was truncated" % len(REAL)):
        make(fake, src)


def test_a_record_of_another_container_is_an_error(fake, src, tmp_path):
    other = tmp_path / "other.tar"
    other.write_bytes(fixture_bytes("containerd-two-a"))
    record = _record.build(str(other), verify_archive(str(other)))
    record["archive"]["bytes"] = len(REAL)
    path = _record.write(str(other), record)
    with pytest.raises(ArchiveError, match="not of the container that was asked for"):
        make(fake, src, record_path=path)
    assert fake.manifests == {} and fake.blobs == {}


def test_a_record_that_was_asked_for_must_be_there(fake, src, tmp_path):
    with pytest.raises(CheckpointError, match="missing.json"):
        make(fake, src, record_path=str(tmp_path / "missing.json"))


# The registry fails -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compression", ["none", "gzip", pytest.param("zstd", marks=pytest.mark.skipif(ZSTD is None, reason="no zstd"))]
)
def test_a_broken_stream_is_read_again_and_only_the_rest_is_sent(fake, src, compression):
    cuts = [1]

    def cut(handler):
        if handler.command != "PATCH" or not cuts:
            return False
        cuts.pop()
        fake.uploads[handler.path.rpartition("/")[2].partition("?")[0]] += handler.body()[:20000]
        handler.cut()
        return True

    with fake.faulty(cut):
        changed, result = make(fake, src, compression=compression)
    assert (
        changed
        and "sha256:" + hashlib.sha256(fake.blobs[result["layer"]["digest"]]).hexdigest() == result["layer"]["digest"]
    )
    assert fake.patched == [result["layer"]["size"] - 20000]
    assert result["bytes_read"] == 2 * len(REAL)
    assert len(fake.requests("POST", "/blobs/uploads/")) == 2
    assert fake.uploads == {}


def test_a_stream_that_always_breaks_ends_and_leaves_no_session(fake, src):
    def cut(handler):
        if handler.command != "PATCH":
            return False
        handler.body()
        handler.cut()
        return True

    with fake.faulty(cut), pytest.raises(RegistryError, match="sending a blob"):
        make(fake, src)
    assert len(fake.requests("PATCH")) == 3 and len(fake.requests("POST")) == 1
    assert fake.uploads == {} and fake.manifests == {}


def test_a_lost_session_starts_again_and_counts_what_was_read(fake, src):
    lost = [1]

    def forget(handler):
        if handler.command == "PATCH" and fake.patched and lost:
            lost.pop()
            fake.uploads.clear()
        return False

    with fake.faulty(forget):
        changed, result = make(fake, src, chunk=CHUNK)
    assert changed and fake.blobs[result["layer"]["digest"]] == REAL
    assert result["bytes_read"] > len(REAL)


def test_sessions_that_are_always_lost_end(fake, src):
    def forget(handler):
        if handler.command == "PATCH":
            fake.uploads.clear()
        return False

    with fake.faulty(forget), pytest.raises(RegistryError, match="404"):
        make(fake, src)
    assert len(fake.requests("POST")) == 3 and fake.manifests == {}


def test_a_failure_keeps_what_was_reached(fake, src):
    def refuse(handler):
        if handler.command == "PUT" and "/manifests/" in handler.path:
            handler.drain()
            handler.refuse(403, "DENIED")
            return True
        return False

    image = job(fake, src)
    with fake.faulty(refuse), pytest.raises(RegistryError, match="writing manifest 1 failed.*403"):
        image.make()
    progress = image.progress
    assert progress["layer"]["digest"] == sha256(REAL) and progress["bytes_sent"] > len(REAL) and progress["digest"]


def test_zstd_that_is_not_installed_sends_nothing(fake, src):
    image = job(fake, src, compression="zstd")
    image._find = lambda name: None
    with pytest.raises(CheckpointError, match="zstd is not installed"):
        image.make()
    assert fake.blobs == {} and fake.uploads == {}


def test_a_level_that_does_not_exist_is_refused_before_anything_is_asked(fake, src):
    with pytest.raises(InputError, match="no level 20"):
        make(fake, src, compression="zstd", level=20)
    assert fake.log == []
