# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of distributions in the documentation is what the roles' data say today, and the roles know the same distributions."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


def script():
    """tests/docs/distributions.py as a module."""
    spec = importlib.util.spec_from_file_location("distributions", ROOT / "tests/docs/distributions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_current():
    page = script()
    assert page.TARGET.read_text(encoding="utf-8") == page.render(), "run tests/docs/distributions.py"


def test_the_roles_know_the_same_distributions():
    page = script()
    known = [set(page.load(role)["__%s_distributions" % role]) for role in ("kernel", "criu", "container_runtime")]
    assert known[0] == known[1] == known[2]


def test_cells_follow_the_versions():
    page = script()
    versions = page.versions_module()
    assert page.abilities(versions, "containerd", "1.7.24", "6.12", "4.1.1")[0].startswith("no: this containerd cannot")
    assert page.abilities(versions, "containerd", "2.1.9", "6.18", "3.17.1")[0].startswith("no: kernel 6.13")
    assert page.abilities(versions, "containerd", "2.4.0", "6.1", "4.2")[1] == "by the handler only"
    assert "container_level_enabled" in page.abilities(versions, "cri-o", "1.36.6", "6.1", "4.2")[1]


def test_every_cell_says_what_was_run():
    page = script()
    rows = page.render().partition("By which key\n")[2].partition("\nWhat was run\n")[0]
    cells = [line.partition("- ")[2] for line in rows.splitlines() if line.startswith("    -")]
    assert len(cells) % len(page.CELLS) == 0 and len(cells) > 100
    number = len(page.proofs())
    for place, cell in enumerate(cells):
        mark = re.search(r"; [*](?:not run|(?:run|double) \((\d+)\))[*]$", cell)
        # Only what cannot be restored has no key.
        assert mark or cell == "" and page.CELLS[place % len(page.CELLS)] == "key", cell
        assert not mark or int(mark.group(1) or 1) in range(1, number + 1)


def test_what_is_a_double_in_this_gate_is_called_so():
    for proof in script().proofs():
        names = [name for given in proof["rows"].values() for name in given]
        if "kubernetes" in proof["cells"] or any(key.startswith("EL") for key in proof["rows"]):
            assert proof["state"] == "double", proof
        # The kernel and CRIU of such a row have nothing to do with CRI-O.
        if "crio" in names and set(proof["cells"]) - {"kernel", "criu"}:
            assert proof["state"] == "double", proof


def test_proofs_name_what_there_is():
    for scenario in re.findall(r"molecule ([a-z_]+)", " ".join(proof["what"] for proof in script().proofs())):
        assert (ROOT / "molecule" / scenario / "molecule.yml").is_file(), scenario


@pytest.mark.parametrize(
    "more, words",
    [
        ({"cells": ["colour"]}, "cells that are none"),
        ({"state": "seen"}, "a state or cells"),
        ({"rows": {"Debian_11": ["crio", "crio"]}}, "two things"),
    ],
)
def test_a_proof_that_cannot_be(more, words):
    proof = {"rows": {"Debian_11": ["crio"]}, "cells": ["kernel"], "state": "run", "what": "it", **more}
    with pytest.raises(SystemExit, match=words):
        script().marks([proof])
