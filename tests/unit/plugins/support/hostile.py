# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The corpus of hostile archives: what each holds, and the files in C(fixtures/hostile) that were made of it.

Run as a program, it writes the files again: C(python -m …support.hostile). What is large is kept compressed, which makes
it a hostile compressed archive. Names of files are harmless; only what is inside is not.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import typing as t

from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    END,
    archive,
    documents,
    header,
    member,
    pax_record,
)

CORPUS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "hostile")
_TEBI = 1 << 40


def _huge(size: int) -> bytes:
    """A size field in base 256."""
    return b"\x80" + size.to_bytes(11, "big")


def _sparse() -> bytes:
    """GNU's old format: a file of 100 GiB of which 512 bytes are there."""
    block = bytearray(header("checkpoint/pages-9.img", 512, kind=b"S", magic=b"ustar  \0"))
    block[386:398], block[398:410] = b"%011o\0" % 0, b"%011o\0" % 512
    block[483:495] = _huge(100 << 30)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(512)


def _pax(**records: bytes) -> bytes:
    return member("x", b"".join(pax_record(key.replace("_", "."), value) for key, value in records.items()), kind=b"x")


def _annotated(name: str, text: str) -> t.Dict[str, t.Any]:
    spec = documents()["spec.dump"]
    spec["annotations"] = {**spec["annotations"], name: text}
    return spec


def _names() -> t.Iterator[bytes]:
    """Members whose names together fill the memory of whoever keeps them."""
    for number in range(4500):
        name = b"/".join([b"checkpoint", b"%d" % number] + [b"n" * 250] * 15)
        yield _pax(path=name) + header("y")


