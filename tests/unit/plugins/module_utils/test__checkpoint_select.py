# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_select import selector
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

POD = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "labels": {"app": "web", "example.com/tier": "front", "empty": ""},
    },
    "spec": {"nodeName": "node1", "hostNetwork": True},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    "label,expected",
    [
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=api", False),
        ("app!=web", False),
        ("app!=api", True),
        ("none!=x", True),
        ("none=x", False),
        ("app", True),
        ("!app", False),
        ("!none", True),
        ("! none", True),
        ("none", False),
        ("empty=", True),
        ("app=", False),
        ("app in (web)", True),
        ("app in (api, web)", True),
        ("app in (api,)", False),
        ("app notin (api)", True),
        ("app notin (web)", False),
        ("none notin (x)", True),
        ("none in (x)", False),
        ("example.com/tier=front", True),
        ("app=web,example.com/tier in (front,back),!none", True),
        ("app=web,none", False),
    ],
)
def test_labels(label, expected):
    assert selector([label], [])(POD) is expected


@pytest.mark.parametrize(
    "field,expected",
    [
        ("metadata.name=web-1", True),
        ("metadata.name==web-1", True),
        ("metadata.name!=web-1", False),
        ("metadata.namespace=shop", True),
        ("status.phase=Running,spec.nodeName=node1", True),
        ("status.phase!=Running", False),
        ("spec.hostNetwork=true", True),
        ("status.podIP=", True),
        ("spec.nodeName = node2", False),
    ],
)
def test_fields(field, expected):
    assert selector([], [field])(POD) is expected


def test_all_must_match():
    assert selector(["app=web"], ["status.phase=Running"])(POD)
    assert not selector(["app=web", "none"], [])(POD)
    assert selector([], [])({"metadata": {}})
    assert not selector(["app"], [])({"metadata": {"labels": None}})


@pytest.mark.parametrize(
    "label",
    ["", "a=b=c", "=x", "a in", "a in b", "a in (b", "a in (b c)", "-a=b", "a=b c", "a>1", "x/y/z=1", "a=" + "v" * 64],
)
def test_labels_that_cannot_be_understood(label):
    with pytest.raises(InputError, match="cannot be understood"):
        selector([label], [])


@pytest.mark.parametrize("field", ["", "metadata.name", "metadata.labels=x", "spec.nodeName>x", "=x", "a=b=c"])
def test_fields_that_cannot_be_understood(field):
    with pytest.raises(InputError, match="cannot be understood"):
        selector([], [field])
