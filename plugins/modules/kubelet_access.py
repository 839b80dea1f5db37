#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kubelet_access
short_description: Ask a kubelet whether it would let us checkpoint
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Sends a checkpoint request for a pod that cannot exist. A kubelet looks at who asks, and at their rights, before it
    looks for the pod, so the answer tells whether a real request would be let through. Nothing is checkpointed.
  - Fails, with what to do about it, when the request is refused, when the endpoint is switched off, or when nobody
    answers.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
  - container_checkpoint.kubernetes._kubelet
options:
  wait_seconds:
    description:
      - Ask again for this long while the kubelet refuses. It remembers a refusal for about 30 seconds, also after the
        right was granted.
    type: int
    default: 40
seealso:
  - module: container_checkpoint.kubernetes.access_review
  - module: container_checkpoint.kubernetes.checkpoint
"""

EXAMPLES = r"""
- name: May this token ask the kubelet of this node for checkpoints
  container_checkpoint.kubernetes.kubelet_access:
    kubelet_token: "{{ access.token }}"
    kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt
"""

RETURN = r"""
waited_seconds:
  description: How long the kubelet refused before it let the request through.
  returned: success
  type: float
  sample: 0.0
http_status:
  description: On failure, what the kubelet answered, if it did.
  returned: failure
  type: int
  sample: 403
diagnosis:
  description: On failure, what the message points at, with causes and remedies.
  returned: failure
  type: list
  elements: dict
  sample: []
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _argspec
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_connect import kubelet_client
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import (
    KubeletClient,
    is_forbidden,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail

PAUSE = 2.0


def wait_for_access(
    kubelet: KubeletClient,
    seconds: float,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> float:
    """Ask until it is allowed; how long that took. Raises the last refusal."""
    begin = clock()
    while True:
        try:
            kubelet.may_checkpoint()
            return clock() - begin
        except CheckpointError as exc:
            if not is_forbidden(exc) or clock() - begin + PAUSE > seconds:
                raise
        sleep(PAUSE)


def main() -> None:
    """Ask, answer."""
    spec = _argspec.kubelet_argument_spec()
    spec.update(wait_seconds={"type": "int", "default": 40})
    module = AnsibleModule(
        argument_spec=spec,
        mutually_exclusive=_argspec.kubelet_mutually_exclusive(),
        required_by=_argspec.kubelet_required_by(),
        supports_check_mode=True,
    )
    try:
        waited = wait_for_access(kubelet_client(module.params), module.params["wait_seconds"])
        module.exit_json(changed=False, waited_seconds=round(waited, 1))
    except CheckpointError as exc:
        fail(module, exc)


if __name__ == "__main__":
    main()
