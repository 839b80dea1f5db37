# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was found on a node to a verdict: can it checkpoint, can it restore, by which path, and if not why.

PRIVATE to the collection. Pure; C(_node_info) gathers the facts.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_versions as versions

ERROR, WARNING, INFO = "error", "warning", "info"
CHECKPOINT, RESTORE = "checkpoint", "restore"
BOTH = (CHECKPOINT, RESTORE)

Node = t.Mapping[str, t.Any]
Reason = t.Dict[str, t.Any]

_OPT_IN = {
    versions.CONTAINERD: "enable_experimental_restore_via_create = true in [plugins.'io.containerd.cri.v1.runtime']",
    versions.CRIO: 'container_level_enabled = "checkpoint_restore" in [crio.checkpoint_restore]',
}


def _reason(name: str, severity: str, affects: t.Sequence[str], text: str, remedy: str) -> Reason:
    return {"id": name, "severity": severity, "affects": list(affects), "text": text, "remedy": remedy}


def _engine(node: Node) -> t.List[Reason]:
    engine, version = node.get("engine"), versions.parse(node.get("engine_version"))
    if not engine:
        return [
            _reason(
                "no-engine",
                ERROR,
                BOTH,
                "neither containerd nor CRI-O is installed on this node",
                "install one (role container_runtime)",
            )
        ]
    found = []
    if not node.get("cri"):
        found.append(
            _reason(
                "cri-silent",
                WARNING,
                BOTH,
                "the container runtime could not be asked: %s" % (node.get("cri_why") or "crictl gave no answer"),
                "install cri-tools and see that the %s service runs; the verdict rests on what is installed" % engine,
            )
        )
    if versions.engine_checkpoints(engine, version) is False:
        wanted = "containerd 2.0" if engine == versions.CONTAINERD else "CRI-O 1.25"
        found.append(
            _reason(
                "engine-too-old",
                ERROR,
                (CHECKPOINT,),
                "%s %s cannot checkpoint containers" % (engine, node.get("engine_version")),
                "use %s or later" % wanted,
            )
        )
    elif versions.engine_checkpoints(engine, version) is None:
        found.append(
            _reason(
                "engine-unknown",
                WARNING,
                BOTH,
                "the version %r of %s is not known" % (node.get("engine_version"), engine),
                "this collection knows containerd and CRI-O only",
            )
        )
    config = node.get("config") or {}
    if not config:
        found.append(
            _reason(
                "config-unread",
                WARNING,
                BOTH,
                "the configuration of %s could not be read: %s" % (engine, node.get("config_why") or "it printed none"),
                "run this module as root",
            )
        )
    if config.get("enable_criu") is False or config.get("restore") == "none":
        found.append(
            _reason(
                "criu-switched-off",
                ERROR,
                BOTH,
                "%s's configuration switches CRIU off" % engine,
                "set enable_criu = true and restart containerd"
                if engine == versions.CONTAINERD
                else "set container_level_enabled (before CRI-O 1.34: enable_criu_support), see that criu is installed, and"
                " restart CRI-O, which looks for criu only when it starts",
            )
        )
    elif engine == versions.CRIO and config and version and version < (1, 30, 0) and not config.get("enable_criu"):
        found.append(
            _reason(
                "criu-not-switched-on",
                ERROR,
                BOTH,
                "before CRI-O 1.30 checkpoints are off unless switched on",
                "set enable_criu_support = true in [crio.runtime] and restart CRI-O",
            )
        )
    if engine == versions.CRIO and config and version and version < (1, 26, 0):
        if config.get("drop_infra_ctr") is not False:
            found.append(
                _reason(
                    "infra-container-dropped",
                    ERROR,
                    (CHECKPOINT,),
                    "CRI-O before 1.26 cannot checkpoint containers of pods without an infra container",
                    "drop_infra_ctr = false in [crio.runtime], or CRI-O 1.26 or later",
                )
            )
    return found


