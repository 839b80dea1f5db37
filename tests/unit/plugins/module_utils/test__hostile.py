# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile archives against everything that reads archives: refused, nothing written outside, little memory, little time.

The corpus lies in C(fixtures/hostile). Beyond it, random archives are made of hostile parts, and what is accepted is
compared with what Python's C(tarfile) sees in it.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveScanner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import read_directory
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import Wish, describe
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_prune import Rules, judge
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_frame import DATA
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_produce import Order, produce
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_produce import Tools as FetchTools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import FileState
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import Policy
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_unpack import Unpacker
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support import hostile
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import archive, header, pax_record
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.shelf import pipes, tools

pytestmark = pytest.mark.slow

FILES = sorted(os.listdir(hostile.CORPUS))
# Of these, the fetch compresses each chunk on its way.
COMPRESSED = ("bomb.tgz", "deep.tgz", "truncated.tar", "good-but-stats.tgz")
MEMORY_KIB = 64 * 1024
# A second for whatever it is, and five for each 64 MiB that the reader has to pass, on a busy machine.
SECONDS, SECONDS_PER_BYTE = 1.0, 5.0 / (64 << 20)
YEAR = 365 * 86400.0


def test_the_corpus_is_what_its_program_makes():
    contents = hostile.contents()
    assert FILES == sorted(hostile.file_name(name, content) for name, content in contents.items())
    for name, content in contents.items():
        assert hostile.read(hostile.file_name(name, content)) == content, name
    assert all(":" not in name for name in FILES)
    assert sum(os.stat(os.path.join(hostile.CORPUS, name)).st_size for name in FILES) < 2 << 20


def peak():
    with open("/proc/self/status", encoding="ascii") as stream:
        return int(next(line.split()[1] for line in stream if line.startswith("VmHWM:")))


