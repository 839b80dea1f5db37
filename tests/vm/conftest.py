# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines for these tests, one at a time: each module of tests has its own, from its saved state.

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

from vmlib import lab  # noqa: E402


def say(text: str) -> None:
    """Progress, beside pytest's own."""
    os.write(2, f"vm [{time.strftime('%H:%M:%S', time.gmtime())}] {text}\n".encode())


@pytest.fixture(scope="module")
def vm(request: pytest.FixtureRequest) -> t.Iterator[lab.Vm]:
    """The machine of the kind that the module of tests names."""
    kind = request.module.KIND
    if os.environ.get("VM_USE"):
        yield lab.attach(os.environ["VM_USE"])
        return
    with lab.running(f"vm-{kind}", kind, say) as running:
        say(f"{kind} is up within {running.seconds:.1f} s ({running.accel}), kernel {running.machine.run('uname -r').strip()}")
        yield running
