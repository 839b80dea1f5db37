# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the collection's roles and modules in a virtual machine, as a user does: ansible-playbook over ssh."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

from vmlib.lab import Vm

HERE = pathlib.Path(__file__).resolve().parent


class Run(t.NamedTuple):
    """One run of a playbook."""

    status: int
    changed: int
    text: str


def play(vm: Vm, playbook: pathlib.Path, *arguments: str, **variables: t.Any) -> Run:
    """Run a playbook on the machine."""
    argv = ["ansible-playbook", "--inventory", vm.inventory, "--extra-vars", json.dumps(variables), *arguments, str(playbook)]
    # The connections that ssh keeps open have their sockets where everything of this machine is removed.
    environment = dict(os.environ, ANSIBLE_PIPELINING="true", ANSIBLE_SSH_CONTROL_PATH_DIR=f"{vm.lab.state}/cp", ANSIBLE_TIMEOUT="60")
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, check=False)
    text = done.stdout.decode(errors="replace")
    changed = [int(count) for count in re.findall(r"^node1 .*changed=(\d+)", text, re.MULTILINE)]
    return Run(done.returncode, changed[0] if changed else -1, text)


def role(vm: Vm, name: str, *arguments: str, **variables: t.Any) -> Run:
    """Run one role of the collection."""
    return play(vm, HERE / "role.yml", *arguments, vm_role=name, **variables)


def succeed(run: Run) -> Run:
    """The same run; it must have succeeded."""
    assert run.status == 0, run.text[-8000:]
    return run


def refuse(run: Run) -> Run:
    """The same run; a task of it must have failed (not the connection, not the playbook)."""
    assert run.status == 2, run.text[-8000:]
    return run


def node_info(vm: Vm, **options: t.Any) -> t.Dict[str, t.Any]:
    """What the module node_info says of the machine."""
    path = pathlib.Path(vm.lab.state) / "node_info.json"
    path.unlink(missing_ok=True)
    succeed(play(vm, HERE / "node_info.yml", vm_options=options, vm_result=str(path)))
    return json.loads(path.read_text())


def reasons(info: t.Mapping[str, t.Any], severity: str = "error") -> t.List[str]:
    """The names of the reasons of one severity."""
    return [reason["id"] for reason in info["reasons"] if reason["severity"] == severity]


def restore_path(info: t.Mapping[str, t.Any], name: str) -> t.Tuple[bool, bool]:
    """Whether a way to restore is there and whether it is on."""
    found = [path for path in info["restore_paths"] if path["name"] == name]
    assert len(found) == 1, info["restore_paths"]
    return found[0]["available"], found[0]["enabled"]
