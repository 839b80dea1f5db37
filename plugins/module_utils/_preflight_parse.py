# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts under /proc, and CRIU's configuration, as plain data. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import sys
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    InetSocket,
    Lock,
    Mount,
    NetlinkSocket,
    UnixSocket,
)

CONTAINER_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NATIVE = "<" if sys.byteorder == "little" else ">"
UNIX_KINDS = {1: "stream", 2: "dgram", 5: "seqpacket"}


def container_of(cgroup: str) -> t.Optional[str]:
    """The container's ID in a /proc/PID/cgroup; None outside of containers and for CRI-O's own monitor."""
    for line in cgroup.splitlines():
        path = line.split(":", 2)[-1]
        if "crio-conmon-" in path:
            return None
        match = CONTAINER_ID.search(path)
        if match:
            return match.group(0)
    return None


def status(text: str) -> t.Dict[str, str]:
    """/proc/PID/status as a dictionary."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def kib(fields: t.Mapping[str, str], name: str) -> int:
    """A size of /proc/PID/status in bytes, 0 where the kernel does not say."""
    words = fields.get(name, "").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else 0


def last_number(fields: t.Mapping[str, str], name: str, default: int = 0) -> int:
    """The innermost of the numbers that a field has for each namespace (NSpid, NSsid)."""
    words = fields.get(name, "").split()
    return int(words[-1]) if words else default


def numbers(fields: t.Mapping[str, str], name: str) -> t.Tuple[int, ...]:
    """All numbers of a field (Uid, Gid)."""
    return tuple(int(word) for word in fields.get(name, "").split() if word.isdigit())


def tty_of_stat(text: str) -> int:
    """The controlling terminal's device number in /proc/PID/stat, 0 without one."""
    words = text.rpartition(")")[2].split()
    return int(words[4]) if len(words) > 4 else 0


def unescape(text: str) -> str:
    """mountinfo writes blanks and the like as octal numbers."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)


def mounts(text: str) -> t.List[Mount]:
    """/proc/PID/mountinfo."""
    found = []
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        words, tail = left.split(), right.split()
        if not separator or len(words) < 6 or len(tail) < 2:
            continue
        groups = dict(word.split(":", 1) for word in words[6:] if ":" in word)
        found.append(
            Mount(
                mount_id=int(words[0]),
                parent=int(words[1]),
                device=words[2],
                root=unescape(words[3]),
                point=unescape(words[4]),
                fstype=tail[0],
                source=unescape(tail[2]) if tail[0] == "overlay" and len(tail) > 2 else unescape(tail[1]),
                shared=int(groups.get("shared", 0)),
                master=int(groups.get("master", 0)),
            )
        )
    return found


def fdinfo(text: str) -> t.Dict[str, t.Any]:
    """flags, mount_id, locks, watches (device, inode) and refers_to_pid of a /proc/PID/fdinfo/FD."""
    found: t.Dict[str, t.Any] = {"flags": 0, "mount_id": 0, "refers_to_pid": None}
    locks, watches = [], []
    for line in text.splitlines():
        name, _colon, value = line.partition(":")
        if name == "flags":
            found["flags"] = int(value, 8)
        elif name == "mnt_id":
            found["mount_id"] = int(value)
        elif name == "Pid":
            found["refers_to_pid"] = int(value)
        elif name == "lock":
            words = value.replace("->", " ").split()
            if len(words) > 4 and words[4].lstrip("-").isdigit():
                locks.append(Lock(words[1], words[3], int(words[4])))
        elif line.startswith(("inotify ", "fanotify ino:")):
            watch = dict(word.split(":", 1) for word in line.split() if ":" in word)
            if "ino" in watch and "sdev" in watch:
                watches.append((int(watch["sdev"], 16), int(watch["ino"], 16)))
    return dict(found, locks=tuple(locks), watches=tuple(watches))


def interesting_mappings(text: str) -> t.List[t.Tuple[str, str]]:
    """(address, path) of the mappings in /proc/PID/maps that may be in the way, or are of a volume; each path once."""
    found: t.Dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(None, 5)
        if len(words) == 6 and words[5] not in found and words[5][0] != "[" or line.endswith("[uprobes]"):
            found[words[5]] = words[0]
    return [(address, path) for path, address in found.items()]


def address(text: str) -> t.Tuple[str, int]:
    """An address and port as /proc/net writes them."""
    raw, _colon, port = text.rpartition(":")
    packed = b"".join(struct.pack(_NATIVE + "I", int(raw[start : start + 8], 16)) for start in range(0, len(raw), 8))
    host = ipaddress.ip_address(packed)
    mapped = getattr(host, "ipv4_mapped", None)
    return str(mapped or host), int(port, 16)


def inet_sockets(text: str, protocol: str) -> t.List[InetSocket]:
    """/proc/net/tcp, udp, raw, icmp and their IPv6 forms. Sockets in TIME_WAIT and the like have no inode and no
    owner."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[9] == "0":
            continue
        found.append(
            InetSocket(
                inode=int(words[9]),
                protocol=protocol,
                state=int(words[3], 16),
                local=address(words[1]),
                remote=address(words[2]),
                queue=int(words[4].split(":")[1], 16),
            )
        )
    return found


def unix_sockets(text: str) -> t.List[UnixSocket]:
    """/proc/net/unix, which does not name peers."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split(None, 7)
        if len(words) < 7 or not words[6].isdigit():
            continue
        listening = int(words[3], 16) & 0x10000
        kind = UNIX_KINDS.get(int(words[4], 16), "other")
        # The states of this file are of their own (3: connected); brought to those of TCP.
        state = 10 if listening else 1 if words[5] == "03" else 7
        found.append(UnixSocket(int(words[6]), kind, state, name=words[7] if len(words) > 7 else ""))
    return found


def netlink_sockets(text: str) -> t.List[NetlinkSocket]:
    """/proc/net/netlink."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 10:
            found.append(
                NetlinkSocket(
                    inode=int(words[-1]),
                    protocol=int(words[1]),
                    port=int(words[2]),
                    groups=int(words[3], 16),
                    unread=int(words[4]),
                )
            )
    return found


def local_addresses(fib_trie: str, if_inet6: str) -> t.FrozenSet[str]:
    """The addresses of a network namespace."""
    found, previous = set(), ""
    for line in fib_trie.splitlines():
        if "/32 host LOCAL" in line:
            found.add(previous)
        elif "|--" in line:
            previous = line.split()[-1]
    for line in if_inet6.splitlines():
        words = line.split()
        if words and len(words[0]) == 32:
            found.add(str(ipaddress.ip_address(bytes.fromhex(words[0]))))
    return frozenset(found)


def criu_options(text: str) -> t.Dict[str, str]:
    """A configuration file of CRIU: option to value, the last one counts."""
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].replace("=", " ", 1).split()
        if words:
            found[words[0].lstrip("-")] = " ".join(words[1:]).strip("\"'")
    return found


def size(text: str, default: int) -> int:
    """A size with CRIU's units (K, M, G)."""
    match = re.fullmatch(r"(\d+)([kKmMgG]?)(?:[iI]?[bB])?", text.strip())
    return int(match.group(1)) * _UNITS[match.group(2).lower()] if match else default
