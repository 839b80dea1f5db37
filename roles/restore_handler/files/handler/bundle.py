# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCI bundle that the runtime made for a container: its spec, and whose container it is."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage import Target

Spec = t.Dict[str, t.Any]

# Which annotations name the pod. Only those of the engine that this node runs are looked at, because the runtime
# sets them itself, whatever annotations a pod may bring along.
_KEYS = {
    "containerd": {
        "type": "io.kubernetes.cri.container-type",
        "namespace": "io.kubernetes.cri.sandbox-namespace",
        "pod": "io.kubernetes.cri.sandbox-name",
        "pod_uid": "io.kubernetes.cri.sandbox-uid",
        "container": "io.kubernetes.cri.container-name",
        "image": "io.kubernetes.cri.image-name",
    },
    "cri-o": {
        "type": "io.kubernetes.cri-o.ContainerType",
        "namespace": "io.kubernetes.pod.namespace",
        "pod": "io.kubernetes.pod.name",
        "pod_uid": "io.kubernetes.pod.uid",
        "container": "io.kubernetes.container.name",
        "image": "io.kubernetes.cri-o.ImageRepoDigests",
    },
}


def load(directory: str) -> Spec:
    """The spec of a bundle."""
    with open(os.path.join(directory, "config.json"), "rb") as stream:
        spec = json.loads(stream.read().decode("utf-8"))
    if not isinstance(spec, dict):
        raise ValueError("the bundle's config.json is not a JSON object")
    return spec


def target(spec: Spec, engine: str) -> t.Optional[Target]:
    """Whose container the spec is for; None for a sandbox and for a container that belongs to no pod."""
    notes = spec.get("annotations") or {}
    values = {name: notes.get(key) or "" for name, key in _KEYS[engine].items()}
    if values.pop("type") != "container" or not all(values[name] for name in ("namespace", "pod", "container")):
        return None
    return Target(**values)


def root_path(spec: Spec, directory: str) -> str:
    """Where the container's root file system is mounted."""
    return os.path.join(os.path.abspath(directory), (spec.get("root") or {}).get("path") or "rootfs")


def namespace_path(spec: Spec, kind: str) -> t.Optional[str]:
    """The path of a namespace that is joined, an empty text for one of its own, None for the node's."""
    for namespace in (spec.get("linux") or {}).get("namespaces") or []:
        if namespace.get("type") == kind:
            return namespace.get("path") or ""
    return None


def cgroup_leaf(spec: Spec) -> str:
    """The last component of the container's cgroup, for both cgroup managers."""
    path = (spec.get("linux") or {}).get("cgroupsPath") or ""
    parts = path.split(":")
    if len(parts) == 3:
        return "%s-%s.scope" % (parts[1], parts[2]) if parts[1] else parts[2] + ".scope"
    return os.path.basename(path.rstrip("/"))
