# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    DeadlineError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._lock import (
    container_lock,
    lock_directory,
)

KEY = "default/counter/counter"


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "locks")


_HOLDER = """
import fcntl, sys
stream = open(sys.argv[1], "a")
fcntl.flock(stream, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(directory):
    """Another process that holds the lock."""
    with container_lock(KEY, 0, directory):
        pass
    path = os.path.join(directory, os.listdir(directory)[0])
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_has_to_wait(directory, holder):
    with pytest.raises(DeadlineError) as caught:
        with container_lock(KEY, 0.2, directory):
            pass
    assert (
        caught.value.msg
        == "another process on this machine is making a checkpoint of default/counter/counter, and has not finished"
        " within 0.2 s"
    )
    with container_lock("default/counter/other", 0, directory):
        pass
    holder.communicate("\n", timeout=10)
    with container_lock(KEY, 10, directory):
        pass


def test_a_killed_holder_leaves_nothing_locked(directory, holder):
    holder.kill()
    holder.wait(60)
    with container_lock(KEY, 60, directory):
        pass


def test_two_threads_of_one_process_exclude_each_other(directory):
    with container_lock(KEY, 0, directory):
        with pytest.raises(DeadlineError):
            with container_lock(KEY, 0, directory):
                pass


def test_calls_are_a_second_apart(directory):
    now, slept = [1000.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    for dummy in range(2):
        with container_lock(KEY, 0, directory, sleep=sleep, clock=lambda: now[0]) as before_call:
            before_call()
            now[0] += 0.25
        now[0] += 0.25
    assert slept == [pytest.approx(0.75)]


def test_a_lock_without_a_call_delays_nobody(directory):
    slept = []
    with container_lock(KEY, 0, directory, sleep=slept.append):
        pass
    with container_lock(KEY, 0, directory, sleep=slept.append) as before_call:
        before_call()
    assert slept == []


@pytest.mark.parametrize("content", [b"", b"rubbish", b"99999999999.0\n"])
def test_strange_lock_files(directory, content):
    with container_lock(KEY, 0, directory):
        pass
    name = os.listdir(directory)[0]
    with open(os.path.join(directory, name), "wb") as stream:
        stream.write(content)
    slept = []
    with container_lock(KEY, 0, directory, sleep=slept.append) as before_call:
        before_call()
    assert slept == []


def test_a_directory_that_others_may_write_to_is_not_used(directory):
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    with pytest.raises(CheckpointError, match="is not a directory that only we may write to"):
        with container_lock(KEY, 0, directory):
            pass


def test_a_linked_directory_is_not_used(directory, tmp_path):
    os.symlink(str(tmp_path), directory)
    with pytest.raises(CheckpointError, match="is not a directory that only we may write to"):
        with container_lock(KEY, 0, directory):
            pass


def test_no_directory_to_be_had():
    with pytest.raises(CheckpointError, match="cannot be made in /proc/no"):
        with container_lock(KEY, 0, "/proc/no/locks"):
            pass


def test_where(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert lock_directory() == "/run/lock/container-checkpoint"
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert lock_directory().endswith("/container-checkpoint-1234")
