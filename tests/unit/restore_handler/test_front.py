# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell front: what it passes on, and when it calls Python. No runc is needed: programs that record their call stand in."""
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

FRONT = pathlib.Path(__file__).resolve().parents[3] / "roles/restore_handler/files/container-checkpoint-runc"
RECORD = '#!/bin/sh\nprintf "%s\\n" "{name}" "$@"\nexit {status}\n'

PASSED_ON = [
    [],
    ["--version"],
    ["features"],
    ["--root", "/run/create", "--log", "create", "--log-format", "json", "state", "id1"],
    ["--root", "/r", "--systemd-cgroup", "create", "--bundle", "/b with space", "--pid-file", "", "id1"],
    ["--root=/r", "--debug", "--rootless", "auto", "start", "id1"],
    ["delete", "--force", "id1"],
    ["kill", "--all", "id1", "9"],
    ["exec", "--tty", "id1", "sh", "-c", "echo \"$HOME\" * ; create"],
    ["-root", "/r", "pause", "id1"],
]
OURS = [
    ["--root", "/r", "--log", "/l", "--log-format", "json", "--systemd-cgroup", "create", "--bundle", "/b", "id1"],
    ["create", "id1"],
    ["--rootless=auto", "-log", "x", "create", "id1"],
]
HELD = [["state", "held"], ["--root", "/r", "start", "held"], ["delete", "--force", "held"]]


@pytest.fixture
def front(tmp_path):
    base = tmp_path / "base dir"
    base.mkdir()
    shutil.copy(FRONT, base)
    for name, status in (("runc", 7), ("python", 8)):
        (base / name).write_text(RECORD.format(name=name, status=status))
        (base / name).chmod(0o755)
    (base / "handler.conf").write_text("RUNC='%s/runc'\nPYTHON='%s/python'\nSTAGING=%s/staging\nSTATE=%s/state\n" % (base, base, tmp_path, tmp_path))
    for state in ("staged", "claimed", "failed", "done", "incoming"):
        (tmp_path / "staging" / state).mkdir(parents=True)
    (tmp_path / "state").mkdir()

    def call(*argv):
        done = subprocess.run([str(base / FRONT.name), *argv], stdout=subprocess.PIPE, check=False)
        return done.returncode, done.stdout.decode().splitlines()

    call.path = tmp_path
    call.handler = str(base / "handler")
    return call


@pytest.mark.parametrize("argv", PASSED_ON + OURS + HELD)
def test_everything_goes_to_runc_unchanged_while_nothing_is_staged(front, argv):
    (front.path / "staging/done/old").mkdir()
    (front.path / "staging/incoming/new").mkdir()
    status, lines = front(*argv)
    assert status == 7
    assert lines == ["runc"] + argv


@pytest.mark.parametrize("state", ["staged", "claimed", "failed"])
@pytest.mark.parametrize("argv", OURS)
def test_create_goes_to_python_while_something_is_staged(front, state, argv):
    (front.path / "staging" / state / "entry").mkdir()
    assert front(*argv) == (8, ["python", "-I", "-S", front.handler] + argv)


@pytest.mark.parametrize("argv", [argv for argv in PASSED_ON if "--pid-file" not in argv])
def test_other_calls_do_not(front, argv):
    (front.path / "staging/staged/entry").mkdir()
    assert front(*argv) == (7, ["runc"] + argv)


@pytest.mark.parametrize("argv", HELD)
def test_calls_about_a_held_container_go_to_python(front, argv):
    (front.path / "state/held").mkdir()
    assert front(*argv) == (8, ["python", "-I", "-S", front.handler] + argv)
    other = argv[:-1] + ["other"]
    assert front(*other) == (7, ["runc"] + other)


@pytest.mark.parametrize("name", ["..", ".", "../state/held", "/etc", ""])
def test_names_that_are_paths_are_no_markers(front, name):
    (front.path / "state/held").mkdir()
    assert front("state", name)[0] == 7


def test_without_a_configuration_it_is_runc(front, tmp_path, monkeypatch):
    base = tmp_path / "bare"
    base.mkdir()
    shutil.copy(FRONT, base)
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(tmp_path / "base dir" / "runc", programs)
    environment = dict(os.environ, PATH="%s:%s" % (programs, os.environ["PATH"]))
    done = subprocess.run([str(base / FRONT.name), "state", "x"], stdout=subprocess.PIPE, env=environment, check=False)
    assert done.stdout.decode().splitlines() == ["runc", "state", "x"]
