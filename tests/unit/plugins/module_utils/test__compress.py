# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import threading
import zlib

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import (
    MAX_LEVELS,
    check_level,
    make_compressor,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

ZSTD = shutil.which("zstd")
needs_zstd = pytest.mark.skipif(ZSTD is None, reason="the program zstd is not installed")
CONTENT = b"".join(bytes([number % 251]) * 1000 + os.urandom(24) for number in range(4000))


def run(argv, pass_fds, started):
    """As AnsibleModule.run_command does it."""
    process = subprocess.Popen(
        argv, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started()
    out, err = process.communicate()
    return process.returncode, out, err


def compress(compression, content, block=1 << 20, level=None, **changes):
    output = []
    arguments = dict({"find": lambda name: ZSTD, "run": run}, **changes)
    compressor = make_compressor(compression, check_level(compression, level), output.append, **arguments)
    for start in range(0, len(content), block):
        compressor.write(content[start : start + block])
    compressor.close()
    return b"".join(output)


def open_pipes():
    """Every end of a pipe that is open here. Other threads of the test runner may open files meanwhile, but no pipes."""
    ends = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            ends.append((os.readlink("/proc/self/fd/" + descriptor), descriptor))
    return sorted(end for end in ends if end[0].startswith("pipe:"))


def own_threads():
    """The compression's own; the test runner has others."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("zstd")]


def test_none_passes_the_blocks_on_untouched():
    assert compress("none", CONTENT, block=4099) == CONTENT


def test_gzip_has_no_time_and_no_name_and_does_not_depend_on_the_blocks():
    result = compress("gzip", CONTENT)
    assert result[4:8] == b"\0\0\0\0" and result[3] == 0
    assert gzip.decompress(result) == CONTENT
    assert compress("gzip", CONTENT, block=1 << 16) == result


def test_gzip_levels_differ():
    assert zlib.decompress(compress("gzip", CONTENT, level=9), 31) == CONTENT
    assert len(compress("gzip", CONTENT, level=9)) < len(compress("gzip", CONTENT, level=1))


@needs_zstd
def test_zstd_does_not_depend_on_the_blocks_or_on_the_processors(monkeypatch):
    result = compress("zstd", CONTENT)
    assert subprocess.run([ZSTD, "-dc"], input=result, stdout=subprocess.PIPE, check=True).stdout == CONTENT
    assert len(result) < len(CONTENT) / 10
    assert compress("zstd", CONTENT, block=70000) == result
    for processors in (1, 2, 64):
        monkeypatch.setattr(os, "cpu_count", lambda number=processors: number)
        assert compress("zstd", CONTENT) == result


@needs_zstd
def test_zstd_of_nothing_is_an_empty_frame():
    assert subprocess.run([ZSTD, "-dc"], input=compress("zstd", b""), stdout=subprocess.PIPE, check=True).stdout == b""


@needs_zstd
def test_zstd_leaves_no_descriptor_and_no_thread():
    compress("zstd", CONTENT)
    before = open_pipes()
    compress("zstd", CONTENT)
    assert (open_pipes(), own_threads()) == (before, [])


@needs_zstd
def test_what_goes_wrong_behind_zstd_reaches_the_writer():
    def sink(block):
        raise ValueError("the registry is gone")

    before = open_pipes()
    compressor = make_compressor("zstd", 1, sink, lambda name: ZSTD, run)
    with pytest.raises(ValueError, match="the registry is gone"):
        compressor.write(os.urandom(1 << 20) * 8)
        compressor.close()
    assert open_pipes() == before


@needs_zstd
def test_abort_ends_zstd():
    before = open_pipes()
    compressor = make_compressor("zstd", 1, lambda block: None, lambda name: ZSTD, run)
    compressor.write(CONTENT)
    compressor.abort()
    compressor.abort()
    assert (open_pipes(), own_threads()) == (before, [])


def test_a_zstd_that_fails(tmp_path):
    program = tmp_path / "zstd"
    program.write_text("#!/bin/sh\necho 'zstd: out of luck' >&2\nexit 3\n")
    program.chmod(0o755)
    before = open_pipes()
    with pytest.raises(RuntimeToolError, match=r"zstd .*\(exit status 3\): zstd: out of luck"):
        compress("zstd", CONTENT * 10, find=lambda name: str(program))
    assert open_pipes() == before


def test_a_zstd_that_cannot_be_started(tmp_path):
    def cannot(argv, pass_fds, started):
        raise OSError(8, "Exec format error")

    before = open_pipes()
    with pytest.raises(RuntimeToolError, match="Exec format error"):
        compress("zstd", CONTENT, find=lambda name: "/nowhere/zstd", run=cannot)
    assert open_pipes() == before


def test_no_zstd_says_what_to_do():
    with pytest.raises(RuntimeToolError, match="install the package zstd"):
        compress("zstd", b"", find=lambda name: None)


@pytest.mark.parametrize("compression, level", [("gzip", 0), ("gzip", 10), ("zstd", 0), ("zstd", 20), ("none", 1)])
def test_levels_that_do_not_exist(compression, level):
    with pytest.raises(InputError, match="has no level"):
        check_level(compression, level)


def test_levels_that_do():
    assert [check_level(name, None) for name in ("none", "gzip", "zstd")] == [0, 1, 1]
    assert check_level("zstd", MAX_LEVELS["zstd"]) == 19
