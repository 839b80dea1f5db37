# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send a blob whose digest is not known before its end: with constant memory, and resumable.

PRIVATE to the collection. C(BlobUpload) is one upload session, in one of two ways. As one stream (the usual way, and
what container engines do), a broken connection raises C(UploadLost); the caller produces the same bytes again, and
what the registry says that it has already is not sent again. In chunks, a chunk is kept in memory until the registry
has it, and sent again from where the registry says it stands. If the session itself is gone, everything is sent again.
C(BlobWriter) runs an upload in a thread, so that reading and hashing go on meanwhile.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    RegistryError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import (
    TRANSIENT,
    Registry,
    error_text,
    is_transient,
    with_digest,
)

# Chunks are kept in memory. A registry that wants larger ones than this gets one stream instead.
MAX_CHUNK = 8 * 1024 * 1024
_QUEUE_BLOCKS = 4
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_ABORT_WAIT = 10.0


class UploadLost(RegistryError):
    """The bytes have to be produced again from the beginning of the blob.

    position: how many of them the registry has, and need not be sent again (0 if the session is gone).
    """

    position = 0


class _Blocks(t.List[t.Union[bytes, memoryview]]):
    """A request body of known length that counts what is taken from it."""

    def __init__(self, blocks: t.Iterable[t.Union[bytes, memoryview]], count: t.Callable[[int], None]) -> None:
        super().__init__(blocks)
        self._count = count

    def __iter__(self) -> t.Iterator[t.Union[bytes, memoryview]]:
        for block in super().__iter__():
            self._count(len(block))
            yield block


