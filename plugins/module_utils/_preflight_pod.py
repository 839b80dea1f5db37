# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Pod's spec and its mounts say: volumes, probes, other containers, terminal. Pure.

PRIVATE to the collection. Works without the Pod's object, too: then only what the mounts' sources say is known.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    CHECKPOINT,
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Reason,
    Snapshot,
    Volume,
    reason,
)

# .../pods/UID/volumes/kubernetes.io~empty-dir/NAME and .../volume-subpaths/NAME/CONTAINER/N
_PLUGIN = re.compile(r"/pods/[^/]+/volumes/kubernetes\.io~([a-z0-9-]+)/([^/]+)")
_SUBPATH = re.compile(r"/pods/[^/]+/volume-subpaths/([^/]+)/")
_OWN = re.compile(r"/(?:etc-hosts|containers/[^/]+/[0-9a-f]+|hostname|resolv\.conf|hosts|termination[^/]*)$")
_KINDS = {
    "empty-dir": "emptyDir",
    "projected": "projected",
    "configmap": "configMap",
    "secret": "secret",
    "downward-api": "downwardAPI",
    "csi": "csi",
    "nfs": "nfs",
    "local-volume": "local",
    "host-path": "hostPath",
}
_SHM = "/dev/shm"
_GPU = ("nvidia.com/", "amd.com/gpu", "gpu.intel.com/", "rdma/")


def volumes(spec: t.Mapping[str, t.Any], pod: t.Optional[t.Mapping[str, t.Any]], container: str) -> t.List[Volume]:
    """The bind mounts of an OCI spec, named by the Pod where it is known. Nobody has looked into them yet."""
    declared = _declared(pod, container)
    found = []
    for mount in spec.get("mounts") or []:
        if (
            mount.get("type") != "bind"
            and "rbind" not in (mount.get("options") or [])
            and "bind" not in (mount.get("options") or [])
        ):
            continue
        point, source = str(mount.get("destination") or ""), str(mount.get("source") or "")
        options = mount.get("options") or []
        name, kind, sub = _kind(point, source)
        modes: t.Tuple[str, ...] = ()
        if point in declared:
            name, given, sub, modes = declared[point]
            kind = given or kind
        found.append(
            Volume(
                name=name or point,
                kind=kind,
                path=point,
                source=source,
                read_only="ro" in options,
                sub_path=sub,
                access_modes=modes,
                propagation=next((word for word in options if word.endswith(("shared", "slave"))), ""),
            )
        )
    return found


def _kind(point: str, source: str) -> t.Tuple[str, str, bool]:
    match = _PLUGIN.search(source)
    if match:
        return match.group(2), _KINDS.get(match.group(1), match.group(1)), False
    match = _SUBPATH.search(source)
    if match:
        return match.group(1), "unknown", True
    if point == _SHM:
        return "dev-shm", "shm", False
    if _OWN.search(source) or point in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"):
        return point, "pod", False
    return point, "hostPath", False


def _declared(
    pod: t.Optional[t.Mapping[str, t.Any]], container: str
) -> t.Dict[str, t.Tuple[str, str, bool, t.Tuple[str, ...]]]:
    """Mount point to (volume's name, kind, sub path, access modes) as the Pod has them."""
    spec = (pod or {}).get("spec") or {}
    kinds = {}
    for volume in spec.get("volumes") or []:
        kind = next((key for key in volume if key != "name"), "")
        modes: t.Tuple[str, ...] = ()
        if kind == "ephemeral":
            template = ((volume[kind] or {}).get("volumeClaimTemplate") or {}).get("spec") or {}
            kind, modes = "persistentVolumeClaim", tuple(template.get("accessModes") or ())
        kinds[volume.get("name")] = (kind, modes)
    found = {}
    for mount in (_container(pod, container).get("volumeMounts")) or []:
        kind, modes = kinds.get(mount.get("name"), ("", ()))
        sub = bool(mount.get("subPath") or mount.get("subPathExpr"))
        found[str(mount.get("mountPath") or "").rstrip("/")] = (str(mount.get("name")), kind, sub, modes)
    return found


def _container(pod: t.Optional[t.Mapping[str, t.Any]], name: str) -> t.Mapping[str, t.Any]:
    spec = (pod or {}).get("spec") or {}
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for entry in spec.get(kind) or []:
            if entry.get("name") == name:
                return entry
    return {}


_PROBES = ("livenessProbe", "startupProbe", "readinessProbe")
_CONTAINER_FIELDS = ("name", "restartPolicy", "volumeMounts", "volumeDevices", "resources")
_PROBE_FIELDS = ("periodSeconds", "failureThreshold", "timeoutSeconds")


