# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts that differ between the checkpoint and the new container. Pure, apart from looking up links in the root."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError

_CGROUP = "/sys/fs/cgroup"
# What one engine mounts and the other does not: an empty file or directory of our own stands in.
_STAND_INS = {"/run/.containerenv": "file", "/run/secrets": "directory"}
_MAX_LINKS = 40


def missing(needed: t.Mapping[str, str], spec: t.Mapping[str, t.Any], root: str, unified_cgroups: bool) -> t.List[str]:
    """Destinations that the checkpoint needs and the new container's spec does not give.

    needed: the checkpoint's external mounts, key to mount point. Raises RestoreError where none can be given.
    """
    given = set()
    for mount in spec.get("mounts") or []:
        given.add(mount.get("destination"))
        given.add(resolve(root, mount.get("destination") or "/"))
    lacking = []
    for key in sorted(needed):
        if key in given or key == "/dev/null":
            continue
        if key.startswith(_CGROUP + "/"):
            if unified_cgroups:
                raise RestoreError("the checkpoint was made on a node with cgroup version 1, this node has version 2")
            continue
        lacking.append(key)
    if _CGROUP in needed and not unified_cgroups:
        raise RestoreError("the checkpoint was made on a node with cgroup version 2, this node has version 1")
    unknown = [key for key in lacking if key not in _STAND_INS]
    if unknown:
        raise RestoreError(
            "the container of the checkpoint had mounts that the new one has not: %s. Give the new pod the same "
            "volumeMounts and the same automountServiceAccountToken" % ", ".join(unknown)
        )
    return lacking


def add_stand_ins(spec: t.Mapping[str, t.Any], destinations: t.Sequence[str], directory: str) -> t.Dict[str, t.Any]:
    """A copy of the spec with an empty, read-only stand-in mounted at each destination."""
    extra = []
    for index, destination in enumerate(destinations):
        source = os.path.join(directory, "stand-in-%d" % index)
        if _STAND_INS[destination] == "directory":
            os.mkdir(source, 0o755)
        else:
            os.close(os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        extra.append({"destination": destination, "type": "bind", "source": source,
                      "options": ["bind", "ro", "nosuid", "nodev", "noexec"]})
    return dict(spec, mounts=list(spec.get("mounts") or []) + extra)


def resolve(root: str, path: str) -> str:
    """Where a path inside the root leads, following links as seen from inside and never leaving the root."""
    done: t.List[str] = []
    todo = [part for part in reversed(path.split("/")) if part]
    links = 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            done = done[:-1]
            continue
        here = os.path.join(root, *done, part)
        if os.path.islink(here) and links < _MAX_LINKS:
            links += 1
            to = os.readlink(here)
            if to.startswith("/"):
                done = []
            todo += [item for item in reversed(to.split("/")) if item]
            continue
        done.append(part)
    return "/" + "/".join(done)
