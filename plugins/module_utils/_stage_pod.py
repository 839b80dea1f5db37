# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging a Pod object before its restore is staged: is it the one that is meant, and can it take the checkpoint? Pure.

PRIVATE to the collection. The handler compares privileges once more with the OCI spec that the runtime makes, which is
the truth; what is refused here is refused early, before anything waits for it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _privileges as privileges
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._criu_tasks import Images
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError

# What a runtime grants where the pod asks for nothing; containerd's list, the longer one.
_DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
).split()

_SPEC = ("serviceAccountName", "hostPID", "shareProcessNamespace", "hostUsers", "securityContext")
_CONTAINER = ("name", "image", "tty", "securityContext")

Pod = t.Mapping[str, t.Any]


def check_identity(pod: Pod, namespace: str, name: str, container: str, pod_uid: t.Optional[str] = None,
                   owner_uid: t.Optional[str] = None, service_account: t.Optional[str] = None,
                   base_image_digest: t.Optional[str] = None) -> str:
    """The UID of the Pod, if it is the one that is meant; RestoreError saying what differs."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    uid = metadata.get("uid") or ""
    wrong = []
    for what, is_, wanted in (
        ("its namespace", metadata.get("namespace"), namespace),
        ("its name", metadata.get("name"), name),
        ("its UID", uid, pod_uid),
        ("its controlling owner's UID", controller_uid(pod), owner_uid),
        ("its ServiceAccount", spec.get("serviceAccountName") or "default", service_account),
    ):
        if wanted and is_ != wanted:
            wrong.append("%s is %r, not %r" % (what, is_, wanted))
    if not uid:
        wrong.append("it has no UID, so the API server has not made it yet")
    mine = container_of(pod, container)
    if mine is None:
        wrong.append("it has no container %r" % container)
    elif base_image_digest:
        digest = (mine.get("image") or "").rpartition("@")[2] if "@" in (mine.get("image") or "") else None
        if digest and digest != base_image_digest:
            wrong.append("its image is %r, not the one with digest %s" % (mine.get("image"), base_image_digest))
        elif not digest and owner_uid:
            wrong.append("its image %r is not pinned by digest, so it cannot be seen to be %s" % (mine.get("image"), base_image_digest))
    if wrong:
        raise RestoreError("this is not the pod that the restore is for: %s" % "; ".join(wrong))
    return uid


def check_fitness(pod: Pod, container: str, images: Images, tty: bool, accept: t.Collection[str]) -> None:
    """Refuse a pod that cannot take the checkpoint, or that would be given more privileges than it asks for."""
    spec = pod.get("spec") or {}
    mine = container_of(pod, container) or {}
    for key in ("hostPID", "shareProcessNamespace"):
        if spec.get(key):
            raise RestoreError("the pod sets %s, and processes can only be restored into a PID namespace of their own" % key)
    if bool(mine.get("tty")) != tty:
        raise RestoreError("the container of the checkpoint has %s terminal and the pod's has %s: set tty and stdin alike"
                           % (("a", "none") if tty else ("no", "one")))
    grant = privileges.grant_from_spec(_as_oci(spec, mine))
    above = [excess for excess in privileges.excesses(images, grant) if excess.id not in accept]
    if above:
        raise RestoreError(
            "the checkpoint holds more privileges than the pod asks for: %s" % "; ".join(excess.text for excess in above),
            excesses=[dict(vars(excess)) for excess in above],
        )


def essential(pod: Pod) -> t.Dict[str, t.Any]:
    """What of a Pod object is judged here, and nothing else: no environment, no commands, so that results may carry it."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    return {
        "metadata": {key: metadata.get(key) for key in ("namespace", "name", "uid", "ownerReferences")},
        "spec": dict(
            {key: spec.get(key) for key in _SPEC},
            containers=[{key: container.get(key) for key in _CONTAINER} for container in spec.get("containers") or []],
        ),
    }


def container_of(pod: Pod, name: str) -> t.Optional[t.Mapping[str, t.Any]]:
    """A container's spec inside a Pod object."""
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == name:
            return container
    return None


def controller_uid(pod: Pod) -> t.Optional[str]:
    """The UID of the owner that controls a Pod."""
    for reference in (pod.get("metadata") or {}).get("ownerReferences") or []:
        if reference.get("controller"):
            return reference.get("uid")
    return None


def _as_oci(spec: t.Mapping[str, t.Any], container: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The part of an OCI spec that a runtime would make of the pod's security contexts, at its most generous.

    A user that only the image names is not known here and taken for root: the handler knows better.
    """
    context = dict(spec.get("securityContext") or {})
    context.update({key: value for key, value in (container.get("securityContext") or {}).items() if value is not None})
    asked = context.get("capabilities") or {}
    granted = set(_DEFAULT_CAPABILITIES)
    if context.get("privileged"):
        granted = set(privileges.CAPABILITIES)
    dropped = {name.upper() for name in asked.get("drop") or []}
    granted = set() if "ALL" in dropped else granted - dropped
    added = {name.upper() for name in asked.get("add") or []}
    granted |= set(privileges.CAPABILITIES) if "ALL" in added else added
    names = sorted(granted)
    groups = list(context.get("supplementalGroups") or [])
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    profile = (context.get("seccompProfile") or {}).get("type")
    return {
        "process": {
            "user": {"uid": context.get("runAsUser") or 0, "gid": context.get("runAsGroup") or 0, "additionalGids": groups},
            "capabilities": {"bounding": names, "effective": names, "permitted": names},
            "noNewPrivileges": context.get("allowPrivilegeEscalation") is False,
        },
        "linux": {
            "seccomp": profile in ("RuntimeDefault", "Localhost") and not context.get("privileged"),
            "namespaces": [{"type": "user"}] if spec.get("hostUsers") is False else [],
        },
    }
