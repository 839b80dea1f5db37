# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(text_table): alignment, units, and rows with gaps."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.text_table import human_bytes, text_table


def test_columns_are_aligned_and_numbers_to_the_right():
    rows = [{"pod": "counter", "size": 1536, "n": 5}, {"pod": "x", "size": None, "n": 12, "other": 1}]
    assert text_table(rows, ["pod", "size:bytes", "n", "gone"]) == [
        "pod         size   n  gone",
        "counter  1.5 KiB   5",
        "x                 12",
    ]


def test_units_and_lists():
    assert text_table([{"s": 0.126, "l": ["a", "b"]}], ["s:seconds", "l"]) == ["     s  l", "0.13 s  a, b"]


def test_no_rows_still_names_the_columns():
    assert text_table([], ["a", "b:bytes"]) == ["a  b"]


@pytest.mark.parametrize("value, text", [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 30, "1.0 GiB"), (1 << 50, "1024.0 TiB")])
def test_bytes(value, text):
    assert human_bytes(value) == text


@pytest.mark.parametrize("rows, columns", [("text", ["a"]), ([], [])])
def test_wrong_use_is_refused(rows, columns):
    with pytest.raises(AnsibleFilterError):
        text_table(rows, columns)
