# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a message of the kubelet, a runtime or CRIU to cause and remedy.

PRIVATE to the collection. Pure. The table is in C(_diagnosis_engine), C(_diagnosis_api), C(_diagnosis_objects) and
C(_diagnosis_criu). Rows that name a root come before those that often only accompany one, and those before wrappers;
among equals the earlier line comes first, since CRIU's later errors are mostly consequences. A line that is known to be harmless is no finding at all.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _diagnosis_api,
    _diagnosis_criu,
    _diagnosis_engine,
    _diagnosis_objects,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis_row import CAUSE, GAP, Row

ROWS: t.Tuple[Row, ...] = _diagnosis_engine.ROWS + _diagnosis_api.ROWS + _diagnosis_objects.ROWS + _diagnosis_criu.ROWS
KINDS = ("cause", "context", "wrapper")
WHERE = ("kubelet", "containerd", "cri-o", "runtime", "dump", "restore", "registry", "api-server", "any")

_COMPILED = [(row, row.expressions()) for row in ROWS]
_ENGINES = {"containerd", "cri-o"}
_CRIU_ERROR = re.compile(r"Error \((?:criu|compel|soccr)/[^)]*\): .*")
# CRIU's last words after any failure: they close the log and name nothing.
_CRIU_CLOSING = re.compile(r"(?:Dumping|Restoring) FAILED")
_LINE_MAX = 400


def _finding(row: Row, pattern: str, line: str) -> t.Dict[str, t.Any]:
    return {
        "id": row.id,
        "kind": KINDS[row.depth],
        "where": list(row.where),
        "pattern": pattern,
        "line": line.strip()[:_LINE_MAX],
        "cause": row.cause,
        "remedy": row.remedy,
        "transient": row.transient,
        "since": row.since,
        "until": row.until,
        "source": row.source,
    }


def _unknown(line: str) -> t.Dict[str, t.Any]:
    return {
        "id": "criu-unknown",
        "kind": KINDS[CAUSE],
        "where": ["dump", "restore"],
        "pattern": "Error (",
        "line": line[:_LINE_MAX],
        "cause": "CRIU's first error that is not known to be harmless, and that this table does not know",
        "remedy": "look the message up among CRIU's issues, and report it to this collection so that the table learns it",
        "transient": False,
        "since": None,
        "until": None,
        "source": "https://github.com/checkpoint-restore/criu/issues",
    }


def _candidates(
    text: str, where: t.Optional[str], engine: t.Optional[str]
) -> t.List[t.Tuple[Row, str, t.Pattern[str]]]:
    """The patterns whose fixed parts occur somewhere in the text at all: logs are long, findings are few."""
    found = []
    for row, expressions in _COMPILED:
        engines = set(row.where) & _ENGINES
        if where not in (None, "any") and where not in row.where and "any" not in row.where:
            continue
        if engine is not None and engines and engine not in engines:
            continue
        found += [
            (row, pattern, expression)
            for pattern, expression in expressions
            if all(part in text for part in pattern.split(GAP))
        ]
    return found


def diagnose(text: str, where: t.Optional[str] = None, engine: t.Optional[str] = None) -> t.List[t.Dict[str, t.Any]]:
    """What is known about a message or a log, likeliest root first; [] when nothing is.

    where: only messages of this origin (one of WHERE; None and 'any' look for all; an answer of the kubelet quotes everybody
    below it). engine: 'containerd' or 'cri-o' leaves the other one's messages out. Each row is reported once, with the line
    it was first found in. Where the matches of two rows overlap in a line, the row that stands first in the table has it:
    special cases stand before general ones there.
    """
    found: t.Dict[str, t.Tuple[t.Tuple[int, int], t.Dict[str, t.Any]]] = {}
    unexplained = ""
    candidates = _candidates(text, where, engine)
    for number, line in enumerate(text.splitlines()):
        if any(harmless in line for harmless in _diagnosis_criu.HARMLESS):
            continue
        taken: t.List[t.Tuple[int, int]] = []
        for row, pattern, expression in candidates:
            match = expression.search(line)
            if match is None or any(match.start() < end and begin < match.end() for begin, end in taken):
                continue
            taken.append(match.span())
            found.setdefault(row.id, ((row.depth, number), _finding(row, pattern, line)))
        if unexplained or taken or "Error (" not in line:
            continue
        error = _CRIU_ERROR.search(line)
        if error and not _CRIU_CLOSING.search(line):
            unexplained = error.group(0)
    ranked = [finding for _order, finding in sorted(found.values(), key=lambda pair: pair[0])]
    if unexplained and not any(order[0] == CAUSE for order, _ignored in found.values()):
        ranked.insert(0, _unknown(unexplained))
    return ranked
