# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real kubelets answered, byte for byte (fixtures/kubelet)."""

from __future__ import annotations

import os
import re

KUBELET = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "kubelet")
_ENTRY = re.compile(r"^== ([^\n]+)\n(.*?)\nHTTP (\d+) ?([^\n]*)$", re.DOTALL | re.MULTILINE)


def recorded(name="answers.txt"):
    """A dictionary: title -> (status, body, content type). A title that comes twice keeps its last answer."""
    with open(os.path.join(KUBELET, name), encoding="utf-8") as stream:
        text = stream.read()
    return {match.group(1): (int(match.group(3)), match.group(2), match.group(4)) for match in _ENTRY.finditer(text)}
