#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: checkpoint
short_description: Make checkpoints of running containers, verify the archives, and record them
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Asks the kubelet for checkpoints of chosen containers, several at once if wanted, and never two at once of one
    container.
  - Then waits until each archive is complete, reads it once from beginning to end, computes its digest, and makes sure
    by what is inside
    that it is a sane archive of the container that was asked for.
  - Last, a record is written beside the archive (C(<archive>.record.json), readable for root only). An archive without
    a record is not complete.
    When the pod's object is known, it lies beside it as C(<archive>.pod.json).
  - The containers go on running. State that they make after the dump is not in the archive.
  - Runs on the node, where the archives are. Through the API server's proxy it can also run elsewhere; see
    RV(checkpoints[].verified).
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.actiongroup_kubelet
  - container_checkpoint.kubernetes._kubelet
  - container_checkpoint.kubernetes._kube_api
attributes:
  check_mode:
    support: full
    details:
      - Everything is read, and the kubelet is asked for a checkpoint of a container that cannot exist, which is
        authenticated and authorized
        like a real request and has no effect. Values that only a checkpoint brings (path, digest) are V(null).
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(max_age), a fresh enough archive of the very same container means no change. Without it, every call
        makes new archives.
  platform:
    platforms: linux
options:
  pods:
    description:
      - The pods by name. They have to be on the node that is asked.
      - Mutually exclusive with O(namespace), O(label_selectors), O(field_selectors) and O(containers).
    type: list
    elements: dict
    suboptions:
      namespace:
        description: The pod's namespace.
        type: str
        default: default
      name:
        description: The pod's name. Of a static pod the full one, with the node's name at its end.
        type: str
        required: true
      containers:
        description:
          - Names of the pod's containers. Init (side-car) and ephemeral containers can be named, too.
          - All containers of the pod, without init and ephemeral ones, when not given.
        type: list
        elements: str
  namespace:
    description:
      - Take the pods of this namespace that are on the node; all of them, or those that O(label_selectors) and
        O(field_selectors) select.
      - Containers that do not run are passed over and listed in RV(not_running).
    type: str
  label_selectors:
    description:
      - Label selectors as in Kubernetes (C(app=web), C(tier!=db), C(env in (a,b)), C(!canary)). All must match.
      - Without O(namespace), pods of all namespaces on the node are looked at.
      - Not with O(transport=cri).
    type: list
    elements: str
  field_selectors:
    description:
      - Field selectors as in Kubernetes (C(status.phase=Running), C(metadata.name!=x)). All must match.
      - Not with O(transport=cri).
    type: list
    elements: str
  containers:
    description:
      - With O(namespace) or selectors, take only containers with these names.
    type: list
    elements: str
  transport:
    description:
      - V(kubelet) talks to the kubelet, and needs the right to C(create) C(nodes/checkpoint) (before Kubernetes 1.30,
        C(nodes/proxy)). To resolve
        selectors it also needs to C(get) C(nodes/pods) (before 1.33, C(nodes/proxy)).
      - V(api_proxy) goes through the API server's proxy for O(node), with the options of kubernetes.core. It needs the
        right to C(create)
        C(nodes/proxy) (which is the right to run commands in all pods of the node) and the API server's own identity
        at the kubelet
        needs C(nodes/checkpoint), which kubeadm does not grant since May 2026. Prefer V(kubelet).
      - V(cri) asks the container runtime on the node with C(crictl), without the kubelet.
    type: str
    choices: [kubelet, api_proxy, cri]
    default: kubelet
  node:
    description:
      - The node's name in Kubernetes. Needed with O(transport=api_proxy); otherwise it is only written to the record.
      - When not given, the node that the pod's object names is recorded.
    type: str
  cluster:
    description:
      - A name for the cluster, written to the record.
    type: str
  checkpoint_dir:
    description:
      - The directory in which the kubelet keeps archives, C(checkpoints) in its root directory. A file elsewhere is
        never touched, whatever is answered.
    type: path
    default: /var/lib/kubelet/checkpoints
  after:
    description:
      - What becomes of the containers after the dump. V(running) leaves them running.
    type: str
    choices: [running]
    default: running
  timeout:
    description:
      - Seconds that the kubelet gives the runtime. It can only lengthen that time, whose default is
        C(runtimeRequestTimeout) (2 minutes).
      - When not given, 60 and 30 more for each GiB of memory that the container holds, at least 120.
    type: int
  deadline:
    description:
      - Seconds that this module waits for one container. It must be longer than O(timeout), and should be longer than
        the kubelet's
        C(runtimeRequestTimeout), because a call that is given up while the kubelet still waits is broken off.
      - When not given, the timeout (at least 120) and 60 more.
    type: int
  concurrency:
    description:
      - How many containers are checkpointed at the same time. Each costs memory and disk bandwidth on the node.
    type: int
    default: 1
  max_age:
    description:
      - Seconds. A complete archive of the same container (by its ID, so not of an earlier instance) that is not older
        means that nothing
        is done for this container.
      - An archive that is complete and lacks only its record, because whoever made it was interrupted, gets its record.
    type: int
  rename:
    description:
      - V(keep) leaves the archive's name as the kubelet made it, with C(:) and possibly C(+) in it.
      - V(safe) replaces C(:) by C(-) and C(+) by C(_).
    type: str
    choices: [keep, safe]
    default: keep
  verify:
    description:
      - V(auto) verifies and records every archive, except when O(transport=api_proxy) is used from a machine on which
        the archive is not.
      - V(always) insists. With O(max_age) it also computes the digest of an archive that is reused.
      - V(never) only makes the archives, and leaves them without a record.
    type: str
    choices: [auto, always, never]
    default: auto
  authorization_wait:
    description:
      - Seconds to go on trying when the answer is 403, because the kubelet remembers a refusal for about 30 seconds
        after the right was granted.
        V(0) fails at once.
    type: int
    default: 35
  cri_socket:
    description:
      - The container runtime's socket, for O(transport=cri) and for looking after containers whose checkpoint failed.
      - When not given, the one of containerd or CRI-O that exists.
    type: path
