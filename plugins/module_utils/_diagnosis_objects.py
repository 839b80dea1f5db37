# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis table, third part: single objects that CRIU meets in a process (sockets, files, watches, threads), and
registries.

PRIVATE to the collection. Data only; C(_diagnosis) searches it. Sources of the form C(file) are of CRIU 4.2;
C(workload NAME) was seen
with the test workload of that name.
"""

from __future__ import annotations

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis_row import CONTEXT, Row

DUMP = ("dump",)
RESTORE = ("restore",)
REGISTRY = ("registry",)

_DISTRIBUTION = "OCI distribution specification"

ROWS = (
    # -- sockets -----------------------------------------------------------------------------------------------------
    Row(
        "unix-peer-elsewhere",
        DUMP,
        ("Unix socket … without peer",),
        "a unix socket is connected to a process in the network namespace of another pod",
        "let the program close that connection before; no option of CRIU helps across pods",
        "sk-unix.c",
    ),
    Row(
        "unix-unreachable-peer",
        DUMP,
        ("Unix socket … with unreachable peer",),
        "a unix socket sends to one that has no name and does not know it",
        "let the program close it before",
        "sk-unix.c",
    ),
    Row(
        "unix-foreign",
        DUMP,
        ("Unix socket … not found",),
        "a unix socket was made in another network namespace and handed to the program",
        "let the program close it before",
        "sk-unix.c",
    ),
    Row(
        "unix-nameless",
        DUMP,
        ("Can't dump name-less external socket",),
        "a unix datagram socket of another container has no name by which it could be found again",
        "close the connection before",
        "sk-unix.c",
    ),
    Row(
        "unix-name",
        DUMP,
        ("Can't resolve name for socket",),
        "a unix socket was bound to a relative path whose directory cannot be told any more",
        "bind it to an absolute path",
        "sk-unix.c",
    ),
    Row(
        "socket-family",
        DUMP,
        ("Unknown socket collected (family",),
        "a socket of a family that CRIU does not know (AF_ALG, vsock, Bluetooth, …)",
        "not possible with this program, unless it can do without that socket",
        "sockets.c; workload alg",
    ),
    Row(
        "udp-corked",
        DUMP,
        ("Can't dump corked dgram socket",),
        "a datagram socket holds a message that is not finished (UDP_CORK)",
        "try again",
        "sk-inet.c",
        transient=True,
    ),
    Row(
        "netlink-unread",
        DUMP,
        ("The socket has data to read",),
        "a netlink socket holds messages that the program has not read yet",
        "try again when it has read them",
        "sk-netlink.c; workload netlink-unread",
        transient=True,
    ),
    Row(
        "netlink-groups",
        DUMP,
        ("is bound to groups but not to portid", "The netlink socket … has more than 32 groups"),
        "a netlink socket listens to groups in a way that CRIU cannot save",
        "not possible with this program",
        "sk-netlink.c",
    ),
    Row(
        "packet-membership",
        DUMP,
        ("Multiple MC membership not supported", "Unknown mc membership type"),
        "a packet socket listens to several multicast addresses",
        "not possible with this program",
        "sk-packet.c",
    ),
    # -- files -------------------------------------------------------------------------------------------------------
    Row(
        "secret-memory",
        DUMP,
        ("Unknown shit … (/secretmem",),
        "the program has secret memory (memfd_secret), which nobody but itself can read",
        "switch off in the program what needs it",
        "proc_parse.c; workload secretmem",
    ),
    Row(
        "unknown-mapping",
        DUMP,
        ("Unknown shit",),
        "the program has memory of a kind that CRIU does not know, as that of a device",
        "switch off in the program what needs it",
        "proc_parse.c",
    ),
    Row(
        "link-remap",
        DUMP,
        ("Can't create link remap for",),
        "a file was deleted or replaced while it is open, and still exists under another name or in the image",
        "put 'link-remap' into /etc/criu/runc.conf (role criu, criu_link_remap: true), or restart the program",
        "files-reg.c; workload replaced-file",
    ),
    Row(
        "file-replaced",
        DUMP,
        ("Unaccessible path opened",),
        "another file has the name of one that is open",
        "restart the program, so that it opens the new one",
        "files-reg.c",
    ),
    Row(
        "watch-unresolved",
        DUMP,
        ("Can't dump that handle", "Can't find suitable path for handle"),
        "the program watches a file (inotify, fanotify) whose path cannot be told, as is usual in a container's own"
        " file system",
        "let the program poll instead of watch; 'irmap-scan-path PATH' with 'force-irmap' in /etc/criu/runc.conf may"
        " help",
        "https://github.com/checkpoint-restore/criu/issues/2854",
    ),
    Row(
        "watch-outside",
        DUMP,
        ("Unable to lookup a mount by dev",),
        "the program watches a file on a file system that is not mounted in the container",
        "end that watch before",
        "fsnotify.c",
    ),
    Row(
        "pidfd-outside",
        DUMP,
        ("is not a part of process tree", "PIDFD_THREAD flag is currently not supported"),
        "the program holds a pidfd of a process outside the container, or of a single thread",
        "close it before",
        "pidfd.c",
    ),
    Row(
        "epoll-escaped",
        DUMP,
        ("Escaped/closed fd descriptor",),
        "an epoll set still watches a file that the process has closed and another one has",
        "restart the program",
        "eventpoll.c",
    ),
    Row(
        "namespace-open",
        DUMP,
        ("No NS ID with kid",),
        "the program has a namespace open that is not one of its own",
        "close it before",
        "namespaces.c",
    ),
    # -- processes ---------------------------------------------------------------------------------------------------
    Row(
        "sysv-shm-of-host",
        DUMP,
        ("doesn't live in IPC ns",),
        "the program uses System V shared memory in the node's own IPC namespace (hostIPC)",
        "no hostIPC",
        "cr-dump.c; workload sysv-of-host",
    ),
    Row(
        "nested-namespace",
        DUMP,
        ("Can't dump nested …namespace", "Unable to dump more than one netns"),
        "a process of the container has a namespace of its own (a container or sandbox inside the container)",
        "not possible with such programs",
        "namespaces.c; workloads nested-*",
    ),
    Row(
        "traced",
        DUMP,
        ("Unable to interrupt task: … (Operation not permitted)",),
        "a process of the container is traced by a debugger or strace, and CRIU must trace it itself",
        "detach the tracer",
        "compel infect.c; workload traced",
    ),
    Row(
        "thread-stopped",
        DUMP,
        ("Individually stopped threads not supported",),
        "a debugger has stopped single threads",
        "detach it",
        "seize.c",
    ),
    Row(
        "zombie-thread",
        DUMP,
        ("Zombie thread not supported",),
        "a thread ended at the moment of the checkpoint",
        "try again",
        "seize.c",
        transient=True,
    ),
    Row(
        "process-ending",
        DUMP,
        ("zombie …found while seizing", "Unexpected exit code", "A root task is dead"),
        "a process of the container ended at the moment of the checkpoint",
        "try again",
        "seize.c",
        transient=True,
        depth=CONTEXT,
    ),
    Row(
        "dump-timeout",
        DUMP,
        ("Timeout reached. Try to interrupt",),
        "CRIU's time-out passed before all processes stood still: one of them is stopped (SIGSTOP; with cgroup version 1 CRIU waits for it), "
        "or waits for a disk or NFS",
        "let the stopped process go on (kill -CONT) or end it; repair the storage; where it is only slow, 'timeout 60' in /etc/criu/runc.conf "
        "(role criu, criu_timeout_seconds)",
        "seize.c, cr-dump.c; workload stopped-child",
        transient=True,
    ),
    Row(
        "root-elsewhere",
        DUMP,
        ("The root task has another root than mntns",),
        "the container's first process has changed its root directory",
        "not possible with this program",
        "mount.c",
    ),
    Row(
        "link-remap-lost",
        RESTORE,
        ("Can't link …link_remap.",),
        "a file that had been deleted and existed under another name was saved under a temporary name, which the"
        " archive lacks",
        "restart the program before the next checkpoint",
        "workload deleted-linked-remap",
    ),
    Row(
        "unix-external-gone",
        RESTORE,
        ("unix: Can't connect",),
        "a unix socket was connected to a process outside the container, which is not there any more",
        "let the other side run first, with the same socket; or close the connection before the checkpoint",
        "workload unix-neighbour-dgram-remap",
    ),
    Row(
        "mount-unmountable",
        RESTORE,
        ("A few mount points can't be mounted",),
        "mounts of the checkpointed container depend on each other in a way that cannot be made again",
        "the same volumes and mount propagation as the source; no mounts made inside the container",
        "mount.c",
    ),
    # -- registries --------------------------------------------------------------------------------------------------
    Row(
        "registry-denied",
        REGISTRY,
        ("requested access to the resource is denied", "insufficient_scope: authorization failed", "denied: "),
        "the registry does not let this user read or write that repository, or there is no such repository",
        "give the user the right, or create the repository; check the imagePullSecret of the pod",
        _DISTRIBUTION,
    ),
    Row(
        "registry-unauthorized",
        REGISTRY,
        ("no basic auth credentials", "authentication required"),
        "the registry wants credentials, and got none or wrong ones",
        "give user and password; for the node itself, hosts.toml or an imagePullSecret",
        _DISTRIBUTION,
        depth=CONTEXT,
    ),
    Row(
        "registry-ca",
        REGISTRY,
        ("x509: certificate signed by unknown authority", "certificate verify failed"),
        "the registry's certificate is not signed by a CA that is trusted here",
        "put the CA into the node's trust store (containerd 2.1 looks there only), or give ca_cert",
        "seen with containerd 2.1.9",
    ),
    Row(
        "registry-unknown-manifest",
        REGISTRY,
        ("manifest unknown", "MANIFEST_UNKNOWN", "name unknown", "NAME_UNKNOWN"),
        "the registry has no image of that name, tag or digest",
        "check the reference; a push that was cut off leaves none",
        _DISTRIBUTION,
    ),
    Row(
        "registry-blob-unknown",
        REGISTRY,
        ("blob upload unknown", "BLOB_UPLOAD_UNKNOWN", "blob unknown to registry", "BLOB_UNKNOWN"),
        "an upload was cut off or expired, or the registry lost a part of the image",
        "push again",
        _DISTRIBUTION,
        transient=True,
    ),
    Row(
        "registry-busy",
        REGISTRY,
        ("toomanyrequests", "TOOMANYREQUESTS", "429 Too Many Requests", "503 Service Unavailable"),
        "the registry is busy or limits requests",
        "try again later",
        _DISTRIBUTION,
        transient=True,
    ),
    Row(
        "registry-too-large",
        REGISTRY,
        ("413 Request Entity Too Large", "SIZE_INVALID"),
        "the registry, or a proxy before it, takes no layer as large as this archive",
        "raise its limit (nginx: client_max_body_size 0)",
        _DISTRIBUTION,
    ),
)
