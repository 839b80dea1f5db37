# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore back-end 'image': the container's image is its checkpoint, and the runtime of the node restores it.

PRIVATE to the collection. Pure. What a back-end is stands in C(_restore_backends).
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import CONTAINERD, CRIO
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci_checkpoint import (
    CONTAINERD_KEY,
    CRIO_KEY,
    CRIU_PREFIX,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import Object, Restored
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_target import Target

NAME = "image"
# A crash would restore the same checkpoint again and go back in time.
RESTART_POLICY = "Never"
GATED = False

_KEYS = {CONTAINERD: CONTAINERD_KEY, CRIO: CRIO_KEY}


def usable(target: Target) -> t.Tuple[t.Optional[bool], str, str]:
    """(whether this path works on the target, None when that cannot be told; why; remedy)."""
    path = target.paths.get(NAME)
    if path is None:
        return (
            None,
            "nothing is known about the container runtime of %s" % target.node,
            "give node_info, or the right to get nodes",
        )
    return path.get("enabled"), str(path.get("why") or ""), str(path.get("remedy") or "")


def check(items: t.Sequence[Restored], target: Target) -> t.List[str]:
    """Refuse what this path cannot restore on that node; returns warnings."""
    warnings = []
    for item in items:
        if not item.image:
            raise InputError(
                "no checkpoint image is given for container %s, and the back-end image restores from nothing else" % item.name
            )
        reference = ImageReference.parse(item.image)
        if not reference.digest:
            raise InputError(
                "the checkpoint image %s of container %s is not given by digest: a tag can be moved to another image "
                "between "
                "the check and the pull. Use name@sha256:…, as the image module returns it" % (item.image, item.name)
            )
        if not item.annotations:
            warnings.append(
                "the annotations of %s are not known here, so its engine and platform could not be compared with the "
                "target's"
                % item.image
            )
            continue
        _check_annotations(item, target)
    return warnings


def _check_annotations(item: Restored, target: Target) -> None:
    made_by = item.annotations.get(CRIU_PREFIX + "engine.name")
    if made_by and target.engine and made_by != target.engine:
        raise RestoreError(
            "the checkpoint of container %s was made by %s and the target %s runs %s: a checkpoint image can only be "
            "restored by the "
            "engine that made it. Choose a %s node as target"
            % (item.name, made_by, target.node, target.engine, made_by)
        )
    key = _KEYS.get(target.engine or "")
    if key and key not in item.annotations:
        raise RestoreError(
            "the manifest of %s has no annotation %s, by which %s recognises a checkpoint: it would start as an "
            "ordinary image "
            "and fail. Make it with the image module of this collection" % (item.image, key, target.engine)
        )
    arch = item.annotations.get(CRIU_PREFIX + "host.arch")
    if arch and target.arch and arch != target.arch:
        raise RestoreError(
            "the checkpoint of container %s was made on %s and the target %s is %s"
            % (item.name, arch, target.node, target.arch)
        )


def apply(container: Object, item: Restored) -> None:
    """Make a container of the new Pod a restored one."""
    container["image"] = item.image
    # By digest, so what is there is right; a restart must not depend on the registry.
    container["imagePullPolicy"] = "IfNotPresent"
    # The restored process has its own. Left in place, a runtime that does not recognise the image would try to run it there.
    container.pop("command", None)
    container.pop("args", None)
