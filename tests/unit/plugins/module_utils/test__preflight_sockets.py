# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of pod_preflight over snapshots: sockets."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    NetlinkSocket,
    Network,
    UnixSocket,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.snapshots import (
    process,
    judged,
    ids,
    one,
    sock,
    inet,
)


@pytest.mark.parametrize("state", [1, 2, 4, 5, 8, 9, 11])
def test_a_connection_is_in_the_way_unless_criu_is_told(state):
    entry = judged(process(sock()), network=inet(state))
    found = one(entry, "tcp-established")
    assert entry["verdicts"] == {"checkpoint": "no", "restore": "yes"}
    assert found["criu_option"] == "tcp-close" and found["evidence"]["fd"] == 3 and found["evidence"]["pid"] == 500
    assert found["evidence"]["remote"] == "10.0.0.7:5432" and found["evidence"]["peer"] == "outside the pod"
    closing = judged(process(sock()), network=inet(state), options=["tcp-close"])
    assert closing["verdict"] == "yes" and ids(closing) == ["tcp-closed-by-restore"]


def test_a_connection_that_is_kept_needs_the_same_address():
    kept = judged(process(sock()), network=inet(1), options=["tcp-established"])
    assert kept["verdicts"] == {"checkpoint": "yes", "restore": "no"}
    inside = judged(process(sock()), network=inet(1, "127.0.0.1", "127.0.0.1"), options=["tcp-established"])
    assert inside["verdict"] == "yes"


def test_connections_within_the_pod_are_told_apart():
    entry = judged(process(sock()), network=inet(1, remote="10.244.1.3"))
    assert one(entry, "tcp-established")["evidence"]["peer"] == "inside the pod"


def test_connections_that_wait_to_be_accepted():
    entry = judged(process(sock()), network=inet(10, "0.0.0.0", queue=2))
    assert one(entry, "tcp-in-flight")["transient"] and entry["verdict"] == "no"
    assert judged(process(sock()), network=inet(10, "0.0.0.0", queue=2), options=["skip-in-flight"])["verdict"] == "yes"


@pytest.mark.parametrize(
    "address, verdict", [("0.0.0.0", "yes"), ("::", "yes"), ("127.0.0.1", "yes"), ("::1", "yes"), ("10.244.1.3", "no")]
)
def test_listening_on_the_pods_own_address_cannot_be_restored_elsewhere(address, verdict):
    entry = judged(process(sock()), network=inet(10, address))
    assert entry["verdicts"] == {"checkpoint": "yes", "restore": verdict}


def test_udp_bound_to_the_pods_address():
    entry = judged(process(sock(protocol="UDP")), network=inet(7, protocol="udp"))
    assert ids(entry, "error") == ["bound-to-pod-address"]


@pytest.mark.parametrize(
    "protocol, name",
    [("MPTCP", "mptcp"), ("MPTCPv6", "mptcp"), ("SCTP", "socket-protocol"), ("AF_VSOCK", "socket-protocol")],
)
def test_protocols_that_criu_does_not_know(protocol, name):
    entry = judged(process(sock(protocol=protocol)))
    assert ids(entry, "error") == [name]


def test_netlink():
    def with_netlink(**changes):
        given = {"inode": 7, "protocol": 0, "port": 9, "groups": 0, "unread": 0}
        given.update(changes)
        return judged(process(sock(protocol="NETLINK")), network=Network(netlink={7: NetlinkSocket(**given)}))

    assert with_netlink()["verdict"] == "yes"
    assert one(with_netlink(unread=64), "netlink-unread")["transient"]
    assert ids(with_netlink(groups=1, port=0), "error") == ["netlink-unbound"]


def unix(*sockets):
    return Network(unix={entry.inode: entry for entry in sockets})


def test_a_pair_of_unix_sockets_inside_is_fine():
    network = unix(UnixSocket(7, "stream", 1, 8), UnixSocket(8, "stream", 1, 7))
    assert judged(process(sock(7, "UNIX-STREAM"), sock(8, "UNIX-STREAM", 4)), network=network)["verdict"] == "yes"


def test_a_unix_socket_to_another_network_namespace():
    entry = judged(
        process(sock(7, "UNIX-STREAM")), network=unix(UnixSocket(7, "stream", 1, 99)), options=["ext-unix-sk"]
    )
    found = one(entry, "unix-peer-elsewhere")
    assert entry["verdict"] == "no" and found["criu_option"] is None


@pytest.mark.parametrize(
    "kind, name, options, verdict, option",
    [
        ("stream", "@log", [], "no", None),
        ("stream", "@log", ["ext-unix-sk"], "no", None),
        ("dgram", "@log", [], "no", "ext-unix-sk"),
        ("dgram", "@log", ["ext-unix-sk"], "restore", None),
        ("dgram", "", ["ext-unix-sk"], "no", None),
    ],
)
def test_a_unix_socket_to_another_container(kind, name, options, verdict, option):
    network = unix(UnixSocket(7, kind, 1, 8), UnixSocket(8, kind, 1, 7, name))
    entry = judged(process(sock(7, "UNIX")), network=network, options=options)
    if verdict == "restore":
        assert entry["verdicts"] == {"checkpoint": "yes", "restore": "no"} and ids(entry) == ["unix-external-gone"]
    else:
        assert entry["verdicts"]["checkpoint"] == verdict and one(entry, "unix-external")["criu_option"] == option


def test_a_kernel_that_does_not_tell_peers_makes_it_risky():
    entry = judged(process(sock(7, "UNIX-STREAM")), network=unix(UnixSocket(7, "stream", 1, None)))
    assert ids(entry, "warning") == ["unix-peer-unknown"]


def test_a_unix_socket_that_the_pods_network_does_not_have():
    assert ids(judged(process(sock(7, "UNIX-STREAM"))), "error") == ["unix-other-namespace"]
