# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(from_toml) and C(to_toml): what one writes, the other reads back."""

from __future__ import annotations

import sys

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.from_toml import from_toml
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.to_toml import to_toml

needs_parser = pytest.mark.skipif(sys.version_info < (3, 11), reason="no TOML parser before Python 3.11")


@needs_parser
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 3, "imports": ["/etc/containerd/conf.d/*.toml"], "root": "/var/lib/containerd"},
        {"plugins": {"io.containerd.cri.v1.runtime": {"enable_criu": True, "containerd": {"runtimes": {"runc": {"options": {"SystemdCgroup": False}}}}}}},
        {"text": 'quote " backslash \\ newline \n tab \t del \x7f ü €'},
        {"numbers": [1, -2, 0], "half": 0.5, "lists": [["a"], ["b", "c"]], "none": []},
        {"empty": {}, "nested": {"empty": {}}},
        {"key with space": {"dotted.key": 1, "": 2}},
    ],
)
def test_round_trip(data):
    assert from_toml(to_toml(data)) == data


def test_plain_values_come_before_tables_whatever_the_order():
    assert to_toml({"table": {"x": 1}, "version": 3}) == "version = 3\n\n[table]\nx = 1\n"


def test_keys_with_dots_are_quoted():
    assert to_toml({"plugins": {"io.containerd.cri.v1.images": {"a": True}}}) == '\n[plugins."io.containerd.cri.v1.images"]\na = true\n'


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"a": None}, "null"),
        ({"a": {"b": [None]}}, "a.b"),
        (["a"], "dictionary"),
        ({1: 2}, "not a string"),
        ({"a": [{"b": 1}]}, "a is dict"),
    ],
)
def test_what_toml_cannot_hold_is_refused(bad, says):
    with pytest.raises(AnsibleFilterError, match=says):
        to_toml(bad)


@needs_parser
def test_dates_become_text():
    assert from_toml("a = 2026-11-21T10:00:00Z\nb = [2026-11-21]") == {"a": "2026-11-21T10:00:00+00:00", "b": ["2026-11-21"]}


@needs_parser
@pytest.mark.parametrize("bad, says", [("a = ", "not TOML"), (3, "needs text")])
def test_what_is_no_toml_is_refused(bad, says):
    with pytest.raises(AnsibleFilterError, match=says):
        from_toml(bad)
