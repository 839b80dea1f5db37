# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers of the unit tests."""

from __future__ import annotations


def pytest_configure(config):
    """Say what slow means: C(make unit), the inner loop, leaves these out, and C(make units) runs them."""
    config.addinivalue_line("markers", "slow: takes long, because it starts processes, moves many bytes or tries many examples")
