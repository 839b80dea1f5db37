# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_diagnosis_logs: which logs are read, which one is believed, and what is answered."""

from __future__ import annotations

import dataclasses
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs as logs
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError

ID = "c" * 64
TASK = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/criu-dump.log" % ID
TCP = "(00.03) Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.\n"
FROZEN = "(00.03) Error (criu/seize.c:635): Unable to freeze cgroup x\n"
FAILED = "(00.00) Dumping processes (pid: 1)\n%s(00.04) Error (criu/cr-dump.c:2128): Dumping FAILED.\n"
MESSAGE = "criu failed: type DUMP errno 0 path= %s" % TASK


def places(found, config=""):
    """A node with these logs: path to (text, time)."""
    read = {path: logs.Text(path, text, written) for path, (text, written) in found.items()}
    read["/conf"] = logs.Text("/conf", config, 0)

    def find(pattern):
        head, _star, tail = pattern.partition("*")
        return [path for path in found if path.startswith(head) and path.endswith(tail.rpartition("*")[2])]

    return logs.Places(read.get, find, "/conf", lambda path: read[path].written if path in read else None)


@pytest.mark.parametrize(
    "config, expected",
    [
        ("", None),
        ("tcp-close\nlog-file /var/log/criu.log\n", "/var/log/criu.log"),
        ("log-file /a # why\nlog-file '/b'\n", "/b"),
        ("# log-file /a\n", None),
        ("log-file restore.log\n", None),
        ("log-file\n", None),
    ],
)
def test_configured_path(config, expected):
    assert logs.configured_path(config) == expected


def test_the_log_that_a_message_names_is_read_whenever_it_was_written():
    here = places({TASK: (FAILED % TCP, 100.0)})
    found = logs.collect(here, at=9000.0, window=60, now=9000.0, message=MESSAGE)
    assert [entry["path"] for entry in found] == [TASK]
    assert found[0]["diagnosis"][0]["id"] == "tcp-established" and found[0]["stage"] == "dump"
    assert found[0]["errors"][0].endswith("--tcp-established option.")


def test_others_only_around_the_time_and_the_nearest_first():
    other = TASK.replace(ID, "d" * 64)
    here = places({TASK: (FAILED % TCP, 5000.0), other: (FAILED % FROZEN, 5050.0)})
    assert [entry["path"] for entry in logs.collect(here, 5060.0, 100, 5060.0)] == [other, TASK]
    assert [entry["path"] for entry in logs.collect(here, 5060.0, 20, 5060.0)] == [other]
    assert [entry["path"] for entry in logs.collect(here, 5060.0, 100, 5060.0, container_id=ID)] == [TASK]


def test_the_log_that_crius_configuration_keeps():
    here = places(
        {"/var/log/criu.log": ("(00.1) Restoring FAILED\nNo mapping for 9:(null) mountpoint\n", 50.0)},
        "log-file /var/log/criu.log",
    )
    found = logs.collect(here, 50.0, 10, 50.0)
    assert [(entry["path"], entry["stage"]) for entry in found] == [("/var/log/criu.log", "restore")]


def test_each_operation_has_its_log_and_those_of_others_are_left_out():
    other, mine, older = ("/var/log/criu/2026%04dZ.log" % number for number in (3, 2, 1))
    here = places(
        {
            other: ("cg: path kubepods/%s\n" % ("d" * 64) + FAILED % FROZEN, 52.0),
            mine: ("cg: path kubepods/%s and %s\n" % ("e" * 64, ID) + FAILED % TCP, 51.0),
            older: (FAILED % FROZEN, 49.0),
        },
        "log-file /var/log/criu/current.log",
    )
    assert [entry["path"] for entry in logs.collect(here, 52.0, 10, 52.0)] == [other, mine, older]
    # What names no container may be of any.
    assert [entry["path"] for entry in logs.collect(here, 52.0, 10, 52.0, container_id=ID)] == [mine, older]
    assert len(logs.collect(here, 52.0, 10, 52.0, container_id="-")) == 3
    one_for_all = places({other: ("", 1.0)}, "log-file /var/log/criu/other.log")
    assert logs.candidates(one_for_all) == ["/var/log/criu/other.log"]


