#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_restore
short_description: Restore a checkpointed Pod on another node
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Creates a Pod whose containers are restored from their checkpoints, with the mounts, ServiceAccount, terminal and
    security context of the Pod that was checkpointed, and waits until its containers run.
  - With the back-end V(handler) this takes two calls. The first one creates the Pod behind a scheduling gate. Then
    M(container_checkpoint.kubernetes.restore_stage) stages each container's checkpoint on the target, with RV(pod_object).
    The second call is the same with O(staged=true), which removes the gate and waits.
  - The Pod that was checkpointed is only read, never changed.
  - That containers run is no proof that they were restored and not started afresh; RV(verified) is therefore V(null).
    The proof is the target node's word, which M(container_checkpoint.kubernetes.restore_evidence) gets.
  - Whatever can be refused is refused before anything is created, with the reason and what to do about it.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.actiongroup_kubernetes
  - container_checkpoint.kubernetes._kube_api
attributes:
  check_mode:
    support: full
    details:
      - The API server checks the Pod and fills it in (server-side dry run), and keeps nothing.
  diff_mode:
    support: none
    details:
      - The new Pod holds the environment of the old one, which has no place in a log.
  idempotent:
    support: full
    details:
      - If the Pod exists and was made from the same request, nothing is changed.
options:
  namespace:
    description: The namespace of the Pod that was checkpointed, and of the new one.
    type: str
    required: true
  pod:
    description: The name of the Pod that was checkpointed.
    type: str
    required: true
  source_file:
    description:
      - Path of the file C(<archive>.pod.json) that was written with the checkpoint, where this module runs.
      - When not given, the Pod is read from the API.
    type: path
  name:
    description: The name of the new Pod. When not given, that of O(pod) with C(-restored) behind it.
    type: str
  target_node:
    description: The node to restore on.
    type: str
    required: true
  placement:
    description:
      - V(node_name) binds the Pod to O(target_node) past the scheduler.
      - V(affinity) lets the scheduler do that, which then also looks at taints, resources and volumes.
      - When not given, V(node_name) for O(backend=image), and V(affinity) for O(backend=handler), which needs it.
    type: str
    choices: [node_name, affinity]
  containers:
    description:
      - The containers to restore.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The container's name in the Pod.
        type: str
        required: true
      image:
        description:
          - Its checkpoint image by digest, C(name@sha256:…), as M(container_checkpoint.kubernetes.image) returns it.
          - Required for O(backend=image).
        type: str
      annotations:
        description:
          - The annotations of that image, as M(container_checkpoint.kubernetes.image) returns them.
          - With them the container runtime and platform of source and target are compared before anything is created.
        type: dict
      privileges:
        description:
          - For O(backend=image), what the checkpoint's processes may do, as M(container_checkpoint.kubernetes.image) and
            M(container_checkpoint.kubernetes.image_info) return it.
          - They keep it, whatever the new Pod says (CVE-2026-95837, CVE-2026-92574). So more than the Pod grants is refused
            before it is created. Without this nothing is compared, and a warning says so.
        type: dict
      archive_sha256:
        description:
          - SHA-256 digest of the checkpoint's archive, 64 hexadecimal digits.
          - For O(backend=handler), this or O(containers[].image) says which checkpoint it is.
        type: str
      base_image:
        description:
          - For O(backend=handler), the image by digest that the container was started from, which the new Pod gets.
          - When not given, the one that the Pod's status names.
        type: str
  accept_privileges:
    description: Differences in privilege that you have judged and accept, for O(backend=image).
    type: list
    elements: str
    choices: [ids, groups, capabilities, no_new_privs, seccomp, lsm]
    default: []
  fresh_containers:
    description:
      - Whether containers of the Pod that are not in O(containers) may start afresh, from the image by digest that they ran.
      - If not, every container needs a checkpoint.
    type: bool
    default: false
  backend:
    description:
      - The way to restore. V(image) has the container runtime of the target restore a checkpoint image. It must be of
        the same kind as the source's, and must have restoring switched on.
      - V(handler) has this collection's OCI runtime handler (role P(container_checkpoint.kubernetes.restore_handler#role))
        restore an archive that is staged on the target, of containerd or CRI-O, whatever the container runtime there
        thinks of restoring. The Pod keeps its ordinary image.
      - V(auto) takes V(handler) if O(node_info) says that it is installed on the target and passes its self-test, else
        V(image) if that is switched on there, and refuses otherwise.
    type: str
    choices: [auto, handler, image]
    default: auto
  staged:
    description:
      - For O(backend=handler), the checkpoints of all O(containers) are staged on the target under the UID of the Pod that
        an earlier call created, so that it may start.
    type: bool
    default: false
  runtime_class:
    description:
      - For O(backend=handler), the RuntimeClass that asks for the handler. When not given, the name under which
        O(node_info) found it, else V(container-checkpoint).
    type: str
  node_info:
    description:
      - The result of M(container_checkpoint.kubernetes.node_info) on O(target_node).
      - Without it, only the version in the Node object says whether the target can restore, and whether that is
        switched on or the handler is installed cannot be told.
    type: dict
  owner:
    description:
      - What to do about the controller of the source (ReplicaSet, StatefulSet, …). The new Pod has no owner in either
        case.
      - V(detached) leaves out the labels by which that controller selects, because it would adopt the new Pod and
        delete it at once. They are returned as RV(labels_removed).
      - V(keep) keeps all labels.
    type: str
    choices: [detached, keep]
    default: detached
  labels:
    description:
      - Labels to add.
    type: dict
  annotations:
    description:
      - Annotations to add.
    type: dict
  image_pull_secrets:
    description:
      - Names of Secrets with registry credentials, in addition to those of the source.
    type: list
    elements: str
  restart_policy:
    description:
      - The new Pod's restart policy. When not given, V(Never) for O(backend=image), because a container that crashes
        would be restored from the same checkpoint again and go back in time, and that of the source for
        O(backend=handler), which restores once and then starts it as its image says.
    type: str
    choices: [Always, OnFailure, Never]
  wait:
    description:
      - Wait until the containers run. A Pod that was created behind its gate is not waited for.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for that.
    type: int
    default: 120
  cleanup_on_failure:
    description:
      - Delete the new Pod when the restore failed. A Pod that this run neither created nor let start is never deleted.
    type: bool
    default: true
