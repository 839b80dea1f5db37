# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import TarParser
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    END,
    header,
    member,
    pax_record,
)


def parse(data, split=4096):
    """All members of a tar with their contents."""
    found = []

    def on_member(one):
        content = bytearray()
        found.append((one.name, one.kind, one.size, one.linkname, content))
        return content.extend

    parser = TarParser(on_member)
    for start in range(0, len(data), split):
        parser.feed(data[start : start + split])
    parser.finish()
    return [(name, kind, size, link, bytes(content)) for name, kind, size, link, content in found]


def refused(data, text):
    for split in (len(data) or 1, 100):
        with pytest.raises(ArchiveError) as caught:
            parse(data, split)
        assert text in caught.value.msg


def test_names_from_the_prefix_field():
    assert parse(member("name", b"x", prefix=b"some/dir") + END)[0][0] == "some/dir/name"


def test_gnu_long_name():
    name = "checkpoint/" + "x" * 300
    data = (
        member("././@LongLink", name.encode() + b"\0", kind=b"L", magic=b"ustar  \0")
        + member("checkpoint/xxx", b"abc", magic=b"ustar  \0")
        + END
    )
    assert parse(data) == [(name, "file", 3, "", b"abc")]


def test_pax_path_and_size():
    records = pax_record("mtime", b"1.5") + pax_record("path", "checkpoint/ü".encode()) + pax_record("size", b"700")
    data = member("PaxHeaders/x", records, kind=b"x") + header("short", 0) + b"z" * 700 + bytes(1024 - 700) + END
    assert parse(data) == [("checkpoint/ü", "file", 700, "", b"z" * 700)]


def test_pax_applies_to_one_member_only():
    data = member("x", pax_record("path", b"first"), kind=b"x") + member("a", b"1") + member("b", b"2") + END
    assert [entry[0] for entry in parse(data)] == ["first", "b"]


def test_base_256_size():
    data = header("big", size_field=b"\x80" + (600).to_bytes(11, "big")) + b"q" * 600 + bytes(424) + END
    assert parse(data)[0][2:] == (600, "", b"q" * 600)


def test_v7_directory_by_name():
    assert parse(member("dir/", kind=b"\0", magic=bytes(8)) + END) == [("dir/", "directory", 0, "", b"")]


def test_links_and_devices_are_reported_to_the_caller():
    data = member("l", kind=b"2", link=b"/etc/shadow") + member("d", kind=b"3") + member("f", kind=b"6") + END
    assert [(entry[1], entry[3]) for entry in parse(data)] == [
        ("symbolic link", "/etc/shadow"),
        ("character device", ""),
        ("fifo", ""),
    ]


def test_more_zeros_after_the_end_marker_are_padding():
    assert parse(member("a", b"1") + END + bytes(8192))[0][0] == "a"


GOOD = member("a", b"1")


