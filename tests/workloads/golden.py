# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what CRIU said of the workloads that failed as fixtures of the diagnosis (golden logs).

    golden.py [--again] DIRECTORY...

The directories are those that run.py was given as --logs. Of workloads written by hand the lines with errors and warnings are kept;
those that are kept already stay as they are, unless --again. The cause of a new one goes into causes.json, by somebody who knows it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "unit" / "fixtures" / "criu"
_KEPT = re.compile(r"Error \(|Warn  \(|\) (?:Version: |Dumping processes )")


def causes() -> t.Dict[str, str]:
    """Workload to the cause of its failure, as the diagnosis must name it."""
    return json.loads((FIXTURES / "causes.json").read_text())


def shortened(log: str) -> str:
    """The lines that are kept. Pure."""
    return "".join(line[:300] + "\n" for line in log.splitlines() if _KEPT.search(line))


def main(argv: t.Sequence[str]) -> int:
    """Copy what is new; exit status 1 while one of them has no known cause."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--again", action="store_true", help="replace those that are kept already, too")
    parser.add_argument("directories", nargs="+", type=pathlib.Path)
    given = parser.parse_args(argv)
    unknown = []
    for directory in given.directories:
        for path in sorted(directory.glob("*.log")):
            text, kept = shortened(path.read_text()), FIXTURES / path.name
            if path.name.startswith("random-") or not text or (kept.exists() and not given.again):
                continue
            kept.write_text(text)
            print("kept: " + path.name)
            if path.name.partition(".")[0] not in causes():
                unknown.append(path.name)
    for name in unknown:
        print("causes.json does not say what %s must be diagnosed as" % name, file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
