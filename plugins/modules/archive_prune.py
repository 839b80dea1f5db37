#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_prune
short_description: Remove checkpoint archives that no rule keeps
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Applies retention rules to the archives right inside one directory, for each container by itself. An archive stays if any rule
    keeps it.
  - The newest complete archive of each group is never removed, whatever the rules say. Complete is an archive that can be read and
    whose record fits it.
  - What is not complete (an archive without a record, such as CRI-O leaves behind when a call timed out; a truncated one; a record
    without its archive; temporary files of interrupted writes) is reported, and removed only when it is older than O(incomplete_after).
  - Never touched are links and special files, files in subdirectories, files that are not understood, files that were written to in
    the last minute, and files that a process has open.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The directory. Not a link to one.
    type: path
    default: /var/lib/kubelet/checkpoints
  keep_last:
    description: Keep so many of the newest archives of each group.
    type: int
  keep_hourly:
    description:
      - Keep the newest archive of each of the last so many hours that have one.
      - Hours, days, weeks (from Monday) and months are those of UTC, and those without an archive do not count.
    type: int
  keep_daily:
    description: The same for days.
    type: int
  keep_weekly:
    description: The same for weeks.
    type: int
  keep_monthly:
    description: The same for months.
    type: int
  keep_within:
    description:
      - Keep every archive that is not older than this, in seconds, or with a unit, V(12h), V(7d), V(4w).
    type: str
  max_bytes:
    description:
      - When what the other rules keep is larger than this, all groups together, remove the oldest archives until it fits, such as V(50G).
      - Counted is everything that stays. Pinned archives, the newest complete ones and what is not complete are not removed for it.
    type: bytes
  group:
    description:
      - What counts as one group. V(container) is namespace, pod and container.
      - V(owner) takes what controls the pod instead of the pod, where the record tells, so that the pods of one ReplicaSet count
        together. V(pod) takes all containers of a pod together, V(directory) all archives.
    type: str
    choices: [container, pod, owner, directory]
    default: container
  pins:
    description:
      - Archives to keep, by the record's ID, file name, path or SHA-256.
      - A file C(<archive>.pin) beside an archive pins it, too.
    type: list
    elements: str
    default: []
  incomplete_after:
    description:
      - Remove what is not complete when it is older than this, in seconds or with a unit. V(never) only reports it.
    type: str
    default: 7d
requirements:
  - The program C(zstd), for archives without a record that are compressed with it, unless Python is 3.14 or later.
notes:
  - Without any C(keep_*) option every complete archive is kept, as far as O(max_bytes) allows.
  - An archive is removed before what belongs to it, and its record last.
seealso:
  - module: container_checkpoint.kubernetes.archive_info
  - module: container_checkpoint.kubernetes.checkpoint
"""

EXAMPLES = r"""
- name: A week of days, a month of weeks, never more than 50 GiB
  container_checkpoint.kubernetes.archive_prune:
    keep_daily: 7
    keep_weekly: 4
    max_bytes: 50G

- name: See what would go
  container_checkpoint.kubernetes.archive_prune:
    path: /srv/backup
    keep_last: 3
    keep_within: 2d
    group: owner
    pins:
      - 5b612a5c0b547c0213e1b6bd5ff0cccd
  check_mode: true
  register: pruned
"""

RETURN = r"""
removed:
  description: What was removed, or would be in check mode, sorted by name.
  returned: always
  type: list
  elements: dict
  contains: &entry
    path:
      description: The file.
      type: str
      sample: /var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2026-11-21T11:55:44Z.tar
    kind:
      description: V(archive), V(record) or V(pod) for what lies there without its archive, V(temporary).
      type: str
      sample: archive
    size:
      description: Its bytes.
      type: int
      sample: 265216
    complete:
      description: Whether it is a complete archive, to which the retention rules apply.
      type: bool
      sample: true
    group:
      description: The group that it counts in.
      type: str
      sample: default/counter/counter
    checkpointed_at:
      description: When it was checkpointed, in UTC.
      type: str
      sample: "2026-11-21T11:55:44.162409Z"
    id:
      description: The ID in its record.
      type: str
      sample: 5b612a5c0b547c0213e1b6bd5ff0cccd
    rule:
      description:
        - The rule that decided. A C(keep_*) option, V(pinned), V(no_policy) or V(last_complete) keep; V(not_kept) and V(max_bytes)
          remove; V(incomplete), V(orphan) and V(temporary) keep until O(incomplete_after) and remove then; V(being_written), V(in_use),
          V(changed), V(newer_schema), V(not_understood) and V(refused) keep.
      type: str
      sample: not_kept
    rules:
      description: All rules that say the same.
      type: list
      elements: str
      sample: [not_kept]
    why:
      description: The same in words.
      type: str
      sample: no rule keeps it
kept:
  description: What was kept, in the same form.
  returned: always
  type: list
  elements: dict
  contains: *entry
bytes_removed:
  description: Bytes of what was removed.
  returned: always
  type: int
  sample: 265216
