# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the archive will be, how long the container stands still, what time-out and how much space that needs.
Pure.

PRIVATE to the collection. The rates are those measured on small machines with 2 cores (1 GiB of incompressible
memory: containerd stops the
program for about 5 s, CRI-O for the whole 2.1 s that the archive takes); a faster disk makes them shorter.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_memory import derived_timeout
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Reason,
    Snapshot,
    reason,
)

MIB, GIB = 1 << 20, 1 << 30
# Images of an empty process, configuration, logs of CRIU.
_BASE_BYTES = 512 * 1024
_PER_PROCESS = 64 * 1024
_BASE_SECONDS = 0.3
_PER_PROCESS_SECONDS = 0.01
_SECONDS_PER_GIB = {"containerd": 5.0, "cri-o": 2.5}
# While it is made, the images exist beside the archive; then the archive alone.
_COPIES = 2


def estimate(snapshot: Snapshot) -> t.Dict[str, t.Any]:
    """memory_bytes, rootfs_bytes, archive_bytes, freeze_seconds, timeout_seconds, needed_bytes (while it is made)."""
    tree = snapshot.tree
    private = sum(process.anonymous_bytes + process.swapped_bytes for process in tree)
    # Shared memory is saved once, and counted by everybody who has it.
    shared = max([process.shared_bytes for process in tree] or [0])
    ghosts = sum(
        {(entry.inode): entry.size for process in tree for entry in process.descriptors if entry.deleted}.values()
    )
    memory = private + shared
    rootfs = snapshot.rootfs_bytes or 0
    images = memory + ghosts + _BASE_BYTES + _PER_PROCESS * len(tree)
    archive = images + rootfs + snapshot.log_bytes
    rate = _SECONDS_PER_GIB.get(snapshot.host.engine, _SECONDS_PER_GIB["containerd"])
    work = archive if snapshot.host.engine == "cri-o" else memory + ghosts
    return {
        "memory_bytes": memory,
        "rootfs_bytes": snapshot.rootfs_bytes,
        "archive_bytes": archive,
        "needed_bytes": images * (_COPIES - 1) + archive,
        "freeze_seconds": round(_BASE_SECONDS + _PER_PROCESS_SECONDS * len(tree) + rate * work / GIB, 2),
        "timeout_seconds": derived_timeout(max(memory, snapshot.memory_bytes or 0)),
    }


def check(snapshot: Snapshot, estimated: t.Mapping[str, t.Any]) -> t.List[Reason]:
    """Space on the node, in the store and on the target."""
    host = snapshot.host
    archive, needed = estimated["archive_bytes"], estimated["needed_bytes"]
    found: t.List[Reason] = []
    for place, free, wanted, what in (
        (host.checkpoint_dir, host.free_bytes, archive, "the archive"),
        (host.state_dir, host.state_free_bytes, needed, "the checkpoint while it is made"),
        ("the store", host.store_free_bytes, archive, "the archive"),
    ):
        found += _space(place, free, wanted, what, (CHECKPOINT,))
    # Pulled, unpacked, and in memory again.
    found += _space(
        "the target", host.target_free_bytes, 2 * archive, "the image and what is unpacked of it", (RESTORE,)
    )
    limit = _memory_limit(snapshot)
    if limit is not None and estimated["memory_bytes"] > 0.95 * limit:
        found.append(
            reason(
                "memory-limit",
                WARNING,
                (RESTORE,),
                "the container holds %d MiB of its limit of %d MiB; a restore needs a little more than that for a"
                " moment" % (estimated["memory_bytes"] // MIB, limit // MIB),
                "a higher memory limit for the restored pod",
                error="killed by signal 9",
                bytes=estimated["memory_bytes"],
            )
        )
    if estimated["timeout_seconds"] > 120:
        found.append(
            reason(
                "long-checkpoint",
                INFO,
                (CHECKPOINT,),
                "the kubelet's own time-out of 120 s may be too short for %d MiB" % (estimated["memory_bytes"] // MIB),
                "timeout: %d (the module checkpoint does so by itself)" % estimated["timeout_seconds"],
                error="context deadline exceeded",
            )
        )
    return found


def _space(place: str, free: t.Optional[int], wanted: int, what: str, affects: t.Sequence[str]) -> t.List[Reason]:
    if free is None or free >= 2 * wanted:
        return []
    severity = ERROR if free < wanted else WARNING
    return [
        reason(
            "no-space",
            severity,
            affects,
            "%s has %d MiB free; %s needs about %d MiB" % (place, free // MIB, what, wanted // MIB),
            "remove old archives (archive_prune), or use another place",
            error="No space left on device",
            path=place,
            bytes=wanted,
            free=free,
        )
    ]


def _memory_limit(snapshot: Snapshot) -> t.Optional[int]:
    memory = ((snapshot.spec.get("linux") or {}).get("resources") or {}).get("memory") or {}
    limit = memory.get("limit")
    return int(limit) if isinstance(limit, int) and 0 < limit < 1 << 60 else None
