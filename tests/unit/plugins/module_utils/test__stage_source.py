# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import os
import shutil
import subprocess

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_source as source
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._decompress import Gunzip
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, InputError, RuntimeToolError

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


def zstd_runner(argv, pass_fds, started):
    """As CommandRunner.run_with_pipes, without a module."""
    process = subprocess.Popen(list(argv), pass_fds=list(pass_fds), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started()
    out, err = process.communicate()
    return process.returncode, out.decode(), err.decode()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data)
    if how == "zstd":
        if not shutil.which("zstd"):
            pytest.skip("zstd is not installed here")
        return subprocess.run(["zstd", "-q", "-c"], input=data, check=True, stdout=subprocess.PIPE).stdout
    return data


def unpacked(feed, find=shutil.which):
    found = bytearray()
    source.decompressed(feed, "the file", find, zstd_runner)([found.extend])
    return bytes(found)


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("size", [0, 3, 20, 21, len(DATA)])
def test_what_is_compressed_as_a_whole_is_decompressed(tmp_path, how, size):
    (tmp_path / "a").write_bytes(compress(DATA[:size], how))
    assert unpacked(source.from_file(str(tmp_path / "a"))) == DATA[:size]


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_small_blocks_do_not_hide_what_it_begins_with(how):
    content = compress(DATA[:5000], how)

    def feed(sinks):
        for start in range(len(content)):
            for sink in sinks:
                sink(content[start:start + 1])

    assert unpacked(feed) == DATA[:5000]


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_compressed_archive_that_was_encrypted(encrypted, tmp_path, how):
    module, path, right, wrong = encrypted
    with open(path, "rb") as stream:
        plain = stream.read() == DATA
    if not plain:
        recipient = subprocess.run(["age-keygen", "-y", right], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    path = str(tmp_path / "compressed.age")
    if plain:
        with open(path, "wb") as stream:
            stream.write(compress(DATA, how))
    else:
        subprocess.run(["age", "-r", recipient, "-o", path], input=compress(DATA, how), check=True)
    assert unpacked(source.from_age(module, path, right)) == DATA
    with pytest.raises(ArchiveError, match="cannot be decrypted"):
        unpacked(source.from_age(module, path, wrong))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda data: data[:-20], "truncated"),
        (lambda data: data + b"more", "something behind"),
        (lambda data: data[:10] + b"\xff" * 100, "damaged"),
    ],
)
def test_damaged_gzip(tmp_path, change, words):
    (tmp_path / "a").write_bytes(change(gzip.compress(DATA[:100000])))
    with pytest.raises(ArchiveError, match=words):
        unpacked(source.from_file(str(tmp_path / "a")))


def test_what_is_encrypted_is_not_taken_for_an_archive(tmp_path):
    (tmp_path / "a").write_bytes(b"age-encryption.org/v1\n-> X25519 x\n")
    with pytest.raises(InputError, match="the file is encrypted with age: give an identity_file"):
        unpacked(source.from_file(str(tmp_path / "a")))


def test_damaged_zstd_and_no_zstd(tmp_path):
    (tmp_path / "a").write_bytes(compress(DATA, "zstd")[:-20])
    with pytest.raises(RuntimeToolError, match="zstd failed"):
        unpacked(source.from_file(str(tmp_path / "a")))
    with pytest.raises(RuntimeToolError, match="the file is compressed with zstd, which is not installed"):
        unpacked(source.from_file(str(tmp_path / "a")), find=lambda name: None)


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_a_sink_that_refuses_what_was_decompressed(tmp_path, how):
    (tmp_path / "a").write_bytes(compress(DATA, how))

    def refuse(_block):
        raise ArchiveError("hostile")

    with pytest.raises(ArchiveError, match="hostile"):
        source.decompressed(source.from_file(str(tmp_path / "a")), "the file", shutil.which, zstd_runner)([refuse])


def test_a_small_file_that_unpacks_to_much_never_fills_memory():
    """gzip's output comes in blocks, whatever one block of input becomes."""
    blocks = []
    decoder = Gunzip(lambda block: blocks.append(len(block)), "it")
    decoder.write(gzip.compress(bytes(8 << 20)))
    decoder.close()
    assert sum(blocks) == 8 << 20 and max(blocks) <= 256 * 1024
