# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of distributions in the documentation is what the roles' data say today, and the roles know the same distributions."""

from __future__ import annotations

import importlib.util
import pathlib

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
