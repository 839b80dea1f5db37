# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""failure_info: one file, or everything around a time, and the answer."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs as logs
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.modules.failure_info import explain

JOURNAL = (
    '2026-11-21T13:05:01+0000 node1 containerd[77]: time="..." level=error msg="CheckpointContainer failed" '
    'error="failed: criu failed: type DUMP errno 0 path= /gone/dump.log"\n'
    "2026-11-21T13:05:02+0000 node1 kubelet[88]: checkpoint restore via CreateContainer is disabled by configuration\n"
)


class Runner:
    """A node with or without a journal."""

    def __init__(self, journal=None):
        self.journal, self.asked = journal, []

    def find(self, name):
        return "/bin/" + name if self.journal is not None else None

    def run(self, argv, timeout):
        self.asked.append(argv)
        return 0, self.journal, ""


def ask(runner=None, **given):
    params = {
        "time": None,
        "window": 300,
        "container_id": None,
        "pod_uids": [],
        "log_file": None,
        "text": None,
        "journal": True,
        "journal_lines": 50,
    }
    params.update(given)
    return explain(params, runner or Runner(), 1795266300.0)


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch):
    monkeypatch.setattr(logs, "PATTERNS", ())
    monkeypatch.setattr(logs, "CRIU_CONFIG", "/nonexistent")


def test_one_file(tmp_path):
    log = tmp_path / "dump.log"
    log.write_text(
        "(00.03) Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.\n"
    )
    result = ask(log_file=str(log))
    assert result["found"] and result["findings"][0]["id"] == "tcp-established" and "tcp-close" in result["answer"]
    assert result["logs"][0]["path"] == str(log) and result["journal"] == [] and result["changed"] is False


def test_a_file_that_is_no_log_of_criu_is_explained_too(tmp_path):
    log = tmp_path / "events.txt"
    log.write_text("Error: no command specified\n")
    assert ask(log_file=str(log))["findings"][0]["id"] == "no-command"


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match="cannot be read"):
        ask(log_file="/nonexistent/dump.log")


def test_the_journal_around_the_time():
    runner = Runner(JOURNAL)
    result = ask(runner, time="2026-11-21T13:05:00Z", window=60)
    assert [finding["id"] for finding in result["findings"]] == ["containerd-restore-off", "criu-wrapper"]
    assert len(result["journal"]) == 2 and result["found"]
    assert "--since=@1795266240" in runner.asked[0]


def test_without_journal_the_text_alone():
    runner = Runner(JOURNAL)
    result = ask(runner, text="checkpointing of d/p/c failed (container c not found)", journal=False)
    assert result["findings"][0]["id"] == "kubelet-not-running" and "simply try again" in result["answer"]
    assert runner.asked == []


def test_nothing_known_says_so():
    result = ask(text="all is well")
    assert result["found"] is False and result["findings"] == [] and "No known message" in result["answer"]


@pytest.mark.parametrize("given", [{"window": 0}, {"journal_lines": 0}, {"time": "soon"}])
def test_options_that_cannot_be_meant(given):
    with pytest.raises(InputError):
        ask(**given)
