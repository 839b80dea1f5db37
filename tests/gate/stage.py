# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the checkout to where Ansible finds a collection (…/ansible_collections/NAMESPACE/NAME); a link does not do.

Tracked files and new ones that git does not ignore are copied when they changed; what is gone in the checkout goes in
the copy. Without git (an unpacked release) everything is copied.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SKIP = {".git", ".build", ".cache", ".venv", ".ansible", "__pycache__"}


def wanted(root: str) -> set[str]:
    """Names, relative to the checkout, of the files that belong to the collection."""
    try:
        out = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout
        names = {os.fsdecode(name) for name in out.split(b"\0") if name}
    except (OSError, subprocess.CalledProcessError):
        names = set()
        for here, dirs, files in os.walk(root):
            dirs[:] = [name for name in dirs if name not in SKIP]
            names.update(os.path.relpath(os.path.join(here, name), root) for name in files)
    return {name for name in names if os.path.lexists(os.path.join(root, name))}


def same(src: str, dest: str) -> bool:
    """Whether the copy is already what the original is."""
    if not os.path.lexists(dest) or os.path.islink(src) or os.path.islink(dest):
        return False
    ours, theirs = os.stat(src), os.stat(dest)
    return (ours.st_size, ours.st_mtime_ns, ours.st_mode) == (theirs.st_size, theirs.st_mtime_ns, theirs.st_mode)


def stage(root: str, dest: str) -> int:
    """Make dest a copy; returns how many files were written or removed."""
    names = wanted(root)
    changed = 0
    for here, dirs, files in os.walk(dest, topdown=False):
        if os.path.relpath(here, dest).split(os.sep, 1)[0] == ".git":
            continue
        for name in files + [entry for entry in dirs if os.path.islink(os.path.join(here, entry))]:
            path = os.path.join(here, name)
            relative = os.path.relpath(path, dest)
            if relative not in names and not relative.startswith(os.path.join("tests", "output")):
                os.unlink(path)
                changed += 1
        if here != dest and not os.listdir(here):
            os.rmdir(here)
    for name in sorted(names):
        src, copy = os.path.join(root, name), os.path.join(dest, name)
        if not same(src, copy):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            if os.path.lexists(copy):
                os.unlink(copy)
            shutil.copy2(src, copy, follow_symlinks=False)
            changed += 1
    return changed


if __name__ == "__main__":
    stage(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
