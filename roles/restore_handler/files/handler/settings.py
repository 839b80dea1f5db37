# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler's configuration: a file of KEY=value lines that the shell front can read too."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

_LINE = re.compile(r"([A-Z_]+)=([A-Za-z0-9/._:+-]*)")


@dataclass(frozen=True)
class Settings:
    """Where things are, and how long to wait."""

    runc: str = "runc"
    staging: str = "/var/lib/container-checkpoint/restore"
    state: str = "/run/container-checkpoint/handler"
    engine: str = "containerd"
    restore_timeout: float = 110.0
    bind_timeout: float = 60.0
    keep_history: float = 7 * 86400.0


def parse(text: str) -> Settings:
    """Settings from the file's text; unknown keys are the shell front's."""
    values = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            values[match.group(1)] = match.group(2)
    known: t.Dict[str, t.Any] = {}
    for name, kind in (("runc", str), ("staging", str), ("state", str), ("engine", str),
                       ("restore_timeout", float), ("bind_timeout", float), ("keep_history", float)):
        if values.get(name.upper()):
            known[name] = kind(values[name.upper()])
    return Settings(**known)


def load(path: str) -> Settings:
    """Settings from a file; the defaults where there is none."""
    try:
        with open(path, encoding="ascii") as stream:
            return parse(stream.read())
    except FileNotFoundError:
        return Settings()
