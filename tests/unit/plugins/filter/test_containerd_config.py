# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(containerd_config): the same settings in the version of configuration that the node's main file is in."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.containerd_config import containerd_config

SETTINGS = {
    "version": 3,
    "plugins": {
        "io.containerd.cri.v1.images": {
            "registry": {"config_path": "/etc/containerd/certs.d"},
            "pinned_images": {"sandbox": "pause:1"},
            "snapshotter": "native",
            "use_local_image_pull": True,
        },
        "io.containerd.cri.v1.runtime": {
            "enable_criu": True,
            "containerd": {"default_runtime_name": "runc", "runtimes": {"runc": {"options": {"SystemdCgroup": True}}}},
        },
        "io.containerd.grpc.v1.cri": {"stream_server_port": "1"},
        "io.containerd.internal.v1.opt": {"path": "/opt"},
    },
}


def test_version_2_has_one_table_for_all_of_the_cri():
    assert containerd_config(SETTINGS, 2) == {
        "version": 2,
        "plugins": {
            "io.containerd.grpc.v1.cri": {
                "stream_server_port": "1",
                "enable_criu": True,
                "containerd": {
                    "default_runtime_name": "runc",
                    "runtimes": {"runc": {"options": {"SystemdCgroup": True}}},
                    "snapshotter": "native",
                },
                "registry": {"config_path": "/etc/containerd/certs.d"},
                "sandbox_image": "pause:1",
            },
            # What version 2 has no name for.
            "io.containerd.cri.v1.images": {"use_local_image_pull": True},
            "io.containerd.internal.v1.opt": {"path": "/opt"},
        },
    }


def test_the_settings_that_were_given_stay_as_they_are():
    containerd_config(SETTINGS, 2)
    assert SETTINGS["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": "pause:1"}
    assert "snapshotter" not in SETTINGS["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]


@pytest.mark.parametrize("version", [3, "3", 4])
def test_later_versions_differ_in_nothing_else(version):
    assert containerd_config(SETTINGS, version) == {"version": int(version), "plugins": SETTINGS["plugins"]}


def test_the_version_comes_first():
    assert list(containerd_config({"plugins": {}}, 2)) == ["version", "plugins"]


@pytest.mark.parametrize("settings, version", [([], 2), ({}, 1), ({}, None), ({}, "two")])
def test_what_cannot_be_meant(settings, version):
    with pytest.raises(AnsibleFilterError):
        containerd_config(settings, version)
