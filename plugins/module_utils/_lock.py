# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One checkpoint of a container at a time on this machine, across processes, and never two within a second.

PRIVATE to the collection. The kubelet names archives with a resolution of one second: a second call within it would
get the first one's name. The lock file holds the time of the last call for that reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    DeadlineError,
)

SHARED_DIRECTORY = "/run/lock/container-checkpoint"
_APART = 1.0
_POLL = 0.1
_STAMP = re.compile(rb"[0-9]{1,12}\.[0-9]{1,9}\n")


def lock_directory() -> str:
    """Where locks are: one place for root, a private one for anybody else (who calls through the API server)."""
    if os.geteuid() == 0:
        return SHARED_DIRECTORY
    return os.path.join(tempfile.gettempdir(), "container-checkpoint-%d" % os.geteuid())


def _open(directory: str, key: str) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            os.makedirs(directory, mode=0o700)
        status = os.lstat(directory)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise CheckpointError(
                "the lock directory %s is not a directory that only we may write to; remove it" % directory
            )
        # Names of namespace, pod and container together can be longer than a file name.
        name = hashlib.sha256(key.encode("utf-8")).hexdigest() + ".lock"
        return os.open(os.path.join(directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise CheckpointError(
            "the lock for %s cannot be made in %s: %s" % (key, directory, exc.strerror or exc)
        ) from None


@contextlib.contextmanager
def container_lock(
    key: str,
    timeout: float,
    directory: t.Optional[str] = None,
    sleep: t.Callable[[float], t.Any] = time.sleep,
    clock: t.Callable[[], float] = time.time,
) -> t.Iterator[t.Callable[[], None]]:
    """Hold the lock of a container; the value is a function that waits until a call would get a name of its own.

    key: C(namespace/pod/container). timeout: seconds to wait for another holder; then DeadlineError.
    """
    descriptor = _open(directory or lock_directory(), key)
    called = []
    try:
        _acquire(descriptor, key, timeout, sleep)

        def before_call() -> None:
            stamp = os.pread(descriptor, 64, 0)
            since = clock() - float(stamp) if _STAMP.fullmatch(stamp) else _APART
            if 0 <= since < _APART:
                sleep(_APART - since)
            called.append(True)
            _stamp(descriptor, clock())

        try:
            yield before_call
        finally:
            if called:
                _stamp(descriptor, clock())
    finally:
        os.close(descriptor)


def _stamp(descriptor: int, now: float) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%.6f\n" % now, 0)


def _acquire(descriptor: int, key: str, timeout: float, sleep: t.Callable[[float], t.Any]) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if time.monotonic() >= end:
            raise DeadlineError(
                "another process on this machine is making a checkpoint of %s, and has not finished within %g s"
                % (key, timeout)
            )
        sleep(_POLL)
