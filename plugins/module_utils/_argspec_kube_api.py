# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that say how to reach the Kubernetes API, named as in kubernetes.core; documented in C(_kube_api).

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback


def _from(*names: str) -> t.Tuple[t.Callable[..., t.Any], t.List[str]]:
    return (env_fallback, ["K8S_AUTH_" + name for name in names])


def kube_api_argument_spec() -> t.Dict[str, t.Dict[str, t.Any]]:
    """The options, for C(AnsibleModule(argument_spec=…))."""
    return {
        # Not no_log: that would hide every word of an inline configuration ("default", "admin", …) in all results. The
        # secrets in it are registered one by one (C(_kube_api.secrets_of)).
        "kubeconfig": {"type": "raw", "fallback": _from("KUBECONFIG")},
        "context": {"type": "str", "fallback": _from("CONTEXT")},
        "host": {"type": "str", "fallback": _from("HOST")},
        "api_key": {"type": "str", "no_log": True, "fallback": _from("API_KEY")},
        "username": {"type": "str", "fallback": _from("USERNAME")},
        "password": {"type": "str", "no_log": True, "fallback": _from("PASSWORD")},
        "validate_certs": {
            "type": "bool",
            "aliases": ["verify_ssl"],
            "fallback": _from("VERIFY_SSL", "VALIDATE_CERTS"),
        },
        "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"], "fallback": _from("SSL_CA_CERT", "CA_CERT")},
        "client_cert": {"type": "path", "aliases": ["cert_file"], "fallback": _from("CERT_FILE", "CLIENT_CERT")},
        "client_key": {
            "type": "path",
            "aliases": ["key_file"],
            "no_log": False,
            "fallback": _from("KEY_FILE", "CLIENT_KEY"),
        },
        "proxy": {"type": "str", "fallback": _from("PROXY")},
        "no_proxy": {"type": "str", "fallback": _from("NO_PROXY")},
        "impersonate_user": {"type": "str", "fallback": _from("IMPERSONATE_USER")},
        "impersonate_groups": {"type": "list", "elements": "str", "fallback": _from("IMPERSONATE_GROUPS")},
    }
