# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container needs from its target beside a fitting node: image, mounts, ServiceAccount, quota, admission. Pure.

PRIVATE to the collection. C(needs) is of the container, C(given) of the target and the cluster. Only what both name
is compared;
what nobody asked about is not guessed.

needs: base_image (C(NAME@sha256:…) or a digest), host_paths[], service_account, claims[], requests{cpu, memory, …},
host_access[].
given: images[] (references and digests on the target), pullable (bool), host_paths[], service_accounts[], claims[],
quotas[] (ResourceQuota
objects), pod_security (level that the namespace enforces), admission_error (what a dry run answered).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    ERROR,
    RESTORE,
    WARNING,
    Reason,
    reason,
)

Facts = t.Mapping[str, t.Any]
_TO = (RESTORE,)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kKMGTPE]i?|)")
_UNITS = {"": 1.0, "m": 0.001}
_UNITS.update({letter: 1000.0**power for power, letter in enumerate("kMGTPE", start=1)})
_UNITS.update({letter + "i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)})


def quantity(text: t.Any) -> t.Optional[float]:
    """A quantity of Kubernetes (500m, 2Gi, 3) as a number; None when it is none."""
    match = _QUANTITY.fullmatch(str(text).strip())
    if not match or match.group(2) not in _UNITS:
        return None
    return float(match.group(1)) * _UNITS[match.group(2)]


def check(needs: Facts, given: Facts, target: Facts) -> t.List[Reason]:
    """All that the target or the cluster does not have."""
    return _image(needs, given, target) + _places(needs, given) + _quota(needs, given) + _admission(needs, given)


def _image(needs: Facts, given: Facts, target: Facts) -> t.List[Reason]:
    wanted, there = needs.get("base_image"), given.get("images")
    if not wanted or there is None:
        return []
    digest = str(wanted).rpartition("@")[2] or str(wanted)
    if any(digest == str(name) or str(name).endswith("@" + digest) for name in there):
        return []
    never_pulls = target.get("engine") == "cri-o"
    if given.get("pullable") and not never_pulls:
        return []
    return [
        reason(
            "base-image-missing",
            WARNING if given.get("pullable") is None and not never_pulls else ERROR,
            _TO,
            "the base image %s is not on the target%s"
            % (wanted, ", and CRI-O does not pull it for a restore" if never_pulls else ""),
            "crictl pull %s on the target first" % wanted,
            error="image not known" if never_pulls else "failed to pull checkpoint base image",
            image=wanted,
        )
    ]


def _places(needs: Facts, given: Facts) -> t.List[Reason]:
    found = []
    for what, name, remedy, error in (
        ("host_paths", "host-path-missing", "create it there with the same content", "the bind mount source"),
        ("claims", "claim-missing", "create the claim, or restore in its namespace", "persistentvolumeclaim not found"),
    ):
        if given.get(what) is None:
            continue
        for item in needs.get(what) or []:
            if item not in given[what]:
                found.append(
                    reason(name, ERROR, _TO, "%s is missing on the target" % item, remedy, error=error, path=item)
                )
    account = needs.get("service_account")
    if account and given.get("service_accounts") is not None and account not in given["service_accounts"]:
        found.append(
            reason(
                "service-account-missing",
                ERROR,
                _TO,
                "the namespace has no ServiceAccount %s, whose token the container has mounted" % account,
                "create it there",
                error="serviceaccount not found",
                path=account,
            )
        )
    return found


def _quota(needs: Facts, given: Facts) -> t.List[Reason]:
    wanted = dict(needs.get("requests") or {}, pods=1)
    found = []
    for quota in given.get("quotas") or []:
        status = quota.get("status") or {}
        for name, hard in (status.get("hard") or {}).items():
            asked = quantity(wanted.get(name.replace("requests.", ""), 0)) or 0.0
            limit, used = quantity(hard), quantity((status.get("used") or {}).get(name, 0)) or 0.0
            if limit is not None and asked and used + asked > limit:
                found.append(
                    reason(
                        "quota-exceeded",
                        ERROR,
                        _TO,
                        "quota %s leaves no room for one more pod: %s %s of %s are used"
                        % (
                            (quota.get("metadata") or {}).get("name"),
                            name,
                            (status.get("used") or {}).get(name, 0),
                            hard,
                        ),
                        "raise the quota; source and restored pod exist side by side for a while",
                        error="exceeded quota",
                        resource=name,
                    )
                )
    return found


def _admission(needs: Facts, given: Facts) -> t.List[Reason]:
    found = []
    if given.get("admission_error"):
        found.append(
            reason(
                "admission-refuses",
                ERROR,
                _TO,
                "the API server refuses the restored pod: %s" % given["admission_error"],
                "change the pod or the rule",
                error=str(given["admission_error"]),
            )
        )
    level, access = given.get("pod_security"), needs.get("host_access") or []
    if level in ("baseline", "restricted") and access:
        found.append(
            reason(
                "pod-security",
                ERROR,
                _TO,
                "the namespace enforces %s, and the pod uses %s" % (level, ", ".join(access)),
                "another namespace",
                error="violates PodSecurity",
            )
        )
    return found


def needs_of(pod: Facts, container: str, base_image: t.Optional[str] = None) -> t.Dict[str, t.Any]:
    """What a container of a Pod needs, from the Pod's object."""
    spec = pod.get("spec") or {}
    volumes = spec.get("volumes") or []
    mounted = next((one for one in spec.get("containers") or [] if one.get("name") == container), {})
    names = {mount.get("name") for mount in mounted.get("volumeMounts") or []}
    used = [volume for volume in volumes if volume.get("name") in names]
    access = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if (mounted.get("securityContext") or {}).get("privileged"):
        access.append("privileged")
    host_paths = [volume["hostPath"].get("path") for volume in used if volume.get("hostPath")]
    return {
        "base_image": base_image,
        "host_paths": host_paths,
        "claims": [
            volume["persistentVolumeClaim"].get("claimName") for volume in used if volume.get("persistentVolumeClaim")
        ],
        "service_account": spec.get("serviceAccountName"),
        "requests": (mounted.get("resources") or {}).get("requests") or {},
        "host_access": access + (["hostPath"] if host_paths else []),
    }
