#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_preflight
short_description: Will these containers survive a checkpoint and a restore
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Looks at running containers of the node that it runs on and says for each whether it can be checkpointed, whether
    that checkpoint can be restored in another pod, and if not why, with what error, and what to do about it.
  - Reads C(/proc), the container runtime's status and, where given, the Pod. Nothing is frozen, traced or changed.
    It works at a low priority, and reads nothing that holds a process up (such as C(smaps)).
  - It looks at sockets (established and half-open TCP, MPTCP, unix sockets to the outside, netlink), open and deleted
    files, file locks, inotify, io_uring, devices, processes (traced, stopped, uninterruptible, zombies), namespaces,
    privileges, volumes and probes.
  - It estimates the archive's size, the time for which the container stands still, the time-out and the space needed.
  - It judges one moment. A connection or a lock may come and go; what is V(transient) may be gone at the next try.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
options:
  pods:
    description:
      - The Pods to look at. A Pod that does not run on this node is an error.
      - Without this, O(namespace) and O(pod_objects), all containers of the node.
    type: list
    elements: dict
    suboptions:
      namespace:
        description:
          - The Pod's namespace.
        type: str
        default: default
      name:
        description:
          - The Pod's name.
        type: str
        required: true
      containers:
        description:
          - Only these containers.
        type: list
        elements: str
  namespace:
    description:
      - Only containers of this namespace.
    type: str
  containers:
    description:
      - Only containers with these names.
    type: list
    elements: str
  pod_objects:
    description:
      - The Pods to look at, as the Kubernetes API returns them. Pods of other nodes are left out.
      - With them, more is known about volumes, probes and other containers of the Pod.
      - Ansible writes a module's options to the node's journal. P(container_checkpoint.kubernetes.preflight_pods#filter)
        leaves out of the Pods what is not needed and may be secret, such as environment variables.
    type: list
    elements: dict
  checkpoint_dir:
    description:
      - Where the kubelet of this node puts archives.
    type: path
    default: /var/lib/kubelet/checkpoints
  criu_config:
    description:
      - The configuration that the OCI runtime hands to CRIU. It decides what a connection or a lock does.
    type: path
    default: /etc/criu/runc.conf
  store_free_bytes:
    description:
      - Free space in the store that the archives go to, if you know it.
    type: int
  target_free_bytes:
    description:
      - Free space on the node that the containers are to be restored on, if you know it.
    type: int
  target:
    description:
      - What M(container_checkpoint.kubernetes.node_info) returned on the node that the containers are to be restored
        on.
      - When given, that node is compared with this one, and what does not fit is among the reasons.
    type: dict
  check_node:
    description:
      - Also look at the node itself, as M(container_checkpoint.kubernetes.node_info) does. What keeps every
        checkpoint from working is then among each container's reasons.
    type: bool
    default: true
  cri_socket:
    description:
      - The container runtime's socket.
      - When not given, the one of containerd or CRI-O that exists.
    type: path
notes:
  - Run it as root on the node. It needs C(crictl).
seealso:
  - module: container_checkpoint.kubernetes.node_info
  - module: container_checkpoint.kubernetes.checkpoint
"""

EXAMPLES = r"""
- name: Look at everything that runs on this node
  container_checkpoint.kubernetes.pod_preflight:
  become: true
  register: result

- name: What would not survive, and why
  ansible.builtin.debug:
    msg: "{{ item.pod }}/{{ item.container }}: {{ item.reasons | rejectattr('severity', 'equalto', 'info') | map(attribute='text') | join('; ') }}"
  loop: "{{ result.containers | rejectattr('verdict', 'equalto', 'yes') }}"
  loop_control:
    label: "{{ item.pod }}"

- name: One Pod, with what its spec says, against the node that it is to move to
  container_checkpoint.kubernetes.pod_preflight:
    pod_objects: "{{ pods.resources | container_checkpoint.kubernetes.preflight_pods }}"
    target: "{{ hostvars['node2'].node_facts }}"
  become: true
  register: moving
"""

RETURN = r"""
containers:
  description: The containers that were looked at.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: The Pod's namespace.
      type: str
      returned: always
      sample: default
    pod:
      description: The Pod's name.
      type: str
      returned: always
      sample: web-0
    container:
      description: The container's name.
      type: str
      returned: always
      sample: nginx
    container_id:
      description: Its id.
      type: str
      returned: always
      sample: c2385d03777a94be758af5d35398d01e03b115ec58ad497fedf6a1cac51ba513
    pid:
      description: Its first process, as the node numbers it.
      type: int
      returned: always
      sample: 4711
    processes:
      description: How many processes a checkpoint saves.
      type: int
      returned: always
      sample: 3
    verdict:
      description: V(yes), V(risky) or V(no), the worse one of RV(containers[].verdicts).
      type: str
      returned: always
      sample: "no"
    verdicts:
      description: Whether it can be checkpointed (C(checkpoint)), and whether that can be restored in another pod
        (C(restore)).
      type: dict
      returned: always
      sample: {checkpoint: "no", restore: "yes"}
    reasons:
      description: What speaks against it, and what should be known, the worst first.
      type: list
      elements: dict
      returned: always
      contains:
        id:
          description: Stable name.
          type: str
          returned: always
          sample: tcp-established
        severity:
          description: V(error) means no, V(warning) means risky, V(info) only tells.
          type: str
          returned: always
          sample: error
        affects:
          description: V(checkpoint), V(restore), or both.
          type: list
          elements: str
          returned: always
          sample: [checkpoint]
        text:
          description: What was found.
          type: str
          returned: always
          sample: there is an established TCP connection to 10.0.0.7:5432 (outside the pod)
        evidence:
          description: What points at it, such as C(pid), C(fd), C(path). More of the same kind are counted in C(more).
          type: dict
          returned: always
          sample: {pid: 4711, fd: 9, path: "socket:[31337]", local: "10.244.1.3:40002", remote: "10.0.0.7:5432"}
        error:
          description: The error that it would cause, empty if none.
          type: str
          returned: always
          sample: Connected TCP socket, consider using --tcp-established option
        remedy:
          description: What to do about it.
          type: str
          returned: always
          sample: put 'tcp-close' into /etc/criu/runc.conf on source and target (role criu)
        criu_option:
          description: The option of CRIU that would help, V(null) if none does.
          type: str
          returned: always
          sample: tcp-close
        transient:
          description: Whether it may be gone at the next try.
          type: bool
          returned: always
          sample: false
    estimate:
      description: What the checkpoint takes. Rates of disks differ; the bytes are closer than the seconds.
      type: dict
      returned: always
      sample:
        memory_bytes: 16777216
        rootfs_bytes: 4096
        archive_bytes: 17367040
        needed_bytes: 34209792
        freeze_seconds: 0.38
        timeout_seconds: 120
summary:
  description: How many containers got which verdict.
  returned: always
  type: dict
  sample: {"yes": 12, risky: 1, "no": 2}
node:
  description: What M(container_checkpoint.kubernetes.node_info) says about this node.
  returned: when O(check_node) or O(target)
  type: dict
  sample: {verdict: {checkpoint: "yes", restore: "yes"}, reasons: []}
pair:
  description: How this node and O(target) fit together.
  returned: when O(target)
  type: dict
  sample: {verdict: "yes", reasons: []}
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info, _pair, _preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec import pods_option
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info_assess import assess
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_collect import ProcReader

_NICE = 10


def argument_spec() -> t.Dict[str, t.Any]:
    """All options."""
    return {
        "pods": pods_option(),
        "namespace": {"type": "str"},
        "containers": {"type": "list", "elements": "str"},
        "pod_objects": {"type": "list", "elements": "dict"},
        "checkpoint_dir": {"type": "path", "default": "/var/lib/kubelet/checkpoints"},
        "criu_config": {"type": "path", "default": _preflight.CRIU_CONFIG},
        "store_free_bytes": {"type": "int"},
        "target_free_bytes": {"type": "int"},
        "target": {"type": "dict"},
        "check_node": {"type": "bool", "default": True},
        "cri_socket": {"type": "path"},
    }


def this_node(runner: CommandRunner, params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What node_info returns here."""
    inspector = _node_info.Inspector(runner.run, runner.find, _node_info.this_system(), params["cri_socket"])
    node = inspector.gather(params["checkpoint_dir"], 0, None)
    return dict(assess(node), node=node)


def look(runner: CommandRunner, params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The module's result."""
    cri = Cri(runner.run, runner.find, params["cri_socket"])
    resolved = _preflight.resolve(params, cri)
    problem = _preflight.problems_of(resolved) if not params["pod_objects"] else None
    if problem is not None:
        raise problem
    reader, around = ProcReader(), _preflight.Surroundings()
    wish = _preflight.Wish(
        params["checkpoint_dir"], params["criu_config"], params["store_free_bytes"], params["target_free_bytes"]
    )
    criu = runner.find("criu")
    version = runner.run([criu, "--version"], 10.0)[1] if criu else ""
    host = _preflight.host_of(cri.version().name, version, reader, around, wish)
    entries = _preflight.Preflight(cri, host, reader, around)(resolved.targets)
    result: t.Dict[str, t.Any] = {"changed": False}
    if params["check_node"] or params["target"]:
        node = this_node(runner, params)
        result["node"] = {"verdict": node["verdict"], "reasons": node["reasons"]}
        entries = [_preflight.with_node(entry, node["reasons"]) for entry in entries]
        if params["target"]:
            result["pair"] = _pair.compare(node, params["target"])
            entries = [_preflight.with_pair(entry, result["pair"]["reasons"]) for entry in entries]
    return dict(result, containers=entries, summary=_preflight.summary(entries))


def main() -> None:
    """Look, judge, answer."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        mutually_exclusive=[
            ["pods", "pod_objects"],
            ["pods", "namespace"],
            ["pods", "containers"],
            ["namespace", "pod_objects"],
        ],
    )
    runner = CommandRunner(module)
    # What runs on the node comes first.
    os.nice(_NICE)
    try:
        module.exit_json(**look(runner, module.params))
    except CheckpointError as exc:
        fail(module, exc, changed=False, containers=[])


if __name__ == "__main__":
    main()
