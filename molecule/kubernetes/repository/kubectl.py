# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of kubectl that is there to be installed and held, and says its version."""

from __future__ import annotations

with open("/usr/lib/kubernetes-doubles/kubectl.version", encoding="utf-8") as source:
    print("Client Version: " + source.read().strip())