requirements:
  - The library C(kubernetes) is needed only with O(transport=api_proxy) and a kubeconfig.
notes:
  - When a call fails or is not answered in time, the module looks whether the container was left paused, which its pod
    does not show, and resumes it
    (C(crictl) and C(ctr) or the OCI runtime have to be on the machine). What was found is in RV(failures[].paused).
  - Archives hold the memory of processes, and with it their secrets. They and the records are readable for root only;
    keep it so.
  - Works with C(async).
seealso:
  - module: container_checkpoint.kubernetes.image
  - name: Kubelet Checkpoint API
    description: The kubelet's interface.
    link: https://kubernetes.io/docs/reference/node/kubelet-checkpoint-api/
"""

EXAMPLES = r"""
- name: Checkpoint two containers of one pod with the node's own kubelet
  container_checkpoint.kubernetes.checkpoint:
    pods:
      - namespace: shop
        name: cart-0
        containers: [cart, cache]
    kubelet_token_file: /etc/container-checkpoint/token
    kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt
  register: result

- name: Back up everything labelled for it, four at a time, unless there is an archive of the last 12 hours
  container_checkpoint.kubernetes.checkpoint:
    label_selectors: ["backup=nightly"]
    concurrency: 4
    max_age: 43200
    rename: safe
    kubelet_token_file: /etc/container-checkpoint/token
    kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt

- name: From the controller, through the API server; the node has to verify the archive later
  container_checkpoint.kubernetes.checkpoint:
    transport: api_proxy
    node: worker-1
    kubeconfig: ~/.kube/config
    pods:
      - name: web-5d4f9c7b8-x2x9z
        namespace: shop
  delegate_to: localhost

- name: A node without a kubelet's endpoint
  container_checkpoint.kubernetes.checkpoint:
    transport: cri
    pods:
      - {namespace: shop, name: cart-0, containers: [cart]}
"""

RETURN = r"""
checkpoints:
  description: One entry for each container whose checkpoint succeeded or was fresh enough, in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: The pod's namespace.
      type: str
      sample: default
    pod:
      description: The pod's name.
      type: str
      sample: counter
    container:
      description: The container's name.
      type: str
      sample: counter
    container_id:
      description: The container's ID in the runtime; V(null) if nobody said it.
      type: str
      sample: 0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad
    node:
      description: The node's name, if known.
      type: str
      sample: node1
    path:
      description: The archive, on the node. V(null) in check mode.
      type: str
      sample: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar
    size:
      description: The archive's size in bytes. V(null) if it was not verified.
      type: int
      sample: 265216
    sha256:
      description: The archive's SHA-256. V(null) if it was not verified.
      type: str
      sample: 5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
    record_path:
      description: The record beside the archive. V(null) if it was not verified.
      type: str
      sample: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar.record.json
    record:
      description: The record's content. It names what the archive is and what a restore needs, and holds no
        environment and no memory.
      type: dict
      sample:
        schema: 1
        source: {namespace: default, pod: counter, container: counter, restart_count: 0}
        engine: {name: containerd, version: v2.1.9}
        checkpointed_at: "2026-11-21T11:55:44.162409Z"
    changed:
      description: Whether something was made for this container.
      type: bool
      sample: true
    verified:
      description: Whether the archive was read, found good and recorded on the node, now or (with
        RV(checkpoints[].reused)) when it was made.
      type: bool
      sample: true
    reused:
      description: Whether an archive that was there already was taken (O(max_age)).
      type: bool
      sample: false
    stages:
      description: Seconds that the call, the wait for the complete file, and its verification took.
      type: dict
      sample: {call: 0.31, wait: 0.004, verify: 0.002}
