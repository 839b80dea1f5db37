# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of crictl as its Go library reads it, for the crictl double.

Strict on purpose where argparse is lenient: flags end at the first argument (``crictl inspect ID -o json`` takes
``-o`` and ``json`` for container IDs), an unknown flag is an error, durations are Go durations.
"""

from __future__ import annotations

import re
import typing as t


class UsageError(Exception):
    """The command line cannot be read; str() is what crictl prints."""


class Flags:
    """A set of flags: ``Flags(all="bool a", output="string o", label="list", timeout="duration t=2s")``."""

    def __init__(self, **specs: str) -> None:
        self._kinds: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._defaults: dict[str, t.Any] = {}
        for name, spec in specs.items():
            spec, _sep, default = spec.partition("=")
            kind, *aliases = spec.split()
            flag = name.replace("_", "-")
            self._kinds[name] = kind
            self._defaults[name] = {"bool": False, "list": []}.get(
                kind, convert(kind, default, flag) if default else None
            )
            for spelling in (flag, *aliases):
                self._names[spelling] = name

    def parse(self, argv: t.Sequence[str]) -> tuple[dict[str, t.Any], list[str]]:
        """Return (values by name, the arguments after the flags)."""
        values = {name: list(value) if isinstance(value, list) else value for name, value in self._defaults.items()}
        rest = list(argv)
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = rest.pop(0)
            if word == "--":
                break
            spelling, has_value, value = word.lstrip("-").partition("=")
            name = self._names.get(spelling)
            if name is None and not has_value and self._is_bundle(word):
                for letter in word[1:]:
                    values[self._names[letter]] = True
                continue
            if name is None:
                raise UsageError(f"flag provided but not defined: -{spelling}")
            kind = self._kinds[name]
            if kind == "bool":
                values[name] = value.lower() not in ("0", "f", "false") if has_value else True
                continue
            if not has_value:
                if not rest:
                    raise UsageError(f"flag needs an argument: -{spelling}")
                value = rest.pop(0)
            if kind == "list":
                values[name].append(value)
            else:
                values[name] = convert(kind, value, spelling)
        return values, rest

    def _is_bundle(self, word: str) -> bool:
        letters = word[1:]
        return not letters.startswith("-") and all(
            letter in self._names and self._kinds[self._names[letter]] == "bool" for letter in letters
        )


def convert(kind: str, value: str, flag: str) -> t.Any:
    if kind == "int":
        try:
            return int(value)
        except ValueError:
            raise UsageError(f'invalid value "{value}" for flag -{flag}: parse error') from None
    if kind == "duration":
        return duration(value, flag)
    return value


def duration(value: str, flag: str) -> float:
    """Go's time.ParseDuration for what people write: 300ms, 2s, 1m30s, 1h; a bare number is an error but 0."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    if value == "0":
        return 0.0
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", value):
        raise UsageError(f'invalid value "{value}" for flag -{flag}: parse error')
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value))
