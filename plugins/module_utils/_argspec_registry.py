# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that talk to a registry; the documentation fragment C(_registry) describes them.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t


def registry_argument_spec() -> dict[str, dict[str, t.Any]]:
    """The options, fresh for each caller."""
    return {
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "auth_file": {"type": "path"},
        "auth_hosts": {"type": "list", "elements": "str", "default": []},
        "ca_cert": {"type": "path"},
        "client_cert": {"type": "path"},
        "client_key": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "plain_http": {"type": "bool", "default": False},
        "proxy": {"type": "str"},
        "request_timeout": {"type": "int", "default": 120},
        "retries": {"type": "int", "default": 5},
    }


REGISTRY_REQUIRED_TOGETHER = (("username", "password"),)
REGISTRY_REQUIRED_BY = {"client_key": ("client_cert",)}
REGISTRY_MUTUALLY_EXCLUSIVE = (("username", "auth_file"),)
