# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading back what was fetched: decompressed, decrypted, compared; and what it says when that cannot be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    InputError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _fetch_dest
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture_bytes

ARCHIVE = fixture_bytes("containerd-counter-counter")
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
needs = pytest.mark.skipif(
    not all(shutil.which(program) for program in ("zstd", "age", "age-keygen")), reason="needs zstd and age"
)


def identity(path):
    """An identity's file and its recipient."""
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    return str(path), subprocess.run(["age-keygen", "-y", str(path)], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    """One's own identity, and another's."""
    return identity(tmp_path / "own"), identity(tmp_path / "other")


def store(tmp_path, compress, recipient=None, content=ARCHIVE, damage=None):
    """A file as a fetch leaves it. damage: what to do to it at the end."""
    if compress == "zstd":
        content = subprocess.run(["zstd", "-1", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
    if recipient:
        content = subprocess.run(["age", "-r", recipient], input=content, stdout=subprocess.PIPE, check=True).stdout
    path = tmp_path / "stored"
    path.write_bytes(damage(content) if damage else content)
    return str(path)


def proof(path, compress, recipient, identity_file, sha256=SHA256):
    return _fetch_dest.prove(path, compress, recipient is not None, identity_file, sha256)


@needs
@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_how_far_it_is_proven(tmp_path, keys, compress):
    (own, recipient), dummy = keys
    plain = "decompressed" if compress == "zstd" else "read_back"
    assert proof(store(tmp_path, compress), compress, None, None) == plain
    assert proof(store(tmp_path, compress, recipient), compress, recipient, None) == "read_back"
    assert proof(store(tmp_path, compress, recipient), compress, recipient, own) == "decrypted"
    # What was stored by another run says itself how it is compressed.
    assert proof(store(tmp_path, compress, recipient), "unknown", recipient, own) == "decrypted"


@needs
@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_an_identity_of_somebody_else(tmp_path, keys, compress):
    (own, recipient), (other, dummy) = keys
    with pytest.raises(ArchiveError, match="cannot be decrypted: .*no identity matched") as caught:
        proof(store(tmp_path, compress, recipient), compress, recipient, other)
    with open(own, encoding="ascii") as stream:
        assert stream.read().splitlines()[-1] not in caught.value.msg


@needs
@pytest.mark.parametrize("compress", ["none", "zstd"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.9])
def test_a_damaged_file(tmp_path, keys, compress, at):
    (own, recipient), dummy = keys

    def flip(content):
        place = int(len(content) * at) + 30
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    with pytest.raises(ArchiveError, match="cannot be decrypted"):
        proof(store(tmp_path, compress, recipient, damage=flip), compress, recipient, own)
    if compress == "zstd":
        with pytest.raises(ArchiveError, match="decompressed"):
            proof(store(tmp_path, compress, damage=flip), compress, None, None)


@needs
def test_a_file_that_ends_too_early(tmp_path, keys):
    (own, recipient), dummy = keys
    with pytest.raises(ArchiveError, match="cannot be decompressed"):
        proof(store(tmp_path, "zstd", damage=lambda content: content[:-100]), "zstd", None, None)
    with pytest.raises(ArchiveError, match="cannot be decrypted"):
        proof(store(tmp_path, "zstd", recipient, damage=lambda content: content[:-100]), "zstd", recipient, own)


@needs
def test_a_damaged_stream_inside_a_whole_encryption(tmp_path, keys):
    """age has nothing to complain about; zstd has, and that is what is told."""
    (own, recipient), dummy = keys
    broken = subprocess.run(["zstd", "-1", "-c"], input=ARCHIVE, stdout=subprocess.PIPE, check=True).stdout[:-50]
    with pytest.raises(ArchiveError, match="cannot be decompressed"):
        proof(store(tmp_path, "none", recipient, content=broken), "zstd", recipient, own)


@needs
@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_another_archive(tmp_path, keys, compress):
    (own, recipient), dummy = keys
    for identity_file, word in ((own, "decrypted"), (None, "decompressed")):
        path = store(tmp_path, compress, recipient if identity_file else None)
        if compress == "none" and not identity_file:
            continue
        with pytest.raises(ArchiveError, match="is not the archive when " + word):
            proof(path, compress, recipient if identity_file else None, identity_file, "0" * 64)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_fetch_dest.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeToolError, match="install the package zstd"):
        _fetch_dest.check_proof("zstd", False, None)
    with pytest.raises(RuntimeToolError, match="install the package age"):
        _fetch_dest.check_proof("none", True, str(tmp_path / "identity"))
    # Without an identity nothing has to be decoded.
    _fetch_dest.check_proof("zstd", True, None)
    _fetch_dest.check_proof("none", False, None)


@needs
def test_identities_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="nothing is encrypted"):
        _fetch_dest.check_proof("none", False, str(tmp_path))
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="is no file on the controller"):
            _fetch_dest.check_proof("none", True, str(path))


# The place ----------------------------------------------------------------------------------------------------------


def test_places_that_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "directory").mkdir()
    os.mkfifo(str(tmp_path / "pipe"))
    for name, why in (
        ("link", "symbolic link"),
        ("directory", "is a directory; end dest with /"),
        ("pipe", "not a regular file"),
        ("none/x", "does not exist on the controller"),
    ):
        with pytest.raises(InputError, match=why):
            _fetch_dest.check_place(str(tmp_path / name))
    _fetch_dest.check_place(str(tmp_path / "new"))


def test_a_directory_that_may_not_be_written():
    """As somebody else than root, whom no mode stops."""
    with tempfile.TemporaryDirectory() as top:
        closed = os.path.join(top, "closed")
        os.mkdir(closed)
        os.chmod(top, 0o755)
        os.chmod(closed, 0o555)
        child = os.fork()
        if not child:
            status = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                _fetch_dest.check_place(os.path.join(closed, "x"))
            except InputError as exc:
                status = 0 if "is not writable for this user" in exc.msg else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
