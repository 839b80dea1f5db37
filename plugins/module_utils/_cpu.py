# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what programs can see of two CPUs: flags of /proc/cpuinfo, and what C(criu cpuinfo dump) wrote. Pure.

PRIVATE to the collection. Of the many flags only those count that a program can come to depend on: instructions, and
the
registers that are saved with a process. Flags about virtualisation, mitigations and power are of no concern.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_image
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

_X86 = re.compile(
    r"(?:mmx|mmxext|3dnow|3dnowext|fxsr|sse\d?|sse4_[12]|sse4a|ssse3|pni|avx\w*|fma4?|f16c|bmi[12]|abm|lzcnt|popcnt|"
    r"movbe|aes|vaes|pclmulqdq|vpclmulqdq|gfni|sha_ni|sha512|sm[34]|adx|rdrand|rdseed|rdtscp|rdpid|fsgsbase|xsave\w*|"
    r"pku|ospke|amx_\w+|rtm|hle|xop|tbm|lwp|cx16|cx8|cmov|lahf_lm|clflush\w*|clwb|clzero|cldemote|movdiri|movdir64b|"
    r"enqcmd|serialize|waitpkg|user_shstk|lm|fpu|tsc|syscall|uintr|cmpccxadd|raoint|wbnoinvd)"
)
# Those whose registers are part of the saved frame: CRIU refuses to restore without them.
_FRAME = re.compile(r"(?:avx|avx512\w*|pku|ospke|amx_\w+|user_shstk|fxsr|xsave|sve\w*|sme\w*)")
_XFEATURES = ("x87", "SSE", "AVX", "MPX", "MPX", "AVX-512", "AVX-512", "AVX-512", "PT", "PKRU", "PASID", "CET", "CET")

Cpu = t.Mapping[str, t.Any]


def _flags(cpu: Cpu) -> t.Set[str]:
    flags = set(cpu.get("flags") or ())
    # An x86 always has an FPU flag; other architectures list nothing but what a program sees.
    return {flag for flag in flags if _X86.fullmatch(flag)} if "fpu" in flags else flags


def frame_features(cpu: Cpu) -> t.Optional[int]:
    """The bit mask of registers that are saved with every process, as CRIU wrote it; None where it did not."""
    try:
        data = base64.b64decode(cpu.get("criu_image") or "", validate=True)
        for entry in _criu_image.entries(data, "cpuinfo"):
            x86 = _criu_image.message(entry, 1)
            if x86 is not None and 8 in x86:
                return _criu_image.number(x86, 8)
    except (binascii.Error, ArchiveError, ValueError, TypeError):
        return None
    return None


def missing(source: Cpu, target: Cpu) -> t.Tuple[t.List[str], t.List[str]]:
    """(registers of the saved frame, other instructions) that the target's CPU has not."""
    lacking = sorted(_flags(source) - _flags(target))
    frame = [flag for flag in lacking if _FRAME.fullmatch(flag)]
    others = [flag for flag in lacking if flag not in frame]
    mine, theirs = frame_features(source), frame_features(target)
    if mine is not None and theirs is not None and not frame:
        above = mine & (mine ^ theirs)
        frame = [
            _XFEATURES[bit] if bit < len(_XFEATURES) else "state %d" % bit for bit in range(64) if above >> bit & 1
        ]
    return frame, others
