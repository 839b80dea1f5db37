# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the role restore_handler and other playbooks on one node of a lab, and comparing what is on the node before and afterwards."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

from cri_node import STATE, Node

# Everything that the role could touch. Directories too: with kind and mode, links with their target.
_SNAPSHOT = (
    "for d in /etc/containerd /etc/crio /etc/systemd/system /usr/local /var/lib/container-checkpoint; do [ -e $d ] && "
    "find $d \\( -path /usr/local/lib/python* -prune \\) -o -printf '%p %y %m %U %l ' -a "
    "\\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\); done; true"
)


class Run(t.NamedTuple):
    """One run of the role."""

    status: int
    changed: int
    text: str


def run_playbook(node: Node, playbook: str, *options: str, **variables: t.Any) -> Run:
    """Run a playbook for this node."""
    argv = ["ansible-playbook", "--inventory", str(STATE / node.lab / "inventory.yml"), "--limit", node.name, *options,
            "--extra-vars", json.dumps(variables), playbook]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=dict(os.environ, ANSIBLE_PIPELINING="true", ANSIBLE_HOST_KEY_CHECKING="false"))
    text = done.stdout.decode()
    recap = re.search(r"changed=(\d+)", text)
    return Run(done.returncode, int(recap.group(1)) if recap else -1, text)


def run_role(node: Node, check: bool = False, **variables: t.Any) -> Run:
    """Run the role as tests/handler/install.yml does."""
    run = run_playbook(node, str(pathlib.Path(__file__).with_name("install.yml")), "--diff", *(["--check"] if check else []), **variables)
    node.reconnect()
    return run


def apply(node: Node, **variables: t.Any) -> Run:
    """Run the role; it must succeed."""
    run = run_role(node, **variables)
    assert run.status == 0, run.text[-6000:]
    return run


def snapshot(node: Node) -> t.List[str]:
    """What is there."""
    return sorted(node.run(_SNAPSHOT).splitlines())
