# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_build as build
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_pod as pods
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, CheckpointError, InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_unpack import Unpacker
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture_bytes

ARCHIVE = fixture_bytes("containerd-counter-counter")
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()
TARGET = stage.Target("default", "counter", "uid-1", "counter")


def order(**changes):
    values = dict(namespace="default", pod="counter", container="counter", archive_sha256=DIGEST, pod_uid="uid-1")
    values.update(changes)
    return build.Order(**values)


def feed(data=ARCHIVE, split=65536):
    def give(sinks):
        for start in range(0, len(data), split):
            for sink in sinks:
                sink(data[start:start + split])
    return give


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    return str(tmp_path / "restore")


def only(root):
    entries = stage.entries(root)
    assert len(entries) == 1
    return entries[0]


def pod_object(**changes):
    made = {
        "metadata": {"namespace": "default", "name": "counter", "uid": "uid-1", "ownerReferences": [{"controller": True, "uid": "o"}]},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "counter", "image": "c@sha256:" + "a" * 64}]},
    }
    made["spec"].update(changes)
    return made


def test_staged_entry(root):
    staged = build.stage(root, order(), feed())
    entry = only(root)
    assert entry.state == "staged"
    assert entry.entitled(TARGET)
    assert staged.document["checkpoint"]["sha256"] == DIGEST
    assert sorted(name for name in os.listdir(entry.path)) == ["checkpoint", "entry.json", "rootfs-diff.tar", "spec.dump"]
    for directory, names, files in os.walk(root):
        for name in names + files:
            assert os.lstat(os.path.join(directory, name)).st_mode & 0o077 == 0
    assert os.listdir(os.path.join(root, "incoming")) == []
    assert "container.log" not in staged.document["files"]
    assert build.existing(root, order()).id == entry.id


@pytest.mark.parametrize("other", [
    stage.Target("default", "counter", "uid-2", "counter"),
    stage.Target("other", "counter", "uid-1", "counter"),
    stage.Target("default", "counter2", "uid-1", "counter"),
    stage.Target("default", "counter", "uid-1", "other"),
    stage.Target("default", "counter", "", "counter"),
])
def test_only_its_pod_is_entitled(root, other):
    build.stage(root, order(), feed())
    assert not only(root).entitled(other)


def test_an_entry_without_uid_entitles_nobody():
    entry = stage.Entry("0" * 32, "staged", "/x", {"binding": {"namespace": "default", "pod": "counter", "container": "counter", "pod_uid": None}})
    assert entry.names(TARGET)
    assert not entry.entitled(stage.Target("default", "counter", "", "counter"))


@pytest.mark.parametrize(("changes", "text"), [
    ({"archive_sha256": "0" * 64}, "it is another one, or it was changed"),
    ({"namespace": "other"}, "namespace is 'default', not 'other'"),
    ({"container": "other"}, "container is 'counter', not 'other'"),
    ({"pod": "other"}, "pod is 'counter', not 'other'"),
    ({"base_image_digest": "sha256:" + "0" * 64}, "base image has the digest"),
    ({"pod_uid": None}, "a name alone would let anybody"),
    ({"pod_uid": None, "owner_uid": "o"}, "a name alone would let anybody"),
    ({"record": {"id": "r", "archive": {"sha256": "1"}, "source": {}}}, "of another archive"),
    ({"pod_object": pod_object(hostPID=True)}, "hostPID"),
    ({"pod_object": pod_object(shareProcessNamespace=True)}, "shareProcessNamespace"),
    ({"pod_object": pod_object(securityContext={"runAsUser": 1000})}, "more privileges"),
    ({"pod_object": dict(pod_object(), metadata={"namespace": "default", "name": "counter"})}, "it has no UID"),
])
def test_refused_and_nothing_left(root, changes, text):
    with pytest.raises(CheckpointError, match=text):
        build.stage(root, order(**changes), feed())
    assert stage.entries(root) == []
    assert not os.path.isdir(os.path.join(root, "incoming")) or os.listdir(os.path.join(root, "incoming")) == []


def test_another_machine_is_refused(root, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "aarch64")
    with pytest.raises(RestoreError, match="made on x86_64 and this node is aarch64"):
        build.stage(root, order(), feed())


@pytest.mark.parametrize("length", [0, 512, 100000, len(ARCHIVE) - 2048])
def test_truncated(root, length):
    with pytest.raises(ArchiveError):
        build.stage(root, order(), feed(ARCHIVE[:length]))
    assert stage.entries(root) == []


@pytest.mark.parametrize("name", ["checkpoint/../../../etc/x", "/etc/x", "checkpoint/link"])
def test_unpacking_stays_inside(tmp_path, name):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo(name)
        if name.endswith("link"):
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    unpacker = Unpacker(str(tmp_path))
    with pytest.raises(ArchiveError):
        unpacker.feed(raw.getvalue())
    assert os.listdir(tmp_path) == []


def test_a_second_one_is_refused(root):
    build.stage(root, order(), feed())
    with pytest.raises(RestoreError, match="already staged"):
        build.existing(root, order(archive_sha256="1" * 64))
    assert build.existing(root, order(pod_uid="uid-2")) is None