def in_child(work, directory):
    """What work() returns, the growth of memory and the processor time in KiB and seconds; writing elsewhere kills it."""
    allowed = (os.path.realpath(str(directory)) + "/", "/dev/null")

    def watch(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, (str, bytes)) and (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                inside(os.fsdecode(path))
        elif event in ("os.link", "os.symlink", "os.rename"):
            inside(arguments[1])
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.truncate"):
            inside(arguments[0])

    def inside(path):
        full = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
        if not (full + "/").startswith(allowed) and full not in allowed:
            os.write(writing, json.dumps("wrote to %r" % path).encode())
            os._exit(1)

    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            # A forked process starts with its parent's peak: count from what it holds now.
            with open("/proc/self/clear_refs", "w", encoding="ascii") as stream:
                stream.write("5")
            sys.addaudithook(watch)
            before, began = peak(), time.process_time()
            try:
                result = work()
            except ArchiveError as exc:
                result = "refused: " + exc.msg
            os.write(writing, json.dumps([result, peak() - before, time.process_time() - began]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    return answer


def bounded(name, work, directory):
    """The result of work(), which kept its limits."""
    answer = in_child(work, directory)
    assert isinstance(answer, list), answer
    result, grown, seconds = answer
    assert grown < MEMORY_KIB, "%d KiB" % grown
    assert seconds < SECONDS + SECONDS_PER_BYTE * len(hostile.read(name)), "%.1f s" % seconds
    return result


@pytest.fixture(name="place", params=FILES)
def fixture_place(request, tmp_path):
    """(name in the corpus, the only file in a directory)."""
    path = tmp_path / ("checkpoint-" + request.param)
    with open(os.path.join(hostile.CORPUS, request.param), "rb") as stream:
        path.write_bytes(stream.read())
    os.utime(str(path), (1e9, 1e9))
    return request.param, path


def test_describing(place):
    name, path = place
    entry = bounded(name, lambda: describe(str(path), Wish(verify=True, details=True, tool="builtin"), tools()), path.parent)
    assert bool(entry["error"]) != name.startswith("good-"), entry["error"]
    if name.startswith("good-"):
        assert entry["pod"] == "counter" and entry["statistics"] is None
    else:
        assert entry["details"] is None
    assert not any(character in json.dumps(entry, ensure_ascii=False) for character in "\x1b\0\x07")
    assert os.listdir(str(path.parent)) == [path.name]


def test_pruning_touches_nothing_it_does_not_understand(place):
    """Only what is unfinished, or good and unrecorded, may go because of its age; nothing that is hostile."""
    name, path = place

    def work():
        rules = Rules(Policy(keep_last=0), incomplete_after=YEAR)
        found = read_directory(str(path.parent))
        [entry] = judge(found, lambda one: describe(one, Wish(trust_record=True), tools()), rules, time.time(), set)
        return [entry.keep, entry.rules[0], entry.complete]

    keep, rule, complete = bounded(name, work, path.parent)
    assert not complete
    assert (keep, rule) in ((True, "not_understood"), (False, "incomplete"))
    if not keep:
        assert name.startswith(("good-", "truncated", "no-end", "size-", "sparse", "many-", "bomb", "pax-", "longname-")), rule


def test_fetching(place):
    """It is not sent as a whole; what was sent before it showed itself is not an archive, and the last frame says so."""
    name, path = place
    compress = "zstd" if name in COMPRESSED and tools().find("zstd") else "none"
    if name.endswith(".tgz"):
        content = hostile.read(name)
        path = path.parent / "checkpoint-plain.tar"
        path.write_bytes(content)

    def work():
        kinds = []

        def emit(frame, payload):
            kinds.append([frame["kind"], frame.get("msg")])

        order = Order(str(path), FileState.of(os.stat(str(path))), compress)
        produce(order, FetchTools(tools().find, pipes), emit)
        return kinds

    kinds = bounded(name, work, path.parent)
    assert [kind for kind, dummy in kinds[:-1]] == [DATA] * (len(kinds) - 1)
    assert kinds[-1][0] == ("end" if name.startswith("good-") else "error"), kinds[-1]


def test_unpacking(place):
    """What the restore handler unpacks stays in its directory."""
    name, path = place
    content = hostile.read(name)
    target = path.parent / "unpacked"
    target.mkdir()

    def work():
        unpacker = Unpacker(str(target))
        try:
            for begin in range(0, len(content), 1 << 20):
                unpacker.feed(content[begin : begin + (1 << 20)])
            return unpacker.finish()
        finally:
            unpacker.close()

    result = bounded(name, work, target)
    assert os.path.lexists(str(target)) and sorted(os.listdir(str(path.parent))) == sorted([path.name, "unpacked"])
    for here, dirs, files in os.walk(str(target)):
        for entry in dirs + files:
            assert not os.path.islink(os.path.join(here, entry))
    assert result


# Random archives ----------------------------------------------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(["config.dump", "./config.dump", "checkpoint/", "checkpoint", "checkpoint/x", "/x", "../x", "checkpoint/../../x", "a\0b", "a\nb", ".", ""]),
    st.text(st.characters(codec="utf-8", max_codepoint=0x2FF), min_size=1, max_size=40),
    st.lists(st.sampled_from(["a", "..", ".", "", "checkpoint", "n" * 60]), min_size=1, max_size=3).map("/".join),
)
KINDS = st.one_of(st.just(b"0"), st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"\0", b"S", b"x", b"g", b"L", b"K", b"Z"]))
PAX = st.dictionaries(st.sampled_from(["path", "size", "linkpath", "GNU.sparse.size", "mtime"]), st.binary(max_size=40), max_size=2)


@st.composite
def hostile_members(draw):
    """A member whose every part may be wrong."""
    name = draw(NAMES).encode("utf-8")[:100]
    content = draw(st.binary(max_size=700))
    kind = draw(KINDS)
    if kind == b"x":
        content = b"".join(pax_record(key, value) for key, value in draw(PAX).items()) if draw(st.booleans()) else content
    size = draw(st.one_of(st.just(len(content)), st.integers(0, 2000), st.sampled_from([1 << 33, (1 << 88) - 1])))
    size_field = b"\x80" + size.to_bytes(11, "big") if size > 0o77777777777 else b"%011o\0" % size
    checksum = draw(st.one_of(st.none(), st.none(), st.none(), st.just(b"000000\0 ")))
    block = header(name, kind=kind, link=draw(st.sampled_from([b"", b"/etc/shadow", b"../x"])), size_field=size_field, checksum=checksum)
    return block + content + bytes(-len(content) % 512)


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(st.lists(hostile_members(), min_size=1, max_size=4), st.integers(1, 5000))
def test_what_is_accepted_is_harmless(members, split):
    content = archive(*members)
    scanner = ArchiveScanner()
    try:
        for begin in range(0, len(content), split):
            scanner.feed(content[begin : begin + split])
        contents = scanner.finish()
    except ArchiveError:
        return
    assert contents.identity.pod == "counter"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        seen = tar.getmembers()
    for one in seen:
        assert one.isreg() or one.isdir(), one
        parts = one.name.split("/")
        assert not one.name.startswith("/") and ".." not in parts, one.name
        assert not any(ord(character) < 32 for character in one.name)
    files = [os.path.normpath(one.name) for one in seen if one.isreg()]
    assert len(files) == len(set(files))
