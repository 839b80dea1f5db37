# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's half of a fetch that lasts: a process that holds the stream between two requests of the controller.

PRIVATE to the collection. Every request of the controller is a command of its own, because Ansible's connections keep
a command's whole output in memory. Requests are named pipes in a directory that only we may enter; frames go through
them, so nothing of the archive ever lies in a file. Whoever dies: this process ends when nobody asks any more, and the
next session removes what a killed one left (empty pipes).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import select
import shutil
import signal
import tempfile
import threading
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_frame import (
    DIRECTORY_PREFIX,
    STOP,
    WAIT,
    encode,
    parse_request,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_produce import (
    Order,
    Tools,
    produce,
)

_LOCK = "lock"
_POLL = 0.002
_SLOW_POLL = 0.02
_WAIT_SECONDS = 3.0
_WRITE_SECONDS = 60.0
_STALE_SECONDS = 60.0


class _Stopped(Exception):
    """Nobody wants the rest."""


class Server:
    """Answers requests in a directory with the frames of a producer. Keeps the last frame, in case it got lost."""

    def __init__(self, directory: str, idle: float) -> None:
        self._directory = directory
        self._idle = idle
        self._frames: queue.Queue = queue.Queue(maxsize=1)
        self._stopped = threading.Event()
        self._kept: t.Dict[int, t.List[bytes]] = {}
        self._next = 0
        self._read = 0

    def emit(self, header: t.Mapping[str, t.Any], payload: bytes) -> None:
        """For the producer: wait until there is room for one more frame."""
        frame = encode(header, payload)
        while True:
            if self._stopped.is_set():
                raise _Stopped()
            with contextlib.suppress(queue.Full):
                self._frames.put(frame, timeout=1.0)
                return

    def reading(self, offset: int) -> None:
        """For the producer: how much it has read."""
        self._read = offset
        if self._stopped.is_set():
            raise _Stopped()

    def serve(self) -> None:
        """Until we are told to stop, or nobody has asked for too long."""
        try:
            last = time.monotonic()
            while time.monotonic() - last < self._idle:
                names = self._names()
                if names is None or STOP in names:
                    return
                if self._answer(names):
                    last = time.monotonic()
                    continue
                time.sleep(_POLL if time.monotonic() - last < 1.0 else _SLOW_POLL)
        finally:
            self._stopped.set()

    def _names(self) -> t.Optional[t.List[str]]:
        try:
            return os.listdir(self._directory)
        except OSError:
            return None

    def _answer(self, names: t.Sequence[str]) -> bool:
        """Answer the newest request; whether there was one that took a frame."""
        requests = sorted(filter(None, (parse_request(name) for name in names)), reverse=True)
        if not requests:
            return False
        for stale in requests[1:]:
            self._forget(stale)
        number = requests[0][0]
        pipe = self._open(requests[0])
        if pipe is None:
            return False
        try:
            frame = self._frame(number)
            self._write(pipe, frame)
        finally:
            os.close(pipe)
            self._forget(requests[0])
        return True

    def _frame(self, number: int) -> t.List[bytes]:
        if number in self._kept:
            return self._kept[number]
        if number != self._next:
            return encode({"kind": WAIT, "read": self._read, "lost": True})
        # To ask for a frame is to have the one before.
        self._kept.clear()
        try:
            frame = self._frames.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            return encode({"kind": WAIT, "read": self._read})
        self._kept[number] = frame
        self._next = number + 1
        return frame

    def _path(self, request: t.Tuple[int, int]) -> str:
        return os.path.join(self._directory, "%d.%d" % request)

    def _open(self, request: t.Tuple[int, int]) -> t.Optional[int]:
        """The pipe, if somebody reads it already."""
        try:
            return os.open(self._path(request), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as exc:
            if exc.errno != errno.ENXIO:
                self._forget(request)
            return None

    def _forget(self, request: t.Tuple[int, int]) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path(request))

    def _write(self, pipe: int, frame: t.Sequence[bytes]) -> None:
        """All of the frame, or as much as the reader takes: it asks again for what it did not get."""
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, 1031, 1024 * 1024)
        for part in frame:
            view = memoryview(part)
            while view:
                if not select.select([], [pipe], [], _WRITE_SECONDS)[1]:
                    return
                try:
                    view = view[os.write(pipe, view) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return


def start(order: Order, tools: Tools, idle: float) -> t.Dict[str, t.Any]:
    """Start the process; return its directory and number. It has left our session and holds none of our descriptors."""
    directory, lock = _make_directory()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                os.write(writing, b"%d" % grandchild)
                os._exit(0)
            _detach(lock)
            _run(directory, order, tools, idle)
        finally:
            os._exit(1)
    os.close(writing)
    os.close(lock)
    os.waitpid(child, 0)
    with open(reading, "rb") as stream:
        pid = stream.read()
    if not pid:
        shutil.rmtree(directory, ignore_errors=True)
        raise CheckpointError("the process that sends the archive cannot be started")
    return {"directory": directory, "pid": int(pid)}


def _run(directory: str, order: Order, tools: Tools, idle: float) -> None:
    """The life of the process."""
    server = Server(directory, idle)

    def work() -> None:
        with contextlib.suppress(_Stopped):
            produce(order, tools, server.emit, server.reading)

    try:
        threading.Thread(target=work, name="producer", daemon=True).start()
        server.serve()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        # Not by the module's way out, which belongs to our parent. What zstd and age still hold ends with its pipes.
        os._exit(0)


def _detach(lock: int) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, lock)
    os.closerange(lock + 1, 1024)


def _parent() -> str:
    return "/run" if os.geteuid() == 0 and os.path.isdir("/run") else tempfile.gettempdir()


def _make_directory() -> t.Tuple[str, int]:
    """A directory for nobody else, and the lock that says that it is in use; removes what killed sessions left."""
    parent = _parent()
    _remove_stale(parent)
    try:
        directory = tempfile.mkdtemp(prefix=DIRECTORY_PREFIX, dir=parent)
        lock = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as exc:
        raise CheckpointError(
            "no directory for the transfer can be made in %s: %s" % (parent, exc.strerror or exc)
        ) from None
    return directory, lock


def _remove_stale(parent: str) -> None:
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if not name.startswith(DIRECTORY_PREFIX):
            continue
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _STALE_SECONDS:
                continue
            lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
