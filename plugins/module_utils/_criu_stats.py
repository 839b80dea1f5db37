# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What CRIU measured while it dumped: the image C(stats-dump).

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_image as image

# Times are in microseconds.
_FIELDS = {
    1: "freezing_us",
    2: "frozen_us",
    3: "memdump_us",
    4: "memwrite_us",
    5: "pages_scanned",
    6: "pages_skipped_parent",
    7: "pages_written",
    9: "pages_lazy",
}


def dump_statistics(data: bytes) -> t.Optional[t.Dict[str, int]]:
    """The numbers of a dump, None if the image holds none; ArchiveError if it is not such an image."""
    for entry in image.entries(data, "stats", "stats-dump"):
        dump = image.message(entry, 1)
        if dump:
            return {name: image.number(dump, number) for number, name in _FIELDS.items()}
    return None
