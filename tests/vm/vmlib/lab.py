# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab whose only node is a virtual machine: same files, same registries, same inventory as tests/lab makes them.

It lives as long as the process that made it; what a killed one leaves is files only, removed by the next of that name
(or by C(lab clean)).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
import time
import typing as t

from lablib import host as hosts
from lablib import inventory, lab, pki, registry, rootfs, shell, state

from . import image, recipe
from .machine import Machine, acceleration

# What the guest offers, whatever this machine does.
_GUEST = hosts.Host(systemd=True, cgroup2="/sys/fs/cgroup", cgroup2_usable=True, cgroup1=(), cap_sys_resource=True)
_NUMBER = 250  # no bridge is made, so it collides with nobody's


class VmLab(state.Lab):
    """A lab without a bridge: the guest reaches this machine's loopback address through QEMU."""

    @property
    def gateway(self) -> str:
        """Where the registries listen."""
        return "127.0.0.1"


class Vm(t.NamedTuple):
    """A running virtual machine as a node of a lab."""

    lab: VmLab
    machine: Machine
    accel: str
    seconds: float  # from nothing, but the cache, to here

    @property
    def inventory(self) -> str:
        """The path for C(ansible-playbook --inventory)."""
        return f"{self.lab.state}/inventory.yml"


@contextlib.contextmanager
def running(name: str, kind: str, say: t.Callable[[str], None]) -> t.Iterator[Vm]:
    """A virtual machine from its saved state; nothing is left of it afterwards."""
    machine_below = hosts.detect()
    accel = acceleration()
    cached = image.booted(kind, accel, say)
    begin = time.monotonic()
    made = recipe.RECIPES[kind]
    with_images = made.suite in rootfs.SUITES
    lower = rootfs.ensure(made.suite, image.aptconf.read_host(), say)
    lab.down(machine_below, name, say)
    here = VmLab(*state.make_lab(name, _NUMBER, 1, made.suite, with_images))
    guest = None
    try:
        os.makedirs(here.state, mode=0o700)
        os.makedirs(here.data, mode=0o700)
        for file in ("ssh_key", "ssh_key.pub", "ssh_host_key.pub"):
            shell.write_file(f"{here.state}/{file}", shell.read_text(f"{cached}/{file}"), 0o600)
        shell.run(["cp", "--reflink=auto", "--sparse=auto", f"{cached}/disk.qcow2", f"{here.data}/disk.qcow2"])
        pki.ensure_authority(here)
        if with_images:
            registry.up(machine_below, here, lower, say, start=_start_child)
        boot = [] if made.grub else image.boot_arguments(cached)
        guest = Machine(here.state, f"{here.data}/disk.qcow2", here.state, made.memory_mib, accel, boot)
        guest.start(recipe.SNAPSHOT)
        _settle(here, guest, lower)
        _write_inventory(here, guest)
        yield Vm(here, guest, accel[1].partition(",")[0], time.monotonic() - begin)
    finally:
        if guest is not None:
            guest.stop()
        lab.down(machine_below, name, say)


def attach(name: str) -> Vm:
    """A machine that another process runs."""
    here = VmLab(*state.make_lab(name, _NUMBER, 1, "", False))
    document = json.loads(shell.read_text(f"{here.state}/inventory.yml"))
    guest = Machine(here.state, "", here.state, 0, ())
    guest.port = document["all"]["children"]["kube_node"]["hosts"][recipe.NAME]["ansible_port"]
    return Vm(here, guest, "", 0.0)


def _start_child(_host: hosts.Host, _lab: state.Lab, _part: str, argv: t.Sequence[str], log_path: str) -> None:
    """As parts.start, but the process ends with this one."""
    with open(log_path, "ab") as log:
        subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=shell.die_with_parent)


def _settle(here: VmLab, guest: Machine, lower: str) -> None:
    """The clock, which stood still while the state was saved, and the certificates of this lab."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, file in pki.trust_files(here, lower).items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(file.content.encode()), file.mode
            archive.addfile(member, io.BytesIO(file.content.encode()))
    guest.run(f"date -s @{time.time():.0f}")
    subprocess.run(guest.ssh("tar -C / -x"), input=packed.getvalue(), check=True, timeout=120)


def _write_inventory(here: VmLab, guest: Machine) -> None:
    document = inventory.build(_GUEST, here)
    host = document["all"]["children"]["kube_node"]["hosts"][recipe.NAME]
    host.update(ansible_host="127.0.0.1", ansible_port=guest.port)
    shell.write_file(f"{here.state}/inventory.yml", json.dumps(document, indent=2) + "\n")
