# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler's self-test: what it finds missing, and that node_info's reader understands what it writes. Scripts stand in for runc and CRIU."""
from __future__ import annotations

import os
import pathlib
import sys

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_handler, _version

HANDLER = pathlib.Path(__file__).resolve().parents[3] / "roles/restore_handler/files/handler"
RUNC = """#!/bin/sh
case $1 in
features) %(features)s ;;
restore) exit %(restore)d ;;
esac
"""
GOOD = {"features": """echo '{"annotations": {"org.opencontainers.runc.checkpoint.enabled": "true"}}'""", "restore": 0}


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node on which everything is there: (settings, a function that runs the self-test and reads its status)."""
    programs = tmp_path / "programs"
    programs.mkdir()
    staging = tmp_path / "restore"
    staging.mkdir(mode=0o700)
    monkeypatch.setenv("PATH", "%s:%s" % (programs, os.environ["PATH"]))
    monkeypatch.syspath_prepend(str(HANDLER))
    for name in ("selftest", "settings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import selftest
    import settings

    def program(name, text):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def run():
        path = tmp_path / "state" / "handler-status.json"
        status = selftest.run(settings.Settings(runc=str(programs / "runc"), staging=str(staging)), str(path))
        assert path.stat().st_mode & 0o077 == 0
        return status, _restore_handler.parse_status(path.read_text()), path.read_text()

    run.program, run.staging, run.programs = program, staging, programs
    program("runc", RUNC % GOOD)
    program("criu", "#!/bin/sh\nexit 0\n")
    yield run
    for name in ("selftest", "settings"):
        sys.modules.pop(name, None)


def test_it_passes_where_everything_is_there(node):
    status, answer, text = node()
    assert (status, answer["passing"]) == (0, True)
    assert '"version": "%s"' % _version.VERSION in text


@pytest.mark.parametrize(("program", "text", "why"), [
    ("runc", RUNC % dict(GOOD, features="""echo '{"annotations": {"org.opencontainers.runc.checkpoint.enabled": "false"}}'"""), "built without CRIU"),
    ("runc", RUNC % dict(GOOD, features="echo no"), "answers no JSON"),
    ("runc", RUNC % dict(GOOD, restore=1), "does not know the command restore"),
    ("criu", "#!/bin/sh\necho 'Error: kernel is too old'\nexit 1\n", "criu check fails: Error: kernel is too old"),
])
def test_what_is_missing_is_said(node, capfd, program, text, why):
    node.program(program, text)
    status, answer, _text = node()
    assert (status, answer["passing"]) == (1, False)
    assert why in answer["why"]
    assert why in capfd.readouterr().err


def test_without_runc(node):
    (node.programs / "runc").unlink()
    assert not node()[1]["passing"]


def test_a_staging_directory_that_others_can_read(node):
    node.staging.chmod(0o755)
    status, answer, _text = node()
    assert status == 1
    assert "must belong to root with mode 0700" in answer["why"]


def test_it_recovers(node):
    node.program("criu", "#!/bin/sh\nexit 1\n")
    assert not node()[1]["passing"]
    node.program("criu", "#!/bin/sh\nexit 0\n")
    assert node()[1]["passing"]


def test_a_file_of_the_handlers_own_is_missing(node, monkeypatch):
    monkeypatch.setitem(sys.modules, "create", None)
    status, answer, _text = node()
    assert (status, answer["passing"]) == (1, False) and "the handler's own files are incomplete" in answer["why"]
