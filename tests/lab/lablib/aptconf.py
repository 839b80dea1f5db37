# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's own apt configuration says: which Debian mirror, which proxy, which other settings.

Pure functions over text; C(read_host) at the end collects the text.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

from . import shell

# Settings that a node of the lab needs just as the host does (a proxy, a private CA, a frozen clock).
_KEEP = re.compile(
    r"^Acquire::(?:(?:http|https)(?:::.*)?|Retries|ForceIPv4|ForceIPv6|Check-Valid-Until|Check-Date|"
    r"Max-FutureTime|Queue-Mode|Languages(?:::.*)?|GzipIndexes)$"
)
_LINE = re.compile(r'^(?P<key>[A-Za-z][\w:.\-/]*) "(?P<value>.*)";$')


class Source(t.NamedTuple):
    """One place that packages come from."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_one_line(text: str) -> list[Source]:
    """Sources of a C(sources.list) file."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", "", line.split("#", 1)[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            found.append(Source(words[1], (words[2],), tuple(words[3:])))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Sources of a C(.sources) file."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        suites, components = tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split())
        found.extend(Source(uri, suites, components) for uri in fields.get("uris", "").split())
    return found


def debian_mirror(sources: t.Iterable[Source], codename: str) -> str | None:
    """The host's Debian mirror: an archive of the host's own release with C(main), the likeliest path first."""
    wanted = {codename, "stable", "testing", "unstable", "sid"}
    candidates = [s.uri.rstrip("/") for s in sources if "main" in s.components and wanted.intersection(s.suites)]
    candidates.sort(key=lambda uri: 0 if uri.endswith("/debian") else 1)
    return candidates[0] if candidates else None


def acquire_settings(dump: str, environment: t.Mapping[str, str]) -> list[str]:
    """The lines of C(apt-config dump) that nodes need, with the proxies of the environment added."""
    kept = []
    for line in dump.splitlines():
        match = _LINE.match(line)
        if match and match["value"] and _KEEP.match(match["key"].rstrip(":")):
            kept.append(line)
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy") or environment.get(f"{scheme.upper()}_PROXY")
        if proxy and not any(line.startswith(f'Acquire::{scheme}::Proxy "') for line in kept):
            kept.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return kept


def os_release(text: str) -> dict[str, str]:
    """C(/etc/os-release) as a dictionary."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


class HostApt(t.NamedTuple):
    """What nodes take over from the host."""

    mirror: str | None  # None: debootstrap's own default
    settings: tuple[str, ...]


def _follow_mirror_list(uri: str) -> str:
    """A C(mirror+file:) source names a file whose first line is the mirror."""
    match = re.match(r"^mirror\+file:(?://)?(/.*)$", uri)
    if not match:
        return uri
    lines = [line.split()[0] for line in shell.read_text(match[1], "").splitlines() if line.strip() and line[0] != "#"]
    return lines[0].rstrip("/") if lines else uri


def read_host(environment: t.Mapping[str, str] | None = None) -> HostApt:
    """Read the host's configuration; C(LAB_MIRROR) wins over what is configured."""
    environment = os.environ if environment is None else environment
    sources = parse_one_line(shell.read_text("/etc/apt/sources.list", ""))
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*")):
        if path.endswith(".list"):
            sources += parse_one_line(shell.read_text(path, ""))
        elif path.endswith(".sources"):
            sources += parse_deb822(shell.read_text(path, ""))
    release = os_release(shell.read_text("/etc/os-release", ""))
    mirror = environment.get("LAB_MIRROR")
    if not mirror and release.get("ID") == "debian":
        configured = debian_mirror(sources, release.get("VERSION_CODENAME", ""))
        mirror = _follow_mirror_list(configured) if configured else None
    dump = shell.run(["apt-config", "dump"], check=False).stdout.decode(errors="replace")
    return HostApt(mirror.rstrip("/") if mirror else None, tuple(acquire_settings(dump, environment)))
