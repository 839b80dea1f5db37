# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node a Pod shall be restored on, as far as its Node object and C(node_info) tell.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info_assess import image_path

# Kubernetes' word for a machine to C(uname -m)'s.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


@dataclass(frozen=True)
class Target:
    """engine, version, arch, handler: None when nobody said. paths: restore paths by name. images: what the Node object lists."""

    node: str
    engine: t.Optional[str]
    version: t.Optional[str]
    arch: t.Optional[str]
    paths: t.Mapping[str, t.Mapping[str, t.Any]]
    images: t.FrozenSet[str] = frozenset()
    cordoned: bool = False
    # The name under which the container runtime there knows the restore handler.
    handler: t.Optional[str] = None
    warnings: t.Tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For messages."""
        return "%s (%s %s)" % (
            self.node,
            self.engine or "unknown container runtime",
            self.version or "of unknown version",
        )


def _ready(node: t.Mapping[str, t.Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _check_node_info(info: t.Mapping[str, t.Any]) -> None:
    if not isinstance(info.get("restore_paths"), list) or not isinstance(info.get("node"), dict):
        raise InputError("node_info must be a result of the module node_info: it has no 'restore_paths' and 'node'")


def target(name: str, node: t.Optional[t.Mapping[str, t.Any]], info: t.Optional[t.Mapping[str, t.Any]]) -> Target:
    """node: the Node object, None when it may not be read. info: the result of node_info on that node, if there is one."""
    warnings = []
    status = (node or {}).get("status") or {}
    if node is not None and not _ready(node):
        raise RestoreError("the target node %s is not Ready: a pod would not start there" % name)
    cordoned = bool(((node or {}).get("spec") or {}).get("unschedulable"))
    if cordoned:
        warnings.append("the target node %s is cordoned" % name)
    system = status.get("nodeInfo") or {}
    engine, _separator, version = (system.get("containerRuntimeVersion") or "").partition("://")
    arch = system.get("architecture")
    arch = _MACHINES.get(arch, arch)
    if info is not None:
        _check_node_info(info)
        facts = info["node"]
        known = facts.get("engine")
        if engine and known and engine != known:
            raise InputError(
                "node_info is not of the node %s: it says %s, the Node object says %s" % (name, known, engine)
            )
        engine, version, arch = known or engine, facts.get("engine_version") or version, facts.get("arch") or arch
        paths = {path["name"]: path for path in info["restore_paths"]}
        handler = (facts.get("restore_handler") or {}).get("runtime")
    else:
        handler = None
        paths = {"image": image_path(engine or None, version or None, None)} if engine else {}
    images = frozenset(name for image in status.get("images") or [] for name in image.get("names") or [])
    return Target(
        name, engine or None, version or None, arch or None, paths, images, cordoned, handler, tuple(warnings)
    )
