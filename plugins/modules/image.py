#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image
short_description: Turn a checkpoint archive into a checkpoint image
version_added: 0.1.0
description:
  - Makes an OCI image whose one layer is the checkpoint archive, and puts it straight into a registry, an OCI image layout, or a tar file.
  - The archive is read once. While it passes, it is checked, hashed, compressed if asked, and sent; there is no second copy on disk
    and the memory needed does not grow with the archive. C(buildah) and other tools are not needed.
  - The manifest carries the annotations by which containerd (C(org.criu.checkpoint.container.name)) and CRI-O
    (C(io.kubernetes.cri-o.annotations.checkpoint.name)) recognise a checkpoint image, the C(org.criu.checkpoint.*) vocabulary,
    and the image that the container was started from, which a restore needs on the target node.
  - The same archive always becomes the same image, byte for byte (with compression, for one version of zlib or zstd).
  - An archive that is truncated, changes while it is read, differs from its record, or holds anything but regular files and directories with
    harmless names is refused before anything becomes visible under O(name).
  - Runs on the host that holds the archive.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.actiongroup_registry
  - container_checkpoint.kubernetes._registry
attributes:
  check_mode:
    support: full
    details:
      - The archive is read (and compressed, if asked), the destination is looked at, and nothing is sent. The digest is the real one,
        and RV(bytes_sent) what would be sent.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - An image that is there under O(name) and was made from this archive with these options is left alone. With the archive's record beside
        it, this is decided without reading the archive.
options:
  src:
    description:
      - The checkpoint archive, as a kubelet or M(container_checkpoint.kubernetes.checkpoint) left it.
    type: path
    required: true
  name:
    description:
      - The image's name, V(host[:port]/repository:tag).
      - Without O(layout) and O(oci_archive), the image is pushed to this registry.
      - With O(layout) or O(oci_archive), the image is known by this name inside the layout, and the part before the tag makes RV(image).
    type: str
  layout:
    description:
      - A directory to hold the image as an OCI image layout. It is made if it is not there; other images in it are kept.
    type: path
  oci_archive:
    description:
      - A file to hold the image as an OCI image layout in a tar (what C(skopeo) calls C(oci-archive)). Its directory must exist.
    type: path
  compression:
    description:
      - How to compress the layer. Both runtimes unpack all three.
      - V(none) is the fastest on a fast network, and lets the module ask the registry by the record's digest before it reads anything.
      - V(zstd) needs the program C(zstd) on the host. Memory pages usually shrink to a fraction of their size.
    type: str
    choices: [none, gzip, zstd]
    default: none
  compression_level:
    description:
      - V(1) to V(9) for gzip, V(1) to V(19) for zstd. When not set, V(1), the fastest.
    type: int
  architecture:
    description:
      - The platform the image is for, as C(uname -m) or as OCI images name it, C(x86_64) or C(amd64) for example.
      - When not set, it is taken from inside the archive.
    type: str
  annotations:
    description:
      - More annotations for the manifest. Those that runtimes give a meaning cannot be set.
    type: dict
    default: {}
  record_path:
    description:
      - The archive's record. When not set, the one beside the archive (O(src) with C(.record.json)) is used if it is there.
      - The archive must be what its record says.
    type: path
  chunk_bytes:
    description:
      - V(0) to send the layer as one stream, which is what container engines do, and the fastest. If it breaks, the archive is read again, and what
        the registry has already is not sent again.
      - From 65536 to 8388608 to send it in requests of so many bytes, for a proxy that limits the size of a request. A chunk is
        kept in memory until the registry has it, so that the archive need not be read again.
      - A registry may ask for larger chunks; one that wants more than 8388608 bytes gets one stream.
    type: int
    default: 0
requirements:
  - Python 3.9 or newer on the host that holds the archive
  - zstd, for O(compression=zstd)
seealso:
  - module: container_checkpoint.kubernetes.checkpoint
  - module: container_checkpoint.kubernetes.pod_restore
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
"""

EXAMPLES = r"""
- name: Push a checkpoint to a registry
  container_checkpoint.kubernetes.image:
    src: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar
    name: registry.example.com/checkpoints/counter:2026-11-21
    compression: zstd
    username: backup
    password: "{{ registry_password }}"
  register: result

- name: Say what to restore from
  ansible.builtin.debug:
    var: result.image

- name: Push with the credentials that are on the node, to a registry with a private CA
  container_checkpoint.kubernetes.image:
    src: "{{ checkpoint.path }}"
    name: registry.example.com:5000/checkpoints/counter:1
    auth_file: /root/.config/containers/auth.json
    ca_cert: /etc/pki/registry-ca.pem

- name: Keep a checkpoint as a file that skopeo and ctr can read
  container_checkpoint.kubernetes.image:
    src: "{{ checkpoint.path }}"
    name: registry.example.com/checkpoints/counter:1
    oci_archive: /srv/checkpoints/counter.tar
"""

RETURN = r"""
image:
  description: The image by digest, which is what to restore from.
  returned: success
  type: str
  sample: registry.example.com/checkpoints/counter@sha256:b7ecf339f3f124bb4d69a15ff275d2ce77ee91e737e4ae5fa381221756f88301
