# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of CRIU image files: framing, the protobuf wire format, and nothing about what the fields mean.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.
The images come from a container that may be hostile: every length is checked against what is there and
against a bound, and nothing here allocates more than one bounded image.
"""

from __future__ import annotations

import os
import struct
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

# Magic numbers of CRIU (criu/include/magic.h).
_INVENTORY = 0x58313116
_COMMON = 0x54564319
_SERVICE = 0x55105940
_TYPES = {
    "pstree": 0x50273030,
    "core": 0x55053847,
    "files": 0x56303138,
    "fdinfo": 0x56213732,
    "fs": 0x51403912,
    "ids": 0x54432030,
    "mm": 0x57492820,
    "pagemap": 0x56084025,
    "mountpoints": 0x55563928,
    "userns": 0x55474906,
    "stats": 0x57093306,
    "cpuinfo": 0x61404013,
}

MAX_IMAGE = 64 * 1024 * 1024
_MAX_ENTRIES = 1000000

Value = t.Union[int, bytes]
Message = t.Dict[int, t.List[Value]]


def entries(data: bytes, kind: str, where: str = "") -> t.Iterator[Message]:
    """Yield the messages of one image; C(kind) is the image's type and its magic must say so."""
    where = where or "%s.img" % kind
    offset = _header(data, kind, where)
    count = 0
    while offset < len(data):
        if len(data) - offset < 4:
            raise ArchiveError("CRIU image %s ends in the middle of an entry" % where)
        (size,) = struct.unpack_from("<I", data, offset)
        offset += 4
        if size > len(data) - offset:
            raise ArchiveError("CRIU image %s: an entry of %d bytes does not fit into the image" % (where, size))
        count += 1
        if count > _MAX_ENTRIES:
            raise ArchiveError("CRIU image %s has more than %d entries" % (where, _MAX_ENTRIES))
        yield decode(data[offset:offset + size], where)
        offset += size


def _header(data: bytes, kind: str, where: str) -> int:
    if len(data) < 4:
        raise ArchiveError("CRIU image %s is shorter than its magic number" % where)
    (first,) = struct.unpack_from("<I", data, 0)
    if kind == "inventory":
        if first != _INVENTORY:
            raise ArchiveError("CRIU image %s does not begin with the magic number of an inventory" % where)
        return 4
    wanted = _TYPES[kind]
    if first == wanted:
        return 4
    if first in (_COMMON, _SERVICE) and len(data) >= 8 and struct.unpack_from("<I", data, 4)[0] == wanted:
        return 8
    raise ArchiveError("CRIU image %s does not begin with the magic number of a %s image" % (where, kind))


def decode(data: bytes, where: str = "image") -> Message:
    """The fields of one protobuf message: number to the list of its raw values."""
    fields: Message = {}
    offset = 0
    while offset < len(data):
        tag, offset = _varint(data, offset, where)
        number, wire = tag >> 3, tag & 7
        value: Value
        if wire == 0:
            value, offset = _varint(data, offset, where)
        elif wire == 2:
            size, offset = _varint(data, offset, where)
            value, offset = _take(data, offset, size, where)
        elif wire in (1, 5):
            raw, offset = _take(data, offset, 8 if wire == 1 else 4, where)
            value = int.from_bytes(raw, "little")
        else:
            raise ArchiveError("CRIU image %s: field %d has the unknown wire type %d" % (where, number, wire))
        fields.setdefault(number, []).append(value)
    return fields


def _take(data: bytes, offset: int, size: int, where: str) -> t.Tuple[bytes, int]:
    if size > len(data) - offset:
        raise ArchiveError("CRIU image %s: a field of %d bytes does not fit into its message" % (where, size))
    return data[offset:offset + size], offset + size


def _varint(data: bytes, offset: int, where: str) -> t.Tuple[int, int]:
    value = shift = 0
    while True:
        if offset >= len(data) or shift > 63:
            raise ArchiveError("CRIU image %s has a number that does not end" % where)
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, offset
        shift += 7


def number(fields: Message, field: int, default: int = 0) -> int:
    """The last value of a scalar field, as protobuf wants it."""
    value = fields.get(field, [default])[-1]
    if not isinstance(value, int):
        raise ArchiveError("CRIU image: field %d holds bytes where a number belongs" % field)
    return value


def numbers(fields: Message, field: int) -> t.List[int]:
    """All values of a repeated scalar field, packed or not."""
    result: t.List[int] = []
    for value in fields.get(field, []):
        if isinstance(value, int):
            result.append(value)
            continue
        offset = 0
        while offset < len(value):
            item, offset = _varint(value, offset, "packed field %d" % field)
            result.append(item)
    return result


def text(fields: Message, field: int, default: str = "") -> str:
    """The last value of a string field."""
    if field not in fields:
        return default
    value = fields[field][-1]
    if isinstance(value, int):
        raise ArchiveError("CRIU image: field %d holds a number where text belongs" % field)
    return value.decode("utf-8", "surrogateescape")


def message(fields: Message, field: int) -> t.Optional[Message]:
    """The last value of a message field, decoded; None where the field is not there."""
    if field not in fields:
        return None
    return messages(fields, field)[-1]


def messages(fields: Message, field: int) -> t.List[Message]:
    """All values of a repeated message field, decoded."""
    result = []
    for value in fields.get(field, []):
        if isinstance(value, int):
            raise ArchiveError("CRIU image: field %d holds a number where a message belongs" % field)
        result.append(decode(value, "field %d" % field))
    return result


def signed32(value: int) -> int:
    """An unsigned varint read as the int32 it was written from."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def load(directory: str, name: str) -> bytes:
    """The bytes of a small image in a directory: a regular file, never through a link, never a large one."""
    path = os.path.join(directory, name)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise ArchiveError("CRIU image %s cannot be read: %s" % (name, exc.strerror or exc)) from exc
    with os.fdopen(handle, "rb") as stream:
        data = stream.read(MAX_IMAGE + 1)
    if len(data) > MAX_IMAGE:
        raise ArchiveError("CRIU image %s is larger than %d bytes" % (name, MAX_IMAGE))
    return data
