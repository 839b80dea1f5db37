# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that counts, what proves that it was restored, and its cgroup."""

from __future__ import annotations

import typing as t

from cri_node import SECONDS, Node, Pod, wait


def counter(node: Node, name: str, **container: t.Any) -> t.Tuple[Pod, str]:
    """A pod whose container counts, and the container."""
    pod = node.pod(name)
    identity = node.container(pod, **container)
    wait(lambda: node.counts(pod)[5:], SECONDS, "the workload's log")
    return pod, identity


def goes_on(node: Node, old: Pod, new: Pod) -> None:
    """The new pod's container is the old one's process, and goes on counting where it was."""
    nonce, number = node.counts(old)[-1]
    # Lines of the old log may have travelled along; only the process itself can have written a higher number.
    wait(lambda: any(count > number for _nonce, count in node.counts(new)), SECONDS, "the restored counter to go on")
    assert {who for who, _count in node.counts(new)} == {nonce}, "another process"


def cgroup_of(node: Node, identity: str) -> str:
    """The directory of a container's cgroup (version 2)."""
    line = node.run("cat /proc/%d/cgroup" % node.pid(identity)).strip()
    assert line.startswith("0::/"), line
    return "/sys/fs/cgroup" + line[3:]
