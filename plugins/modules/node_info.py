#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Can this node checkpoint and restore containers
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Looks at the node it runs on and says whether it can checkpoint containers, whether it can restore them, by which
    path,
    and if not why and what to do about it.
  - Looks at the container runtime and its configuration, the OCI runtime, CRIU, the kernel, the kubelet and the free
    space,
    and names known weaknesses of the versions that it finds.
  - Needs nothing installed. What is missing is part of the answer.
  - When a credential for the kubelet is given, the kubelet is asked for the configuration it runs with (C(/configz)).
    Otherwise its configuration
    file is looked at.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
  - container_checkpoint.kubernetes._kubelet
attributes:
  action_group:
    description: >-
      Use C(group/container_checkpoint.kubernetes.kubelet) in C(module_defaults) to set defaults for what concerns
      the kubelet.
    support: full
    membership:
      - container_checkpoint.kubernetes.kubelet
options:
  checkpoint_dir:
    description:
      - Where the kubelet of this node puts archives; the free space there is reported.
    type: path
    default: /var/lib/kubelet/checkpoints
  min_free_bytes:
    description:
      - Warn when less than this is free at O(checkpoint_dir).
    type: int
    default: 1073741824
  cri_socket:
    description:
      - The container runtime's socket.
      - When not given, the one of containerd or CRI-O that exists.
    type: path
  configz:
    description:
      - What the kubelet of this node answers under C(/configz), if you have it already. The kubelet is not asked then.
    type: dict
  subset:
    description:
      - The parts of the node to look at. The verdict rests on these only.
      - V(engine) is the container runtime and the OCI runtime, V(criu) CRIU and its helpers, V(kernel) the options
        that the kernel was built with,
        V(kubelet) the kubelet and the free space, V(cpu) what the CPU can do.
    type: list
    elements: str
    choices: [engine, criu, kernel, kubelet, cpu]
    default: [engine, criu, kernel, kubelet, cpu]
  criu_features:
    description:
      - More names to ask C(criu check --feature) for. One that is missing makes the verdict risky.
    type: list
    elements: str
    default: []
notes:
  - Run it as root. Without, CRIU cannot be tested and the configuration may not be readable; the verdict is V(unknown)
    then.
  - C(containerd config dump) shows the configuration files, not what a service that was not restarted since still runs
    with. CRI-O is asked what it runs with (C(crio status config)); its files are looked at where it does not answer.
seealso:
  - module: container_checkpoint.kubernetes.pod_restore
"""

EXAMPLES = r"""
- name: Look at the node
  container_checkpoint.kubernetes.node_info:
  become: true
  register: result

- name: Stop here if it cannot checkpoint
  ansible.builtin.assert:
    that: result.verdict.checkpoint in ['yes', 'risky']
    fail_msg: "{{ result.reasons | selectattr('severity', 'equalto', 'error') | map(attribute='text') | join('; ') }}"
"""

RETURN = r"""
verdict:
  description:
    - V(yes), V(no), V(risky) (it may work; see RV(reasons)) or V(unknown) (something could not be found out).
  returned: always
  type: dict
  contains:
    checkpoint:
      description: Whether containers of this node can be checkpointed.
      type: str
      returned: always
      sample: "yes"
    restore:
      description: Whether containers can be restored on this node.
      type: str
      returned: always
      sample: "no"
restore_paths:
  description: The ways in which a container could be restored here.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: V(image) for checkpoint images, V(handler) for this collection's own runtime handler.
      type: str
      returned: always
      sample: image
    available:
      description: Whether the path exists on this node.
      type: bool
      returned: always
      sample: true
    enabled:
      description: Whether it is switched on (V(image)) or passes its self-test (V(handler)).
      type: bool
      returned: always
      sample: false
    why:
      description: The reason for that.
      type: str
      returned: always
      sample: restoring is switched off in the configuration of containerd 2.3.4
    remedy:
      description: What to do to have it, empty if nothing.
      type: str
      returned: always
      sample: >-
        enable_experimental_restore_via_create = true in [plugins.'io.containerd.cri.v1.runtime'], then restart the service