bytes_kept:
  description: Bytes of what was kept.
  returned: always
  type: int
  sample: 530432
msg:
  description: A summary.
  returned: always
  type: str
  sample: 1 of 3 files removed (265216 bytes)
"""

import contextlib
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import read_directory
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import (
    Tools,
    Wish,
    describe,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_prune import (
    CHANGED,
    GROUPS,
    Judged,
    Rules,
    files_in_use,
    judge,
    opened,
    pins_without_archive,
    remove,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_source import ZstdTools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import Policy, duration

_COUNTS = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly"]


def argument_spec() -> t.Dict[str, t.Any]:
    """All options."""
    return {
        "path": {"type": "path", "default": "/var/lib/kubelet/checkpoints"},
        **{name: {"type": "int"} for name in _COUNTS},
        "keep_within": {"type": "str"},
        "max_bytes": {"type": "bytes"},
        "group": {"type": "str", "choices": list(GROUPS), "default": "container"},
        "pins": {"type": "list", "elements": "str", "default": []},
        "incomplete_after": {"type": "str", "default": "7d"},
    }


def rules_of(params: t.Mapping[str, t.Any]) -> Rules:
    """The options, checked."""
    for name in [*_COUNTS, "max_bytes"]:
        if params[name] is not None and params[name] < 0:
            raise InputError("%s is %d; it must not be negative" % (name, params[name]))
    within, after = params["keep_within"], params["incomplete_after"]
    policy = Policy(
        keep_within=duration(within, "keep_within") if within is not None else None,
        max_bytes=params["max_bytes"],
        **{name: params[name] for name in _COUNTS},
    )
    return Rules(
        policy=policy,
        group=params["group"],
        pins=frozenset(params["pins"]),
        incomplete_after=None if after == "never" else duration(after, "incomplete_after"),
    )


class Outcome:
    """The result, which is also the partial result of a failure."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.judged: t.List[Judged] = []
        self.failed: t.List[str] = []

    def result(self) -> t.Dict[str, t.Any]:
        """All keys but C(msg)."""
        removed = [entry for entry in self.judged if not entry.keep]
        kept = [entry for entry in self.judged if entry.keep]
        return {
            "changed": bool(removed),
            "removed": [entry.report(self._directory) for entry in removed],
            "kept": [entry.report(self._directory) for entry in kept],
            "bytes_removed": sum(entry.found.size for entry in removed),
            "bytes_kept": sum(entry.found.size for entry in kept),
        }


def prune(module: AnsibleModule, outcome: Outcome) -> None:
    """Judge, and outside check mode remove."""
    params = module.params
    rules = rules_of(params)
    runner = CommandRunner(module)
    tools = Tools(find=runner.find, run=runner.run, zstd=ZstdTools(runner.find, runner.run_with_pipes))
    with contextlib.ExitStack() as stack:
        directory = read_directory(params["path"])
        descriptor = None
        if not module.check_mode:
            descriptor = stack.enter_context(opened(params["path"]))
            # Listed again, now that nobody else prunes it.
            directory = read_directory(params["path"])
        outcome.judged = judge(
            directory, lambda path: describe(path, Wish(trust_record=True), tools), rules, time.time(), files_in_use
        )
        for pin in pins_without_archive(outcome.judged, params["path"], rules.pins):
            module.warn("the pin %s names no archive in %s" % (pin, params["path"]))
        for entry in outcome.judged:
            if descriptor is None or entry.keep:
                continue
            try:
                if not remove(descriptor, directory, entry):
                    entry.keep, entry.rules, entry.why = True, (CHANGED,), "it was changed or removed meanwhile"
            except CheckpointError as exc:
                entry.keep, entry.why = True, exc.msg
                outcome.failed.append(exc.msg)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    outcome = Outcome(module.params["path"])
    try:
        prune(module, outcome)
        if outcome.failed:
            raise CheckpointError(
                "%d of %d files could not be removed: %s"
                % (len(outcome.failed), sum(1 for entry in outcome.judged if not entry.keep) + len(outcome.failed), outcome.failed[0])
            )
    except CheckpointError as exc:
        fail(module, exc, **outcome.result())
    result = outcome.result()
    limit = module.params["max_bytes"]
    if limit is not None and result["bytes_kept"] > limit:
        module.warn(
            "%d bytes are kept in %s, more than max_bytes (%d): what is pinned, the newest of its group, or not complete stays"
            % (result["bytes_kept"], module.params["path"], limit)
        )
    result["msg"] = "%d of %d files %s (%d bytes)" % (
        len(result["removed"]),
        len(outcome.judged),
        "would be removed" if module.check_mode else "removed",
        result["bytes_removed"],
    )
    if module._diff:
        gone = {entry["path"] for entry in result["removed"]}
        paths = sorted(entry["path"] for entry in result["removed"] + result["kept"])
        result["diff"] = {
            "before": "".join(path + "\n" for path in paths),
            "after": "".join(path + "\n" for path in paths if path not in gone),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
