# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler's tests run on nodes of running labs: CONTAINER_CHECKPOINT_LABS names them (default: lab).

The handler must be installed there (tests/handler/install.yml). HANDLER_SLOW=1 runs every step and every start.
"""

from __future__ import annotations

import os
import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from cri_node import CONF, STATE, Node  # noqa: E402
from staging import THERE, prepared  # noqa: E402

LABS = os.environ.get("CONTAINER_CHECKPOINT_LABS", "lab").split(",")


def use(lab: str, name: str) -> t.Iterator[Node]:
    """A node of a running lab, with the collection and the images on it."""
    if not (STATE / lab / "inventory.yml").exists():
        pytest.fail("the lab %r does not run: tests/lab/lab up --name %s" % (lab, lab))
    with prepared(lab, name) as node:
        yield node


@pytest.fixture(scope="session", params=LABS)
def lab_node(request: pytest.FixtureRequest) -> t.Iterator[Node]:
    """The first node of each lab that is to be used."""
    yield from use(request.param, "node1")


@pytest.fixture(scope="session")
def other_node(lab_node: Node) -> t.Iterator[Node]:
    """The second node of the same lab."""
    yield from use(lab_node.lab, "node2")


@pytest.fixture
def node(lab_node: Node) -> t.Iterator[Node]:
    """The node, without pods and staged restores before and after each test."""
    lab_node.run("rm -rf /var/lib/container-checkpoint/restore/*/*")
    yield lab_node
    for pod in list(lab_node.pods):
        lab_node.remove_pod(pod)
    lab_node.run("rm -rf /var/lib/container-checkpoint/archives")


@pytest.fixture
def traced(node: Node) -> t.Iterator[Node]:
    """The node, with the handler's Python part under tracer.py."""
    node.put(THERE + "/tracer.py", pathlib.Path(__file__).with_name("tracer.py").read_bytes())
    node.put(THERE + "/python", "#!/bin/sh\nexec /usr/bin/python3 -I -S %s/tracer.py \"$@\"\n" % THERE, "0700")
    node.run("cp -p {0} {0}.before && sed -i 's|^PYTHON=.*|PYTHON={1}/python|' {0}".format(CONF, THERE))
    try:
        yield node
    finally:
        node.run("mv {0}.before {0}; rm -f {1}/plan.json".format(CONF, THERE))
