#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_account_token
short_description: Get a short-lived token of a ServiceAccount
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Asks the API server for a new token of a ServiceAccount (TokenRequest), as C(kubectl create token) does.
  - With a ServiceAccount that may do no more than C(create) C(nodes/checkpoint), such a token is the least that
    M(container_checkpoint.kubernetes.checkpoint) needs, and it expires by itself.
  - The token is in the result. Use C(no_log) on the task.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._kube_api
attributes:
  check_mode:
    support: full
    details:
      - Only looks whether the ServiceAccount exists. RV(token) is V(null) then.
  diff_mode:
    support: N/A
    details:
      - Nothing in the cluster is changed.
  idempotent:
    support: N/A
    details:
      - Nothing in the cluster is changed, and every call returns another token.
options:
  namespace:
    description:
      - The namespace of the ServiceAccount.
    type: str
    required: true
  name:
    description:
      - The name of the ServiceAccount.
    type: str
    required: true
  expiration_seconds:
    description:
      - How long the token shall be valid, at least 600. The API server may decide otherwise; see RV(expiration).
      - It must outlast the longest checkpoint.
    type: int
    default: 3600
  audiences:
    description:
      - For whom the token is. When not given, for the API server, which is what kubelets accept.
    type: list
    elements: str
seealso:
  - module: container_checkpoint.kubernetes.checkpoint
notes:
  - Needs the right to C(create) C(serviceaccounts/token) and to C(get) C(serviceaccounts).
"""

EXAMPLES = r"""
- name: Get a token for the next ten minutes
  container_checkpoint.kubernetes.service_account_token:
    namespace: container-checkpoint
    name: checkpointer
    expiration_seconds: 600
  delegate_to: localhost
  register: access
  no_log: true

- name: Use it
  container_checkpoint.kubernetes.checkpoint:
    pods:
      - {namespace: shop, name: cart-0}
    kubelet_token: "{{ access.token }}"
    kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt
"""

RETURN = r"""
token:
  description: The token; V(null) in check mode.
  returned: success
  type: str
  sample: eyJhbGciOiJSUzI1NiIsImtpZCI6IjVhIn0.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.c2lnbmF0dXJl
expiration:
  description: When it expires; V(null) in check mode.
  returned: success
  type: str
  sample: "2026-11-21T15:10:00Z"
diagnosis:
  description: On failure, what the message points at, with causes and remedies.
  returned: failure
  type: list
  elements: dict
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kube_api
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_kube_api import kube_api_argument_spec
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import check_label, check_subdomain

# The API server's own limit.
MIN_SECONDS = 600


def request_token(api: _kube_api.KubeApi, params: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """The module's result."""
    namespace, name = check_label(params["namespace"], "namespace"), check_subdomain(params["name"], "service account")
    if params["expiration_seconds"] < MIN_SECONDS:
        raise InputError("expiration_seconds must be at least %d, not %d" % (MIN_SECONDS, params["expiration_seconds"]))
    if check_mode:
        if api.get("v1", "ServiceAccount", name, namespace) is None:
            raise InputError("there is no service account %s/%s" % (namespace, name))
        return {"changed": False, "token": None, "expiration": None}
    spec: t.Dict[str, t.Any] = {"expirationSeconds": params["expiration_seconds"]}
    if params["audiences"]:
        spec["audiences"] = params["audiences"]
    status = api.request_token(namespace, name, spec)
    if not status.get("token"):
        raise CheckpointError("the API server answered without a token for service account %s/%s" % (namespace, name))
    return {"changed": False, "token": status["token"], "expiration": status.get("expirationTimestamp")}


def main() -> None:
    """Connect, ask, answer."""
    spec = kube_api_argument_spec()
    spec.update(
        namespace={"type": "str", "required": True},
        name={"type": "str", "required": True},
        expiration_seconds={"type": "int", "default": 3600},
        audiences={"type": "list", "elements": "str"},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    module.no_log_values.update(_kube_api.secrets_of(module.params))
    if not _kube_api.HAS_KUBERNETES:
        module.fail_json(
            msg=missing_required_lib("kubernetes >= %s" % _kube_api.MINIMUM, reason="to reach the Kubernetes API"),
            exception=_kube_api.KUBERNETES_IMPORT_ERROR,
        )
    try:
        api = _kube_api.connect(module.params, module.tmpdir)
        result = request_token(api, module.params, module.check_mode)
    except CheckpointError as exc:
        fail(module, exc)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
