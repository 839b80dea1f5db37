# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the features of C(workload.py) share: what is kept open, what is done at every tick, and small helpers."""

from __future__ import annotations

import ctypes
import os
import socket
import time

KEEP: list = []
TICKS: list = []
LIBC = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20


def keep(*things):
    KEEP.extend(things)


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def child(work=lambda: time.sleep(1e6)):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    keep(pid)
    return pid


def listen(address, family=socket.AF_INET, protocol=0):
    server = socket.socket(family, socket.SOCK_STREAM, protocol)
    server.bind(address)
    server.listen(8)
    keep(server)
    return server
