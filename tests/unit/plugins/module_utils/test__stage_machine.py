# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What staging says about the machine: processor, instruction sets and kernel. The archive is a real one."""
from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage_build as build
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_cpu import Cpu
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture_bytes

ARCHIVE = fixture_bytes("containerd-counter-counter")
SAME = "vendor_id : AuthenticAMD\ncpu family : 25\nmodel name : AMD EPYC\n"
OTHER = SAME.replace("25", "23")


def with_cpuinfo():
    """The archive as CRIU makes it when it was told to note the processor."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as given, tarfile.open(fileobj=out, mode="w") as tar:
        for member in given:
            tar.addfile(member, given.extractfile(member) if member.isreg() else None)
        added = tarfile.TarInfo("checkpoint/cpuinfo.img")
        added.size = 4
        tar.addfile(added, io.BytesIO(b"\x01\x02\x03\x04"))
    return out.getvalue()


def put(root, data, cpu):
    order = build.Order("default", "counter", "counter", hashlib.sha256(data).hexdigest(), pod_uid="u")
    return build.stage(root, order, lambda sinks: [sink(data) for sink in sinks], cpu)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(build.platform, "release", lambda: "99.0")
    return str(tmp_path / "restore")


def test_an_older_kernel_is_said(root, monkeypatch):
    monkeypatch.setattr(build.platform, "release", lambda: "5.13.0-x")
    warnings = put(root, ARCHIVE, None).warnings
    assert len(warnings) == 1 and "this node runs the older 5.13.0-x" in warnings[0]


def test_the_same_processor_is_not_worth_a_word(root):
    assert put(root, ARCHIVE, Cpu(SAME, lambda argv: pytest.fail("called"), "/criu")).warnings == []


def test_another_processor_is_said(root):
    warnings = put(root, ARCHIVE, Cpu(OTHER, lambda argv: pytest.fail("called"), "/criu")).warnings
    assert len(warnings) == 1 and "may meet an instruction that this CPU lacks" in warnings[0]


def test_another_processor_that_criu_compared(root):
    seen = []

    def run(argv):
        seen.append((argv[:4], os.path.getsize(os.path.join(argv[4], "cpuinfo.img"))))
        return 0, "", ""

    assert put(root, with_cpuinfo(), Cpu(OTHER, run, "/criu")).warnings == []
    assert seen == [(["/criu", "cpuinfo", "check", "--images-dir"], 4)]


def test_a_processor_that_lacks_something_is_refused(root):
    lacks = "(00.1) Error (criu/arch/x86/cpu.c:2): CPU instruction capabilities do not match run time"
    with pytest.raises(RestoreError, match="CPU instruction capabilities do not match run time"):
        put(root, with_cpuinfo(), Cpu(OTHER, lambda argv: (1, "", lacks), "/criu"))
    assert stage.entries(root) == []
    assert os.listdir(os.path.join(root, "incoming")) == []