@pytest.mark.parametrize(
    "data,text",
    [
        (b"", "the file is empty"),
        (GOOD, "truncated"),
        (GOOD + bytes(512), "truncated"),
        (member("a", b"1" * 600)[:700], "truncated: it ends inside 'a'"),
        (GOOD + END + b"x", "data after the end marker"),
        (GOOD + END + bytes(600) + b"x", "data after the end marker"),
        (GOOD + bytes(512) + GOOD + END, "a single block of zeros"),
        (header("a", checksum=b"000001\0 ") + END, "wrong checksum"),
        (header("a", checksum=b"zzzzzzzz") + END, "checksum field is not a number"),
        (header("a", size_field=b"-0000000001\0") + END, "size field is not a number"),
        (header("a", size_field=b"\xff" * 12) + END, "size field is not a number"),
        (header("a", size_field=b"0000000\x00001\0") + END, "size field is not a number"),
        (header("a", kind=b"9") + END, "member type '9' is not known"),
        (header("a", kind=b"S", magic=b"ustar  \0") + END, "sparse"),
        (member("x", pax_record("GNU.sparse.major", b"1"), kind=b"x") + GOOD + END, "sparse"),
        (member("x", pax_record("path", b"p"), kind=b"g") + GOOD + END, "global pax header"),
        (member("x", pax_record("hdrcharset", b"BINARY"), kind=b"x") + GOOD + END, "character set"),
        (member("x", pax_record("path", b"a\0b"), kind=b"x") + GOOD + END, "NUL byte"),
        (member("x", pax_record("path", b"\xff"), kind=b"x") + GOOD + END, "not UTF-8"),
        (member("x", pax_record("path", b""), kind=b"x") + GOOD + END, "empty or given twice"),
        (
            member("x", pax_record("path", b"a") + pax_record("path", b"b"), kind=b"x") + GOOD + END,
            "empty or given twice",
        ),
        (member("x", pax_record("size", b"-5"), kind=b"x") + GOOD + END, "not a number"),
        (member("x", b"nonsense", kind=b"x") + GOOD + END, "pax header is malformed"),
        (member("x", b"9999999 path=a\n", kind=b"x") + GOOD + END, "pax header is malformed"),
        (member("x", b"0 path=a\n", kind=b"x") + GOOD + END, "pax header is malformed"),
        (member("x", pax_record("comment", b"c"), kind=b"x") * 2 + GOOD + END, "two extension headers"),
        (member("x", pax_record("path", b"p"), kind=b"x") + END, "not followed by a member"),
        (header("x", 10**6, kind=b"x"), "at most 65536"),
        (header("x", 0, kind=b"x"), "at most 65536"),
        (header("L", 10**6, kind=b"L"), "at most 65536"),
        (header("a", size_field=b"\x80" + b"\xff" * 11, kind=b"L"), "at most 65536"),
        (member("a\0b") + END, "NUL byte"),
        (member(b"\xff\xfe") + END, "not UTF-8"),
        (member("dir", b"content", kind=b"5") + END, "with content"),
        (member("l", b"content", kind=b"1", link=b"x") + END, "with content"),
        (member("dir/", b"x") + END, "name of a directory"),
        (member("a", magic=b"garbage!") + END, "no known tar format"),
        (member("a", prefix=b"p", magic=b"ustar  \0") + END, "GNU headers with extra times"),
        (member("a", prefix=b"p", tail=b"tar\0") + END, "star format"),
    ],
)
def test_refused(data, text):
    refused(data, text)


def test_a_huge_size_costs_no_memory():
    parser = TarParser(lambda one: None)
    parser.feed(header("pages", size_field=b"\x80" + (2**60).to_bytes(11, "big")))
    parser.feed(bytes(1024 * 1024))
    with pytest.raises(ArchiveError, match="truncated: it ends inside 'pages'"):
        parser.finish()


def test_skip_must_be_what_can_be_skipped():
    parser = TarParser(lambda one: None)
    parser.feed(header("pages", 1000))
    assert parser.skippable == 1024
    with pytest.raises(ValueError):
        parser.skip(1000)
    parser.skip(1024)
    parser.feed(END)
    parser.finish()
    assert parser.offset == 512 + 1024 + 1024


NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, blacklist_categories=("Cs", "Cc"), blacklist_characters="/"),
    min_size=1,
    max_size=120,
)
MEMBERS = st.lists(
    st.tuples(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join),
        st.sampled_from(["file", "directory", "symlink"]),
        st.binary(max_size=1500),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(MEMBERS, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.integers(1, 3000))
def test_agrees_with_tarfile_at_any_split(members, tar_format, split):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            if kind == "directory":
                info.type = tarfile.DIRTYPE
            elif kind == "symlink":
                info.type, info.linkname = tarfile.SYMTYPE, "target"
            else:
                info.size = len(content)
            try:
                tar.addfile(info, io.BytesIO(content) if kind == "file" else None)
            except ValueError:  # a name that ustar cannot hold
                continue
    data = buffer.getvalue()
    expected = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            content = tar.extractfile(info).read() if info.isfile() else b""
            kind = "file" if info.isfile() else "directory" if info.isdir() else "symbolic link"
            expected.append((info.name, kind, len(content), info.linkname, content))
    assert [
        (name.rstrip("/") if kind == "directory" else name, kind, size, link, content)
        for name, kind, size, link, content in parse(data, split)
    ] == [
        (name.rstrip("/") if kind == "directory" else name, kind, size, link, content)
        for name, kind, size, link, content in expected
    ]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_damaged_bytes_never_crash(data):
    good = bytearray(
        member("x", pax_record("path", b"long/name"), kind=b"x")
        + member("a", b"1" * 700)
        + member("b/", kind=b"5")
        + END
    )
    for dummy in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        parse(bytes(good[:cut]), data.draw(st.integers(1, 600)))
    except ArchiveError:
        pass
