#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_evidence
short_description: Prove that a Pod's containers were restored and not started afresh
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Asks the container runtime of the node that it runs on what it recorded about the containers of a Pod, and reads what
    the restore handler (role P(container_checkpoint.kubernetes.restore_handler#role)) wrote about them.
  - A Pod that is Running, its image and its log prove nothing. The status shows the ordinary image, and old log lines
    are carried over.
  - Compares the checkpoint that was recorded with the one expected, by the image's digest (containerd, handler), by the
    archive's digest (handler) and by time.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
options:
  namespace:
    description:
      - The Pod's namespace.
    type: str
    required: true
  pod:
    description:
      - The Pod's name.
    type: str
    required: true
  pod_uid:
    description:
      - The Pod's UID. When given, a Pod of the same name that was there before is not mistaken for it.
    type: str
  containers:
    description:
      - The containers that must be restored ones.
      - When not given, all of the Pod.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The container's name.
        type: str
        required: true
      image:
        description:
          - The checkpoint image by digest that it must have been restored from. Compared where the runtime records it;
            CRI-O does not.
        type: str
      checkpointed_at:
        description:
          - When the checkpoint was made, as the archive says (RFC 3339).
        type: str
      archive_sha256:
        description:
          - SHA-256 digest of the archive that it must have been restored from. Compared where the handler restored it.
        type: str
  require:
    description:
      - Fail if the proof is not complete.
    type: bool
    default: true
  staging_dir:
    description:
      - The restore handler's staging directory.
    type: path
    default: /var/lib/container-checkpoint/restore
  cri_socket:
    description:
      - The container runtime's socket.
      - When not given, the one of containerd or CRI-O that exists.
    type: path
notes:
  - Run it as root on the node that the Pod runs on. It needs C(crictl).
seealso:
  - module: container_checkpoint.kubernetes.pod_restore
"""

EXAMPLES = r"""
- name: Why did the restore fail? The Pod is deleted already, CRIU's log is kept
  container_checkpoint.kubernetes.restore_evidence:
    namespace: default
    pod: counter-restored
    require: false
  become: true
  delegate_to: node2
  register: why

- name: Prove that it was restored
  container_checkpoint.kubernetes.restore_evidence:
    namespace: default
    pod: counter-restored
    pod_uid: "{{ restored.pod.uid }}"
    containers:
      - name: counter
        image: "{{ checkpoint_image.image }}"
        checkpointed_at: "{{ checkpoint_image.identity.checkpointed_at }}"
  become: true
  delegate_to: node2
"""

RETURN = r"""
verified:
  description: Whether every container was restored, from the checkpoint that was expected, and runs.
  returned: always, once the runtime has answered
  type: bool
  sample: true
containers:
  description: What the runtime recorded.
  returned: always, once the runtime has answered
  type: list
  elements: dict
  contains:
    name:
      description: The container's name.
      type: str
      returned: always
      sample: counter
    container_id:
      description: Its id.
      type: str
      returned: always
      sample: c2385d03777a94be758af5d35398d01e03b115ec58ad497fedf6a1cac51ba513
    restored:
      description: Whether it was restored.
      type: bool
      returned: always
      sample: true
    by:
      description: Who says so; V(cri) is the container runtime, V(handler) the restore handler, V(null) nobody.
      type: str
      returned: always
      sample: cri
    engine:
      description: The container runtime.
      type: str
      returned: always
      sample: containerd
    checkpoint_image:
      description: The checkpoint image, where it is recorded.
      type: str
      returned: always
      sample: registry.example.com/checkpoints/counter@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    checkpointed_at:
      description: When the checkpoint was made.
      type: str
      returned: always
      sample: "2026-11-21T12:31:08.24669231Z"
    archive_sha256:
      description: Digest of the archive, where the handler restored it.
      type: str
      returned: always
      sample: null
    state:
      description: The container's state.
      type: str
      returned: always
      sample: running
    restarts:
      description: How often it was restarted. What the container runtime restored is restored from the same checkpoint every time.
      type: int
      returned: always
      sample: 0
    pid:
      description: Its process on the node.
      type: int
      returned: always
      sample: 454
    started_at:
      description: When it was started.
      type: str
      returned: always
      sample: "2026-11-21T12:31:11.028607265Z"
reasons:
  description: What speaks against the proof, and what could not be compared.
  returned: always, once the runtime has answered
  type: list
  elements: dict
  contains:
    id:
      description: Stable name.
      type: str
      returned: always
      sample: started-fresh
    container:
      description: The container, V(null) if it is about the whole Pod.
      type: str
      returned: always
      sample: counter
    text:
      description: What was found.
      type: str
      returned: always
      sample: the runtime says that it was started afresh, not restored
  sample: []
handler:
  description: What the restore handler wrote for this Pod, also when the Pod is gone.
  returned: always, once the runtime has answered
  type: list
  elements: dict
  contains:
    entry:
      description: The ID under which the checkpoint was staged.
      type: str
      returned: always
      sample: 0f3c9a4d5e6b47f08a1b2c3d4e5f6071
    container:
      description: The container's name.
      type: str
      returned: always
      sample: counter
    container_id:
      description: Its ID, V(null) if none has come for the checkpoint yet.
      type: str
      returned: always
      sample: c2385d03777a94be758af5d35398d01e03b115ec58ad497fedf6a1cac51ba513
    outcome:
      description: V(restored), V(failed), V(expired), or how far it is, V(staged), V(restoring) or V(held).
      type: str
      returned: always
      sample: restored
    reason:
      description: Why it failed.
      type: str
      returned: always
      sample: null
    diagnosis:
      description: What the messages of CRIU mean.
      type: list
      elements: dict
      returned: always
      sample: []
  sample: []
criu_log:
  description:
    - What CRIU's log of the last restore on this node that failed says, with O(pod_uid) the last one of that Pod. V(null) if the
      proof is complete or no such log is kept.
    - The runtimes delete theirs when a restore failed; C(log-file) in C(/etc/criu/runc.conf) keeps it (role
      P(container_checkpoint.kubernetes.criu#role), C(criu_log_dir) one for each operation, C(criu_log_file) the last one).
    - So after a restore that failed, and whose Pod may be gone, ask with O(require=false).
  returned: always, once the runtime has answered
  type: dict
  contains:
    path:
      description: The log on this node.
      type: str
      returned: always
      sample: /var/log/criu/20261121T130502.104263522Z.log
    age_seconds:
      description: How long ago it was last written. Without O(pod_uid) it may be of another container.
      type: int
      returned: always
      sample: 3
    errors:
      description: Its error lines.
      type: list
      elements: str
      returned: always
      sample:
        - "(00.067033)      1: Error (criu/sk-inet.c:1059): inet: Can't bind inet socket (id 14): Cannot assign requested address"
    diagnosis:
      description: What its messages mean, as P(container_checkpoint.kubernetes.diagnosis#filter) says it.
      type: list
      elements: dict
      returned: always
      sample: []
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_evidence as evidence
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs, _restore_log, _stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Container, Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    RestoreError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import check_label, check_subdomain


def newest(containers: t.Iterable[Container]) -> t.Dict[str, Container]:
    """The newest attempt of each container, by name; the input has newer attempts first."""
    found: t.Dict[str, Container] = {}
    for container in containers:
        found.setdefault(container.name, container)
    return found


def collect(
    cri: Cri,
    params: t.Mapping[str, t.Any],
    alive: t.Callable[[int], bool],
    log: t.Callable[[], t.Optional[t.Dict[str, t.Any]]],
    staged: t.Callable[[], t.Sequence[t.Mapping[str, t.Any]]],
) -> t.Dict[str, t.Any]:
    """The module's result; RestoreError when the proof is required and not complete."""
    namespace, pod = check_label(params["namespace"], "namespace"), check_subdomain(params["pod"], "pod")
    restores = evidence.handled(staged(), namespace, pod, params["pod_uid"])
    here = cri.containers(namespace, pod)
    if params["pod_uid"]:
        here = [container for container in here if container.pod_uid == params["pod_uid"]]
    present = newest(here)
    wanted = [
        evidence.Expected(entry["name"], entry.get("image"), entry.get("checkpointed_at"), entry.get("archive_sha256"))
        for entry in params["containers"] or []
    ] or [evidence.Expected(name) for name in sorted(present)]

    def digests_of(reference: str) -> t.Sequence[str]:
        return (cri.image(reference) or {}).get("repoDigests") or []

    described, reasons = [], []
    if not here:
        uid = " with UID %s" % params["pod_uid"] if params["pod_uid"] else ""
        text = "this node runs no container of pod %s/%s%s: is it the node the pod was restored on?" % (
            namespace,
            pod,
            uid,
        )
        reasons.append({"id": "no-pod", "container": None, "text": text})
    for expected in wanted if here else []:
        if expected.name not in present:
            text = "there is no such container: pod %s/%s has %s here" % (namespace, pod, ", ".join(sorted(present)))
            reasons.append({"id": "no-container", "container": expected.name, "text": text})
            continue
        container = cri.inspect(present[expected.name].id)
        described.append(evidence.describe(container, restores))
        reasons += evidence.judge(container, expected, alive, digests_of, restores)
    proven = evidence.verified(reasons)
    result = {
        "changed": False,
        "containers": described,
        "reasons": reasons,
        "verified": proven,
        "handler": [one.told() for one in restores],
        "criu_log": None if proven else log(),
    }
    if params["require"] and not proven:
        texts = [
            "container %(container)s: %(text)s" % reason if reason["container"] else reason["text"]
            for reason in reasons
        ]
        exc = RestoreError(
            "it is not proven that pod %s/%s was restored: %s" % (namespace, pod, "; ".join(texts)), **result
        )
        if result["criu_log"] and result["criu_log"]["diagnosis"]:
            _diagnosis_logs.explain(exc, result["criu_log"])
        raise exc
    return result


def staged_on(root: str) -> t.List[t.Dict[str, t.Any]]:
    """What lies in the handler's staging directory; nothing where there is no handler."""
    if not os.path.isdir(root):
        return []
    _stage.check_root(root)
    return [_stage.describe(entry, time.time()) for entry in _stage.entries(root)]


def main() -> None:
    """Ask, judge, answer."""
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "pod": {"type": "str", "required": True},
            "pod_uid": {"type": "str"},
            "containers": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "image": {"type": "str"},
                    "checkpointed_at": {"type": "str"},
                    "archive_sha256": {"type": "str"},
                },
            },
            "staging_dir": {"type": "path", "default": _stage.DEFAULT_ROOT},
            "require": {"type": "bool", "default": True},
            "cri_socket": {"type": "path"},
        },
        supports_check_mode=True,
    )
    runner = CommandRunner(module)
    try:
        cri = Cri(runner.run, runner.find, module.params["cri_socket"])
        result = collect(
            cri,
            module.params,
            lambda pid: os.path.exists("/proc/%d" % pid),
            lambda: _restore_log.look(module.params["pod_uid"]),
            lambda: staged_on(module.params["staging_dir"]),
        )
    except CheckpointError as exc:
        fail(module, exc)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
