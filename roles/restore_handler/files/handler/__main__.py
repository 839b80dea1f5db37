# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of the restore handler's Python part: decides which call this is, and passes on what is not ours."""

from __future__ import annotations

import os
import sys
import typing as t

BASE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(BASE, "handler"), os.path.join(BASE, "lib")]


def main(argv: t.List[str]) -> int:
    """Run one call; what is not for this program becomes runc and never returns."""
    import arguments
    import report
    import settings

    config = settings.load(os.path.join(BASE, "handler.conf"))
    if argv == ["--container-checkpoint-expire"]:
        import expire

        return expire.run(config)
    if argv == ["--container-checkpoint-self-test"]:
        import selftest

        return selftest.run(config)
    call = arguments.parse(argv)
    try:
        if call.command == "create":
            import create

            return create.run(call, config)
        import held

        return held.run(call, config)
    except Exception as exc:  # whatever happens, the runtime must get a message and a status it understands
        return report.failed(call, exc)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
