# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception of the lab: a message for a person, saying what failed and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Something that the person at the keyboard can act on."""
