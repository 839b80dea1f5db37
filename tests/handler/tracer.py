# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node, in place of the interpreter that the handler's front starts: observes or kills the handler.

plan.json: C(command), and either C(kill_at) (SIGKILL at this side effect, counted from 1; the count is left in
C(steps)) or C(observe) (a file that is read twice, a second apart, before the command; what it held is left in
C(observed)).
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# What changes nothing outside of the process. Every other thing that Python audits is a step, so a new one cannot be forgotten.
HARMLESS = ("import", "exec", "compile", "marshal.loads", "code.__new__", "object.__getattr__", "object.__setattr__", "object.__delattr__",
            "os.listdir", "os.scandir", "os.walk", "os.putenv", "os.unsetenv", "os.getxattr", "os.listxattr", "sys._getframe", "sys._getframemodulename",
            "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.cdata", "ctypes.get_errno", "ctypes.set_errno", "id", "builtins.id",
            "tempfile.mkstemp", "tempfile.mkdtemp", "glob.glob", "fcntl.flock", "gc.get_objects", "cpython.run_file", "sys.unraisablehook", "sys.addaudithook")


def write(name: str, text: str) -> None:
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as stream:
        stream.write(text)


def install(kill_at: int) -> None:
    """Count side effects; die at one of them. An open for writing counts too."""
    steps = [0]
    handler = os.getpid()

    def hook(event: str, arguments: tuple) -> None:
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        effect = writing or event not in ("open", *HARMLESS)
        # The guardian is a child with the same hook.
        if os.getpid() == handler and steps[0] != kill_at and effect:
            if writing and "pycache" in str(arguments[0]):
                return
            if event == "open" and str(arguments[0]).startswith(HERE):
                return
            steps[0] += 1
            write("steps", "%d %s %s" % (steps[0], event, str(arguments[:1])[:200]))
            if steps[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    handler = sys.argv[3]
    sys.argv = sys.argv[3:]
    try:
        with open(os.path.join(HERE, "plan.json"), encoding="utf-8") as stream:
            plan = json.load(stream)
    except FileNotFoundError:
        plan = {}
    if plan.get("command") in sys.argv:
        if "observe" in plan:
            values = []
            for _pause in range(2):
                with open(plan["observe"].replace("ID", sys.argv[-1]), "rb") as stream:
                    values.append(stream.read().decode())
                time.sleep(1)
            write("observed", json.dumps(values))
        else:
            install(plan["kill_at"])
    runpy.run_path(handler, run_name="__main__")


main()
