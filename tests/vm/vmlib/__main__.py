# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vm disk KIND | vm boot KIND | vm run KIND [--name NAME]: make a disk, boot and save it, or run a saved machine until this command ends.

A machine that runs is used as the node of a lab: ``ansible-playbook -i /run/container-checkpoint-lab/NAME/inventory.yml``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab")]

from lablib.errors import LabError  # noqa: E402
from lablib.lab import Progress  # noqa: E402
from vmlib import image, lab  # noqa: E402
from vmlib.machine import acceleration  # noqa: E402
from vmlib.recipe import RECIPES  # noqa: E402


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="vm", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["disk", "boot", "run"])
    parser.add_argument("kind", choices=sorted(RECIPES))
    parser.add_argument("--name", default="vm")
    options = parser.parse_args()
    say = Progress()
    try:
        if options.command == "disk":
            print(image.installed(options.kind, say))
            return 0
        if options.command == "boot":
            print(image.booted(options.kind, acceleration(), say))
            return 0
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with lab.running(options.name, options.kind, say) as vm:
            say(f"{vm.accel}: up within {vm.seconds:.1f} s; ssh: {' '.join(vm.machine.ssh(''))}")
            print(vm.inventory, flush=True)
            signal.pause()
    except LabError as exc:
        print(f"vm: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
