# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a Pod to what the CRI is asked for: sandbox and container configurations as the kubelet makes them. Pure."""

from __future__ import annotations

import json
import re
import typing as t

MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
POD, CONTAINER, NODE = 0, 1, 2
UNCONFINED, RUNTIME_DEFAULT, LOCALHOST = 1, 0, 2
_SUFFIXES = {
    "": 1,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_BEST_EFFORT, _GUARANTEED = 1000, -997


class SpecError(Exception):
    """The pod asks for what cannot be given; str() is for an event."""


def quantity(value: t.Any) -> float:
    """A resource quantity as a number: 100m, 1.5, 20Mi."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(value).strip())
    if not found or found[2] not in _SUFFIXES:
        raise SpecError(f"quantities must match the regular expression: {value!r}")
    return float(found[1]) * _SUFFIXES[found[2]]


def container_hash(container: dict) -> str:
    """A 32-bit FNV-1a of the container's definition; only equality matters."""
    value = 0x811C9DC5
    for byte in json.dumps(container, sort_keys=True, separators=(",", ":")).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:x}"


def pod_labels(meta: dict) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": meta["name"],
        "io.kubernetes.pod.namespace": meta["namespace"],
        "io.kubernetes.pod.uid": meta["uid"],
    }


def log_directory(meta: dict) -> str:
    return f"/var/log/pods/{meta['namespace']}_{meta['name']}_{meta['uid']}"


def cgroup_parent(pod: dict, systemd: bool) -> str:
    """The pod's cgroup: by QoS class, in the notation of the runtime's cgroup driver."""
    quality = pod.get("status", {}).get("qosClass", "BestEffort")
    uid = pod["metadata"]["uid"]
    if systemd:
        prefix = "kubepods" if quality == "Guaranteed" else f"kubepods-{quality.lower()}"
        return f"{prefix}-pod{uid.replace('-', '_')}.slice"
    return f"/kubepods/{'' if quality == 'Guaranteed' else quality.lower() + '/'}pod{uid}"


def namespaces(spec: dict) -> dict[str, t.Any]:
    return {
        "network": NODE if spec.get("hostNetwork") else POD,
        "pid": NODE if spec.get("hostPID") else POD if spec.get("shareProcessNamespace") else CONTAINER,
        "ipc": NODE if spec.get("hostIPC") else POD,
        "userns_options": {"mode": NODE},
    }


def seccomp(*contexts: t.Optional[dict]) -> dict[str, t.Any]:
    for context in contexts:
        profile = (context or {}).get("seccompProfile")
        if profile:
            kind = {"RuntimeDefault": RUNTIME_DEFAULT, "Unconfined": UNCONFINED, "Localhost": LOCALHOST}[
                profile["type"]
            ]
            return {
                "profile_type": kind,
                **(
                    {"localhost_ref": "/var/lib/kubelet/seccomp/" + profile["localhostProfile"]}
                    if kind == LOCALHOST
                    else {}
                ),
            }
    return {"profile_type": UNCONFINED}


