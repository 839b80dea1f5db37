# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several handlers at once, as real processes, and links where an entry should be. No runc is needed: they only claim."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage

HANDLER = pathlib.Path(__file__).resolve().parents[3] / "roles/restore_handler/files/handler"
NAME = "a" * 32
# Says READY, waits for a line, claims, says what came of it, and lives until its input ends.
CLAIM = """
import sys
sys.path[:0] = [%r, *%r]
import choose, settings
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
target = stage.Target("default", "web", sys.argv[2], "c")
print("READY", flush=True)
sys.stdin.readline()
try:
    entry = choose.claim_for(target, sys.argv[1], settings.Settings(staging=%r, state=%r, runc="/bin/false", bind_timeout=0.1))
    print("nothing" if entry is None else "claimed " + entry.id, flush=True)
except Exception as exc:
    print("refused %%s" %% exc, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def staging(tmp_path):
    """A staging directory with one entry for the pod with UID u1."""
    root = tmp_path / "restore"
    stage.ensure_root(str(root))
    entry = root / "staged" / NAME
    entry.mkdir(mode=0o700)
    now = time.time()
    (entry / "entry.json").write_text(json.dumps({
        "schema": 1, "id": NAME, "policy": "fail", "created_at": now, "expires_at": now + 600,
        "binding": {"namespace": "default", "pod": "web", "container": "c", "pod_uid": "u1"}}))
    return root


def claimants(staging, uids):
    """Start one process for each UID; let them all go at once; what each of them said."""
    code = CLAIM % (str(HANDLER), [path for path in sys.path if path], str(staging), str(staging.parent / "state"))
    children = [
        subprocess.Popen([sys.executable, "-c", code, "id%d" % number, uid], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number, uid in enumerate(uids)
    ]
    try:
        assert [child.stdout.readline() for child in children] == ["READY\n"] * len(children)
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
        return [child.stdout.readline().strip() for child in children]
    finally:
        for child in children:
            child.communicate()


def test_only_one_of_many_gets_it(staging):
    said = claimants(staging, ["u1"] * 6)
    assert sorted(said)[0] == "claimed " + NAME
    assert sum(answer.startswith("claimed") for answer in said) == 1
    assert sum("already claimed by the container" in answer for answer in said) == 5, said
    assert [entry.state for entry in stage.entries(str(staging))] == ["claimed"]


def test_others_get_nothing(staging):
    assert claimants(staging, ["u2", "", "u1x"]) == ["nothing"] * 3
    assert [entry.state for entry in stage.entries(str(staging))] == ["staged"]


@pytest.mark.parametrize("what", ["entry", "document"])
def test_a_link_in_its_place_is_not_followed(staging, what):
    """An entry, or what describes it, that is a link to somewhere else counts for nothing."""
    path = staging / "staged" / NAME if what == "entry" else staging / "staged" / NAME / "entry.json"
    elsewhere = staging.parent / "elsewhere"
    os.rename(path, elsewhere)
    os.symlink(elsewhere, path)
    assert claimants(staging, ["u1"]) == ["nothing"]


def test_names_that_are_no_ids_count_for_nothing(staging):
    os.rename(staging / "staged" / NAME, staging / "staged" / ("A" * 32))
    assert claimants(staging, ["u1"]) == ["nothing"]