def _runtime(node: Node) -> t.List[Reason]:
    runtime = node.get("oci_runtime") or {}
    if not node.get("engine"):
        return []
    if not runtime.get("path"):
        return [
            _reason(
                "no-oci-runtime",
                ERROR,
                BOTH,
                "the OCI runtime %r is not installed" % (runtime.get("name") or "runc"),
                "install runc",
            )
        ]
    if runtime.get("criu") is False:
        return [
            _reason(
                "oci-runtime-without-criu",
                ERROR,
                BOTH,
                "%s cannot use CRIU: %s" % (runtime["path"], runtime.get("why") or "built without it"),
                'use runc (CRI-O: default_runtime = "runc" in a drop-in)',
            )
        ]
    config = node.get("config") or {}
    entry = (config.get("runtimes") or {}).get(config.get("default_runtime")) or {}
    if node.get("engine") == versions.CRIO and entry.get("type") == "pod":
        return [
            _reason(
                "conmon-rs",
                ERROR,
                BOTH,
                'CRI-O runs %s under conmon-rs (runtime_type = "pod"), with which nothing can be checkpointed'
                % config["default_runtime"],
                'runtime_type = "oci" and monitor_path of conmon for that runtime (role container_runtime)',
            )
        ]
    if runtime.get("name") == "crun":
        return [
            _reason(
                "crun",
                WARNING,
                (RESTORE,),
                "restoring with crun fails in several set-ups and is not tested here",
                'use runc on nodes that restore (CRI-O: default_runtime = "runc" in a drop-in)',
            )
        ]
    return []


def _criu(node: Node) -> t.List[Reason]:
    text = node.get("criu_version")
    if not text:
        return [_reason("no-criu", ERROR, BOTH, "criu is not installed", "install criu 3.16 or later (role criu)")]
    version, kernel = versions.parse(text), versions.parse(node.get("kernel"))
    found = []
    if version and version < versions.CRIU_MIN:
        found.append(
            _reason(
                "criu-too-old", ERROR, BOTH, "criu %s is older than 3.16" % text, "install a newer criu (role criu)"
            )
        )
    misfit = versions.kernel_needs(kernel, version)
    if misfit:
        found.append(
            _reason(
                "criu-older-than-kernel",
                ERROR,
                BOTH,
                "criu %s does not fit kernel %s: %s" % (text, node.get("kernel"), misfit),
                "install a newer criu",
            )
        )
    elif versions.kernel_unproven(kernel):
        found.append(
            _reason(
                "kernel-unproven",
                WARNING,
                BOTH,
                "no criu is known to work with kernel %s yet" % node.get("kernel"),
                "try it on a test node first, or use a kernel before 7.1",
            )
        )
    return found + _criu_check(node, kernel)


def _criu_check(node: Node, kernel: t.Optional[versions.Version]) -> t.List[Reason]:
    if not node.get("root"):
        return [
            _reason(
                "not-root",
                WARNING,
                BOTH,
                "criu was not tested, because this module does not run as root",
                "become: true",
            )
        ]
    check, found = node.get("criu_check") or {}, []
    if check.get("rc") not in (None, 0):
        found.append(
            _reason(
                "criu-check-fails",
                ERROR,
                BOTH,
                "'criu check' fails: %s" % (check.get("text") or "exit status %s" % check["rc"]),
                "see what it names: a missing kernel option, a missing privilege, or a criu too old for this kernel",
            )
        )
    features = node.get("criu_features") or {}
    lacking = sorted(name for name, there in features.items() if there is False and name != "get_rseq_conf")
    if lacking:
        found.append(
            _reason(
                "criu-lacks-feature",
                WARNING,
                BOTH,
                "'criu check --feature' says no to %s" % ", ".join(lacking),
                "network_lock_nftables and nftables need a criu built with libnftables; the others another kernel or criu",
            )
        )
    rseq = features.get("get_rseq_conf")
    if rseq is False or (rseq is None and versions.kernel_has_rseq_query(kernel) is False):
        found.append(
            _reason(
                "kernel-without-rseq",
                ERROR,
                (CHECKPOINT,),
                "kernel %s cannot tell CRIU about rseq, which every program with glibc 2.35 or later uses"
                % node.get("kernel"),
                "use kernel 5.13 or later, or a vendor's kernel with the backport, and criu 3.17 or later",
            )
        )
    options = node.get("criu_config")
    if options is not None and not {"tcp-close", "tcp-established"} & set(options):
        found.append(
            _reason(
                "tcp-not-closed",
                INFO,
                BOTH,
                "containers with established TCP connections cannot be checkpointed as this node is set up",
                "put tcp-close into /etc/criu/runc.conf (role criu)",
            )
        )
    helpers, lock = node.get("helpers") or {}, node.get("criu_network_lock")
    if helpers.get("tar") is False:
        found.append(
            _reason(
                "no-tar",
                WARNING,
                BOTH,
                "criu packs what is in a tmpfs, and every container has one, with tar, which is not installed",
                "install tar (role criu)",
            )
        )
    if helpers.get("iptables-restore") is False and (lock == "iptables" or "network-lock" not in set(options or [])):
        found.append(
            _reason(
                "no-network-lock",
                WARNING,
                BOTH,
                "criu locks the network with iptables-restore, which is not installed",
                "install iptables, or put 'network-lock nftables' into /etc/criu/runc.conf",
            )
        )
    return found


