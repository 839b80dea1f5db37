# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's version, for records and for what runs on nodes. The same as in galaxy.yml, which a test compares.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.
"""

from __future__ import annotations

VERSION = "0.1.0"
