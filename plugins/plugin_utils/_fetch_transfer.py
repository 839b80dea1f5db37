# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's loop of a fetch: ask for frames one after the other, whatever breaks in between.

PRIVATE to the collection. It knows neither Ansible nor files: a C(Wire) runs commands on the node, a C(Partial) keeps
the bytes.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_frame import (
    DATA,
    END,
    ERROR,
    GONE,
    WAIT,
    decode,
    request_script,
    stop_script,
    unwrap_text,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._fetch_dest import Partial

# The node answers within seconds, if only that it is still reading.
_REQUEST_SECONDS = 30
_PAUSE = 1.0
_MIB = 1024.0 * 1024.0


class Wire(t.Protocol):
    """The way to the node."""

    text: bool

    def run(self, script: str) -> t.Tuple[int, bytes, bytes]:
        """Run a shell command with the rights of the task; TransportError if the connection fails."""

    def start(self, offset: int, prefix: str) -> t.Mapping[str, t.Any]:
        """Start a session that sends from this offset on; TransportError if the connection fails."""


@dataclass
class Wish:
    """What is transferred. order: as C(Partial.prepare) takes it."""

    order: t.Mapping[str, t.Any]
    plain: bool
    encrypted: bool
    size: int
    retries: int


class _Gone(CheckpointError):
    """The session on the node does not exist any more."""


class Transfer:
    """One archive on its way. notes: what people should know about how it went."""

    def __init__(
        self,
        wish: Wish,
        wire: Wire,
        partial: Partial,
        tell: t.Callable[[str], t.Any],
        every: float,
        sleep: t.Callable[[float], t.Any] = time.sleep,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._wish, self._wire, self._partial = wish, wire, partial
        self._sleep = sleep
        self._clock = clock
        self._progress = Progress(wish.size, every, tell, clock)
        self._session: t.Optional[t.Mapping[str, t.Any]] = None
        self._number = self._attempt = 0
        self.notes: t.List[str] = []
        self.resumed_at = 0

    def run(self) -> t.Dict[str, t.Any]:
        """Transfer everything; return the header of the last frame."""
        self._begin(first=True)
        self._progress.start(self._partial.offset)
        failures = 0
        while True:
            try:
                header, payload = self._ask()
                if header["kind"] == DATA:
                    self._partial.add(header, payload, self._wish.plain)
                    self._number += 1
                    failures = 0
            except (_Gone, TransportError) as exc:
                failures += 1
                if failures > self._wish.retries:
                    raise TransportError(
                        "%s; %d attempts in a row failed. %s" % (exc.msg, failures, self._outlook())
                    ) from None
                if isinstance(exc, _Gone):
                    self._begin(first=False)
                self._sleep(_PAUSE * failures)
                continue
            if header["kind"] == END:
                return header
            if header["kind"] == ERROR:
                raise (ArchiveError if header.get("archive") else CheckpointError)(str(header.get("msg")), discard=True)
            self._progress.show(self._partial.offset, header.get("read"))

    def stop(self) -> None:
        """Tell the node that it is over; if it cannot be told, it finds out by itself."""
        if self._session is not None:
            try:
                self._wire.run(stop_script(self._session["directory"]))
            except CheckpointError:
                pass
            self._session = None

    def _begin(self, first: bool) -> None:
        self._session = None
        self._number = 0
        why = self._partial.prepare(self._wish.order, resumable=not self._wish.encrypted)
        if why is not None:
            self.notes.append("the transfer started again from the beginning: %s" % why)
        if first:
            self.resumed_at = self._partial.offset

    def _outlook(self) -> str:
        if self._wish.encrypted:
            return "Run it again; an encrypted transfer starts from the beginning then."
        return "Run it again, and it goes on after %d bytes of the archive." % self._partial.offset

    def _ask(self) -> t.Tuple[t.Dict[str, t.Any], memoryview]:
        if self._session is None:
            self._session = self._wire.start(self._partial.offset, self._partial.state["digest"])
        self._attempt += 1
        script = request_script(
            self._session["directory"],
            int(self._session["pid"]),
            self._number,
            self._attempt,
            _REQUEST_SECONDS,
            self._wire.text,
        )
        rc, out, err = self._wire.run(script)
        if rc == GONE:
            raise _Gone("the sending process on the node is gone")
        if not self._wire.text and rc != 0 and b"tty" in err:
            # "requiretty": with a terminal, then, and with text that survives it.
            self._wire.text = True
            raise TransportError("the node insists on a terminal: %s" % _words(err))
        try:
            header, payload = decode(unwrap_text(out) if self._wire.text else out)
        except TransportError as exc:
            raise TransportError("%s; exit status %d, %s" % (exc.msg, rc, _words(err))) from None
        if header["kind"] == WAIT and header.get("lost"):
            raise _Gone("the sending process on the node is not where we are")
        if header["kind"] not in (DATA, WAIT, END, ERROR):
            raise TransportError("the node answered with an unknown frame")
        return header, payload


def _words(err: bytes) -> str:
    return err.decode("utf-8", "replace").strip()[-300:] or "no message"


class Progress:
    """A line now and then."""

    def __init__(
        self, size: int, every: float, tell: t.Callable[[str], t.Any], clock: t.Callable[[], float]
    ) -> None:
        self._size, self._every, self._tell, self._clock = size, every, tell, clock
        self._began = self._last = clock()
        self._from = 0

    def start(self, offset: int) -> None:
        """The transfer begins here."""
        self._began = self._last = self._clock()
        self._from = offset

    def show(self, offset: int, read: t.Optional[int] = None) -> None:
        """Say how far it is, if it is time to. read: the node only reads (what is here already), and is so far."""
        now = self._clock()
        if self._every <= 0 or now - self._last < self._every:
            return
        self._last = now
        self._tell(line(offset, self._size, offset - self._from, now - self._began, read))


def line(offset: int, size: int, sent: int, seconds: float, read: t.Optional[int]) -> str:
    """For people: bytes, share, rate, time left."""
    if read is not None and sent == 0:
        return "reading, %.1f of %.1f MiB" % (read / _MIB, size / _MIB)
    rate = sent / seconds if seconds > 0 else 0.0
    left = "unknown"
    if rate > 0:
        rest = int((size - offset) / rate + 0.5)
        left = "%d:%02d:%02d" % (rest // 3600, rest // 60 % 60, rest % 60)
    share = 100.0 * offset / size if size else 100.0
    return "%.1f of %.1f MiB (%d %%), %.1f MiB/s, %s left" % (offset / _MIB, size / _MIB, share, rate / _MIB, left)
