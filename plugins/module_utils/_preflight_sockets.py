# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that CRIU cannot save, or cannot give back in another pod. Pure.

PRIVATE to the collection. The rules are those of CRIU 4.2 (sk-inet.c, sk-unix.c, sk-netlink.c, sockets.c).
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Descriptor,
    InetSocket,
    Process,
    Reason,
    Snapshot,
    UnixSocket,
    reason,
)

LISTEN, CLOSE, ESTABLISHED = 10, 7, 1
# FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING, SYN_SENT beside ESTABLISHED.
_CONNECTED = (ESTABLISHED, 2, 4, 5, 8, 9, 11)
_SUPPORTED = (
    "TCP",
    "TCPV6",
    "UDP",
    "UDPV6",
    "UDP-LITE",
    "UDPLITEV6",
    "UNIX",
    "UNIX-STREAM",
    "NETLINK",
    "PACKET",
    "RAW",
    "RAWV6",
    "PING",
    "PINGV6",
)

Holding = t.Tuple[Process, Descriptor]


def _sockets(snapshot: Snapshot) -> t.Iterator[Holding]:
    """Every socket once, with the first process and descriptor that has it."""
    seen: t.Set[int] = set()
    for process in snapshot.tree:
        for entry in process.descriptors:
            if entry.target.startswith("socket:") and entry.inode not in seen:
                seen.add(entry.inode)
                yield process, entry


def check(snapshot: Snapshot) -> t.List[Reason]:
    """All that speaks against the container's sockets."""
    found: t.List[Reason] = []
    held = list(_sockets(snapshot))
    for process, entry in held:
        found += _protocol(process, entry)
        if entry.inode in snapshot.network.inet:
            found += _inet(snapshot, process, entry, snapshot.network.inet[entry.inode])
        elif entry.inode in snapshot.network.netlink:
            found += _netlink(snapshot, process, entry)
    return found + _unix(snapshot, held)


def _protocol(process: Process, entry: Descriptor) -> t.List[Reason]:
    name = entry.protocol.upper()
    if not name or name in _SUPPORTED:
        return []
    if name.startswith("MPTCP"):
        return [
            reason(
                "mptcp",
                ERROR,
                (CHECKPOINT,),
                "the program has an MPTCP socket, which Go 1.24 and later use for listening",
                "GODEBUG=multipathtcp=0 in the container's environment",
                error="Unsupported proto 262 for socket",
                pid=process.pid,
                fd=entry.fd,
                path=entry.target,
            )
        ]
    return [
        reason(
            "socket-protocol",
            ERROR,
            (CHECKPOINT,),
            "the program has a socket of a kind that CRIU does not know (%s)" % entry.protocol,
            "not possible with this program, unless it can do without that socket",
            error="BUG! Unknown socket collected",
            pid=process.pid,
            fd=entry.fd,
            path=entry.target,
            protocol=entry.protocol,
        )
    ]


def is_any(address: str) -> bool:
    """Whether a socket bound there is bound to no address in particular."""
    return ipaddress.ip_address(address).is_unspecified


def _local(address: str) -> bool:
    return is_any(address) or ipaddress.ip_address(address).is_loopback


def _name(address: t.Tuple[str, int]) -> str:
    return ("[%s]:%d" if ":" in address[0] else "%s:%d") % address


def _inet(snapshot: Snapshot, process: Process, entry: Descriptor, sock: InetSocket) -> t.List[Reason]:
    evidence: t.Dict[str, t.Any] = {"pid": process.pid, "fd": entry.fd, "path": entry.target}
    evidence.update(protocol=sock.protocol, local=_name(sock.local))
    if sock.protocol.startswith("tcp"):
        if sock.state == LISTEN:
            return _listening(snapshot, sock, evidence)
        if sock.state in _CONNECTED:
            return _connected(snapshot, sock, dict(evidence, remote=_name(sock.remote)))
    if sock.local[1] and not _local(sock.local[0]):
        return _bound(sock, evidence)
    return []


