# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what /proc knows about the containers of this node. Nothing is frozen, traced or changed.

PRIVATE to the collection. Effects only, no judgement: the result is C(_preflight_model)'s plain data. A process that
ends while it
is read is left out.
"""

from __future__ import annotations

import os
import stat
import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_parse as parse
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_unix as unix
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    Descriptor,
    Mapping,
    Mount,
    Network,
    Process,
    UnixSocket,
)

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
# File systems whose server may be away: a stat on them could hang.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs", "lustre")
_MAX_DESCRIPTORS = 20000
_MAX_THREADS = 2000
_MAX_ENTRIES = 20000
_WALK_SECONDS = 0.5
_NET_FILES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")


class Gone(Exception):
    """The process ended while it was read."""


class ProcReader:
    """Reads processes below C(root), which is /proc but in tests."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._networks: t.Dict[int, Network] = {}
        self._host_unix: t.Optional[t.Dict[int, UnixSocket]] = None

    # -- plumbing ---------------------------------------------------------------------------------------------------

    def _text(self, *parts: t.Any) -> str:
        try:
            with open(os.path.join(self._root, *[str(part) for part in parts]), "rb") as stream:
                return stream.read().decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""
        except OSError:
            return ""

    def _path(self, *parts: t.Any) -> str:
        return os.path.join(self._root, *[str(part) for part in parts])

    def _list(self, *parts: t.Any) -> t.List[str]:
        try:
            return os.listdir(self._path(*parts))
        except OSError:
            return []

    # -- who belongs to which container -----------------------------------------------------------------------------

    def by_container(self, wanted: t.Container[str]) -> t.Dict[str, t.List[int]]:
        """Process numbers by container ID, in one walk over all processes."""
        found: t.Dict[str, t.List[int]] = {}
        zombies: t.List[t.Tuple[int, int]] = []
        for name in self._list(""):
            if not name.isdigit():
                continue
            container = parse.container_of(self._text(name, "cgroup"))
            if container is not None and container in wanted:
                found.setdefault(container, []).append(int(name))
            elif container is None:
                words = self._text(name, "stat").rpartition(")")[2].split()
                if len(words) > 1 and words[0] == "Z":
                    zombies.append((int(name), int(words[1])))
        # With cgroup version 1 a process that has ended is in no cgroup any more; its parent tells where it was.
        for pid, parent in zombies:
            for pids in found.values():
                if parent in pids:
                    pids.append(pid)
        return found

    def cgroup_version(self, pid: int) -> int:
        """2 where the process is in the unified hierarchy only."""
        lines = [line for line in self._text(pid, "cgroup").splitlines() if line]
        return 2 if lines and all(line.startswith("0::") for line in lines) else 1

    def namespaces(self, pid: int) -> t.Dict[str, int]:
        """Namespace kind to its number."""
        found = {}
        for kind in NAMESPACES:
            try:
                found[kind] = os.stat(self._path(pid, "ns", kind)).st_ino
            except OSError:
                continue
        return found

    def capabilities(self, pid: int) -> int:
        """The bounding set of a process as a bit mask; -1 (all) where it is not known."""
        value = parse.status(self._text(pid, "status")).get("CapBnd")
        return int(value, 16) if value else -1

    # -- one process ------------------------------------------------------------------------------------------------

    def process(self, pid: int, mounts: t.Mapping[int, Mount]) -> Process:
        """Everything about one process; Gone when there is none any more."""
        fields = parse.status(self._text(pid, "status"))
        if "Pid" not in fields:
            raise Gone(str(pid))
        descriptors, truncated = self._descriptors(pid, mounts)
        threads = int(fields.get("Threads", "1"))
        return Process(
            pid=pid,
            ns_pid=parse.last_number(fields, "NSpid", pid),
            ppid=int(fields.get("PPid", "0")),
            comm=fields.get("Name", ""),
            state=fields.get("State", "?")[:1],
            threads=threads,
            sid_in_ns=parse.last_number(fields, "NSsid", 1),
            uids=parse.numbers(fields, "Uid"),
            gids=parse.numbers(fields, "Gid"),
            tracer=int(fields.get("TracerPid", "0")),
            tty=parse.tty_of_stat(self._text(pid, "stat")),
            no_new_privs=fields.get("NoNewPrivs") == "1",
            seccomp=int(fields.get("Seccomp", "0")),
            capabilities=int(fields.get("CapPrm", "0"), 16),
            lsm=self._text(pid, "attr", "current").strip("\0\n "),
            anonymous_bytes=parse.kib(fields, "RssAnon"),
            shared_bytes=parse.kib(fields, "RssShmem"),
            swapped_bytes=parse.kib(fields, "VmSwap"),
            thread_states=self._thread_states(pid) if threads > 1 else (),
            namespaces=self.namespaces(pid),
            descriptors=descriptors,
            mappings=self._mappings(pid, next((mount for mount in mounts.values() if mount.point == "/"), None)),
            truncated=truncated,
        )

    def _thread_states(self, pid: int) -> t.Tuple[str, ...]:
        states = []
        for tid in self._list(pid, "task")[:_MAX_THREADS]:
            words = self._text(pid, "task", tid, "stat").rpartition(")")[2].split()
            if words:
                states.append(words[0])
        return tuple(states)

    def _descriptors(self, pid: int, mounts: t.Mapping[int, Mount]) -> t.Tuple[t.Tuple[Descriptor, ...], bool]:
        names = sorted((name for name in self._list(pid, "fd") if name.isdigit()), key=int)
        found = []
        for name in names[:_MAX_DESCRIPTORS]:
            path = self._path(pid, "fd", name)
            try:
                target = os.readlink(path)
            except OSError:
                continue
            found.append(self._descriptor(int(name), path, target, self._text(pid, "fdinfo", name), mounts))
        return tuple(found), len(names) > _MAX_DESCRIPTORS

    def _descriptor(
        self, number: int, path: str, target: str, fdinfo: str, mounts: t.Mapping[int, Mount]
    ) -> Descriptor:
        facts = parse.fdinfo(fdinfo)
        mount = mounts.get(facts["mount_id"])
        if mount is not None and (mount.fstype in _REMOTE or mount.fstype.startswith("fuse.")):
            return Descriptor(fd=number, target=target, **facts)
        try:
            found = os.stat(path)
        except OSError:
            return Descriptor(fd=number, target=target, **facts)
        protocol = ""
        if stat.S_ISSOCK(found.st_mode):
            try:
                protocol = os.getxattr(path, "system.sockprotoname").rstrip(b"\0").decode("ascii", "replace")
            except OSError:
                protocol = ""
        regular = stat.S_ISREG(found.st_mode)
        gone = target.endswith(" (deleted)")
        return Descriptor(
            fd=number,
            target=target,
            inode=found.st_ino,
            mode=found.st_mode,
            size=found.st_blocks * 512 if gone and regular else found.st_size if regular else 0,
            links=found.st_nlink,
            rdev=(os.major(found.st_rdev), os.minor(found.st_rdev)),
            protocol=protocol,
            of_image=gone and _whiteout(mount, target[: -len(" (deleted)")]),
            **facts,
        )

    def _mappings(self, pid: int, root: t.Optional[Mount]) -> t.Tuple[Mapping, ...]:
        found = []
        for address, path in parse.interesting_mappings(self._text(pid, "maps")):
            size, links = 0, 1
            if path.endswith(" (deleted)"):
                try:
                    file = os.stat(self._path(pid, "map_files", address))
                    size, links = file.st_blocks * 512, file.st_nlink
                except OSError:
                    size, links = 0, 0
            of_image = path.endswith(" (deleted)") and _whiteout(root, path[: -len(" (deleted)")])
            found.append(Mapping(address, path, size, links, of_image))
        return tuple(found)

    # -- what processes share ---------------------------------------------------------------------------------------

    def mounts(self, pid: int) -> t.Tuple[Mount, ...]:
        """The process' mountinfo."""
        return tuple(parse.mounts(self._text(pid, "mountinfo")))

    def upper_directory(self, pid: int) -> t.Optional[str]:
        """Where the container's changed files are, None when its root is no overlay."""
        root = next((mount for mount in self.mounts(pid) if mount.point == "/"), None)
        return _upper(root)

    def network(self, pid: int) -> Network:
        """The sockets of the process' network namespace, read once for all that share it."""
        try:
            number = os.stat(self._path(pid, "ns", "net")).st_ino
        except OSError:
            return Network(unix_peers=False)
        if number not in self._networks:
            self._networks[number] = self._read_network(pid)
        return self._networks[number]

    def _read_network(self, pid: int) -> Network:
        inet = {}
        for name in _NET_FILES:
            for entry in parse.inet_sockets(self._text(pid, "net", name), name):
                inet[entry.inode] = entry
        asked: t.Optional[t.List[UnixSocket]] = unix.unix_sockets(self._path(pid, "ns", "net"))
        known = asked if asked is not None else parse.unix_sockets(self._text(pid, "net", "unix"))
        netlink = parse.netlink_sockets(self._text(pid, "net", "netlink"))
        return Network(
            inet=inet,
            unix=self._with_peers({entry.inode: entry for entry in known}),
            netlink={entry.inode: entry for entry in netlink},
            addresses=parse.local_addresses(self._text(pid, "net", "fib_trie"), self._text(pid, "net", "if_inet6")),
            unix_peers=asked is not None,
        )

    def _with_peers(self, known: t.Dict[int, UnixSocket]) -> t.Dict[int, UnixSocket]:
        """The same sockets, and those of the node itself that they are connected to; CRIU knows these, too."""
        away = {entry.peer for entry in known.values() if entry.peer} - set(known)
        if away and self._host_unix is None:
            found = unix.unix_sockets(self._path(1, "ns", "net")) or []
            self._host_unix = {entry.inode: entry for entry in found}
        there = {inode: entry for inode, entry in (self._host_unix or {}).items() if inode in away}
        there.update(known)
        return there

    def findable(self, pid: int, directories: t.Sequence[str]) -> t.FrozenSet[int]:
        """The inodes below these directories of a container, and of the directories themselves, as far as a short
        walk comes."""
        found: t.Set[int] = set()
        pending = [self._path(pid, "root") + directory for directory in directories]
        while pending and len(found) < _MAX_ENTRIES:
            path = pending.pop()
            try:
                found.add(os.lstat(path).st_ino)
                with os.scandir(path) as entries:
                    for entry in entries:
                        found.add(entry.inode())
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
            except OSError:
                continue
        return frozenset(found)

    def sizes(self, process: Process) -> t.Dict[str, int]:
        """Path to size of the regular files that the process has open for writing, as they are now."""
        found = {}
        for entry in process.descriptors:
            if entry.writable and entry.mode is not None and stat.S_ISREG(entry.mode) and not entry.deleted:
                try:
                    found[entry.path] = os.stat(self._path(process.pid, "fd", entry.fd)).st_size
                except OSError:
                    continue
        return found


def _upper(mount: t.Optional[Mount]) -> t.Optional[str]:
    """The directory with the changed files of an overlay."""
    if mount is None or mount.fstype != "overlay":
        return None
    options = [option for option in mount.source.split(",") if option.startswith("upperdir=")]
    return options[0][len("upperdir=") :] if options else None


def _whiteout(mount: t.Optional[Mount], path: str) -> bool:
    """Whether the overlay hides a file of its lower layers with that path: it was deleted, and is in the image."""
    upper = _upper(mount)
    if upper is None:
        return False
    try:
        found = os.lstat(upper + path)
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def walk_size(path: str) -> t.Tuple[t.Optional[int], t.Optional[int]]:
    """(entries, bytes) below a directory, as far as a short walk comes; None where it cannot be read."""
    entries, total, end = 0, 0, time.monotonic() + _WALK_SECONDS
    pending = [path]
    first = True
    while pending and entries < _MAX_ENTRIES and time.monotonic() < end:
        try:
            with os.scandir(pending.pop()) as directory:
                for entry in directory:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            if first:
                return None, None
        first = False
    return entries, total