def outline(pod: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What is read here of a Pod, and nothing that may be secret (environment, arguments, headers, volumes' options):
    what Ansible hands to a module, it may also log."""
    given, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    found: t.Dict[str, t.Any] = {"volumes": [_volume_outline(volume) for volume in spec.get("volumes") or []]}
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        if spec.get(kind):
            found[kind] = [_container_outline(entry) for entry in spec[kind]]
    return {"metadata": {key: given[key] for key in ("namespace", "name", "uid") if key in given}, "spec": found}


def _volume_outline(volume: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    kind = next((key for key in volume if key != "name"), "")
    template = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec") or {}
    kept = {"volumeClaimTemplate": {"spec": {"accessModes": template.get("accessModes") or []}}} if template else {}
    return {"name": volume.get("name"), **({kind: kept} if kind else {})}


def _container_outline(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    found = {key: entry[key] for key in _CONTAINER_FIELDS if key in entry}
    for name in _PROBES:
        probe = entry.get(name)
        if probe:
            found[name] = {key: probe[key] for key in _PROBE_FIELDS if key in probe}
            # It is only asked whether there is a program, never which.
            found[name].update({"exec": {"command": []}} if probe.get("exec") else {})
    return found


def check(snapshot: Snapshot, estimated: t.Mapping[str, t.Any]) -> t.List[Reason]:
    """All that speaks against volumes, probes and the pod's shape."""
    found: t.List[Reason] = []
    for volume in snapshot.volumes:
        found += _volume(volume, snapshot)
    return (
        found
        + _terminal(snapshot)
        + _probes(snapshot, estimated["freeze_seconds"])
        + _others(snapshot)
        + _devices(snapshot)
    )


# -- volumes ---------------------------------------------------------------------------------------------------------


def _volume(volume: Volume, snapshot: Snapshot) -> t.List[Reason]:
    evidence: t.Dict[str, t.Any] = {"path": volume.path, "volume": volume.name}
    found: t.List[Reason] = []
    if volume.propagation and volume.kind != "pod":
        found += _propagation(volume, snapshot, evidence)
    if volume.kind == "emptyDir" and volume.files:
        found.append(
            reason(
                "emptydir-content",
                WARNING,
                (RESTORE,),
                "emptyDir volume %s holds %d files (%d KiB), which no checkpoint saves"
                % (volume.name, volume.files, (volume.used or 0) >> 10),
                "copy them into the new pod before it is restored, or use a claim",
                files=volume.files,
                bytes=volume.used,
                **evidence,
            )
        )
    elif volume.kind == "shm" and volume.files:
        found.append(
            reason(
                "shm-content",
                WARNING,
                (RESTORE,),
                "the pod's /dev/shm holds %d files, which no checkpoint saves" % volume.files,
                "let the program make them anew, or keep them elsewhere",
                files=volume.files,
                bytes=volume.used,
                **evidence,
            )
        )
    elif volume.kind == "persistentVolumeClaim":
        once = not volume.access_modes or any(mode.startswith("ReadWriteOnce") for mode in volume.access_modes)
        found.append(
            reason(
                "claim",
                INFO,
                (RESTORE,),
                "claim %s is not part of the checkpoint%s"
                % (volume.name, "; if it is ReadWriteOnce, the source must let go of it first" if once else ""),
                "restore with the same claim, and nobody may write to it in between",
                **evidence,
            )
        )
    elif volume.kind in ("hostPath", "local"):
        found.append(
            reason(
                "host-path",
                INFO,
                (RESTORE,),
                "%s comes from the node (%s) and is not part of the checkpoint" % (volume.path, volume.source),
                "the same path with the same content on the target",
                source=volume.source,
                **evidence,
            )
        )
    elif volume.kind == "projected":
        found.append(
            reason(
                "token",
                INFO,
                (RESTORE,),
                "the program may keep the old pod's token in memory (%s)" % volume.path,
                "it must read its token again; libraries of Kubernetes do so by themselves",
                **evidence,
            )
        )
    if volume.sub_path:
        found.append(
            reason(
                "sub-path",
                INFO,
                (RESTORE,),
                "%s is a sub path of volume %s, which must exist on the target" % (volume.path, volume.name),
                "create it there",
                **evidence,
            )
        )
    return found


def _propagation(volume: Volume, snapshot: Snapshot, evidence: t.Dict[str, t.Any]) -> t.List[Reason]:
    mount = next((entry for entry in snapshot.mounts if entry.point == volume.path.rstrip("/")), None)
    if mount is None or not mount.master or snapshot.option("enable-external-masters"):
        return []
    if any(other.shared == mount.master for other in snapshot.mounts):
        return []
    return [
        reason(
            "mount-propagation",
            INFO,
            (CHECKPOINT,),
            "%s gets mounts from the node (mountPropagation)" % volume.path,
            "mountPropagation: None, or 'enable-external-masters' in /etc/criu/runc.conf",
            error="has unreachable sharing. Try --enable-external-masters",
            criu_option="enable-external-masters",
            **evidence,
        )
    ]


def _devices(snapshot: Snapshot) -> t.List[Reason]:
    entry = _container(snapshot.pod_object, snapshot.container)
    limits = (entry.get("resources") or {}).get("limits") or {}
    wanted = [name for name in limits if str(name).startswith(_GPU)]
    raw = [device.get("devicePath") for device in entry.get("volumeDevices") or []]
    found = []
    if wanted:
        found.append(
            reason(
                "gpu",
                WARNING,
                (CHECKPOINT, RESTORE),
                "the container asked for %s" % ", ".join(wanted),
                "a CRIU plugin for that device on both nodes, and the same device on the target",
                error="Can't dump file … of that type",
                device=wanted[0],
            )
        )
    if raw:
        found.append(
            reason(
                "block-volume",
                WARNING,
                (CHECKPOINT, RESTORE),
                "the container has a raw block volume (%s)" % raw[0],
                "close it before",
                error="Can't dump file … of that type",
                device=raw[0],
            )
        )
    return found


# -- the pod ---------------------------------------------------------------------------------------------------------


def _terminal(snapshot: Snapshot) -> t.List[Reason]:
    if not (snapshot.spec.get("process") or {}).get("terminal"):
        return []
    return [
        reason(
            "terminal",
            INFO,
            (RESTORE,),
            "the container has a terminal (tty: true)",
            "tty: true and stdin: true in the restored pod, too",
            error="sendmsg: bad file descriptor",
        )
    ]


def _probes(snapshot: Snapshot, freeze: float) -> t.List[Reason]:
    entry = _container(snapshot.pod_object, snapshot.container)
    found = []
    for name in _PROBES:
        probe = entry.get(name)
        if not probe:
            continue
        period, failures = int(probe.get("periodSeconds") or 10), int(probe.get("failureThreshold") or 3)
        patience = period * (failures - 1) + int(probe.get("timeoutSeconds") or 1)
        if freeze >= patience and name != "readinessProbe":
            found.append(
                reason(
                    "probe-kills",
                    WARNING,
                    (CHECKPOINT,),
                    "the %s gives up after about %d s, and the container stands still for about %.1f s: the kubelet may"
                    " kill it" % (name, patience, freeze),
                    "a larger failureThreshold or periodSeconds",
                    probe=name,
                    seconds=patience,
                )
            )
        if probe.get("exec"):
            found.append(
                reason(
                    "exec-probe",
                    INFO,
                    (CHECKPOINT,),
                    "the %s runs a program in the container every %d s" % (name, period),
                    "none; a checkpoint that meets it is tried again",
                    transient=True,
                    probe=name,
                )
            )
    return found


def _others(snapshot: Snapshot) -> t.List[Reason]:
    spec = (snapshot.pod_object or {}).get("spec") or {}
    names = [entry.get("name") for entry in spec.get("containers") or []]
    inits = spec.get("initContainers") or []
    sidecars = [entry.get("name") for entry in inits if entry.get("restartPolicy") == "Always"]
    found = []
    others = [name for name in names + sidecars if name != snapshot.container]
    if others:
        found.append(
            reason(
                "other-containers",
                INFO,
                (CHECKPOINT,),
                "the pod has other containers (%s), which are checkpointed at another moment or not at all"
                % ", ".join(others),
                "connections among them are closed or keep the checkpoint from working",
            )
        )
    once = [entry.get("name") for entry in inits if entry.get("restartPolicy") != "Always"]
    if once:
        found.append(
            reason(
                "init-containers",
                INFO,
                (RESTORE,),
                "init containers (%s) run again in the restored pod unless they are left out" % ", ".join(once),
                "leave them out, unless they prepare a volume",
            )
        )
    if snapshot.container in [entry.get("name") for entry in spec.get("ephemeralContainers") or []]:
        found.append(
            reason(
                "ephemeral-container",
                ERROR,
                (RESTORE,),
                "it is an ephemeral container (kubectl debug), which no new pod can have from the start",
                "checkpoint the container that is debugged",
            )
        )
    return found
