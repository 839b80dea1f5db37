# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import re
import stat

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record, _version
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import verify_archive
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture

POD = {
    "metadata": {
        "name": "counter",
        "ownerReferences": [
            {"kind": "Other", "name": "x"},
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "counter-5d4",
                "uid": "u1",
                "controller": True,
                "blockOwnerDeletion": True,
            },
        ],
    },
    "spec": {"containers": [{"name": "counter", "env": [{"name": "TOKEN", "value": "do-not-show"}]}]},
}


def make(name="containerd-counter-counter", **kwargs):
    return _record.build(
        fixture(name), verify_archive(fixture(name)), node="node1", pod=POD, stages={"call": 0.25}, **kwargs
    )


def test_the_contract():
    record = make(engine_version="v2.1.9")
    assert sorted(record) == sorted(
        "schema id source engine oci_runtime criu kernel arch cpu base_image archive created_at checkpointed_at stages"
        " frozen unfrozen_after_dump_ms mounts credentials tool_version".split()
    )
    assert set("cluster node namespace pod pod_uid owner container container_id restart_count".split()) <= set(
        record["source"]
    )
    assert record["schema"] == 1
    assert record["source"]["owner"] == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "counter-5d4",
        "uid": "u1",
    }
    assert record["engine"] == {"name": "containerd", "version": "v2.1.9"}
    assert sorted(record["archive"]) == ["bytes", "name", "sha256", "stored_sha256"]
    assert record["archive"]["bytes"] == os.path.getsize(fixture("containerd-counter-counter"))
    assert "do-not-show" not in json.dumps(record)


def test_the_same_archive_gives_the_same_id():
    assert make()["id"] == make()["id"] != make("crio-counter-counter")["id"]


def test_write_and_read(tmp_path):
    archive = str(tmp_path / "a.tar")
    path = _record.write(archive, make())
    assert path == archive + ".record.json" == _record.path_for(archive)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert _record.read(path) == make()
    assert os.listdir(str(tmp_path)) == ["a.tar.record.json"]


def test_the_pod_lies_beside(tmp_path):
    archive = str(tmp_path / "a.tar")
    path = _record.write_pod(archive, POD)
    assert path == archive + ".pod.json"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as stream:
        assert json.load(stream) == POD


def damaged(change):
    record = make()
    change(record)
    with pytest.raises(ArchiveError) as caught:
        _record.check(record, "/x.record.json")
    return caught.value.msg


def test_a_newer_schema_is_refused():
    assert (
        damaged(lambda record: record.update(schema=2))
        == "record /x.record.json has schema 2, and this version of the collection reads up to 1; use the version that"
        " wrote it or a newer one"
    )


@pytest.mark.parametrize(
    "change,text",
    [
        (lambda record: record.pop("schema"), "no schema number"),
        (lambda record: record.update(schema=True), "no schema number"),
        (lambda record: record.pop("archive"), "archive.name is missing"),
        (lambda record: record["archive"].update(bytes="5"), "archive.bytes is missing or of the wrong type"),
        (lambda record: record["archive"].update(bytes=-5), "archive.sha256 or archive.bytes cannot be right"),
        (lambda record: record["archive"].update(sha256="x"), "archive.sha256 or archive.bytes cannot be right"),
        (lambda record: record["archive"].update(name="../a.tar"), "archive.name is not a file name"),
        (lambda record: record["source"].update(container_id=None), "source.container_id is missing"),
        (lambda record: record.update(checkpointed_at="soon"), "checkpointed_at is not a time"),
    ],
)
def test_damaged_records(change, text):
    assert text in damaged(change)


@pytest.mark.parametrize(
    "content,text",
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "no schema number"),
        (b"\xff", "not valid JSON"),
        (b"[" * 200000, "not valid JSON"),
        (b" " * 5000000, "this is not a record"),
    ],
)
def test_damaged_files(tmp_path, content, text):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=re.escape(text)):
        _record.read(str(path))


def test_missing_and_linked_files(tmp_path):
    with pytest.raises(ArchiveError, match="cannot be read"):
        _record.read(str(tmp_path / "no"))
    target = _record.write(str(tmp_path / "a"), make())
    os.symlink(target, str(tmp_path / "link"))
    with pytest.raises(ArchiveError, match="cannot be read"):
        _record.read(str(tmp_path / "link"))


def test_the_version_is_the_collections():
    root = os.path.abspath(__file__)
    while not os.path.exists(os.path.join(root, "galaxy.yml")):
        root, before = os.path.dirname(root), root
        assert root != before
    with open(os.path.join(root, "galaxy.yml"), encoding="utf-8") as stream:
        assert "\nversion: %s\n" % _version.VERSION in stream.read()