class BlobUpload:
    """One upload session of a registry.

    chunk_size: 0 to send one stream. total: the blob's size, if it is known.
    """

    def __init__(self, registry: Registry, chunk_size: int = 0, total: t.Optional[int] = None) -> None:
        self._registry = registry
        self._total = total
        self._url, smallest = registry.start_upload()
        self.chunk_size = max(chunk_size, smallest) if chunk_size and smallest <= MAX_CHUNK else 0
        self.offset = 0
        self.bytes_sent = 0
        # Whether the session can be continued by sending from C(offset) on.
        self.interrupted = False

    def send(self, blocks: t.Sequence[bytes]) -> None:
        """Send the next chunk; returns when the registry has all of it."""
        begin = self.offset
        end = begin + sum(len(block) for block in blocks)
        attempt = 0
        while self.offset < end:
            before = self.offset
            answer, failure = self._patch(_Blocks(_tail(blocks, self.offset - begin), self._count), end)
            if answer is not None and answer.status in (201, 202, 204):
                self._moved(answer)
                self.offset = self._checked(_position(answer.headers.get("range"), end), begin, end)
            else:
                self._judge(answer, failure, attempt)
                self._registry.pause(attempt, answer)
                self._ask(begin, end)
            attempt = 0 if self.offset > before else attempt + 1
            if attempt > self._registry.retries:
                raise self._failure(answer, failure, attempt)

    def stream(self, blocks: t.Iterator[bytes]) -> None:
        """Send everything from C(offset) on as one request."""
        self.interrupted = False
        sent = 0

        def counted() -> t.Iterator[bytes]:
            nonlocal sent
            for block in blocks:
                sent += len(block)
                self._count(len(block))
                yield block

        headers = {"Content-Type": "application/octet-stream"}
        if self._total is not None:
            headers.update(self._range(self._total))
        answer: t.Optional[Answer] = None
        failure: t.Optional[TransportError] = None
        try:
            answer = self._registry.once("PATCH", self._url, headers, counted())
        except TransportError as exc:
            failure = exc
        end = self.offset + sent
        lost = UploadLost(self._failure(answer, failure, 1).msg)
        if answer is not None and answer.status in (201, 202, 204):
            self._moved(answer)
            self.offset = self._checked(_position(answer.headers.get("range"), end), 0, end)
            if self.offset == end:
                return
        else:
            self._judge(answer, failure, 0)
            self._registry.pause(0, answer)
            self._ask(0, end)
        self.interrupted = True
        lost.position = self.offset
        raise lost

    def finish(self, digest: str) -> None:
        """Close the session: the registry checks the digest and makes it a blob."""
        what = "finishing blob %s" % digest[:19]
        attempt = 0
        while True:
            answer, failure = self._put(digest)
            if answer is not None and answer.status == 201:
                break
            if answer is None or answer.status in TRANSIENT or answer.status == 404:
                # Perhaps it was done and only the answer was lost.
                if self._registry.blob_size(digest) is not None:
                    break
                if answer is not None and answer.status == 404:
                    raise UploadLost("%s: registry %s has lost the upload" % (what, self._registry.host))
                if attempt >= self._registry.retries:
                    raise self._registry.failure(what, answer, failure, attempt + 1)
                self._registry.pause(attempt, answer)
                self._ask(self.offset, self.offset)
                attempt += 1
                continue
            if answer.status == 400 and "DIGEST_INVALID" in error_text(answer):
                raise RegistryError(
                    "digest mismatch: registry %s received something else than was sent (%s, %d bytes): %s. "
                    "Nothing was tagged; run it again, and if it happens again look for a proxy in between "
                    "or a fault of the registry's storage"
                    % (self._registry.host, digest, self.offset, error_text(answer)),
                    http_status=answer.status,
                )
            raise self._registry.failure(what, answer)
        size = self._registry.blob_size(digest)
        if size not in (self.offset, -1):
            raise RegistryError(
                "registry %s took blob %s (%d bytes), but now says that it has %s"
                % (self._registry.host, digest, self.offset, "no such blob" if size is None else "%d bytes" % size)
            )

    def cancel(self) -> None:
        """Tell the registry that the session is given up; it is only politeness, so failures do not matter."""
        try:
            self._registry.once("DELETE", self._url)
        except (RegistryError, TransportError):
            return

    # Inside ---------------------------------------------------------------------------------------------------------

    def _count(self, number: int) -> None:
        self.bytes_sent += number

    def _range(self, end: int) -> dict[str, str]:
        return {"Content-Length": str(end - self.offset), "Content-Range": "%d-%d" % (self.offset, end - 1)}

    def _patch(self, body: _Blocks, end: int) -> tuple[t.Optional[Answer], t.Optional[TransportError]]:
        headers = {"Content-Type": "application/octet-stream", **self._range(end)}
        try:
            return self._registry.once("PATCH", self._url, headers, body), None
        except TransportError as exc:
            return None, exc

    def _put(self, digest: str) -> tuple[t.Optional[Answer], t.Optional[TransportError]]:
        try:
            return self._registry.once("PUT", with_digest(self._url, digest), {"Content-Length": "0"}, b""), None
        except TransportError as exc:
            return None, exc

    def _moved(self, answer: Answer) -> None:
        """Each answer may name another URL for the next request."""
        if answer.headers.get("location"):
            self._url = self._registry.target(answer.headers["location"], self._url, "sending a blob")

    def _judge(self, answer: t.Optional[Answer], failure: t.Optional[TransportError], attempt: int) -> None:
        """Return if the chunk may be tried again, else raise."""
        if answer is not None:
            if answer.status == 404 or (answer.status == 400 and "BLOB_UPLOAD" in error_text(answer)):
                raise UploadLost(self._failure(answer, None, 1).msg, http_status=answer.status)
            if answer.status not in TRANSIENT and answer.status != 416:
                raise self._failure(answer, None, 1)
        if attempt >= self._registry.retries or (answer is None and not is_transient(answer, failure)):
            raise self._failure(answer, failure, attempt + 1)

    def _ask(self, begin: int, end: int) -> None:
        """Ask the registry where the upload stands, and go there."""
        what = "asking where an upload stands"
        answer = self._registry.call(what, "GET", self._url, ok=(200, 202, 204, 400, 404))
        if answer.status in (400, 404):
            raise UploadLost(
                "%s: registry %s does not know it any more (%s)" % (what, self._registry.host, error_text(answer)),
                http_status=answer.status,
            )
        self._moved(answer)
        self.offset = self._checked(_position(answer.headers.get("range"), 0), begin, end)

    def _checked(self, position: int, begin: int, end: int) -> int:
        if not begin <= position <= end:
            raise UploadLost(
                "registry %s says that it has %d bytes of the upload, but bytes %d to %d were being sent"
                % (self._registry.host, position, begin, end)
            )
        return position

    def _failure(self, answer: t.Optional[Answer], failure: t.Optional[TransportError], attempts: int) -> RegistryError:
        return self._registry.failure("sending a blob (at byte %d)" % self.offset, answer, failure, attempts)


