# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of containers that never were, for the tests of pod_preflight's checks."""

from __future__ import annotations

import dataclasses
import stat

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight as preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    Descriptor,
    Host,
    InetSocket,
    Network,
    Process,
    Snapshot,
)

ROOT = -1
OWN = {"pid": 100, "mnt": 101, "net": 102, "ipc": 103, "uts": 104, "user": 1}
HOST = {"pid": 1, "mnt": 2, "net": 3, "ipc": 4, "uts": 5, "user": 1}
MIB = 1 << 20


def process(*descriptors, **changes):
    given = {
        "pid": 500,
        "ns_pid": 1,
        "ppid": 400,
        "comm": "app",
        "state": "S",
        "namespaces": OWN,
        "anonymous_bytes": 8 * MIB,
    }
    given.update(changes)
    return Process(descriptors=tuple(descriptors), **given)


def snapshot(*processes, options=(), **changes):
    host = Host(
        engine="containerd",
        criu=(4, 2, 1),
        criu_options={name: "" for name in options},
        namespaces=HOST,
        capabilities=ROOT,
    )
    host = dataclasses.replace(host, **changes.pop("host", {}))
    given = {
        "namespace": "default",
        "pod": "web",
        "container": "app",
        "container_id": "c" * 64,
        "init": 500,
        "host": host,
    }
    given.update(changes)
    return Snapshot(processes=tuple(processes) or (process(),), **given)


def judged(*arguments, **changes):
    return preflight.judge(snapshot(*arguments, **changes))


def ids(entry, severity=None):
    return [found["id"] for found in entry["reasons"] if severity in (None, found["severity"])]


def one(entry, name):
    return next(found for found in entry["reasons"] if found["id"] == name)


def sock(inode=7, protocol="TCP", fd=3):
    return Descriptor(fd, "socket:[%d]" % inode, inode=inode, mode=stat.S_IFSOCK, protocol=protocol)


def file(path, fd=4, **changes):
    given = {"mode": stat.S_IFREG | 0o644, "inode": 9, "flags": 0}
    given.update(changes)
    return Descriptor(fd, path, **given)


def inet(state, local="10.244.1.3", remote="10.0.0.7", protocol="tcp", queue=0, **addresses):
    return Network(
        inet={7: InetSocket(7, protocol, state, (local, 8080), (remote, 5432 if state != 10 else 0), queue)},
        addresses=frozenset({"10.244.1.3", "127.0.0.1"}),
    )
