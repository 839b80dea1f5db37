# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet of a node is set to: its own answer under /configz, or its configuration file where it was not asked.

PRIVATE to the collection. Pure. The file is YAML, which the node's Python cannot read; two settings are looked for in the plain
form in which kubeadm and people write them, and anything else counts as not known.
"""

from __future__ import annotations

import re
import typing as t

CONFIG_FILE = "/var/lib/kubelet/config.yaml"
_GATES = re.compile(r"^featureGates:[ \t]*(\{[^}\n]*\})?[^\n]*\n?((?:[ \t]+[^\n]*\n|\n)*)", re.MULTILINE)
_GATE = re.compile(r"[\"']?ContainerCheckpoint[\"']?\s*:\s*[\"']?(true|false)\b")
_HANDLERS = re.compile(r"^enableDebuggingHandlers:\s*(true|false)\s*(?:#.*)?$", re.MULTILINE)


def from_file(text: t.Optional[str]) -> t.Dict[str, t.Any]:
    """{featureGates?, enableDebuggingHandlers?} of a KubeletConfiguration's text."""
    found: t.Dict[str, t.Any] = {}
    text = (text or "") + "\n"
    block = _GATES.search(text)
    gate = _GATE.search((block.group(1) or "") + "\n" + _without_comments(block.group(2))) if block else None
    if gate:
        found["featureGates"] = {"ContainerCheckpoint": gate.group(1) == "true"}
    handlers = _HANDLERS.search(text)
    if handlers:
        found["enableDebuggingHandlers"] = handlers.group(1) == "true"
    return found


def _without_comments(text: str) -> str:
    return "\n".join(line.split("#", 1)[0] for line in text.splitlines())


def facts(
    version_text: t.Optional[str], configz: t.Optional[t.Mapping[str, t.Any]], file_text: t.Optional[str]
) -> t.Dict[str, t.Any]:
    """The facts about the kubelet. A kubelet's own answer outranks its file."""
    if configz is not None:
        source: t.Optional[str] = "configz"
        running = configz.get("kubeletconfig", configz) or {}
    else:
        source = CONFIG_FILE if file_text is not None else None
        running = from_file(file_text)
    version = re.search(r"v(\d+\.\d+\.\d+\S*)", version_text or "")
    gates = running.get("featureGates") or {}
    return {
        "kubelet_version": version.group(1) if version else None,
        "kubelet_gate": gates.get("ContainerCheckpoint"),
        "debugging_handlers": running.get("enableDebuggingHandlers"),
        "kubelet_config_from": source,
    }
