# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this node's CPU go on with what another CPU was computing? Asked when a restore is staged, before its pod waits for it.

PRIVATE to the collection. CRIU compares instruction sets only where the checkpoint carries C(cpuinfo.img), that is when
CRIU was told so on the source (C(criu_cpu_cap) of the role criu). Without it a restore on a lesser CPU may succeed and the
process die later of an illegal instruction, so that another CPU is worth a warning.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError

CPUINFO_IMAGE = "cpuinfo.img"
# As ansible's run_command: status, output, errors.
Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def here(cpuinfo: str) -> t.Optional[str]:
    """This node's CPU, in the words in which a checkpoint names its own; None where /proc/cpuinfo does not say (not x86)."""
    found: t.Dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    if not all(found.get(name) for name in ("vendor_id", "cpu family", "model name")):
        return None
    return "%s family %s %s" % (found["vendor_id"], found["cpu family"], found["model name"])


def warning(source: t.Optional[str], target: t.Optional[str], compared: bool) -> t.Optional[str]:
    """What is to be said about two CPUs. compared: CRIU compared their instruction sets and found nothing missing."""
    if not source or not target or source == target or compared:
        return None
    return (
        "the checkpoint was made on the CPU %r and this node has %r; CRIU compares their instruction sets only where "
        "criu_cpu_cap was set on the source, so the restored process may meet an instruction that this CPU lacks" % (source, target)
    )


def compare(images: str, run: Run, criu: t.Optional[str]) -> bool:
    """Have CRIU compare this CPU with the checkpoint's; False where the checkpoint does not say. RestoreError if it lacks something."""
    if not os.path.exists(os.path.join(images, CPUINFO_IMAGE)):
        return False
    if not criu:
        raise RestoreError("the checkpoint says which CPU it needs, and criu, which compares that, is not installed on this node")
    status, out, err = run([criu, "cpuinfo", "check", "--images-dir", images])
    if status != 0:
        lines = [line.strip() for line in (out + "\n" + err).splitlines() if "Error" in line]
        raise RestoreError("this node's CPU lacks what the checkpoint needs (criu cpuinfo check ended with status %d): %s"
                           % (status, "; ".join(lines)[:500] or "it gave no reason"))
    return True


class Cpu:
    """This node's CPU, as far as staging needs it. C(cpuinfo) is the text of /proc/cpuinfo."""

    def __init__(self, cpuinfo: str, run: Run, criu: t.Optional[str]) -> None:
        self._name, self._run, self._criu = here(cpuinfo), run, criu

    def judge(self, source: t.Optional[str], images: t.Optional[str]) -> t.List[str]:
        """Warnings; RestoreError where the CPU is known to lack something. images: the unpacked ones, None where there are none yet."""
        compared = compare(images, self._run, self._criu) if images else False
        said = warning(source, self._name, compared)
        return [said] if said else []
