# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide names a test for every threat to the restore handler. Is there such a test?"""
from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/docsite/rst/guide_handler.rst"


def rows():
    """The table's rows: threat, what stands against it, the names given."""
    table = GUIDE.read_text().split("   * - Threat\n", 1)[1].split("\n\n", 1)[0]
    for row in table.split("   * - ")[1:]:
        threat, against, named = row.split("\n     - ")
        yield threat, against, re.findall(r"``(test_[a-z0-9_.]+)``", named)


def test_every_threat_has_its_test():
    there = list((ROOT / "tests").rglob("test_*.py"))
    defined = {path.name for path in there}
    defined |= {name for path in there for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)}
    found = list(rows())
    assert len(found) >= 15
    for threat, against, named in found:
        assert against.strip() and named, threat
        for name in named:
            assert name in defined, "%s names %s, and there is no such test" % (threat, name)
