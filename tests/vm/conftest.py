# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines for these tests, one at a time: the modules of tests that name the same kind share one, from its saved state.

VM_USE=NAME takes a machine that runs already (tests/vm/vm run KIND --name NAME).
"""

from __future__ import annotations

import os
import pathlib
import sys
import time
import typing as t

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "vm"), str(TESTS / "lab"), str(TESTS / "handler")]

from cri_node import Node  # noqa: E402
from playbook import play, succeed  # noqa: E402
from staging import prepared  # noqa: E402
from vmlib import lab  # noqa: E402

# What fails soonest comes first. Each works alone, too; those before test_kernel share a machine that they make more and more of.
ORDER = ("test_vm", "test_kubernetes_node", "test_node", "test_handler", "test_kernel")


def say(text: str) -> None:
    """Progress, beside pytest's own."""
    os.write(2, f"vm [{time.strftime('%H:%M:%S', time.gmtime())}] {text}\n".encode())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: t.List[pytest.Item]) -> None:
    """The modules in their order; within each, as they are written."""
    items.sort(key=lambda item: ORDER.index(item.path.stem))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The kind of machine that the module of tests names."""
    if "vm" in metafunc.fixturenames:
        metafunc.parametrize("vm", [metafunc.module.KIND], indirect=True, scope="session")


@pytest.fixture(scope="session")
def vm(request: pytest.FixtureRequest) -> t.Iterator[lab.Vm]:
    """A machine of that kind; it ends before the next kind's begins."""
    kind = request.param
    if os.environ.get("VM_USE"):
        yield lab.attach(os.environ["VM_USE"])
        return
    with lab.running(f"vm-{kind}", kind, say) as running:
        say(f"{kind} is up within {running.seconds:.1f} s ({running.accel}), kernel {running.machine.run('uname -r').strip()}")
        yield running


@pytest.fixture(scope="session")
def provisioned(vm: lab.Vm) -> lab.Vm:
    """The machine after the roles criu and container_runtime."""
    succeed(play(vm, TESTS / "lab" / "provision.yml", lab_cluster=False))
    return vm


@pytest.fixture(scope="session")
def node(provisioned: lab.Vm) -> t.Iterator[Node]:
    """The machine as the tests of the handler use a node: its CRI socket, the collection, the images."""
    with prepared(provisioned.lab.name, "node1") as found:
        yield found


@pytest.fixture(scope="session")
def handler(node: Node, provisioned: lab.Vm) -> Node:
    """The machine with the restore handler, by its role."""
    succeed(play(provisioned, TESTS / "handler" / "install.yml"))
    node.reconnect()
    return node
