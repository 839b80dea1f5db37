# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would a restored process hold more than its new container grants? Pure comparison, no effects.

PRIVATE to the collection. Standard library only and no Ansible, because the restore handler runs it too.
CRIU gives a process back what it held when it was dumped, whatever the new container's security context
says (the class of CVE-2026-95837 and CVE-2026-92574). The grant comes from the OCI spec that the runtime
made for the new container, which is the truth about the pod's security context on this node.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._criu_tasks import Images, Task, Thread

# Numbers of linux/capability.h, in order.
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
    "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
# Numbers of asm-generic/resource.h, in order.
RLIMITS = (
    "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
).split()
SECCOMP_FILTER = 2

# What a difference can be accepted for, by whoever stages the restore (root on the node).
ACCEPTABLE = ("ids", "groups", "capabilities", "no_new_privs", "seccomp", "lsm", "rlimits")


@dataclass(frozen=True)
class Grant:
    """What the new container may hold. any_uid, any_gid: nothing says which, so every one is granted (with any_uid every
    group, too); non_root: every one but root's."""

    uid: int
    gid: int
    groups: t.FrozenSet[int]
    capabilities: t.Mapping[str, int]
    no_new_privs: bool
    seccomp: bool
    lsm: str
    lsm_profile: str
    user_namespace: bool
    hard_limits: t.Mapping[int, int] = field(default_factory=dict)
    any_uid: bool = False
    any_gid: bool = False
    non_root: bool = False


@dataclass(frozen=True)
class Excess:
    """One way in which a task of the checkpoint holds more than the grant."""

    id: str
    text: str


def capability_mask(names: t.Iterable[str]) -> int:
    """Bit mask of capability names, with or without the C(CAP_) prefix; unknown names count for nothing."""
    mask = 0
    for name in names:
        plain = name.upper()
        plain = plain[4:] if plain.startswith("CAP_") else plain
        if plain in CAPABILITIES:
            mask |= 1 << CAPABILITIES.index(plain)
    return mask


def capability_names(mask: int) -> t.List[str]:
    """Names of the capabilities in a bit mask; bits without a name as their number."""
    return [CAPABILITIES[bit] if bit < len(CAPABILITIES) else str(bit) for bit in range(64) if mask >> bit & 1]


def grant_from_spec(spec: t.Mapping[str, t.Any], lsm: str = "", inherited_limits: t.Optional[t.Mapping[int, int]] = None) -> Grant:
    """What an OCI runtime spec grants.

    lsm: the security module of this node (V(selinux), V(apparmor) or nothing).
    inherited_limits: hard limits of the runtime itself, which a container inherits where its spec names none.
    """
    process = spec.get("process") or {}
    user = process.get("user") or {}
    declared = process.get("capabilities") or {}
    linux = spec.get("linux") or {}
    gid = int(user.get("gid", 0))
    limits = dict(inherited_limits or {})
    for limit in process.get("rlimits") or []:
        name = str(limit.get("type", "")).replace("RLIMIT_", "")
        if name in RLIMITS:
            limits[RLIMITS.index(name)] = int(limit.get("hard", 0))
    profile = {"apparmor": process.get("apparmorProfile"), "selinux": process.get("selinuxLabel")}.get(lsm)
    return Grant(
        uid=int(user.get("uid", 0)),
        gid=gid,
        groups=frozenset([gid] + [int(group) for group in user.get("additionalGids") or []]),
        capabilities={
            name: capability_mask(declared.get(name) or [])
            for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
        },
        no_new_privs=bool(process.get("noNewPrivileges")),
        seccomp=bool(linux.get("seccomp")),
        lsm=lsm,
        lsm_profile=profile or "",
        user_namespace=any(
            namespace.get("type") == "user" for namespace in linux.get("namespaces") or [] if isinstance(namespace, dict)
        ),
        hard_limits=limits,
    )


