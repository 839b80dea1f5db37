# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter P(container_checkpoint.kubernetes.diagnosis#filter)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnosis
short_description: Cause and remedy of a checkpoint's or restore's error message
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Looks a message or a whole log up in the table that the modules of this collection use for their own failures.
  - It knows what the kubelet, containerd, CRI-O, runc, crun, CRIU and registries say, and why the API server refuses a pod.
options:
  _input:
    description:
      - The message or the log, for example the kubelet's answer, an event, C(dump.log) or C(restore.log).
    type: string
    required: true
  where:
    description:
      - Look only for messages of this origin. An answer of the kubelet quotes everybody below it, so leave this away
        for those.
    type: string
    choices: [kubelet, containerd, cri-o, runtime, dump, restore, registry, api-server, any]
    default: any
  engine:
    description:
      - Leave out what only the other container runtime says.
    type: string
    choices: [containerd, cri-o]
"""

EXAMPLES = r"""
- name: What does this dump.log say?
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'dump.log') | container_checkpoint.kubernetes.diagnosis(where='dump') | map(attribute='cause') }}"

- name: Try again only where that may help
  ansible.builtin.debug:
    msg: try again
  when: >-
    result.msg | container_checkpoint.kubernetes.diagnosis | selectattr('transient') | length > 0
"""

RETURN = r"""
_value:
  description:
    - What the table knows about the message, the likeliest root first. Empty when it knows nothing.
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the finding.
      type: str
      sample: tcp-established
    kind:
      description:
        - V(cause) names a root, V(context) something that often only accompanies one, V(wrapper) a message that merely
          passes another
          one on.
      type: str
      sample: cause
    where:
      description: Who writes this message.
      type: list
      elements: str
      sample: [dump]
    pattern:
      description: The fixed part of the message; C(…) stands for anything.
      type: str
      sample: Connected TCP socket, consider using --tcp-established option
    line:
      description: The line it was found in, shortened.
      type: str
      sample: "(00.031810) Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option."
    cause:
      description: What it means.
      type: str
      sample: the container has an established TCP connection, which cannot survive a move to another pod
    remedy:
      description: What to do about it.
      type: str
      sample: put 'tcp-close' into /etc/criu/runc.conf on the source and the target node
    transient:
      description: Whether trying again, unchanged, may help.
      type: bool
      sample: false
    since:
      description: First versions that say it, where known.
      type: str
      sample: containerd 2.2.7, 2.3.4
    until:
      description: First version that no longer says it, where known.
      type: str
      sample: containerd 2.4.0
    source:
      description: Where this was learned.
      type: str
      sample: sk-inet.c:200
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import WHERE, diagnose

_ENGINES = ("containerd", "cri-o")


def diagnosis(text, where="any", engine=None):
    """Check the arguments and look the text up."""
    if not isinstance(text, str):
        raise AnsibleFilterError("diagnosis: the input must be a string, not %s" % type(text).__name__)
    if where not in WHERE:
        raise AnsibleFilterError("diagnosis: where must be one of %s, not %r" % (", ".join(WHERE), where))
    if engine is not None and engine not in _ENGINES:
        raise AnsibleFilterError("diagnosis: engine must be one of %s, not %r" % (", ".join(_ENGINES), engine))
    return diagnose(text, where, engine)


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self):
        """Name to function."""
        return {"diagnosis": diagnosis}
