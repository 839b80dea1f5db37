#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: failure_info
short_description: Why did a checkpoint or restore on this node fail
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Collects CRIU's logs and what containerd, CRI-O and the kubelet wrote to the system's journal around a moment, and
    says what they
    mean and what to do about it.
  - Or explains one log file, or a text.
  - Changes nothing. From logs only error lines are returned, never memory or environment.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
options:
  time:
    description:
      - When it failed (RFC 3339, or seconds since 1970). Without a zone it is UTC.
      - When not given, now.
    type: str
  window:
    description:
      - So many seconds before and after O(time) are looked at.
    type: int
    default: 300
  container_id:
    description:
      - Only logs of this container.
    type: str
  pod_uids:
    description:
      - Only logs of these Pods (C(metadata.uid); CRIU's logs have it in the names of cgroups), and such as name no Pod.
    type: list
    elements: str
    default: []
  log_file:
    description:
      - Explain this file, and nothing else.
    type: path
  text:
    description:
      - A message to explain together with what is found, for example what a module or C(kubectl) said. Logs that it
        names are read
        whenever they were written.
    type: str
  journal:
    description:
      - Read the journal.
    type: bool
    default: true
  journal_lines:
    description:
      - So many lines of it at most.
    type: int
    default: 5000
notes:
  - Run it as root.
  - The runtimes delete the log of a failed restore. The role P(container_checkpoint.kubernetes.criu#role) keeps the logs,
    with C(criu_log_dir) one for each operation. A kept log that names containers, and not O(container_id), or Pods, and none of
    O(pod_uids), is left out.
seealso:
  - plugin: container_checkpoint.kubernetes.diagnosis
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Why did it fail a few minutes ago
  container_checkpoint.kubernetes.failure_info:
    time: "2026-11-21T13:05:00Z"
  become: true
  register: why

- name: In words
  ansible.builtin.debug:
    msg: "{{ why.answer }}"
"""

RETURN = r"""
answer:
  description: Cause and remedy in words.
  returned: always
  type: str
  sample: |-
    Cause: the container has an established TCP connection, which cannot survive a move to another pod.
    Remedy: put 'tcp-close' into /etc/criu/runc.conf on the source and the target node (role criu), or let the program
    close its connections before.
found:
  description: Whether a cause is known.
  returned: always
  type: bool
  sample: true
findings:
  description:
    - Everything that was recognised, the likeliest root first, as P(container_checkpoint.kubernetes.diagnosis#filter)
      returns it.
  returned: always
  type: list
  elements: dict
  sample: []
logs:
  description: The logs that were read, the nearest in time first.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      returned: always
      sample: /run/containerd/io.containerd.runtime.v2.task/k8s.io/c2385d03777a/criu-dump.log
    stage:
      description: V(dump) or V(restore).
      type: str
      returned: always
      sample: dump
    written_at:
      description: When it was last written.
      type: str
      returned: always
      sample: "2026-11-21T13:05:02Z"
    age_seconds:
      description: How long ago that is.
      type: int
      returned: always
      sample: 42
    succeeded:
      description: Whether it is of a run that worked.
      type: bool
      returned: always
      sample: false
    errors:
      description: Its error lines.
      type: list
      elements: str
      returned: always
      sample: ["(00.031810) Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established
      option."]
    diagnosis:
      description: What it means.
      type: list
      elements: dict
      returned: always
      sample: []
journal:
  description: The journal's lines that were recognised.
  returned: always
  type: list
  elements: str
  sample: []
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs as logs
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail


def explain_file(path: str, now: float) -> t.Dict[str, t.Any]:
    """The result for one file."""
    text = logs.read_tail(path)
    if text is None:
        raise InputError("the log file %s cannot be read: is it a regular file of this host?" % path)
    entry = logs.described(text, now)
    # It may be any log, not just one of CRIU.
    findings = entry["diagnosis"] or ([] if entry["succeeded"] else diagnose(text.text))
    return result(findings, [entry], [])


def result(
    findings: t.List[t.Dict[str, t.Any]], entries: t.List[t.Dict[str, t.Any]], lines: t.List[str]
) -> t.Dict[str, t.Any]:
    """All return values."""
    return {
        "changed": False,
        "answer": logs.answer(findings, entries),
        "found": any(finding["kind"] == "cause" and finding["id"] != "criu-unknown" for finding in findings),
        "findings": findings,
        "logs": entries,
        "journal": lines,
    }


def explain(params: t.Mapping[str, t.Any], runner: CommandRunner, now: float) -> t.Dict[str, t.Any]:
    """The module's result."""
    if params["log_file"]:
        return explain_file(params["log_file"], now)
    if params["window"] < 1 or params["journal_lines"] < 1:
        raise InputError("window and journal_lines must be at least 1")
    at, text = logs.moment(params["time"], now), params["text"] or ""
    entries = logs.collect(logs.Places(), at, params["window"], now, text, params["container_id"], params["pod_uids"])
    journal: t.List[t.Dict[str, t.Any]] = []
    journalctl = runner.find("journalctl") if params["journal"] else None
    if journalctl:
        command = logs.journal_command(journalctl, at, params["window"], params["journal_lines"])
        _rc, out, _err = runner.run(command, 60.0)
        journal = diagnose(out)
    failed = [entry["diagnosis"] for entry in entries if not entry["succeeded"]]
    findings = logs.merged(diagnose(text), *(failed + [journal]))
    return result(findings, entries, [finding["line"] for finding in journal])


def main() -> None:
    """Collect, explain, answer."""
    module = AnsibleModule(
        argument_spec={
            "time": {"type": "str"},
            "window": {"type": "int", "default": 300},
            "container_id": {"type": "str"},
            "pod_uids": {"type": "list", "elements": "str", "default": []},
            "log_file": {"type": "path"},
            "text": {"type": "str"},
            "journal": {"type": "bool", "default": True},
            "journal_lines": {"type": "int", "default": 5000},
        },
        mutually_exclusive=[["log_file", "time"], ["log_file", "text"], ["log_file", "container_id"]],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**explain(module.params, CommandRunner(module), time.time()))
    except CheckpointError as exc:
        fail(module, exc)


if __name__ == "__main__":
    main()
