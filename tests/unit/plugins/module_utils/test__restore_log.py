# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_restore_log: the log that CRIU was told to keep, and nothing where it was told nothing."""

from __future__ import annotations

import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_log


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
    assert _restore_log.configured_path(config) == expected


def test_the_log_is_diagnosed_with_its_age(tmp_path):
    log, config = tmp_path / "criu.log", tmp_path / "runc.conf"
    log.write_text(
        "x\n" * 3_000_000
        + "(00.01) mnt: No mapping for 970:(null) mountpoint\n(00.02) Error (criu/cr-restore.c:1): Restoring FAILED.\n"
    )
    os.utime(log, (1000, 1000))
    config.write_text("log-file %s\n" % log)
    found = _restore_log.look(str(config), now=lambda: 1007.5)
    assert (found["path"], found["age_seconds"]) == (str(log), 7)
    assert [finding["id"] for finding in found["diagnosis"]] == ["mount-mapping"]


def test_nothing_is_kept(tmp_path):
    config = tmp_path / "runc.conf"
    assert _restore_log.look(str(config)) is None
    config.write_text("log-file %s\n" % (tmp_path / "missing"))
    assert _restore_log.look(str(config)) is None


def test_where_each_operation_has_its_log_the_newest_is_taken(tmp_path):
    config = tmp_path / "runc.conf"
    config.write_text("log-file %s/current.log\n" % tmp_path)
    assert _restore_log.look(str(config)) is None
    for number in (1, 3, 2):
        (tmp_path / ("20261121T12000%d.0Z.log" % number)).write_text("(00.01) mnt: No mapping for 970:(null) mountpoint\n")
    assert _restore_log.look(str(config))["path"] == str(tmp_path / "20261121T120003.0Z.log")
    # One has begun this moment.
    (tmp_path / "current.log").write_text("")
    assert _restore_log.look(str(config))["path"] == str(tmp_path / "current.log")
