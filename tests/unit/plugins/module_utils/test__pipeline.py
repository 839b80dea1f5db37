# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, DeadlineError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import (
    FileState,
    iter_file,
    stream_file,
    verify_archive,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import archive, fixture


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "checkpoint.tar"
    target.write_bytes(archive())
    return str(target)


def test_every_sink_gets_every_byte_once(path):
    first, second = bytearray(), hashlib.sha256()
    assert stream_file(path, [first.extend, second.update], block=777) == len(archive())
    assert bytes(first) == archive()
    assert second.hexdigest() == hashlib.sha256(archive()).hexdigest()


def test_one_read(path, monkeypatch):
    """The bytes are read from the disk once, although three parties get them."""
    read = []
    real_open = os.open
    monkeypatch.setattr(
        os, "open", lambda name, *args, **kwargs: (read.append(name), real_open(name, *args, **kwargs))[1]
    )
    counted = []
    verify_archive(path, extra_sinks=[lambda chunk: counted.append(len(chunk))])
    assert read == [path] and sum(counted) == len(archive())


@pytest.mark.parametrize("name", ["containerd-counter-counter", "crio-two-b"])
def test_verify_a_real_archive(name):
    verified = verify_archive(fixture(name))
    with open(fixture(name), "rb") as stream:
        assert verified.sha256 == hashlib.sha256(stream.read()).hexdigest()
    assert verified.state.size == verified.contents.bytes == os.path.getsize(fixture(name))


def disturbed(path, action, block=1000):
    """Read the file and let the action disturb it after the first block."""
    with pytest.raises(ArchiveError) as caught:
        for number, dummy in enumerate(iter_file(path, block)):
            if number == 0:
                action()
    return caught.value.msg


def test_truncated_under_us(path):
    assert disturbed(path, lambda: os.truncate(path, 1500)).startswith(
        "%s was truncated while it was read (1500 of " % path
    )


def test_growing_under_us(path):
    def grow():
        with open(path, "ab") as stream:
            stream.write(b"x" * 5000)

    assert "grew while it was read" in disturbed(path, grow)


def test_changed_under_us(path):
    def change():
        with open(path, "r+b") as stream:
            stream.write(b"y")
        os.utime(path, ns=(1, 1))

    assert disturbed(path, change) == "%s was changed while it was read" % path


def test_replaced_under_us(path):
    def replace():
        with open(path + ".new", "wb") as stream:
            stream.write(archive())
        os.replace(path + ".new", path)

    assert disturbed(path, replace) == "%s was replaced by another file while it was read" % path


def test_removed_under_us(path):
    assert disturbed(path, lambda: os.unlink(path)) == "%s was removed while it was read" % path


def test_replaced_before_it_was_opened(path):
    state = FileState.of(os.stat(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(ArchiveError, match="was replaced or changed since it was looked at"):
        verify_archive(path, expect=state)


def test_links_and_other_kinds_are_not_opened(path, tmp_path):
    link = str(tmp_path / "link.tar")
    os.symlink(path, link)
    with pytest.raises(ArchiveError, match="cannot be opened"):
        verify_archive(link)
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    with pytest.raises(ArchiveError, match="not a regular file"):
        list(iter_file(pipe))
    with pytest.raises(ArchiveError, match="not a regular file"):
        list(iter_file(str(tmp_path)))


def test_a_bad_archive_is_named(path):
    with open(path, "wb"):
        pass
    with pytest.raises(ArchiveError) as caught:
        verify_archive(path)
    assert caught.value.msg == "archive %s: the file is empty" % path
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        verify_archive(path + ".no")


def test_a_deadline_stops_the_read(path):
    def over():
        raise DeadlineError("too late")

    with pytest.raises(DeadlineError):
        verify_archive(path, before_block=over)
