# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore_log: the log of that Pod's last restore that failed, and nothing where none was kept."""

from __future__ import annotations

import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs, _restore_log

MINE, OTHER = "d124ac9d-d3fa-4e2f-b2c3-2e45addafd92", "a3b41d60-0fc0-4946-9ef3-666122c6ab25"
FAILED = "(00.002222) cg: rewriting kubepods/pod%s/daee to /kubepods/pod%s/0d4a\n(00.01) mnt: No mapping for 970:(null) mountpoint\n"
RESTORE = FAILED + "(00.02) Error (criu/cr-restore.c:2331): Restoring FAILED.\n"
DUMP = "(00.00) Dumping processes (pid: 1)\n(00.01) x /kubepods/pod%s/0d4a\n(00.02) Error (criu/cr-dump.c:1975): Dumping FAILED.\n"
WORKED = "(00.01) /kubepods/pod%s/0d4a\n(00.02) Restore finished successfully. Tasks resumed.\n"


@pytest.fixture
def node(tmp_path):
    """A directory of kept logs, and the configuration that names it."""
    config = tmp_path / "runc.conf"
    config.write_text("log-file %s/current.log\n" % tmp_path)

    def write(name, text, written=1000):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (written, written))

    write.places = _diagnosis_logs.Places(config=str(config))
    write.look = lambda uid=None: _restore_log.look(uid, write.places, now=lambda: 1007.5)
    write.found = lambda uid=None: os.path.basename((write.look(uid) or {"path": ""})["path"])
    return write


def test_one_log_for_all_is_diagnosed_with_its_age_and_its_errors(tmp_path):
    log, config = tmp_path / "criu.log", tmp_path / "runc.conf"
    log.write_text("x\n" * 3_000_000 + RESTORE % (OTHER, MINE))
    os.utime(log, (1000, 1000))
    config.write_text("log-file %s\n" % log)
    found = _restore_log.look(MINE, _diagnosis_logs.Places(config=str(config)), now=lambda: 1007.5)
    assert (found["path"], found["age_seconds"]) == (str(log), 7)
    assert [finding["id"] for finding in found["diagnosis"]] == ["mount-mapping"]
    assert found["errors"] == ["(00.02) Error (criu/cr-restore.c:2331): Restoring FAILED."]


def test_nothing_is_kept(tmp_path, node):
    config = tmp_path / "other.conf"
    assert _restore_log.look(places=_diagnosis_logs.Places(config=str(config))) is None
    config.write_text("log-file %s\n" % (tmp_path / "missing"))
    assert _restore_log.look(places=_diagnosis_logs.Places(config=str(config))) is None
    assert node.look() is None


def test_of_the_logs_of_single_operations_the_newest_is_taken(node):
    for number in (1, 3, 2):
        node("20261121T12000%d.0Z.log" % number, RESTORE % (OTHER, MINE))
    assert node.found() == node.found(MINE) == "20261121T120003.0Z.log"
    # One has begun this moment, and has no name of its own yet.
    node("current.log", "")
    assert node.found(MINE) == "20261121T120003.0Z.log"
    node("current.log", RESTORE % (OTHER, MINE))
    assert node.found(MINE) == "current.log"


def test_other_operations_since_are_not_mistaken_for_it(node):
    node("20261121T120001.0Z.log", RESTORE % (OTHER, MINE))
    node("20261121T120002.0Z.log", RESTORE % (MINE[::-1], OTHER))
    node("20261121T120003.0Z.log", DUMP % MINE)
    node("20261121T120004.0Z.log", WORKED % MINE)
    assert node.found(MINE) == "20261121T120001.0Z.log"
    assert node.found() == "20261121T120002.0Z.log"
    assert node.found("00000000-0000-0000-0000-000000000000") == ""


def test_systemds_names_of_cgroups_have_underscores(node):
    named = "kubepods-besteffort-pod%s.slice/cri-containerd-0d4a.scope" % MINE.replace("-", "_")
    node("20261121T120001.0Z.log", "(00.01) %s\n(00.02) Error (criu/cr-restore.c:2331): Restoring FAILED.\n" % named)
    assert node.found(MINE) and not node.found(OTHER)


def test_a_restore_that_ended_before_it_named_a_cgroup_may_be_of_the_pod(node):
    node("20261121T120001.0Z.log", "(00.001) Error (criu/image.c:421): Magic doesn't match for inventory.img\n")
    assert node.look(MINE)["diagnosis"][0]["id"] == "images-damaged"