failures:
  description: One entry for each container whose checkpoint failed. The module fails if there are any.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: The pod's namespace.
      type: str
      sample: default
    pod:
      description: The pod's name.
      type: str
      sample: web
    container:
      description: The container's name, V(null) if the pod itself was not found.
      type: str
      sample: nginx
    msg:
      description: What failed, where, why, and what to do.
      type: str
      sample: there is no pod web in namespace default on this node.
    http_status:
      description: The status of the answer, if there was one.
      type: int
      sample: 404
    diagnosis:
      description: Known causes that the message points at, the likeliest first.
      type: list
      elements: dict
      sample: []
    paused:
      description: Whether the container was left paused (V(null) if it could not be found out), and whether it was
        resumed.
      type: dict
      sample: {found: true, resumed: true, msg: the container default/web/nginx was left paused and was resumed}
not_running:
  description: Containers that were selected and do not run.
  returned: always
  type: list
  elements: dict
  sample:
    - {namespace: default, pod: job-x, container: main, why: "terminated: Completed"}
msg:
  description: What was done, or the first failure.
  returned: always
  type: str
  sample: 2 containers checkpointed
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec import (
    kubelet_argument_spec,
    kubelet_mutually_exclusive,
    kubelet_required_by,
    pods_option,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_kube_api import (
    kube_api_argument_spec,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_connect import (
    api_proxy_client,
    kubelet_client,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_run import Tools, run
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import secrets_of
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail


def argument_spec() -> t.Dict[str, t.Any]:
    """All options."""
    return {
        "pods": pods_option(),
        "namespace": {"type": "str"},
        "label_selectors": {"type": "list", "elements": "str"},
        "field_selectors": {"type": "list", "elements": "str"},
        "containers": {"type": "list", "elements": "str"},
        "transport": {"type": "str", "choices": ["kubelet", "api_proxy", "cri"], "default": "kubelet"},
        "node": {"type": "str"},
        "cluster": {"type": "str"},
        "checkpoint_dir": {"type": "path", "default": "/var/lib/kubelet/checkpoints"},
        "after": {"type": "str", "choices": ["running"], "default": "running"},
        "timeout": {"type": "int"},
        "deadline": {"type": "int"},
        "concurrency": {"type": "int", "default": 1},
        "max_age": {"type": "int"},
        "rename": {"type": "str", "choices": ["keep", "safe"], "default": "keep"},
        "verify": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
        "authorization_wait": {"type": "int", "default": 35},
        "cri_socket": {"type": "path"},
        **kubelet_argument_spec(),
        **kube_api_argument_spec(),
    }


def tools_for(module: AnsibleModule) -> Tools:
    """Clients for the kubelet and the runtime, as far as the options and the machine allow."""
    params = module.params
    runner = CommandRunner(module)
    cri = Cri(runner.run, runner.find, endpoint=params["cri_socket"]) if runner.find("crictl") else None
    if params["transport"] == "cri":
        return Tools(kubelet=None, cri=cri)
    return Tools(kubelet=(api_proxy_client if params["transport"] == "api_proxy" else kubelet_client)(params), cri=cri)


def difference(checkpoints: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, str]:
    """For C(--diff): one line for each archive."""
    before, after = [], []
    for entry in checkpoints:
        line = "%(namespace)s/%(pod)s/%(container)s: " % entry + (entry["path"] or "a new archive")
        after.append(line)
        if not entry["changed"]:
            before.append(line)
    return {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}


def main() -> None:
    """Run the module."""
    selectors = ["namespace", "label_selectors", "field_selectors"]
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_one_of=[["pods"] + selectors],
        mutually_exclusive=[["pods", name] for name in selectors + ["containers"]] + kubelet_mutually_exclusive(),
        required_by=kubelet_required_by(),
    )
    module.no_log_values.update(secrets_of(module.params))
    try:
        tools = tools_for(module)
        result = run(module.params, tools, module.check_mode)
    except CheckpointError as exc:
        fail(module, exc, changed=False, checkpoints=[], failures=[], not_running=[])
    for note in tools.notes:
        module.warn(note)
    if not result["checkpoints"] and not result["failures"]:
        module.warn(result["msg"])
    if module._diff:
        result["diff"] = difference(result["checkpoints"])
    if result["failures"]:
        partial = {key: value for key, value in result.items() if key != "msg"}
        fail(module, CheckpointError(result["msg"], diagnosis=result["failures"][0]["diagnosis"]), **partial)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
