# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning real directories: what is judged, what is removed, in which order, and what a crash in between leaves."""

from __future__ import annotations

import functools
import os
import subprocess

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _archive_prune, _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import (
    companions_of,
    read_directory,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import Wish, describe
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_prune import (
    Rules,
    files_in_use,
    group_of,
    judge,
    opened,
    pins_without_archive,
    remove,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import Policy
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.shelf import DAY, NOW, age, put, tools

WEEK = 7 * DAY


def judged(directory, policy=Policy(keep_last=1), busy=frozenset(), **rules):
    rules.setdefault("incomplete_after", WEEK)
    found = read_directory(str(directory))
    entries = judge(
        found, lambda path: describe(path, Wish(trust_record=True), tools()), Rules(policy, **rules), NOW, lambda: busy
    )
    return found, {entry.found.name: entry for entry in entries}


def verdicts(directory, *args, **rules):
    return {name: (entry.keep, entry.rules[0]) for name, entry in judged(directory, *args, **rules)[1].items()}


def prune(directory, *args, **rules):
    found, entries = judged(directory, *args, **rules)
    with opened(str(directory)) as descriptor:
        return [name for name, entry in sorted(entries.items()) if not entry.keep and remove(descriptor, found, entry)]


def names(directory):
    return sorted(os.listdir(str(directory)))


def test_old_archives_go_with_what_belongs_to_them(tmp_path):
    for days in (1, 2, 3):
        put(tmp_path, "checkpoint-%d.tar" % days, days)
    put(tmp_path, "other.tar", 9, pod="other")
    assert prune(tmp_path) == ["checkpoint-2.tar", "checkpoint-3.tar"]
    kept = ["checkpoint-1.tar", "other.tar"]
    assert names(tmp_path) == sorted(name + suffix for name in kept for suffix in ("", ".pod.json", ".record.json"))
    assert prune(tmp_path) == []


def test_a_crash_leaves_nothing_that_looks_complete(tmp_path, monkeypatch):
    """Stop after every single change to the disk: at no time is there an archive without its record."""
    real = os.unlink

    def unlink(crash, done, path, *args, **kwargs):
        if len(done) == crash:
            raise KeyboardInterrupt
        done.append(path)
        real(path, *args, **kwargs)

    for crash in range(4):
        directory = tmp_path / str(crash)
        directory.mkdir()
        put(directory, "checkpoint-new.tar", 1)
        put(directory, "checkpoint-old.tar", 20)
        done = []
        monkeypatch.setattr(os, "unlink", functools.partial(unlink, crash, done))
        try:
            prune(directory)
        except KeyboardInterrupt:
            pass
        monkeypatch.setattr(os, "unlink", real)
        assert done == ["checkpoint-old.tar", "checkpoint-old.tar.pod.json", "checkpoint-old.tar.record.json"][:crash]
        archives = {name for name in names(directory) if name.endswith(".tar")}
        assert all(name + ".record.json" in names(directory) for name in archives)
        # The next run completes it.
        prune(directory)
        assert names(directory) == ["checkpoint-new.tar" + suffix for suffix in ("", ".pod.json", ".record.json")]


def test_incomplete_archives_are_reported_and_go_when_they_are_old(tmp_path):
    put(tmp_path, "checkpoint-young.tar", 6, record=False)
    put(tmp_path, "checkpoint-old.tar", 8, record=False)
    with open(put(tmp_path, "checkpoint-cut.tar", 8, record=False), "r+b") as stream:
        stream.truncate(2000)
    age(tmp_path / "checkpoint-cut.tar", 8)
    (tmp_path / "checkpoint-empty.tar").touch()
    age(tmp_path / "checkpoint-empty.tar", 8)
    expected = {
        "checkpoint-young.tar": (True, "incomplete"),
        "checkpoint-old.tar": (False, "incomplete"),
        "checkpoint-cut.tar": (False, "incomplete"),
        "checkpoint-empty.tar": (False, "incomplete"),
    }
    assert verdicts(tmp_path) == expected
    assert set(verdicts(tmp_path, incomplete_after=None).values()) == {(True, "incomplete")}
    entries = judged(tmp_path)[1]
    assert entries["checkpoint-old.tar"].why == "it has no record; last written to 2026-11-13T12:00:00Z"
    assert "truncated" in entries["checkpoint-cut.tar"].why


def test_what_is_being_written_is_left_alone(tmp_path):
    put(tmp_path, "checkpoint-a.tar", 0, record=False)
    put(tmp_path, "checkpoint-b.tar", 61 / DAY, record=False)
    assert verdicts(tmp_path, incomplete_after=0) == {
        "checkpoint-a.tar": (True, "being_written"),
        "checkpoint-b.tar": (False, "incomplete"),
    }


def test_files_that_a_process_has_open_stay(tmp_path):
    put(tmp_path, "checkpoint-a.tar", 30)
    put(tmp_path, "checkpoint-b.tar", 20)
    status = os.stat(str(tmp_path / "checkpoint-a.tar"))
    assert verdicts(tmp_path, busy={(status.st_dev, status.st_ino)})["checkpoint-a.tar"] == (True, "in_use")
    with open(str(tmp_path / "checkpoint-a.tar"), "rb") as stream:
        with subprocess.Popen(["sleep", "60"], stdin=stream) as holder:
            assert (status.st_dev, status.st_ino) in files_in_use()
            holder.kill()


def test_a_record_that_does_not_fit_is_no_record(tmp_path):
    path = put(tmp_path, "checkpoint-a.tar", 1)
    put(tmp_path, "checkpoint-b.tar", 2)
    with open(path, "ab") as stream:
        stream.write(bytes(512))
    age(path, 1)
    # The newest one is not complete, so the one before is the last complete one.
    assert verdicts(tmp_path) == {"checkpoint-a.tar": (True, "incomplete"), "checkpoint-b.tar": (True, "keep_last")}
    entry = judged(tmp_path)[1]["checkpoint-a.tar"]
    assert not entry.complete and "the record says" in entry.why


def test_what_is_not_understood_stays(tmp_path):
    (tmp_path / "holiday.tar").write_bytes(b"x" * 4096)
    (tmp_path / "checkpoint-odd.tar").write_bytes(b"\x7fELF" * 300)
    (tmp_path / "secret.tar.age").write_bytes(b"age-encryption.org/v1\n" + b"x" * 100)
    (tmp_path / "cut.tar").write_bytes(put_bytes(tmp_path)[:3000])
    for name in names(tmp_path):
        age(tmp_path / name, 1000)
    (tmp_path / "notes.txt").write_text("mine")
    assert {keep for keep, dummy in verdicts(tmp_path).values()} == {True}
    assert verdicts(tmp_path)["holiday.tar"] == (True, "not_understood")
    assert verdicts(tmp_path)["cut.tar"] == (True, "not_understood")
    assert "notes.txt" not in verdicts(tmp_path)


def put_bytes(directory):
    path = put(directory, "whole.tar", 1, record=False)
    with open(path, "rb") as stream:
        content = stream.read()
    os.unlink(path)
    return content


def test_links_and_special_files_stay(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    real = put(outside, "checkpoint-x.tar", 100, record=False)
    inside = tmp_path / "inside"
    inside.mkdir()
    os.symlink(real, str(inside / "checkpoint-link.tar"))
    os.symlink(real, str(inside / "checkpoint-gone.tar.record.json"))
    os.mkfifo(str(inside / "checkpoint-fifo.tar"))
    (inside / "checkpoint-dir.tar").mkdir()
    assert set(verdicts(inside).values()) == {(True, "refused")}
    assert len(verdicts(inside)) == 4
    os.symlink(str(inside), str(tmp_path / "way"))
    with pytest.raises(InputError, match="is a symbolic link; give the directory itself"):
        read_directory(str(tmp_path / "way") + "/")


def test_a_linked_companion_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    directory = tmp_path / "shelf"
    directory.mkdir()
    put(directory, "checkpoint-new.tar", 1)
    put(directory, "checkpoint-old.tar", 2)
    os.unlink(str(directory / "checkpoint-old.tar.pod.json"))
    os.symlink(str(victim), str(directory / "checkpoint-old.tar.pod.json"))
    assert prune(directory) == ["checkpoint-old.tar"]
    assert victim.read_text() == "keep me"
    assert os.path.islink(str(directory / "checkpoint-old.tar.pod.json"))


def test_what_changed_since_it_was_judged_stays(tmp_path):
    put(tmp_path, "checkpoint-new.tar", 1)
    path = put(tmp_path, "checkpoint-old.tar", 2)
    found, entries = judged(tmp_path)
    with opened(str(tmp_path)) as descriptor:
        os.rename(path, path + ".was")
        put(tmp_path, "checkpoint-old.tar", 0)
        assert remove(descriptor, found, entries["checkpoint-old.tar"]) is False
        os.unlink(path)
        assert remove(descriptor, found, entries["checkpoint-old.tar"]) is False


def test_the_directory_is_held_while_it_is_pruned(tmp_path):
    """Nothing outside is removed when the directory's name is given to another one meanwhile."""
    shelf, other = tmp_path / "shelf", tmp_path / "other"
    for directory in (shelf, other):
        directory.mkdir()
        put(directory, "checkpoint-new.tar", 1)
        put(directory, "checkpoint-old.tar", 2)
    found, entries = judged(shelf)
    with opened(str(shelf)) as descriptor:
        os.rename(str(shelf), str(tmp_path / "moved"))
        os.rename(str(other), str(shelf))
        assert remove(descriptor, found, entries["checkpoint-old.tar"]) is True
    assert "checkpoint-old.tar" in names(shelf) and "checkpoint-old.tar" not in names(tmp_path / "moved")


def test_two_at_once_are_refused(tmp_path):
    with opened(str(tmp_path)), pytest.raises(CheckpointError, match="another archive_prune is at work"):
        with opened(str(tmp_path)):
            pass


def test_leftovers(tmp_path):
    put(tmp_path, "checkpoint-a.tar", 1)
    for name in ("gone.tar.record.json", "gone.tar.pod.json", "gone.tar.pod.json.age", ".x.tar.record.json.abc.tmp", ".y.tar.zst.part", ".y.tar.zst.state"):
        (tmp_path / name).write_text("{}")
        age(tmp_path / name, 8)
    (tmp_path / "young.tar.record.json").write_text("{}")
    age(tmp_path / "young.tar.record.json", 1)
    result = verdicts(tmp_path)
    assert result.pop("checkpoint-a.tar") == (True, "keep_last")
    assert result.pop("young.tar.record.json") == (True, "orphan")
    assert result.pop(".x.tar.record.json.abc.tmp") == result.pop(".y.tar.zst.part") == result.pop(".y.tar.zst.state") == (False, "temporary")
    assert set(result.values()) == {(False, "orphan")} and len(result) == 3
    prune(tmp_path)
    assert len(names(tmp_path)) == 4


def test_pins(tmp_path):
    paths = [put(tmp_path, "checkpoint-%d.tar" % days, days, pages=b"%d" % days * 100) for days in range(1, 7)]
    records = [_record.read(_record.path_for(path)) for path in paths]
    (tmp_path / "checkpoint-2.tar.pin").touch()
    pins = frozenset([records[2]["id"], records[3]["archive"]["sha256"], paths[4], "nothing.tar"])
    entries = judged(tmp_path, pins=pins)[1]
    kept = {name: entry.rules for name, entry in entries.items() if entry.keep}
    assert kept.pop("checkpoint-1.tar") == ("keep_last", "last_complete")
    assert kept == {"checkpoint-%d.tar" % days: ("pinned",) for days in (2, 3, 4, 5)}
    assert pins_without_archive(entries.values(), str(tmp_path), pins) == ["nothing.tar"]
    put(tmp_path, "checkpoint-9.tar", 100, record=False)
    assert verdicts(tmp_path, pins=frozenset(["checkpoint-9.tar"]))["checkpoint-9.tar"] == (True, "pinned")


def test_records_of_a_newer_version_are_left_alone(tmp_path):
    path = put(tmp_path, "checkpoint-a.tar", 100)
    record = _record.read(_record.path_for(path))
    _record.write(path, dict(record, schema=2))
    assert verdicts(tmp_path) == {"checkpoint-a.tar": (True, "newer_schema")}


def test_size_counts_what_stays(tmp_path):
    for days in (1, 2, 3):
        size = os.path.getsize(put(tmp_path, "checkpoint-%d.tar" % days, days))
    put(tmp_path, "checkpoint-unfinished.tar", 1, record=False)
    policy = Policy(max_bytes=3 * size)
    assert verdicts(tmp_path, policy) == {
        "checkpoint-1.tar": (True, "no_policy"),
        "checkpoint-2.tar": (True, "no_policy"),
        "checkpoint-3.tar": (False, "max_bytes"),
        "checkpoint-unfinished.tar": (True, "incomplete"),
    }


def test_groups():
    info = {"namespace": "shop", "pod": "web-5d4-x2", "container": "app", "container_id": "0b", "cluster": None}
    info["owner"] = {"kind": "ReplicaSet", "name": "web-5d4"}
    assert group_of(info, "container") == "shop/web-5d4-x2/app"
    assert group_of(info, "owner") == "shop/ReplicaSet:web-5d4/app"
    assert group_of(dict(info, owner=None), "owner") == "shop/web-5d4-x2/app"
    assert group_of(info, "pod") == "shop/web-5d4-x2"
    assert group_of(dict(info, cluster="east"), "pod") == "east/shop/web-5d4-x2"
    assert group_of(info, "directory") == "all"


def test_companions_of_stored_archives():
    assert companions_of("a.tar.zst.age", {"a.tar.zst.age", "a.tar.record.json", "a.tar.zst.age.pod.json.age"}) == [
        "a.tar.zst.age.pod.json.age",
        "a.tar.record.json",
    ]
    # Shared with another archive: it stays.
    assert companions_of("a.tar.zst", {"a.tar", "a.tar.zst", "a.tar.record.json"}) == []


def test_a_missing_directory(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        read_directory(str(tmp_path / "nowhere"))
    assert _archive_prune.SETTLED == 60.0
