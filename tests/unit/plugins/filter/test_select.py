# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.container_checkpoint.kubernetes.plugins.filter import select as plugin

pytest.importorskip("jmespath")
select = plugin.FilterModule().filters()["select"]

ARCHIVES = [
    {"namespace": "shop", "pod": "cart-0", "sizes": {"memory_pages": 5}, "checkpointed_at": "2026-11-21T11:55:44Z", "error": None},
    {"namespace": "shop", "pod": "cart-1", "sizes": {"memory_pages": 7}, "checkpointed_at": "2026-11-20T11:55:44Z", "error": None},
    {"namespace": "dev", "pod": "x", "sizes": {"memory_pages": 9}, "checkpointed_at": None, "error": "truncated"},
]


class Text(str):
    """As Ansible marks texts: a subclass, whose name JMESPath does not know."""


@pytest.mark.parametrize(
    "expression,expected",
    [
        ("[?namespace=='shop' && sizes.memory_pages > `5`].pod", ["cart-1"]),
        ("max_by([?checkpointed_at], &checkpointed_at).pod", "cart-0"),
        ("[?starts_with(pod, 'cart')] | length(@)", 2),
        ("[?error].pod", ["x"]),
        ("nothing", None),
    ],
)
def test_expressions(expression, expected):
    assert select(ARCHIVES, expression) == expected


def test_marked_texts_work_in_functions():
    assert select([{Text("pod"): Text("cart-0")}], Text("[?contains(pod, 'cart')].pod")) == ["cart-0"]


@pytest.mark.parametrize("expression", ["[?", "nofunction(@)", "length(`5`)", "", "  ", None, 5])
def test_wrong_expressions(expression):
    with pytest.raises(AnsibleFilterError, match="select: the expression"):
        select(ARCHIVES, expression)


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(plugin, "JMESPATH_MISSING", ImportError("no module"))
    with pytest.raises(AnsibleFilterError, match="install the package jmespath"):
        select(ARCHIVES, "[]")
