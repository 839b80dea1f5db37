# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a container as the node sees them: find, continue and kill them; run runc so that it dies with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage

_PR_SET_PDEATHSIG = 1
_MNT_DETACH = 2


def run(
    argv: t.Sequence[str], timeout: float, env: t.Optional[t.Dict[str, str]] = None, quiet: bool = False, note: t.Optional[str] = None
) -> int:
    """Run a program with our standard streams (they are the container's) and return its status.

    It is killed when this process dies, and when it takes too long, which raises TimeoutError. Before it begins, the file
    C(note) says which process it is, for C(kill_noted).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)
        if note:
            stage.write_json(note, stage.claimer())

    silent = subprocess.DEVNULL if quiet else None
    # Signals that Python ignores are ignored by what it starts: restore_signals (the default) puts them back.
    child = subprocess.Popen(list(argv), preexec_fn=prepare, env=env, stdout=silent, stderr=silent, close_fds=True)
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError("%s did not finish within %g seconds" % (os.path.basename(argv[0]), timeout)) from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def become(argv: t.Sequence[str]) -> t.NoReturn:
    """Become another program, with the signal dispositions that we were given."""
    for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvp(argv[0], list(argv))


def state(pid: int) -> str:
    """The state letter of a process; empty if there is none."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0].decode("ascii")
    except (OSError, IndexError):
        return ""


def inside(init: int) -> t.Dict[int, int]:
    """All processes of the container whose first process is C(init): pid here to pid inside."""
    try:
        namespace = os.readlink("/proc/%d/ns/pid" % init)
    except OSError:
        return {}
    found = {}
    for pid in _all():
        with contextlib.suppress(OSError):
            if os.readlink("/proc/%d/ns/pid" % pid) == namespace:
                found[pid] = _inner_pid(pid)
    return found


def wait_for(condition: t.Callable[[], bool], timeout: float) -> bool:
    """Ask until a condition holds or so many seconds are over; whether it holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def wait_until_stopped(init: int, timeout: float) -> t.List[int]:
    """Wait until every process of the container is stopped; return those that are not."""
    running: t.List[int] = []

    def none_runs() -> bool:
        running[:] = [pid for pid in inside(init) if state(pid) not in ("T", "Z", "X", "")]
        return not running

    wait_for(none_runs, timeout)
    return running


def proceed(init: int, keep_stopped: t.Collection[int]) -> int:
    """Let the container's processes run, apart from those that were stopped when they were dumped (pids inside)."""
    count = 0
    for pid, inner in sorted(inside(init).items(), key=lambda item: -item[1]):
        if inner in keep_stopped:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            count += 1
    return count


def kill_noted(note: str, timeout: float = 10.0) -> None:
    """Kill the program that C(run) noted, if it still runs, and wait until it does nothing any more.

    One that was killed ends what it asked of the kernel (a cgroup to make, a mount) before it goes.
    """
    try:
        document = stage.read_json(note)
    except (OSError, ValueError):
        return
    if stage.claimer_lives(document):
        with contextlib.suppress(ProcessLookupError):
            os.kill(document["pid"], signal.SIGKILL)
        wait_for(lambda: not stage.claimer_lives(document) or _ended(document["pid"]), timeout)


def kill_cgroup(leaf: str, timeout: float = 5.0) -> int:
    """Kill whatever is in the container's cgroup, CRIU itself included, and wait for its end; return how many were killed."""
    killed: t.Set[int] = set()

    def nothing_left() -> bool:
        found = {pid for pid in _all() if pid != os.getpid() and _in_cgroup(pid, leaf) and not _ended(pid)}
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        # One that is on its way out is shown in no cgroup of version 1 and keeps it from being removed.
        return not found and all(_ended(pid) for pid in killed)

    if leaf:
        wait_for(nothing_left, timeout)
    return len(killed)


def unmount_below(directory: str) -> int:
    """Detach every mount below a directory; return how many there were."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        points = [line.split()[4] for line in stream]
    below = [point for point in points if point.startswith(directory.rstrip("/") + "/")]
    for point in sorted(below, reverse=True):
        libc.umount2(os.fsencode(point), _MNT_DETACH)
    return len(below)


def _ended(pid: int) -> bool:
    """Whether no thread of a process does anything any more: a first thread that ended is a zombie while others still run."""
    try:
        return state(pid) in ("Z", "X", "") and len(os.listdir("/proc/%d/task" % pid)) <= 1
    except OSError:
        return True


def _in_cgroup(pid: int, leaf: str) -> bool:
    try:
        with open("/proc/%d/cgroup" % pid, encoding="utf-8", errors="surrogateescape") as stream:
            return any(leaf in line.rstrip("\n").split(":", 2)[2].split("/") for line in stream)
    except (OSError, IndexError):
        return False


def _inner_pid(pid: int) -> int:
    with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _all() -> t.List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
