# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second process that cleans up when the first one is killed in the middle of a restore.

containerd does not call C(delete) after a create that failed (the containers of a pod share a shim, which only forgets
the one that failed), so nobody else would. The guardian holds the reading end of a pipe; the kernel closes the other
end with the process that holds it.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

import marker
import processes
import report
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from settings import Settings

_EXIT_TIMEOUT = 10.0


class Guardian:
    """From the beginning on, somebody cleans up if this process is killed, until it is told that there is no need."""

    def __init__(self, config: Settings, entry: stage.Entry, container_id: str) -> None:
        reading, self._writing = os.pipe()
        handler = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._writing)
            status = 1
            try:
                status = _guard(reading, handler, config, entry, container_id)
            finally:
                os._exit(status)
        os.close(reading)

    def dismiss(self) -> None:
        """There is nothing to clean up any more."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b".")
        os.close(self._writing)
        os.waitpid(self._pid, 0)

    def dismiss_and_exit(self) -> t.NoReturn:
        """The container is made: the runtime must not see this process fail now, so nothing is between the two."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b".")
        os._exit(0)


def _guard(reading: int, handler: int, config: Settings, entry: stage.Entry, container_id: str) -> int:
    os.setsid()
    # The standard streams are the container's, and the runtime waits for their end.
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if os.read(reading, 1):
        return 0
    # The kernel closes the pipe first, and only then kills the handler's children and gives them to another parent.
    processes.wait_for(lambda: os.getppid() != handler, _EXIT_TIMEOUT)
    marker.discard(config, container_id)
    release(config, entry.id, container_id)
    report.journal("the handler was killed while it restored the container %s; what was left of it was removed" % container_id, problem=True)
    return 0


def release(config: Settings, name: str, container_id: str) -> None:
    """Give an entry back to its pod, if its container is gone and never ran."""
    with stage.locked(config.staging):
        entry = stage.load(config.staging, stage.CLAIMED, name)
        claim = stage.claim_of(entry) if entry else {}
        if entry is None or claim.get("container_id") != container_id or stage.claimer_lives(claim):
            return
        status = stage.status_of(entry)
        if claim.get("started"):
            stage.finish_now(config.staging, entry, stage.DONE, dict(status, outcome="restored"))
            return
        stage.write_json(os.path.join(entry.path, stage.STATUS_FILE), dict(status, outcome="released"))
        stage.move(config.staging, entry, stage.STAGED)
    report.journal("container %s went before it was started; restore %s waits for its pod again" % (container_id, name))
