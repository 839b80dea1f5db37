# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's half of a fetch that works: read the archive once; hash, scan, compress and encrypt it on the way.

PRIVATE to the collection. C(produce) reads and calls C(emit) with each frame; how the frames leave is not its business.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _age, _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveScanner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import (
    PassThrough,
    Program,
    RunWithPipes,
    make_compressor,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_frame import (
    CHUNK,
    DATA,
    END,
    ERROR,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import (
    FileState,
    VerifiedArchive,
    iter_file,
)

_MAX_POD = 4 * 1024 * 1024
_LEVEL = 1

Emit = t.Callable[[t.Mapping[str, t.Any], bytes], t.Any]


@dataclass(frozen=True)
class Tools:
    """Programs of the node: how to find one, and how to run one between pipes."""

    find: t.Callable[[str], t.Optional[str]]
    run: RunWithPipes


@dataclass(frozen=True)
class Order:
    """What to send. offset, prefix: so much of the archive is on the other side already, and its digest."""

    src: str
    state: FileState
    compress: str = "none"
    recipients: t.Sequence[str] = field(default_factory=tuple)
    offset: int = 0
    prefix: str = ""


class _Output:
    """Cuts what comes out at the end of the pipeline into frames."""

    def __init__(self, order: Order, emit: Emit) -> None:
        self._emit = emit
        self._plain = order.compress == "none" and not order.recipients
        self._sent = hashlib.sha256()
        self._pending = bytearray()
        self.read = 0
        self.running = ""

    def send(self, payload: bytes) -> None:
        """One frame. Its check is the digest of the archive so far, or of what this transfer sent so far."""
        if self._plain:
            check = self.running
        else:
            self._sent.update(payload)
            check = self._sent.hexdigest()
        self._emit({"kind": DATA, "offset": self.read, "digest": self.running, "check": check}, payload)

    def collect(self, block: bytes) -> None:
        """Bytes of a stream that has no boundaries of its own."""
        self._pending += block
        while len(self._pending) >= CHUNK:
            payload = bytes(self._pending[:CHUNK])
            del self._pending[:CHUNK]
            self.send(payload)

    def flush(self) -> None:
        """The rest of the stream."""
        if self._pending:
            self.send(bytes(self._pending))
            self._pending.clear()


def produce(order: Order, tools: Tools, emit: Emit, reading: t.Callable[[int], t.Any] = lambda offset: None) -> None:
    """Read the archive and emit frames, the last of kind C(end) or C(error). reading: is told how far it has come."""
    try:
        emit(_transfer(order, tools, emit, reading), b"")
    except CheckpointError as exc:
        text = exc.msg if order.src in exc.msg else "archive %s: %s" % (order.src, exc.msg)
        emit({"kind": ERROR, "msg": text, "archive": isinstance(exc, ArchiveError)}, b"")
    except OSError as exc:
        emit({"kind": ERROR, "msg": "%s cannot be sent: %s" % (order.src, exc.strerror or exc), "archive": False}, b"")


def _transfer(order: Order, tools: Tools, emit: Emit, reading: t.Callable[[int], t.Any]) -> t.Dict[str, t.Any]:
    digest = hashlib.sha256()
    scanner = ArchiveScanner()
    output = _Output(order, emit)
    stages = _stream(order, tools, output)
    try:
        for block in iter_file(order.src, CHUNK, expect=order.state):
            digest.update(block)
            scanner.feed(block)
            output.read += len(block)
            reading(output.read)
            if output.read <= order.offset:
                if output.read == order.offset and digest.hexdigest() != order.prefix:
                    raise ArchiveError("%s is not the archive any more whose beginning was fetched before" % order.src)
                continue
            output.running = digest.copy().hexdigest()
            if stages:
                stages[0].write(block)
            else:
                output.send(_one_frame(order, tools, block))
        contents = scanner.finish()
        for stage in stages:
            stage.close()
    except BaseException:
        for stage in stages:
            stage.abort()
        raise
    output.flush()
    verified = VerifiedArchive(contents=contents, sha256=digest.hexdigest(), state=order.state)
    return {
        "kind": END,
        "sha256": verified.sha256,
        "size": output.read,
        "record": record_of(order.src, verified),
        "pod": _pod_of(order, tools),
    }


def _stream(order: Order, tools: Tools, output: _Output) -> t.List[t.Union[PassThrough, Program, t.Any]]:
    """The programs that the bytes pass through when the output is one stream: perhaps zstd, and age."""
    if not order.recipients:
        return []
    age = _encrypt(order, tools, output.collect)
    if order.compress == "none":
        return [age]
    return [make_compressor(order.compress, _LEVEL, age.write, tools.find, tools.run), age]


def _encrypt(order: Order, tools: Tools, sink: t.Callable[[bytes], t.Any]) -> Program:
    program = _age.find_program(tools.find)
    return Program(sink, [program, *_age.arguments(order.recipients)], tools.run, os.path.basename(program))


def _one_frame(order: Order, tools: Tools, block: bytes) -> bytes:
    """A block as it is, or compressed by itself, so that a transfer can go on after it."""
    if order.compress == "none":
        return block
    parts: t.List[bytes] = []
    compressor = make_compressor(order.compress, _LEVEL, parts.append, tools.find, tools.run)
    try:
        compressor.write(block)
        compressor.close()
    except BaseException:
        compressor.abort()
        raise
    return b"".join(parts)


def record_of(path: str, verified: VerifiedArchive) -> _record.Record:
    """The archive's record as it lies there, or a new one; ArchiveError if it is of something else."""
    where = _record.path_for(path)
    if not os.path.lexists(where):
        return _record.build(path, verified)
    record = _record.read(where)
    if record["archive"]["sha256"] != verified.sha256:
        raise ArchiveError(
            "%s is damaged or was replaced: its record says sha256 %s, and it has %s"
            % (path, record["archive"]["sha256"], verified.sha256)
        )
    return record


def _pod_of(order: Order, tools: Tools) -> t.Optional[str]:
    """The pod's object beside the archive in base64, encrypted like the archive; None if there is none."""
    path = _record.pod_path_for(order.src)
    if not os.path.lexists(path):
        return None
    try:
        with open_regular(path) as stream:
            raw = io.BufferedReader(t.cast(io.RawIOBase, stream)).read(_MAX_POD + 1)
    except OSError as exc:
        raise ArchiveError("%s cannot be read: %s" % (path, exc.strerror or exc)) from None
    if len(raw) > _MAX_POD:
        raise ArchiveError("%s has more than %d bytes; this is no pod" % (path, _MAX_POD))
    if order.recipients:
        parts: t.List[bytes] = []
        program = _encrypt(order, tools, parts.append)
        try:
            program.write(raw)
            program.close()
        except BaseException:
            program.abort()
            raise
        raw = b"".join(parts)
    return base64.b64encode(raw).decode("ascii")
