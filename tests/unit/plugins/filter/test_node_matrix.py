# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_matrix and node_pair: what they refuse, and that they compare."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.node_matrix import FilterModule as Matrix
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.node_pair import FilterModule as Pair

NODE = {"node": {"arch": "x86_64"}, "restore_paths": [{"name": "image", "available": True, "enabled": True, "why": ""}]}
ARM = dict(NODE, node={"arch": "aarch64"})
matrix, pair = Matrix().filters()["node_matrix"], Pair().filters()["node_pair"]


def test_they_compare():
    assert pair(NODE, NODE)["verdict"] == "yes"
    assert pair(NODE, ARM)["reasons"][0]["id"] == "arch-differs"
    assert matrix({"a": NODE, "b": ARM})[0] == {"source": "a", "targets": {"b": "no"}, "why": {"b": ["arch-differs"]}}


def test_needs_come_from_the_pod():
    pod = {"spec": {"serviceAccountName": "app", "containers": [{"name": "c"}]}}
    found = pair(NODE, NODE, pod=pod, container="c", given={"service_accounts": []})
    assert [reason["id"] for reason in found["reasons"]] == ["service-account-missing"]
    with pytest.raises(AnsibleFilterError, match="container"):
        pair(NODE, NODE, pod=pod)


@pytest.mark.parametrize("wrong", [None, "text", {}, {"node": {}}])
def test_what_is_no_result_of_node_info(wrong):
    with pytest.raises(AnsibleFilterError, match="node_info"):
        pair(wrong, NODE)
    with pytest.raises(AnsibleFilterError, match="node_info"):
        pair(NODE, wrong)


def test_the_matrix_wants_a_dictionary():
    with pytest.raises(AnsibleFilterError, match="node_matrix"):
        matrix([NODE])
    with pytest.raises(AnsibleFilterError, match="node_matrix"):
        matrix({"a": "text"})