def _kernel(node: Node) -> t.List[Reason]:
    """By the kernel's number and configuration; where CRIU is there its own check outranks them."""
    found, options = [], node.get("kernel_options") or {}
    proven = (node.get("criu_check") or {}).get("rc") == 0
    kernel = versions.parse(node.get("kernel"))
    if not node.get("criu_version") and versions.kernel_has_rseq_query(kernel) is False:
        found.append(
            _reason(
                "kernel-old",
                ERROR,
                (CHECKPOINT,),
                "kernel %s is older than 5.13, and without criu a vendor's backport cannot be proven"
                % node.get("kernel"),
                "install criu to have it tested, or use kernel 5.13 or later (role kernel)",
            )
        )
    if options.get("missing"):
        text = "kernel %s was built without CONFIG_%s (%s)" % (
            node.get("kernel"),
            ", CONFIG_".join(options["missing"]),
            options.get("source"),
        )
        severity = INFO if proven else ERROR
        found.append(
            _reason("kernel-lacks-options", severity, BOTH, text, "use the distribution's kernel (role kernel)")
        )
    if options.get("missing_wanted"):
        text = "kernel %s was built without CONFIG_%s: processes that use this cannot be checkpointed" % (
            node.get("kernel"),
            ", CONFIG_".join(options["missing_wanted"]),
        )
        found.append(_reason("kernel-lacks-some", INFO, BOTH, text, "use the distribution's kernel if you need it"))
    return found


def _kubelet(node: Node) -> t.List[Reason]:
    found = []
    if node.get("kubelet_why"):
        found.append(
            _reason(
                "kubelet-silent",
                WARNING,
                (CHECKPOINT,),
                "the kubelet did not tell its configuration: %s" % node["kubelet_why"],
                "see that the kubelet runs and that the credential may get nodes/configz",
            )
        )
    version = versions.parse(node.get("kubelet_version"))
    if (
        versions.kubelet_serves_checkpoints(version, node.get("kubelet_gate")) is False
        or node.get("debugging_handlers") is False
    ):
        found.append(
            _reason(
                "kubelet-gate",
                ERROR,
                (CHECKPOINT,),
                "the kubelet does not serve checkpoints (gate ContainerCheckpoint or enableDebuggingHandlers is off)",
                "featureGates: {ContainerCheckpoint: true} and enableDebuggingHandlers: true in the kubelet's "
                "configuration, then restart it",
            )
        )
    free, wanted = node.get("free_bytes"), node.get("wanted_free_bytes") or 0
    if free is not None and free < wanted:
        found.append(
            _reason(
                "little-space",
                WARNING,
                (CHECKPOINT,),
                "%s has %d MiB free, less than %d MiB" % (node.get("checkpoint_dir"), free >> 20, wanted >> 20),
                "remove old archives; a checkpoint needs about three times the container's memory while it is made",
            )
        )
    return found


def image_path(
    engine: t.Optional[str], version_text: t.Optional[str], config: t.Optional[t.Mapping[str, t.Any]]
) -> t.Dict[str, t.Any]:
    """The restore path 'image' of an engine: {name, available, enabled (None: cannot be told), why, remedy}.

    config: what C(_node_info_config) read, None when it is not known (C(pod_restore) knows only the version).
    """
    how = versions.engine_restores(engine or "", versions.parse(version_text))
    label = "%s %s" % (engine, version_text or "")
    path = {"name": "image", "available": False, "enabled": False, "why": "", "remedy": ""}
    if how is None:
        why = (
            "%s is not known to restore checkpoint images" % label.strip()
            if engine
            else "there is no container runtime"
        )
        return dict(path, why=why, remedy="containerd 2.1 to 2.3 or CRI-O 1.26 or later")
    if how in (versions.NEVER, versions.REMOVED):
        why = "%s cannot restore from a checkpoint image: %s" % (
            label,
            "not yet built there" if how == versions.NEVER else "removed in 2.4",
        )
        return dict(path, why=why, remedy="containerd 2.1 to 2.3, or the restore handler")
    path["available"] = True
    switch = (config or {}).get("restore")
    if config is None:
        unset = None if how == versions.OFF_UNLESS_SET else True
        why = "%s restores checkpoint images%s" % (
            label,
            " if it is switched on, which it is not by default" if unset is None else "",
        )
        return dict(path, enabled=unset, why=why, remedy="" if unset else _OPT_IN[engine or ""])
    blocked = config.get("signature_policy")
    if engine == versions.CRIO and blocked:
        why = "signature_policy (%s) is set, and CRI-O then refuses every restore" % blocked
        return dict(path, why=why, remedy="remove signature_policy from [crio.image]")
    enabled = switch in (True, "checkpoint_restore") or (switch is None and how == versions.ALWAYS)
    if config.get("enable_criu") is False:
        return dict(path, why="CRIU is switched off in the configuration of %s" % label, remedy="enable_criu = true")
    if enabled:
        return dict(path, enabled=True, why="%s restores checkpoint images, and it is on" % label)
    return dict(
        path,
        why="restoring is switched off in the configuration of %s" % label,
        remedy=_OPT_IN[engine or ""] + ", then restart the service",
    )


