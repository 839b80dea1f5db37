# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, namespaces and privileges that CRIU cannot save, or cannot give back. Pure.

PRIVATE to the collection. The rules are those of CRIU 4.2 (seize.c, cr-dump.c, namespaces.c) and of what runc tells it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Process,
    Reason,
    Snapshot,
    reason,
)

_SYS_RESOURCE = 1 << 24
_STRICT = 1
# Namespaces that a process of the container may have for itself.
_NESTABLE = ("mnt", "cgroup")
_NAMES = {"net": "network", "pid": "process", "ipc": "IPC", "uts": "host name", "user": "user", "time": "time"}


def check(snapshot: Snapshot) -> t.List[Reason]:
    """All that speaks against the container's processes."""
    first = next((process for process in snapshot.processes if process.pid == snapshot.init), None)
    if first is None:
        return [
            reason(
                "no-process",
                ERROR,
                (CHECKPOINT,),
                "the container has no process any more",
                "wait until it runs",
                error="checkpointing of … failed (container … not found)",
                transient=True,
            )
        ]
    found: t.List[Reason] = []
    for process in snapshot.tree:
        found += (
            _state(process, snapshot)
            + _traced(process, snapshot)
            + _identity(process, snapshot)
            + _nested(process, first)
        )
    found += _sessions(snapshot) + _shared_namespaces(snapshot, first) + _security(snapshot)
    return _once(found)


def _once(reasons: t.Sequence[Reason]) -> t.List[Reason]:
    """The first of each kind; a process pool has the same thing a hundred times."""
    found: t.Dict[str, Reason] = {}
    for item in reasons:
        if item["id"] in found:
            first = found[item["id"]]["evidence"]
            first["more"] = first.get("more", 0) + 1
        else:
            found[item["id"]] = item
    return list(found.values())


def _who(process: Process) -> str:
    return "process %d (%s)" % (process.pid, process.comm)


def _state(process: Process, snapshot: Snapshot) -> t.List[Reason]:
    evidence = {"pid": process.pid, "path": process.comm}
    zombies = [state for state in process.thread_states if state in "ZX"]
    if process.state == "Z" and process.threads > 1 or (zombies and process.threads > 1):
        return [
            reason(
                "zombie-threads",
                ERROR,
                (CHECKPOINT,),
                "%s: its first thread has ended, others live on" % _who(process),
                "restart the program",
                error="Zombies with threads are not supported",
                **evidence,
            )
        ]
    stopped = [state for state in process.thread_states if state in "T"]
    if stopped and len(stopped) < len(process.thread_states):
        return [
            reason(
                "thread-stopped",
                ERROR,
                (CHECKPOINT,),
                "%s: some of its threads are stopped and others not" % _who(process),
                "let it go on (SIGCONT), or detach the debugger",
                error="Individually stopped threads not supported",
                **evidence,
            )
        ]
    if process.state == "T" and not process.tracer and snapshot.host.cgroup_version == 1:
        return [
            reason(
                "stopped-process",
                ERROR,
                (CHECKPOINT,),
                "%s is stopped (SIGSTOP), and with cgroup version 1 CRIU waits for it until the time-out"
                % _who(process),
                "let it go on (SIGCONT), or end it; afterwards look whether the container was left paused",
                error="context deadline exceeded",
                **evidence,
            )
        ]
    if process.state == "D" or "D" in process.thread_states:
        return [
            reason(
                "uninterruptible",
                WARNING,
                (CHECKPOINT,),
                "%s waits uninterruptibly, mostly for a disk or NFS" % _who(process),
                "try again; repair the storage; 'timeout 60' in /etc/criu/runc.conf (role criu)",
                error="Unable to freeze cgroup",
                criu_option="timeout",
                transient=True,
                **evidence,
            )
        ]
    return []


def _traced(process: Process, snapshot: Snapshot) -> t.List[Reason]:
    if not process.tracer:
        return []
    return [
        reason(
            "traced",
            ERROR,
            (CHECKPOINT,),
            "%s is traced by process %d (a debugger or strace), and CRIU must trace it itself"
            % (_who(process), process.tracer),
            "detach the tracer",
            error="Operation not permitted",
            pid=process.pid,
            tracer=process.tracer,
        )
    ]


def _identity(process: Process, snapshot: Snapshot) -> t.List[Reason]:
    """Reading another user's limits needs CAP_SYS_RESOURCE, which a node has unless it is a container itself."""
    if snapshot.host.capabilities & _SYS_RESOURCE or process.state == "Z":
        return []
    if not any(process.uids[:3]) and not any(process.gids[:3]):
        return []
    return [
        reason(
            "rlimit-denied",
            ERROR,
            (CHECKPOINT,),
            "%s does not run as root (uid %d, gid %d), and this node itself lacks CAP_SYS_RESOURCE"
            % (_who(process), process.uids[0], process.gids[0]),
            "run on a node with full root rights",
            error="Can't get rlimit 0: Operation not permitted",
            pid=process.pid,
            uid=process.uids[0],
        )
    ]


