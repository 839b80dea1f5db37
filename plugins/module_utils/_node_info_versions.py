# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about versions: which can checkpoint, which can restore, which weaknesses they have, which CRIU fits a kernel.

PRIVATE to the collection. Pure, data first, and the one place for it: C(node_info) uses it for the node it runs on,
C(pod_restore) for the engine and version that the target's Node object names, the roles through the filters
C(runtime_support) and C(kernel_support), and the documentation's table of distributions.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

Version = t.Tuple[int, int, int]
CONTAINERD = "containerd"
CRIO = "cri-o"

# How a version restores from a checkpoint image.
NEVER = "never"  # not yet built
ALWAYS = "always"  # no switch, on
OFF_UNLESS_SET = "off-unless-set"
REMOVED = "removed"

CRIU_MIN: Version = (3, 16, 0)
_END: Version = (9999, 0, 0)

# (engine, since, below, checkpoint, restore from an image)
_ENGINES: t.Tuple[t.Tuple[str, Version, Version, bool, str], ...] = (
    (CONTAINERD, (0, 0, 0), (2, 0, 0), False, NEVER),
    (CONTAINERD, (2, 0, 0), (2, 1, 0), True, NEVER),
    (CONTAINERD, (2, 1, 0), (2, 2, 7), True, ALWAYS),
    (CONTAINERD, (2, 2, 7), (2, 3, 0), True, OFF_UNLESS_SET),
    (CONTAINERD, (2, 3, 0), (2, 3, 4), True, ALWAYS),
    (CONTAINERD, (2, 3, 4), (2, 4, 0), True, OFF_UNLESS_SET),
    (CONTAINERD, (2, 4, 0), _END, True, REMOVED),
    (CRIO, (0, 0, 0), (1, 25, 0), False, NEVER),
    (CRIO, (1, 25, 0), (1, 26, 0), True, NEVER),
    (CRIO, (1, 26, 0), (1, 34, 14), True, ALWAYS),
    (CRIO, (1, 34, 14), (1, 35, 0), True, OFF_UNLESS_SET),
    (CRIO, (1, 35, 0), (1, 35, 9), True, ALWAYS),
    (CRIO, (1, 35, 9), (1, 36, 0), True, OFF_UNLESS_SET),
    (CRIO, (1, 36, 0), (1, 36, 6), True, ALWAYS),
    (CRIO, (1, 36, 6), _END, True, OFF_UNLESS_SET),
)


@dataclass(frozen=True)
class Cve:
    """A weakness. only_if_restore: it is there only while restoring is on."""

    id: str
    engine: str
    ranges: t.Tuple[t.Tuple[Version, Version], ...]
    fixed_in: str
    text: str
    only_if_restore: bool = False


_HARDENED = (((2, 1, 0), (2, 1, 9)), ((2, 2, 0), (2, 2, 5)), ((2, 3, 0), (2, 3, 2)))
CVES = (
    Cve(
        "CVE-2026-50195",
        CONTAINERD,
        _HARDENED,
        "2.1.9, 2.2.5, 2.3.2",
        "a checkpoint image can change what another image's tag means on this node",
    ),
    Cve(
        "CVE-2026-53492",
        CONTAINERD,
        _HARDENED,
        "2.1.9, 2.2.5, 2.3.2",
        "a checkpoint archive can bring the host's devices into a container",
    ),
    Cve(
        "CVE-2026-53489",
        CONTAINERD,
        _HARDENED,
        "2.1.9, 2.2.5, 2.3.2",
        "links in a checkpoint archive can make the runtime read the host's files",
    ),
    Cve(
        "CVE-2026-95837",
        CONTAINERD,
        (((2, 1, 0), (2, 4, 0)),),
        "2.2.7, 2.3.4 (by switching restore off)",
        "a restored process keeps the privileges of the checkpoint whatever the new pod's securityContext says",
        True,
    ),
    Cve(
        "CVE-2024-8676",
        CRIO,
        (((1, 25, 0), (1, 29, 8)), ((1, 30, 0), (1, 30, 6)), ((1, 31, 0), (1, 31, 1))),
        "1.29.8, 1.30.6, 1.31.1",
        "a checkpoint can bring mounts of the host that the new pod does not have",
    ),
    Cve(
        "CVE-2026-92574",
        CRIO,
        (((1, 25, 0), _END),),
        "1.34.14, 1.35.9, 1.36.6 (by switching restore off)",
        "a restored process keeps the privileges of the checkpoint whatever the new pod's securityContext says",
        True,
    ),
)