def handler_path(node: Node) -> t.Dict[str, t.Any]:
    """The restore path 'handler': {name, available (installed), enabled (passing), why, remedy}."""
    handler = node.get("restore_handler") or {}
    path = {"name": "handler", "available": bool(handler.get("installed")), "enabled": False, "why": "", "remedy": ""}
    if not handler.get("installed"):
        return dict(
            path, why="the restore handler is not configured in the container runtime", remedy="role restore_handler"
        )
    if not handler.get("passing"):
        return dict(
            path,
            why="the restore handler does not pass: %s" % handler.get("why"),
            remedy="run the role restore_handler again",
        )
    return dict(
        path, enabled=True, why="the restore handler is installed as runtime %r and passes" % handler.get("runtime")
    )


def _weaknesses(node: Node, restore_on: bool) -> t.List[Reason]:
    engine, version = node.get("engine") or "", versions.parse(node.get("engine_version"))
    found = [
        _reason(cve.id.lower(), WARNING, (RESTORE,), "%s: %s" % (cve.id, cve.text), "fixed in %s" % cve.fixed_in)
        for cve in versions.cves(engine, version, restore_on)
    ]
    if restore_on:
        found.append(
            _reason(
                "restore-is-on",
                INFO,
                (RESTORE,),
                "whoever may create pods for this node can start processes with the privileges that a checkpoint holds",
                "restrict who may create pods and which images they may name; switch restoring off where it is not "
                "needed",
            )
        )
    return found


def _verdict(reasons: t.Sequence[Reason], what: str) -> str:
    mine = [reason for reason in reasons if what in reason["affects"]]
    if any(reason["severity"] == ERROR for reason in mine):
        return "no"
    if any(reason["id"] in ("not-root", "engine-unknown", "config-unread") for reason in mine):
        return "unknown"
    return "risky" if any(reason["severity"] == WARNING for reason in mine) else "yes"


def assess(node: Node) -> t.Dict[str, t.Any]:
    """{verdict{checkpoint, restore}, restore_paths[], reasons[]} for the facts of one node."""
    # Facts that were gathered before parts could be left out name no subset: all of it then.
    subset = node.get("subset") or ("engine", "criu", "kernel", "kubelet")
    paths: t.List[t.Dict[str, t.Any]] = []
    reasons: t.List[Reason] = []
    if "engine" in subset:
        paths = [image_path(node.get("engine"), node.get("engine_version"), node.get("config")), handler_path(node)]
        reasons += _engine(node) + _runtime(node)
    if "criu" in subset:
        reasons += _criu(node)
    if "kernel" in subset:
        reasons += _kernel(node)
    if "kubelet" in subset:
        reasons += _kubelet(node)
    if paths and not any(path["available"] and path["enabled"] is not False for path in paths):
        text = "no restore path: " + "; ".join("%s: %s" % (path["name"], path["why"]) for path in paths)
        remedies = [path["remedy"] for path in paths if path["remedy"]]
        reasons.append(_reason("no-restore-path", ERROR, (RESTORE,), text, ", or ".join(remedies)))
    if paths:
        reasons += _weaknesses(node, restore_on=paths[0]["enabled"] is True)
    return {
        "verdict": {what: _verdict(reasons, what) for what in BOTH},
        "restore_paths": paths,
        "reasons": reasons,
    }
