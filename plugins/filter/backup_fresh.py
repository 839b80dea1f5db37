# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(backup_fresh)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_fresh
short_description: Find the newest backup of each container that is fresh enough
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Says which of the containers that P(container_checkpoint.kubernetes.backup_targets#filter) lists have been backed up since they were started, and not
    too long ago, in every place where a backup is wanted.
positional: _input
options:
  _input:
    description: The containers, the C(targets) of P(container_checkpoint.kubernetes.backup_targets#filter).
    type: list
    elements: dict
    required: true
  max_age:
    description: How old a backup may be, in seconds. V(0) finds none.
    type: float
    required: true
  now:
    description: The time, in seconds since 1970.
    type: float
    required: true
  archives:
    description: The archives of the directory, as M(container_checkpoint.kubernetes.archive_info) describes them. Leave out where none are wanted.
    type: list
    elements: dict
  images:
    description: The images of the registry, as M(container_checkpoint.kubernetes.image_info) describes them. Leave out where none are wanted.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: What need not be done again
  ansible.builtin.set_fact:
    fresh: "{{ chosen.targets | container_checkpoint.kubernetes.backup_fresh(3600, now(utc=true).timestamp(), archives=stored.archives) }}"
"""

RETURN = r"""
_value:
  description: One entry for each container that has fresh backups, with namespace, pod, container, node, and where the backups are.
  type: list
  elements: dict
  sample:
    - namespace: shop
      pod: cart-0
      container: cart
      node: node1
      checkpointed_at: "2026-11-21T11:55:44.162409Z"
      file: /srv/backup/shop_cart-0_cart-20261121T115544Z-5b612a5c0b54.tar.zst.age
      image: null
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import parse_time

Entry = t.Mapping[str, t.Any]
Found = t.Optional[tuple[float, str, str]]

_CREATED = "org.opencontainers.image.created"
_UID = "org.criu.checkpoint.pod.uid"
_CONTAINER = "org.criu.checkpoint.container.name"


def _seconds(text: t.Any) -> t.Optional[float]:
    value = parse_time(text)
    return value.timestamp() if value else None


def _newest(found: t.Iterable[tuple[t.Any, str]], since: float) -> Found:
    """Of (time, where), the newest one that is not older than since."""
    timed = ((_seconds(text), text, where) for text, where in found)
    usable = [(seconds, text, where) for seconds, text, where in timed if seconds is not None and seconds >= since]
    return max(usable, default=None)


def _archive_of(target: Entry, archives: t.Sequence[Entry], since: float) -> Found:
    return _newest(
        (
            (entry.get("checkpointed_at"), entry["path"])
            for entry in archives
            if entry.get("error") is None
            and (entry.get("record") or {}).get("state") == "complete"
            and target["container_id"]
            and entry.get("container_id") == target["container_id"]
        ),
        since,
    )


def _image_of(target: Entry, images: t.Sequence[Entry], since: float) -> Found:
    # An image does not say of which run of the container it is: it must be newer than the one that runs now.
    started = _seconds(target["started_at"])
    if started is None:
        return None
    return _newest(
        (
            (entry["annotations"].get(_CREATED), entry["image"])
            for entry in images
            if entry["annotations"].get(_UID) == target["pod_uid"]
            and entry["annotations"].get(_CONTAINER) == target["container"]
        ),
        max(since, started),
    )


def backup_fresh(
    targets: t.Any,
    max_age: float,
    now: float,
    archives: t.Optional[t.Sequence[Entry]] = None,
    images: t.Optional[t.Sequence[Entry]] = None,
) -> list[dict[str, t.Any]]:
    """The containers that need not be backed up again."""
    if not isinstance(targets, list):
        raise AnsibleFilterError("backup_fresh needs a list of containers, not %s" % type(targets).__name__)
    result: list[dict[str, t.Any]] = []
    since = float(now) - float(max_age)
    for target in targets if float(max_age) > 0 else []:
        file = _archive_of(target, archives, since) if archives is not None else None
        image = _image_of(target, images, since) if images is not None else None
        wanted = [one for one, places in ((file, archives), (image, images)) if places is not None]
        if not wanted or None in wanted:
            continue
        result.append(
            {
                **{key: target[key] for key in ("namespace", "pod", "container", "node")},
                "checkpointed_at": min(one for one in wanted if one)[1],
                "file": file[2] if file else None,
                "image": image[2] if image else None,
            }
        )
    return result


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"backup_fresh": backup_fresh}
