# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _rootfs_diff as diff
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError


def member(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, **extra):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    info.uid, info.gid, info.mtime = os.getuid(), os.getgid(), 1000000000
    for key, value in extra.items():
        setattr(info, key, value)
    return info, data


def packed(*members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


@pytest.fixture
def root(tmp_path):
    base = tmp_path / "root"
    (base / "etc").mkdir(parents=True)
    (base / "etc/passwd").write_text("old")
    (base / "dir/sub").mkdir(parents=True)
    (base / "dir/sub/file").write_text("x")
    (base / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").mkdir()
    return base


def apply(root, data, deleted=None, **limits):
    return diff.apply(str(root), io.BufferedReader(io.BytesIO(data)), deleted, **limits)


@pytest.mark.parametrize("wrap", [lambda data: data, gzip.compress])
def test_files_links_modes_and_times(root, wrap):
    applied = apply(root, wrap(packed(
        member("etc", tarfile.DIRTYPE, mode=0o750),
        member("etc/passwd", data=b"new", mode=0o4711),
        member("etc/hard", tarfile.LNKTYPE, link="etc/passwd"),
        member("etc/soft", tarfile.SYMTYPE, link="/anywhere"),
        member("new/deep/file", data=b"y"),
        member("etc/pipe", tarfile.FIFOTYPE, mode=0o600),
    )))
    assert (root / "etc/passwd").read_text() == "new"
    assert stat.S_IMODE((root / "etc/passwd").stat().st_mode) == 0o4711
    assert (root / "etc/passwd").stat().st_mtime == 1000000000
    assert (root / "etc/hard").stat().st_ino == (root / "etc/passwd").stat().st_ino
    assert os.readlink(root / "etc/soft") == "/anywhere"
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o750
    assert (root / "etc").stat().st_mtime == 1000000000
    assert (root / "new/deep/file").read_text() == "y"
    assert stat.S_ISFIFO((root / "etc/pipe").stat().st_mode)
    assert applied.written == 6
    assert applied.bytes == 4


def test_whiteouts(root):
    applied = apply(root, packed(
        member("etc/.wh.passwd"),
        member(".wh.dir"),
        member("overlay", tarfile.CHRTYPE, devmajor=0, devminor=0),
        member(".wh.not-there"),
    ))
    assert not (root / "etc/passwd").exists()
    assert not (root / "dir").exists()
    assert applied.deleted == 2


def test_opaque_directory_loses_what_was_there_and_keeps_what_is_new(root):
    apply(root, packed(
        member("dir", tarfile.DIRTYPE, mode=0o755),
        member("dir/new", data=b"n"),
        member("dir/.wh..wh..opq"),
    ))
    assert sorted(os.listdir(root / "dir")) == ["new"]


def test_file_replaces_directory_and_directory_replaces_link(root, tmp_path):
    apply(root, packed(member("dir", data=b"f"), member("link", tarfile.DIRTYPE, mode=0o755), member("link/in", data=b"i")))
    assert (root / "dir").read_text() == "f"
    assert (root / "link/in").read_text() == "i"
    assert os.listdir(tmp_path / "outside") == []


def test_deleted_files(root):
    applied = apply(root, packed(), json.dumps(["/etc/passwd", "dir", "/", "/nowhere/x"]).encode())
    assert not (root / "etc/passwd").exists()
    assert not (root / "dir").exists()
    assert root.exists()
    assert applied.deleted == 2


@pytest.mark.parametrize(("members", "text"), [
    ([member("../escape", data=b"x")], "leads out"),
    ([member("a/../../escape", data=b"x")], "leads out"),
    ([member("link/escape", data=b"x")], "which is not a directory"),
    ([member("new", tarfile.SYMTYPE, link=".."), member("new/escape", data=b"x")], "which is not a directory"),
    ([member("hard", tarfile.LNKTYPE, link="../outside")], "leads out"),
    ([member("hard", tarfile.LNKTYPE, link="link/x")], "which is not a directory"),
    ([member("hard", tarfile.LNKTYPE, link="missing/x")], "does not exist"),
    ([member("null", tarfile.CHRTYPE, devmajor=1, devminor=3)], "is a device"),
    ([member("disk", tarfile.BLKTYPE, devmajor=8, devminor=0)], "is a device"),
    ([member("etc/.wh...")], "is not a whiteout"),
    ([member("link/.wh.x")], "which is not a directory"),
    ([member("link/.wh..wh..opq")], "which is not a directory"),
])
def test_hostile(root, tmp_path, members, text):
    with pytest.raises(ArchiveError, match=text):
        apply(root, packed(*members))
    assert os.listdir(tmp_path / "outside") == []
    assert sorted(os.listdir(tmp_path)) == ["outside", "root"]


@pytest.mark.parametrize("names", ["/../outside", "link/x", "a/../../outside"])
def test_hostile_deleted_files(root, tmp_path, names):
    (tmp_path / "outside/x").write_text("x")
    with pytest.raises(ArchiveError):
        apply(root, packed(), json.dumps([names]).encode())
    assert (tmp_path / "outside/x").exists()


@pytest.mark.parametrize("raw", [b"{", b"{}", b"[1]", b"\xff"])
def test_deleted_files_that_are_none(root, raw):
    with pytest.raises(ArchiveError, match="deleted.files"):
        apply(root, packed(), raw)


def test_bounds(root):
    with pytest.raises(ArchiveError, match="more than 3 bytes"):
        apply(root, packed(member("big", data=b"1234")), max_bytes=3)
    with pytest.raises(ArchiveError, match="more than 1 members"):
        apply(root, packed(member("a"), member("b")), max_members=1)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(packed(member("a", data=b"x" * 5000)), mtime=0)[:40],
        b"\x1f\x8b\x08" + b"\0" * 30,
        b"(\xb5/\xfd" + b"\0" * 600,
        b"junk" * 300,
    ],
)
def test_damaged(root, data):
    with pytest.raises(ArchiveError):
        apply(root, data)
    with pytest.raises(ArchiveError):
        diff.inspect(io.BufferedReader(io.BytesIO(data)))


def test_inspect_refuses_what_apply_refuses_by_name_or_kind():
    assert diff.inspect(io.BufferedReader(io.BytesIO(packed(member("a"), member("b"))))) == 2
    for info in (member("../x"), member("n", tarfile.CHRTYPE, devmajor=1, devminor=3), member("h", tarfile.LNKTYPE, link="../x"), member(".wh.")):
        with pytest.raises(ArchiveError):
            diff.inspect(io.BufferedReader(io.BytesIO(packed(info))))
