# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a checkpoint archive may hold: names, kinds, sizes, and the JSON documents inside.

PRIVATE to the collection. Pure functions. An archive was written by a runtime, but its content was shaped by the
container's owner, and others unpack it as root: everything that could surprise them is refused here.
(C(rootfs-diff.tar) inside the archive has rules of its own; it is data here.)
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._tar import DIRECTORY, FILE, TarMember

MIB = 1024 * 1024
CDI_PREFIX = "cdi.k8s.io"
_CONTROL = re.compile("[\x00-\x1f\x7f]")

# The JSON documents that are read, with the most bytes each may have.
DOCUMENTS = {
    "config.dump": MIB // 4,
    "spec.dump": 2 * MIB,
    "status.dump": MIB,
    "status": MIB // 4,
    "bind.mounts": MIB,
    "checkpoint/descriptors.json": MIB // 4,
}
REQUIRED = ("config.dump", "spec.dump", "checkpoint/inventory.img")

# Small binary members that are kept whole, with the most bytes each may have.
SMALL = {
    "stats-dump": 64 * 1024,
    "checkpoint/inventory.img": 64 * 1024,
    "checkpoint/pstree.img": MIB,
}
# Members of which only the beginning is kept.
HEADS = {"dump.log": 64 * 1024}
KEPT = {**DOCUMENTS, **SMALL, **HEADS}
_LIMITED = {**DOCUMENTS, **SMALL}
# Names about which nothing needs a closer look: short, of common characters, and no part begins with a dot.
_COMMON = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9_][A-Za-z0-9_.:+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.:+-]*)*")


@dataclass(frozen=True)
class ArchiveLimits:
    """Upper bounds; the defaults are far above what real containers give."""

    member_bytes: int = 4 * 1024**4
    members: int = 100000
    name_bytes: int = 16 * MIB
    depth: int = 64
    values: int = 100000
    digits: int = 40


def safe_name(name: str) -> str:
    """The normal form of a member's name (no C(.), no doubled or trailing slash), or ArchiveError."""
    if _COMMON.fullmatch(name):
        return name
    if name.startswith("/"):
        raise ArchiveError("the archive has a member with the absolute name %r" % name)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArchiveError("the archive has a member whose name leads out of it: %r" % name)
    # A character has at most four bytes: a short name needs no closer look.
    if len(name) > 63 and (len(name) > 4096 or any(len(part.encode("utf-8")) > 255 for part in parts)):
        raise ArchiveError("the archive has a member with a name that is too long: %r…" % name[:80])
    if ".wh." in name and any(part.startswith(".wh.") for part in parts):
        raise ArchiveError("the archive has a member %r that an image layer would take for a deletion" % name)
    if _CONTROL.search(name):
        raise ArchiveError("the archive has a member with control characters in its name: %r" % name)
    return "/".join(parts)


