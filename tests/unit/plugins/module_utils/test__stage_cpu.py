# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_cpu as cpu
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import scan_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture

CPUINFO = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags\t\t: fpu\n\n"
    "processor\t: 1\ncpu family\t: 99\n"
)
LACKS = "(00.000010) Error (criu/cr-check.c:1): x\n(00.000020) cpu: Error (criu/arch/x86/cpu.c:2): CPU instruction capabilities do not match run time\n"


def test_the_same_words_as_the_archive():
    assert cpu.here(CPUINFO) == scan_file(fixture("containerd-counter-counter")).identity.cpu


@pytest.mark.parametrize("text", ["", "processor : 0\nBogoMIPS : 50\nCPU implementer : 0x41\n"])
def test_a_machine_that_does_not_say(text):
    assert cpu.here(text) is None


@pytest.mark.parametrize(("source", "target", "compared", "said"), [
    ("a", "a", False, False), ("a", "b", False, True), ("a", "b", True, False), (None, "b", False, False), ("a", None, False, False),
])
def test_when_there_is_a_warning(source, target, compared, said):
    assert (cpu.warning(source, target, compared) is not None) == said


def test_nothing_is_asked_where_the_checkpoint_does_not_say(tmp_path):
    assert cpu.compare(str(tmp_path), lambda argv: pytest.fail("called"), "/usr/sbin/criu") is False


def test_criu_compares(tmp_path):
    (tmp_path / "cpuinfo.img").write_bytes(b"x")
    calls = []
    assert cpu.compare(str(tmp_path), lambda argv: calls.append(argv) or (0, "", ""), "/usr/sbin/criu") is True
    assert calls == [["/usr/sbin/criu", "cpuinfo", "check", "--images-dir", str(tmp_path)]]


def test_what_is_missing_is_said(tmp_path):
    (tmp_path / "cpuinfo.img").write_bytes(b"x")
    with pytest.raises(RestoreError, match="CPU instruction capabilities do not match run time"):
        cpu.compare(str(tmp_path), lambda argv: (1, "", LACKS), "/usr/sbin/criu")
    with pytest.raises(RestoreError, match="it gave no reason"):
        cpu.compare(str(tmp_path), lambda argv: (1, "", ""), "/usr/sbin/criu")


def test_without_criu(tmp_path):
    (tmp_path / "cpuinfo.img").write_bytes(b"x")
    with pytest.raises(RestoreError, match="is not installed"):
        cpu.compare(str(tmp_path), lambda argv: (0, "", ""), None)