def test_claim_moves_once_and_knows_its_claimer(root):
    build.stage(root, order(), feed())
    staged = only(root)
    with stage.locked(root):
        claimed = stage.claim(root, staged, "cid", 2)
    assert claimed.state == "claimed"
    claim = stage.claim_of(claimed)
    assert (claim["container_id"], claim["attempt"], claim["started"]) == ("cid", 2, False)
    assert stage.claimer_lives(claim)
    assert stage.in_use(claimed)
    assert not stage.claimer_lives(dict(claim, start_time=1))
    assert not stage.claimer_lives(dict(claim, boot_id="another"))
    with pytest.raises(FileNotFoundError):
        stage.move(root, staged, stage.CLAIMED)
    stage.mark_started(claimed)
    assert stage.claim_of(claimed)["started"]


def test_finish_keeps_the_story_and_forgets_the_memory(root):
    build.stage(root, order(), feed())
    entry = stage.finish(root, only(root), stage.DONE, {"outcome": "restored", "finished_at": 1.0})
    assert sorted(os.listdir(entry.path)) == ["entry.json", "status.json"]
    assert stage.describe(entry, 0)["status"]["outcome"] == "restored"


@pytest.mark.parametrize(("policy", "uid", "state"), [("fail", "uid-1", "failed"), ("cold_start", "uid-1", "done")])
def test_expiry(root, policy, uid, state):
    build.stage(root, order(policy=policy, pod_uid=uid, expires=10), feed())
    assert stage.expire(root, time.time(), 100) == []
    assert [what for _name, what in stage.expire(root, time.time() + 11, 100)] == ["expired"]
    assert only(root).state == state
    assert stage.status_of(only(root))["outcome"] == "expired"
    assert "checkpoint" not in os.listdir(only(root).path)
    assert [what for _name, what in stage.expire(root, time.time() + 200, 100)] == ["removed"]
    assert stage.entries(root) == []


def test_remains_of_a_staging_that_died_are_removed(root):
    stage.ensure_root(root)
    os.mkdir(os.path.join(root, "incoming", "f" * 32))
    assert stage.expire(root, time.time(), 100) == [("f" * 32, "removed")]
    assert os.listdir(os.path.join(root, "incoming")) == []


def test_the_directory_must_be_roots_own(root, tmp_path):
    stage.ensure_root(root)
    os.chmod(root, 0o750)
    with pytest.raises(RestoreError, match="mode 0750"):
        stage.check_root(root)
    os.chmod(root, 0o700)
    os.symlink(root, tmp_path / "link")
    with pytest.raises(RestoreError, match="a link is not accepted"):
        stage.check_root(str(tmp_path / "link"))
    with pytest.raises(RestoreError, match="cannot be used"):
        stage.check_root(str(tmp_path / "nowhere"))


def test_what_is_no_entry_is_not_looked_at(root):
    stage.ensure_root(root)
    for name in ("../x", "short", "g" * 32):
        assert stage.load(root, stage.STAGED, name) is None
    path = os.path.join(root, "staged", "a" * 32)
    os.mkdir(path)
    for text in ("{", "[]", "{}", '{"schema": 2}'):
        with open(os.path.join(path, "entry.json"), "w", encoding="ascii") as stream:
            stream.write(text)
        assert stage.entries(root) == []


def test_binding_a_pod_that_its_owner_made(root, monkeypatch):
    made = pod_object()
    digest = "sha256:" + "a" * 64
    monkeypatch.setattr(build, "check", lambda *_arguments: [])
    build.stage(root, order(pod_uid=None, owner_uid="o", service_account="default", base_image_digest=digest), feed())
    name = only(root).id
    with pytest.raises(InputError):
        build.bind(root, name, order())
    for wrong, text in (
        (dict(made, metadata=dict(made["metadata"], ownerReferences=[])), "controlling owner"),
        (pod_object(serviceAccountName="admin"), "ServiceAccount"),
        (pod_object(containers=[{"name": "counter", "image": "c@sha256:" + "b" * 64}]), "its image"),
        (pod_object(containers=[{"name": "counter", "image": "c:1"}]), "not pinned by digest"),
        (pod_object(containers=[]), "no container"),
    ):
        with pytest.raises(RestoreError, match=text):
            build.bind(root, name, order(pod_object=wrong))
    assert not only(root).entitled(TARGET)
    build.bind(root, name, order(pod_object=made), check_mode=True)
    assert not only(root).entitled(TARGET)
    build.bind(root, name, order(pod_object=made))
    assert only(root).entitled(TARGET)


def test_privileges_that_a_pod_asks_for():
    grant = pods._as_oci({"securityContext": {"runAsUser": 5, "fsGroup": 7}}, {"securityContext": {
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}}})
    assert grant["process"]["user"] == {"uid": 5, "gid": 0, "additionalGids": [7]}
    assert grant["process"]["capabilities"]["bounding"] == ["NET_ADMIN"]
    assert grant["process"]["noNewPrivileges"]
    assert grant["linux"]["seccomp"]
