# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and requests of a fetch."""

from __future__ import annotations

import base64
import subprocess

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _fetch_frame as frame
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    TransportError,
)

PAYLOAD = bytes(range(256)) * 5


def raw(payload=PAYLOAD, **header):
    return b"".join(frame.encode({"kind": frame.DATA, **header}, payload))


def test_there_and_back():
    header, payload = frame.decode(raw(offset=2**60))
    assert header == {"kind": "data", "offset": 2**60, "bytes": len(PAYLOAD)}
    assert bytes(payload) == PAYLOAD


def test_what_a_login_script_prints_does_not_matter():
    assert bytes(frame.decode(b"Welcome!\r\n" + raw())[1]) == PAYLOAD


def test_every_cut_is_found():
    whole = raw()
    for length in range(len(whole)):
        with pytest.raises(TransportError):
            frame.decode(whole[:length])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"sudo: no",
        raw().replace(b'"kind"', b'"kinx"'),
        b"\0CCFETCH1zzzzzzzz{}",
        b"\0CCFETCH1ffffffff{}",
        b"\0CCFETCH100000002[]",
    ],
)
def test_what_is_no_frame(answer):
    with pytest.raises(TransportError):
        frame.decode(answer)


def test_text_survives_a_terminal():
    text = b"junk\r\n-----BEGIN FRAME-----\r\n" + base64.encodebytes(raw()).replace(b"\n", b"\r\n") + b"-----END FRAME-----\r\n"
    assert frame.unwrap_text(text) == raw()
    for broken in (text[:-30], b"x", text.replace(b"\r\n", b"!\r\n")):
        with pytest.raises(TransportError):
            frame.unwrap_text(broken)


def test_requests():
    assert frame.parse_request(frame.request_name(12, 3)) == (12, 3)
    assert [frame.parse_request(name) for name in ("lock", "stop", "1", "1.2.3", "-1.2", "1.x")] == [None] * 6


@pytest.mark.parametrize(
    "path",
    [
        "/run",
        "/run/x",
        "run/container-checkpoint-fetch-a",
        "/run/../container-checkpoint-fetch-a",
        "/run/container-checkpoint-fetch-a;rm",
        "/run/container-checkpoint-fetch-a/b",
    ],
)
def test_a_directory_that_cannot_be_right(path):
    with pytest.raises(InputError):
        frame.request_script(path, 1, 0, 0, 5, False)


def test_scripts_when_nobody_serves(tmp_path):
    directory = str(tmp_path / (frame.DIRECTORY_PREFIX + "abc"))
    for text in (False, True):
        script = frame.request_script(directory, 1, 0, 1, 5, text)
        assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == frame.GONE
    assert subprocess.run(["/bin/sh", "-c", frame.stop_script(directory)], check=False).returncode == 0
    (tmp_path / (frame.DIRECTORY_PREFIX + "abc")).mkdir()
    with subprocess.Popen(["true"]) as process:
        process.wait()
    script = frame.request_script(directory, process.pid, 0, 1, 5, False)
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == frame.GONE
