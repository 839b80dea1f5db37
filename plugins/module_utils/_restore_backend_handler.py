# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore back-end 'handler': the Pod keeps its ordinary image, and an OCI runtime handler on the node restores what is staged
there for its UID.

PRIVATE to the collection. Pure. What a back-end is stands in C(_restore_backends). The Pod is created behind a scheduling gate,
because it has no UID before it exists and must not start before its checkpoints are staged.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import Object, Restored
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_target import Target

NAME = "handler"
# The source's own: the checkpoint is used once, and a container that crashes starts as its image says.
RESTART_POLICY = None
GATED = True
# What the role restore_handler calls the runtime and its RuntimeClass when nobody says otherwise.
DEFAULT_RUNTIME_CLASS = "container-checkpoint"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def usable(target: Target) -> t.Tuple[t.Optional[bool], str, str]:
    """(whether this path works on the target, None when that cannot be told; why; remedy)."""
    path = target.paths.get(NAME)
    if path is None:
        return None, "nobody asked that node for its restore handler", "give node_info"
    return bool(path.get("enabled")), str(path.get("why") or ""), str(path.get("remedy") or "")


def check(items: t.Sequence[Restored], target: Target) -> t.List[str]:
    """Refuse what this path cannot restore on that node; returns warnings."""
    if target.cordoned:
        raise RestoreError(
            "the target node %s is cordoned, so the scheduler would never put the pod there: uncordon it first"
            % target.node
        )
    for item in items:
        if item.archive_sha256 is not None and not _SHA256.fullmatch(item.archive_sha256):
            raise InputError("archive_sha256 of container %s is not 64 hexadecimal digits" % item.name)
        image = ImageReference.parse(item.image) if item.image else None
        if image is not None and not image.digest:
            raise InputError("the checkpoint image %s of container %s is not given by digest" % (item.image, item.name))
        if image is None and not item.archive_sha256:
            raise InputError(
                "no checkpoint is given for container %s: give archive_sha256, or the checkpoint image by digest"
                % item.name
            )
        if not item.base_image:
            raise RestoreError(
                "the image that container %s was started from is not known by digest: give base_image (name@sha256:…), as "
                "the archive's record names it" % item.name
            )
        if not ImageReference.parse(item.base_image).digest:
            raise InputError("base_image %s of container %s is not given by digest" % (item.base_image, item.name))
    return []


def apply(container: Object, item: Restored) -> None:
    """Make a container of the new Pod one that can be restored: everything stays, because a crash starts it as it says."""
    container["image"] = item.base_image
    container["imagePullPolicy"] = "IfNotPresent"
