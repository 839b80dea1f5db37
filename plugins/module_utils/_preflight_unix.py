# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the kernel which unix sockets of a network namespace are connected to which; /proc does not say it.

PRIVATE to the collection. Effects: one thread of this process enters the namespace, asks by netlink (sock_diag) and
ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import UnixSocket
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_parse import UNIX_KINDS

_CLONE_NEWNET = 0x40000000
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SHOW_NAME_PEER_ICONS_RQLEN = 0x01 | 0x04 | 0x08 | 0x10
_NAME, _PEER, _QUEUE = 0, 2, 4
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBBIII")
_TIMEOUT = 5.0


def request() -> bytes:
    """The question: all unix sockets of this network namespace."""
    body = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_NAME_PEER_ICONS_RQLEN, 0xFFFFFFFF, 0xFFFFFFFF
    )
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body


def parse(data: bytes) -> t.Tuple[t.List[UnixSocket], bool]:
    """(sockets, whether the answer is complete) of one datagram; OSError where the kernel refused."""
    found: t.List[UnixSocket] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            break
        if kind == _NLMSG_DONE:
            return found, True
        if kind == _NLMSG_ERROR:
            code = struct.unpack_from("=i", data, offset + _HEADER.size)[0]
            raise OSError(-code, "sock_diag: %s" % os.strerror(-code))
        found.append(_socket(data[offset + _HEADER.size : offset + length]))
        offset += (length + 3) & ~3
    return found, False


def _socket(message: bytes) -> UnixSocket:
    _family, kind, state, _pad, inode, _cookie, _cookie2 = _MESSAGE.unpack_from(message)
    attributes: t.Dict[int, bytes] = {}
    offset = _MESSAGE.size
    while offset + 4 <= len(message):
        length, name = struct.unpack_from("=HH", message, offset)
        if length < 4:
            break
        attributes[name] = message[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return UnixSocket(
        inode=inode,
        kind=UNIX_KINDS.get(kind, "other"),
        state=state,
        peer=struct.unpack("=I", attributes[_PEER][:4])[0] if _PEER in attributes else 0,
        name=attributes.get(_NAME, b"").replace(b"\0", b"@").decode("utf-8", "replace").rstrip("@"),
        queue=struct.unpack("=I", attributes[_QUEUE][:4])[0] if _QUEUE in attributes else 0,
    )


def _ask() -> t.List[UnixSocket]:
    found: t.List[UnixSocket] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(_TIMEOUT)
        channel.send(request())
        complete = False
        while not complete:
            some, complete = parse(channel.recv(1 << 18))
            found += some
    return found


def unix_sockets(namespace_path: str) -> t.Optional[t.List[UnixSocket]]:
    """All unix sockets of the network namespace at C(/proc/PID/ns/net); None where the kernel cannot be asked."""
    answer: t.List[t.Optional[t.List[UnixSocket]]] = [None]

    def work() -> None:
        try:
            descriptor = os.open(namespace_path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            # For this thread only: the others stay where they are.
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) == 0:
                answer[0] = _ask()
        except OSError:
            return
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_TIMEOUT * 2)
    return answer[0]