reference:
  description: The image by tag, or where it is on disk in the notation of C(skopeo).
  returned: always
  type: str
  sample: registry.example.com/checkpoints/counter:1
digest:
  description: The manifest's digest.
  returned: always
  type: str
  sample: sha256:b7ecf339f3f124bb4d69a15ff275d2ce77ee91e737e4ae5fa381221756f88301
layer:
  description: The one layer.
  returned: always
  type: dict
  contains:
    digest:
      description: The digest of the layer as it is stored.
      type: str
    size:
      description: Its size in bytes.
      type: int
    diff_id:
      description: The digest of the archive. Without compression it is the same as RV(layer.digest).
      type: str
    media_type:
      description: The media type, which names the compression.
      type: str
  sample:
    digest: sha256:5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
    size: 265216
    diff_id: sha256:5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
    media_type: application/vnd.oci.image.layer.v1.tar
bytes_read:
  description: How many bytes of the archive were read to hash and send it; V(0) when its record was enough.
  returned: always
  type: int
  sample: 265216
bytes_sent:
  description: How many bytes of blobs and manifests were sent or written, repeated ones counted again.
  returned: always
  type: int
  sample: 266927
blobs:
  description: The image's blobs, the layer first.
  returned: always
  type: list
  elements: dict
  contains:
    digest:
      description: The blob's digest.
      type: str
    existed:
      description: Whether it was there already.
      type: bool
    sent:
      description: Whether it was sent now (or would be, in check mode).
      type: bool
  sample:
    - digest: sha256:5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
      existed: false
      sent: true
    - digest: sha256:dfa8781def41406181115914b432173f6aad2103bb530cf8680269927209f1e0
      existed: false
      sent: true
annotations:
  description: The manifest's annotations.
  returned: always
  type: dict
  sample:
    io.kubernetes.cri-o.annotations.checkpoint.name: counter
    org.criu.checkpoint.container.name: counter
    org.criu.checkpoint.criu.version: 4.2.1
    org.criu.checkpoint.engine.name: containerd
    org.criu.checkpoint.host.arch: x86_64
    org.criu.checkpoint.host.kernel: 6.18.44-fc-v445
    org.criu.checkpoint.pod.id: c3a4348a4268d38e14c2fc9bc655215011d5f2cf40b96d06e8801a532e44892a
    org.criu.checkpoint.pod.name: counter
    org.criu.checkpoint.pod.namespace: default
    org.criu.checkpoint.pod.uid: 40ae907e-7bd9-48f5-ab96-7d04339bbe46
    org.criu.checkpoint.rootfsImageName: localhost:5000/counter:1
    org.criu.checkpoint.rootfsImageSha: sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
    org.criu.checkpoint.rootfsImageUserRequested: localhost:5000/counter:1
    org.criu.checkpoint.runtime.name: io.containerd.runc.v2
    org.opencontainers.image.base.digest: sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
    org.opencontainers.image.base.name: localhost:5000/counter:1
    org.opencontainers.image.created: "2026-11-21T11:55:44.162409Z"
privileges:
  description:
    - What the processes in the archive may do, each kind of credentials once, for M(container_checkpoint.kubernetes.pod_restore).
    - Only C(error) where it cannot be read.
  returned: always
  type: dict
  sample:
    user_namespace: false
    lsm: ""
    credentials:
      - pid: 1
        command: python3
        uids: [0]
        gids: [0]
        groups: [0]
        capabilities:
          ambient: []
          bounding: [CHOWN, KILL]
          effective: [CHOWN, KILL]
          inheritable: []
          permitted: [CHOWN, KILL]
        no_new_privs: false
        seccomp_mode: 0
        lsm_profile: ""
identity:
  description: What the archive says about the container it is of. Environment variables are not among it.
  returned: always
  type: dict
  sample:
    engine: containerd
    namespace: default
    pod: counter
    pod_uid: 40ae907e-7bd9-48f5-ab96-7d04339bbe46
    container: counter
    container_id: 0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad
    restart_count: 0
    base_image_requested: localhost:5000/counter:1
    base_image_ref: localhost:5000/counter@sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
    base_image_name: localhost:5000/counter:1
    base_image_digest: sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
    base_image_id: null
    oci_runtime: io.containerd.runc.v2
    created_at: "2026-11-21T11:55:33.212971Z"
    checkpointed_at: "2026-11-21T11:55:44.162409Z"
    hostname: counter
    tty: false
    mounts:
      - destination: /var/run/secrets/kubernetes.io/serviceaccount
        source: /var/lib/kubelet/pods/40ae907e-7bd9-48f5-ab96-7d04339bbe46/volumes/kubernetes.io~projected/kube-api-access-k87ws
        read_only: true
    credentials:
      uid: 0
      gid: 0
      additional_gids: [0]
      capabilities: {effective: [CAP_CHOWN, CAP_KILL], permitted: [CAP_CHOWN, CAP_KILL]}
      no_new_privileges: false
      seccomp: false
      apparmor_profile: null
      selinux_label: null
      rlimits: []
      user_namespace: false
    criu: 4.2.1
    kernel: 6.18.44-fc-v445
    arch: x86_64
    cpu: AuthenticAMD family 25 AMD EPYC
