# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's workload: an HTTP service that counts its requests and holds memory that is unlike any other process's.

C(GET /) counts and answers, every other path answers without counting (C(/peek)). The answer is JSON:
C(count), C(nonce) (random, made at start), C(pid), C(started), C(memory_mib) and C(memory_sha256), which is computed
from the memory at the time of asking: it stays the same for the life of the process, through checkpoint and restore.
Environment: C(PORT) (8080), C(MEMORY_MIB) (16).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time

MIB = 1 << 20


def fill(mib: int, nonce: str) -> list[bytearray]:
    """Memory that only this nonce gives."""
    return [bytearray(hashlib.shake_128(f"{nonce}:{number}".encode()).digest(MIB)) for number in range(mib)]


def digest(blocks: list[bytearray]) -> str:
    """What the memory holds now."""
    state = hashlib.sha256()
    for block in blocks:
        state.update(block)
    return state.hexdigest()


def answer(connection: socket.socket, state: dict, blocks: list[bytearray]) -> None:
    """Read one request, answer it."""
    connection.settimeout(5)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        part = connection.recv(4096)
        if not part:
            return
        head += part
    path = head.split(b" ", 2)[1] if head.count(b" ") > 1 else b""
    if path == b"/":
        state["count"] += 1
    body = json.dumps({**state, "memory_sha256": digest(blocks)}).encode() + b"\n"
    fields = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(fields.encode() + body)


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    nonce, mib = os.urandom(16).hex(), int(os.environ.get("MEMORY_MIB", "16"))
    blocks = fill(mib, nonce)
    state = {"count": 0, "nonce": nonce, "pid": os.getpid(), "started": time.time(), "memory_mib": mib}
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", int(os.environ.get("PORT", "8080"))))
    server.listen(64)
    print(f"serving, nonce {nonce}", flush=True)
    while True:
        connection, _peer = server.accept()
        try:
            answer(connection, state, blocks)
        except OSError:
            pass
        finally:
            connection.close()


if __name__ == "__main__":
    main()
