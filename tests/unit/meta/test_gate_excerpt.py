# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's excerpts name what failed, and nothing that was expected to fail."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLAYS = """
TASK [refuse : a mistake that the test makes] ****
fatal: [node2]: FAILED! => {"msg": "expected"}
TASK [compare] ****
ok: [node2]
PLAY RECAP ****
node2                      : ok=3    changed=0    unreachable=0    failed=0    skipped=0    rescued=1    ignored=0
TASK [refuse : a mistake that the test makes] ****
fatal: [node2]: FAILED! => {"msg": "expected"}
FAILED - RETRYING: [node2]: wait (3 retries left).
TASK [compare] \x1b[31m****\x1b[0m
\x1b[0;31mfatal: [node2]: FAILED! => {"msg": "it said otherwise"}\x1b[0m
PLAY RECAP ****
node1                      : ok=3    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
node2                      : ok=3    changed=0    unreachable=0    failed=1    skipped=0    rescued=1    ignored=0
error: molecule failed: kubernetes
"""


@pytest.fixture(scope="module")
def excerpt():
    """The function of tests/gate/excerpt.py."""
    spec = importlib.util.spec_from_file_location("excerpt", ROOT / "tests/gate/excerpt.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.excerpt


def test_a_play_that_failed(excerpt):
    assert excerpt(PLAYS) == ["TASK [compare]", 'fatal: [node2]: FAILED! => {"msg": "it said otherwise"}', "error: molecule failed: kubernetes"]


def test_pytest(excerpt):
    assert excerpt("....F\nE       assert 1 == 2\nFAILED tests/x.py::test - assert 1 == 2\n1 failed\n") == [
        "E       assert 1 == 2",
        "FAILED tests/x.py::test - assert 1 == 2",
    ]


def test_nothing_that_is_known(excerpt):
    assert excerpt("one\n\ntwo\n") == ["one", "two"]
