# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of connections that leave the pod: C(outside.py UNIX_SOCKET PORT). Runs on the node."""

from __future__ import annotations

import os
import select
import socket
import sys


def main(path: str, port: int) -> None:
    """Accept, and keep what was accepted."""
    if os.path.exists(path):
        os.unlink(path)
    inside = socket.socket(socket.AF_UNIX)
    inside.bind(path)
    outside = socket.socket()
    outside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    outside.bind(("0.0.0.0", port))
    kept = []
    for server in (inside, outside):
        server.listen(64)
    while True:
        for server in select.select([inside, outside], [], [])[0]:
            kept.append(server.accept())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