reasons:
  description: Everything that speaks against checkpoint or restore, or should be known.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name.
      type: str
      returned: always
      sample: no-restore-path
    severity:
      description: V(error) decides the verdict, V(warning) makes it risky, V(info) only tells.
      type: str
      returned: always
      sample: error
    affects:
      description: V(checkpoint), V(restore), or both.
      type: list
      elements: str
      returned: always
      sample: [restore]
    text:
      description: What was found.
      type: str
      returned: always
      sample: "no restore path: image: restoring is switched off in the configuration of containerd 2.3.4"
    remedy:
      description: What to do about it.
      type: str
      returned: always
      sample: install a newer criu
node:
  description: The facts behind the verdict.
  returned: always
  type: dict
  sample:
    engine: containerd
    engine_version: 2.1.9
    endpoint: unix:///run/containerd/containerd.sock
    cri: true
    cri_why: null
    config:
      enable_criu: null
      restore: null
      default_runtime: runc
      runtimes: {runc: {type: io.containerd.runc.v2, path: ""}}
      signature_policy: null
    config_why: null
    oci_runtime: {name: runc, path: /usr/sbin/runc, version: 1.3.6, criu: true, why: null}
    criu_version: 4.2.1
    criu_check: {rc: 0, text: Looks good.}
    criu_features: {get_rseq_conf: true}
    criu_config: [skip-in-flight, tcp-close]
    criu_network_lock: null
    helpers: {iptables-restore: true, ip6tables-restore: true, nft: false, ip: true, tar: true}
    kubelet_version: 1.36.2
    kubelet_gate: true
    kubelet_config_from: configz
    kubelet_why: null
    debugging_handlers: true
    restore_handler: {installed: false, runtime: null, passing: false, why: null}
    subset: [engine, criu, kernel, kubelet, cpu]
    kernel: 6.18.0
    kernel_options: {known: true, source: /boot/config-6.18.0, missing: [], missing_wanted: []}
    lsm: apparmor
    cgroup_version: 2
    cpu: {vendor: GenuineIntel, model: Xeon, flags: [avx, avx2, sse4_2], criu_image: E0BBYQ==}
    arch: x86_64
    root: true
    checkpoint_dir: /var/lib/kubelet/checkpoints
    free_bytes: 53687091200
    wanted_free_bytes: 1073741824
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec import (
    kubelet_argument_spec,
    kubelet_mutually_exclusive,
    kubelet_required_by,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_connect import kubelet_client
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info import (
    SUBSETS,
    Inspector,
    this_system,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info_assess import assess


def ask_kubelet(params: t.Mapping[str, t.Any]) -> t.Tuple[t.Optional[t.Dict[str, t.Any]], t.Optional[str]]:
    """(what the kubelet runs with, why it did not tell): it is asked only when there is a credential for it."""
    if params["configz"] is not None:
        return params["configz"], None
    if not (params["kubelet_token"] or params["kubelet_token_file"] or params["kubelet_client_cert"]):
        return None, None
    try:
        return kubelet_client(params).configz(), None
    except CheckpointError as exc:
        return None, exc.msg


def main() -> None:
    """Gather, judge, answer."""
    module = AnsibleModule(
        argument_spec={
            **kubelet_argument_spec(),
            "checkpoint_dir": {"type": "path", "default": "/var/lib/kubelet/checkpoints"},
            "min_free_bytes": {"type": "int", "default": 1073741824},
            "cri_socket": {"type": "path"},
            "configz": {"type": "dict"},
            "subset": {"type": "list", "elements": "str", "choices": list(SUBSETS), "default": list(SUBSETS)},
            "criu_features": {"type": "list", "elements": "str", "default": []},
        },
        mutually_exclusive=kubelet_mutually_exclusive(),
        required_by=kubelet_required_by(),
        supports_check_mode=True,
    )
    params = module.params
    runner = CommandRunner(module)
    try:
        inspector = Inspector(runner.run, runner.find, this_system(), params["cri_socket"])
        configz, why = ask_kubelet(params) if "kubelet" in params["subset"] else (None, None)
        node = inspector.gather(
            params["checkpoint_dir"], params["min_free_bytes"], configz, params["subset"], params["criu_features"]
        )
        node["kubelet_why"] = why
        module.exit_json(changed=False, node=node, **assess(node))
    except CheckpointError as exc:
        fail(module, exc)


if __name__ == "__main__":
    main()
