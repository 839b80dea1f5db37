# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the RHEL family and Fedora, by C(dnf) and C(rpm).

PRIVATE to the collection. See C(_packages) for what the methods mean.
"""

from __future__ import annotations

import re
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
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._packages_apt import (
    HEADER,
    install_problem,
)

SOURCES = "/etc/yum.repos.d/%s.repo"
KEYRING = "/etc/pki/rpm-gpg/RPM-GPG-KEY-%s"
_DNF = ["dnf", "-y", "--setopt=install_weak_deps=False"]
_QUERY = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
_NEEDED_BY = re.compile(r"is needed by \(installed\) (\S+)")
_LOCKS = "/etc/dnf/plugins/versionlock.list"


def render_repository(entry: t.Mapping[str, t.Any], key_path: t.Optional[str]) -> str:
    """One repository in the format of /etc/yum.repos.d."""
    name = entry["name"]
    lines = ["[%s]" % name, "name=%s" % name, "enabled=1", "baseurl=" + " ".join(entry["uris"])]
    if entry.get("trusted"):
        lines.append("gpgcheck=0")
    else:
        lines.append("gpgcheck=1")
        if key_path:
            lines.append("gpgkey=file://" + key_path)
    if entry.get("exclude"):
        lines.append("excludepkgs=" + " ".join(entry["exclude"]))
    return HEADER + "\n".join(lines) + "\n"


def _locked(text: t.Optional[str]) -> t.List[str]:
    """The names that dnf's versionlock plugin keeps."""
    lines = [line.partition("#")[0].strip() for line in (text or "").splitlines()]
    names = [re.sub(r"^\d+:", "", line) for line in lines if line and not line.startswith("!")]
    return [re.sub(r"-\d+:?[^-]*-[^-]*$", "", name) for name in names]


class Dnf:
    """The package tools of the RHEL family.

    read: a file's text or None. own: repositories whose excludes do not count for us.
    """

    def __init__(self, run: Run, read: t.Callable[[str], t.Optional[str]], own: t.Sequence[str] = ()) -> None:
        self._run = run
        self._read = read
        self._own = ["--setopt=disable_excludes=" + ",".join(own)] if own else []
        self._max_age = 0

    def installed(self) -> t.Dict[str, Installed]:
        """Every package in the rpm database; of several versions (kernels) the last one listed."""
        rc, out, err = self._run(["rpm", "-qa", "--queryformat", _QUERY])
        if rc != 0:
            raise RuntimeToolError("rpm does not list the installed packages: %s" % shorten(err))
        locked = set(_locked(self._read(_LOCKS)))
        pairs = (line.split("\t") for line in out.splitlines() if "\t" in line)
        return {name: Installed(version, name in locked) for name, version in pairs}

    def refresh(self, max_age: int, force: bool) -> bool:
        """dnf reads its metadata when it needs them; here only what counts as old is decided."""
        self._max_age = 0 if force else max_age
        if not force:
            return False
        rc, out, err = self._run(_DNF + ["-q", "makecache", "--refresh"])
        if rc != 0:
            raise CheckpointError(
                "a package repository cannot be read: %s. Check its address, its key, the proxy and the network of this "
                "node" % shorten(err or out)
            )
        return True

    def candidate(self, name: str, release: str) -> t.Optional[str]:
        """The newest version that a repository offers."""
        lines = self._query(name, release, "--latest-limit=1")
        return lines[-1] if lines else None

    def versions(self, name: str) -> t.List[str]:
        """What repoquery lists, which is in the order of versions."""
        return list(dict.fromkeys(reversed(self._query(name, "", "--showduplicates"))))

    def _query(self, name: str, release: str, option: str) -> t.List[str]:
        argv = ["dnf", "-q"] + self._options(release)
        argv += ["repoquery", option, "--queryformat", "%{epoch}:%{version}-%{release}\\n", name]
        rc, out, _err = self._run(argv)
        return [line for line in out.splitlines() if re.match(r"\d+:\S+$", line)] if rc == 0 else []

    def _options(self, release: str) -> t.List[str]:
        found = self._own + (["--enablerepo=" + release] if release else [])
        return found + (["--setopt=metadata_expire=%d" % self._max_age] if self._max_age > 0 else [])

    def hold(self, names: t.Sequence[str]) -> t.List[str]:
        """Nothing to do: C(excludepkgs) in the repository's file keeps them."""
        return []

    def unhold(self, names: t.Sequence[str]) -> None:
        """Nothing to do: our own excludes do not count for us."""

    def file_spec(self, path: str) -> Spec:
        """What the .rpm says it is."""
        rc, out, err = self._run(["rpm", "-qp", "--queryformat", _QUERY, path])
        if rc != 0 or "\t" not in out:
            raise CheckpointError("%s is not an .rpm package: %s" % (path, shorten(err)))
        name, version = out.strip().split("\t")
        return Spec(name, version)

    def version_matches(self, installed: str, wanted: str) -> bool:
        """A version may be given with or without its release, and with or without its epoch."""
        bare = installed.split(":", 1)[-1]
        return wanted in (installed, bare, bare.rsplit("-", 1)[0])

    def install(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> None:
        """One dnf install for everything. release: repositories to switch on for this step."""
        words = ["%s-%s" % spec if spec.version else spec.name for spec in specs] + ([path] if path else [])
        argv = _DNF + self._options(release)
        rc, out, err = self._run(argv + ["install"] + words)
        if rc != 0:
            raise CheckpointError(install_problem("dnf", words, out, err))

    def would_add(self, specs: t.Sequence[Spec], path: t.Optional[str], release: str) -> t.List[str]:
        """The names asked for that are not there; dnf's simulation cannot be read by a program."""
        there = self.installed()
        names = [spec.name for spec in specs] + ([self.file_spec(path).name] if path else [])
        return [name for name in names if name not in there]

    def removable(self, names: t.Sequence[str]) -> t.List[str]:
        """Those that only others of the names need."""
        rc, _out, _err = self._run(["rpm", "-e", "--test"] + list(names))
        if rc == 0:
            return list(names)
        going = []
        for name in names:
            _rc, out, err = self._run(["rpm", "-e", "--test", name])
            needers = _NEEDED_BY.findall(out + "\n" + err)
            if all(any(needer.startswith(other + "-") for other in names) for needer in needers):
                going.append(name)
        return going

    def remove(self, names: t.Sequence[str]) -> None:
        """rpm -e, which takes nothing else along."""
        rc, out, err = self._run(["rpm", "-e"] + list(names))
        if rc != 0:
            raise CheckpointError("rpm cannot remove %s: %s" % (", ".join(names), shorten(err or out)))
