#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_stage
short_description: Stage a checkpoint on a node so that the restore handler restores it into one pod
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Runs on the target node. Verifies an archive against the digest that you give, refuses a hostile one, unpacks what a
    restore needs into a directory that only root can read, and binds it to one pod. When that pod's container is created,
    the restore handler (role P(container_checkpoint.kubernetes.restore_handler#role)) restores it instead of starting it.
  - A staged restore is claimed once. Afterwards, also when the container crashes, it starts as its image says.
  - An entry is bound to a pod's UID (create the pod with a scheduling gate, stage, remove the gate), or to the pod name,
    the UID of the owner that will make the pod, its ServiceAccount and the base image's digest. In the latter case the
    handler keeps the container waiting until you confirm the pod with O(entry) and O(pod_object).
  - The node's CPU and kernel are compared with the checkpoint's. Where the checkpoint says which instructions it needs (the role
    P(container_checkpoint.kubernetes.criu#role), C(criu_cpu_cap)), C(criu cpuinfo check) decides; otherwise another CPU is a warning.
  - The archive comes from a file on the node, or out of a checkpoint image in a registry or in an OCI layout, as
    M(container_checkpoint.kubernetes.image) makes it. From an image it is not written anywhere but into the entry.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.actiongroup_registry
  - container_checkpoint.kubernetes._registry
attributes:
  check_mode:
    support: full
    details:
      - Reads the whole archive. What needs it unpacked, as its privileges do, is not checked. A pod that is only
        predicted has no UID, so none is asked for.
  diff_mode:
    support: none
    details:
      - An archive holds memory, which belongs into no diff.
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present), stage O(src) or O(image), or confirm the pod of O(entry).
      - With V(absent), remove entries with their memory. One that belongs to a container that is being restored or waits
        for its start is refused.
    type: str
    choices: [present, absent]
    default: present
  src:
    description:
      - The archive, on the target node. One that is compressed with gzip or zstd as a whole is decompressed in the stream.
    type: path
  image:
    description:
      - A checkpoint image by digest, C(name@sha256:…). Its one layer is the archive, plain or compressed with gzip or zstd.
      - It is read from the registry that it names, with this module's own options for registries, not those of the
        container runtime.
    type: str
  layout:
    description:
      - Read O(image) from this OCI image layout, a directory on the target node, instead of a registry.
    type: path
  archive_sha256:
    description:
      - SHA-256 digest of the (decrypted, decompressed) archive, from a place that you trust; 64 hexadecimal digits.
      - Required with O(src). It is never taken from a file beside the archive. With O(image), the digest of the image
        says it, and when given, the two must agree.
    type: str
  record:
    description:
      - The archive's record, on the target node. When given, it must agree with the archive.
    type: path
  record_sha256:
    description:
      - SHA-256 digest of O(record), from a place that you trust. Required with O(record).
    type: str
  identity_file:
    description:
      - File on the target node with the age identity that decrypts O(src), which is decrypted in the stream.
    type: path
  namespace:
    description:
      - Namespace of the pod.
    type: str
  pod:
    description:
      - Name of the pod.
    type: str
  container:
    description:
      - Name of the container.
    type: str
  pod_uid:
    description:
      - UID of the pod. Taken from O(pod_object) when that is given and O(owner_uid) is not.
    type: str
  owner_uid:
    description:
      - UID of the owner that will make the pod. Needs O(service_account) and O(base_image_digest).
    type: str
  service_account:
    description:
      - Name of the pod's ServiceAccount.
    type: str
  base_image_digest:
    description:
      - Digest of the container's image, V(sha256:…). The archive must have been made from it.
    type: str
  source_pod:
    description:
      - Name of the pod that the archive is of, where it is another one than O(pod).
    type: str
  pod_object:
    description:
      - The Pod, as the API server returns it. When given, its names, UID, owner, ServiceAccount, image and security context
        are checked before anything is staged. The handler checks privileges once more when the container is created.
      - Ansible writes a module's options to the node's journal, and a Pod's environment may hold secrets. The C(pod_object)
        that M(container_checkpoint.kubernetes.pod_restore) returns has neither environment nor commands; with a Pod
        from elsewhere set C(no_log) on the task.
    type: dict
  entry:
    description:
      - ID of an entry, to confirm its pod (O(state=present) with O(pod_object)) or to remove it (O(state=absent)).
    type: str
  policy:
    description:
      - What happens when the restore fails. With V(fail), the container is not created, and the pod's events say why.
      - With V(cold_start), it starts as its image says.
    type: str
    choices: [fail, cold_start]
    default: fail
  expires:
    description:
      - After so many seconds an entry that nobody claimed loses its memory.
    type: int
    default: 3600
  accept:
    description:
      - Differences in privilege that you have judged and accept. A restored process keeps what it held when it was
        checkpointed, so each of these gives it more than its pod asks for.
    type: list
    elements: str
    choices: [ids, groups, capabilities, no_new_privs, seccomp, lsm, rlimits]
    default: []
  staging_dir:
    description:
      - The handler's staging directory.
    type: path
    default: /var/lib/container-checkpoint/restore
notes:
  - Needs root on the node, and nothing but Python there (with O(identity_file), C(age) or C(rage) too, and for a file
    or a layer that is compressed with zstd, C(zstd)).
seealso:
  - module: container_checkpoint.kubernetes.restore_stage_info
"""

EXAMPLES = r"""
- name: Stage a checkpoint for a pod that waits behind a scheduling gate
  container_checkpoint.kubernetes.restore_stage:
    src: /var/lib/container-checkpoint/archives/web.tar
    archive_sha256: 5f1c0d4ff6cf0c2b9fd0b4c5a2ad3f36d1b1ab6d5d4ae3c4ff4e8b9a2a3b4c5d
    namespace: default
    pod: web-restored
    source_pod: web
    container: app
    pod_object: "{{ gated_pod.resources[0] }}"
  no_log: true
  delegate_to: node2

- name: Stage a checkpoint from a registry
  container_checkpoint.kubernetes.restore_stage:
    image: registry.example.com/checkpoints/web@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    auth_file: /etc/containers/auth.json
    namespace: default
    pod: web-restored
    source_pod: web
    container: app
    pod_object: "{{ waiting.pod_object }}"
  delegate_to: node2

- name: Remove whatever is staged for a pod
  container_checkpoint.kubernetes.restore_stage:
    state: absent
    namespace: default
    pod: web-restored
    container: app
  delegate_to: node2
"""

RETURN = r"""
entry:
  description: The entry that is staged, or the last one that was removed. Never its memory.
  returned: when there is one
  type: dict
  contains:
    id:
      description: The entry's ID.
      type: str
      sample: 0f3c9a4d5e6b47f08a1b2c3d4e5f6071
    binding:
      description: What decides which container may claim it.
      type: dict
      sample:
        namespace: default
        pod: web-restored
        container: app
        pod_uid: 40ae907e-7bd9-48f5-ab96-7d04339bbe46
        owner_uid: null
        service_account: default
        base_image_digest: null
    policy:
      description: What happens when the restore fails.
      type: str
      sample: fail
    expires_at:
      description: When it expires, in seconds since the epoch.
      type: float
      sample: 1795269600.0
    checkpoint:
      description: What is known about the checkpoint.
      type: dict
      sample:
        sha256: 5f1c0d4ff6cf0c2b9fd0b4c5a2ad3f36d1b1ab6d5d4ae3c4ff4e8b9a2a3b4c5d
        bytes: 265216
        engine: containerd
        image: null
removed:
  description: IDs of the entries that were removed.
  returned: success
  type: list
  elements: str
  sample: []
warnings_found:
  description: What is unusual about this restore and does not forbid it.
  returned: success
  type: list
  elements: str
  sample: []
stages:
  description: Seconds that each stage took.
  returned: success
  type: dict
  sample:
    unpack: 0.21
    check: 0.01
"""

import dataclasses
import hashlib
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _argspec_registry,
    _record,
    _stage,
    _stage_build,
    _stage_image,
    _stage_source,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, CheckpointError, InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference, check_label, check_subdomain
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._privileges import ACCEPTABLE
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_connect import registry_for, sender_for
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_cpu import Cpu

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ID = re.compile(r"[0-9a-f]{32}")
_PUBLIC = ("id", "binding", "policy", "accept", "created_at", "expires_at", "checkpoint")


def argument_spec() -> t.Dict[str, t.Any]:
    """The module's options."""
    return {
        **_argspec_registry.registry_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "src": {"type": "path"},
        "image": {"type": "str"},
        "layout": {"type": "path"},
        "archive_sha256": {"type": "str"},
        "record": {"type": "path"},
        "record_sha256": {"type": "str"},
        "identity_file": {"type": "path"},
        "namespace": {"type": "str"},
        "pod": {"type": "str"},
        "container": {"type": "str"},
        "pod_uid": {"type": "str"},
        "owner_uid": {"type": "str"},
        "service_account": {"type": "str"},
        "base_image_digest": {"type": "str"},
        "source_pod": {"type": "str"},
        "pod_object": {"type": "dict"},
        "entry": {"type": "str"},
        "policy": {"type": "str", "choices": list(_stage.POLICIES), "default": "fail"},
        "expires": {"type": "int", "default": 3600},
        "accept": {"type": "list", "elements": "str", "choices": list(ACCEPTABLE), "default": []},
        "staging_dir": {"type": "path", "default": _stage.DEFAULT_ROOT},
    }


def order_from(params: t.Dict[str, t.Any]) -> _stage_build.Order:
    """Check the options that name things, and read the record if one was given."""
    for key, pattern, what in (
        ("archive_sha256", _SHA256, "64 hexadecimal digits"), ("record_sha256", _SHA256, "64 hexadecimal digits"),
        ("pod_uid", _UID, "a UID"), ("owner_uid", _UID, "a UID"), ("entry", _ID, "an entry's ID"),
    ):
        if params[key] is not None and not pattern.fullmatch(params[key]):
            raise InputError("%s is %r, which is not %s" % (key, params[key], what))
    if params["namespace"] is not None:
        check_label(params["namespace"], "namespace")
        check_label(params["container"], "container")
        for key in ("pod", "source_pod", "service_account"):
            if params[key] is not None:
                check_subdomain(params[key], key)
    if params["expires"] < 1:
        raise InputError("expires must be at least one second")
    pod_object = params["pod_object"]
    uid = params["pod_uid"]
    if pod_object is not None and uid is None and params["owner_uid"] is None:
        uid = (pod_object.get("metadata") or {}).get("uid")
    keys = ("owner_uid", "service_account", "base_image_digest", "source_pod", "policy", "expires", "record_sha256", "pod_object", "image")
    return _stage_build.Order(
        namespace=params["namespace"] or "", pod=params["pod"] or "", container=params["container"] or "",
        archive_sha256=params["archive_sha256"] or "", pod_uid=uid, accept=tuple(params["accept"]),
        record=_read_record(params["record"], params["record_sha256"]), **{key: params[key] for key in keys},
    )


def _read_record(path: t.Optional[str], digest: t.Optional[str]) -> t.Optional[t.Dict[str, t.Any]]:
    if path is None:
        return None
    record = _record.read(path)
    with open(path, "rb") as stream:
        found = hashlib.sha256(stream.read()).hexdigest()
    if found != digest:
        raise ArchiveError("the record %s has the SHA-256 digest %s, not %s: it was changed" % (path, found, digest))
    return record


def public(document: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What a result may say about an entry."""
    return {key: document[key] for key in _PUBLIC if key in document}


def source_of(module: AnsibleModule) -> t.Tuple[_stage_source.Feed, str]:
    """Where the archive's bytes come from, and the digest that they must have."""
    params = module.params
    if not params["image"]:
        feed = _stage_source.from_age(module, params["src"], params["identity_file"]) if params["identity_file"] \
            else _stage_source.from_file(params["src"])
        run = CommandRunner(module).run_with_pipes
        return _stage_source.decompressed(feed, params["src"], module.get_bin_path, run), params["archive_sha256"]
    reference = ImageReference.parse(params["image"])
    store: _stage_image.Store
    if params["layout"]:
        store = _stage_image.LayoutStore(params["layout"])
    else:
        registry = registry_for(params, reference, sender_for(params))
        registry.connect()
        store = registry
    image = _stage_image.look(store, reference)
    if params["archive_sha256"] not in (None, image.archive_sha256):
        raise ArchiveError("the archive in %s has the SHA-256 digest %s, not %s" % (reference, image.archive_sha256, params["archive_sha256"]))
    return _stage_image.feed_from(store, image, module.get_bin_path, CommandRunner(module).run_with_pipes), image.archive_sha256


def this_cpu(module: AnsibleModule) -> Cpu:
    """The node's CPU, and criu, which can compare it with a checkpoint's."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        return Cpu(stream.read(), module.run_command, module.get_bin_path("criu"))


def present(module: AnsibleModule, order: _stage_build.Order) -> t.Dict[str, t.Any]:
    """Stage, unless the same is staged already."""
    params = module.params
    feed, digest = source_of(module)
    order = dataclasses.replace(order, archive_sha256=digest)
    there = _stage_build.existing(params["staging_dir"], order)
    if there is not None:
        return {"changed": False, "entry": public(there.document), "warnings_found": [], "stages": {}}
    cpu = this_cpu(module)
    if module.check_mode:
        return {"changed": True, "entry": None, "warnings_found": _stage_build.rehearse(order, feed, cpu), "stages": {}}
    staged = _stage_build.stage(params["staging_dir"], order, feed, cpu)
    return {"changed": True, "entry": public(staged.document), "warnings_found": staged.warnings, "stages": staged.stages}


def confirm(module: AnsibleModule, order: _stage_build.Order) -> t.Dict[str, t.Any]:
    """Bind an entry to the pod that its owner made."""
    root, name = module.params["staging_dir"], module.params["entry"]
    _stage.check_root(root)
    uid = ((order.pod_object or {}).get("metadata") or {}).get("uid")
    for entry in _stage.entries(root):
        if entry.id == name and entry.binding.get("pod_uid") and entry.binding["pod_uid"] == uid:
            return {"changed": False, "entry": public(entry.document), "warnings_found": [], "stages": {}}
    bound = _stage_build.bind(root, name, order, module.check_mode)
    return {"changed": True, "entry": public(bound.document), "warnings_found": [], "stages": {}}


def absent(module: AnsibleModule, order: _stage_build.Order) -> t.Dict[str, t.Any]:
    """Remove entries, by ID or by the container they are for."""
    root = module.params["staging_dir"]
    result: t.Dict[str, t.Any] = {"changed": False, "entry": None, "removed": [], "warnings_found": [], "stages": {}}
    if not os.path.isdir(root):
        return result
    _stage.check_root(root)
    with _stage.locked(root):
        for entry in _stage.entries(root):
            mine = entry.binding
            if module.params["entry"]:
                wanted = entry.id == module.params["entry"]
            else:
                wanted = entry.state != _stage.DONE and (mine["namespace"], mine["pod"], mine["container"]) \
                    == (order.namespace, order.pod, order.container)
            if not wanted:
                continue
            if _stage.in_use(entry):
                raise RestoreError("restore %s belongs to a container that is being restored or waits for its start" % entry.id)
            if not module.check_mode:
                _stage.remove(entry)
            result["changed"] = True
            result["entry"] = public(entry.document)
            result["removed"].append(entry.id)
    return result


def main() -> None:
    """Stage, confirm or remove."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        mutually_exclusive=[("src", "image", "entry"), ("image", "identity_file"), ("pod_uid", "owner_uid"),
                            *_argspec_registry.REGISTRY_MUTUALLY_EXCLUSIVE],
        required_together=[("record", "record_sha256"), ("namespace", "pod", "container"), *_argspec_registry.REGISTRY_REQUIRED_TOGETHER],
        required_by={"src": ("archive_sha256", "namespace"), "image": ("namespace",), "layout": ("image",),
                     **_argspec_registry.REGISTRY_REQUIRED_BY},
        required_one_of=[("src", "image", "entry", "namespace")],
        required_if=[("state", "present", ("src", "image", "entry"), True)],
    )
    try:
        order = order_from(module.params)
        if module.params["state"] == "absent":
            result = absent(module, order)
        elif module.params["entry"]:
            result = confirm(module, order)
        else:
            result = present(module, order)
    except CheckpointError as exc:
        fail(module, exc, changed=False)
    result.setdefault("removed", [])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
