# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the end-to-end tests: booted and provisioned once, taken down at the end.

E2E_LAB=NAME uses a lab that is up and provisioned already, and leaves it up.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from cluster import LAB, ROOT, Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A lab with two nodes, node1 and node2."""
    given = os.environ.get("E2E_LAB")
    found = Cluster(given or "e2e", tmp_path_factory.mktemp("e2e"))
    if not given:
        subprocess.run([str(LAB), "up", "--name", found.name], check=True)
    try:
        if not given:
            done = found.play(str(ROOT / "tests" / "lab" / "provision.yml"))
            assert done.code == 0, done.output[-4000:]
        found.connect()
        yield found
    finally:
        if not given:
            subprocess.run([str(LAB), "down", "--name", found.name], check=True)


@pytest.fixture
def counter(cluster):
    """A fresh counter on node1; it and its twin are gone afterwards."""
    cluster.delete("counter-restored")
    yield cluster.counter("counter", "node1", app="counter")
    for name in ("counter", "counter-restored"):
        cluster.delete(name)
