# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes in an archive may do, read while the archive passes, and the form in which modules hand it on.

PRIVATE to the collection. Takes the archive's bytes in blocks, as the scanner does, and keeps only the few images that hold
credentials. What it says is as true as the bytes: whoever asks compares their digest.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_tasks as tasks
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import feed_seeking
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import safe_name
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._privileges import (
    CAPABILITIES,
    capability_names,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import (
    FILE,
    Sink,
    TarMember,
    TarParser,
)

_IMAGE = re.compile(r"checkpoint/((?:inventory|pstree|core-[0-9]+|userns-[0-9]+)\.img)")
MAX_IMAGE = 2 * 1024 * 1024
MAX_IMAGES = 32 * 1024 * 1024
MAX_CREDENTIALS = 1000

JsonDict = t.Dict[str, t.Any]


class PrivilegeReader:
    """Give it the archive's bytes with C(feed), in blocks of any size, then ask for the C(images)."""

    def __init__(self) -> None:
        self._collected: t.Dict[str, bytearray] = {}
        self._bytes = 0
        self._parser = TarParser(self._member)
        self.feed = self._parser.feed

    def _member(self, member: TarMember) -> t.Optional[Sink]:
        wanted = _IMAGE.fullmatch(safe_name(member.name))
        if not wanted or member.kind != FILE:
            return None
        self._bytes += member.size
        if member.size > MAX_IMAGE or self._bytes > MAX_IMAGES:
            raise ArchiveError("its CRIU images are too large to be looked into (%s: %d bytes)" % (wanted.group(1), member.size))
        if wanted.group(1) in self._collected:
            raise ArchiveError("it has two members with the name %s" % wanted.group(1))
        content = self._collected[wanted.group(1)] = bytearray()
        return content.extend

    def images(self) -> tasks.Images:
        """The archive is over: what its processes hold, or ArchiveError."""
        self._parser.finish()
        return tasks.read_images(self._load, list(self._collected))

    def _load(self, name: str) -> bytes:
        if name not in self._collected:
            raise ArchiveError("the archive has no CRIU image %s" % name)
        return bytes(self._collected[name])


def read_file(path: str) -> tasks.Images:
    """The same of a file; memory pages are seeked over."""
    reader = PrivilegeReader()
    try:
        with open_regular(path) as stream:
            feed_seeking(stream, reader._parser)
    except OSError as exc:
        raise ArchiveError("archive %s cannot be read: %s" % (path, exc.strerror or exc)) from None
    return reader.images()


# -- as a module's result --------------------------------------------------------------------------------------------


def as_dict(images: tasks.Images) -> JsonDict:
    """Each kind of credentials once, with the first process that has them."""
    found: t.Dict[t.Any, JsonDict] = {}
    for task in images.tasks:
        for thread in task.threads:
            one = {
                "uids": sorted(thread.uids),
                "gids": sorted(thread.gids),
                "groups": sorted(thread.groups),
                "capabilities": {name: capability_names(mask) for name, mask in sorted(thread.capabilities.items())},
                "no_new_privs": thread.no_new_privs,
                "seccomp_mode": thread.seccomp_mode,
                "lsm_profile": thread.lsm_profile,
            }
            found.setdefault(repr(one), dict(one, pid=task.pid, command=task.comm))
            if len(found) > MAX_CREDENTIALS:
                raise ArchiveError("its processes hold more than %d different credentials" % MAX_CREDENTIALS)
    return {"user_namespace": images.user_namespace, "lsm": images.lsm, "credentials": list(found.values())}


def from_dict(given: t.Any) -> tasks.Images:
    """The reverse; InputError for anything that as_dict did not make."""
    if isinstance(given, dict) and given.get("error"):
        raise InputError("what the checkpoint's processes hold could not be read: %s" % given["error"])
    try:
        if not given["credentials"]:
            raise ValueError("no credentials")
        found = tuple(
            tasks.Task(pid=int(one["pid"]), comm=str(one["command"]), state=tasks.ALIVE, threads=(_thread(one),))
            for one in given["credentials"]
        )
        return tasks.Images(
            tasks=found, machine=0, lsm=str(given["lsm"]), user_namespace=_flag(given["user_namespace"])
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InputError(
            "privileges must be what the modules image and image_info return (%s: %s)" % (type(exc).__name__, exc)
        ) from None


def _thread(one: t.Mapping[str, t.Any]) -> tasks.Thread:
    sets = one["capabilities"]
    return tasks.Thread(
        tid=int(one["pid"]),
        uids=_numbers(one["uids"]),
        gids=_numbers(one["gids"]),
        groups=_numbers(one["groups"]),
        capabilities={name: _mask(sets[name]) for name in ("inheritable", "permitted", "effective", "bounding", "ambient")},
        no_new_privs=_flag(one["no_new_privs"]),
        seccomp_mode=int(one["seccomp_mode"]),
        lsm_profile=str(one["lsm_profile"]),
    )


def _numbers(given: t.Any) -> t.FrozenSet[int]:
    if isinstance(given, str):
        raise ValueError("%r is no list of numbers" % given)
    return frozenset(int(one) for one in given)


def _flag(given: t.Any) -> bool:
    # Jinja may hand on words.
    if str(given).lower() not in ("true", "false"):
        raise ValueError("%r is neither true nor false" % given)
    return str(given).lower() == "true"


def _mask(names: t.Any) -> int:
    if isinstance(names, str):
        raise ValueError("%r is no list of capabilities" % names)
    mask = 0
    for name in names:
        bit = int(name) if str(name).isdigit() else CAPABILITIES.index(name)
        if not 0 <= bit < 64:
            raise ValueError("there is no capability %s" % name)
        mask |= 1 << bit
    return mask
