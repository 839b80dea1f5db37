# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a lab keeps its files, its description on disk, and the locks that keep two commands apart.

The description is written before the first effect, so that whatever was begun can be taken down
after a C(kill -9) at any moment: every name of the lab (bridge, table, cgroup, directories) follows
from the lab's name and its number.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import typing as t

from . import shell
from .errors import LabError

BASE = "/run/container-checkpoint-lab"
MAX_NODES = 9
_NAME = re.compile(r"^[a-z][a-z0-9-]{0,20}$")


def cache_dir() -> str:
    """Root file systems, images and the disks of running nodes."""
    return os.environ.get("LAB_CACHE") or "/var/cache/container-checkpoint-lab"


class Node(t.NamedTuple):
    """One node: a name and what follows from its number."""

    name: str
    number: int
    address: str
    pod_subnet: str


class Lab(t.NamedTuple):
    """One lab: everything that exists on the machine because of it is named after it."""

    name: str
    number: int
    suite: str
    nodes: tuple[Node, ...]
    cluster: bool  # with registries and workload images

    @property
    def state(self) -> str:
        """Small files: description, keys, inventory."""
        return f"{BASE}/{self.name}"

    @property
    def data(self) -> str:
        """Big files: the nodes' disks and the registries' blobs."""
        return f"{cache_dir()}/labs/{self.name}"

    @property
    def bridge(self) -> str:
        """The bridge's name (at most 15 characters)."""
        return f"cclab{self.number}"

    @property
    def subnet(self) -> str:
        """The nodes' network."""
        return f"10.99.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """This machine's address in that network: gateway and registries."""
        return f"10.99.{self.number}.1"

    @property
    def cgroup(self) -> str:
        """Path below each cgroup hierarchy (used when PID 1 is not systemd)."""
        return f"container-checkpoint-lab/{self.name}"

    def unit(self, part: str) -> str:
        """Name of a transient unit (used when PID 1 is systemd)."""
        return f"cclab-{self.name}-{part}.service"


def make_lab(name: str, number: int, count: int, suite: str, cluster: bool) -> Lab:
    """The description of a lab from what was asked for."""
    if not _NAME.match(name):
        raise LabError(f"{name!r} is not a name for a lab: a lower case letter, then up to 20 of a-z, 0-9 and -")
    if not 1 <= count <= MAX_NODES:
        raise LabError(f"a lab has between 1 and {MAX_NODES} nodes, not {count}")
    nodes = tuple(
        Node(f"node{k}", k, f"10.99.{number}.{10 + k}", f"10.{100 + k}.{number}.0/24") for k in range(1, count + 1)
    )
    return Lab(name, number, suite, nodes, cluster)


def to_json(lab: Lab) -> str:
    """The description as it is kept in C(lab.json)."""
    fields = {**lab._asdict(), "nodes": [node._asdict() for node in lab.nodes], "data": lab.data}
    return json.dumps(fields, indent=2) + "\n"


def from_json(text: str) -> Lab:
    """The opposite of C(to_json)."""
    fields = json.loads(text)
    nodes = tuple(Node(**node) for node in fields["nodes"])
    return Lab(fields["name"], fields["number"], fields["suite"], nodes, fields["cluster"])


def load(name: str) -> Lab | None:
    """The lab of that name, if one was begun."""
    text = shell.read_text(f"{BASE}/{name}/lab.json", "")
    return from_json(text) if text else None


def save(lab: Lab) -> None:
    """Write the description."""
    os.makedirs(lab.state, mode=0o755, exist_ok=True)
    shell.write_file(f"{lab.state}/lab.json", to_json(lab))


def all_labs() -> list[Lab]:
    """Every lab that was begun on this machine."""
    names = sorted(os.listdir(BASE)) if os.path.isdir(BASE) else []
    return [lab for lab in map(load, names) if lab]


def free_number(taken: t.Iterable[int], networks: t.Iterable[str]) -> int:
    """The first number whose networks collide with no other lab and no network of this machine."""
    used, present = set(taken), [ipaddress.ip_network(network, strict=False) for network in networks]
    for number in range(256):
        mine = [ipaddress.ip_network(f"10.99.{number}.0/24")]
        mine += [ipaddress.ip_network(f"10.{100 + k}.{number}.0/24") for k in range(1, MAX_NODES + 1)]
        if number not in used and not any(a.overlaps(b) for a in mine for b in present):
            return number
    raise LabError("no free network 10.99.<n>.0/24 is left on this machine")


@contextlib.contextmanager
def lock(name: str, wait: bool = False) -> t.Iterator[None]:
    """Hold the lock of a lab (or, with a name that no lab can have, of all); released when the process ends."""
    path = f"{BASE}/{name}.lock"
    while True:
        os.makedirs(BASE, mode=0o755, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            same = os.stat(path).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            same = False
        except BlockingIOError as exc:
            holder = os.read(descriptor, 20).decode() or "?"
            os.close(descriptor)
            raise LabError(f"another command (process {holder}) is working on lab {name!r}: wait for it") from exc
        if same:
            break
        os.close(descriptor)  # the holder before us removed the file
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.unlink(path)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.rmdir(BASE)
