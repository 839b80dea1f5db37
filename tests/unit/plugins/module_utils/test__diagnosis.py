# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_diagnosis: what real kubelets and CRIU said, and which cause is named first."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import ROWS, WHERE, diagnose

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")
RLIMIT = "(00.000513) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"


def read(*path):
    with open(os.path.join(FIXTURES, *path), encoding="utf-8") as stream:
        return stream.read()


def ids(text, **options):
    return [finding["id"] for finding in diagnose(text, **options)]


def sample(pattern):
    """A line that the pattern must match."""
    return "before " + pattern.replace("…", " 4711 ") + " after"


# -- the table -------------------------------------------------------------------------------------------------------


def test_ids_are_unique_and_speakable():
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+[a-z0-9]*(-[a-z0-9]+)*", name)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_is_complete_and_found_by_each_of_its_patterns(row):
    assert set(row.where) <= set(WHERE) and row.cause and row.remedy and row.source
    for pattern in row.patterns:
        assert row.id in ids(sample(pattern)), pattern
        assert row.id in ids(sample(pattern), where=row.where[0]), pattern


def test_other_origins_and_the_other_engine_are_left_out():
    text = "Error: restoring image expects following bind mounts defined (/var/run/secrets)"
    assert ids(text) == ["crio-mounts"]
    assert ids(text, where="cri-o", engine="cri-o") == ["crio-mounts"]
    assert ids(text, where="dump") == []
    assert ids(text, engine="containerd") == []
    assert "no-command" in ids("Error: no command specified", engine="containerd")


def test_nothing_is_said_about_what_is_not_known():
    assert diagnose("") == []
    assert diagnose('{"items":["/var/lib/kubelet/checkpoints/checkpoint-a_b-c-2026-11-21T11:55:44Z.tar"]}') == []


# -- real answers ----------------------------------------------------------------------------------------------------


def test_crios_quoted_dump_log_names_the_tcp_connection_and_not_the_first_error_line():
    found = diagnose(read("crio", "responses.txt"))
    assert found[0]["id"] == "tcp-established"
    assert "tcp-close" in found[0]["remedy"]
    assert found[0]["line"].startswith('time="2026-11-21T11:57:10Z" level=warning msg="1124:')
    assert [finding["id"] for finding in found[1:]] == ["criu-wrapper"]


def test_containerds_answer_only_names_the_log():
    found = diagnose(read("containerd", "responses.txt"))
    assert [finding["id"] for finding in found] == ["criu-wrapper"]
    assert "runc.conf" in found[0]["remedy"]


@pytest.mark.parametrize(
    "engine, expected",
    [
        ("containerd", ["criu-wrapper", "crash-again-and-again"]),
        ("crio", ["crio-mounts"]),
    ],
)
def test_events_of_a_restore_that_lacked_the_serviceaccount_mount(engine, expected):
    events = json.loads(read(engine, "events-restore-failed.json"))["items"]
    assert ids("\n".join(event["message"] for event in events)) == expected


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("404 page not found\n", "kubelet-no-endpoint"),
        ("pod does not exist\n", "kubelet-no-such-pod"),
        ("container noctr does not exist\n", "kubelet-no-such-container"),
        (
            "Forbidden (user=kube-apiserver-kubelet-client, verb=create, resource=nodes, "
            "subresource(s)=[checkpoint])\n",
            "kubelet-forbidden",
        ),
        ("Forbidden (user=u, verb=get, resource=nodes, subresource(s)=[configz proxy])\n", "kubelet-forbidden-proxy"),
        ("Unauthorized\n", "kubelet-unauthorized"),
        ("cannot parse value of timeout parameter\n", "kubelet-bad-timeout"),
        (
            "checkpointing of default/c/c failed (CheckpointContainer requires the timeout value to be > 0)\n",
            "kubelet-bad-timeout",
        ),
        ("Client sent an HTTP request to an HTTPS server.\n", "kubelet-plain-http"),
        ("checkpointing of default/p/c failed (container c not found)\n", "kubelet-not-running"),
        (
            "checkpointing of d/p/c failed (rpc error: code = DeadlineExceeded desc = stream terminated by RST_STREAM "
            "with error code: CANCEL)\n",
            "kubelet-deadline",
        ),
    ],
)
def test_the_kubelets_answers(answer, expected):
    assert ids(answer)[0] == expected


# -- ranking ---------------------------------------------------------------------------------------------------------


def test_a_harmless_error_is_no_finding_even_alone():
    assert diagnose(RLIMIT) == []
    assert diagnose(RLIMIT + "(00.09) Dumping finished successfully\n") == []


def test_an_error_nobody_knows_is_quoted_and_the_harmless_one_is_not():
    log = (
        RLIMIT
        + "(00.02) Error (criu/mem.c:672): Can't dump page with parasite\n(00.03) Error (criu/cr-dump.c:1975): Dumping FAILED.\n"
    )
    found = diagnose(log)
    assert [finding["id"] for finding in found] == ["criu-unknown"]
    assert found[0]["line"] == "Error (criu/mem.c:672): Can't dump page with parasite"


def test_the_root_comes_before_its_consequences_and_before_the_wrapper():
    log = (
        "criu failed: type RESTORE errno 0\n"
        "(00.01) mnt: No mapping for 970:(null) mountpoint\n"
        "(00.02) Error (criu/mount.c:100): mnt: Can't do it\n"
        "(00.03) Error (criu/cr-restore.c:1): 12 killed by signal 11: Segmentation fault\n"
    )
    assert ids(log) == ["mount-mapping", "killed-after-restore", "criu-wrapper"]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("Can't dump file 7 of that type [20600] (unknown anon_inode:[io_uring])", ["io-uring"]),
        ("Can't dump file 7 of that type [20600] (chr 10:229)", ["device-file"]),
        ("Unsupported proto 262 for socket", ["mptcp"]),
        ("Unsupported proto 132 for socket", ["socket-protocol"]),
        ("failed to pull checkpoint base image sha256:f00: parse: invalid port", ["containerd-base-local"]),
        (
            "failed to pull checkpoint base image base.lab/x@sha256:f00: 401 Unauthorized",
            ["containerd-base-pull", "kubelet-unauthorized"],
        ),
        ('locating image with ID "f8de": image not known', ["crio-base-image"]),
    ],
)
def test_special_cases_win_over_general_ones(line, expected):
    assert ids(line) == expected


def test_only_what_may_pass_by_itself_is_transient():
    assert diagnose("cannot pause a paused container")[0]["transient"] is True
    assert diagnose("404 page not found")[0]["transient"] is False


def test_a_long_line_is_shortened():
    assert len(diagnose("404 page not found " + "x" * 10000)[0]["line"]) == 400


def test_a_long_log_is_read_quickly():
    log = (
        "(00.031765) 1725 fdinfo 1: pos:                0 flags:                1/0\n" * 100000
        + "(00.1) Some file locks are hold by dumping tasks!\n"
    )
    started = time.process_time()
    assert ids(log) == ["file-locks"]
    # Every pattern in every line would take a minute.
    assert time.process_time() - started < 5
