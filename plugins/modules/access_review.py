#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: access_review
short_description: Ask the API server what a token may do
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Asks the API server, with a SelfSubjectAccessReview for each of O(rights), whether whoever logs in may do that.
  - With O(token) the question is asked with that token and nothing else, so the answer is about the token's owner and
    not about the login that the other options or the kubeconfig hold.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
  - container_checkpoint.kubernetes._kube_api
options:
  rights:
    description:
      - What to ask for, one question for each.
    type: list
    elements: dict
    required: true
    suboptions:
      verb:
        description:
          - The verb, for example V(create).
        type: str
        required: true
      resource:
        description:
          - The resource, for example V(nodes).
        type: str
        required: true
      subresource:
        description:
          - The subresource, for example V(checkpoint).
        type: str
        default: ""
      group:
        description:
          - The API group; empty for the core group.
        type: str
        default: ""
      namespace:
        description:
          - The namespace; empty for all of them and for what has none.
        type: str
        default: ""
      name:
        description:
          - The one object; empty for all of them.
        type: str
        default: ""
  token:
    description:
      - Ask as the owner of this token.
    type: str
seealso:
  - module: container_checkpoint.kubernetes.service_account_token
  - module: container_checkpoint.kubernetes.kubelet_access
"""

EXAMPLES = r"""
- name: May this token ask for checkpoints on node1, and may it do more than that
  container_checkpoint.kubernetes.access_review:
    token: "{{ access.token }}"
    rights:
      - {verb: create, resource: nodes, subresource: checkpoint, name: node1}
      - {verb: create, resource: nodes, subresource: proxy}
  delegate_to: localhost
  register: may
"""

RETURN = r"""
rights:
  description: The questions in their order, each with its answer.
  returned: success
  type: list
  elements: dict
  contains:
    verb:
      description: As asked.
      type: str
      returned: success
      sample: create
    resource:
      description: As asked.
      type: str
      returned: success
      sample: nodes
    subresource:
      description: As asked.
      type: str
      returned: success
      sample: checkpoint
    group:
      description: As asked.
      type: str
      returned: success
      sample: ""
    namespace:
      description: As asked.
      type: str
      returned: success
      sample: ""
    name:
      description: As asked.
      type: str
      returned: success
      sample: node1
    allowed:
      description: Whether it is allowed.
      type: bool
      returned: success
      sample: true
    reason:
      description: Why, where the API server says so.
      type: str
      returned: success
      sample: 'RBAC: allowed by ClusterRoleBinding "container-checkpoint"'
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
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_kube_api import (
    kube_api_argument_spec,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail

PARTS = ("group", "namespace", "name", "resource", "subresource", "verb")


def review(api: _kube_api.KubeApi, rights: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """The questions with their answers."""
    answered = []
    for right in rights:
        asked = {part: right[part] for part in PARTS}
        status = api.review_access({part: value for part, value in asked.items() if value})
        answered.append({**asked, "allowed": bool(status.get("allowed")), "reason": status.get("reason") or ""})
    return answered


def main() -> None:
    """Connect, ask, answer."""
    right = {
        "verb": {"type": "str", "required": True},
        "resource": {"type": "str", "required": True},
        "subresource": {"type": "str", "default": ""},
        "group": {"type": "str", "default": ""},
        "namespace": {"type": "str", "default": ""},
        "name": {"type": "str", "default": ""},
    }
    spec = kube_api_argument_spec()
    spec.update(
        rights={"type": "list", "elements": "dict", "required": True, "options": right},
        token={"type": "str", "no_log": True},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    module.no_log_values.update(_kube_api.secrets_of(module.params))
    if not _kube_api.HAS_KUBERNETES:
        module.fail_json(
            msg=missing_required_lib("kubernetes >= %s" % _kube_api.MINIMUM, reason="to reach the Kubernetes API"),
            exception=_kube_api.KUBERNETES_IMPORT_ERROR,
        )
    try:
        api = _kube_api.connect(module.params, module.tmpdir, token=module.params["token"])
        module.exit_json(changed=False, rights=review(api, module.params["rights"]))
    except CheckpointError as exc:
        fail(module, exc)


if __name__ == "__main__":
    main()
