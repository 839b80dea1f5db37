# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open files and mappings that CRIU cannot save, or that are missing in another pod. Pure.

PRIVATE to the collection. The rules are those of CRIU 4.2 (files.c, files-ext.c, files-reg.c, file-lock.c,
fsnotify.c, pidfd.c).
"""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_parse as parse
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Descriptor,
    Mapping,
    Mount,
    Process,
    Reason,
    Snapshot,
    Volume,
    reason,
)

GHOST_LIMIT = 1 << 20
_ANONYMOUS = ("[eventfd]", "[eventpoll]", "inotify", "[fanotify]", "[signalfd]", "[timerfd]", "[pidfd]", "bpf-map")
_PIDFD_SINCE = (4, 1, 0)
_APPEND = 0o2000
_MEM, _TTY, _TTYAUX, _MISC = 1, 4, 5, 10
_MISC_KNOWN = {200: "tun", 235: "autofs"}
_PTY = range(128, 144)
# Directories that CRIU searches for a watched file whose handle it cannot open (irmap.c).
IRMAP = ("/etc", "/var/spool", "/var/log", "/usr/share/dbus-1/services", "/usr/share/dbus-1/system-services")
# Kinds of volumes whose content stays with the old pod.
_LOST = ("emptyDir", "shm")
_SAME_FOR_ALL = ("projected", "configMap", "secret", "downwardAPI", "pod")


def check(snapshot: Snapshot) -> t.List[Reason]:
    """All that speaks against the container's open files and mappings, each kind and path once."""
    found: t.List[Reason] = []
    devices = {mount.mount_id: mount for mount in snapshot.mounts}
    seen: t.Set[t.Tuple[t.Any, ...]] = set()
    for process in snapshot.tree:
        for entry in process.descriptors:
            key = (entry.inode, entry.target, entry.flags & 3)
            for item in _descriptor(snapshot, process, entry, devices):
                if (item["id"],) + key not in seen:
                    seen.add((item["id"],) + key)
                    found.append(item)
        for mapping in process.mappings:
            for item in _mapping(snapshot, process, mapping):
                if (item["id"], mapping.path) not in seen:
                    seen.add((item["id"], mapping.path))
                    found.append(item)
        if process.truncated:
            found.append(
                reason(
                    "too-many-files",
                    WARNING,
                    (CHECKPOINT,),
                    "process %d has so many open files that not all were looked at" % process.pid,
                    "none is needed; this verdict just knows less",
                    pid=process.pid,
                )
            )
    return found


def _evidence(process: Process, entry: Descriptor) -> t.Dict[str, t.Any]:
    return {"pid": process.pid, "fd": entry.fd, "path": entry.target}


def _descriptor(
    snapshot: Snapshot, process: Process, entry: Descriptor, mounts: t.Mapping[int, Mount]
) -> t.List[Reason]:
    found = _locks(snapshot, process, entry)
    if entry.target.startswith("anon_inode:"):
        return found + _anonymous(snapshot, process, entry)
    if entry.target.startswith("pidfd:"):
        return found + _pidfd(snapshot, process, entry)
    mode = entry.mode
    if mode is None:
        return found
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return found + _device(snapshot, process, entry)
    if entry.target.startswith(("socket:", "pipe:")):
        return found
    if entry.target.startswith(
        tuple(kind + ":[" for kind in ("net", "mnt", "pid", "ipc", "uts", "user", "cgroup", "time"))
    ):
        return found + _namespace(snapshot, process, entry)
    if entry.target.startswith("/secretmem"):
        return found + [_unsupported("secret memory (memfd_secret)", process, entry)]
    if not entry.target.startswith("/"):
        return found + [_unsupported(entry.target, process, entry)]
    if entry.target.startswith("/memfd:"):
        return found
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        if entry.deleted and not _is_proc(entry, mounts):
            return found + _deleted(snapshot, entry.path, entry, _evidence(process, entry))
        found += _on_volume(snapshot, process, entry)
    return found


