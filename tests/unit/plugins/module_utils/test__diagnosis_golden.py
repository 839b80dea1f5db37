# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of real failures, one from each workload that CRIU 4.2.1 could not save or restore: each is diagnosed to its true cause.

The logs are in fixtures/criu, C(WORKLOAD.STAGE.log), made by tests/workloads/run.py on the lab (containerd 2.1.9, runc 1.3.6, kernel 6.18) and
kept by golden.py there: only lines with errors and warnings, so they hold neither memory nor environment.
"""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures", "criu")
# Workload to the cause that is known, because the workload was made to have it. tests/workloads/run.py holds every run to it.
with open(os.path.join(FIXTURES, "causes.json"), encoding="utf-8") as known:
    CAUSES = json.load(known)
LOGS = sorted(name for name in os.listdir(FIXTURES) if name.endswith(".log"))


@pytest.mark.parametrize("name", LOGS)
def test_the_true_cause_comes_first(name):
    workload, stage, _log = name.split(".")
    with open(os.path.join(FIXTURES, name), encoding="utf-8") as stream:
        text = stream.read()
    assert diagnose(text, where=stage)[0]["id"] == CAUSES[workload]
    # Whoever does not know the stage gets the same answer.
    assert diagnose(text)[0]["id"] == CAUSES[workload]


def test_every_cause_has_its_log():
    assert sorted(CAUSES) == sorted(name.partition(".")[0] for name in LOGS)


@pytest.mark.parametrize("name", LOGS)
def test_the_logs_hold_nothing_but_messages(name):
    with open(os.path.join(FIXTURES, name), encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    assert 0 < len(lines) < 60 and all(len(line) <= 300 and line.isprintable() or "\t" in line for line in lines)
