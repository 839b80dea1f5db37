#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_info
short_description: List and describe checkpoint archives
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Describes every checkpoint archive in a directory, or one file. Archives of containerd, CRI-O and podman are understood, also
    compressed as a whole with gzip or zstd.
  - What an archive is of is read from inside it, never from its name. Memory pages are seeked over, so the time does not depend
    on their size, unless the archive is compressed or O(verify=true).
  - An archive that is damaged, hostile, encrypted or something else becomes an entry with RV(archives[].error), and never ends
    the listing. Nothing is unpacked.
  - Values of environment variables are never returned, only names, and these only with O(details=true).
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
options:
  path:
    description:
      - A directory, or one archive.
      - In a directory, regular files whose names end in C(.tar), C(.tar.gz), C(.tgz), C(.tar.zst) or C(.tzst), perhaps followed by
        C(.age), are taken for archives. Its subdirectories are not looked into, and links are not followed.
    type: path
    default: /var/lib/kubelet/checkpoints
  verify:
    description:
      - Read every archive from beginning to end, compute its SHA-256, and compare it with the record.
    type: bool
    default: false
  trust_records:
    description:
      - Describe a compressed archive by the record beside it, if there is one, instead of decompressing all of it. Has no effect with O(verify=true).
    type: bool
    default: false
  details:
    description:
      - Also return processes with their command lines, open files, sockets, mounts and the names of environment variables.
      - Command lines are memory of the container, and can hold secrets.
    type: bool
    default: false
  details_tool:
    description:
      - Who reads processes, open files and sockets.
      - V(auto) is C(checkpointctl) where it is installed and can read the archive, with the collection's own reader for what
        it leaves empty; else the collection's own reader alone. RV(archives[].details_by) tells.
    type: str
    choices: [auto, builtin, checkpointctl]
    default: auto
requirements:
  - The program C(zstd), for archives that are compressed with it, unless Python is 3.14 or later.
notes:
  - A compressed archive has to be decompressed as a whole to be described. An archive encrypted with C(age) is described by the
    record beside it.
seealso:
  - module: container_checkpoint.kubernetes.archive_prune
  - module: container_checkpoint.kubernetes.checkpoint
  - plugin: container_checkpoint.kubernetes.select
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What lies on this node?
  container_checkpoint.kubernetes.archive_info:
  register: node

- name: Archives of the shop that are whole, the newest first
  ansible.builtin.debug:
    msg: >-
      {{ node.archives | container_checkpoint.kubernetes.select(
           "reverse(sort_by([?namespace=='shop' && record.state=='complete'], &checkpointed_at))[].path") }}

- name: Is the backup still what was stored?
  container_checkpoint.kubernetes.archive_info:
    path: /srv/backup
    verify: true
  register: backup
  failed_when: backup.archives | rejectattr('verified', 'sameas', true) | list | length > 0

- name: What ran in it?
  container_checkpoint.kubernetes.archive_info:
    path: /srv/forensics/suspicious.tar
    details: true
