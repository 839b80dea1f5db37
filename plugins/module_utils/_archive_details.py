# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ran inside a checkpoint: processes, command lines, open files, sockets; read from CRIU's images in the archive.

PRIVATE to the collection. Standard library only. Two passes over the archive: one collects the small images, one cuts the
command lines out of the memory pages. Nothing else of the memory is read, and never a process's environment.
"""

from __future__ import annotations

import re
import socket
import struct
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_image as image
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import safe_name
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_source import ArchiveSource
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import BLOCK, Sink, TarMember, TarParser

JsonDict = t.Dict[str, t.Any]

_IMAGE = re.compile(r"checkpoint/((?:pstree|files|(?:core|mm|pagemap|ids|fs|fdinfo)-[0-9]{1,10})\.img)")
_PAGES = re.compile(r"checkpoint/pages-([0-9]{1,10})\.img")
MAX_IMAGE = 2 * 1024 * 1024
MAX_IMAGES = 8 * 1024 * 1024
MAX_PROCESSES = 10000
MAX_FILES = 20000
MAX_COMMAND_LINE = 4096
_PAGE_SIZES = (4096, 16384, 65536)
_PRESENT = 4
_STATES = {1: "alive", 2: "dead", 3: "stopped", 6: "zombie"}
_TYPES = {
    1: "regular", 2: "pipe", 3: "fifo", 4: "inet", 5: "unix", 6: "eventfd", 7: "eventpoll", 8: "inotify", 9: "signalfd",
    10: "packet", 11: "tty", 12: "fanotify", 13: "netlink", 14: "namespace", 15: "tun", 16: "external", 17: "timerfd",
    18: "memfd", 19: "bpfmap", 20: "pidfd",
}  # fmt: skip
_REGULAR, _INET, _UNIX, _PACKET, _NETLINK = 1, 4, 5, 10, 13
_TCP_STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE",
    8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}  # fmt: skip
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite"}
_SOCKET_TYPES = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}


class _Images:
    """The small images by name, and where each file of memory pages lies in the tar."""

    def __init__(self, source: ArchiveSource) -> None:
        self.raw: t.Dict[str, bytes] = {}
        self.pages: t.Dict[int, t.Tuple[int, int]] = {}
        self._collected: t.Dict[str, bytearray] = {}
        self._bytes = 0
        self._parser = TarParser(self._member)
        source.feed(self._parser)
        self._parser.finish()
        self.raw = {name: bytes(content) for name, content in self._collected.items()}

    def _member(self, member: TarMember) -> t.Optional[Sink]:
        name = safe_name(member.name)
        pages = _PAGES.fullmatch(name)
        if pages:
            # The parser is inside the header; the content begins with the next block.
            self.pages[int(pages.group(1))] = ((self._parser.offset // BLOCK + 1) * BLOCK, member.size)
        wanted = _IMAGE.fullmatch(name)
        if not wanted:
            return None
        self._bytes += member.size
        if member.size > MAX_IMAGE or self._bytes > MAX_IMAGES:
            raise ArchiveError("its CRIU images are too large to be looked into (%s: %d bytes)" % (name, member.size))
        content = self._collected[wanted.group(1)] = bytearray()
        return content.extend

    def entries(self, name: str, kind: str) -> t.Iterator[image.Message]:
        """The entries of an image; none if the archive does not have it."""
        return image.entries(self.raw[name], kind, name) if name in self.raw else iter(())

    def first(self, name: str, kind: str) -> image.Message:
        """The first entry of an image; empty if there is none."""
        return next(self.entries(name, kind), {})


def read_details(source: ArchiveSource) -> JsonDict:
    """Processes, open files and sockets of a checkpoint; ArchiveError if its images cannot be understood."""
    images = _Images(source)
    files = _files(images)
    processes: t.List[JsonDict] = []
    open_files: t.List[JsonDict] = []
    sockets: t.List[JsonDict] = []
    plans: t.Dict[int, t.List[t.Tuple[int, int, int]]] = {}
    for entry in images.entries("pstree.img", "pstree"):
        if len(processes) >= MAX_PROCESSES:
            raise ArchiveError("it holds more than %d processes" % MAX_PROCESSES)
        pid = image.number(entry, 1)
        core = image.message(images.first("core-%d.img" % pid, "core"), 3) or {}
        processes.append(
            {
                "pid": pid,
                "ppid": image.number(entry, 2),
                "command": image.text(core, 6),
                "command_line": "",
                "state": _STATES.get(image.number(core, 1), "unknown"),
                "threads": len(image.numbers(entry, 5)),
            }
        )
        plans[pid] = _arguments(images, pid)
        for opened in _opened(images, pid, files):
            if len(open_files) + len(sockets) >= MAX_FILES:
                raise ArchiveError("it holds more than %d open files" % MAX_FILES)
            (sockets if "protocol" in opened else open_files).append(opened)
    _fill_command_lines(source, processes, plans)
    return {"processes": processes, "open_files": open_files, "sockets": sockets}


# Command lines ----------------------------------------------------------------------------------------------------


def _arguments(images: _Images, pid: int) -> t.List[t.Tuple[int, int, int]]:
    """Where in the tar a process's arguments lie: (offset of the pages file, offset in it, length) for each piece."""
    mm = images.first("mm-%d.img" % pid, "mm")
    begin, end = image.number(mm, 8), image.number(mm, 9)
    end = min(end, begin + MAX_COMMAND_LINE)
    maps = images.entries("pagemap-%d.img" % pid, "pagemap")
    pages_id = image.number(next(maps, {}), 1)
    if not begin < end or pages_id not in images.pages:
        return []
    base, size = images.pages[pages_id]
    ranges = [_range(entry) for entry in maps]
    total = sum(count for dummy, count, present in ranges if present)
    page = next((one for one in _PAGE_SIZES if total * one == size), _PAGE_SIZES[0])
    pieces = []
    position = 0
    for address, count, present in ranges:
        start, stop = max(begin, address), min(end, address + count * page)
        if present and start < stop and position + start - address < size:
            offset = position + start - address
            pieces.append((base, offset, min(stop - start, size - offset)))
        if present:
            position += count * page
    return pieces