# (kernel from, CRIU needed, what is known)
_KERNELS: t.Tuple[t.Tuple[Version, Version, str], ...] = (
    ((6, 13, 0), (4, 1, 0), "kernel 6.13 and later needs CRIU 4.1 or later"),
    ((7, 1, 0), (4, 2, 1), "kernel 7.1 and later needs a CRIU newer than 4.2"),
)
# Kernels that no released CRIU is known to handle.
_KERNEL_UNPROVEN: Version = (7, 1, 0)
_RSEQ_KERNEL: Version = (5, 13, 0)


def parse(text: t.Optional[str]) -> t.Optional[Version]:
    """The first version number in a text such as 'v2.1.9~ds1', '6.18.44-fc', '4.2'; None when there is none."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text or "")
    return (int(match.group(1)), int(match.group(2)), int(match.group(3) or 0)) if match else None


def _engine_row(engine: str, version: t.Optional[Version]) -> t.Optional[t.Tuple[str, Version, Version, bool, str]]:
    if version is None:
        return None
    return next((row for row in _ENGINES if row[0] == engine and row[1] <= version < row[2]), None)


def engine_checkpoints(engine: str, version: t.Optional[Version]) -> t.Optional[bool]:
    """Whether this engine has CheckpointContainer; None when engine or version is unknown."""
    row = _engine_row(engine, version)
    return row[3] if row else None


def engine_restores(engine: str, version: t.Optional[Version]) -> t.Optional[str]:
    """NEVER, ALWAYS, OFF_UNLESS_SET or REMOVED; None when engine or version is unknown."""
    row = _engine_row(engine, version)
    return row[4] if row else None


def cves(engine: str, version: t.Optional[Version], restore_on: bool) -> t.List[Cve]:
    """The known weaknesses of this engine's checkpoint and restore."""
    if version is None:
        return []
    return [
        cve
        for cve in CVES
        if cve.engine == engine
        and (restore_on or not cve.only_if_restore)
        and any(since <= version < below for since, below in cve.ranges)
    ]


def open_weaknesses(engine: str, version: t.Optional[Version], restore_wanted: bool) -> t.List[Cve]:
    """What stands against running this version: opting in accepts what restoring itself is, and without it that counts
    only where the version restores unasked."""
    unasked = engine_restores(engine, version) == ALWAYS
    return [cve for cve in cves(engine, version, True) if not cve.only_if_restore or (unasked and not restore_wanted)]


def text(version: t.Optional[Version]) -> t.Optional[str]:
    """The version in writing."""
    return "%d.%d.%d" % version if version else None


def criu_for_kernel(kernel: Version) -> t.Tuple[Version, str]:
    """(the oldest CRIU for this kernel, why)."""
    for since, needed, why in reversed(_KERNELS):
        if kernel >= since:
            return needed, why
    return CRIU_MIN, "the container runtimes accept nothing older"


def kernel_below(criu: t.Optional[Version]) -> t.Optional[Version]:
    """The first kernel that this CRIU cannot serve; None when none is known."""
    if criu is None:
        return None
    return next((since for since, needed, _why in _KERNELS if criu < needed), None)


def kernel_needs(kernel: t.Optional[Version], criu: t.Optional[Version]) -> t.Optional[str]:
    """Why this CRIU does not fit this kernel, or None."""
    if kernel is None or criu is None:
        return None
    needed, why = criu_for_kernel(kernel)
    return why if criu < needed and needed != CRIU_MIN else None


def kernel_unproven(kernel: t.Optional[Version]) -> bool:
    """Whether no CRIU is known to have worked with a kernel as new as this."""
    return kernel is not None and kernel >= _KERNEL_UNPROVEN


def kernel_has_rseq_query(kernel: t.Optional[Version]) -> t.Optional[bool]:
    """Whether the kernel's number promises what CRIU needs for programs with rseq (vendors backport it)."""
    return None if kernel is None else kernel >= _RSEQ_KERNEL


def kubelet_serves_checkpoints(version: t.Optional[Version], gate: t.Optional[bool]) -> t.Optional[bool]:
    """Whether the kubelet has the endpoint: gate as configured (None: not set), else by the version's default."""
    if version is not None and version < (1, 25, 0):
        return False
    if gate is not None:
        return gate
    return None if version is None else version >= (1, 30, 0)
