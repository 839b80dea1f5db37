# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer runs: end staged restores whose time is over, and remove old history and remains."""

from __future__ import annotations

import os
import time

import report
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from settings import Settings


def run(config: Settings) -> int:
    """Expire and say in the journal what was done."""
    if not os.path.isdir(config.staging):
        return 0
    stage.check_root(config.staging)
    for name, what in stage.expire(config.staging, time.time(), config.keep_history):
        report.journal("staged restore %s: %s" % (name, what))
    return 0
