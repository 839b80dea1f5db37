# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of one row of the diagnosis table.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# How far a message is from the root of a failure; ranked in this order.
CAUSE, CONTEXT, WRAPPER = 0, 1, 2

GAP = "…"


@dataclass(frozen=True)
class Row:
    """One message, its cause and its remedy.

    id: stable name. where: who writes it (kubelet, containerd, cri-o, runtime, dump, restore, registry, api-server; any).
    patterns: alternatives, each a case-sensitive text in one line; '…' stands for anything in between.
    transient: trying again, unchanged, may help. depth: CAUSE names a root, CONTEXT
    something that often only accompanies one, WRAPPER a message that merely passes another one on.
    since, until: versions between which the message is known. source: where this was learned.
    """

    id: str
    where: t.Tuple[str, ...]
    patterns: t.Tuple[str, ...]
    cause: str
    remedy: str
    source: str
    transient: bool = False
    depth: int = CAUSE
    since: t.Optional[str] = None
    until: t.Optional[str] = None

    def expressions(self) -> t.List[t.Tuple[str, t.Pattern[str]]]:
        """Each pattern with its compiled form."""
        return [(text, re.compile(".*?".join(re.escape(part) for part in text.split(GAP)))) for text in self.patterns]
