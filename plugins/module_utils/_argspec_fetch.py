# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of archive_fetch, for the action plugin and the module.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t


def fetch_argument_spec() -> t.Dict[str, t.Dict[str, t.Any]]:
    """The options that people give."""
    return {
        "src": {"type": "path", "required": True},
        "dest": {"type": "path", "required": True},
        "compress": {"type": "str", "choices": ["none", "zstd"], "default": "none"},
        "recipients": {"type": "list", "elements": "str"},
        "recipients_file": {"type": "path"},
        "remove_source": {"type": "bool", "default": False},
        "verify": {"type": "bool", "default": False},
        "identity_file": {"type": "path"},
        "force": {"type": "bool", "default": False},
        "retries": {"type": "int", "default": 3},
        "progress_seconds": {"type": "float", "default": 10.0},
    }
