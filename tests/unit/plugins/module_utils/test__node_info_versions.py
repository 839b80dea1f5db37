# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_node_info_versions: the tables, at their edges."""

from __future__ import annotations

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_versions as versions


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2.1.9", (2, 1, 9)),
        ("v2.1.9~ds1-1", (2, 1, 9)),
        ("4.2", (4, 2, 0)),
        ("6.18.44-fc-v595", (6, 18, 44)),
        ("2.4.0-beta.0", (2, 4, 0)),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_parse(text, expected):
    assert versions.parse(text) == expected


@pytest.mark.parametrize("engine", [versions.CONTAINERD, versions.CRIO])
def test_every_version_is_in_exactly_one_range(engine):
    for major in (0, 1, 2, 3):
        for minor in range(0, 45):
            for patch in (0, 1, 3, 4, 6, 7, 8, 9, 13, 14, 20):
                hits = [
                    row for row in versions._ENGINES if row[0] == engine and row[1] <= (major, minor, patch) < row[2]
                ]
                assert len(hits) == 1, (engine, major, minor, patch)


@pytest.mark.parametrize(
    "engine, version, expected",
    [
        ("containerd", (1, 7, 28), versions.NEVER),
        ("containerd", (2, 0, 9), versions.NEVER),
        ("containerd", (2, 1, 0), versions.ALWAYS),
        ("containerd", (2, 2, 6), versions.ALWAYS),
        ("containerd", (2, 2, 7), versions.OFF_UNLESS_SET),
        ("containerd", (2, 3, 3), versions.ALWAYS),
        ("containerd", (2, 3, 4), versions.OFF_UNLESS_SET),
        ("containerd", (2, 4, 0), versions.REMOVED),
        ("cri-o", (1, 24, 9), versions.NEVER),
        ("cri-o", (1, 34, 13), versions.ALWAYS),
        ("cri-o", (1, 34, 14), versions.OFF_UNLESS_SET),
        ("cri-o", (1, 35, 8), versions.ALWAYS),
        ("cri-o", (1, 35, 9), versions.OFF_UNLESS_SET),
        ("cri-o", (1, 36, 5), versions.ALWAYS),
        ("cri-o", (1, 36, 6), versions.OFF_UNLESS_SET),
        ("cri-o", (1, 37, 0), versions.OFF_UNLESS_SET),
        ("podman", (5, 8, 8), None),
        ("containerd", None, None),
    ],
)
def test_how_an_engine_restores(engine, version, expected):
    assert versions.engine_restores(engine, version) == expected


@pytest.mark.parametrize(
    "engine, version, restore_on, expected",
    [
        ("containerd", (2, 1, 8), False, ["CVE-2026-50195", "CVE-2026-53492", "CVE-2026-53489"]),
        ("containerd", (2, 1, 9), False, []),
        ("containerd", (2, 1, 9), True, ["CVE-2026-95837"]),
        ("containerd", (2, 3, 4), True, ["CVE-2026-95837"]),
        ("containerd", (2, 4, 0), True, []),
        ("cri-o", (1, 31, 0), True, ["CVE-2024-8676", "CVE-2026-92574"]),
        ("cri-o", (1, 36, 6), False, []),
        ("containerd", None, True, []),
    ],
)
def test_known_weaknesses(engine, version, restore_on, expected):
    assert [cve.id for cve in versions.cves(engine, version, restore_on)] == expected


@pytest.mark.parametrize(
    "engine, version, restore, expected",
    [
        # Restores unasked: opting in accepts what restoring is, and without it the version is refused.
        ("containerd", (2, 1, 9), False, ["CVE-2026-95837"]),
        ("containerd", (2, 1, 9), True, []),
        # With a switch the weakness is there only once somebody asks for it.
        ("containerd", (2, 3, 4), False, []),
        ("containerd", (2, 1, 8), True, ["CVE-2026-50195", "CVE-2026-53492", "CVE-2026-53489"]),
        ("cri-o", (1, 36, 5), False, ["CVE-2026-92574"]),
        ("cri-o", (1, 36, 6), False, []),
        ("cri-o", (1, 25, 3), False, ["CVE-2024-8676"]),
    ],
)
def test_what_stands_against_running_a_version(engine, version, restore, expected):
    assert [cve.id for cve in versions.open_weaknesses(engine, version, restore)] == expected


@pytest.mark.parametrize(
    "criu, below",
    [((3, 17, 1), (6, 13, 0)), ((4, 1, 0), (7, 1, 0)), ((4, 2, 0), (7, 1, 0)), ((4, 2, 1), None), (None, None)],
)
def test_the_upper_bound_of_kernels(criu, below):
    assert versions.kernel_below(criu) == below


def test_which_criu_a_kernel_needs():
    assert versions.criu_for_kernel((6, 12, 9))[0] == versions.CRIU_MIN
    assert versions.criu_for_kernel((6, 13, 0))[0] == (4, 1, 0)
    assert versions.criu_for_kernel((7, 2, 0))[0] == (4, 2, 1)
