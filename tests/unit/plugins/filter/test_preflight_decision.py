# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""preflight_decision: what is refused, what only warned of, and by which stages."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.filter.preflight_decision import FilterModule

decide = FilterModule().filters()["preflight_decision"]
TARGETS = [{"namespace": "n", "pod": "p", "uid": "u", "node": "node1", "containers": ["a", "b"]}]


def reason(severity, *affects):
    return {"id": "x", "severity": severity, "affects": list(affects), "text": "it is so", "error": "Can't", "remedy": "stop"}


def looked(**reasons):
    return [{"namespace": "n", "pod": "p", "container": name, "reasons": found} for name, found in reasons.items()]


def test_what_would_fail_is_refused_with_error_and_remedy():
    found = decide(looked(a=[reason("error", "checkpoint"), reason("info", "restore")], b=[]), TARGETS)
    assert [(one["pod"], one["container"], one["node"]) for one in found["refused"]] == [("p", "a", "node1")]
    assert found["refused"][0]["msg"] == "it would fail and was not frozen: it is so [checkpoint] (Can't); remedy: stop"
    assert len(found["refused"][0]["reasons"]) == 2 and found["warnings"] == []


def test_what_may_fail_is_a_warning():
    found = decide(looked(a=[reason("warning", "checkpoint")], b=[reason("info", "checkpoint")]), TARGETS)
    assert found["refused"] == []
    assert found["warnings"] == ["n/p/a may fail: it is so [checkpoint] (Can't); remedy: stop"]


def test_a_restore_that_fails_counts_where_one_is_wanted():
    entries = looked(a=[reason("error", "restore")])
    assert decide(entries, TARGETS)["refused"] == []
    assert len(decide(entries, TARGETS)["warnings"]) == 1
    assert len(decide(entries, TARGETS, stages=["checkpoint", "restore"])["refused"]) == 1


def test_nothing_is_refused_when_only_warnings_are_wanted():
    found = decide(looked(a=[reason("error", "checkpoint")]), TARGETS, refuse=False)
    assert found["refused"] == [] and found["warnings"][0].startswith("n/p/a would fail: ")


def test_others_are_not_looked_at():
    assert decide(looked(c=[reason("error", "checkpoint")]), TARGETS) == {"refused": [], "warnings": []}


@pytest.mark.parametrize("stages", [[], ["dump"]])
def test_stages_that_are_none(stages):
    with pytest.raises(AnsibleFilterError, match="stages"):
        decide([], TARGETS, stages=stages)


@pytest.mark.parametrize("entries, targets", [([{}], TARGETS), (None, TARGETS), ([], [{}])])
def test_input_of_another_kind(entries, targets):
    with pytest.raises(AnsibleFilterError, match="pod_preflight"):
        decide(entries, targets)