def hostname(pod: dict) -> str:
    return (pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def sandbox_config(pod: dict, attempt: int, systemd: bool, dns: dict[str, list[str]]) -> dict[str, t.Any]:
    meta, spec = pod["metadata"], pod["spec"]
    context = spec.get("securityContext") or {}
    security: dict[str, t.Any] = {
        "namespace_options": namespaces(spec),
        "seccomp": seccomp(context),
        "privileged": any((c.get("securityContext") or {}).get("privileged") for c in spec["containers"]),
    }
    for field, name in (("runAsUser", "run_as_user"), ("runAsGroup", "run_as_group")):
        if field in context:
            security[name] = {"value": context[field]}
    groups = [*([context["fsGroup"]] if "fsGroup" in context else []), *(context.get("supplementalGroups") or [])]
    if groups:
        security["supplemental_groups"] = groups
    ports = [
        {
            "protocol": {"TCP": 0, "UDP": 1, "SCTP": 2}[port.get("protocol", "TCP")],
            "container_port": port["containerPort"],
            "host_port": port.get("hostPort", 0),
            "host_ip": port.get("hostIP", ""),
        }
        for c in spec["containers"]
        for port in c.get("ports") or []
    ]
    return {
        "metadata": {"name": meta["name"], "uid": meta["uid"], "namespace": meta["namespace"], "attempt": attempt},
        "hostname": "" if spec.get("hostNetwork") else hostname(pod),
        "log_directory": log_directory(meta),
        "dns_config": dns,
        "port_mappings": [] if spec.get("hostNetwork") else ports,
        "labels": {**(meta.get("labels") or {}), **pod_labels(meta)},
        "annotations": {
            **(meta.get("annotations") or {}),
            "kubernetes.io/config.seen": meta["creationTimestamp"],
            "kubernetes.io/config.source": "api",
        },
        "linux": {
            "cgroup_parent": cgroup_parent(pod, systemd),
            "security_context": security,
            "sysctls": {entry["name"]: entry["value"] for entry in context.get("sysctls") or []},
        },
    }


def resources(container: dict, quality: str) -> dict[str, t.Any]:
    have = container.get("resources") or {}
    limits, requests = have.get("limits") or {}, {**(have.get("limits") or {}), **(have.get("requests") or {})}
    cpu = quantity(requests["cpu"]) if "cpu" in requests else 0.0
    result: dict[str, t.Any] = {
        "cpu_period": 100000,
        "cpu_shares": max(2, int(cpu * 1024)),
        "hugepage_limits": [{"page_size": "2MB"}, {"page_size": "1GB"}],
        "oom_score_adj": {"Guaranteed": _GUARANTEED, "BestEffort": _BEST_EFFORT}.get(quality, 999),
    }
    if "cpu" in limits:
        result["cpu_quota"] = max(1000, int(quantity(limits["cpu"]) * 100000))
    if "memory" in limits:
        result["memory_limit_in_bytes"] = int(quantity(limits["memory"]))
    return result


def security_context(pod: dict, container: dict, image: dict[str, t.Any]) -> dict[str, t.Any]:
    """The container's own context over the pod's; refuses root where runAsNonRoot is set."""
    spec = pod["spec"]
    common, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    merged = {**common, **own}
    result: dict[str, t.Any] = {"namespace_options": namespaces(spec), "seccomp": seccomp(own, common)}
    if own.get("privileged"):
        result["privileged"] = True
    else:
        result.update(masked_paths=MASKED, readonly_paths=READONLY)
    capabilities = own.get("capabilities") or {}
    if capabilities:
        result["capabilities"] = {
            "add_capabilities": capabilities.get("add") or [],
            "drop_capabilities": capabilities.get("drop") or [],
        }
    user = merged.get("runAsUser")
    if user is None:
        user = image.get("uid")
    if user is None and image.get("username"):
        result["run_as_username"] = image["username"]
    else:
        result["run_as_user"] = {"value": user or 0}
    if "runAsGroup" in merged:
        result["run_as_group"] = {"value": merged["runAsGroup"]}
    if merged.get("runAsNonRoot") and not user:
        raise SpecError(
            "container has runAsNonRoot and image will run as root"
            if not image.get("username")
            else f"container has runAsNonRoot and image has non-numeric user ({image['username']}), cannot verify "
            "user is non-root"
        )
    groups = [*([common["fsGroup"]] if "fsGroup" in common else []), *(common.get("supplementalGroups") or [])]
    if groups:
        result["supplemental_groups"] = groups
    result["readonly_rootfs"] = bool(own.get("readOnlyRootFilesystem"))
    result["no_new_privs"] = own.get("allowPrivilegeEscalation") is False
    return result


def expand(text: str, variables: t.Mapping[str, str]) -> str:
    """$(NAME) from the container's environment; $$(NAME) stays $(NAME); an unknown name stays as it is."""
    return re.sub(
        r"\$\$|\$\(([-A-Za-z0-9_.]+)\)",
        lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]),
        text,
    )


def container_config(
    pod: dict,
    container: dict,
    attempt: int,
    image_id: str,
    image: dict[str, t.Any],
    mounts: list[dict],
    environment: list[tuple[str, str]],
) -> dict[str, t.Any]:
    meta, name = pod["metadata"], container["name"]
    variables = dict(environment)
    annotations = {
        "io.kubernetes.container.hash": container_hash(container),
        "io.kubernetes.container.restartCount": str(attempt),
        "io.kubernetes.container.terminationMessagePath": container.get(
            "terminationMessagePath", "/dev/termination-log"
        ),
        "io.kubernetes.container.terminationMessagePolicy": container.get("terminationMessagePolicy", "File"),
        "io.kubernetes.pod.terminationGracePeriod": str(pod["spec"].get("terminationGracePeriodSeconds", 30)),
    }
    if container.get("ports"):
        annotations["io.kubernetes.container.ports"] = json.dumps(container["ports"], separators=(",", ":"))
    return {
        "metadata": {"name": name, "attempt": attempt},
        "image": {"image": image_id, "user_specified_image": container["image"]},
        "command": [expand(word, variables) for word in container.get("command") or []],
        "args": [expand(word, variables) for word in container.get("args") or []],
        "working_dir": container.get("workingDir", ""),
        "envs": [{"key": key, "value": value} for key, value in environment],
        "mounts": mounts,
        "labels": {"io.kubernetes.container.name": name, **pod_labels(meta)},
        "annotations": annotations,
        "log_path": f"{name}/{attempt}.log",
        "stdin": bool(container.get("stdin")),
        "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {
            "resources": resources(container, pod.get("status", {}).get("qosClass", "BestEffort")),
            "security_context": security_context(pod, container, image),
        },
    }


def normalised(image: str) -> str:
    """The name with its registry and tag, as the runtime resolves it; refuses what is no image name."""
    if not re.fullmatch(r"[a-z0-9][a-zA-Z0-9._:/@-]*", image):
        raise SpecError(
            f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": '
            "invalid reference format"
        )
    first, slash, _rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        image = "docker.io/" + (image if slash else "library/" + image)
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        image += ":latest"
    return image


def registry_of(image: str) -> str:
    return normalised(image).partition("/")[0]
