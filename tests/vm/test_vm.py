# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machines themselves: nothing that runs or listens is left of one whose owner was killed."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import typing as t

import pytest
from cri_node import wait
from lablib import parts, shell
from lablib import state as states
from vmlib import lab

HERE = pathlib.Path(__file__).resolve().parent
NAME = "vm-killed"


def processes() -> t.List[t.Sequence[str]]:
    """Every process that has something of the machine in its arguments."""
    return [argv for pid, argv in parts.command_lines().items() if pid != os.getpid() and any(f"/{NAME}/" in word for word in argv)]


@pytest.fixture
def clean() -> t.Iterator[t.Callable[[], None]]:
    """Removes what remains of a killed machine, which is files; at the end in any case."""

    def remove() -> None:
        shell.run([str(HERE.parent / "lab" / "lab"), "clean", "--only", "--name", NAME])

    yield remove
    remove()


@pytest.mark.skipif("VM_USE" in os.environ, reason="a machine that runs has the ports of the registries")
def test_nothing_runs_after_a_kill(clean: t.Callable[[], None]) -> None:
    """kill -9 of the process that holds the machine ends QEMU and the registries; what remains is files, which lab clean removes."""
    owner = subprocess.Popen([str(HERE / "vm"), "run", "forky", "--name", NAME], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline().decode().strip() == f"{states.BASE}/{NAME}/inventory.yml"
        running = lab.attach(NAME).machine
        assert running.run("hostname").strip() == "node1"
        assert len([argv for argv in processes() if "qemu" in argv[0]]) == 1
        assert [argv for argv in processes() if "registry" in argv[0]]
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    wait(lambda: not processes(), 60, "the processes to end")
    for port in (running.port, 5000, 5001):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"something listens on {port}"
    clean()
    assert not os.path.exists(f"{states.BASE}/{NAME}")
    assert not os.path.exists(f"{states.cache_dir()}/labs/{NAME}")
