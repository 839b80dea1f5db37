# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_source as source
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, RuntimeToolError

DATA = os.urandom(3 << 20)
# Stands in for age where there is none: copies, and refuses any identity but one.
FAKE = '#!/bin/sh\n[ "$(cat "$3")" = right ] || { echo "no identity matched" >&2; exit 1; }\nexec cat "$6" > "$5"\n'


class Module:
    """What a feed needs of an AnsibleModule."""

    def __init__(self, tool):
        self._tool = tool

    def get_bin_path(self, name):
        return self._tool if name == "age" else None

    def run_command(self, argv, pass_fds, check_rc):
        assert check_rc is False
        done = subprocess.run(argv, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(params=["fake", "real"])
def encrypted(request, tmp_path):
    """(module, path of the encrypted file, right identity, wrong identity)."""
    right, wrong, path = tmp_path / "right", tmp_path / "wrong", tmp_path / "archive.age"
    tool = shutil.which("age") if request.param == "real" else str(tmp_path / "age")
    if request.param == "fake":
        (tmp_path / "age").write_text(FAKE)
        (tmp_path / "age").chmod(0o755)
        right.write_text("right")
        wrong.write_text("wrong")
        path.write_bytes(DATA)
    elif tool is None:
        pytest.skip("age is not installed here")
    else:
        for identity in (right, wrong):
            subprocess.run(["age-keygen", "-o", str(identity)], check=True, stderr=subprocess.DEVNULL)
        recipient = subprocess.run(["age-keygen", "-y", str(right)], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        subprocess.run([tool, "-r", recipient, "-o", str(path)], input=DATA, check=True)
    return Module(tool), str(path), str(right), str(wrong)


def test_decrypted_in_the_stream(encrypted):
    module, path, right, _wrong = encrypted
    found = bytearray()
    source.from_age(module, path, right)([found.extend])
    assert bytes(found) == DATA


def test_wrong_identity(encrypted):
    module, path, _right, wrong = encrypted
    with pytest.raises(ArchiveError, match="cannot be decrypted"):
        source.from_age(module, path, wrong)([lambda block: None])


def test_a_sink_that_refuses_ends_the_stream_with_its_own_words(encrypted):
    module, path, right, _wrong = encrypted

    def refuse(_block):
        raise ArchiveError("hostile")

    with pytest.raises(ArchiveError, match="hostile"):
        source.from_age(module, path, right)([refuse])


def test_no_tool():
    with pytest.raises(RuntimeToolError, match="neither age nor rage"):
        source.from_age(Module(None), "/x", "/y")


def test_plain_file(tmp_path):
    (tmp_path / "a").write_bytes(DATA)
    found = bytearray()
    source.from_file(str(tmp_path / "a"))([found.extend])
    assert bytes(found) == DATA