def contents() -> t.Dict[str, bytes]:
    """Name of the file to what is in the archive, uncompressed."""
    return {
        # What would write or read elsewhere.
        "symlink": archive(member("l", kind=b"2", link=b"/etc/shadow")),
        "symlink-then-file": archive(member("checkpoint/d", kind=b"2", link=b"/tmp"), member("checkpoint/d/x", b"x")),
        "hardlink": archive(member("h", kind=b"1", link=b"config.dump")),
        "hardlink-outside": archive(member("h", kind=b"1", link=b"../../etc/shadow")),
        "character-device": archive(member("checkpoint/dev", kind=b"3")),
        "block-device": archive(member("checkpoint/dev", kind=b"4")),
        "fifo": archive(member("checkpoint/pipe", kind=b"6")),
        "contiguous": archive(member("checkpoint/c", b"x", kind=b"7")),
        "unknown-kind": archive(member("checkpoint/c", b"x", kind=b"Z")),
        "absolute": archive(member("/etc/passwd", b"x")),
        "absolute-by-pax": archive(_pax(path=b"/etc/passwd"), member("y", b"x")),
        "dotdot": archive(member("checkpoint/../../etc/passwd", b"x")),
        "dotdot-by-longname": archive(member("././@LongLink", b"checkpoint/../../../etc/passwd\0", kind=b"L"), member("y", b"x")),
        "dotdot-by-prefix": archive(member("passwd", b"x", prefix=b"checkpoint/../../../etc")),
        "linkpath-by-pax": archive(_pax(linkpath=b"/etc/shadow"), member("l", kind=b"2")),
        # Names.
        "nul-in-name": archive(member("checkpoint/a\0b", b"x")),
        "nul-by-pax": archive(_pax(path=b"checkpoint/a\0b"), member("y", b"x")),
        "newline": archive(member("checkpoint/a\nb", b"x")),
        "escape": archive(member("checkpoint/a\x1b[31mb", b"x")),
        "not-utf8": archive(member(b"checkpoint/\xff\xfe", b"x"), member("/x")),
        "long-name": archive(_pax(path=b"checkpoint/" + b"n" * 5000), member("y", b"x")),
        "no-name": archive(header("")),
        "whiteout": archive(member("checkpoint/.wh.inventory.img")),
        # One name twice.
        "duplicate": archive(member("config.dump", b"{}")),
        "duplicate-by-dot": archive(member("./config.dump", b"{}")),
        "file-as-directory": archive(member("checkpoint/pages-1.img/x", b"x")),
        "directory-as-file": archive(member("stats-dump/", kind=b"5")),
        # Numbers.
        "checksum": archive(header("checkpoint/x", checksum=b"000000\0 ")),
        "sparse": archive(_sparse()),
        "sparse-by-pax": archive(_pax(GNU_sparse_major=b"1", GNU_sparse_realsize=b"%d" % (100 << 30)), member("checkpoint/s", b"0\n")),
        "size-100-gib": archive(header("checkpoint/pages-9.img", size_field=_huge(100 << 30))),
        "size-by-pax": archive(_pax(size=b"%d" % (100 << 30)), header("checkpoint/pages-9.img")),
        "size-negative": archive(header("checkpoint/x", size_field=b"\xff" * 12)),
        "size-overflow": archive(header("checkpoint/x", size_field=_huge((1 << 88) - 1))),
        "size-not-octal": archive(header("checkpoint/x", size_field=b"99999999999\0")),
        "pax-size-itself": archive(header("x", size_field=_huge(_TEBI), kind=b"x")),
        "longname-size-itself": archive(header("././@LongLink", size_field=_huge(_TEBI), kind=b"L")),
        # Documents.
        "deep": archive(member("status.dump", b"[" * 90000 + b"]" * 90000)),
        "deep-objects": archive(member("status.dump", b'{"a":' * 20000 + b"1" + b"}" * 20000)),
        "wide": archive(member("status.dump", b'{"a": [' + b"{}," * 300000 + b"1]}")),
        "large-document": archive(member("status.dump", b" " * (2 << 20))),
        "key-twice": archive(member("status.dump", b'{"a": 1, "a": 2}')),
        "not-a-number": archive(member("status.dump", b'{"a": NaN}')),
        "large-number": archive(member("status.dump", b'{"a": ' + b"9" * 100000 + b"}")),
        "devices-asked-for": archive(spec_dump=_annotated("cdi.k8s.io/gpu", "vendor.com/gpu=all")),
        "devices-asked-for-in-text": archive(spec_dump=_annotated("io.kubernetes.cri-o.Annotations", json.dumps({"cdi.k8s.io/x": "y"}))),
        # As a whole.
        "many-names": archive(*_names()),
        "truncated": archive()[:-2000],
        "no-end": archive()[:-1024],
        "tail": archive() + b"more",
        "tar-in-tar": member("inner.tar", archive()) + END,
        "text": b"hello\n" * 1000,
        "zeros": bytes(10240),
        "bomb": archive(header("checkpoint/pages-9.img", size_field=_huge(100 << 30))) + bytes(64 << 20),
        # CRIU's images. The archive itself is good.
        "good-but-stats": archive(member("stats-dump", b"\xff" * 60000)),
        "good-but-processes": archive(member("checkpoint/pstree.img", struct.pack("<II", 0x54564319, 0x50273030) + b"\x02\0\0\0\x08\x01" * 12000)),
        "good-but-promises": archive(member("checkpoint/pstree.img", struct.pack("<III", 0x54564319, 0x50273030, 0xFFFFFFFF))),
        "good-but-large-image": archive(member("checkpoint/files.img", bytes(3 << 20))),
    }


def file_name(name: str, content: bytes) -> str:
    """What is large is kept compressed."""
    return name + (".tgz" if len(content) > 32 * 1024 else ".tar")


def read(name: str) -> bytes:
    """What is in a file of the corpus, uncompressed."""
    with open(os.path.join(CORPUS, name), "rb") as stream:
        content = stream.read()
    return gzip.decompress(content) if name.endswith(".tgz") else content


def main() -> None:
    """Write the corpus."""
    os.makedirs(CORPUS, exist_ok=True)
    for name, content in contents().items():
        path = os.path.join(CORPUS, file_name(name, content))
        with open(path, "wb") as stream:
            stream.write(gzip.compress(content, 9, mtime=0) if path.endswith(".tgz") else content)


if __name__ == "__main__":
    main()
