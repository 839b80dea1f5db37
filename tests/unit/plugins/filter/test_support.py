# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""runtime_support, kernel_support and from_crio_config: what the roles decide by."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.from_crio_config import from_crio_config
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.kernel_support import kernel_support
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.runtime_support import runtime_support


@pytest.mark.parametrize(
    "version, engine, restore, expected",
    [
        ("2.1.9~ds1-1", "containerd", True, ("2.1.9", True, "always", [])),
        ("2.1.9~ds1-1", "containerd", False, ("2.1.9", True, "always", ["CVE-2026-95837"])),
        ("1.7.24", "containerd", False, ("1.7.24", False, "never", [])),
        ("2.4.0", "containerd", True, ("2.4.0", True, "removed", [])),
        ("v1.36.6", "cri-o", True, ("1.36.6", True, "off-unless-set", [])),
        ("", "containerd", False, (None, None, None, [])),
    ],
)
def test_what_a_runtime_can_do(version, engine, restore, expected):
    found = runtime_support(version, engine, restore=restore)
    ids = [entry["id"] for entry in found["weaknesses"]]
    assert (found["version"], found["checkpoint"], found["restore"], ids) == expected


def test_accepted_weaknesses_are_not_open():
    assert len(runtime_support("2.1.8", "containerd", restore=True)["weaknesses"]) == 3
    found = runtime_support("2.1.8", "containerd", restore=True, accepted=["CVE-2026-53492", "CVE-2026-50195"])
    assert [entry["id"] for entry in found["weaknesses"]] == ["CVE-2026-53489"]


def test_only_known_engines():
    with pytest.raises(AnsibleFilterError, match="knows containerd and cri-o"):
        runtime_support("1", "docker")


def test_which_criu_a_kernel_needs():
    assert kernel_support("6.18.44-amd64", criu="3.17.1") == {
        "version": "6.18.44",
        "rseq": True,
        "criu_min": "4.1.0",
        "why": "kernel 6.13 and later needs CRIU 4.1 or later",
        "unproven": False,
        "fits": False,
        "kernel_below": "6.13.0",
    }
    assert kernel_support("5.10.0-35-amd64")["rseq"] is False
    assert kernel_support("6.1.0", criu="4.2.1")["kernel_below"] is None
    assert kernel_support("6.1.0")["fits"] is None
    with pytest.raises(AnsibleFilterError, match="holds no version"):
        kernel_support("unknown")


def test_settings_that_crio_prints_as_comments_are_read():
    text = '[crio]\n[crio.runtime]\n# drop_infra_ctr = true\ndefault_runtime = "runc"\n# A sentence about x.\n'
    text += '[crio.runtime.runtimes.runc]\nruntime_path = "/r"\n'
    assert from_crio_config(text) == {
        "crio": {
            "runtime": {"drop_infra_ctr": True, "default_runtime": "runc", "runtimes": {"runc": {"runtime_path": "/r"}}}
        }
    }
    with pytest.raises(AnsibleFilterError):
        from_crio_config(None)