class BlobWriter:
    """An upload that runs in a thread of its own: C(write) only waits when the network is slower than the disk.

    An upload that was interrupted is continued: the bytes that the registry has are taken and not sent.
    """

    def __init__(self, upload: BlobUpload) -> None:
        self.upload = upload
        self._skip = upload.offset
        self._queue: queue.Queue[t.Optional[bytes]] = queue.Queue(maxsize=_QUEUE_BLOCKS)
        self._failure: t.Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="blob-upload", daemon=True)
        self._thread.start()

    def write(self, block: bytes) -> None:
        """Hand over a block; raises what went wrong with earlier ones."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(block)

    def finish(self, digest: str) -> None:
        """Wait for the rest and close the upload with its digest."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self.upload.finish(digest)

    def abort(self) -> None:
        """Give up: nothing becomes visible in the registry. A session that can be continued is kept for that."""
        if self._thread.is_alive():
            self._failure = self._failure or RegistryError("the upload was given up")
            self._end_queue()
            self._thread.join(_ABORT_WAIT)
        if not self._thread.is_alive() and not self.upload.interrupted:
            self.upload.cancel()

    def _end_queue(self) -> None:
        """Put the end mark without waiting for room: what is still in the queue is not wanted."""
        while True:
            try:
                self._queue.put_nowait(None)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()

    def _run(self) -> None:
        blocks = iter(self._queue.get, None)
        try:
            wanted = _tail(self._unless_failed(blocks), self._skip)
            if self.upload.chunk_size:
                for chunk in _chunks(wanted, self.upload.chunk_size):
                    self.upload.send(chunk)
            else:
                self.upload.stream(wanted)
        except BaseException as exc:  # pylint: disable=broad-exception-caught
            # It belongs to the thread that writes; here, go on emptying the queue so that it never waits for us.
            self._failure = self._failure or exc
            for dummy in blocks:
                pass

    def _unless_failed(self, blocks: t.Iterable[bytes]) -> t.Iterator[bytes]:
        for block in blocks:
            if self._failure is not None:
                raise self._failure
            yield block
        if self._failure is not None:
            raise self._failure


def _chunks(blocks: t.Iterable[bytes], size: int) -> t.Iterator[list[bytes]]:
    """Lists of blocks, each of exactly C(size) bytes but the last."""
    chunk: list[t.Any] = []
    have = 0
    for block in blocks:
        view = memoryview(block)
        while have + len(view) >= size:
            cut = size - have
            yield chunk + [view[:cut]]
            chunk, have, view = [], 0, view[cut:]
        if view:
            chunk.append(view)
            have += len(view)
    if chunk:
        yield chunk


def _tail(blocks: t.Iterable[bytes], skip: int) -> t.Iterator[t.Any]:
    """The blocks without their first C(skip) bytes."""
    for block in blocks:
        if skip >= len(block):
            skip -= len(block)
            continue
        yield memoryview(block)[skip:] if skip else block
        skip = 0


def _position(header: t.Optional[str], default: int) -> int:
    """How many bytes the registry has, from a Range header: C(0-99) is 100, C(0-0) nothing (nobody sends one byte)."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if not match:
        return default
    last = int(match.group(1))
    return last + 1 if last else 0
