# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_memory import (
    GIB,
    Cgroups,
    derived_timeout,
    own_deadline,
)

ID = "ab" * 32


@pytest.mark.parametrize(
    "memory,seconds",
    [(None, 120), (0, 120), (GIB, 120), (2 * GIB, 120), (2 * GIB + 1, 121), (10 * GIB, 360), (100 * GIB, 3060)],
)
def test_timeout(memory, seconds):
    assert derived_timeout(memory) == seconds


@pytest.mark.parametrize("timeout,deadline", [(1, 180), (120, 180), (600, 660)])
def test_our_deadline_is_always_longer(timeout, deadline):
    assert own_deadline(timeout) == deadline > timeout


@pytest.mark.parametrize(
    "path,name",
    [
        (
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-%s.scope",
            "memory.current",
        ),
        ("kubepods/besteffort/pod1/%s", "memory.usage_in_bytes"),
        ("outer/kubepods/besteffort/pod1/%s", "memory.usage_in_bytes"),
    ],
)
def test_cgroup(tmp_path, path, name):
    directory = tmp_path / (path % ID)
    directory.mkdir(parents=True)
    (directory / name).write_text("12345678\n")
    cgroups = Cgroups([str(tmp_path / "no"), str(tmp_path)])
    assert cgroups.memory(ID) == 12345678
    assert cgroups.memory("cd" * 32) is None


def test_a_cgroup_without_memory(tmp_path):
    (tmp_path / "kubepods" / ID).mkdir(parents=True)
    (tmp_path / "kubepods" / ID / "memory.current").write_text("max\n")
    assert Cgroups([str(tmp_path)]).memory(ID) is None


def test_no_cgroups_at_all():
    assert Cgroups(["/no/such/directory"]).memory(ID) is None
