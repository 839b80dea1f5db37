# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import os
import struct
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_image as image
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_tasks as tasks
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture_bytes

CONTAINERD_CAPABILITIES = 0xA80425FB
CRIO_CAPABILITIES = 0x5FB


@pytest.fixture(params=["containerd", "crio"])
def images(request, tmp_path):
    with tarfile.open(fileobj=io.BytesIO(fixture_bytes("%s-counter-counter" % request.param))) as tar:
        for member in tar:
            if member.name.startswith("checkpoint/") and member.isreg():
                (tmp_path / os.path.basename(member.name)).write_bytes(tar.extractfile(member).read())
    return request.param, tmp_path


def framed(kind, *messages):
    data = struct.pack("<II", 0x54564319, image._TYPES[kind])
    return data + b"".join(struct.pack("<I", len(message)) + message for message in messages)


def test_real_images(images):
    engine, path = images
    found = tasks.read(str(path))
    assert [(task.comm, task.state) for task in found.tasks] == [("counter.sh", tasks.ALIVE), ("sleep", tasks.ALIVE)]
    assert found.tasks[0].pid == 1
    assert (found.machine, found.lsm, found.user_namespace) == (1, "", False)
    thread = found.tasks[0].threads[0]
    wanted = CONTAINERD_CAPABILITIES if engine == "containerd" else CRIO_CAPABILITIES
    assert thread.capabilities == {"bounding": wanted, "effective": wanted, "permitted": wanted, "inheritable": 0, "ambient": 0}
    assert (thread.uids, thread.gids, thread.groups) == ({0}, {0}, {0})
    assert (thread.no_new_privs, thread.seccomp_mode) == (False, 0)
    assert found.tasks[0].hard_limits[7] == 20000


def test_root_mode_and_mounts_differ_by_engine(images):
    engine, path = images
    assert tasks.root_mode(str(path)) == (0o755 if engine == "containerd" else 0o555)
    mounts = tasks.external_mounts(str(path))
    assert ("/run/.containerenv" in mounts) == (engine == "crio")
    assert mounts["/etc/hosts"] == "/etc/hosts"


def test_missing_core_is_an_error(images):
    _engine, path = images
    (path / "core-1.img").unlink()
    with pytest.raises(ArchiveError, match="core-1.img cannot be read"):
        tasks.read(str(path))


def test_link_is_not_followed(images):
    _engine, path = images
    (path / "pstree.img").rename(path / "elsewhere")
    (path / "pstree.img").symlink_to(path / "elsewhere")
    with pytest.raises(ArchiveError, match="cannot be read"):
        tasks.read(str(path))


@pytest.mark.parametrize(("data", "text"), [
    (b"", "shorter than its magic"),
    (b"abcd", "magic number of a core"),
    (framed("core")[:-1], "magic number of a core"),
    (framed("core") + b"\x01\x00", "ends in the middle"),
    (framed("core") + struct.pack("<I", 100) + b"x", "does not fit into the image"),
    (framed("core", b"\x80"), "number that does not end"),
    (framed("core", b"\x0a\x7f"), "does not fit into its message"),
    (framed("core", b"\x0b"), "unknown wire type"),
])
def test_damaged(data, text):
    with pytest.raises(ArchiveError, match=text):
        list(image.entries(data, "core"))


def test_wrong_kinds_of_values_are_errors():
    message = image.decode(b"\x08\x05\x12\x01x")
    assert image.number(message, 1) == 5
    assert image.text(message, 2) == "x"
    for call in (lambda: image.number(message, 2), lambda: image.text(message, 1), lambda: image.message(message, 1)):
        with pytest.raises(ArchiveError):
            call()


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data):
    try:
        list(image.entries(framed("pstree") + data, "pstree"))
    except ArchiveError:
        pass


def test_packed_numbers():
    assert image.numbers(image.decode(b"\x2a\x03\x01\x96\x01"), 5) == [1, 150]
    assert image.numbers(image.decode(b"\x28\x01\x28\x02"), 5) == [1, 2]
    assert image.signed32(0xFFFFFFFF) == -1