def _listening(snapshot: Snapshot, sock: InetSocket, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    found = []
    if sock.queue and not snapshot.option("skip-in-flight"):
        found.append(
            reason(
                "tcp-in-flight",
                ERROR,
                (CHECKPOINT,),
                "%d connections wait to be accepted on %s" % (sock.queue, _name(sock.local)),
                "try again when the program has accepted them, or put 'skip-in-flight' into /etc/criu/runc.conf (role"
                " criu)",
                error="In-flight connection (l) for",
                criu_option="skip-in-flight",
                transient=True,
                **evidence,
            )
        )
    if not _local(sock.local[0]):
        found += _bound(sock, evidence)
    return found


def _bound(sock: InetSocket, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    return [
        reason(
            "bound-to-pod-address",
            ERROR,
            (RESTORE,),
            "a %s socket is bound to the pod's own address %s, which another pod does not have"
            % (sock.protocol, sock.local[0]),
            "let the program listen on 0.0.0.0 or :: (and close connected UDP sockets before)",
            error="Can't bind inet socket",
            **evidence,
        )
    ]


def _connected(snapshot: Snapshot, sock: InetSocket, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    inside = ipaddress.ip_address(sock.remote[0]).is_loopback or sock.remote[0] in snapshot.network.addresses
    where = "inside the pod" if inside else "outside the pod"
    if snapshot.option("tcp-established"):
        if _local(sock.local[0]):
            return []
        return [
            reason(
                "tcp-kept",
                ERROR,
                (RESTORE,),
                "tcp-established keeps the connection to %s, which only works where the pod has the same address again"
                % _name(sock.remote),
                "tcp-close instead of tcp-established in /etc/criu/runc.conf (role criu, criu_tcp: close)",
                error="Can't bind inet socket",
                criu_option="tcp-close",
                peer=where,
                **evidence,
            )
        ]
    if snapshot.option("tcp-close"):
        return [
            reason(
                "tcp-closed-by-restore",
                INFO,
                (RESTORE,),
                "the connection to %s (%s) is closed in the restored container" % (_name(sock.remote), where),
                "the program must connect again",
                criu_option="tcp-close",
                peer=where,
                **evidence,
            )
        ]
    return [
        reason(
            "tcp-established",
            ERROR,
            (CHECKPOINT,),
            "there is an established TCP connection to %s (%s)" % (_name(sock.remote), where),
            "put 'tcp-close' into /etc/criu/runc.conf on source and target (role criu), or let the program close it"
            " before",
            error="Connected TCP socket, consider using --tcp-established option",
            criu_option="tcp-close",
            peer=where,
            **evidence,
        )
    ]


def _netlink(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    sock = snapshot.network.netlink[entry.inode]
    evidence = {"pid": process.pid, "fd": entry.fd, "path": entry.target}
    if sock.unread:
        return [
            reason(
                "netlink-unread",
                ERROR,
                (CHECKPOINT,),
                "a netlink socket holds messages that the program has not read",
                "try again when it has read them",
                error="The socket has data to read",
                transient=True,
                **evidence,
            )
        ]
    if sock.groups and not sock.port:
        return [
            reason(
                "netlink-unbound",
                ERROR,
                (CHECKPOINT,),
                "a netlink socket listens to groups without an address of its own",
                "not possible with this program",
                error="is bound to groups but not to portid",
                **evidence,
            )
        ]
    return []


# -- unix sockets ----------------------------------------------------------------------------------------------------


def _unix(snapshot: Snapshot, held: t.Sequence[Holding]) -> t.List[Reason]:
    own = {entry.inode for _process, entry in held}
    known = snapshot.network.unix
    found: t.List[Reason] = []
    for process, entry in held:
        if entry.protocol.upper() not in ("UNIX", "UNIX-STREAM") and entry.inode not in known:
            continue
        evidence = {"pid": process.pid, "fd": entry.fd, "path": entry.target}
        sock = known.get(entry.inode)
        if sock is None:
            found.append(_foreign(process, entry))
        elif sock.peer is None:
            if sock.state == ESTABLISHED:
                found.append(_peer_unknown(sock, evidence))
        elif sock.peer and sock.peer not in known:
            found.append(_peer_elsewhere(sock, evidence))
        elif sock.peer and sock.peer not in own:
            found += _external(snapshot, sock, known[sock.peer], evidence)
        elif sock.state == LISTEN and sock.queue:
            found += _waiting(snapshot, sock, own, evidence)
    return found


def _foreign(process: Process, entry: Descriptor) -> Reason:
    return reason(
        "unix-other-namespace",
        ERROR,
        (CHECKPOINT,),
        "a unix socket belongs to another network namespace; somebody outside handed it to the program",
        "close it before",
        error="Unix socket … not found",
        pid=process.pid,
        fd=entry.fd,
        path=entry.target,
    )


def _peer_unknown(sock: UnixSocket, evidence: t.Dict[str, t.Any]) -> Reason:
    return reason(
        "unix-peer-unknown",
        WARNING,
        (CHECKPOINT,),
        "a unix socket is connected, and the kernel does not say to whom (no unix_diag)",
        "load the kernel module unix_diag (role criu); CRIU needs it, too",
        error="External socket is used. Consider using --ext-unix-sk",
        name=sock.name,
        **evidence,
    )


def _peer_elsewhere(sock: UnixSocket, evidence: t.Dict[str, t.Any]) -> Reason:
    return reason(
        "unix-peer-elsewhere",
        ERROR,
        (CHECKPOINT,),
        "a unix socket is connected to a process outside the pod%s" % (" (%s)" % sock.name if sock.name else ""),
        "close that connection before; no option of CRIU helps, because the other end is not in the pod's network"
        " namespace",
        error="Unix socket … without peer",
        name=sock.name,
        **evidence,
    )


def _external(snapshot: Snapshot, sock: UnixSocket, peer: UnixSocket, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    if peer.peer != sock.inode and not peer.name:
        error, option = "Unix socket … with unreachable peer", None
    elif peer.kind != "dgram":
        error, option = "External socket is used. Consider using --ext-unix-sk", None
        if snapshot.option("ext-unix-sk"):
            error = "Can't dump half of stream unix connection"
    elif not peer.name:
        error, option = "Can't dump name-less external socket", None
    elif snapshot.option("ext-unix-sk"):
        return [_external_gone(peer, evidence)]
    else:
        error, option = "External socket is used. Consider using --ext-unix-sk", "ext-unix-sk"
    remedy = (
        "put 'ext-unix-sk' into /etc/criu/runc.conf, or close the connection before"
        if option
        else "close that connection before; no option of CRIU helps for this kind"
    )
    return [
        reason(
            "unix-external",
            ERROR,
            (CHECKPOINT,),
            "a unix %s socket is connected to a process outside the container%s"
            % (sock.kind, " (%s)" % peer.name if peer.name else ""),
            remedy,
            error=error,
            criu_option=option,
            name=peer.name,
            **evidence,
        )
    ]


def _external_gone(peer: UnixSocket, evidence: t.Dict[str, t.Any]) -> Reason:
    return reason(
        "unix-external-gone",
        ERROR,
        (RESTORE,),
        "a unix socket sends to another container of the pod (%s), which is not there when this one is restored"
        % peer.name,
        "close that connection before, or see that the other side runs first and has the same socket",
        error="Can't connect",
        name=peer.name,
        **evidence,
    )


def _waiting(
    snapshot: Snapshot, sock: UnixSocket, own: t.Container[int], evidence: t.Dict[str, t.Any]
) -> t.List[Reason]:
    """Connections to a listening socket that nobody accepted: CRIU takes them along if the other end is its own."""
    strangers = [
        entry for entry in snapshot.network.unix.values() if entry.name == sock.name and entry.inode not in own
    ]
    if not strangers:
        return []
    return [
        reason(
            "unix-in-flight",
            WARNING,
            (CHECKPOINT,),
            "%d connections from outside wait to be accepted on the unix socket %s" % (sock.queue, sock.name),
            "try again when the program has accepted them",
            error="External socket is used. Consider using --ext-unix-sk",
            transient=True,
            name=sock.name,
            **evidence,
        )
    ]
