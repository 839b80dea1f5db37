# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the module C(package_ledger): repositories, lists, packages, ledger, and all of it back again.

PRIVATE to the collection. Everything that touches the node comes in as a function (C(Node)), so the order of steps, check
mode and the ledger are tested without a package manager.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages as packages
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError

LEDGERS = "/var/lib/container-checkpoint/roles"
DOWNLOADS = "/var/cache/container-checkpoint"


class Family(t.NamedTuple):
    """What is particular to one family of distributions."""

    manager: packages.Manager
    sources: str
    keyring: str
    render: t.Callable[[t.Mapping[str, t.Any], t.Optional[str]], str]
    marks: bool  # holds are marks on packages; otherwise they are excludes in the repository's file


class Node(t.NamedTuple):
    """The files of a node and the network, as functions. write returns whether the content is another one than before."""

    read: t.Callable[[str], t.Optional[str]]
    write: t.Callable[[str, str, int], bool]
    remove: t.Callable[[str], bool]
    download: t.Callable[[str, str, str], str]
    digest: t.Callable[[str], t.Optional[str]]


class Keeper:
    """One ledger of one node. check: predict only."""

    def __init__(self, name: str, family: Family, node: Node, check: bool) -> None:
        self._path = "%s/%s.json" % (LEDGERS, packages.check_repository_name(name))
        self._family = family
        self._node = node
        self._check = check
        self._ledger = packages.read_ledger(node.read(self._path), self._path)
        self.changed = False
        self.pending = False  # check mode: a repository that is not there yet, so what it offers is unknown
        self._undo: t.List[t.Tuple[str, t.Optional[str]]] = []

    def _remember(self, names: t.Iterable[str], files: t.Iterable[str], held: t.Iterable[str] = ()) -> None:
        grown = self._ledger.adding(names, files, held)
        if grown != self._ledger and not self._check:
            self._node.write(self._path, grown.text(), 0o600)
        self._ledger = grown

    def _write(self, path: str, text: str) -> bool:
        """Write a file that belongs to us; whether it changed."""
        there = self._node.read(path)
        if there == text:
            return False
        if there is not None and path not in self._ledger.files and "container_checkpoint.kubernetes" not in there:
            raise CheckpointError(
                "%s is there and is somebody else's: give the repository another name, or remove that file" % path
            )
        self.changed = True
        # The ledger first: what is not in it is never taken away again.
        self._remember([], [path])
        if self._check:
            self.pending = True
        else:
            self._undo.append((path, there))
            self._node.write(path, text, 0o644)
        return True

    def undo_repositories(self) -> None:
        """Put the files back as they were: repositories that cannot be read are in everybody's way."""
        for path, text in reversed(self._undo):
            if text is None:
                self._node.remove(path)
            else:
                self._node.write(path, text, 0o644)

    def repositories(self, entries: t.Sequence[t.Mapping[str, t.Any]]) -> bool:
        """Write the repositories' files and keys; whether anything changed."""
        changed = False
        for entry in entries:
            name = packages.check_repository_name(entry["name"])
            key = entry.get("signed_by") or ""
            key_path: t.Optional[str] = key or None
            if entry.get("key_url") and key:
                raise InputError("repository %s: give signed_by or key_url, not both" % name)
            if "\n" in key or entry.get("key_url"):
                key_path = self._family.keyring % name
                known = self._node.read(key_path)
                if "\n" in key:
                    changed |= self._write(key_path, key.strip() + "\n")
                elif known is None or entry.get("key_checksum"):
                    changed |= self._fetch_key(entry, key_path)
            elif key and not key.startswith("/"):
                raise InputError("repository %s: signed_by is neither a path nor a key in ASCII armour" % name)
            changed |= self._write(self._family.sources % name, self._family.render(entry, key_path))
        return changed

    def _fetch_key(self, entry: t.Mapping[str, t.Any], key_path: str) -> bool:
        checksum = entry.get("key_checksum") or ""
        if checksum and self._node.digest(key_path) == packages.check_checksum(checksum):
            return False
        self.changed = True
        self._remember([], [key_path])
        if self._check:
            self.pending = True
        else:
            self._node.download(entry["key_url"], key_path, checksum)
        return True

    def candidates(self, names: t.Sequence[str], release: str = "") -> t.Dict[str, t.Dict[str, t.Any]]:
        """What is installed, what would be, and what else there is, by name."""
        there = self._family.manager.installed()
        return {
            name: {
                "installed": there[name].version if name in there else None,
                "candidate": self._family.manager.candidate(name, release),
                "versions": self._family.manager.versions(name),
            }
            for name in names
        }

    def package_file(self, given: str, checksum: str) -> t.Optional[str]:
        """The path of the package file on this node, fetched when it is a URL; its digest compared."""
        if not given:
            return None
        if checksum:
            packages.check_checksum(checksum)
        if given.startswith(("http://", "https://")):
            if not checksum:
                raise InputError(
                    "%s has no checksum: a package from the network is installed only when its content is known "
                    "(sha256:…)" % given
                )
            path = "%s/%s" % (DOWNLOADS, os.path.basename(given.partition("?")[0]))
            if self._node.digest(path) != checksum:
                if self._check:
                    self.pending = self.changed = True
                    return None
                self._node.download(given, path, checksum)
            return path
        found = self._node.digest(given)
        if found is None:
            raise CheckpointError("the package file %s is missing on this node" % given)
        if checksum and found != checksum:
            raise CheckpointError("%s has the digest %s, not %s" % (given, found, checksum))
        return given

    def hold(self, names: t.Sequence[str]) -> t.List[str]:
        """Keep upgrades from changing these packages; those for which that was new."""
        if self._check:
            there = self._family.manager.installed()
            new = [name for name in names if name in there and not there[name].held] if self._family.marks else []
        else:
            new = self._family.manager.hold(names)
        if new:
            self.changed = True
            self._remember([], [], new)
        return new

    def install(self, texts: t.Sequence[str], path: t.Optional[str], release: str) -> t.List[str]:
        """Install what is missing, in one step; the names that are new. What we hold ourselves is held again afterwards."""
        manager = self._family.manager
        before = manager.installed()
        specs = packages.missing(manager, packages.parse_specs(texts), before, self._ledger.held)
        if path:
            inside = manager.file_spec(path)
            there = before.get(inside.name)
            if there and manager.version_matches(there.version, inside.version or ""):
                path = None
            else:
                specs = [spec for spec in specs if spec.name != inside.name]
        if not specs and not path:
            return []
        self.changed = True
        if self._check:
            if self.pending:
                return [spec.name for spec in specs if spec.name not in before]
            return sorted(manager.would_add(specs, path, release))
        added: t.List[str] = []
        ours = [spec.name for spec in specs if spec.name in before and before[spec.name].held]
        manager.unhold(ours)
        try:
            manager.install(specs, path, release)
        finally:
            manager.hold(ours)
            # Also after a failure: half an installation is ours to take away again.
            added = sorted(set(manager.installed()) - set(before))
            self._remember(added, [])
        return added

    def take_away(self) -> t.Tuple[t.List[str], t.List[str]]:
        """(removed, kept because something else needs it) of what the ledger names; its files go, too."""
        manager = self._family.manager
        going, kept = packages.removal(manager, self._ledger.packages, self._ledger.held)
        there = manager.installed()
        ours = [name for name in self._ledger.held if name in there and there[name].held]
        if going or ours:
            self.changed = True
            if not self._check:
                manager.unhold(ours)
                if going:
                    manager.remove(going)
        for path in self._ledger.files:
            if self._node.read(path) is not None:
                self.changed = True
                if not self._check:
                    self._node.remove(path)
        if self._node.read(self._path) is not None:
            self.changed = True
            if not self._check:
                self._node.remove(self._path)
        return going, kept
