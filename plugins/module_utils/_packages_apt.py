# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of Debian and Ubuntu, by C(apt-get), C(apt-cache), C(dpkg-query) and C(dpkg-deb).

PRIVATE to the collection. See C(_packages) for what the methods mean.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._packages import (
    Installed,
    Run,
    Spec,
    shorten,
)

LISTS = "/var/lib/apt/lists"
SOURCES = "/etc/apt/sources.list.d/%s.sources"
KEYRING = "/etc/apt/keyrings/%s.asc"
HEADER = "# Managed by container_checkpoint.kubernetes.package_ledger. Changes here are overwritten.\n"
_APT = [
    "apt-get",
    "-q",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=120",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
]
_INST = re.compile(r"^Inst (\S+) (\[)?", re.MULTILINE)
_REMV = re.compile(r"^Remv (\S+)", re.MULTILINE)


def render_repository(entry: t.Mapping[str, t.Any], key_path: t.Optional[str]) -> str:
    """One repository in the deb822 format."""
    lines = ["Types: deb", "URIs: " + " ".join(entry["uris"]), "Suites: " + " ".join(entry.get("suites") or ["/"])]
    if entry.get("components"):
        lines.append("Components: " + " ".join(entry["components"]))
    if entry.get("trusted"):
        lines.append("Trusted: yes")
    if entry.get("archived"):
        lines.append("Check-Valid-Until: no")
    if key_path:
        lines.append("Signed-By: " + key_path)
    return HEADER + "\n".join(lines) + "\n"


def _bare(name: str) -> str:
    """A name without the architecture that apt adds for foreign ones."""
    return name.partition(":")[0]


