# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_command: commands with a deadline, through whatever the module's run_command does."""

from __future__ import annotations

import subprocess
import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    DeadlineError,
    RuntimeToolError,
)


class Module:
    """The two methods of AnsibleModule that CommandRunner uses, really running commands."""

    def __init__(self, tools):
        self.tools = tools

    def get_bin_path(self, name, opt_dirs=None):
        return self.tools.get(name)

    def run_command(self, argv, check_rc, environ_update):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


TIMEOUT = {"timeout": "/usr/bin/timeout"}


def test_a_command_that_ends_in_time_gives_its_own_answer():
    assert CommandRunner(Module(TIMEOUT)).run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10) == (
        3,
        "out\n",
        "err\n",
    )


def test_a_command_that_takes_too_long_is_ended():
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="'sleep 30' did not finish within 0.2 s and was ended"):
        CommandRunner(Module(TIMEOUT)).run(["sleep", "30"], 0.2)
    assert time.monotonic() - started < 25


def test_a_command_killed_by_somebody_else_is_not_called_a_timeout():
    assert CommandRunner(Module(TIMEOUT)).run(["sh", "-c", "exit 137"], 10)[0] == 137


def test_without_coreutils_nothing_runs():
    with pytest.raises(RuntimeToolError, match="install coreutils"):
        CommandRunner(Module({})).run(["true"], 1)


def test_find_is_the_modules():
    runner = CommandRunner(Module({"criu": "/usr/sbin/criu"}))
    assert (runner.find("criu"), runner.find("nothing")) == ("/usr/sbin/criu", None)
