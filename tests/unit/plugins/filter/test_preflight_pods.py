# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Pods the filter shortens, and what it refuses; what is left of one is in test__preflight_pod.py."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.preflight_pods import FilterModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_pod import outline

preflight_pods = FilterModule().filters()["preflight_pods"]
POD = {
    "metadata": {"namespace": "default", "name": "web", "uid": "u-1"},
    "spec": {"containers": [{"name": "app", "env": [{"name": "PASSWORD", "value": "s3cret"}]}]},
}


def test_only_those_that_are_wanted():
    other = {"metadata": {"uid": "u-2"}, "spec": {}}
    assert [pod["metadata"]["uid"] for pod in preflight_pods([POD, other], ["u-2"])] == ["u-2"]
    assert preflight_pods([POD]) == [outline(POD)]
    assert "s3cret" not in str(preflight_pods([POD]))
    assert preflight_pods([]) == []


@pytest.mark.parametrize("wrong", [None, "text", {"spec": {}}, [None], ["text"], [{}]])
def test_what_is_no_list_of_pods(wrong):
    with pytest.raises(AnsibleFilterError, match="list of Pods"):
        preflight_pods(wrong)
