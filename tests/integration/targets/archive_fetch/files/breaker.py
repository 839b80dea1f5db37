# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks a fetch over the loopback ssh server when so much of it has arrived.

breaker.py connection|sender PARTIAL_DIRECTORY BYTES SSH_DIRECTORY READY: make the file READY, wait until a partial file has so many bytes,
then kill -9 the ssh server's processes for the test's user, or the sending process behind its sudo.
breaker.py controller PARTIAL_DIRECTORY BYTES COMMAND...: run the command, and kill -9 it and its children then.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import loopback_ssh


def wait(directory: pathlib.Path, wanted: int) -> None:
    """Until a partial file is that long."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for path in directory.glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size >= wanted:
                    return
        time.sleep(0.01)
    raise SystemExit("no partial file in %s reached %d bytes" % (directory, wanted))


def victims(what: str, user: str) -> list:
    """The processes to kill."""
    found = []
    uid = pwd.getpwnam(user).pw_uid
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if what == "connection" and process.stat().st_uid == uid and b"sshd" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
            mark = b"SUDO_USER=" + user.encode()
            if what == "sender" and b"python" in os.path.basename(os.readlink(process / "exe")).encode():
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        except OSError:
            continue
    return found


def kill(pids: list) -> int:
    """All that have not ended by themselves meanwhile, as ssh's processes do after every request; how many there were."""
    killed = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def main() -> None:
    what, directory, wanted = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    if what == "controller":
        with subprocess.Popen(sys.argv[4:], start_new_session=True, stdout=subprocess.DEVNULL) as process:
            wait(directory, wanted)
            # Ansible's workers are in sessions of their own: the tree, from the top.
            tree = [process.pid]
            for pid in tree:
                with contextlib.suppress(OSError):
                    children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
                    tree += [int(child) for child in children]
            kill(tree)
        return
    pathlib.Path(sys.argv[5]).touch()
    wait(directory, wanted)
    if not kill(victims(what, loopback_ssh.user_of(pathlib.Path(sys.argv[4])))):
        raise SystemExit("there is no %s to kill" % what)


if __name__ == "__main__":
    main()
