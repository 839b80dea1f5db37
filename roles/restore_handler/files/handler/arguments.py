# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that container runtimes give to runc, taken apart. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

_GLOBAL_VALUES = ("log", "log-format", "root", "rootless", "criu")
_VALUES = {
    "create": ("bundle", "b", "console-socket", "pid-file", "pidfd-socket", "preserve-fds"),
    "state": (),
    "start": (),
    "delete": (),
}


@dataclass(frozen=True)
class Call:
    """One call: the global options as they were given, the command, its options by name, and the container's ID."""

    argv: t.Tuple[str, ...]
    globals: t.Tuple[str, ...] = ()
    global_options: t.Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    options: t.Mapping[str, str] = field(default_factory=dict)
    container_id: str = ""

    @property
    def bundle(self) -> str:
        """The bundle's directory; the working directory unless one was named, as in runc."""
        return self.options.get("bundle") or self.options.get("b") or "."

    @property
    def lasting_globals(self) -> t.List[str]:
        """The global options that a later call about the same container needs; the log lies in the bundle, which may be gone."""
        return ["--%s=%s" % (name, value) if value else "--" + name
                for name, value in self.global_options.items() if name in ("root", "rootless", "systemd-cgroup")]


def parse(argv: t.Sequence[str]) -> Call:
    """Take a command line apart. What is not understood is left out: such a call is passed on unchanged."""
    rest = list(argv)
    global_words, global_options = _options(rest, _GLOBAL_VALUES)
    command = rest.pop(0) if rest else ""
    _words, options = _options(rest, _VALUES.get(command, ()))
    return Call(tuple(argv), tuple(global_words), global_options, command, options, rest[0] if rest else "")


def _options(words: t.List[str], with_value: t.Sequence[str]) -> t.Tuple[t.List[str], t.Dict[str, str]]:
    """Take the options off the front of C(words): the words they were, and their values by name."""
    taken: t.List[str] = []
    found: t.Dict[str, str] = {}
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        taken.append(word)
        name, equals, value = word.lstrip("-").partition("=")
        if name in with_value and not equals:
            value = words.pop(0) if words else ""
            taken.append(value)
        found[name] = value
    return taken, found