def _nested(process: Process, first: Process) -> t.List[Reason]:
    for kind, number in process.namespaces.items():
        if kind in _NESTABLE or kind not in first.namespaces or number == first.namespaces[kind]:
            continue
        if process.state == "Z":
            continue
        return [
            reason(
                "nested-namespace",
                ERROR,
                (CHECKPOINT,),
                "%s has a %s namespace of its own inside the container" % (_who(process), _NAMES.get(kind, kind)),
                "not possible with containers or sandboxes inside the container",
                error="Can't dump nested %s namespace" % kind,
                pid=process.pid,
                namespace=kind,
            )
        ]
    return []


def _sessions(snapshot: Snapshot) -> t.List[Reason]:
    """Processes that somebody started in the container from outside (kubectl exec, exec probes)."""
    found = []
    for process in snapshot.tree:
        if process.sid_in_ns == 0 and process.state != "Z":
            found.append(
                reason(
                    "outside-session",
                    ERROR,
                    (CHECKPOINT,),
                    "%s belongs to a session that was started outside the container" % _who(process),
                    "end it, or no hostPID and no shareProcessNamespace",
                    error="is outside of its pid namespace",
                    pid=process.pid,
                )
            )
    joined = [process for process in snapshot.processes if not process.in_tree and process.state != "Z"]
    terminal = [process for process in joined if process.tty]
    if terminal:
        found.append(
            reason(
                "exec-terminal",
                INFO,
                (CHECKPOINT,),
                "somebody is in the container with a terminal (%s)" % _who(terminal[0]),
                "end such sessions; they are not part of the checkpoint",
                transient=True,
                pid=terminal[0].pid,
            )
        )
    elif joined:
        found.append(
            reason(
                "exec-session",
                INFO,
                (CHECKPOINT,),
                "%s was started in the container from outside (kubectl exec or an exec probe)" % _who(joined[0]),
                "it is frozen for a moment and is not part of the checkpoint",
                transient=True,
                pid=joined[0].pid,
            )
        )
    return found


def _shared_namespaces(snapshot: Snapshot, first: Process) -> t.List[Reason]:
    host = snapshot.host.namespaces
    shared = {kind for kind, number in first.namespaces.items() if host.get(kind) == number}
    found = []
    if "pid" in shared:
        found.append(
            reason(
                "host-pid",
                ERROR,
                (RESTORE,),
                "the container uses the node's process numbers (hostPID); a restore needs the very same numbers to be"
                " free",
                "no hostPID",
                error="Pid … do not match expected",
                pid=first.pid,
            )
        )
    elif first.ns_pid != 1:
        found.append(
            reason(
                "shared-pid-namespace",
                WARNING,
                (RESTORE,),
                "the pod shares one process namespace among its containers (shareProcessNamespace); in the new one the"
                " same process numbers must be free",
                "no shareProcessNamespace",
                error="Pid … do not match expected",
                pid=first.pid,
            )
        )
    if "net" in shared:
        found.append(
            reason(
                "host-network",
                WARNING,
                (RESTORE,),
                "the container uses the node's network (hostNetwork): its ports must be free on the target, and"
                " connections of the node itself are locked while it is checkpointed",
                "no hostNetwork",
                error="Can't bind inet socket",
                pid=first.pid,
            )
        )
    if "ipc" in shared and any(
        entry.path.startswith("/SYSV") for process in snapshot.tree for entry in process.mappings
    ):
        found.append(
            reason(
                "sysv-shm-of-host",
                ERROR,
                (CHECKPOINT,),
                "the program uses System V shared memory in the node's own IPC namespace (hostIPC)",
                "no hostIPC",
                error="doesn't live in IPC ns",
                pid=first.pid,
            )
        )
    elif any(entry.path.startswith("/SYSV") for process in snapshot.tree for entry in process.mappings):
        found.append(
            reason(
                "sysv-shm",
                INFO,
                (RESTORE,),
                "the program uses System V shared memory, which the restored container has for itself: it is no longer"
                " shared with the pod's other containers",
                "nothing if only this container uses it",
                pid=first.pid,
            )
        )
    if "user" in first.namespaces and first.namespaces.get("user") != host.get("user") and host:
        found.append(
            reason(
                "user-namespace",
                WARNING,
                (RESTORE,),
                "the container has a user namespace (hostUsers: false), whose id mapping must be the same where it is"
                " restored",
                "hostUsers: true for pods that are to be restored elsewhere",
                pid=first.pid,
            )
        )
    return found


def _security(snapshot: Snapshot) -> t.List[Reason]:
    found = []
    profiles = sorted({process.lsm for process in snapshot.tree if process.lsm not in ("", "unconfined")})
    if profiles and snapshot.host.lsm:
        found.append(
            reason(
                "lsm-profile",
                INFO,
                (RESTORE,),
                "the container runs under the %s profile %s, which the target needs, too"
                % (snapshot.host.lsm, profiles[0]),
                "load the same profile on the target",
                error="can't write lsm profile",
                profile=profiles[0],
            )
        )
    strict = [process for process in snapshot.tree if process.seccomp == _STRICT]
    if strict:
        found.append(
            reason(
                "seccomp-strict",
                WARNING,
                (CHECKPOINT,),
                "%s is in seccomp's strict mode" % _who(strict[0]),
                "none; CRIU suspends seccomp while it works",
                error="suspending seccomp failed",
                pid=strict[0].pid,
            )
        )
    return found
