# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_files: what is written, what is left, what is refused, and what check mode predicts."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.modules.node_files import Writer, permissions


class Node:
    """A directory to write into, and what was labelled."""

    def __init__(self, root):
        self.root = str(root)
        self.labelled = []

    def path(self, name):
        return os.path.join(self.root, name)

    def bring(self, check_mode=False):
        """The same two directories and three files every time."""
        writer = Writer(check_mode, self.labelled.append)
        writer.directory(self.path("lib/inner"), 0o755)
        writer.directory(self.path("secret"), 0o700)
        writer.file(self.path("lib/inner/run"), b"#!/bin/sh\n", 0o755, True)
        writer.file(self.path("lib/inner/text"), "ä\n".encode(), 0o644, True)
        writer.file(self.path("note"), b"first", 0o644, False)
        return writer

    def mode(self, name):
        return stat.S_IMODE(os.lstat(self.path(name)).st_mode)


@pytest.fixture(name="node")
def a_node(tmp_path):
    before = os.umask(0o077)
    yield Node(tmp_path)
    os.umask(before)


def test_everything_is_written_whatever_the_umask_and_a_second_run_changes_nothing(node):
    first = node.bring()
    assert first.directories == [node.path("lib/inner"), node.path("secret")]
    assert first.files == [node.path("lib/inner/run"), node.path("lib/inner/text"), node.path("note")]
    modes = {name: node.mode(name) for name in ("lib", "lib/inner", "secret", "lib/inner/run", "lib/inner/text", "note")}
    assert modes == {"lib": 0o755, "lib/inner": 0o755, "secret": 0o700, "lib/inner/run": 0o755, "lib/inner/text": 0o644, "note": 0o644}
    with open(node.path("lib/inner/text"), encoding="utf-8") as stream:
        assert stream.read() == "ä\n"
    assert node.labelled == [node.path("lib"), *first.directories, *first.files]
    assert sorted(os.listdir(node.path("lib/inner"))) == ["run", "text"]

    second = node.bring()
    assert (second.directories, second.files, second.diff) == ([], [], [])


def test_check_mode_predicts_and_touches_nothing(node):
    predicted = node.bring(check_mode=True)
    assert os.listdir(node.root) == []
    done = node.bring()
    assert (predicted.directories, predicted.files, predicted.diff) == (done.directories, done.files, done.diff)


def test_what_differs_is_put_right_and_shown(node):
    node.bring()
    os.chmod(node.path("secret"), 0o755)
    os.chmod(node.path("lib/inner/run"), 0o644)
    with open(node.path("lib/inner/text"), "w", encoding="utf-8") as stream:
        stream.write("b\n")
    with open(node.path("note"), "w", encoding="utf-8") as stream:
        stream.write("kept")
    again = node.bring()
    assert again.directories == [node.path("secret")]
    assert again.files == [node.path("lib/inner/run"), node.path("lib/inner/text")]
    assert (node.mode("secret"), node.mode("lib/inner/run")) == (0o700, 0o755)
    with open(node.path("note"), encoding="utf-8") as stream:
        assert stream.read() == "kept"
    shown = {os.path.basename(one["before_header"]): (one["before"][:10], one["after"][:10]) for one in again.diff}
    assert shown == {"secret": ("drwxr-xr-x", "drwx------"), "run": ("-rw-r--r--", "-rwxr-xr-x"), "text": ("b\n", "ä\n")}


def test_links_are_not_followed(node):
    node.bring()
    os.rename(node.path("secret"), node.path("elsewhere"))
    os.symlink(node.path("elsewhere"), node.path("secret"))
    with pytest.raises(CheckpointError, match="secret is to be a directory, and is something else"):
        node.bring()
    os.unlink(node.path("secret"))
    os.unlink(node.path("lib/inner/text"))
    os.symlink(node.path("note"), node.path("lib/inner/text"))
    again = node.bring()
    assert again.files == [node.path("lib/inner/text")] and not os.path.islink(node.path("lib/inner/text"))
    with open(node.path("note"), encoding="utf-8") as stream:
        assert stream.read() == "first"


def test_a_directory_in_place_of_a_file_and_a_file_on_the_way_are_refused(node):
    os.mkdir(node.path("note"))
    with pytest.raises(CheckpointError, match="note is to be a file, and is a directory"):
        node.bring()
    os.mkdir(node.path("other"))
    other = Node(node.path("other"))
    with open(other.path("lib"), "w", encoding="utf-8"):
        pass
    with pytest.raises(CheckpointError, match="cannot be looked at: Not a directory"):
        other.bring()


@pytest.mark.parametrize("path", ["relative/path", "/a/../b", "/a\0b"])
def test_paths_that_cannot_be_meant(path):
    with pytest.raises(InputError, match="is no absolute path"):
        Writer(False, print).file(path, b"", 0o644, True)


@pytest.mark.parametrize("mode", ["u=rw", "0999", "-1", "10000", ""])
def test_modes_that_cannot_be_meant(mode):
    with pytest.raises(InputError, match="is no octal number"):
        permissions(mode, "/x")


def test_large_and_binary_content_is_only_counted(node):
    writer = Writer(True, node.labelled.append)
    writer.file(node.path("binary"), b"a\0b", 0o644, True)
    writer.file(node.path("large"), b"x" * 300000, 0o644, True)
    assert [one["after"] for one in writer.diff] == ["(3 bytes)\n", "(300000 bytes)\n"]