class Apt:
    """The package tools of Debian's family. newest: the time of the newest file below a directory (a test's stand-in)."""

    def __init__(self, run: Run, lists_time: t.Optional[t.Callable[[], float]] = None) -> None:
        self._run = run
        self._lists_time = lists_time or _newest_list

    def installed(self) -> t.Dict[str, Installed]:
        """Every package whose files are there."""
        rc, out, err = self._run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\\t${Package}\\t${Version}\\n"])
        if rc != 0:
            raise RuntimeToolError("dpkg-query does not list the installed packages: %s" % shorten(err))
        found = {}
        for line in out.splitlines():
            state, name, version = (line.split("\t") + ["", ""])[:3]
            if state[1:2] == "i":
                found[name] = Installed(version, state[:1] == "h")
        return found

    def refresh(self, max_age: int, force: bool) -> bool:
        """apt-get update, failing when any repository cannot be read."""
        if not force and (max_age <= 0 or time.time() - self._lists_time() < max_age):
            return False
        rc, out, err = self._run(_APT + ["-o", "APT::Update::Error-Mode=any", "update"])
        if rc != 0:
            problems = [line for line in (out + "\n" + err).splitlines() if line.startswith(("E:", "W:", "Err:"))]
            raise CheckpointError(
                "a package repository cannot be read: %s. Check its address, its key, the proxy and the network of this "
                "node" % shorten(" | ".join(problems) or err)
            )
        return True

    def candidate(self, name: str, release: str) -> t.Optional[str]:
        """What apt-cache policy calls the candidate."""
        rc, out, _err = self._run(["apt-cache"] + (["-t", release] if release else []) + ["policy", name])
        match = re.search(r"^ *Candidate: *(\S+)", out, re.MULTILINE) if rc == 0 else None
        return match.group(1) if match and match.group(1) != "(none)" else None

    def versions(self, name: str) -> t.List[str]:
        """What apt-cache madison lists."""
        rc, out, _err = self._run(["apt-cache", "madison", name])
        found = [line.split("|")[1].strip() for line in out.splitlines() if line.count("|") == 2] if rc == 0 else []
        return list(dict.fromkeys(found))

    def hold(self, names: t.Sequence[str]) -> t.List[str]:
        """apt-mark hold, where dpkg does not say so already."""
        there = self.installed()
        new = [name for name in names if name in there and not there[name].held]
        self._mark("hold", new)
        return new

    def unhold(self, names: t.Sequence[str]) -> None:
        """apt-mark unhold."""
        self._mark("unhold", names)

    def _mark(self, word: str, names: t.Sequence[str]) -> None:
        if names:
            rc, _out, err = self._run(["apt-mark", word] + list(names))
            if rc != 0:
                raise CheckpointError("apt-mark %s %s failed: %s" % (word, ", ".join(names), shorten(err)))

    def file_spec(self, path: str) -> Spec:
        """What the .deb says it is."""
        rc, out, err = self._run(["dpkg-deb", "--show", "--showformat=${Package}\\t${Version}", path])
        if rc != 0 or "\t" not in out:
            raise CheckpointError("%s is not a .deb package: %s" % (path, shorten(err)))
        name, version = out.strip().split("\t")
        return Spec(name, version)

    def version_matches(self, installed: str, wanted: str) -> bool:
        """apt knows only exact versions."""
        return installed == wanted

    def install(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> None:
        """One apt-get install for everything."""
        self._install(specs, path, release)

    def would_add(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> t.List[str]:
        """apt-get's own simulation."""
        # Holds of others were refused before; ours are let go of before it becomes earnest.
        out = self._install(specs, path, release, "--simulate", "--allow-change-held-packages")
        return [_bare(name) for name, older in _INST.findall(out) if not older]

    def _install(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str, *options: str) -> str:
        words = ["%s=%s" % spec if spec.version else spec.name for spec in specs]
        if path:
            words.append(path if path.startswith("/") else "./" + path)
        argv = _APT + list(options) + (["-t", release] if release else [])
        rc, out, err = self._run(argv + ["--no-install-recommends", "install"] + words)
        if rc != 0:
            raise CheckpointError(install_problem("apt-get", words, out, err))
        return out

    def removable(self, names: t.Sequence[str]) -> t.List[str]:
        """Ask for all at once; one by one only when that would take something else along."""
        if self._takes(names) <= set(names):
            return list(names)
        return [name for name in names if self._takes([name]) <= set(names)]

    def _takes(self, names: t.Sequence[str]) -> t.Set[str]:
        rc, out, err = self._run(_APT + ["--simulate", "--allow-change-held-packages", "remove"] + list(names))
        if rc != 0:
            raise CheckpointError("apt-get cannot work out how to remove %s: %s" % (", ".join(names), shorten(err)))
        return {_bare(name) for name in _REMV.findall(out)}

    def remove(self, names: t.Sequence[str]) -> None:
        """apt-get remove, which leaves configuration files."""
        rc, out, err = self._run(_APT + ["remove"] + list(names))
        if rc != 0:
            raise CheckpointError("apt-get cannot remove %s: %s" % (", ".join(names), shorten(err or out)))


def _newest_list() -> float:
    """When apt's lists were read last; 0 when they never were."""
    try:
        with os.scandir(LISTS) as entries:
            return max(
                (entry.stat().st_mtime for entry in entries if entry.is_file() and entry.name != "lock"), default=0.0
            )
    except OSError:
        return 0.0


def install_problem(tool: str, words: t.Sequence[str], out: str, err: str) -> str:
    """A failed installation in words: what is usually behind it comes first."""
    text = out + "\n" + err
    if "Held packages were changed" in text or "held broken packages" in text:
        why = "packages are held (apt-mark showhold), or need versions that no repository has"
    elif "Unable to locate package" in text or "No match for argument" in text or "Unable to find a match" in text:
        why = "no configured repository has it; give one by the role's variables for repositories"
    elif "was not found" in text and "Version" in text:
        why = "no configured repository has that version"
    elif "Failed to fetch" in text or "Cannot download" in text or "Failed to download" in text:
        why = "a repository cannot be reached or does not have the file any more"
    elif "Could not get lock" in text:
        why = "another program is installing packages on this node"
    else:
        why = "%s says" % tool
    lines = [line for line in text.splitlines() if line.startswith(("E:", "Error:", "Err:"))]
    return "cannot install %s: %s: %s" % (", ".join(words), why, shorten(" | ".join(lines) or err or out))
