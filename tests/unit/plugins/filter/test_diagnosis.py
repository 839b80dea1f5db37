# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagnosis filter: the table behind it, and refusals of arguments that cannot be meant."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter import diagnosis as plugin
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import WHERE

FILTER = plugin.FilterModule().filters()["diagnosis"]


def test_the_filter_gives_cause_and_remedy():
    found = FILTER("Some file locks are hold by dumping tasks!", where="dump")
    assert found[0]["id"] == "file-locks" and "runc.conf" in found[0]["remedy"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"text": None}, "must be a string, not NoneType"),
        ({"text": "x", "where": "moon"}, "where must be one of kubelet, .* not 'moon'"),
        ({"text": "x", "engine": "docker"}, "engine must be one of containerd, cri-o, not 'docker'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(AnsibleFilterError, match=message):
        FILTER(**arguments)


def test_the_documented_choices_are_the_accepted_ones():
    options = yaml.safe_load(plugin.DOCUMENTATION)["options"]
    assert tuple(options["where"]["choices"]) == WHERE


def test_the_documented_keys_are_the_returned_ones():
    contains = yaml.safe_load(plugin.RETURN)["_value"]["contains"]
    assert set(contains) == set(FILTER("404 page not found")[0])
