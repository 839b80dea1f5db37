#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_stage_info
short_description: What is staged for the restore handler on a node, and what became of it
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Lists the entries of the restore handler's staging directory with what the handler wrote about each.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
options:
  namespace:
    description:
      - Only entries for pods of this namespace.
    type: str
  pod:
    description:
      - Only entries for pods of this name.
    type: str
  container_id:
    description:
      - Only the entry that this container was restored from, or is being restored from.
    type: str
  staging_dir:
    description:
      - The handler's staging directory.
    type: path
    default: /var/lib/container-checkpoint/restore
seealso:
  - module: container_checkpoint.kubernetes.restore_stage
"""

EXAMPLES = r"""
- name: Was the container restored?
  container_checkpoint.kubernetes.restore_stage_info:
    namespace: default
    pod: web-restored
  register: staged
"""

RETURN = r"""
restores:
  description: The entries, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The entry's ID.
      type: str
      sample: 0f3c9a4d5e6b47f08a1b2c3d4e5f6071
    state:
      description: V(staged), V(claimed), V(failed) or V(done).
      type: str
      sample: done
    expired:
      description: Whether the time for which it was staged is over.
      type: bool
      sample: false
    binding:
      description: What decides which container may claim it.
      type: dict
      sample:
        namespace: default
        pod: web-restored
        container: app
        pod_uid: 40ae907e-7bd9-48f5-ab96-7d04339bbe46
    checkpoint:
      description: What is known about the checkpoint.
      type: dict
      sample:
        engine: containerd
    status:
      description: What the handler wrote; empty before a container came.
      type: dict
      sample:
        outcome: restored
        container_id: 6b49ab4260e65aa366b2aa652df3410951360cbcaa73a139fd9d46a53539f978
        pid: 4711
        seconds: 0.21
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail


def main() -> None:
    """List."""
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str"},
            "pod": {"type": "str"},
            "container_id": {"type": "str"},
            "staging_dir": {"type": "path", "default": _stage.DEFAULT_ROOT},
        },
        supports_check_mode=True,
    )
    root = module.params["staging_dir"]
    restores = []
    try:
        if os.path.isdir(root):
            _stage.check_root(root)
            restores = [_stage.describe(entry, time.time()) for entry in _stage.entries(root)]
    except CheckpointError as exc:
        fail(module, exc)
    for key in ("namespace", "pod"):
        if module.params[key]:
            restores = [entry for entry in restores if entry["binding"][key] == module.params[key]]
    if module.params["container_id"]:
        restores = [entry for entry in restores if entry["status"].get("container_id") == module.params["container_id"]]
    module.exit_json(changed=False, restores=restores)


if __name__ == "__main__":
    main()
