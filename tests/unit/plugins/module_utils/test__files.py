# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _files
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError


def test_write_replaces_in_one_step(tmp_path):
    path = str(tmp_path / "f")
    _files.write_atomic(path, b"old", mode=0o644)
    with open(path, "rb") as old:
        _files.write_atomic(path, b"new")
        assert old.read() == b"old"
    with open(path, "rb") as stream:
        assert stream.read() == b"new"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(str(tmp_path)) == ["f"]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = str(tmp_path / "f")
    _files.write_atomic(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError) as caught:
        _files.write_atomic(path, b"new")
    assert caught.value.msg == "%s cannot be written: No space left on device" % path
    assert os.listdir(str(tmp_path)) == ["f"]
    with open(path, "rb") as stream:
        assert stream.read() == b"old"


def test_rename_never_overwrites(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    _files.rename_synced(str(tmp_path / "a"), str(tmp_path / "b"))
    assert os.listdir(str(tmp_path)) == ["b"]
    (tmp_path / "a").write_bytes(b"2")
    with pytest.raises(CheckpointError, match="File exists"):
        _files.rename_synced(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"1" and (tmp_path / "a").read_bytes() == b"2"


def test_remove(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    assert _files.remove_if_there(str(tmp_path / "a")) is True
    assert _files.remove_if_there(str(tmp_path / "a")) is False
    with pytest.raises(CheckpointError, match="cannot be removed"):
        _files.remove_if_there(str(tmp_path))