def test_logs_of_other_pods_are_left_out():
    mine, other = "d124ac9d-d3fa-4e2f-b2c3-2e45addafd92", "a3b41d60-0fc0-4946-9ef3-666122c6ab25"
    here = places(
        {
            "/var/log/criu/20263Z.log": ("x kubepods-pod%s.slice\n" % other.replace("-", "_") + FAILED % FROZEN, 52.0),
            "/var/log/criu/20262Z.log": ("x /kubepods/pod%s/%s\n" % (mine, ID) + FAILED % TCP, 51.0),
            "/var/log/criu/20261Z.log": (FAILED % FROZEN, 50.0),
        },
        "log-file /var/log/criu/current.log",
    )
    found = logs.collect(here, 52.0, 10, 52.0, pod_uids=[mine])
    assert [entry["path"] for entry in found] == ["/var/log/criu/20262Z.log", "/var/log/criu/20261Z.log"]
    named = logs.collect(here, 52.0, 10, 52.0, "see /var/log/criu/20263Z.log", pod_uids=[mine])
    assert named[0]["path"] == "/var/log/criu/20263Z.log" and len(named) == 3


def test_of_thousands_of_old_logs_only_those_around_the_time_are_read():
    old = {"/var/log/criu/2026%04dZ.log" % number: (FAILED % TCP, 100.0 + number) for number in range(2000)}
    here, read = places(old, "log-file /var/log/criu/current.log"), []

    def counted(path):
        read.append(path)
        return here.read(path)

    found = logs.collect(dataclasses.replace(here, read=counted), at=1500.0, window=2, now=9000.0)
    assert len(found) == 5 and len(read) == 6


def test_a_run_that_worked_is_no_finding():
    here = places({TASK: ("Dumping processes\n%sDumping finished successfully\n" % TCP, 50.0)})
    found = logs.collect(here, 50.0, 10, 50.0)
    assert found[0]["succeeded"] and found[0]["diagnosis"] == []
    assert "worked" in logs.answer([], found)


def test_an_unknown_message_ranks_below_a_known_cause_elsewhere():
    unknown = diagnose("(00.1) Error (criu/x.c:1): never seen\n", where="dump")
    known = diagnose("no command specified")
    assert [one["id"] for one in logs.merged(unknown, known)] == ["no-command", "criu-unknown"]
    assert [one["id"] for one in logs.merged(diagnose(MESSAGE), diagnose(TCP))] == ["tcp-established", "criu-wrapper"]


def test_the_answer_says_whether_to_try_again():
    assert "simply try again" in logs.answer(diagnose(FROZEN), [])
    permanent = logs.answer(diagnose(TCP), [])
    assert permanent.startswith("Cause: ") and "Remedy: " in permanent and "does not help" in permanent
    assert "passes another one on" in logs.answer(diagnose(MESSAGE), [])
    assert "criu_log_dir" in logs.answer([], [])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-11-21T13:05:00Z", 1795266300.0),
        ("2026-11-21 13:05", 1795266300.0),
        ("2026-11-21T18:35:00+05:30", 1795266300.0),
        ("2026-11-21T18:35:00.123+0530", 1795266300.0),
        ("1795266300", 1795266300.0),
        ("", 7.0),
        (None, 7.0),
    ],
)
def test_moments(text, expected):
    assert logs.moment(text, 7.0) == expected


@pytest.mark.parametrize("text", ["yesterday", "2026-13-41T00:00:00Z", "13:05"])
def test_what_is_no_moment(text):
    with pytest.raises(InputError, match="is no time"):
        logs.moment(text, 7.0)


def test_only_regular_files_are_read_and_only_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_TAIL_BYTES", 10)
    log = tmp_path / "dump.log"
    log.write_text("x" * 100 + "the end")
    assert logs.read_tail(str(log)).text == "xxxthe end"
    os.symlink(str(log), str(tmp_path / "link.log"))
    assert logs.read_tail(str(tmp_path / "link.log")) is None
    assert logs.read_tail(str(tmp_path / "missing.log")) is None


def test_a_failed_checkpoint_gets_what_the_log_says():
    import time

    exc = CheckpointError("failed: " + MESSAGE, diagnosis=diagnose(MESSAGE))
    now = time.time()
    logs.add_to(exc, ID, now - 5, places({TASK: (FAILED % FROZEN, now - 1)}))
    assert exc.details["diagnosis"][0]["id"] == "freeze-failed" and exc.details["diagnosis"][0]["transient"]
    assert exc.details["criu_log"]["path"] == TASK and "CRIU's log" in exc.msg


def test_a_log_from_before_the_call_is_not_believed():
    import time

    exc = CheckpointError("failed: " + MESSAGE, diagnosis=diagnose(MESSAGE))
    now = time.time()
    logs.add_to(exc, ID, now - 5, places({TASK: (FAILED % FROZEN, now - 500)}))
    assert [one["id"] for one in exc.details["diagnosis"]] == ["criu-wrapper"] and "criu_log" not in exc.details


def test_the_journal_is_asked_for_that_time_only():
    command = logs.journal_command("/bin/journalctl", 1000.0, 60, 50)
    assert "--since=@940" in command and "--until=@1061" in command and "--lines=50" in command
    assert "--unit=containerd.service" in command and "--unit=crio.service" in command