def _is_proc(entry: Descriptor, mounts: t.Mapping[int, Mount]) -> bool:
    mount = mounts.get(entry.mount_id)
    return mount is not None and mount.fstype in ("proc", "devpts")


def _unsupported(what: str, process: Process, entry: Descriptor) -> Reason:
    return reason(
        "unsupported-file",
        ERROR,
        (CHECKPOINT,),
        "an open file is of a kind that CRIU cannot save: %s" % what,
        "switch off in the program what needs it",
        error="Can't dump file … of that type",
        **_evidence(process, entry),
    )


def _locks(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    if not entry.locks or snapshot.option("file-locks") or snapshot.host.engine == "cri-o":
        return []
    return [
        reason(
            "file-locks",
            ERROR,
            (CHECKPOINT,),
            "the program holds a %s lock on %s" % (entry.locks[0].kind, entry.path),
            "put 'file-locks' into /etc/criu/runc.conf (role criu)",
            error="Some file locks are hold by dumping tasks!",
            criu_option="file-locks",
            **_evidence(process, entry),
        )
    ]


def _anonymous(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    kind = entry.target[len("anon_inode:") :]
    if kind == "[io_uring]":
        return [_io_uring(_evidence(process, entry))]
    if kind == "[pidfd]":
        return _pidfd(snapshot, process, entry)
    if kind in ("inotify", "[fanotify]"):
        return _watches(snapshot, process, entry)
    if kind == "bpf-map":
        return [
            reason(
                "bpf-map",
                WARNING,
                (CHECKPOINT,),
                "the program has a BPF map open, which only a CRIU built with libbpf can save",
                "detach what uses it before",
                error="Can't dump file … of that type",
                **_evidence(process, entry),
            )
        ]
    if kind in _ANONYMOUS:
        return []
    names = {
        "[userfaultfd]": "userfaultfd",
        "[perf_event]": "a performance counter (perf)",
        "kvm-vm": "a virtual machine (KVM)",
    }
    return [_unsupported(names.get(kind, kind), process, entry)]


def _io_uring(evidence: t.Dict[str, t.Any]) -> Reason:
    return reason(
        "io-uring",
        ERROR,
        (CHECKPOINT,),
        "the program uses io_uring",
        "switch io_uring off in the program (Node.js: UV_USE_IO_URING=0; others have an option of their own)",
        error="Can't dump file … of that type [600] (unknown anon_inode:[io_uring])",
        **evidence,
    )


def _pidfd(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    own = {one.pid for one in snapshot.tree}
    other = entry.refers_to_pid
    if snapshot.host.criu and snapshot.host.criu < _PIDFD_SINCE:
        return [_unsupported("a pidfd (CRIU 4.1 and later can)", process, entry)]
    if other is not None and other > 0 and other not in own:
        return [
            reason(
                "pidfd-outside",
                ERROR,
                (CHECKPOINT,),
                "the program holds a pidfd of process %d, which is not in the container" % other,
                "close it before",
                error="is not a part of process tree",
                **_evidence(process, entry),
            )
        ]
    return []


def _watches(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    """A watch is saved as a path. CRIU finds it through the file's handle, or in a few directories of its own."""
    kinds = {_device_number(mount.device): mount for mount in snapshot.mounts}
    for device, inode in entry.watches:
        mount = kinds.get(device)
        if mount is None:
            return [_watch_reason("on a file system that is not mounted in the container", process, entry)]
        if mount.fstype == "overlay" and inode not in snapshot.findable:
            where = "in the container's own file system, outside of the few directories where CRIU can find them again"
            return [_watch_reason(where, process, entry)]
    return []


def _watch_reason(where: str, process: Process, entry: Descriptor) -> Reason:
    return reason(
        "inotify",
        ERROR,
        (CHECKPOINT,),
        "the program watches files (%s) %s" % (entry.target[len("anon_inode:") :].strip("[]"), where),
        "let the program poll instead of watch; 'irmap-scan-path PATH' and 'force-irmap' in /etc/criu/runc.conf may"
        " help",
        error="Can't dump that handle",
        criu_option="irmap-scan-path",
        **_evidence(process, entry),
    )


def _device_number(text: str) -> int:
    major, _colon, minor = text.partition(":")
    # The kernel's own form, as fdinfo's sdev shows it.
    return (int(major) << 20) | int(minor)


def _device(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    major, minor = entry.rdev
    if stat.S_ISCHR(entry.mode or 0):
        if major == _MEM or (major == _MISC and minor in _MISC_KNOWN) or major in _PTY or major in (_TTY, _TTYAUX):
            return []
    return [
        reason(
            "device",
            ERROR,
            (CHECKPOINT,),
            "the device %s (%d:%d) is open" % (entry.path, major, minor),
            "a CRIU plugin for that device (GPUs: cuda_plugin, amdgpu_plugin), else close it before",
            error="Can't dump file … of that type",
            device="%d:%d" % (major, minor),
            **_evidence(process, entry),
        )
    ]


def _namespace(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    number = entry.target.partition("[")[2].rstrip("]")
    own = {str(value) for one in snapshot.tree for value in one.namespaces.values()}
    if number in own:
        return []
    return [
        reason(
            "namespace-file",
            ERROR,
            (CHECKPOINT,),
            "the program has a namespace open that is not one of the container's own (%s)" % entry.target,
            "close it before",
            error="No NS ID with kid",
            **_evidence(process, entry),
        )
    ]


def _deleted(
    snapshot: Snapshot, path: str, what: t.Union[Descriptor, Mapping], evidence: t.Dict[str, t.Any]
) -> t.List[Reason]:
    size, links = what.size, what.links
    if links and not snapshot.option("link-remap"):
        return [
            reason(
                "deleted-file-linked",
                ERROR,
                (CHECKPOINT,),
                "%s was deleted or replaced while it is open, and exists under another name or in the image" % path,
                "put 'link-remap' into /etc/criu/runc.conf (role criu, criu_link_remap: true), or restart the program",
                error="Can't create link remap for",
                criu_option="link-remap",
                **evidence,
            )
        ]
    if links and not what.of_image:
        return [
            reason(
                "link-remap-lost",
                ERROR,
                (RESTORE,),
                "%s was deleted while it is open, and exists under another name: CRIU gives it a temporary name, which"
                " no runtime takes along" % path,
                "restart the program",
                error="Can't link",
                **evidence,
            )
        ]
    limit = parse.size(snapshot.host.criu_options.get("ghost-limit", ""), GHOST_LIMIT)
    if size > limit:
        return [
            reason(
                "ghost-file",
                ERROR,
                (CHECKPOINT,),
                "%s is deleted, still open and %d KiB large; CRIU takes along up to %d KiB"
                % (path, size >> 10, limit >> 10),
                "'ghost-limit %dM' in /etc/criu/runc.conf (role criu, criu_ghost_limit)" % ((size >> 20) + 1),
                error="Can't dump ghost file … increase limit",
                criu_option="ghost-limit",
                bytes=size,
                **evidence,
            )
        ]
    return []


def volume_of(snapshot: Snapshot, path: str) -> t.Optional[Volume]:
    """The volume that a path inside the container lies on; the innermost one."""
    best: t.Optional[Volume] = None
    for volume in snapshot.volumes:
        point = volume.path.rstrip("/") or "/"
        if (path == point or path.startswith(point + "/")) and (best is None or len(point) > len(best.path)):
            best = volume
    return best


def _on_volume(snapshot: Snapshot, process: Process, entry: Descriptor) -> t.List[Reason]:
    volume = volume_of(snapshot, entry.path)
    if volume is None:
        if entry.path in snapshot.growing:
            return [_growing(INFO, process, entry, "the container's own file system")]
        return []
    evidence = dict(_evidence(process, entry), volume=volume.name)
    if stat.S_ISDIR(entry.mode or 0) and entry.path == volume.path.rstrip("/"):
        return []
    if volume.kind in _LOST:
        return [_lost(volume, evidence)]
    if volume.kind in _SAME_FOR_ALL:
        return []
    if entry.path in snapshot.growing:
        # CRIU does not compare the size of a file that is only appended to.
        severity = INFO if entry.flags & _APPEND and entry.flags & 3 == 1 else WARNING
        return [_growing(severity, process, entry, "volume %s" % volume.name)]
    if entry.writable and not volume.read_only:
        return [
            reason(
                "open-on-volume",
                INFO,
                (RESTORE,),
                "%s is open for writing on %s volume %s; it must have the same size when the container is restored"
                % (entry.path, volume.kind, volume.name),
                "stop the source before its volume is used by the restored pod",
                error="File … has bad size",
                **evidence,
            )
        ]
    return []


def _lost(volume: Volume, evidence: t.Dict[str, t.Any]) -> Reason:
    what = "the pod's /dev/shm" if volume.kind == "shm" else "emptyDir volume %s" % volume.name
    return reason(
        "open-on-emptydir",
        ERROR,
        (RESTORE,),
        "%s is in use on %s, whose content is not part of a checkpoint: a new pod has not that file"
        % (evidence["path"], what),
        "copy the content into the new pod's volume before the restore, or keep such files elsewhere",
        error="Can't open file … on restore",
        **evidence,
    )


def _growing(severity: str, process: Process, entry: Descriptor, where: str) -> Reason:
    return reason(
        "file-growing",
        severity,
        (RESTORE,),
        "%s on %s is being written to. Runtimes save files after the memory, and CRIU refuses a file of another size"
        % (entry.path, where),
        "let the program write to its standard output instead, or stop it from writing during the checkpoint",
        error="File … has bad size",
        **_evidence(process, entry),
    )


def _mapping(snapshot: Snapshot, process: Process, mapping: Mapping) -> t.List[Reason]:
    evidence = {"pid": process.pid, "path": mapping.path, "address": mapping.address}
    path = mapping.path
    if path.startswith("anon_inode:[io_uring]"):
        return [_io_uring(evidence)]
    if path == "[uprobes]":
        if snapshot.option("allow-uprobes"):
            return []
        return [
            reason(
                "uprobes",
                ERROR,
                (CHECKPOINT,),
                "a tracer has probes in the program",
                "detach it, or 'allow-uprobes' in /etc/criu/runc.conf",
                error="has uprobes vma. Consider using --allow-uprobes",
                criu_option="allow-uprobes",
                **evidence,
            )
        ]
    if path.startswith("/SYSV") or path.startswith(("/memfd:", "/dev/zero", "/[aio]", "/anon_hugepage")):
        return _hugetlb(path, evidence) if path.startswith("/anon_hugepage") else []
    if path.startswith("/secretmem"):
        return [
            reason(
                "unsupported-mapping",
                ERROR,
                (CHECKPOINT,),
                "the program uses secret memory (memfd_secret)",
                "switch off in the program what needs it",
                error="Can't handle non-regular mapping",
                **evidence,
            )
        ]
    if path.startswith("/dev/") and not path.startswith(("/dev/shm/", "/dev/null", "/dev/full")):
        return [
            reason(
                "device-memory",
                ERROR,
                (CHECKPOINT,),
                "the program maps the memory of a device (%s)" % path,
                "a CRIU plugin for that device, else not possible",
                error="Can't handle non-regular mapping",
                **evidence,
            )
        ]
    if mapping.deleted and path.startswith("/"):
        return _deleted(snapshot, path[: -len(" (deleted)")], mapping, evidence)
    volume = volume_of(snapshot, path) if path.startswith("/") else None
    if volume is not None and volume.kind in _LOST:
        return [_lost(volume, dict(evidence, volume=volume.name))]
    return []


def _hugetlb(path: str, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    return [
        reason(
            "huge-pages",
            WARNING,
            (RESTORE,),
            "the program uses huge pages, of which the target node must have as many free",
            "the same vm.nr_hugepages on the target",
            **evidence,
        )
    ]