seealso:
  - module: container_checkpoint.kubernetes.image
  - module: container_checkpoint.kubernetes.node_info
  - module: container_checkpoint.kubernetes.restore_evidence
  - module: container_checkpoint.kubernetes.restore_stage
notes:
  - Needs the rights to get pods, nodes and the source's owner, to create and delete pods, and to list events; for
    O(backend=handler) also to get runtimeclasses and to patch pods.
  - With O(backend=image), O(containers[].privileges) has this module compare what the checkpoint's processes hold with what the
    Pod grants; with O(backend=handler), M(container_checkpoint.kubernetes.restore_stage) always does.
"""

EXAMPLES = r"""
- name: Look at the target node
  container_checkpoint.kubernetes.node_info:
  become: true
  delegate_to: node2
  register: target

- name: Restore the container there
  container_checkpoint.kubernetes.pod_restore:
    namespace: default
    pod: counter
    target_node: node2
    node_info: "{{ target }}"
    containers:
      - name: counter
        image: "{{ checkpoint_image.image }}"
        annotations: "{{ checkpoint_image.annotations }}"
        privileges: "{{ checkpoint_image.privileges }}"
  delegate_to: localhost
  register: restored

- name: Prove that it was restored
  container_checkpoint.kubernetes.restore_evidence:
    namespace: "{{ restored.pod.namespace }}"
    pod: "{{ restored.pod.name }}"
    pod_uid: "{{ restored.pod.uid }}"
  become: true
  delegate_to: node2

- name: Through the handler, create the Pod, which waits behind its gate
  container_checkpoint.kubernetes.pod_restore: &counter
    namespace: default
    pod: counter
    target_node: node2
    backend: handler
    node_info: "{{ target }}"
    containers:
      - name: counter
        archive_sha256: "{{ checkpoint.sha256 }}"
  register: waiting

- name: Stage the checkpoint on the target
  container_checkpoint.kubernetes.restore_stage:
    src: /var/lib/container-checkpoint/archives/counter.tar
    archive_sha256: "{{ checkpoint.sha256 }}"
    namespace: default
    pod: "{{ waiting.pod.name }}"
    source_pod: counter
    container: counter
    pod_object: "{{ waiting.pod_object }}"
  become: true
  delegate_to: node2

- name: Let it start
  container_checkpoint.kubernetes.pod_restore:
    <<: *counter
    staged: true

- name: The source is gone; restore from what was kept
  container_checkpoint.kubernetes.pod_restore:
    namespace: default
    pod: counter
    name: counter
    source_file: /backup/default-counter-counter.tar.pod.json
    target_node: node2
    containers:
      - name: counter
        image: registry.example.com/checkpoints/counter@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
"""

RETURN = r"""
pod:
  description: The new Pod.
  returned: always, once it is known
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: always
      sample: counter-restored
    namespace:
      description: Its namespace.
      type: str
      returned: always
      sample: default
    uid:
      description: Its UID; V(null) in check mode.
      type: str
      returned: always
      sample: 6d6f3a90-3029-4982-beb3-d323f3b2bd15
    node:
      description: The node it is bound to.
      type: str
      returned: always
      sample: node2
    phase:
      description: Its phase, which proves nothing.
      type: str
      returned: always
      sample: Running
    ip:
      description: Its IP address.
      type: str
      returned: always
      sample: 10.244.2.2
    labels:
      description: Its labels.
      type: dict
      returned: always
      sample: {}
    containers:
      description: Its containers.
      type: list
      elements: dict
      returned: always
      sample:
        - name: counter
          container_id: c2385d03777a94be758af5d35398d01e03b115ec58ad497fedf6a1cac51ba513
          image: registry.example.com/checkpoints/counter@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
