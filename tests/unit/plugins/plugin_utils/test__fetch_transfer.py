# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fetch from end to end in this machine's own processes: the node's half is real, the connection is a shell."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _fetch_frame,
    _fetch_node,
    _fetch_produce,
    _fetch_serve,
    _record,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _fetch_dest
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._fetch_dest import Partial
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._fetch_transfer import Transfer, Wish
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support import archives

pytestmark = pytest.mark.slow

CHUNK = 16 * 1024
FORMS = [("none", False), ("zstd", False), ("none", True), ("zstd", True)]
needs = pytest.mark.skipif(
    not all(shutil.which(program) for program in ("zstd", "age", "age-keygen")), reason="needs zstd and age"
)


def run_pipes(argv, pass_fds, started):
    process = subprocess.Popen(
        argv, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started()
    out, err = process.communicate()
    return process.returncode, out, err


class LocalWire:
    """A shell instead of a connection. faults: number of the request to what happens with its answer."""

    def __init__(self, src, compress, recipients, find=shutil.which, text=False, idle=20.0):
        self.src, self.compress, self.recipients, self.find = str(src), compress, recipients, find
        self.text, self.idle = text, idle
        self.state = _fetch_node.state_from_dict(_fetch_node.look(self.src, False)["state"])
        self.sessions, self.requests, self.faults, self.offsets = [], 0, {}, []

    def start(self, offset, prefix):
        order = _fetch_produce.Order(self.src, self.state, self.compress, self.recipients, offset, prefix)
        tools = _fetch_produce.Tools(self.find, run_pipes)
        self.sessions.append(_fetch_serve.start(order, tools, self.idle))
        self.offsets.append(offset)
        return self.sessions[-1]

    def run(self, script):
        fault = self.faults.pop(self.requests, None) if "mkfifo" in script else None
        self.requests += "mkfifo" in script
        if fault == "refused":
            raise TransportError("the connection to the node failed: refused")
        if fault == "kill":
            os.kill(self.sessions[-1]["pid"], signal.SIGKILL)
            self.nothing_left()
        if callable(fault):
            fault()
        done = subprocess.run(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        out = done.stdout
        if fault == "cut":
            out = out[: len(out) // 2]
        if fault == "flip":
            out = out[:-1] + bytes([out[-1] ^ 1])
        if fault == "lost":
            raise TransportError("the connection to the node failed: lost")
        return done.returncode, out, done.stderr

    def nothing_left(self):
        """No process and no directory of any session, except the directories of killed ones."""
        deadline = time.monotonic() + 120
        for session in self.sessions:
            while os.path.exists("/proc/%d" % session["pid"]):
                with open("/proc/%d/stat" % session["pid"]) as status:
                    if status.read().rpartition(")")[2].split()[0] == "Z":
                        break
                assert time.monotonic() < deadline, "the sender still lives"
                time.sleep(0.05)


@pytest.fixture(name="place")
def fixture_place(tmp_path, monkeypatch):
    """Small frames; sessions below the test's directory."""
    monkeypatch.setattr(_fetch_produce, "CHUNK", CHUNK)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(_fetch_serve, "_parent", lambda: str(tmp_path / "run"))
    (tmp_path / "there").mkdir()
    src = tmp_path / "a.tar"
    src.write_bytes(archives.fixture_bytes("containerd-counter-counter"))
    (tmp_path / "a.tar.pod.json").write_text('{"kind": "Pod"}')
    return tmp_path


@pytest.fixture(name="identity")
def fixture_identity(tmp_path):
    path = tmp_path / "identity"
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", str(path)], check=True, capture_output=True, text=True).stdout.strip()
    return str(path), public


class Fetch:
    """One run of the controller's half."""

    def __init__(self, place, wire, retries=3):
        self.dest = str(place / "there" / "b.tar")
        self.wire, self.retries = wire, retries
        self.lines, self.notes, self.resumed_at = [], [], None

    def run(self):
        encrypted = bool(self.wire.recipients)
        order = {"src": self.wire.src, "state": _fetch_node.state_to_dict(self.wire.state), "compress": self.wire.compress, "encrypted": encrypted}
        plain = self.wire.compress == "none" and not encrypted
        wish = Wish(order, plain, encrypted, self.wire.state.size, self.retries)
        with Partial(self.dest) as partial:
            partial.recover(encrypted)
            transfer = Transfer(wish, self.wire, partial, self.lines.append, 0.0001, sleep=lambda seconds: None)
            try:
                end = transfer.run()
                partial.close_transfer(end)
                self.verified = partial.verify(self.wire.compress, encrypted)
                return partial.finish(encrypted)
            except CheckpointError as exc:
                if exc.details.get("discard"):
                    partial.discard()
                elif encrypted:
                    partial.empty()
                raise
            finally:
                transfer.stop()
                self.notes, self.resumed_at = transfer.notes, transfer.resumed_at


def content(path, compress, identity):
    """What a fetched file holds."""
    with open(path, "rb") as stream:
        data = stream.read()
    if identity:
        data = subprocess.run(["age", "-d", "-i", identity], input=data, stdout=subprocess.PIPE, check=True).stdout
    if compress == "zstd":
        data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def check_fetched(place, fetch, record, identity=None):
    """Everything is in place, right, private, and nothing else is there."""
    archive = (place / "a.tar").read_bytes()
    assert content(fetch.dest, fetch.wire.compress, identity) == archive
    assert record["archive"]["sha256"] == hashlib.sha256(archive).hexdigest()
    assert record["archive"]["stored_sha256"] == _fetch_dest.digest_of(fetch.dest).hexdigest()
    assert record["archive"]["name"] == "b.tar"
    assert _record.read(_record.path_for(fetch.dest)) == record
    pod = "b.tar.pod.json" + (".age" if identity else "")
    assert json.loads(content(str(place / "there" / pod), "none", identity)) == {"kind": "Pod"}
    assert sorted(os.listdir(place / "there")) == sorted(["b.tar", pod, "b.tar.record.json"])
    for name in os.listdir(place / "there"):
        assert stat.S_IMODE(os.stat(place / "there" / name).st_mode) == 0o600
    fetch.wire.nothing_left()


def wire_for(place, compress, encrypted, identity, **more):
    return LocalWire(place / "a.tar", compress, (identity[1],) if encrypted else (), **more)


@needs
@pytest.mark.parametrize("compress, encrypted", FORMS)
@pytest.mark.parametrize("text", [False, True])
def test_every_form(place, identity, compress, encrypted, text):
    fetch = Fetch(place, wire_for(place, compress, encrypted, identity, text=text))
    record = fetch.run()
    check_fetched(place, fetch, record, identity[0] if encrypted else None)
    assert fetch.verified == ("decompressed" if compress == "zstd" and not encrypted else "read_back")
    assert fetch.lines and "MiB/s" in fetch.lines[0] and not fetch.notes
    assert os.listdir(place / "run") == []


@needs
def test_each_of_several_recipients_can_decrypt(place, identity):
    other = str(place / "other")
    subprocess.run(["age-keygen", "-o", other], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", other], check=True, capture_output=True, text=True).stdout.strip()
    fetch = Fetch(place, LocalWire(place / "a.tar", "zstd", (identity[1], public)))
    record = fetch.run()
    for own in (identity[0], other):
        check_fetched(place, fetch, record, own)
        assert _fetch_dest.prove(fetch.dest, "zstd", True, own, record["archive"]["sha256"]) == "decrypted"


@needs
@pytest.mark.parametrize("compress, encrypted", FORMS)
@pytest.mark.parametrize("fault", ["refused", "cut", "flip", "lost"])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_connection_that_breaks_now_and_then(place, identity, compress, encrypted, fault, at):
    fetch = Fetch(place, wire_for(place, compress, encrypted, identity))
    fetch.wire.faults = {at: fault, at + 1: "refused"}
    record = fetch.run()
    check_fetched(place, fetch, record, identity[0] if encrypted else None)
    assert fetch.wire.offsets == [0], "one session is enough: the node keeps the frame"


@needs
@pytest.mark.parametrize("compress, encrypted", FORMS)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_the_sender_is_killed(place, identity, compress, encrypted, at):
    fetch = Fetch(place, wire_for(place, compress, encrypted, identity))
    fetch.wire.faults = {at: "kill"}
    record = fetch.run()
    check_fetched(place, fetch, record, identity[0] if encrypted else None)
    assert len(fetch.wire.offsets) == 2
    if encrypted:
        assert fetch.wire.offsets[1] == 0
        assert bool(fetch.notes) == (at > 0) and all("encrypted transfer cannot" in note for note in fetch.notes)
    else:
        assert fetch.wire.offsets[1] == at * CHUNK and not fetch.notes


@needs
@pytest.mark.parametrize("compress, encrypted", FORMS)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_the_controller_is_killed_and_run_again(place, identity, compress, encrypted, at):
    first = Fetch(place, wire_for(place, compress, encrypted, identity))
    pid = os.fork()
    if pid == 0:
        first.wire.faults = {at: lambda: os.kill(os.getpid(), signal.SIGKILL)}
        try:
            first.run()
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert not os.path.exists(first.dest)
    second = Fetch(place, wire_for(place, compress, encrypted, identity))
    record = second.run()
    check_fetched(place, second, record, identity[0] if encrypted else None)
    assert second.resumed_at == (0 if encrypted else at * CHUNK)
    assert bool(second.notes) == (encrypted and at > 0)


@pytest.mark.parametrize("step", ["replace", "write_atomic", "write"])
def test_killed_between_the_last_steps(place, monkeypatch, step):
    fetch = Fetch(place, LocalWire(place / "a.tar", "none", ()))

    def die(*args, **kwargs):
        raise KeyboardInterrupt()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if step == "replace":
            patch.setattr(Partial, "finish", die)
        elif step == "write_atomic":
            patch.setattr(_fetch_dest, "write_atomic", die)
        else:
            patch.setattr(_record, "write", die)
        fetch.run()
    assert not os.path.exists(_record.path_for(fetch.dest))
    with Partial(fetch.dest) as partial:
        assert partial.recover(False)
    check_fetched(place, fetch, _record.read(_record.path_for(fetch.dest)))


def test_an_altered_partial_file_is_not_used(place):
    first = Fetch(place, LocalWire(place / "a.tar", "none", ()), retries=0)
    first.wire.faults = {3: "refused"}
    with pytest.raises(TransportError, match="goes on after %d bytes" % (3 * CHUNK)):
        first.run()
    part = next((place / "there").glob(".*.part"))
    part.write_bytes(b"x" + part.read_bytes()[1:])
    second = Fetch(place, LocalWire(place / "a.tar", "none", ()))
    check_fetched(place, second, second.run())
    assert second.resumed_at == 0 and "altered" in second.notes[0]


def nothing_there(place):
    return [path.name for path in (place / "there").iterdir()] == []


@needs
@pytest.mark.parametrize("compress, encrypted", FORMS)
@pytest.mark.parametrize("what", ["append", "truncate", "replace", "remove", "overwrite"])
def test_the_archive_changes_while_it_is_read(place, identity, compress, encrypted, what, monkeypatch):
    src = place / "a.tar"
    # Bigger than what the sender and its pipes can hold, so that it cannot have read it all before.
    monkeypatch.setattr(_fetch_produce, "CHUNK", 8 * CHUNK)
    raw = src.read_bytes()

    def change():
        if what == "append":
            with open(src, "ab") as stream:
                stream.write(bytes(512))
        elif what == "truncate":
            os.truncate(src, CHUNK)
        elif what == "replace":
            (place / "other").write_bytes(raw)
            os.replace(place / "other", src)
        elif what == "remove":
            os.unlink(src)
        else:
            with open(src, "r+b") as stream:
                stream.seek(len(raw) - 4096)
                stream.write(b"x" * 100)

    with open(src, "ab") as stream:
        stream.write(bytes(512 * CHUNK))
    raw = src.read_bytes()
    fetch = Fetch(place, wire_for(place, compress, encrypted, identity))
    fetch.wire.faults = {1: change}
    if encrypted and compress == "zstd":
        # zstd and age hold more than this archive has: the change comes before the sender looks.
        fetch.wire.faults = {0: change}
        change_first = fetch.wire.start

        def start(offset, prefix):
            change()
            fetch.wire.faults = {}
            return change_first(offset, prefix)

        fetch.wire.start = start
    with pytest.raises(CheckpointError, match="chang|trunc|replaced|removed|grew|opened|read"):
        fetch.run()
    assert nothing_there(place)
    fetch.wire.nothing_left()


def test_another_archive_with_the_same_beginning_and_state(place):
    """The state of the file can lie; the digest of the beginning does not."""
    first = Fetch(place, LocalWire(place / "a.tar", "none", ()), retries=0)
    first.wire.faults = {3: "refused"}
    with pytest.raises(TransportError):
        first.run()
    status = os.stat(place / "a.tar")
    with open(place / "a.tar", "r+b") as stream:
        stream.seek(100)
        stream.write(b"1")
    os.utime(place / "a.tar", ns=(status.st_atime_ns, status.st_mtime_ns))
    second = Fetch(place, LocalWire(place / "a.tar", "none", ()))
    with pytest.raises(ArchiveError):
        second.run()
    assert nothing_there(place)


def test_the_record_is_of_something_else(place):
    first = Fetch(place, LocalWire(place / "a.tar", "none", ()))
    record = first.run()
    record["archive"]["sha256"] = "0" * 64
    _record.write(str(place / "a.tar"), record)
    for path in (place / "there").iterdir():
        path.unlink()
    with pytest.raises(ArchiveError, match="its record says sha256 0000"):
        Fetch(place, LocalWire(place / "a.tar", "none", ())).run()
    assert nothing_there(place)


def test_an_incomplete_archive(place):
    os.truncate(place / "a.tar", 5 * CHUNK)
    with pytest.raises(ArchiveError):
        Fetch(place, LocalWire(place / "a.tar", "none", ())).run()
    assert nothing_there(place)


@needs
def test_zstd_fails_on_the_way(place):
    fake = place / "zstd"
    fake.write_text("#!/bin/sh\necho 'zstd: out of memory' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(CheckpointError, match="zstd .*out of memory"):
        Fetch(place, LocalWire(place / "a.tar", "zstd", (), find=lambda name: str(fake))).run()
    assert nothing_there(place)


@needs
def test_a_corrupted_compressed_stream(place):
    """A zstd on the node that writes nonsense and ends well: found by decompressing what was written."""
    fake = place / "zstd"
    fake.write_text("#!/bin/sh\n%s \"$@\" | tr 'e' 'f'\n" % shutil.which("zstd"))
    fake.chmod(0o755)
    with pytest.raises(ArchiveError, match="decompressed"):
        Fetch(place, LocalWire(place / "a.tar", "zstd", (), find=lambda name: str(fake))).run()
    assert not os.path.exists(place / "there" / "b.tar")


def test_the_disk_is_full(place, monkeypatch):
    real = os.write

    def full(descriptor, data):
        if len(data) > 1000 and os.readlink("/proc/self/fd/%d" % descriptor).endswith(".part") and fetch.wire.requests > 3:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    fetch = Fetch(place, LocalWire(place / "a.tar", "none", ()))
    with monkeypatch.context() as patch:
        patch.setattr(_fetch_dest.os, "write", full)
        with pytest.raises(CheckpointError, match="No space left"):
            fetch.run()
    assert nothing_there(place)
    again = Fetch(place, LocalWire(place / "a.tar", "none", ()))
    check_fetched(place, again, again.run())


def test_two_at_once(place):
    dest = str(place / "there" / "b.tar")
    with Partial(dest), pytest.raises(CheckpointError, match="another fetch is writing"):
        Partial(dest)
    with Partial(dest) as partial:
        partial.discard()


def test_the_sender_ends_when_nobody_asks(place):
    wire = LocalWire(place / "a.tar", "none", (), idle=0.3)
    wire.start(0, "")
    wire.nothing_left()
    assert os.listdir(place / "run") == []


def wait_for_lock(path):
    """Until nobody holds it: whoever started the killed process may not have ended yet."""
    deadline = time.monotonic() + 120
    with open(path) as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                assert time.monotonic() < deadline, "the lock of a killed session is still held"
                time.sleep(0.05)


def test_the_next_session_removes_what_a_killed_one_left(place, monkeypatch):
    wire = LocalWire(place / "a.tar", "none", ())
    directory = wire.start(0, "")["directory"]
    os.kill(wire.sessions[0]["pid"], signal.SIGKILL)
    wire.nothing_left()
    assert os.listdir(directory) == ["lock"]
    wait_for_lock(os.path.join(directory, "lock"))
    monkeypatch.setattr(_fetch_serve, "_STALE_SECONDS", -1.0)
    second = LocalWire(place / "a.tar", "none", ())
    kept = second.start(0, "")["directory"]
    assert os.listdir(place / "run") == [os.path.basename(kept)]
    _fetch_serve._remove_stale(str(place / "run"))
    assert os.path.exists(kept), "it is in use"
    second.run(_fetch_frame.stop_script(kept))
    second.nothing_left()
