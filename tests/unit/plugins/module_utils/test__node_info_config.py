# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_node_info_config: the narrow TOML that containerd and CRI-O print, compared with a real TOML reader."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_config as config

SAMPLE = """
version = 3
root = '/var/lib/containerd'
imports = ['/etc/containerd/conf.d/*.toml', "b"]
oom_score = -999
[timeouts]
  'io.containerd.timeout.bolt.open' = '0s'
[plugins]
  [plugins.'io.containerd.cri.v1.runtime'] # the runtime
    enable_criu = true # on
    max_container_log_line_size = 16_384
    device_ownership_from_security_context = false
    cdi_spec_dirs = [
      '/etc/cdi', # here
      "/var/run/cdi",
    ]
    note = "a # b \\"quoted\\""
    [plugins."io.containerd.cri.v1.runtime".containerd]
      default_runtime_name = 'runc'
      ratio = 0.5
"""
BASE = ("plugins", "io.containerd.cri.v1.runtime")


def flat(document, path=()):
    for key, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, path + (key,))
        else:
            yield path + (key,), value


def test_it_reads_what_a_toml_library_reads():
    tomllib = pytest.importorskip("tomllib")
    expected = dict(flat(tomllib.loads(SAMPLE)))
    # A quoted key is one of the things this reader skips.
    del expected[("timeouts", "io.containerd.timeout.bolt.open")]
    assert config.parse(SAMPLE) == expected


def test_single_values():
    found = config.parse(SAMPLE)
    assert found[BASE + ("enable_criu",)] is True
    assert found[BASE + ("cdi_spec_dirs",)] == ["/etc/cdi", "/var/run/cdi"]
    assert found[BASE + ("note",)] == 'a # b "quoted"'
    assert found[("oom_score",)] == -999


@pytest.mark.parametrize(
    "text",
    [
        "key = { a = 1 }",
        'key = """\nlong\n"""',
        "key = 2026-11-21T00:00:00Z",
        "[[list]]\nkey = 1",
        "[a.\nkey = 1",
        "key = ['never closed",
    ],
)
def test_what_it_does_not_know_is_skipped_and_not_guessed(text):
    assert config.parse(text) == {}


def test_commented_defaults_count_only_when_asked_for_and_lose_against_real_ones():
    text = "[crio.runtime]\n# enable_criu_support = true\n# pids_limit = 0\npids_limit = 5\n# a sentence = not a setting here\n"
    assert config.parse(text) == {("crio", "runtime", "pids_limit"): 5}
    found = config.parse(text, commented_defaults=True)
    assert found[("crio", "runtime", "enable_criu_support")] is True and found[("crio", "runtime", "pids_limit")] == 5


def test_the_old_layout_of_containerd_is_read_too():
    text = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  enable_experimental_restore_via_create = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "other"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other.options]
        BinaryName = "/opt/runc"
"""
    found = config.containerd(text)
    assert (found["restore"], found["enable_criu"], found["default_runtime"]) == (True, None, "other")
    assert found["runtimes"] == {"other": {"type": "io.containerd.runc.v2", "path": "/opt/runc"}}


def test_crio_that_says_nothing_uses_crun():
    assert config.crio("")["default_runtime"] == "crun"
