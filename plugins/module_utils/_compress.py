# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a stream on its way: not at all, with gzip (zlib), with zstd or any program between two pipes.

PRIVATE to the collection. A compressor takes blocks with C(write) and passes its output on to a sink; the same input
gives the same output for one version of zlib or zstd, whatever the machine: gzip carries no name and no time, and
zstd's output does not depend on the number of threads as long as it reads from a pipe.
"""

from __future__ import annotations

import fcntl
import os
import threading
import typing as t
import zlib

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

Sink = t.Callable[[bytes], t.Any]
# run(argv, pass_fds, started) -> (rc, stdout, stderr); calls started() as soon as the program has its descriptors.
RunWithPipes = t.Callable[[t.Sequence[str], t.Sequence[int], t.Callable[[], None]], "tuple[int, str, str]"]

DEFAULT_LEVELS = {"none": 0, "gzip": 1, "zstd": 1}
MAX_LEVELS = {"none": 0, "gzip": 9, "zstd": 19}
_BLOCK = 1024 * 1024
_F_SETPIPE_SZ = 1031
# The shell opens the pipes for the program, which then sees nothing but its standard input and output.
_SCRIPT = 'exec <"$1" >"$2"; shift 2; exec "$@"'


def check_level(compression: str, level: t.Optional[int]) -> int:
    """The level to use, or InputError if this compression has no such level."""
    if level is None:
        return DEFAULT_LEVELS[compression]
    lowest = 1 if MAX_LEVELS[compression] else 0
    if not lowest <= level <= MAX_LEVELS[compression]:
        raise InputError(
            "compression %s has no level %d; it has %d to %d" % (compression, level, lowest, MAX_LEVELS[compression])
        )
    return level


class PassThrough:
    """No compression."""

    def __init__(self, sink: Sink) -> None:
        self.write = sink

    def close(self) -> None:
        """Everything was passed on already."""

    def abort(self) -> None:
        """Nothing to give up."""


class Gzip:
    """gzip in this process; zlib releases the interpreter while it works."""

    def __init__(self, sink: Sink, level: int) -> None:
        self._sink = sink
        self._zlib = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def write(self, block: bytes) -> None:
        compressed = self._zlib.compress(block)
        if compressed:
            self._sink(compressed)

    def close(self) -> None:
        self._sink(self._zlib.flush())

    def abort(self) -> None:
        """Nothing to give up."""


class Program:
    """A program between two pipes: we write into one, a thread reads the other and feeds the sink.

    command: the program's path and arguments. name: what it is called in messages.
    """

    def __init__(self, sink: Sink, command: t.Sequence[str], run: RunWithPipes, name: str) -> None:
        self._sink = sink
        self._name = name
        self._failure: t.Optional[BaseException] = None
        self._outcome: t.Optional[tuple[int, str, str]] = None
        self._started = threading.Event()
        to_read, self._to_write = os.pipe()
        self._from_read, from_write = os.pipe()
        self._theirs = [to_read, from_write]
        for descriptor in self._theirs:
            _enlarge_pipe(descriptor)
        pipes = ["/dev/fd/%d" % descriptor for descriptor in self._theirs]
        argv = ["/bin/sh", "-c", _SCRIPT, "sh", *pipes, *command]
        self._runner = threading.Thread(target=self._run, args=(run, argv), name=name, daemon=True)
        self._reader = threading.Thread(target=self._read, name=name + "-output", daemon=True)
        self._runner.start()
        self._started.wait()
        self._reader.start()

    def write(self, block: bytes) -> None:
        """Pass a block to the program; raises what went wrong on the other side."""
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._to_write, view) :]
        except BrokenPipeError:
            self._finish_threads()
            self._raise_failure("stopped reading")

    def close(self) -> None:
        """Wait until all output reached the sink."""
        self._finish_threads()
        self._raise_failure("failed")

    def abort(self) -> None:
        """Give up; whatever the program still writes is thrown away."""
        self._failure = self._failure or RuntimeToolError("the compression was given up")
        self._finish_threads()

    def _run(self, run: RunWithPipes, argv: t.Sequence[str]) -> None:
        try:
            self._outcome = run(argv, list(self._theirs), self._release)
        except OSError as exc:
            self._outcome = (127, "", str(exc))
        finally:
            self._release()

    def _release(self) -> None:
        """The program has its ends of the pipes: close ours, so that the end of the stream can be seen."""
        theirs, self._theirs = self._theirs, []
        for descriptor in theirs:
            os.close(descriptor)
        self._started.set()

    def _read(self) -> None:
        while True:
            block = os.read(self._from_read, _BLOCK)
            if not block:
                return
            if self._failure is None:
                try:
                    self._sink(block)
                except BaseException as exc:  # pylint: disable=broad-exception-caught
                    # It belongs to the thread that writes; here, go on emptying the pipe so that the program can end.
                    self._failure = exc

    def _finish_threads(self) -> None:
        if self._to_write >= 0:
            os.close(self._to_write)
            self._to_write = -1
            self._runner.join()
            self._reader.join()
            os.close(self._from_read)

    def _raise_failure(self, verb: str) -> None:
        if self._failure is not None:
            raise self._failure
        rc, dummy, stderr = self._outcome or (127, "", "it was not started")
        if rc != 0 or verb != "failed":
            raise RuntimeToolError(
                "%s %s (exit status %d): %s" % (self._name, verb, rc, stderr.strip()[-500:] or "it gave no reason")
            )


def _enlarge_pipe(descriptor: int) -> None:
    """Fewer switches between the processes; where Linux refuses (a quota), the pipe works as it is."""
    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _BLOCK)
    except OSError:
        return


def make_compressor(
    compression: str,
    level: int,
    sink: Sink,
    find: t.Callable[[str], t.Optional[str]],
    run: t.Optional[RunWithPipes],
) -> t.Union[PassThrough, Gzip, Program]:
    """The compressor of this name. find: path of a program, or None. run: starts a program that inherits pipes."""
    if compression == "none":
        return PassThrough(sink)
    if compression == "gzip":
        return Gzip(sink, level)
    program = find("zstd")
    if program is None or run is None:
        raise RuntimeToolError(
            "the program zstd is not installed here; install the package zstd, or use compression gzip or none"
        )
    # At least two: "one thread" is a mode of its own in zstd, with another output.
    threads = max(2, min(4, os.cpu_count() or 2))
    return Program(sink, [program, "-q", "-c", "-%d" % level, "-T%d" % threads], run, "zstd")
