# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the handler gets rid of what it started: real processes, and cgroups that are busy for a moment."""
from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage

HANDLER = pathlib.Path(__file__).resolve().parents[3] / "roles/restore_handler/files/handler"
# Its first thread ends and is a zombie from then on; another one goes on.
TWO_THREADS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[__import__("os").uname().machine], 0)
"""


@pytest.fixture
def parts(monkeypatch):
    """The handler's modules, imported as the handler imports them."""
    monkeypatch.syspath_prepend(str(HANDLER))
    names = ("processes", "marker", "bundle", "arguments", "settings")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import marker
    import processes

    yield processes, marker
    for name in names:
        sys.modules.pop(name, None)


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_noted_is_killed(parts, tmp_path):
    processes, _marker = parts
    note, said = tmp_path / "runc", []
    runner = threading.Thread(target=lambda: said.append(processes.run(["sleep", "60"], 60.0, note=str(note))))
    runner.start()
    until(lambda: note.exists() and "sleep" in pathlib.Path("/proc/%d/comm" % stage.read_json(str(note))["pid"]).read_text())
    assert note.stat().st_mode & 0o077 == 0, "nothing in a marker is for others"
    processes.kill_noted(str(note))
    runner.join(20)
    assert said == [-9]
    processes.kill_noted(str(note))
    processes.kill_noted(str(tmp_path / "none"))


def test_another_process_with_its_number_is_left_alone(parts, tmp_path):
    processes, _marker = parts
    note = tmp_path / "runc"
    other = subprocess.Popen(["sleep", "60"])
    try:
        stage.write_json(str(note), dict(stage.claimer(), pid=other.pid, start_time=stage.process_start(other.pid) + 1))
        processes.kill_noted(str(note))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_first_thread_that_ended_is_not_the_end(parts, tmp_path):
    processes, _marker = parts
    note = tmp_path / "runc"
    child = subprocess.Popen([sys.executable, "-c", TWO_THREADS])
    try:
        until(lambda: processes.state(child.pid) == "Z")
        stage.write_json(str(note), dict(stage.claimer(), pid=child.pid, start_time=stage.process_start(child.pid)))
        processes.kill_noted(str(note))
        assert len(os.listdir("/proc/%d/task" % child.pid)) == 1
        # By its second thread's death, not because that one was done.
        assert child.wait(20) == -9
    finally:
        child.kill()
        child.wait()


def test_one_that_was_forked_meanwhile_is_killed_too(parts, monkeypatch):
    processes, _marker = parts
    first, second = (subprocess.Popen(["sleep", "60"]) for _number in range(2))
    looks = [[first.pid], [second.pid]]

    def kill(pid, number):
        os.kill(pid, number)
        until(lambda: processes.state(pid) == "Z")

    # When the second one is seen for the first time, the first one has ended.
    monkeypatch.setattr(processes, "_all", lambda: looks.pop(0) if looks else [first.pid, second.pid])
    monkeypatch.setattr(processes, "_in_cgroup", lambda pid, leaf: True)
    monkeypatch.setattr(processes, "os", type("Os", (), {"kill": staticmethod(kill), "getpid": os.getpid, "listdir": os.listdir}))
    try:
        assert processes.kill_cgroup("leaf") == 2
        assert (first.wait(20), second.wait(20)) == (-9, -9)
    finally:
        for child in (first, second):
            child.kill()
            child.wait()


def test_a_cgroup_that_is_busy_for_a_moment_is_removed(parts, monkeypatch):
    _processes, marker = parts
    asked = []

    def rmdir(path):
        asked.append(path)
        # The second hierarchy still has a process that is on its way out.
        if path == "/sys/fs/cgroup/cpuset/kubepods/pod1/id":
            raise OSError(errno.EBUSY if asked.count(path) < 3 else errno.ENOENT, "")

    monkeypatch.setattr(marker.os, "rmdir", rmdir)
    monkeypatch.setattr(marker.os, "listdir", lambda path: ["cpuset", "memory"])
    marker.remove_cgroups({"cgroups_path": "/kubepods/pod1/id"})
    assert asked.count("/sys/fs/cgroup/cpuset/kubepods/pod1/id") == 3
    assert asked.count("/sys/fs/cgroup/memory/kubepods/pod1/id") == 1
    # systemd's, and what is no path, are not ours.
    for foreign in ("kubepods.slice:crio:id", "", "/../x"):
        marker.remove_cgroups({"cgroups_path": foreign})
    assert len(asked) == 5
