# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers of the unit tests, and how hypothesis tries its examples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def pytest_configure(config):
    """Say what slow means: C(make unit), the inner loop, leaves these out, and C(make units) runs them."""
    config.addinivalue_line("markers", "slow: takes long, because it starts processes, moves many bytes or tries many examples")
    # The same examples every time, and nothing that depends on how busy the machine is.
    settings.register_profile("gate", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("gate")
