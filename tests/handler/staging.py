# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling the collection's own modules on a node of the lab, as a playbook does."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

from cri_node import STATE, Node, Pod

COLLECTION = "container_checkpoint.kubernetes."


class ModuleFailed(Exception):
    """A module that failed, with its result."""

    def __init__(self, result: t.Dict[str, t.Any]) -> None:
        super().__init__(result.get("msg"))
        self.result = result


def ansible() -> str:
    """The ansible command beside this interpreter, or in the PATH."""
    beside = pathlib.Path(sys.executable).with_name("ansible")
    return os.environ.get("ANSIBLE_BIN") or (str(beside) if beside.exists() else shutil.which("ansible") or "ansible")


def module(node: Node, name: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
    """Run one module of the collection on a node; raise ModuleFailed where it fails."""
    argv = [ansible(), "-i", str(STATE / node.lab / "inventory.yml"), node.name, "-m", COLLECTION + name, "-a", json.dumps(options)]
    environment = dict(os.environ, ANSIBLE_STDOUT_CALLBACK="ansible.builtin.minimal", ANSIBLE_NOCOLOR="1", ANSIBLE_FORCE_COLOR="0",
                       ANSIBLE_DEPRECATION_WARNINGS="0")
    done = subprocess.run(argv + (["--check"] if check else []), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment, timeout=300, check=False)
    text = done.stdout.decode()
    start = text.find("=> {") + 3 if "=> {" in text else -1
    if start < 0:
        raise AssertionError("ansible printed no result: " + text)
    result = json.JSONDecoder().raw_decode(text[start:])[0]
    if done.returncode != 0:
        raise ModuleFailed(result)
    return result


def stage(node: Node, archive: str, pod: Pod, source: t.Optional[Pod] = None, container: str = "c", **options: t.Any) -> str:
    """Stage an archive for a container of a pod; return the entry's ID."""
    options.setdefault("archive_sha256", node.run("sha256sum '%s'" % archive).split()[0])
    if "owner_uid" not in options:
        options.setdefault("pod_uid", pod.uid)
    if source is not None and source.name != pod.name:
        options.setdefault("source_pod", source.name)
    result = module(node, "restore_stage", src=archive, namespace=pod.namespace, pod=pod.name, container=container, **options)
    return result["entry"]["id"]
