#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_files
short_description: Write a set of small files and directories in one step
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Brings directories and text files to what is given, all in one call. A program of many small files is installed in the time
    that M(ansible.builtin.copy) takes for one of them.
  - Everything belongs to the user and group that the module runs as. Directories are made first, in the given order, with
    parents that are missing. Each file is written beside its place and renamed over it.
  - A path that is a link is not followed. A link in place of a file is replaced by the file, one in place of a directory is refused.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  directories:
    description: Directories that are to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      mode:
        description: Permissions in octal, for this directory and for parents that are missing.
        type: str
        default: "0755"
  files:
    description: Files that are to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Its directory must be there or be one of O(directories).
        type: str
        required: true
      content:
        description: The file's text, written in UTF-8 as it is.
        type: str
        required: true
      mode:
        description: Permissions in octal.
        type: str
        default: "0644"
      force:
        description: Whether a file that is there already gets this content, owner and permissions. V(false) leaves it as it is.
        type: bool
        default: true
notes:
  - The files' content is not written to the system log.
"""

EXAMPLES = r"""
- name: Install a small program
  container_checkpoint.kubernetes.node_files:
    directories:
      - path: /usr/local/libexec/example
    files:
      - path: /usr/local/libexec/example/run
        content: "{{ lookup('ansible.builtin.file', 'run', rstrip=false) }}"
        mode: "0755"
      - path: /usr/local/libexec/example/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
"""

RETURN = r"""
directories:
  description: The directories that were made, or whose owner or permissions changed. In check mode a prediction.
  returned: success
  type: list
  elements: str
  sample: [/usr/local/libexec/example]
files:
  description: The files that were written, or whose owner or permissions changed. In check mode a prediction.
  returned: success
  type: list
  elements: str
  sample: [/usr/local/libexec/example/run]
"""

import os
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import write_atomic
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail

# A file of which a difference is shown; larger ones, or others than text, are named only.
_SHOWN = 256 * 1024


def permissions(text: str, path: str) -> int:
    """A mode in octal as a number."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InputError("the mode %r of %s is no octal number from 0 to 7777" % (text, path))
    return mode


def look(path: str) -> t.Optional[os.stat_result]:
    """What is there, without following a link; None where nothing is."""
    if not os.path.isabs(path) or "\0" in path or ".." in path.split("/"):
        raise InputError("%r is no absolute path, or it has '..' in it" % path)
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CheckpointError("%s cannot be looked at: %s" % (path, exc.strerror)) from exc


def as_wanted(status: os.stat_result, mode: int) -> bool:
    """Whether owner and permissions are right."""
    return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, os.geteuid(), os.getegid())


def describe(status: t.Optional[os.stat_result]) -> str:
    """Kind, permissions and owner in words, for a difference."""
    if status is None:
        return ""
    return "%s %d:%d\n" % (stat.filemode(status.st_mode), status.st_uid, status.st_gid)


def describe_wanted(kind: int, mode: int) -> str:
    """The same for what is wanted."""
    return "%s %d:%d\n" % (stat.filemode(kind | mode), os.geteuid(), os.getegid())


def make_directory(path: str, mode: int) -> t.List[str]:
    """Make a directory and its missing parents; return those that were made, the outermost first."""
    made: t.List[str] = []
    missing = [path]
    while not os.path.lexists(os.path.dirname(missing[0])):
        missing.insert(0, os.path.dirname(missing[0]))
    for one in missing:
        os.mkdir(one, 0o700)
        os.chmod(one, mode)
        made.append(one)
    return made


def content_of(path: str, status: t.Optional[os.stat_result]) -> t.Optional[bytes]:
    """A regular file's content; None for everything else."""
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    with open(path, "rb") as stream:
        return stream.read()


def shown(content: t.Optional[bytes]) -> str:
    """Content as a difference shows it."""
    if content is None:
        return ""
    if len(content) > _SHOWN or b"\0" in content:
        return "(%d bytes)\n" % len(content)
    return content.decode("utf-8", "replace")


class Writer:
    """Brings one thing after the other to what is wanted, and keeps what changed."""

    def __init__(self, check_mode: bool, label: t.Callable[[str], object]) -> None:
        self._check_mode = check_mode
        # Sets the security label of something new.
        self._label = label
        self.directories: t.List[str] = []
        self.files: t.List[str] = []
        self.diff: t.List[t.Dict[str, str]] = []

    def directory(self, path: str, mode: int) -> None:
        """One directory."""
        path = path.rstrip("/") or "/"
        status = look(path)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            raise CheckpointError("%s is to be a directory, and is something else (a link is not followed)" % path)
        if status is not None and as_wanted(status, mode):
            return
        self.directories.append(path)
        self._note(path, describe(status), describe_wanted(stat.S_IFDIR, mode))
        if self._check_mode:
            return
        if status is None:
            for made in make_directory(path, mode):
                self._label(made)
        else:
            os.chown(path, os.geteuid(), os.getegid())
            os.chmod(path, mode)

    def file(self, path: str, content: bytes, mode: int, force: bool) -> None:
        """One file."""
        status = look(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise CheckpointError("%s is to be a file, and is a directory" % path)
        before = content_of(path, status)
        if status is not None and before is not None and (not force or (before == content and as_wanted(status, mode))):
            return
        self.files.append(path)
        if before != content:
            self._note(path, shown(before), shown(content))
        else:
            self._note(path, describe(status), describe_wanted(stat.S_IFREG, mode))
        if not self._check_mode:
            write_atomic(path, content, mode)
            self._label(path)

    def _note(self, path: str, before: str, after: str) -> None:
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})


class QuietModule(AnsibleModule):  # type: ignore[misc]
    """Whole programs have no place in the system's log: only paths go there."""

    def _log_invocation(self) -> None:
        self.log("Invoked with %s" % ", ".join(one["path"] for one in self.params["directories"] + self.params["files"]))


def main() -> None:
    """Entry point."""
    module = QuietModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "str", "required": True}, "mode": {"type": "str", "default": "0755"}},
            },
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "default": "0644"},
                    "force": {"type": "bool", "default": True},
                },
            },
        },
        supports_check_mode=True,
    )

    def label(path: str) -> None:
        if module.selinux_enabled():
            module.set_context_if_different(path, module.selinux_default_context(path), False)

    writer = Writer(module.check_mode, label)
    result: t.Dict[str, t.Any] = {"directories": writer.directories, "files": writer.files}
    try:
        directories = [(one["path"], permissions(one["mode"], one["path"])) for one in module.params["directories"]]
        files = [(one["path"], one["content"].encode(), permissions(one["mode"], one["path"]), one["force"]) for one in module.params["files"]]
        for path, mode in directories:
            writer.directory(path, mode)
        for path, content, mode, force in files:
            writer.file(path, content, mode, force)
    except CheckpointError as exc:
        fail(module, exc, changed=bool(writer.directories or writer.files), **result)
    except OSError as exc:
        failed = CheckpointError("%s: %s" % (exc.filename or "a file could not be written", exc.strerror))
        fail(module, failed, changed=bool(writer.directories or writer.files), **result)
    result["changed"] = bool(writer.directories or writer.files)
    if module._diff:
        result["diff"] = writer.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