def excesses(images: Images, grant: Grant) -> t.List[Excess]:
    """Every kind of privilege that some task of the checkpoint holds above the grant, each reported once."""
    found: t.Dict[str, Excess] = {}

    def report(kind: str, task: Task, text: str) -> None:
        found.setdefault(kind, Excess(kind, "process %d (%s) %s" % (task.pid, _printable(task.comm), text)))

    if images.user_namespace or grant.user_namespace:
        found["user_namespace"] = Excess(
            "user_namespace",
            "%s uses a user namespace, whose id mapping a restore cannot change"
            % ("the checkpoint" if images.user_namespace else "the new container"),
        )
    for task in images.tasks:
        _compare_limits(task, grant, report)
        for thread in task.threads:
            _compare_ids(task, thread, grant, report)
            _compare_capabilities(task, thread, grant, report)
            if grant.no_new_privs and not thread.no_new_privs:
                report("no_new_privs", task, "may gain privileges, which the new container forbids (no_new_privs)")
            if grant.seccomp and thread.seccomp_mode != SECCOMP_FILTER:
                report("seccomp", task, "has no seccomp filter, the new container has one")
            if grant.lsm_profile and thread.lsm_profile != grant.lsm_profile:
                report("lsm", task, "has the %s profile %r, the new container %r"
                       % (grant.lsm, _printable(thread.lsm_profile), grant.lsm_profile))
    return list(found.values())


_Report = t.Callable[[str, Task, str], None]


def _compare_ids(task: Task, thread: Thread, grant: Grant, report: _Report) -> None:
    # Whoever may use setuid or setgid can take any id; then an id is no more than the grant.
    bounding = grant.capabilities["bounding"]
    may_setuid = grant.uid == 0 and bounding & capability_mask(["SETUID"])
    may_setgid = grant.uid == 0 and bounding & capability_mask(["SETGID"])
    if grant.non_root and 0 in thread.uids:
        report("ids", task, "runs as root, which the new container forbids (runAsNonRoot)")
    if not (grant.any_uid or may_setuid) and thread.uids - {grant.uid}:
        report("ids", task, "has the user ids %s, the new container only %d" % (_listed(thread.uids), grant.uid))
    if not may_setgid and not grant.any_uid:
        own = thread.gids if grant.any_gid else frozenset([grant.gid])
        if thread.gids - own:
            report("ids", task, "has the group ids %s, the new container only %d" % (_listed(thread.gids), grant.gid))
        if thread.groups - grant.groups - own:
            report("groups", task, "is in the groups %s, the new container only in %s"
                   % (_listed(thread.groups), _listed(grant.groups | own)))


def _compare_capabilities(task: Task, thread: Thread, grant: Grant, report: _Report) -> None:
    bounding = grant.capabilities["bounding"]
    # A process without root's id holds what the spec gives it; an exec of a set-uid program can reach the
    # bounding set, unless no_new_privs is set.
    reachable = grant.capabilities["permitted"] | (0 if grant.no_new_privs else bounding)
    allowed = {
        "bounding": bounding,
        "inheritable": bounding,
        "permitted": reachable,
        "effective": reachable,
        "ambient": grant.capabilities["permitted"],
    }
    for name, mask in allowed.items():
        above = thread.capabilities.get(name, 0) & ~mask
        if above:
            report("capabilities", task, "holds %s in its %s set, which the new container does not grant"
                   % (", ".join(capability_names(above)), name))


def _compare_limits(task: Task, grant: Grant, report: _Report) -> None:
    for number, hard in grant.hard_limits.items():
        if task.hard_limits.get(number, 0) > hard:
            name = RLIMITS[number] if number < len(RLIMITS) else str(number)
            report("rlimits", task, "has a hard limit of %d for %s, the new container %d"
                   % (task.hard_limits[number], name, hard))


def seccomp_differs(source: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any]) -> bool:
    """Whether the new container has a seccomp profile other than the one the checkpoint ran under."""
    wanted = (target.get("linux") or {}).get("seccomp")
    return bool(wanted) and wanted != (source.get("linux") or {}).get("seccomp")


def _listed(ids: t.Iterable[int]) -> str:
    return ", ".join(str(item) for item in sorted(ids)) or "none"


def _printable(value: str) -> str:
    return "".join(char if char.isprintable() and ord(char) < 0xD800 else "?" for char in value)[:64]