def _range(entry: image.Message) -> t.Tuple[int, int, bool]:
    """Address, number of pages, and whether the pages are in the pages file."""
    count = image.number(entry, 5) if 5 in entry else image.number(entry, 2)
    present = bool(image.number(entry, 4) & _PRESENT) if 4 in entry else not image.number(entry, 3)
    return image.number(entry, 1), count, present


def _fill_command_lines(
    source: ArchiveSource, processes: t.List[JsonDict], plans: t.Mapping[int, t.List[t.Tuple[int, int, int]]]
) -> None:
    found = source.ranges({str(pid): parts for pid, parts in plans.items() if parts})
    for process in processes:
        raw = b"".join(found.get(str(process["pid"]), []))
        process["command_line"] = raw.strip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


# Open files and sockets -------------------------------------------------------------------------------------------


def _files(images: _Images) -> t.Dict[t.Tuple[int, int], image.Message]:
    """Every file of the checkpoint by its type and ID."""
    files = {}
    for entry in images.entries("files.img", "files"):
        if len(files) >= MAX_FILES:
            raise ArchiveError("it holds more than %d files" % MAX_FILES)
        files[image.number(entry, 1), image.number(entry, 2)] = entry
    return files


def _opened(images: _Images, pid: int, files: t.Mapping[t.Tuple[int, int], image.Message]) -> t.Iterator[JsonDict]:
    """What a process had open: descriptors, working directory and root."""
    table = image.number(images.first("ids-%d.img" % pid, "ids"), 2)
    for entry in images.entries("fdinfo-%d.img" % table, "fdinfo"):
        kind, number = image.number(entry, 3), image.number(entry, 4)
        found = files.get((kind, image.number(entry, 1)), {})
        if kind in (_INET, _UNIX, _PACKET, _NETLINK):
            yield {"pid": pid, "fd": number, **_socket(kind, found)}
        else:
            yield {"pid": pid, "fd": str(number), "type": _TYPES.get(kind, "unknown"), "path": _path(kind, found)}
    place = images.first("fs-%d.img" % pid, "fs")
    for field, name in ((1, "cwd"), (2, "root")):
        if field in place:
            found = files.get((_REGULAR, image.number(place, field)), {})
            yield {"pid": pid, "fd": name, "type": "directory", "path": _path(_REGULAR, found)}


def _path(kind: int, entry: image.Message) -> t.Optional[str]:
    regular = image.message(entry, 3) if kind == _REGULAR else None
    return image.text(regular, 6) if regular else None


def _socket(kind: int, entry: image.Message) -> JsonDict:
    if kind == _INET:
        return _inet(image.message(entry, 4) or {})
    result: JsonDict = {"protocol": _TYPES[kind], "state": None, "source": None, "destination": None}
    if kind == _UNIX:
        unix = image.message(entry, 16) or {}
        name = unix.get(11, [b""])[-1]
        if isinstance(name, bytes) and name.strip(b"\0"):
            text = name.decode("utf-8", "replace")
            result["source"] = "@" + text[1:].rstrip("\0") if text.startswith("\0") else text.rstrip("\0")
        result["state"] = _TCP_STATES.get(image.number(unix, 7))
        result["protocol"] = "unix-" + _SOCKET_TYPES.get(image.number(unix, 3), "other")
    return result


def _inet(isk: image.Message) -> JsonDict:
    return {
        "protocol": _PROTOCOLS.get(image.number(isk, 5), "ip-%d" % image.number(isk, 5)),
        "state": _TCP_STATES.get(image.number(isk, 6), "unknown"),
        "source": _address(isk, 11, 7),
        "destination": _address(isk, 12, 8),
    }


def _address(isk: image.Message, address: int, port: int) -> str:
    words = image.numbers(isk, address)
    family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(len(words))
    if family is None:
        return "?:%d" % image.number(isk, port)
    text = socket.inet_ntop(family, b"".join(struct.pack("<I", word & 0xFFFFFFFF) for word in words))
    return ("%s:%d" if family == socket.AF_INET else "[%s]:%d") % (text, image.number(isk, port))