"""

RETURN = r"""
archives:
  description: One entry for each archive, sorted by name. Every entry has every key; what is not known is V(null).
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The archive.
      type: str
      sample: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar
    name:
      description: Its file name.
      type: str
      sample: checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar
    error:
      description: Why it cannot be described, or V(null).
      type: str
      sample: "the tar is truncated: it ends inside 'checkpoint/pages-1.img', without the end marker"
    incomplete:
      description: Whether the error is only that the file is not finished, or was changed meanwhile.
      type: bool
      sample: false
    size:
      description: Bytes of the file as it lies there.
      type: int
      sample: 265216
    modified_at:
      description: When the file was last written, in UTC.
      type: str
      sample: "2026-11-21T11:55:44Z"
    compression:
      description: How the file is compressed as a whole, V(none), V(gzip) or V(zstd).
      type: str
      sample: none
    encrypted:
      description: Whether it is encrypted with C(age).
      type: bool
      sample: false
    identity_from:
      description: Where the description comes from, V(archive) or V(record).
      type: str
      sample: archive
    engine:
      description: Who wrote it, V(containerd), V(cri-o) or V(podman).
      type: str
      sample: containerd
    namespace:
      description: The pod's namespace.
      type: str
      sample: default
    pod:
      description: The pod's name.
      type: str
      sample: counter
    pod_uid:
      description: The pod's UID.
      type: str
      sample: 40ae907e-7bd9-48f5-ab96-7d04339bbe46
    container:
      description: The container's name.
      type: str
      sample: counter
    container_id:
      description: The container's ID.
      type: str
      sample: 0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad
    cluster:
      description: The cluster, as the record names it.
      type: str
      sample: production
    node:
      description: The node that it was made on, as the record names it.
      type: str
      sample: node1
    owner:
      description: What controls the pod (C(apiVersion), C(kind), C(name), C(uid)), as the record names it.
      type: dict
      sample: null
    restart_count:
      description: How often the container had been restarted.
      type: int
      sample: 0
    image:
      description: The base image as it was asked for, as the runtime resolved it, its digest and (CRI-O) its ID.
      type: dict
      sample:
        requested: localhost:5000/counter:1
        ref: localhost:5000/counter@sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
        digest: sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b
        id: null
    oci_runtime:
      description: The runtime of the container.
      type: str
      sample: io.containerd.runc.v2
    created_at:
      description: When the container was created, in UTC.
      type: str
      sample: "2026-11-21T11:55:33.212971Z"
    checkpointed_at:
      description: When it was checkpointed, in UTC.
      type: str
      sample: "2026-11-21T11:55:44.162409Z"
    sizes:
      description: Bytes of the whole tar, of the memory pages, of the changes to the root file system, and of all of CRIU's images.
      type: dict
      sample: {uncompressed: 265216, memory_pages: 131072, rootfs_diff: 293, checkpoint: 147737}
    statistics:
      description: What CRIU measured. Times are in microseconds.
      type: dict
      sample: {freezing_us: 566, frozen_us: 140406, memdump_us: 933, memwrite_us: 162, pages_scanned: 46, pages_written: 32}
    machine:
      description: Version of CRIU, kernel, architecture and processor of the node, as CRIU's log or the record tells.
      type: dict
      sample: {criu: 4.2.1, kernel: 6.18.44, arch: x86_64, cpu: AuthenticAMD family 25 AMD EPYC}
    record:
      description: The record beside the archive.
      type: dict
      contains:
        state:
          description:
            - V(complete) if it fits the archive (its digest is compared only with O(verify=true)), V(missing) if there is none,
              V(mismatch) if it does not fit, V(newer_schema) if a newer version of the collection wrote it, V(damaged) if it cannot
              be read.
          type: str
          sample: complete
        path:
          description: The record.
          type: str
          sample: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar.record.json
        id:
          description: The ID that it gives the archive.
          type: str
          sample: 5b612a5c0b547c0213e1b6bd5ff0cccd
        sha256:
          description: The digest that it names.
          type: str
          sample: 5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
        why:
          description: What is wrong with it.
          type: str
          sample: null
    sha256:
      description:
        - With O(verify=true), the digest that was computed; of the tar inside when the archive is compressed, of the file when it is
          encrypted.
      type: str
      sample: 5b612a5c0b547c0213e1b6bd5ff0cccd0a1115724319a45508387dbfc08d7b6d
    verified:
      description: With O(verify=true), whether archive and record agree. V(null) without a record.
      type: bool
      sample: true
    details:
      description: With O(details=true), what ran in the container.
      type: dict
      contains:
        processes:
          description: Every process, parents before their children. PIDs are those inside the container.
          type: list
          elements: dict
          sample:
            - {pid: 1, ppid: 0, command: counter.sh, command_line: /bin/sh /counter.sh, state: alive, threads: 1}
        open_files:
          description: What the processes had open, with working directory and root.
          type: list
          elements: dict
          sample:
            - {pid: 1, fd: "10", type: regular, path: /counter.sh}
        sockets:
          description: Their sockets.
          type: list
          elements: dict
          sample:
            - {pid: 1, fd: 3, protocol: tcp, state: LISTEN, source: "0.0.0.0:8080", destination: "0.0.0.0:0"}
        mounts:
          description: The container's mounts.
          type: list
          elements: dict
          sample:
            - {destination: /proc, type: proc, source: proc}
        environment:
          description: Names of the environment variables that the container was started with.
          type: list
          elements: str
          sample: [HOSTNAME, PATH]
    details_by:
      description: Who read processes, open files and sockets. Mounts and names of variables come from the container's specification.
      type: str
      sample: builtin
    details_error:
      description: Why processes, open files and sockets are missing, or V(null).
      type: str
      sample: null
errors:
  description: How many of the archives have an error.
  returned: success
  type: int
  sample: 0
bytes:
  description: Bytes of all of them together.
  returned: success
  type: int
  sample: 265216
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import (
    Tools,
    Wish,
    describe_all,
    paths_of,
    workers_for,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_source import ZstdTools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail


def main() -> None:
    """Describe."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/kubelet/checkpoints"},
            "verify": {"type": "bool", "default": False},
            "details": {"type": "bool", "default": False},
            "trust_records": {"type": "bool", "default": False},
            "details_tool": {"type": "str", "choices": ["auto", "builtin", "checkpointctl"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    params = module.params
    runner = CommandRunner(module)
    tools = Tools(find=runner.find, run=runner.run, zstd=ZstdTools(runner.find, runner.run_with_pipes))
    wish = Wish(
        verify=params["verify"],
        details=params["details"],
        tool=params["details_tool"],
        trust_record=params["trust_records"],
    )
    try:
        paths = paths_of(params["path"])
        archives = describe_all(paths, wish, tools, workers_for(len(paths)))
    except CheckpointError as exc:
        fail(module, exc)
    module.exit_json(
        changed=False,
        archives=archives,
        errors=sum(1 for entry in archives if entry["error"] is not None),
        bytes=sum(entry["size"] or 0 for entry in archives),
    )


if __name__ == "__main__":
    main()
