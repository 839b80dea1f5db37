# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pod Security Standard that a namespace enforces with its label, when a pod is created.

Order of the checks and words are those of Kubernetes: staging/src/k8s.io/pod-security-admission/policy (registry.go, check_*.go) and
admission/admission.go there. Of the baseline only host namespaces, privileged containers and hostPath volumes are looked at, of restricted
everything but volume types and the user's number; audit and warn are not imitated.
"""

from __future__ import annotations

import typing as t

from apidouble import errors
from apidouble.store import NAMESPACES, Store

LABEL = "pod-security.kubernetes.io/enforce"
_ALLOWED_PROFILES = ("RuntimeDefault", "Localhost")
# (what is forbidden, which of it); None where nothing is.
Found = t.Optional[tuple[str, str]]


def _named(kind: str, names: t.Sequence[str]) -> str:
    return "%s%s %s" % (kind, "" if len(names) == 1 else "s", ", ".join('"%s"' % name for name in names))


def _containers(spec: dict) -> list[dict]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _those(spec: dict, bad: t.Callable[[dict], bool]) -> list[str]:
    return [one["name"] for one in _containers(spec) if bad(one.get("securityContext") or {})]


def _host_namespaces(spec: dict) -> Found:
    used = [name for name in ("hostIPC", "hostNetwork", "hostPID") if spec.get(name)]
    return ("host namespaces", ", ".join(used)) if used else None


def _privileged(spec: dict) -> Found:
    bad = _those(spec, lambda context: context.get("privileged") is True)
    return ("privileged", _named("container", bad) + " must not set securityContext.privileged=true") if bad else None


def _host_path(spec: dict) -> Found:
    bad = [volume["name"] for volume in spec.get("volumes") or [] if volume.get("hostPath") is not None]
    return ("hostPath volumes", _named("volume", bad)) if bad else None


def _escalation(spec: dict) -> Found:
    bad = _those(spec, lambda context: context.get("allowPrivilegeEscalation") is not False)
    said = " must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", _named("container", bad) + said) if bad else None


def _capabilities(spec: dict) -> Found:
    def forbidden(context: dict) -> list[str]:
        return [one for one in (context.get("capabilities") or {}).get("add") or [] if one != "NET_BIND_SERVICE"]

    details = []
    keeping = _those(spec, lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or []))
    if keeping:
        details.append(_named("container", keeping) + ' must set securityContext.capabilities.drop=["ALL"]')
    adding = _those(spec, lambda context: bool(forbidden(context)))
    if adding:
        names = sorted({name for one in _containers(spec) for name in forbidden(one.get("securityContext") or {})})
        quoted = ", ".join('"%s"' % name for name in names)
        details.append("%s must not include %s in securityContext.capabilities.add" % (_named("container", adding), quoted))
    return ("unrestricted capabilities", "; ".join(details)) if details else None


def _root(spec: dict) -> Found:
    of_pod = (spec.get("securityContext") or {}).get("runAsNonRoot")
    setters = ["pod"] if of_pod is False else []
    explicit = _those(spec, lambda context: context.get("runAsNonRoot") is False)
    if explicit:
        setters.append(_named("container", explicit))
    if setters:
        return "runAsNonRoot != true", " and ".join(setters) + " must not set securityContext.runAsNonRoot=false"
    silent = _those(spec, lambda context: context.get("runAsNonRoot") is None) if of_pod is not True else []
    said = " must set securityContext.runAsNonRoot=true"
    return ("runAsNonRoot != true", "pod or " + _named("container", silent) + said) if silent else None


def _seccomp(spec: dict) -> Found:
    def kind(context: dict) -> t.Optional[str]:
        return (context.get("seccompProfile") or {}).get("type")

    of_pod = kind(spec.get("securityContext") or {})
    setters = ["pod"] if of_pod and of_pod not in _ALLOWED_PROFILES else []
    explicit = _those(spec, lambda context: bool(kind(context)) and kind(context) not in _ALLOWED_PROFILES)
    if explicit:
        setters.append(_named("container", explicit))
    if setters:
        contexts = [spec.get("securityContext") or {}, *((one.get("securityContext") or {}) for one in _containers(spec))]
        values = sorted({str(kind(one)) for one in contexts if kind(one) and kind(one) not in _ALLOWED_PROFILES})
        quoted = ", ".join('"%s"' % value for value in values)
        return "seccompProfile", "%s must not set securityContext.seccompProfile.type to %s" % (" and ".join(setters), quoted)
    silent = [] if of_pod else _those(spec, lambda context: kind(context) is None)
    said = ' must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", "pod or " + _named("container", silent) + said) if silent else None


_BASELINE = (_host_namespaces, _privileged)
# What restricted forbids in a check of its own, which says it otherwise.
_OVERLAPPING = (_host_path,)
_RESTRICTED = (_escalation, _capabilities, _root, _seccomp)


def check(store: Store, pod: dict) -> None:
    """Refuse a new pod that its namespace's standard does not allow."""
    meta = pod["metadata"]
    labels = (store.find(NAMESPACES, "", meta["namespace"]) or {}).get("metadata", {}).get("labels") or {}
    level = labels.get(LABEL, "privileged")
    if level not in ("baseline", "restricted"):
        return
    checks = _BASELINE + (_OVERLAPPING if level == "baseline" else _RESTRICTED)
    found = [one for one in (each(pod["spec"]) for each in checks) if one is not None]
    if found:
        version = labels.get(LABEL + "-version", "latest")
        text = ", ".join("%s (%s)" % one for one in found)
        raise errors.forbidden("", "pods", meta["name"], 'violates PodSecurity "%s:%s": %s' % (level, version, text))
