# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages by the distribution's own commands, and the ledger of what was new.

PRIVATE to the collection. The commands, not their Python bindings: those belong to one Python of the system (on EL 8 to 3.6),
which is not always the one that modules run with. C(_packages_apt) and C(_packages_dnf) know the two families; this file
holds what they share: package specifications, the ledger, and the order of steps.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError

Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]

_SPEC = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9+._:-]*)(?:=(?P<version>[A-Za-z0-9.+:~^_-]+))?")
_REPOSITORY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_TEXT_MAX = 1500


class Spec(t.NamedTuple):
    """A package that is wanted: any version, or exactly one."""

    name: str
    version: t.Optional[str] = None


class Installed(t.NamedTuple):
    """A package that is there."""

    version: str
    held: bool = False


class Manager(t.Protocol):
    """One family of package tools."""

    def installed(self) -> t.Dict[str, Installed]:
        """Every installed package."""

    def refresh(self, max_age: int, force: bool) -> bool:
        """Read the repositories' lists again when they are older than max_age seconds; whether it was done."""

    def candidate(self, name: str, release: str) -> t.Optional[str]:
        """The version that an installation would take; None when no repository has the package."""

    def versions(self, name: str) -> t.List[str]:
        """Every version that the repositories offer, the newest first."""

    def file_spec(self, path: str) -> Spec:
        """Name and version of a package file."""

    def version_matches(self, installed: str, wanted: str) -> bool:
        """Whether an installed version is the one that a specification names."""

    def install(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> None:
        """Install packages and at most one file in one step."""

    def would_add(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> t.List[str]:
        """The names that this installation would bring."""

    def hold(self, names: t.Sequence[str]) -> t.List[str]:
        """Keep upgrades from changing these; the names for which something had to be done on the node."""

    def unhold(self, names: t.Sequence[str]) -> None:
        """Let go of them again."""

    def removable(self, names: t.Sequence[str]) -> t.List[str]:
        """Those of the names that can go without taking any other package with them."""

    def remove(self, names: t.Sequence[str]) -> None:
        """Remove exactly these."""


def parse_specs(texts: t.Iterable[str]) -> t.List[Spec]:
    """Specifications C(name) or C(name=version)."""
    found = []
    for text in texts:
        match = _SPEC.fullmatch(text)
        if not match:
            raise InputError("%r is not the name of a package, nor name=version" % text)
        found.append(Spec(match.group("name"), match.group("version")))
    return found


def check_repository_name(name: str) -> str:
    """The name becomes part of file names."""
    if not _REPOSITORY_NAME.fullmatch(name):
        raise InputError("%r cannot be the name of a repository: letters, digits, '-', '_' and '.' only" % name)
    return name


def check_checksum(text: str) -> str:
    """A digest as C(sha256:…); InputError otherwise."""
    if not _CHECKSUM.fullmatch(text):
        raise InputError("%r is not a checksum of the form 'sha256:' and 64 hexadecimal digits" % text)
    return text


def shorten(text: str) -> str:
    """The end of a tool's output, where it says what went wrong."""
    text = text.strip()
    return text if len(text) <= _TEXT_MAX else "… " + text[-_TEXT_MAX:]


class Ledger(t.NamedTuple):
    """What a role added to a node."""

    packages: t.List[str]
    files: t.List[str]
    held: t.List[str] = []

    def adding(self, packages: t.Iterable[str], files: t.Iterable[str], held: t.Iterable[str] = ()) -> Ledger:
        """The ledger with more in it."""
        pairs = ((self.packages, packages), (self.files, files), (self.held, held))
        return Ledger(*(sorted(set(old) | set(new)) for old, new in pairs))

    def text(self) -> str:
        """As it is kept on the node."""
        held = {"held": self.held} if self.held else {}
        return json.dumps({"packages": self.packages, "files": self.files, **held}, sort_keys=True) + "\n"


def read_ledger(text: t.Optional[str], path: str) -> Ledger:
    """The ledger from its file's text; an empty one when there is no file."""
    if text is None:
        return Ledger([], [])
    try:
        found = json.loads(text)
        lists = (found["packages"], found.get("files", []), found.get("held", []))
        return Ledger(*([str(name) for name in names] for names in lists))
    except (ValueError, KeyError, TypeError) as exc:
        raise CheckpointError(
            "%s is not readable as the list of what this collection installed (%s): restore or remove it" % (path, exc)
        ) from exc


def unmet(manager: Manager, specs: t.Sequence[Spec], there: t.Mapping[str, Installed]) -> t.List[Spec]:
    """The specifications that are not fulfilled yet."""
    return [
        spec
        for spec in specs
        if spec.name not in there
        or (spec.version and not manager.version_matches(there[spec.name].version, spec.version))
    ]


def missing(
    manager: Manager, specs: t.Sequence[Spec], there: t.Mapping[str, Installed], ours: t.Collection[str] = ()
) -> t.List[Spec]:
    """The specifications that are not fulfilled yet; refuses to touch what somebody holds who is not us."""
    wanted = unmet(manager, specs, there)
    held = [spec for spec in wanted if spec.name in there and there[spec.name].held and spec.name not in ours]
    if held:
        raise CheckpointError(
            "held by somebody else, so it is not changed: %s. Release the hold (apt-mark unhold, dnf versionlock delete), "
            "or ask for the version that is there"
            % ", ".join(
                "%s is %s, wanted is %s" % (spec.name, there[spec.name].version, spec.version) for spec in held
            ),
            held=[spec.name for spec in held],
        )
    return wanted


def removal(
    manager: Manager, known: t.Sequence[str], ours: t.Collection[str] = ()
) -> t.Tuple[t.List[str], t.List[str]]:
    """(what can go, what has to stay because something else needs it by now, or holds it) of the ledger's packages."""
    there = manager.installed()
    present = [name for name in known if name in there]
    free = [name for name in present if not there[name].held or name in ours]
    going = manager.removable(free) if free else []
    return going, [name for name in present if name not in going]
