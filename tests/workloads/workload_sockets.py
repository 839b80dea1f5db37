# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of C(workload.py): sockets."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time

from workload_base import KEEP, keep, listen

UNIX_OUTSIDE = "/outside/socket"
ABSTRACT = "\0container-checkpoint-neighbour"


def pod_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def tcp_listen():
    listen(("0.0.0.0", 9000))
    listen(("::", 9001), socket.AF_INET6)
    listen(("127.0.0.1", 9002))


def tcp_listen_pod():
    listen((pod_address(), 9003))


def tcp_established():
    server = listen(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    keep(client, server.accept())


def tcp_outside():
    keep(socket.create_connection((os.environ["OUTSIDE"], int(os.environ["OUTSIDE_PORT"]))))


def tcp_close_wait():
    server = listen(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    keep(client)
    server.accept()[0].close()


def tcp_syn_sent():
    client = socket.socket()
    client.setblocking(False)
    if client.connect_ex(("192.0.2.77", 9)) not in (errno.EINPROGRESS, 0):
        raise OSError("no connection under way")
    keep(client)


def tcp_in_flight():
    server = listen(("127.0.0.1", 0))
    keep(socket.create_connection(server.getsockname()))


def tcp_unconnected():
    keep(socket.socket(), socket.socket(socket.AF_INET6))


def mptcp():
    listen(("0.0.0.0", 9004), protocol=262)


def sctp():
    keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))


def udp_any():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].bind(("0.0.0.0", 9005))


def udp_pod():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].bind((pod_address(), 9006))


def udp_connected():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].connect(("192.0.2.1", 53))


def raw():
    keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))


def packet():
    keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))


def alg():
    keep(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
    KEEP[-1].bind(("hash", "sha256"))


def vsock():
    keep(socket.socket(40, socket.SOCK_STREAM))


def netlink():
    keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    KEEP[-1].bind((0, 0))


def netlink_unread():
    netlink()
    KEEP[-1].send(struct.pack("=IHHII", 17, 18, 0x301, 1, 0) + b"\0")
    time.sleep(0.1)


def socketpair():
    keep(*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    KEEP[-1].send(b"waiting")


def socketpair_closed():
    one, other = socket.socketpair()
    other.close()
    keep(one)


def unix_listen():
    server = listen("/tmp/unix", socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    client.connect("/tmp/unix")
    keep(client, server.accept())


def unix_waiting():
    listen("/tmp/waiting", socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    client.connect("/tmp/waiting")
    keep(client)


def unix_outside():
    client = socket.socket(socket.AF_UNIX)
    client.connect(UNIX_OUTSIDE)
    keep(client)


def unix_neighbour():
    client = socket.socket(socket.AF_UNIX)
    client.connect(ABSTRACT)
    keep(client)


def unix_neighbour_dgram():
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.connect(ABSTRACT + "-dgram")
    keep(client)


def neighbour():
    """The other side of the two above, in a container of its own."""
    server = listen(ABSTRACT, socket.AF_UNIX)
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagram.bind(ABSTRACT + "-dgram")
    keep(datagram)

    def accept():
        while True:
            keep(server.accept())

    threading.Thread(target=accept, daemon=True).start()