pod_object:
  description: What M(container_checkpoint.kubernetes.restore_stage) needs of the Pod's object; no environment, no commands.
  returned: always, once the back-end is chosen
  type: dict
  sample:
    metadata: {namespace: default, name: counter-restored, uid: 6d6f3a90-3029-4982-beb3-d323f3b2bd15, ownerReferences: null}
    spec:
      serviceAccountName: default
      hostPID: null
      shareProcessNamespace: null
      hostUsers: null
      securityContext: {}
      containers:
        - name: counter
          image: registry.example.com/counter@sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
          tty: null
          securityContext: null
gated:
  description: Whether the Pod waits behind its scheduling gate for its checkpoints to be staged.
  returned: always, once the back-end is chosen
  type: bool
  sample: false
backend:
  description: The way it was restored.
  returned: always, once it is chosen
  type: str
  sample: image
verified:
  description: Always V(null). Ask M(container_checkpoint.kubernetes.restore_evidence).
  returned: always, once the back-end is chosen
  type: bool
  sample: null
evidence:
  description: Always V(null), for the same reason.
  returned: always, once the back-end is chosen
  type: dict
  sample: null
labels_removed:
  description: Labels of the source that were left out; give them to the Pod to have its owner adopt it.
  returned: always, once the back-end is chosen
  type: dict
  sample: {app: counter, pod-template-hash: 5d69b7d6f}
events:
  description: The Pod's events.
  returned: always, once the back-end is chosen; empty unless the restore failed
  type: list
  elements: dict
  sample:
    - type: Warning
      reason: Failed
      message: "Error: failed to restore containerd task: failed to create shim task: OCI runtime restore failed: criu failed: type RESTORE errno 0"
      count: 2
      time: "2026-11-21T12:31:15Z"
diagnosis:
  description: What the messages of a failure mean, the likeliest cause first.
  returned: on failure
  type: list
  elements: dict
  sample:
    - id: crio-mounts
      kind: cause
      where: [cri-o]
      pattern: expects following bind mounts defined
      line: restoring "21719a4a" expects following bind mounts defined (/var/run/secrets/kubernetes.io/serviceaccount)
      cause: the new pod lacks mounts that the checkpointed container had (the list is in the message)
      remedy: give the new pod the source's volumeMounts; keep automountServiceAccountToken as it was
      transient: false
      since: null
      until: null
      source: seen with CRI-O 1.36.3
cleaned_up:
  description: Whether the new Pod was deleted again.
  returned: always, once the back-end is chosen
  type: bool
  sample: false
stages:
  description: Seconds spent in each stage.
  returned: always, once the back-end is chosen
  type: dict
  sample: {prepare: 0.031, create: 0.012, wait: 1.204}
"""

import json

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kube_api
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_kube_api import (
    kube_api_argument_spec,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_grant import ACCEPTABLE
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore import Restorer, order_from


def read_source(path):
    """The Pod object in a file that was written with a checkpoint."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError) as exc:
        raise InputError("source_file %s cannot be read as JSON: %s" % (path, exc)) from exc


def argument_spec():
    """The module's options."""
    spec = kube_api_argument_spec()
    spec.update(
        namespace={"type": "str", "required": True},
        pod={"type": "str", "required": True},
        source_file={"type": "path"},
        name={"type": "str"},
        target_node={"type": "str", "required": True},
        placement={"type": "str", "choices": ["node_name", "affinity"]},
        containers={
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "image": {"type": "str"},
                "annotations": {"type": "dict"},
                "privileges": {"type": "dict"},
                "archive_sha256": {"type": "str"},
                "base_image": {"type": "str"},
            },
        },
        fresh_containers={"type": "bool", "default": False},
        accept_privileges={"type": "list", "elements": "str", "choices": list(ACCEPTABLE), "default": []},
        backend={"type": "str", "choices": ["auto", "handler", "image"], "default": "auto"},
        staged={"type": "bool", "default": False},
        runtime_class={"type": "str"},
        node_info={"type": "dict"},
        owner={"type": "str", "choices": ["detached", "keep"], "default": "detached"},
        labels={"type": "dict"},
        annotations={"type": "dict"},
        image_pull_secrets={"type": "list", "elements": "str", "no_log": False},
        restart_policy={"type": "str", "choices": ["Always", "OnFailure", "Never"]},
        wait={"type": "bool", "default": True},
        wait_timeout={"type": "int", "default": 120},
        cleanup_on_failure={"type": "bool", "default": True},
    )
    return spec


def warn(module, result):
    """Hand the result's warnings to Ansible."""
    for text in result.pop("warnings", []):
        module.warn(text)


def main() -> None:
    """Connect, restore, answer."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.no_log_values.update(_kube_api.secrets_of(module.params))
    if not _kube_api.HAS_KUBERNETES:
        module.fail_json(
            msg=missing_required_lib("kubernetes >= %s" % _kube_api.MINIMUM, reason="to reach the Kubernetes API"),
            exception=_kube_api.KUBERNETES_IMPORT_ERROR,
        )
    try:
        source = read_source(module.params["source_file"]) if module.params["source_file"] else None
        api = _kube_api.connect(module.params, module.tmpdir)
        result = Restorer(api, order_from(module.params, source), module.check_mode).run()
    except CheckpointError as exc:
        warn(module, exc.details)
        fail(module, exc)
    else:
        warn(module, result)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
