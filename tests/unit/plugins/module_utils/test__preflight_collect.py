# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_preflight_collect: a real process of this machine read through the real /proc, and what a made-up /proc must
give."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight as preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_collect as collect
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import Host, Snapshot

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="needs /proc")

ID = "c" * 64
PROGRAM = """
import fcntl, os, socket, sys, time
pair = socket.socketpair()
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
client = socket.create_connection(server.getsockname())
lock = open(sys.argv[1] + "/lock", "w"); fcntl.flock(lock, fcntl.LOCK_EX)
gone = open(sys.argv[1] + "/gone", "wb"); gone.write(b"x" * 3000000); gone.flush(); os.unlink(gone.name)
log = open(sys.argv[1] + "/log", "w", buffering=1)
child = os.fork()
if child:
    print("ready", flush=True)
    while True:
        log.write("more" * 100 + chr(10)); time.sleep(0.01)
time.sleep(600)
"""


@pytest.fixture
def program(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"ready\n"
    while not (tmp_path / "log").stat().st_size:
        time.sleep(0.01)
    yield process
    os.killpg(process.pid, 9)
    process.wait()
    process.stdout.close()


def read(reader, pid):
    mounts = reader.mounts(pid)
    return reader.process(pid, {mount.mount_id: mount for mount in mounts}), mounts


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as stream:
        return [int(word) for word in stream.read().split()]


def test_a_real_process(program, tmp_path):
    reader = collect.ProcReader()
    process, mounts = read(reader, program.pid)
    assert process.pid == program.pid and process.threads == 1 and process.anonymous_bytes > 1 << 20
    assert len(process.uids) == 4 and process.namespaces == reader.namespaces(os.getpid()) and not process.truncated
    by_path = {entry.path: entry for entry in process.descriptors}
    assert by_path[str(tmp_path / "lock")].locks[0].kind == "FLOCK" and by_path[str(tmp_path / "lock")].writable
    gone = by_path[str(tmp_path / "gone")]
    assert gone.deleted and gone.links == 0 and gone.size >= 3000000 and stat.S_ISREG(gone.mode)
    protocols = sorted(entry.protocol for entry in process.descriptors if entry.protocol)
    assert protocols == ["TCP", "TCP", "UNIX-STREAM", "UNIX-STREAM"]
    assert any(mount.point == "/" for mount in mounts)


def test_the_network_of_a_real_process(program):
    reader = collect.ProcReader()
    process, _mounts = read(reader, program.pid)
    network = reader.network(program.pid)
    assert "127.0.0.1" in network.addresses
    states = sorted(network.inet[entry.inode].state for entry in process.descriptors if entry.inode in network.inet)
    assert states == [1, 10]
    pair = [entry.inode for entry in process.descriptors if entry.protocol == "UNIX-STREAM"]
    assert all(inode in network.unix for inode in pair)
    if network.unix_peers:
        assert [network.unix[inode].peer for inode in pair] == pair[::-1]
    assert reader.network(program.pid) is network


def test_what_follows_for_a_real_process(program, tmp_path):
    reader = collect.ProcReader()
    first, mounts = read(reader, program.pid)
    child, _same = read(reader, children(program.pid)[0])
    tree = preflight.in_tree([first, child], first.pid)
    growing = preflight._changed({str(tmp_path / "log"): 0, str(tmp_path / "lock"): 0}, reader.sizes(first))
    snapshot = Snapshot(
        "default",
        "p",
        "c",
        ID,
        first.pid,
        tree,
        reader.network(first.pid),
        mounts,
        growing=frozenset(growing),
        host=Host("containerd"),
    )
    entry = preflight.judge(snapshot)
    found = {reason["id"]: reason for reason in entry["reasons"]}
    assert {"tcp-established", "tcp-in-flight", "file-locks", "ghost-file", "file-growing"} <= set(found)
    assert "unix-peer-elsewhere" not in found and "unix-external" not in found
    assert found["ghost-file"]["evidence"]["path"] == str(tmp_path / "gone") + " (deleted)"
    assert found["tcp-established"]["evidence"]["pid"] == program.pid
    assert entry["processes"] == 2 and entry["verdict"] == "no"
    assert entry["estimate"]["archive_bytes"] > entry["estimate"]["memory_bytes"] + 3000000


def test_a_process_that_ended_is_gone(program):
    with pytest.raises(collect.Gone):
        collect.ProcReader("/nonexistent").process(1, {})


def test_who_belongs_to_which_container(tmp_path):
    for pid, text in (
        ("7", "0::/kubepods/cri-containerd-%s.scope\n" % ID),
        ("8", "0::/init\n"),
        ("9", "0::/kubepods/%s\n" % ("d" * 64)),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(text)
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "cgroup").write_text("4:memory:/\n")
    (tmp_path / "10" / "stat").write_text("10 (app) Z 7 7 7 0 -1\n")
    (tmp_path / "sys").mkdir()
    reader = collect.ProcReader(str(tmp_path))
    assert reader.by_container({ID: None}) == {ID: [7, 10]}
    assert reader.cgroup_version(7) == 2


def test_a_walk_ends_and_does_not_follow_links(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 1000)
    os.symlink("/", str(tmp_path / "root"))
    assert collect.walk_size(str(tmp_path)) == (3, 1000)
    assert collect.walk_size(str(tmp_path / "missing")) == (None, None)
    monkeypatch.setattr(collect, "_MAX_ENTRIES", 1)
    assert collect.walk_size(str(tmp_path))[0] <= 3


def test_where_criu_would_find_watched_files(tmp_path):
    etc = tmp_path / "7" / "root" / "etc"
    (etc / "deep").mkdir(parents=True)
    (etc / "deep" / "file").write_text("x")
    (tmp_path / "7" / "root" / "app").mkdir()
    found = collect.ProcReader(str(tmp_path)).findable(7, ("/etc", "/var/log"))
    assert {os.stat(str(etc)).st_ino, os.stat(str(etc / "deep" / "file")).st_ino} <= found
    assert os.stat(str(tmp_path / "7" / "root" / "app")).st_ino not in found
