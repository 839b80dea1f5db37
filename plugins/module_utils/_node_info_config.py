# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read single settings out of what C(containerd config dump) and C(crio config) print.

PRIVATE to the collection. Pure. Nodes have Python 3.9 and no TOML library, and these two programs print a narrow kind of
TOML: tables, and keys with booleans, numbers, strings and lists of strings. That is what this reader knows; anything else
(inline tables, multi-line strings, arrays of tables) is skipped, never guessed. C(crio config) prints a setting that has its
default value as a comment (C(# key = value)); such lines are read too and lose against real ones.
"""

from __future__ import annotations

import json
import re
import typing as t

Scalar = t.Union[bool, int, float, str, t.List[str]]
Path = t.Tuple[str, ...]

_TABLE = re.compile(r"\[([^\[\]]+(?:\[[^\]]*\])?[^\[\]]*)\]\s*(?:#.*)?")
_KEY = re.compile(r"(?P<comment># ?)?(?P<key>[A-Za-z0-9_-]+)\s*=\s*(?P<value>\S.*)")
_PART = re.compile(r"\s*(?:'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|([A-Za-z0-9_-]+))\s*(?:\.|$)")
_STRING = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"")


def _unescape(text: str) -> str:
    try:
        return str(json.loads('"%s"' % text))
    except ValueError:
        return text


def _table_path(text: str) -> t.Optional[Path]:
    parts, position = [], 0
    while position < len(text):
        match = _PART.match(text, position)
        if not match:
            return None
        literal, basic, bare = match.groups()
        parts.append(literal if literal is not None else _unescape(basic) if basic is not None else bare)
        position = match.end()
    return tuple(parts)


def _strings(text: str) -> t.List[str]:
    found = [match.groups() for match in _STRING.finditer(text)]
    return [literal if basic is None else _unescape(basic) for literal, basic in found]


def _without_comment(line: str) -> str:
    """The line up to a '#' that is not inside a string."""
    masked = _STRING.sub(lambda match: "x" * len(match.group(0)), line)
    return line[: masked.index("#")] if "#" in masked else line


def _scalar(text: str) -> t.Optional[Scalar]:
    word = _without_comment(text).strip()
    if _STRING.fullmatch(word):
        return _strings(word)[0]
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word.replace("_", ""))
        except ValueError:
            continue
    return None


def parse(text: str, commented_defaults: bool = False) -> t.Dict[Path, Scalar]:
    """Every setting that could be read: path of table names and key, to its value.

    commented_defaults: take C(# key = value) for the value where the setting itself is not there (C(crio config)).
    """
    real: t.Dict[Path, Scalar] = {}
    defaults: t.Dict[Path, Scalar] = {}
    table: t.Optional[Path] = ()
    lines = iter(text.splitlines())
    for line in lines:
        line = line.strip()
        if line.startswith("["):
            match = _TABLE.fullmatch(line)
            table = _table_path(match.group(1)) if match else None
            continue
        match = _KEY.match(line)
        if not match or table is None or (match.group("comment") and not commented_defaults):
            continue
        value = match.group("value").strip()
        target = defaults if match.group("comment") else real
        path = table + (match.group("key"),)
        if value.startswith("["):
            value = _without_comment(value)
            while not value.rstrip().endswith("]"):
                following = next(lines, None)
                if following is None:
                    return {**defaults, **real}
                value += " " + _without_comment(following.strip().lstrip("# "))
            target[path] = _strings(value)
            continue
        scalar = _scalar(value)
        if scalar is not None:
            target[path] = scalar
    return {**defaults, **real}


def find(settings: t.Mapping[Path, Scalar], *tails: Path) -> t.Optional[Scalar]:
    """The value of the first of the given paths that is set."""
    for path in tails:
        if path in settings:
            return settings[path]
    return None


_CTRD_RUNTIME = ("plugins", "io.containerd.cri.v1.runtime")
_CTRD_OLD = ("plugins", "io.containerd.grpc.v1.cri")


def containerd(text: str) -> t.Dict[str, t.Any]:
    """The settings of containerd that decide about checkpoint and restore; None where they are not set."""
    settings = parse(text)

    def cri(*path: str) -> t.Optional[Scalar]:
        return find(settings, _CTRD_RUNTIME + path, _CTRD_OLD + path)

    default_runtime = cri("containerd", "default_runtime_name") or "runc"
    runtimes = {}
    for path, value in settings.items():
        for prefix in (_CTRD_RUNTIME, _CTRD_OLD):
            base = prefix + ("containerd", "runtimes")
            if path[: len(base)] == base and path[len(base) + 1 :] == ("runtime_type",):
                name = path[len(base)]
                binary = find(settings, base + (name, "options", "BinaryName"))
                runtimes[name] = {"type": value, "path": binary or ""}
    return {
        "enable_criu": cri("enable_criu"),
        "restore": cri("enable_experimental_restore_via_create"),
        "default_runtime": default_runtime,
        "runtimes": runtimes,
        "signature_policy": None,
    }


def crio(text: str) -> t.Dict[str, t.Any]:
    """The settings of CRI-O that decide about checkpoint and restore; None where they are not set."""
    settings = parse(text, commented_defaults=True)
    base = ("crio", "runtime", "runtimes")
    names = sorted({path[3] for path in settings if path[:3] == base and len(path) == 5})
    return {
        "enable_criu": find(settings, ("crio", "runtime", "enable_criu_support")),
        "restore": find(settings, ("crio", "checkpoint_restore", "container_level_enabled")),
        "default_runtime": find(settings, ("crio", "runtime", "default_runtime")) or "crun",
        "runtimes": {
            name: {
                "type": find(settings, base + (name, "runtime_type")) or "oci",
                "path": find(settings, base + (name, "runtime_path")) or "",
            }
            for name in names
        },
        "signature_policy": find(settings, ("crio", "image", "signature_policy")) or None,
        "drop_infra_ctr": find(settings, ("crio", "runtime", "drop_infra_ctr")),
    }
