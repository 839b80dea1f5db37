# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis table, first part: what the kubelet, containerd, CRI-O and the OCI runtimes say.

PRIVATE to the collection. Data only; C(_diagnosis) searches it.
"""

from __future__ import annotations

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis_row import (
    CONTEXT,
    WRAPPER,
    Row,
)

KUBELET = ("kubelet",)
CONTAINERD = ("containerd",)
CRIO = ("cri-o",)
RUNTIME = ("runtime",)

_SEEN = "seen with Kubernetes 1.36.2"
_CTRD_SEEN = "seen with containerd 2.1.9"
_CRIO_SEEN = "seen with CRI-O 1.36.3"
_CTRD_ISSUE = "https://github.com/containerd/containerd/issues/%d"
_CRIO_ISSUE = "https://github.com/cri-o/cri-o/issues/%d"

ROWS = (
    # -- kubelet -----------------------------------------------------------------------------------------------------
    Row(
        "kubelet-no-endpoint",
        KUBELET,
        ("404 page not found",),
        "the kubelet does not serve the checkpoint endpoint: the feature gate ContainerCheckpoint is off (the "
        "default before Kubernetes 1.30), or enableDebuggingHandlers is false",
        "set featureGates.ContainerCheckpoint: true (before 1.30) and enableDebuggingHandlers: true in the "
        "kubelet's configuration and restart the kubelet",
        _SEEN,
    ),
    Row(
        "kubelet-no-such-pod",
        KUBELET,
        ("pod does not exist",),
        "this kubelet has no pod of that namespace and name: wrong node, wrong name, or a static pod without its "
        "node suffix",
        "ask the API server for the pod's spec.nodeName and use the full pod name (names, not UIDs)",
        _SEEN,
    ),
    Row(
        "kubelet-no-such-container",
        KUBELET,
        ("container … does not exist",),
        "the pod has no container of that name in its spec",
        "take the name from the pod's spec.containers",
        _SEEN,
    ),
    Row(
        "kubelet-forbidden",
        KUBELET,
        ("Forbidden (user=…subresource(s)=[checkpoint]",),
        "the identity that called has no right to create nodes/checkpoint (API server certificates made by kubeadm "
        "since 1.36.1 and 1.35.5 have not, either)",
        "bind that user to a ClusterRole with apiGroups: [''], resources: [nodes/checkpoint], verbs: [create]; the "
        "kubelet remembers a refusal for about 30 s",
        _SEEN,
    ),
    Row(
        "kubelet-forbidden-proxy",
        KUBELET,
        ("Forbidden (user=…subresource(s)=[proxy]", "subresource(s)=[configz proxy]", "subresource(s)=[pods proxy]"),
        "the identity that called lacks nodes/proxy, or the finer right for this part of the kubelet",
        "before Kubernetes 1.30 checkpoints need create on nodes/proxy; for /pods and /configz grant get on "
        "nodes/pods or nodes/configz (1.33 and later)",
        _SEEN,
        depth=CONTEXT,
    ),
    Row(
        "kubelet-unauthorized",
        KUBELET,
        ("Unauthorized",),
        "the kubelet did not accept the token or the client certificate (expired, wrong CA, or token authentication "
        "is off)",
        "use a fresh token or certificate; for tokens the kubelet needs authentication.webhook.enabled: true",
        _SEEN,
        depth=CONTEXT,
    ),
    Row(
        "kubelet-bad-timeout",
        KUBELET,
        ("cannot parse value of timeout parameter", "CheckpointContainer requires the timeout value to be > 0"),
        "the timeout parameter is not a positive whole number of seconds",
        "give the timeout in whole seconds",
        _SEEN,
    ),
    Row(
        "kubelet-plain-http",
        KUBELET,
        ("Client sent an HTTP request to an HTTPS server",),
        "the kubelet was called with http instead of https",
        "use https",
        _SEEN,
    ),
    Row(
        "kubelet-not-running",
        KUBELET,
        ("checkpointing of … failed (container … not found)",),
        "the container does not run: it has not started yet, is between two restarts, or has ended",
        "wait until the container is running",
        _SEEN,
        transient=True,
    ),
    Row(
        "kubelet-deadline",
        KUBELET,
        ("DeadlineExceeded", "context deadline exceeded"),
        "the checkpoint took longer than the kubelet's runtimeRequestTimeout (2 minutes unless changed) or the "
        "given timeout: too much memory, too slow a disk. On containerd the container may have been left paused",
        "give a longer timeout (it can only lengthen); look whether the container is paused and resume it (ctr -n "
        "k8s.io tasks resume ID)",
        _SEEN,
    ),
    Row(
        "no-command",
        ("kubelet", "containerd", "cri-o"),
        ("no command specified",),
        "the runtime did not recognise the image as a checkpoint: its annotation is missing on the manifest, or "
        "this runtime's restore is off (CRI-O checkpoint_only) or gone (containerd 2.4)",
        "check that the manifest is an OCI one and carries org.criu.checkpoint.container.name (containerd) and "
        "io.kubernetes.cri-o.annotations.checkpoint.name (CRI-O); check the node's restore path with node_info",
        "https://github.com/kubernetes/kubernetes/issues/116744",
    ),
    Row(
        "image-pull",
        KUBELET,
        ("ErrImagePull", "Failed to pull image", "failed to pull and unpack image"),
        "the node could not pull the image",
        "check name, digest, registry, its CA and the pod's imagePullSecrets from that node",
        _SEEN,
        depth=CONTEXT,
    ),
    Row(
        "crash-again-and-again",
        KUBELET,
        ("Back-off restarting failed container", "back-off … restarting failed container"),
        "the container ends again and again; with a checkpoint image every restart restores the same checkpoint, so "
        "state goes back in time",
        "restartPolicy: Never for the restored pod; relax its probes and memory limit; return to the normal image "
        "afterwards",
        "seen with Kubernetes 1.36.2: a counter went from 473 back to 157",
        depth=WRAPPER,
    ),
    # -- containerd --------------------------------------------------------------------------------------------------
    Row(
        "containerd-too-old",
        CONTAINERD,
        ("method CheckpointContainer not implemented", "code = Unimplemented"),
        "the container runtime has no CheckpointContainer (containerd before 2.0, cri-dockerd)",
        "use containerd 2.0 or later, or CRI-O 1.25 or later",
        "containerd 1.7 source",
        until="containerd 2.0",
    ),
    Row(
        "containerd-criu-off",
        CONTAINERD,
        ("criu support is disabled by configuration",),
        "enable_criu is false in containerd's configuration",
        "set enable_criu = true in [plugins.'io.containerd.cri.v1.runtime'] and restart containerd",
        "containerd 2.3.4 source",
        since="containerd 2.2.7, 2.3.4",
    ),
    Row(
        "containerd-no-criu",
        CONTAINERD,
        ("criu binary not found in shim path or system PATH", "CRIU binary not found or too old (<31600)"),
        "containerd does not find criu, or finds one before 3.16",
        "install criu 3.16 or later where the PATH of containerd's service finds it",
        "containerd 2.0 and 2.3.4 source",
    ),
    Row(
        "containerd-old-criu",
        CONTAINERD,
        ("checkpoint/restore requires at least CRIU 31600",),
        "criu is older than 3.16",
        "install a newer criu",
        "containerd 2.3.4 source",
    ),
    Row(
        "containerd-restore-off",
        CONTAINERD,
        ("checkpoint restore via CreateContainer is disabled by configuration",),
        "restoring is switched off on this node, which is the default since containerd 2.2.7 and 2.3.4 "
        "(CVE-2026-95837)",
        "if you accept that whoever may create pods can run what a checkpoint image holds, with its privileges: set "
        "enable_experimental_restore_via_create = true in [plugins.'io.containerd.cri.v1.runtime'] (role "
        "container_runtime, container_runtime_restore: true) and restart containerd",
        "seen with containerd 2.3.4",
        since="containerd 2.2.7, 2.3.4",
        until="containerd 2.4.0",
    ),
    Row(
        "containerd-not-running",
        CONTAINERD,
        ("only CONTAINER_RUNNING containers can be checkpointed",),
        "the container is paused or has ended, or another checkpoint of it is being made",
        "one checkpoint of a container at a time; try again",
        "containerd source",
        transient=True,
    ),
    Row(
        "containerd-concurrent",
        CONTAINERD,
        ("cannot pause a paused container", "ctrd-checkpoint/status: no such file or directory"),
        "two checkpoints of one container at the same time",
        "one checkpoint of a container at a time; try again after some seconds",
        _CTRD_SEEN,
        transient=True,
    ),
    Row(
        "containerd-base-local",
        CONTAINERD,
        ("pull checkpoint base image…invalid port",),
        "the base image has no registry digest (it was built or imported on the source node), so the archive names "
        "none that could be pulled",
        "push the base image to a registry, run the source from there, and checkpoint again; or tag the local image "
        "with the name that the archive's rootfsImageRef gives",
        _CTRD_ISSUE % 12876,
    ),
    Row(
        "containerd-base-pull",
        CONTAINERD,
        ("failed to pull checkpoint base image", "pull checkpoint base image"),
        "containerd could not pull the base image that the archive names; it does so without the node's registry "
        "credentials and mirrors (2.1: even if the image is there)",
        "pull the base image by digest on the target node first (2.2 and later use it); for 2.1 the registry must "
        "be reachable by TLS with a CA of the system's trust store and without password",
        _CTRD_ISSUE % 12585,
    ),
    Row(
        "containerd-image-race",
        CONTAINERD,
        ('image "sha256:…": not found', "failed to resolve image…during checkpoint import"),
        "the image store did not know the base image by that name yet",
        "pull the base image by digest on the target node, then try again",
        _CTRD_ISSUE % 14096,
        transient=True,
    ),
    Row(
        "containerd-archive-links",
        CONTAINERD,
        (
            "refusing to restore checkpoint: …is not a regular file or directory",
            "found illegal string '..' in checkpoint archive",
        ),
        "the checkpoint image holds links, devices or names with '..'",
        "make the image again from an archive that verifies",
        "containerd 2.3.4 source",
        since="containerd 2.1.9, 2.2.5, 2.3.2",
    ),
    Row(
        "containerd-foreign-archive",
        CONTAINERD,
        ('failed to read "status.dump"',),
        "the checkpoint was made by CRI-O; containerd cannot restore it from an image",
        "restore on a CRI-O node",
        _CTRD_SEEN,
    ),
    Row(
        "containerd-wants-tls",
        CONTAINERD,
        ("http: server gave HTTP response to HTTPS client",),
        "the registry speaks plain HTTP; containerd's restore pulls the base image by HTTPS only and ignores certs.d",
        "serve the base image by TLS with a CA of the node's trust store",
        _CTRD_SEEN,
    ),
    # -- CRI-O -------------------------------------------------------------------------------------------------------
    Row(
        "crio-switched-off",
        CRIO,
        ("checkpoint/restore support not available",),
        "CRI-O has checkpoint and restore switched off, or found no criu when it started",
        "install criu; set [crio.checkpoint_restore] container_level_enabled (older: [crio.runtime] "
        "enable_criu_support = true); restart CRI-O",
        "CRI-O source",
    ),
    Row(
        "crio-runtime-without-criu",
        CRIO,
        ("configured runtime does not support checkpoint/restore",),
        "the OCI runtime is a crun built without CRIU",
        'set default_runtime = "runc" for CRI-O on this node',
        "CRI-O source",
    ),
    Row(
        "crio-mounts",
        CRIO,
        ("expects following bind mounts defined",),
        "the new pod lacks mounts that the checkpointed container had (the list is in the message)",
        "give the new pod the source's volumeMounts; keep automountServiceAccountToken as it was",
        _CRIO_SEEN,
    ),
    Row(
        "crio-rootfs-ref",
        CRIO,
        ("invalid RootfsImageRef",),
        "the archive names its base image in another engine's way: it was made by containerd or an old CRI-O",
        "restore on the engine that made it",
        "CRI-O source",
    ),
    Row(
        "crio-base-image",
        CRIO,
        ("image not known",),
        "the base image is not on the target node under the id that the archive names; CRI-O does not pull it",
        "pull the very same image (by digest, same platform) on the target node first",
        _CRIO_ISSUE % 7474,
    ),
    Row(
        "crio-foreign-archive",
        CRIO,
        ('failed to read "io.kubernetes.cri-o.Annotations"',),
        "the checkpoint was not made by CRI-O; CRI-O cannot restore it from an image",
        "restore on a node with the engine that made it",
        _CRIO_SEEN,
    ),
    Row(
        "crio-signature-policy",
        CRIO,
        ("signature validation is not supported for container restore",),
        "a signature policy is configured (for the namespace, or as signature_policy), and CRI-O then refuses every "
        "restore",
        "restore in a namespace without a policy, or remove signature_policy from CRI-O's configuration",
        _CRIO_SEEN,
    ),
    Row(
        "crio-mount-source",
        CRIO,
        ("the bind mount source…is missing. Please create",),
        "a host path that the container had mounted does not exist on the target node",
        "create it there, of the same kind",
        "CRI-O source",
    ),
    Row(
        "crio-busy",
        CRIO,
        ("kubelet may be retrying requests that are timing out in CRI-O",),
        "an earlier attempt still runs or holds the container's name",
        "wait; delete the pod; read restore.log",
        "CRI-O source",
        transient=True,
        depth=CONTEXT,
    ),
    Row(
        "crio-incomplete",
        CRIO,
        ("a complete checkpoint for this container cannot be found",),
        "the checkpoint image lacks parts of the archive",
        "make the image again from an archive that verifies",
        "CRI-O source",
    ),
    # -- OCI runtimes ------------------------------------------------------------------------------------------------
    Row(
        "criu-wrapper",
        RUNTIME,
        (
            "criu failed: type NOTIFY errno",
            "criu failed: type DUMP errno",
            "criu failed: type RESTORE errno",
            "CRIU checkpointing failed -52",
            "CRIU restoring failed",
        ),
        "CRIU failed; this line only passes that on",
        "read dump.log or restore.log: the first 'Error (' line that is not known to be harmless. containerd "
        "deletes restore.log; 'log-file' in /etc/criu/runc.conf keeps it (role criu, criu_log_dir: one for each operation)",
        "runc and crun source",
        depth=WRAPPER,
    ),
    Row(
        "runtime-no-criu",
        RUNTIME,
        ('CRIU version check failed: exec: "criu"', "CRIU version … must be … or higher"),
        "the OCI runtime does not find criu, or it is too old",
        "install criu where the runtime's PATH finds it",
        "runc source",
    ),
    Row(
        "runtime-criu-namespaces",
        RUNTIME,
        ("criu lacks support for external",),
        "criu is too old for external namespaces (network 3.11, pid 3.15)",
        "install a newer criu",
        "runc source",
    ),
    Row(
        "runtime-netns-gone",
        RUNTIME,
        ("Requested network namespace…does not exist",),
        "the pod's network namespace is gone",
        "create a new pod",
        "runc source",
    ),
    Row(
        "crun-without-criu",
        RUNTIME,
        ("unknown command checkpoint",),
        "crun was built without CRIU",
        'use runc (CRI-O: default_runtime = "runc"), or a crun that shows +CRIU',
        "crun source",
    ),
    Row(
        "crun-without-libcriu",
        RUNTIME,
        ("could not load `libcriu.so",),
        "crun supports CRIU but libcriu is not installed",
        "install the library (Debian: libcriu2)",
        "seen with crun 1.28",
    ),
    Row(
        "tty-mismatch",
        RUNTIME,
        ("sendmsg: bad file descriptor",),
        "the container had a terminal, the new pod has none",
        "give the new pod's container tty: true and stdin: true as the source had",
        _CTRD_SEEN,
    ),
    Row(
        "runtime-oom-score",
        RUNTIME,
        ("can't get final child's PID from pipe: EOF",),
        "runc may not lower oom_score_adj: the node itself lacks CAP_SYS_RESOURCE",
        "restrict_oom_score_adj = true for containerd on such a node",
        _CTRD_SEEN,
    ),
)
