# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Pod's specification grants to one of its containers. Pure.

PRIVATE to the collection. For the image back-end, where nobody on the node is asked before the runtime restores: the
handler compares with the OCI spec of the new container instead (C(_privileges.grant_from_spec)), which says more. What the
Pod leaves to the image or to the node is taken as granted.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _privileges as privileges
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_privileges import from_dict
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import CRIO
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError

ACCEPTABLE = tuple(name for name in privileges.ACCEPTABLE if name != "rlimits")

_CONTAINERD_DEFAULT = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL"
    " AUDIT_WRITE"
).split()
_CRIO_DEFAULT = "CHOWN DAC_OVERRIDE FSETID FOWNER SETGID SETUID SETPCAP NET_BIND_SERVICE KILL".split()
_ALL = (1 << len(privileges.CAPABILITIES)) - 1
_APPARMOR_DEFAULT = {CRIO: "crio-default"}
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def grant(pod: t.Mapping[str, t.Any], name: str, engine: t.Optional[str], lsm: str = "") -> privileges.Grant:
    """What the container of that name may hold. engine: the target's, for its default capabilities; lsm: the target's."""
    spec = pod["spec"]
    containers = list(spec.get("containers") or []) + list(spec.get("initContainers") or [])
    container = next((one for one in containers if one.get("name") == name), {})
    own, whole = container.get("securityContext") or {}, spec.get("securityContext") or {}

    def either(key: str) -> t.Any:
        return own[key] if own.get(key) is not None else whole.get(key)

    uid, gid = either("runAsUser"), either("runAsGroup")
    groups = list(whole.get("supplementalGroups") or []) + [whole.get("fsGroup")]
    privileged = bool(own.get("privileged"))
    mask = _ALL if privileged else _capabilities(own.get("capabilities") or {}, engine)
    seccomp = (either("seccompProfile") or {}).get("type")
    return privileges.Grant(
        uid=int(uid or 0),
        gid=int(gid or 0),
        groups=frozenset(int(group) for group in groups + [gid] if group is not None),
        capabilities={key: mask for key in ("bounding", "effective", "permitted", "inheritable", "ambient")},
        no_new_privs=own.get("allowPrivilegeEscalation") is False and not privileged,
        seccomp=seccomp in ("RuntimeDefault", "Localhost") and not privileged,
        lsm=lsm,
        lsm_profile="" if privileged or lsm != "apparmor" else _apparmor(pod, name, either("appArmorProfile"), engine),
        user_namespace=spec.get("hostUsers") is False,
        any_uid=uid is None,
        any_gid=gid is None,
        non_root=either("runAsNonRoot") is True,
    )


def _capabilities(wish: t.Mapping[str, t.Any], engine: t.Optional[str]) -> int:
    """Kubernetes' order: ALL is added, ALL is dropped, then single ones are added and dropped."""
    add = [str(name).upper() for name in wish.get("add") or []]
    drop = [str(name).upper() for name in wish.get("drop") or []]
    mask = privileges.capability_mask(_CRIO_DEFAULT if engine == CRIO else _CONTAINERD_DEFAULT)
    mask = _ALL if "ALL" in add else mask
    mask = 0 if "ALL" in drop else mask
    return (mask | privileges.capability_mask(add)) & ~privileges.capability_mask(drop)


def _apparmor(pod: t.Mapping[str, t.Any], name: str, profile: t.Any, engine: t.Optional[str]) -> str:
    """The profile's name; empty where it is unconfined."""
    usual = _APPARMOR_DEFAULT.get(engine or "", "cri-containerd.apparmor.d")
    if not profile:
        kind = str(((pod.get("metadata") or {}).get("annotations") or {}).get(_APPARMOR_ANNOTATION + name) or "")
        return "" if kind == "unconfined" else kind[len("localhost/") :] if kind.startswith("localhost/") else usual
    return {"Unconfined": "", "Localhost": str(profile.get("localhostProfile") or "")}.get(profile.get("type"), usual)


def check(
    pod: t.Mapping[str, t.Any],
    name: str,
    held: t.Any,
    accepted: t.Collection[str],
    engine: t.Optional[str],
    lsm: str = "",
) -> t.List[str]:
    """Refuse a restore whose processes would hold more than the Pod grants; returns warnings of what was accepted.

    held: what C(_archive_privileges.as_dict) says of the checkpoint.
    """
    found = privileges.excesses(from_dict(held), grant(pod, name, engine, lsm))
    refused = [one for one in found if one.id not in accepted]
    if refused:
        raise RestoreError(
            "container %s would be restored with more than its pod grants, because a restored process keeps what it held"
            " (CVE-2026-95837, CVE-2026-92574): %s. Nothing was created. Remedy: a checkpoint of a container with this pod's"
            " securityContext, or a pod with that of the checkpoint's; if you have judged it, accept_privileges: [%s]"
            % (name, "; ".join(one.text for one in refused), ", ".join(sorted({one.id for one in refused}))),
            privileges=[{"id": one.id, "text": one.text} for one in refused],
        )
    return ["container %s: accepted by accept_privileges: %s" % (name, one.text) for one in found]
