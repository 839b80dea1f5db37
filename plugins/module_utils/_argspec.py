# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of several modules: how to reach a kubelet (documented in the fragment C(_kubelet)), and pods by name.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

DEFAULT_URL = "https://127.0.0.1:10250"


def kubelet_argument_spec() -> t.Dict[str, t.Dict[str, t.Any]]:
    """The options, for C(AnsibleModule(argument_spec=…))."""
    return {
        "kubelet_url": {"type": "str", "default": DEFAULT_URL},
        "kubelet_token": {
            "type": "str",
            "no_log": True,
            "fallback": (env_fallback, ["CONTAINER_CHECKPOINT_KUBELET_TOKEN"]),
        },
        "kubelet_token_file": {"type": "path", "no_log": False},
        "kubelet_client_cert": {"type": "path"},
        "kubelet_client_key": {"type": "path", "no_log": False},
        "kubelet_ca_cert": {"type": "path"},
        "kubelet_fingerprint": {"type": "str"},
        "kubelet_serving_cert": {"type": "path"},
        "kubelet_validate_certs": {"type": "bool", "default": True},
    }


def pods_option() -> t.Dict[str, t.Any]:
    """The option C(pods): pods by namespace and name, each with its containers if not all are meant."""
    return {
        "type": "list",
        "elements": "dict",
        "options": {
            "namespace": {"type": "str", "default": "default"},
            "name": {"type": "str", "required": True},
            "containers": {"type": "list", "elements": "str"},
        },
    }


def kubelet_mutually_exclusive() -> t.List[t.List[str]]:
    """For C(AnsibleModule(mutually_exclusive=…))."""
    return [
        ["kubelet_token", "kubelet_token_file"],
        ["kubelet_ca_cert", "kubelet_fingerprint", "kubelet_serving_cert"],
    ]


def kubelet_required_by() -> t.Dict[str, str]:
    """For C(AnsibleModule(required_by=…))."""
    return {"kubelet_client_key": "kubelet_client_cert"}
