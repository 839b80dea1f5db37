# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of kubectl that is there to be installed and held, says its version, and records how it was called."""

from __future__ import annotations

import json
import os
import sys

LOG = "/var/log/kubernetes-doubles/calls.jsonl"
os.makedirs(os.path.dirname(LOG), exist_ok=True)
with open(LOG, "a", encoding="utf-8") as log:
    log.write(json.dumps({"program": "kubectl", "argv": sys.argv[1:]}) + "\n")
with open("/usr/lib/kubernetes-doubles/kubectl.version", encoding="utf-8") as source:
    print("Client Version: " + source.read().strip())