class MemberGuard:
    """Judges members one after the other; remembers their names, because some rules are about several of them."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._kinds: t.Dict[str, str] = {}
        self._name_bytes = 0

    def admit(self, member: TarMember) -> str:
        """Return the member's normalised name ('' for the archive's own root), or raise ArchiveError."""
        if member.kind not in (FILE, DIRECTORY):
            to = " to %r" % member.linkname if member.linkname else ""
            raise ArchiveError(
                "the archive has the member %r, a %s%s; only regular files and directories are accepted"
                % (member.name, member.kind, to)
            )
        if member.size > self._limits.member_bytes:
            raise ArchiveError(
                "the archive says that its member %r has %d bytes, more than is accepted" % (member.name, member.size)
            )
        name = safe_name(member.name)
        if not name:
            if member.kind == DIRECTORY:
                return name
            raise ArchiveError("the archive has a file without a name")
        self._check_siblings(name, member.kind)
        if name in _LIMITED and member.size > _LIMITED[name]:
            raise ArchiveError(
                "the archive's %s has %d bytes; at most %d are accepted" % (name, member.size, _LIMITED[name])
            )
        self._kinds[name] = member.kind
        self._name_bytes += len(name)
        if len(self._kinds) > self._limits.members or self._name_bytes > self._limits.name_bytes:
            raise ArchiveError("the archive has more members than is accepted (%d so far)" % len(self._kinds))
        return name

    def _check_siblings(self, name: str, kind: str) -> None:
        known = self._kinds.get(name)
        if known is not None and not known == kind == DIRECTORY:
            raise ArchiveError("the archive has two members with the name %r" % name)
        if kind == DIRECTORY and name in KEPT:
            raise ArchiveError("the archive's %s is a directory" % name)
        parent = name.rpartition("/")[0]
        while parent:
            if self._kinds.get(parent) == FILE:
                raise ArchiveError("the archive has a file %r and a member below it" % parent)
            parent = parent.rpartition("/")[0]


def parse_document(name: str, raw: bytes, limits: ArchiveLimits) -> t.Any:
    """Parse one JSON document of the archive: bounded depth, no key twice, no annotation that asks for devices."""

    def pairs(items: t.List[t.Tuple[str, t.Any]]) -> t.Dict[str, t.Any]:
        result = dict(items)
        if len(result) != len(items):
            raise ArchiveError("the archive's %s names a key twice in one object" % name)
        return result

    def constant(text: str) -> t.Any:
        raise ArchiveError("the archive's %s holds %s, which is not JSON" % (name, text))

    def integer(text: str) -> int:
        # Python 3.9 has no limit of its own, and the time grows with the square of the length.
        if len(text) > limits.digits:
            raise ArchiveError("the archive's %s holds a number with more than %d digits" % (name, limits.digits))
        return int(text)

    opened = raw.count(b"[") + raw.count(b"{")
    if opened + raw.count(b",") > limits.values:
        # A small file can hold so many empty lists that the parsed form fills the memory.
        raise ArchiveError("the archive's %s holds more than %d values" % (name, limits.values))
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_int=integer)
    except RecursionError:
        raise ArchiveError("the archive's %s is nested deeper than %d levels" % (name, limits.depth)) from None
    except ValueError as exc:
        # Of a JSONDecodeError only the position: the text may hold the container's environment.
        where = " at byte %d" % exc.pos if isinstance(exc, json.JSONDecodeError) else ""
        raise ArchiveError("the archive's %s is not valid JSON%s" % (name, where)) from None
    if opened > limits.depth:
        _check_depth(name, document, limits.depth)
    if CDI_PREFIX.encode("ascii") in raw.lower() or b"\\u" in raw:
        # Only where the text, or an escape that may hide it, gives a reason to look at every key.
        _check_keys(name, document)
    if isinstance(document, dict) and len({key.lower() for key in document}) != len(document):
        # The runtimes are written in Go, whose JSON decoder takes such keys for the same one.
        raise ArchiveError("the archive's %s names a key twice in different case" % name)
    return document


def _check_depth(name: str, document: t.Any, depth: int) -> None:
    """Walk the document level by level, without recursion."""
    level = [document]
    for dummy in range(depth):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise ArchiveError("the archive's %s is nested deeper than %d levels" % (name, depth))


def _check_keys(name: str, document: t.Any) -> None:
    """Look for keys that ask a runtime to inject devices."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if key.lower().startswith(CDI_PREFIX) or (_asks_for_devices(key, value)):
                    raise ArchiveError(
                        "the archive's %s carries a %s annotation: restoring it could give the container devices of the"
                        " node" % (name, CDI_PREFIX)
                    )
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def _asks_for_devices(key: str, value: t.Any) -> bool:
    """CRI-O keeps the pod's and the container's annotations as JSON text inside annotations."""
    if not (isinstance(value, str) and key.startswith("io.kubernetes.cri-o.") and CDI_PREFIX in value.lower()):
        return False
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return True
    return isinstance(inner, dict) and any(text.lower().startswith(CDI_PREFIX) for text in inner)
