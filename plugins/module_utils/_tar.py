# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A push parser for tar streams: bytes go in, members come out, nothing is kept.

PRIVATE to the collection. Pure: no files, no clock. It reads what the container runtimes and common tools write (v7,
ustar, pax, GNU long names) and refuses whatever two readers could understand differently, because the same bytes are
later unpacked by somebody else. Which kinds of members are welcome is the caller's decision (C(_archive)).
"""

from __future__ import annotations

import re
import typing as t
import zlib

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

BLOCK = 512
_ZERO = bytes(BLOCK)
_MAX_EXTENSION = 64 * 1024
_NO_PREFIX = bytes(155)
_USTAR, _GNU = b"ustar\00000", b"ustar  \0"
_DECIMAL = re.compile(r"[0-9]{1,20}")

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symbolic link"
HARDLINK = "hard link"
CHARACTER = "character device"
BLOCKDEV = "block device"
FIFO = "fifo"

_KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"1": HARDLINK,
    b"2": SYMLINK,
    b"3": CHARACTER,
    b"4": BLOCKDEV,
    b"5": DIRECTORY,
    b"6": FIFO,
}

Sink = t.Callable[[memoryview], t.Any]


class TarMember(t.NamedTuple):
    """One member as its headers describe it. The name is as written: nothing was normalised."""

    name: str
    kind: str
    size: int
    linkname: str = ""


class TarParser:
    """Parse a tar stream that arrives in blocks of any size.

    on_member: called with each L(TarMember) before its content; what it returns (or None) receives the content.
    on_end: called when a member's content is over.
    """

    def __init__(
        self,
        on_member: t.Callable[[TarMember], t.Optional[Sink]],
        on_end: t.Optional[t.Callable[[TarMember], t.Any]] = None,
    ) -> None:
        self._on_member = on_member
        self._on_end = on_end
        self._header = bytearray()
        self._member: t.Optional[TarMember] = None
        self._sink: t.Optional[Sink] = None
        self._data_left = 0
        self._pad_left = 0
        self._extension: t.Optional[t.Tuple[bytes, bytearray]] = None
        self._pax: t.Dict[str, str] = {}
        self._long: t.Dict[bytes, str] = {}
        self._zero_blocks = 0
        self.offset = 0

    @property
    def complete(self) -> bool:
        """Whether the end marker (two blocks of zeros) was read."""
        return self._zero_blocks >= 2

    @property
    def skippable(self) -> int:
        """How many of the next bytes nobody wants: the caller may seek over them and report it with C(skip)."""
        return self._data_left + self._pad_left if self._sink is None and self._data_left else 0

    def skip(self, count: int) -> None:
        """Take note that the next C(count) bytes, which must be all that C(skippable) said, were seeked over."""
        if count != self.skippable:
            raise ValueError("skip(%d), but %d bytes can be skipped" % (count, self.skippable))
        if count:
            self.offset += count
            self._data_left = self._pad_left = 0
            self._end_member()

    def feed(self, data: t.Union[bytes, bytearray, memoryview]) -> None:
        """Parse the next bytes of the stream."""
        view = memoryview(data)
        position, end = 0, len(view)
        while position < end:
            if self._data_left:
                step = min(self._data_left, end - position)
                if self._sink is not None:
                    self._sink(view[position : position + step])
                self._data_left -= step
                if not self._data_left:
                    self._end_member()
            elif self._pad_left:
                step = min(self._pad_left, end - position)
                self._pad_left -= step
            elif self.complete:
                step = end - position
                if bytes(view[position:]).strip(b"\0"):
                    raise ArchiveError(
                        "there is data after the end marker of the tar (at byte %d or later)" % self.offset
                    )
            elif not self._header and end - position >= BLOCK:
                step = BLOCK
                self._block(view[position : position + BLOCK].tobytes())
            else:
                step = min(BLOCK - len(self._header), end - position)
                self._header += view[position : position + step]
                if len(self._header) == BLOCK:
                    block, self._header = bytes(self._header), bytearray()
                    self._block(block)
            position += step
            self.offset += step

    def finish(self) -> None:
        """The stream is over: raise if it is not a complete tar."""
        if self.offset == 0:
            raise ArchiveError("the file is empty", incomplete=True)
        if not self.complete:
            where = (
                "inside %r" % self._member.name
                if self._member is not None and self._data_left
                else "after %d bytes" % self.offset
            )
            raise ArchiveError("the tar is truncated: it ends %s, without the end marker" % where, incomplete=True)

    # One header block -------------------------------------------------------------------------------------------

    def _block(self, block: bytes) -> None:
        if block == _ZERO:
            if self._pax or self._long:
                raise self._error("an extension header is not followed by a member")
            self._zero_blocks += 1
            return
        if self._zero_blocks:
            raise self._error("a single block of zeros stands in the middle")
        self._check_sum(block)
        kind = block[156:157]
        size = self._number(block[124:136], "size")
        if kind in (b"x", b"L", b"K"):
            self._begin_extension(kind, size)
            return
        if kind == b"g":
            raise self._error("a global pax header, which readers treat differently, is not accepted")
        if kind == b"S":
            raise self._error("sparse members are not accepted")
        if kind not in _KINDS:
            raise self._error("member type %r is not known" % kind.decode("latin-1"))
        self._begin_member(block, _KINDS[kind], size)

    def _begin_extension(self, kind: bytes, size: int) -> None:
        if not 0 < size <= _MAX_EXTENSION:
            raise self._error("an extension header has %d bytes; at most %d are accepted" % (size, _MAX_EXTENSION))
        if (kind == b"x" and self._pax) or kind in self._long:
            raise self._error("two extension headers of one kind stand before one member")
        content = bytearray()
        self._extension = (kind, content)
        self._expect(size, content.extend)

    def _begin_member(self, block: bytes, kind: str, size: int) -> None:
        self._check_format(block)
        # The header's own fields are only looked at when nothing replaces them: writers cut them off inside a
        # character.
        name = self._pax.get("path", self._long.get(b"L"))
        if name is None:
            name = self._header_name(block)
        link = self._pax.get("linkpath", self._long.get(b"K"))
        if link is None:
            link = self._field(block[157:257], "link name") if kind in (SYMLINK, HARDLINK) else ""
        if "size" in self._pax:
            size = self._pax_size(self._pax["size"])
        self._pax, self._long = {}, {}
        if kind == FILE and name.endswith("/"):
            if block[156:157] != b"\0" or size:
                raise self._error("member %r is a regular file with the name of a directory" % name)
            kind = DIRECTORY
        if kind != FILE and size:
            raise self._error("member %r is a %s with content" % (name, kind))
        self._member = TarMember(name=name, kind=kind, size=size, linkname=link if kind in (SYMLINK, HARDLINK) else "")
        self._expect(size, self._on_member(self._member))

    def _expect(self, size: int, sink: t.Optional[Sink]) -> None:
        self._sink = sink
        self._data_left = size
        self._pad_left = -size % BLOCK
        if not size:
            self._end_member()

    def _end_member(self) -> None:
        self._sink = None
        if self._extension is not None:
            kind, content = self._extension
            self._extension = None
            if kind == b"x":
                self._pax = self._pax_records(bytes(content))
            else:
                self._long[kind] = self._text(bytes(content).rstrip(b"\0"), "GNU long name")
        elif self._member is not None:
            member, self._member = self._member, None
            if self._on_end is not None:
                self._on_end(member)

    # Fields -----------------------------------------------------------------------------------------------------

    def _check_sum(self, block: bytes) -> None:
        field = block[148:156]
        stated = self._number(field, "checksum")
        if block.isascii() and (zlib.adler32(block) & 0xFFFF) - 1 - sum(field) + 256 == stated:
            # Half of Adler-32 is one more than the sum of all bytes, as long as that is below 65521: 512 bytes below 128.
            return
        fields = block[:148] + b" " * 8 + block[156:]
        unsigned = sum(fields)
        # Some writers sum signed bytes; that is looked at only if it matters.
        if stated != unsigned and stated != unsigned - 256 * sum(1 for byte in fields if byte > 127):
            raise self._error("the header has a wrong checksum")

    def _check_format(self, block: bytes) -> None:
        magic = block[257:265]
        if magic == _USTAR:
            if block[508:512] == b"tar\0":
                raise self._error("the star format is not accepted")
        elif magic == _GNU:
            if block[345:500].strip(b"\0"):
                raise self._error("GNU headers with extra times, which readers treat differently, are not accepted")
        elif block[257:].strip(b"\0"):
            raise self._error("the header is of no known tar format")

    def _header_name(self, block: bytes) -> str:
        name = self._field(block[:100], "name")
        if block[345:500] == _NO_PREFIX or block[257:265] != _USTAR:
            return name
        prefix = self._field(block[345:500], "name prefix")
        return "%s/%s" % (prefix, name) if prefix else name

    def _field(self, raw: bytes, what: str) -> str:
        return self._text(raw.rstrip(b"\0"), what)

    def _text(self, raw: bytes, what: str) -> str:
        if b"\0" in raw:
            raise self._error("a %s holds a NUL byte" % what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._error("a %s is not UTF-8" % what) from None

    def _number(self, raw: bytes, what: str) -> int:
        if raw[0] == 0x80:
            return int.from_bytes(raw[1:], "big")
        digits = raw.rstrip(b" \0").lstrip(b" ")
        if digits.isdigit():
            try:
                return int(digits, 8)
            except ValueError:
                pass
        elif not raw.strip(b" \0"):
            return 0
        raise self._error("the header's %s field is not a number" % what)

    def _pax_size(self, text: str) -> int:
        if not _DECIMAL.fullmatch(text):
            raise self._error("the pax record 'size' is not a number")
        return int(text)

    def _pax_records(self, raw: bytes) -> t.Dict[str, str]:
        """The records that matter here: names and the size. Everything else (times, owners, attributes) is passed
        over."""
        records: t.Dict[str, str] = {}
        position = 0
        while position < len(raw):
            space = raw.find(b" ", position, position + 8)
            digits = raw[position:space] if space > 0 else b""
            if not digits.isdigit() or digits.startswith(b"0"):
                raise self._error("a pax header is malformed")
            end = position + int(digits)
            key, equals, value = raw[space + 1 : end - 1].partition(b"=")
            if end > len(raw) or end <= space + 2 or raw[end - 1 : end] != b"\n" or not key or not equals:
                raise self._error("a pax header is malformed")
            if key.startswith(b"GNU.sparse"):
                raise self._error("sparse members are not accepted")
            if key == b"hdrcharset":
                raise self._error("pax headers in another character set are not accepted")
            if key in (b"path", b"linkpath", b"size"):
                if not value or key.decode() in records:
                    raise self._error("the pax record %r is empty or given twice" % key.decode())
                records[key.decode()] = self._text(value, "pax record %r" % key.decode())
            position = end
        # A header without any record that matters must still count as one, so that a second one is noticed.
        return records or {"": ""}

    def _error(self, msg: str) -> ArchiveError:
        return ArchiveError("not a tar archive that can be trusted: %s (near byte %d)" % (msg, self.offset))
