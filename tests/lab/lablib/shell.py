# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs of the host; the only place where the lab starts a program and waits for it."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import time
import typing as t

from .errors import LabError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (to be used as C(preexec_fn))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(
    argv: t.Sequence[str],
    *,
    check: bool = True,
    text_input: str | None = None,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    log: t.IO[bytes] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess:
    """Run a program to its end; a failure becomes a C(LabError) that quotes its last words.

    The program dies with the lab, so that nothing goes on after a C(kill -9).
    """
    output: t.Any = log if log is not None else subprocess.PIPE
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL if text_input is None else None,
            input=None if text_input is None else text_input.encode(),
            stdout=output,
            stderr=subprocess.STDOUT if log is not None else subprocess.PIPE,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            preexec_fn=die_with_parent,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as exc:
        raise LabError(f"{argv[0]} is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise LabError(f"{' '.join(argv)} did not end within {timeout:g} seconds") from exc
    if check and done.returncode != 0:
        said = b"" if log is not None else (done.stderr or done.stdout or b"")
        words = said.decode(errors="replace").strip().splitlines()[-5:]
        raise LabError(f"{' '.join(argv)} failed with exit code {done.returncode}: {' | '.join(words)}")
    return done


def output(argv: t.Sequence[str], **options: t.Any) -> str:
    """What a program printed."""
    return run(argv, **options).stdout.decode(errors="replace")


def wait_until(what: str, probe: t.Callable[[], t.Any], seconds: float, interval: float = 0.05) -> t.Any:
    """Call C(probe) until it answers something true; a C(LabError) names what did not happen in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:g} seconds")
        time.sleep(interval)


def write_file(path: str, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file atomically with exactly this mode, creating its directory."""
    data = content.encode() if isinstance(content, str) else content
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        os.fchmod(stream.fileno(), mode)
    os.replace(temporary, path)


@contextlib.contextmanager
def scratch_directory(parent: str, label: str = "scratch") -> t.Iterator[str]:
    """A directory for a moment; what a killed command leaves of it is found by C(sweep)."""
    path = f"{parent}/.new-{label}-{os.getpid()}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path, mode=0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def fresh_directory(final: str) -> t.Iterator[str]:
    """A directory that becomes C(final) when it is complete, and nothing when it is not."""
    with scratch_directory(os.path.dirname(final), os.path.basename(final)) as path:
        yield path
        if not os.path.isdir(final):  # another lab may have been quicker
            os.rename(path, final)


def sweep(directory: str) -> None:
    """Remove what killed commands left of C(scratch_directory)."""
    for path in glob.glob(f"{glob.escape(directory)}/.new-*"):
        if not os.path.exists(f"/proc/{path.rsplit('-', 1)[-1]}"):
            shutil.rmtree(path, ignore_errors=True)


def read_text(path: str, default: str | None = None) -> str:
    """The text of a file; C(default) when it is not there and a default was given."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        if default is None:
            raise
        return default
