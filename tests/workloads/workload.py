# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that has what is asked for: C(workload.py FEATURE...). Runs in a container, with nothing but Python.

Prints C(NONCE COUNT) ten times a second; the nonce is made at start and tells one process from another. Each feature
is a function of that name in one of the files C(workload_*.py) beside this one.
"""

from __future__ import annotations

import os
import sys
import time

import workload_files
import workload_plain
import workload_sockets
from workload_base import TICKS

FEATURES = {
    name: feature
    for module in (workload_plain, workload_files, workload_sockets)
    for name, feature in vars(module).items()
    if callable(feature) and feature.__module__ == module.__name__
}


def main(names: list) -> None:
    """Get everything, then count."""
    os.makedirs("/tmp", exist_ok=True)
    for name in names:
        FEATURES[name]()
    nonce, count = os.urandom(6).hex(), 0
    while True:
        count += 1
        print(nonce, count, flush=True)
        for tick in TICKS:
            tick()
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1:])
