#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_fetch
short_description: Bring a checkpoint archive from a node to the controller, compressed and encrypted on the way
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Streams an archive off the node over the connection that Ansible has already, with C(become). The node reads the
    archive once, and in that pass hashes, checks, and if wanted compresses and encrypts it. Neither side holds more
    than a few chunks of 4 MiB in memory, and nothing of the archive is written anywhere but at the destination.
  - When O(recipients) are given, clear text never leaves the node.
  - The bytes go to a hidden file beside the destination. It gets its final name when all of it has arrived, was
    verified against what the node computed, and is on the disk. The file is readable for its owner only.
  - The record comes along as C(<dest>.record.json), and the pod's object as C(<dest>.pod.json), or, encrypted like the
    archive, C(<dest>.pod.json.age). An archive without a record gets one.
  - A transfer that broke goes on where it broke, within the same run and in the next one, as long as the archive is the
    same. An encrypted one starts again, and says so.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks at both sides and tries the programs and the recipients. Digests that only a transfer brings are V(null).
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - When the destination holds this archive in this form, nothing is done. For which recipients it was encrypted
        cannot be seen, so a change of O(recipients) alone changes nothing.
  platform:
    platforms: linux
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
    details:
      - The controller takes part from beginning to end.
options:
  src:
    description: The archive on the node.
    type: path
    required: true
  dest:
    description:
      - The file on the controller. When it ends with C(/), the file in that directory that is named like the archive,
        with C(.zst) and C(.age) added as O(compress) and O(recipients) demand.
      - The directory must exist. A link or a directory in the place of the file is refused.
      - When several hosts are fetched from, give each one a destination of its own.
    type: path
    required: true
  compress:
    description:
      - V(zstd) compresses on the node with the program C(zstd), level 1.
    type: str
    choices: [none, zstd]
    default: none
  recipients:
    description:
      - Encrypt on the node with C(age) or C(rage) for these recipients (C(age1…), or ssh public keys). Each of them can
        decrypt.
    type: list
    elements: str
  recipients_file:
    description:
      - A file on the controller with more recipients, one a line. Lines that begin with C(#) are comments.
      - A relative path is looked for beside the playbook and in its directory C(files), then where Ansible was started.
    type: path
  remove_source:
    description:
      - Remove the archive, its record and its pod's object from the node, after what was fetched has been read back from
        the disk and compared. What was compressed and not encrypted is decompressed for that, which needs C(zstd) on the
        controller. What was encrypted is decrypted for that with O(identity_file), else compared as it is stored.
      - The source is not removed if it was changed or replaced meanwhile.
    type: bool
    default: false
  verify:
    description:
      - Read back and compare what was fetched, as O(remove_source) does, and leave the source where it is.
      - Also what an earlier run fetched.
    type: bool
    default: false
  identity_file:
    description:
      - A file on the controller with an C(age) identity of one of the recipients, to decrypt and compare what was fetched. Implies O(verify).
      - The identity itself is read by C(age) alone. It must not be protected by a passphrase.
      - An identity that fits none of the recipients fails the task, and the source is not removed.
    type: path
  force:
    description:
      - Replace a file at the destination that is something else. Without it, that is an error.
    type: bool
    default: false
  retries:
    description:
      - How often in a row a broken connection, or a process that vanished on the node, is tried again.
    type: int
    default: 3
  progress_seconds:
    description:
      - Print a line with bytes, rate and remaining time after so many seconds. V(0) prints none.
    type: float
    default: 10
  _call:
    description: What the action plugin of this name asks of the node. Not for playbooks, and refused there.
    type: dict
requirements:
  - On the node, C(zstd) with O(compress=zstd), and C(age) or C(rage) with O(recipients).
notes:
  - Works with every connection that runs commands. Where a terminal cannot be avoided (C(requiretty) in sudoers,
    connections without pipelining), the bytes are sent as text, which costs a third more.
  - The output of the commands that carry the archive is kept out of what C(-vvv) prints. With C(ANSIBLE_DEBUG), Ansible
    prints everything; do not use it here.
  - On the node, a process of this module lives for the time of the transfer. It ends by itself 2 minutes after the
    controller was heard last.
seealso:
  - module: container_checkpoint.kubernetes.checkpoint
  - module: container_checkpoint.kubernetes.archive_info
  - module: ansible.builtin.fetch
"""

EXAMPLES = r"""
- name: Bring an archive away, compressed and encrypted, and free the node's disk
  container_checkpoint.kubernetes.archive_fetch:
    src: /var/lib/kubelet/checkpoints/checkpoint-web_default-nginx-2026-11-21T10:00:00Z.tar
    dest: /srv/checkpoints/{{ inventory_hostname }}/
    compress: zstd
    recipients:
      - age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
    remove_source: true

- name: Bring every archive that was just made
  container_checkpoint.kubernetes.archive_fetch:
    src: "{{ item.path }}"
    dest: /srv/checkpoints/{{ inventory_hostname }}/
    recipients_file: operators.txt
  loop: "{{ made.checkpoints }}"
"""

RETURN = r"""
src:
  description: The archive on the node.
  returned: always
  type: str
  sample: /var/lib/kubelet/checkpoints/checkpoint-web_default-nginx-2026-11-21T10:00:00Z.tar
dest:
  description: The file on the controller.
  returned: always
  type: str
  sample: /srv/checkpoints/node1/checkpoint-web_default-nginx-2026-11-21T10:00:00Z.tar.zst.age
compress:
  description: How it is compressed.
  returned: always
  type: str
  sample: zstd
encrypted:
  description: Whether it is encrypted.
  returned: always
  type: bool
  sample: true
sha256:
  description: The digest of the archive itself.
  returned: always
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
stored_sha256:
  description: The digest of the file at the destination.
  returned: always
  type: str
  sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
size:
  description: The length of the archive itself, in bytes.
  returned: always
  type: int
  sample: 1073741824
stored_bytes:
  description: The length of the file at the destination.
  returned: always
  type: int
  sample: 268435456
record_path:
  description: The record on the controller.
  returned: always
  type: str
  sample: /srv/checkpoints/node1/checkpoint-web_default-nginx-2026-11-21T10:00:00Z.tar.zst.age.record.json
pod_path:
  description: The pod's object on the controller, V(null) if the archive came with none.
  returned: always
  type: str
  sample: /srv/checkpoints/node1/checkpoint-web_default-nginx-2026-11-21T10:00:00Z.tar.zst.age.pod.json.age
verified:
  description:
    - How far the file was proven. V(received) means that every byte arrived as the node sent it. V(read_back) means that
      it was read from the disk again. V(decompressed) and V(decrypted) mean that it was also decoded and is the archive.
      V(null) if it was not looked at.
  returned: always
  type: str
  sample: read_back
resumed_at:
  description: How much of the archive had been fetched by an earlier run, in bytes.
  returned: always
  type: int
  sample: 0
source_removed:
  description: Whether the archive was removed from the node.
  returned: always
  type: bool
  sample: true
seconds:
  description: How long the transfer took, V(null) if there was none.
  returned: always
  type: float
  sample: 8.5
bytes_per_second:
  description: Bytes of the archive that were fetched, in a second.
  returned: always
  type: int
  sample: 126322567
notes:
  description: What did not go as planned, such as a transfer that had to start again.
  returned: always
  type: list
  elements: str
  sample: []
msg:
  description: What was done, or why it failed.
  returned: always
  type: str
  sample: the archive was fetched
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _fetch_node
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_fetch import fetch_argument_spec
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_produce import Order, Tools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._fetch_serve import start
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail


# What the action plugin asks of the node: look, serve or remove; and with which particulars.
_CALL = {"step": "look", "digest": False, "state": None, "offset": 0, "prefix": "", "idle": 120.0}


def argument_spec() -> t.Dict[str, t.Any]:
    """All options, and what the action plugin adds."""
    return {
        **fetch_argument_spec(),
        "_call": {"type": "dict"},
    }


def work(params: t.Mapping[str, t.Any], runner: CommandRunner) -> t.Dict[str, t.Any]:
    """One step of a fetch on the node."""
    recipients = tuple(params["recipients"] or ())
    call = dict(_CALL, **(params["_call"] or {}))
    state = _fetch_node.state_from_dict(call["state"]) if call["state"] else None
    if call["step"] == "remove":
        return {"removed": _fetch_node.remove(params["src"], state)}
    if call["step"] == "serve" and state is not None:
        order = Order(
            params["src"], state, params["compress"], recipients, offset=call["offset"], prefix=call["prefix"]
        )
        return {"session": start(order, Tools(runner.find, runner.run_with_pipes), call["idle"])}
    _fetch_node.check_tools(runner, params["compress"], recipients)
    return _fetch_node.look(params["src"], call["digest"])


def main() -> None:
    """The node's half; the action plugin of the same name calls it."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = work(module.params, CommandRunner(module))
    except CheckpointError as exc:
        fail(module, exc)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
