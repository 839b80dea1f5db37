# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Out of a long log, the few lines that say what failed: for whoever sees only the end of what the gate printed.

    excerpt.py LOG
"""

from __future__ import annotations

import pathlib
import re
import sys

WIDTH = 700  # of a line; an Ansible result can be longer than a screen
LINES = 6  # of each kind

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RECAP = re.compile(r"\S+ +: ok=.*(?:failed|unreachable)=[1-9]")
FATAL = re.compile(r"(?:fatal|failed): \[|\[ERROR\]: ")
# pytest, make and the gate's own scripts, linters.
PLAIN = re.compile(r"FAILED (?!- RETRYING)|ERROR[ :]|E  +\S|error: |make(\[\d+\])?: \*\*\* |\S+:\d+:\d+: ")


def plays(lines: list[str]) -> list[str]:
    """The task and the result that each failed Ansible run ended with. Failures that a play expects do not end it, so they are not here."""
    found: list[str] = []
    task = fatal = ""
    for line in lines:
        if line.startswith(("TASK [", "RUNNING HANDLER [", "PLAY [")):
            task = line
        elif FATAL.match(line):
            fatal = "%s\n%s" % (task.rstrip(" *"), line)
        elif RECAP.match(line) and fatal:
            found.append(fatal)
            fatal = ""  # said once, however many hosts the recap has
    return found


def excerpt(text: str) -> list[str]:
    """What failed, the last of it last; the log's end when nothing in it looks like a failure."""
    lines = [COLOUR.sub("", line).rstrip() for line in text.splitlines()]
    ansible = [line for entry in plays(lines) for line in entry.splitlines()]
    others = [line for line in lines if PLAIN.match(line)]
    found = ansible[-LINES:] + others[-LINES:]
    return [line[:WIDTH] for line in found or [line for line in lines if line][-LINES:]]


if __name__ == "__main__":
    for one in excerpt(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace")):
        print("!! " + one)
