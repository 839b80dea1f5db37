# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describing archives: real ones of both engines, compressed ones, records, and a corpus of hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _archive_details,
    _archive_info,
    _record,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import (
    Wish,
    clean,
    describe,
    describe_all,
    paths_of,
    workers_for,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import verify_archive
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    END,
    archive,
    documents,
    fixture,
    fixture_bytes,
    good_members,
    header,
    member,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.shelf import put, tools

ZSTD = shutil.which("zstd")
DETAILS = Wish(details=True, tool="builtin")
EVERYTHING = Wish(verify=True, details=True, tool="builtin")


def copy(tmp_path, name, record=True):
    path = str(tmp_path / (name + ".tar"))
    shutil.copy(fixture(name), path)
    if record:
        _record.write(path, _record.build(path, verify_archive(path), node="node1", cluster="lab"))
    return path


@pytest.mark.parametrize("name,engine", [("containerd-two-a", "containerd"), ("crio-two-b", "cri-o")])
def test_real_archives(tmp_path, name, engine):
    entry = describe(copy(tmp_path, name), EVERYTHING, tools())
    assert entry["error"] is None and entry["identity_from"] == "archive"
    assert (entry["engine"], entry["namespace"], entry["pod"], entry["container"]) == (engine, "default", "two", name[-1])
    assert (entry["node"], entry["cluster"], entry["owner"]) == ("node1", "lab", None)
    assert entry["image"]["digest"].startswith("sha256:")
    assert entry["machine"] == {"criu": "4.2.1", "kernel": "6.18.44-fc-v445", "arch": "x86_64", "cpu": "AuthenticAMD family 25 AMD EPYC"}
    assert entry["sizes"]["memory_pages"] == 4096 * entry["statistics"]["pages_written"]
    assert entry["sizes"]["uncompressed"] == entry["size"] == len(fixture_bytes(name))
    assert entry["record"]["state"] == "complete" and entry["verified"] is True
    assert entry["sha256"] == hashlib.sha256(fixture_bytes(name)).hexdigest() == entry["record"]["sha256"]
    assert entry["details_by"] == "builtin" and entry["details_error"] is None
    processes = entry["details"]["processes"]
    assert [(p["command"], p["command_line"], p["state"]) for p in processes] == [
        ("counter.sh", "/bin/sh /counter.sh", "alive"),
        ("sleep", "sleep 1", "alive"),
    ]
    assert processes[1]["ppid"] == processes[0]["pid"] == 1
    assert {"pid": 1, "fd": "10", "type": "regular", "path": "/counter.sh"} in entry["details"]["open_files"]
    assert {"pid": 1, "fd": "cwd", "type": "directory", "path": "/"} in entry["details"]["open_files"]
    assert {"destination": "/proc", "type": "proc", "source": "proc"} in entry["details"]["mounts"]


def test_numbers_as_checkpointctl_prints_them():
    """What checkpointctl 1.3.0 said about this archive."""
    entry = describe(fixture("containerd-counter-counter"), Wish(), tools())
    said = {"freezing_us": 566, "frozen_us": 140406, "memdump_us": 933, "memwrite_us": 162, "pages_scanned": 46, "pages_written": 32}
    assert {key: entry["statistics"][key] for key in said} == said
    assert entry["sizes"]["memory_pages"] == 131072 and entry["sizes"]["rootfs_diff"] == 293


def test_values_of_the_environment_are_never_returned(tmp_path):
    spec = documents()["spec.dump"]
    spec["process"]["env"] = ["SECRET=do-not-show", "do-not-show", "=do-not-show", "do not show=x", "PATH=/do-not-show", 5]
    path = tmp_path / "a.tar"
    path.write_bytes(archive(spec_dump=spec))
    entry = describe(str(path), DETAILS, tools())
    assert entry["details"]["environment"] == ["PATH", "SECRET"]
    assert "do-not-show" not in json.dumps(entry) and "do not show" not in json.dumps(entry)
    assert "SECRET" not in json.dumps(describe(str(path), Wish(), tools()))


@pytest.mark.parametrize("form", ["gz", pytest.param("zst", marks=pytest.mark.skipif(not ZSTD, reason="zstd is not installed"))])
def test_compressed_archives_say_the_same(tmp_path, form):
    path = copy(tmp_path, "crio-emptyd-c")
    plain = describe(path, EVERYTHING, tools())
    if form == "gz":
        with gzip.open(path + ".gz", "wb") as stream:
            # Two members, as when it was compressed in parts.
            stream.write(fixture_bytes("crio-emptyd-c")[:70000])
        with gzip.open(path + ".gz", "ab") as stream:
            stream.write(fixture_bytes("crio-emptyd-c")[70000:])
    else:
        subprocess.run([ZSTD, "-q", path], check=True)
    os.unlink(path)
    packed = describe(path + "." + form, EVERYTHING, tools())
    assert packed["compression"] == {"gz": "gzip", "zst": "zstd"}[form]
    assert packed["record"]["state"] == "complete" and packed["verified"] is True
    same = set(plain) - {"path", "name", "size", "compression", "modified_at"}
    assert {key: packed[key] for key in same} == {key: plain[key] for key in same}
    quick = describe(path + "." + form, Wish(trust_record=True), tools())
    assert quick["identity_from"] == "record" and quick["record"]["state"] == "complete"
    content = open(path + "." + form, "rb").read()
    for cut, words in ((len(content) // 2, "truncated"), (len(content) - 3, "truncated")):
        (tmp_path / ("cut.tar." + form)).write_bytes(content[:cut])
        entry = describe(str(tmp_path / ("cut.tar." + form)), Wish(), tools())
        assert words in entry["error"] and entry["incomplete"] is True
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    (tmp_path / ("bad.tar." + form)).write_bytes(bytes(damaged))
    assert describe(str(tmp_path / ("bad.tar." + form)), Wish(), tools())["error"]


def test_zstd_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "a.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    entry = describe(str(path), Wish(), tools(find=lambda name: None))
    assert "install the package zstd" in entry["error"] and entry["compression"] == "zstd"


def test_podman(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(archive(spec_dump={"annotations": {"io.container.manager": "libpod"}})))
    entry = describe(str(path), Wish(), tools())
    assert (entry["error"], entry["engine"], entry["compression"], entry["pod"]) == (None, "podman", "gzip", None)
    assert entry["container"] == documents()["config.dump"]["name"]


def test_encrypted_archives_are_described_by_their_record(tmp_path):
    path = put(tmp_path, "a.tar", 1)
    content = b"age-encryption.org/v1\n" + b"\x93" * 500
    record = _record.read(path + ".record.json")
    record["archive"]["stored_sha256"] = hashlib.sha256(content).hexdigest()
    _record.write(path, record)
    os.rename(path, path + ".age")
    (tmp_path / "a.tar.age").write_bytes(content)
    entry = describe(path + ".age", EVERYTHING, tools())
    assert (entry["error"], entry["encrypted"], entry["identity_from"], entry["pod"]) == (None, True, "record", "counter")
    assert entry["verified"] is True and entry["details"] is None
    (tmp_path / "a.tar.age").write_bytes(content + b"x")
    assert describe(path + ".age", EVERYTHING, tools())["verified"] is False
    os.unlink(path + ".record.json")
    assert "encrypted with age" in describe(path + ".age", Wish(), tools())["error"]


def changed(path, **fields):
    record = _record.read(path + ".record.json")
    for name, value in fields.items():
        section, dummy, field = name.partition("__")
        if field:
            record[section][field] = value
        else:
            record[section] = value
    _record.write(path, record)
    return describe(path, Wish(verify=True), tools())


def test_records(tmp_path):
    path = put(tmp_path, "a.tar", 1)
    assert describe(path, Wish(), tools())["verified"] is None
    assert changed(path, archive__sha256="0" * 64)["record"]["why"].startswith("the record says SHA-256 000")
    assert describe(path, Wish(), tools())["record"]["state"] == "complete"
    assert changed(path, archive__bytes=5)["record"]["why"].startswith("the record says 5 bytes")
    assert changed(path, archive__name="b.tar")["record"] == {
        "state": "mismatch",
        "path": path + ".record.json",
        "id": _record.read(path + ".record.json")["id"],
        "sha256": "0" * 64,
        "why": "the record is of the file b.tar",
    }
    assert changed(put(tmp_path, "c.tar", 1), source__container_id="1" * 64)["record"]["state"] == "mismatch"
    assert changed(put(tmp_path, "d.tar", 1), schema=2)["record"]["state"] == "newer_schema"
    (tmp_path / "d.tar.record.json").write_text("{")
    assert describe(str(tmp_path / "d.tar"), Wish(), tools())["record"]["state"] == "damaged"
    os.unlink(str(tmp_path / "d.tar.record.json"))
    entry = describe(str(tmp_path / "d.tar"), Wish(verify=True), tools())
    assert entry["record"]["state"] == "missing" and entry["verified"] is None and len(entry["sha256"]) == 64


def test_what_a_path_means(tmp_path):
    for name in ("b.tar", "a.tar.gz", "a.tar.record.json", ".a.tar.x.tmp", "notes.txt", "c.tgz", "d.tar.zst.age"):
        (tmp_path / name).write_bytes(b"x")
    assert [os.path.basename(path) for path in paths_of(str(tmp_path))] == ["a.tar.gz", "b.tar", "c.tgz", "d.tar.zst.age"]
    assert paths_of(str(tmp_path / "notes.txt")) == [str(tmp_path / "notes.txt")]
    with pytest.raises(InputError, match="there is nothing at"):
        paths_of(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_several_workers_say_the_same(tmp_path, workers):
    for number in range(7):
        shutil.copy(fixture(("containerd-two-a", "crio-two-b")[number % 2]), str(tmp_path / ("%d.tar" % number)))
    (tmp_path / "bad.tar").write_bytes(b"x")
    paths = paths_of(str(tmp_path))
    assert describe_all(paths, DETAILS, tools(), workers) == [describe(path, DETAILS, tools()) for path in paths]


def test_a_worker_that_dies_is_replaced(monkeypatch):
    parent, real = os.getpid(), describe

    def mortal(*given):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)

    monkeypatch.setattr(_archive_info, "describe", mortal)
    paths = [fixture("containerd-two-a"), fixture("crio-two-b")]
    assert [entry["engine"] for entry in describe_all(paths, Wish(), tools(), 2)] == ["containerd", "cri-o"]


def test_few_archives_need_one_process():
    assert workers_for(0) == workers_for(99) == 1 and 1 <= workers_for(10000) <= 4


def test_texts_are_cleaned():
    assert clean({"a\x1b[31m": ["b\ud800\n", 5, None, "\u202etar"]}) == {"a\ufffd[31m": ["b\ufffd\n", 5, None, "\ufffdtar"]}


# Hostile archives ---------------------------------------------------------------------------------------------------


def image(magic, *entries):
    return struct.pack("<II", 0x54564319, magic) + b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def fields(*pairs):
    return b"".join(
        varint(number << 3 | 2) + varint(len(value)) + value if isinstance(value, bytes) else varint(number << 3) + varint(value)
        for number, value in pairs
    )


PSTREE, MM, PAGEMAP, FILES, IDS, FDINFO = 0x50273030, 0x57492820, 0x56084025, 0x56303138, 0x54432030, 0x56213732


def test_sockets_and_addresses(tmp_path):
    inet4 = fields((1, 7), (3, 2), (4, 1), (5, 6), (6, 10), (7, 8080), (8, 0), (11, 0x0100007F), (12, 0))
    inet6 = fields((1, 8), (3, 10), (4, 2), (5, 17), (6, 7), (7, 53), (8, 0), *[(11, word) for word in (0, 0, 0, 0x01000000)])
    unix = fields((1, 9), (3, 1), (7, 10), (11, b"\0abstract"))
    members = [
        member("checkpoint/pstree.img", image(PSTREE, fields((1, 1), (2, 0), (5, 1)))),
        member("checkpoint/ids-1.img", image(IDS, fields((2, 2)))),
        member("checkpoint/fdinfo-2.img", image(FDINFO, *[fields((1, i), (3, kind), (4, i)) for i, kind in ((7, 4), (8, 4), (9, 5), (11, 7))])),
        member(
            "checkpoint/files.img",
            image(FILES, fields((1, 4), (2, 7), (4, inet4)), fields((1, 4), (2, 8), (4, inet6)), fields((1, 5), (2, 9), (16, unix))),
        ),
    ]
    path = tmp_path / "a.tar"
    path.write_bytes(archive(*members))
    details = describe(str(path), DETAILS, tools())["details"]
    assert details["sockets"] == [
        {"pid": 1, "fd": 7, "protocol": "tcp", "state": "LISTEN", "source": "127.0.0.1:8080", "destination": "0.0.0.0:0"},
        {"pid": 1, "fd": 8, "protocol": "udp", "state": "CLOSE", "source": "[::1]:53", "destination": "?:0"},
        {"pid": 1, "fd": 9, "protocol": "unix-stream", "state": "LISTEN", "source": "@abstract", "destination": None},
    ]
    assert details["open_files"] == [{"pid": 1, "fd": "11", "type": "eventpoll", "path": None}]


HOSTILE = {
    "link": archive(member("l", kind=b"2", link=b"/etc/shadow")),
    "device": archive(member("dev", kind=b"3")),
    "absolute": archive(member("/etc/passwd", b"x")),
    "dotdot": archive(member("checkpoint/../../etc/passwd", b"x")),
    "control": archive(member("a\x1b[31mb", b"x")),
    "duplicate": archive(member("config.dump", b"{}")),
    "checksum": header("x", checksum=b"000000\0 ") + archive(),
    "sparse": archive(header("checkpoint/pages-9.img", size_field=b"\x80" + (100 << 30).to_bytes(11, "big"))),
    "deep": archive(member("status.dump", b"[" * 90000 + b"]" * 90000)),
    "wide": archive(member("status.dump", b'{"a": [' + b"{}," * 300000 + b"1]}")),
    "members": b"".join(good_members()) + header("d/", kind=b"5") * 3 + b"".join(header("checkpoint/f%d" % i) for i in range(101000)) + END,
    "empty": b"",
    "text": b"hello\n" * 1000,
    "stats": archive(member("stats-dump", b"\xff" * 60000)),
    "pstree": archive(member("checkpoint/pstree.img", image(PSTREE, *[fields((1, i)) for i in range(12000)]))),
    "large image": archive(member("checkpoint/files.img", bytes(3 << 20))),
    "many fields": archive(
        member("checkpoint/pstree.img", image(PSTREE, fields((1, 1)))), member("checkpoint/mm-1.img", image(MM, b"\x72\x01x" * 600000))
    ),
    "gzip bomb": gzip.compress(archive(header("checkpoint/pages-9.img", size_field=b"\x80" + (100 << 30).to_bytes(11, "big"))) + bytes(200 << 20), 9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_are_entries(tmp_path, name):
    path = tmp_path / "checkpoint-hostile.tar"
    path.write_bytes(HOSTILE[name])
    entry = describe(str(path), EVERYTHING, tools())
    if name in ("stats", "pstree", "large image", "many fields"):
        assert entry["error"] is None and entry["pod"] == "counter"
        assert entry["details_error"] or name in ("stats", "many fields")
        assert entry["statistics"] is None
    else:
        assert entry["error"] and entry["details"] is None
    assert os.listdir(str(tmp_path)) == ["checkpoint-hostile.tar"]
    assert "\x1b" not in json.dumps(entry, ensure_ascii=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deep", "wide", "members", "many fields", "gzip bomb", "sparse"])
def test_hostile_archives_use_little_memory(tmp_path, name):
    """In a process of its own: the growth of its peak over what importing and one good archive took."""
    hostile, good = tmp_path / "hostile.tar", tmp_path / "good.tar"
    hostile.write_bytes(HOSTILE[name])
    good.write_bytes(archive())
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            describe(str(good), EVERYTHING, tools())
            # A forked process starts with its parent's peak: count from what it holds now.
            with open("/proc/self/clear_refs", "w", encoding="ascii") as stream:
                stream.write("5")
            before = peak()
            describe(str(hostile), EVERYTHING, tools())
            os.write(writing, b"%d" % (peak() - before))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        grown = stream.read()
    os.waitpid(child, 0)
    assert grown and int(grown) < 64 * 1024


def peak():
    with open("/proc/self/status", encoding="ascii") as stream:
        return int(next(line.split()[1] for line in stream if line.startswith("VmHWM:")))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(["containerd-counter-counter", "crio-two-a"]), st.lists(st.tuples(st.integers(0, 270000), st.integers(1, 255)), min_size=1, max_size=12))
def test_any_damage_is_an_entry(tmp_path_factory, name, changes):
    content = bytearray(fixture_bytes(name))
    for position, mask in changes:
        content[position % len(content)] ^= mask
    path = tmp_path_factory.mktemp("damage") / "a.tar"
    path.write_bytes(bytes(content))
    entry = describe(str(path), DETAILS, tools())
    assert entry["error"] is None or entry["error"]
    assert set(entry) == set(describe(fixture(name), Wish(), tools()))
    json.dumps(entry).encode("utf-8")


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.sampled_from(["pstree", "core-1", "mm-1", "pagemap-1", "ids-1", "fs-1", "fdinfo-2", "files"]), st.binary(max_size=60)), st.booleans())
def test_any_criu_image_is_survived(tmp_path_factory, images, framed):
    magics = {"pstree": PSTREE, "core-1": 0x55053847, "mm-1": MM, "pagemap-1": PAGEMAP, "ids-1": IDS, "fs-1": 0x51403912, "fdinfo-2": FDINFO, "files": FILES}
    images.setdefault("pstree", fields((1, 1)))
    parts = [member("checkpoint/%s.img" % name, image(magics[name], raw) if framed else raw) for name, raw in images.items()]
    path = tmp_path_factory.mktemp("images") / "a.tar"
    path.write_bytes(archive(*parts))
    entry = describe(str(path), DETAILS, tools())
    assert entry["error"] is None
    assert (entry["details"]["processes"] is None) == (entry["details_error"] is not None)


def test_a_range_of_pages_cannot_reach_out_of_its_file(tmp_path):
    """A page map that promises far more than the pages file holds gives no bytes of other members."""
    members = [
        member("checkpoint/pstree.img", image(PSTREE, fields((1, 1)))),
        member("checkpoint/mm-1.img", image(MM, fields((8, 4096), (9, 1 << 62)))),
        member("checkpoint/pagemap-1.img", image(PAGEMAP, fields((1, 7)), fields((1, 4096), (4, 4), (5, 1 << 40)))),
        member("checkpoint/pages-7.img", b"arg0\0arg1\0"),
        member("zz", b"SECRET"),
    ]
    for name, content in (("a.tar", archive(*members)), ("a.tar.gz", gzip.compress(archive(*members)))):
        (tmp_path / name).write_bytes(content)
        entry = describe(str(tmp_path / name), DETAILS, tools())
        assert [process["command_line"] for process in entry["details"]["processes"]] == ["arg0 arg1"]
    assert _archive_details.MAX_COMMAND_LINE == 4096


def test_a_gzip_bomb_is_stopped_by_its_size(tmp_path):
    path = tmp_path / "a.tar.gz"
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = b"".join(good_members()) + header("checkpoint/pages-9.img", size_field=b"\x80" + (1 << 40).to_bytes(11, "big"))
    path.write_bytes(squeezer.compress(head) + squeezer.compress(bytes(30 << 20)) + squeezer.flush())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert describe(str(path), Wish(), tools())["error"].startswith("the tar is truncated")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 20


# checkpointctl ------------------------------------------------------------------------------------------------------

ANSWER = [
    {
        "process_tree": {
            "pid": 1,
            "command": "counter.sh",
            "cmdline": "      ",
            "environment_variables": {"SECRET": "do-not-show"},
            "children": [{"pid": 18, "command": "sleep", "cmdline": "sleep 99", "task_state": "Alive"}],
        },
        "file_descriptors": [{"pid": 1, "open_files": [{"type": "REG", "fd": "REG 10", "path": "/counter.sh"}, {"type": "", "fd": "cwd", "path": "/"}]}],
        "sockets": [{"pid": 1, "open_sockets": [{"protocol": "TCP", "data": {"type": "TCP", "state": "LISTEN", "src": "0.0.0.0", "src_port": 80}}]}],
    }
]


def fake(tmp_path, answer, rc=0):
    program = tmp_path / "checkpointctl"
    program.write_text("#!/bin/sh\necho \"$@\" >%s/called\ncat <<'EOF'\n%s\nEOF\necho 'Error: no' >&2\nexit %d\n" % (tmp_path, answer, rc))
    program.chmod(0o755)
    return tools(find=lambda name: str(program) if name == "checkpointctl" else None)


def test_checkpointctl_is_used_where_it_is(tmp_path):
    given_tools = fake(tmp_path, json.dumps(ANSWER))
    entry = describe(fixture("containerd-counter-counter"), Wish(details=True), given_tools)
    assert entry["details_by"] == "checkpointctl, command lines builtin"
    details = entry["details"]
    assert [process["command_line"] for process in details["processes"]] == ["/bin/sh /counter.sh", "sleep 99"]
    assert details["open_files"][0] == {"pid": 1, "fd": "10", "type": "regular", "path": "/counter.sh"}
    assert details["sockets"] == [{"pid": 1, "fd": None, "protocol": "tcp", "state": "LISTEN", "source": "0.0.0.0:80", "destination": None}]
    assert "do-not-show" not in json.dumps(entry)
    called = (tmp_path / "called").read_text().split()
    assert called[0] == "inspect" and "--all" not in called and "--ps-tree-env" not in called


@pytest.mark.parametrize("answer,rc", [("not json", 0), ("[]", 0), ("[5]", 0), (json.dumps(ANSWER), 1)])
def test_checkpointctl_fails(tmp_path, answer, rc):
    given_tools = fake(tmp_path, answer, rc)
    entry = describe(fixture("containerd-counter-counter"), Wish(details=True), given_tools)
    assert entry["details_by"] == "builtin" and len(entry["details"]["processes"]) == 2
    entry = describe(fixture("containerd-counter-counter"), Wish(details=True, tool="checkpointctl"), given_tools)
    assert entry["error"] is None and entry["details"]["processes"] is None
    assert entry["details_error"].startswith("checkpointctl ")


def test_checkpointctl_is_missing():
    entry = describe(fixture("crio-two-a"), Wish(details=True, tool="checkpointctl"), tools(find=lambda name: None))
    assert "install the package checkpointctl" in entry["details_error"]
