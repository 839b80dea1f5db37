# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels between the node and the controller during a fetch: frames, requests for them, and their text form.

PRIVATE to the collection. Pure; both sides use it. A frame is a magic number, the length of a JSON header, the header
and a payload. Its C(kind): C(data) carries bytes of the destination, C(wait) says that the node is still reading,
C(end) closes the transfer, C(error) says why there will be no end.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    TransportError,
)

DATA, WAIT, END, ERROR = "data", "wait", "end", "error"
CHUNK = 4 * 1024 * 1024
# The exit status with which a request says that nobody serves it any more.
GONE = 75
STOP = "stop"
DIRECTORY_PREFIX = "container-checkpoint-fetch-"
_MAGIC = b"\0CCFETCH1"
_DIGITS = 8
# What a login script may print in front.
_JUNK = 64 * 1024
_MAX_HEADER = 24 * 1024 * 1024
_BEGIN, _FINISH = b"-----BEGIN FRAME-----", b"-----END FRAME-----"
_DIRECTORY = re.compile(r"/[A-Za-z0-9_./-]*/" + DIRECTORY_PREFIX + r"[A-Za-z0-9_]+")
_REQUEST = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")

Header = t.Dict[str, t.Any]


def encode(header: t.Mapping[str, t.Any], payload: bytes = b"") -> t.List[bytes]:
    """The parts of a frame, in order; the payload is not copied."""
    text = json.dumps({**header, "bytes": len(payload)}, separators=(",", ":")).encode("utf-8")
    return [_MAGIC + b"%0*x" % (_DIGITS, len(text)) + text, payload]


def decode(raw: bytes) -> t.Tuple[Header, memoryview]:
    """Header and payload of the frame in what a command printed; TransportError if it is not all there."""
    start = raw.find(_MAGIC, 0, _JUNK)
    if start < 0:
        raise TransportError("the answer holds no frame (%d bytes)" % len(raw))
    begin = start + len(_MAGIC) + _DIGITS
    try:
        length = int(raw[begin - _DIGITS : begin], 16)
    except ValueError:
        raise TransportError("the frame was altered on its way") from None
    if length > _MAX_HEADER:
        raise TransportError("the frame was altered on its way")
    try:
        header = json.loads(raw[begin : begin + length])
    except ValueError:
        raise TransportError("the frame was cut off or altered on its way (%d bytes)" % len(raw)) from None
    fields = header if isinstance(header, dict) else {}
    if not isinstance(fields.get("bytes"), int) or not isinstance(fields.get("kind"), str):
        raise TransportError("the frame was altered on its way")
    payload = memoryview(raw)[begin + length :]
    if len(payload) < header["bytes"]:
        raise TransportError("the frame was cut off after %d of %d bytes" % (len(payload), header["bytes"]))
    return header, payload[: header["bytes"]]


def unwrap_text(raw: bytes) -> bytes:
    """The frame in what a command printed that encodes it with base64, because a terminal lies between."""
    dummy, begun, rest = raw.partition(_BEGIN)
    body, ended, dummy = rest.partition(_FINISH)
    if not begun or not ended:
        raise TransportError("the answer holds no whole frame (%d bytes)" % len(raw))
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (ValueError, binascii.Error):
        raise TransportError("the frame was altered on its way") from None


def request_name(number: int, attempt: int) -> str:
    """The name of the pipe through which a frame is asked for."""
    return "%d.%d" % (number, attempt)


def parse_request(name: str) -> t.Optional[t.Tuple[int, int]]:
    """Number of the frame and of the attempt, None for anything else in the directory."""
    match = _REQUEST.fullmatch(name)
    return (int(match.group(1)), int(match.group(2))) if match else None


def check_directory(directory: str) -> str:
    """Return the path if a session's directory can look like that, else raise InputError."""
    if not _DIRECTORY.fullmatch(directory) or ".." in directory:
        raise InputError("the node answered with a directory that cannot be right: %r" % directory[:200])
    return directory


def request_script(directory: str, pid: int, number: int, attempt: int, seconds: int, text: bool) -> str:
    """The shell command that asks for a frame and prints it. Every attempt has a pipe of its own."""
    name = request_name(number, attempt)
    cat = "timeout %d cat %s" % (seconds, name)
    if text:
        cat = "printf '%%s\\n' '%s'; %s | base64; printf '%%s\\n' '%s'" % (
            _BEGIN.decode("ascii"),
            cat,
            _FINISH.decode("ascii"),
        )
    else:
        cat = "exec " + cat
    # A process that was killed and not yet waited for has a number, but no program.
    return "cd %s 2>/dev/null && [ -e /proc/%d/exe ] && mkfifo -m 600 %s 2>/dev/null || exit %d; %s" % (
        shlex.quote(check_directory(directory)),
        pid,
        name,
        GONE,
        cat,
    )


def stop_script(directory: str) -> str:
    """The shell command that ends a session; it does no harm when there is none."""
    return "cd %s 2>/dev/null && : >%s; true" % (shlex.quote(check_directory(directory)), STOP)