stages:
  description: Seconds spent looking at the destination and the archive (C(look)), reading only (C(read)), reading and sending (C(stream)), and
    writing configuration and manifest (C(publish)).
  returned: always
  type: dict
  sample:
    look: 0.002
    stream: 1.874
    publish: 0.031
diagnosis:
  description: On failure, what the message points at, with causes and remedies.
  returned: failure
  type: list
  elements: dict
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _argspec_registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image import (
    ImageJob,
    ImageRequest,
    nothing_yet,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_layout import (
    LayoutTarget,
    TarTarget,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._image_target import (
    Rehearsal,
    RegistryTarget,
    Target,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import sha256_digest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_connect import (
    registry_for,
    sender_for,
)

_CHUNK_RANGE = (65536, 8388608)


def argument_spec() -> dict[str, dict[str, t.Any]]:
    return dict(
        _argspec_registry.registry_argument_spec(),
        src={"type": "path", "required": True},
        name={"type": "str"},
        layout={"type": "path"},
        oci_archive={"type": "path"},
        compression={"type": "str", "choices": ["none", "gzip", "zstd"], "default": "none"},
        compression_level={"type": "int"},
        architecture={"type": "str"},
        annotations={"type": "dict", "default": {}},
        record_path={"type": "path"},
        chunk_bytes={"type": "int", "default": 0},
    )


def image_name(params: t.Mapping[str, t.Any]) -> t.Optional[ImageReference]:
    """The image's name, checked; None if the image has only a place on disk."""
    if params["name"] is None:
        return None
    reference = ImageReference.parse(params["name"])
    if not reference.host or not reference.tag or reference.digest:
        raise InputError(
            "name %r must be host[:port]/repository:tag, without a digest (the digest is what this module finds out)"
            % params["name"]
        )
    return reference


def target_for(params: t.Mapping[str, t.Any], name: t.Optional[ImageReference]) -> tuple[Target, str, str]:
    """Where the image goes, how that is called by tag, and what stands before the digest."""
    tag = str(name) if name else None
    suffix = ":" + tag if tag else ""
    if params["layout"]:
        place = "oci:" + params["layout"]
        return LayoutTarget(params["layout"], tag), place + suffix, name.name if name else place
    if params["oci_archive"]:
        place = "oci-archive:" + params["oci_archive"]
        return TarTarget(params["oci_archive"], tag), place + suffix, name.name if name else place
    if name is None or name.tag is None:
        raise InputError("a registry needs a name")
    registry = registry_for(params, name, sender_for(params))
    registry.connect()
    return RegistryTarget(registry, name.tag, params["chunk_bytes"]), str(name), name.name


def request_for(params: t.Mapping[str, t.Any]) -> ImageRequest:
    """The options that say what to make, checked."""
    if params["chunk_bytes"] and not _CHUNK_RANGE[0] <= params["chunk_bytes"] <= _CHUNK_RANGE[1]:
        raise InputError("chunk_bytes must be 0, or %d to %d, not %d" % (*_CHUNK_RANGE, params["chunk_bytes"]))
    return ImageRequest(
        src=params["src"],
        compression=params["compression"],
        level=params["compression_level"],
        machine=params["architecture"],
        annotations={str(key): str(value) for key, value in params["annotations"].items()},
        record_path=params["record_path"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        mutually_exclusive=[("layout", "oci_archive"), *_argspec_registry.REGISTRY_MUTUALLY_EXCLUSIVE],
        required_one_of=[("name", "layout", "oci_archive")],
        required_together=list(_argspec_registry.REGISTRY_REQUIRED_TOGETHER),
        required_by=_argspec_registry.REGISTRY_REQUIRED_BY,
    )

    params = module.params
    reference = params["name"]
    job: t.Optional[ImageJob] = None
    try:
        request = request_for(params)
        target, reference, prefix = target_for(params, image_name(params))
        job = ImageJob(
            request,
            Rehearsal(target) if module.check_mode else target,
            module.get_bin_path,
            CommandRunner(module).run_with_pipes,
            restarts=params["retries"],
        )
        changed = job.make()
    except CheckpointError as exc:
        # No kubelet, runtime or CRIU speaks here: only what any program may run into applies.
        exc.details.setdefault("diagnosis", [row for row in diagnose(exc.msg) if "any" in row["where"]])
        fail(module, exc, reference=reference, **(job.progress if job else nothing_yet()))

    result = job.progress
    result.update(changed=changed, reference=reference, image="%s@%s" % (prefix, result["digest"]))
    result["msg"] = "%s %s" % (result["image"], "was put there" if changed else "is there already")
    if module._diff:
        old = sha256_digest(job.previous) if job.previous is not None else None
        result["diff"] = {
            "before": {"reference": reference, "digest": old},
            "after": {"reference": reference, "digest": result["digest"]},
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
