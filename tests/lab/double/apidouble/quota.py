# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ResourceQuotas of a namespace when a pod is created: how many pods, and what they request and may use at most.

What is counted, the order of the checks and the words are those of Kubernetes: pkg/quota/v1/evaluator/core/pods.go and
staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go. What is used is counted when it is asked for (a real
server believes status.used, which its controller writes), and the status stays empty. Quotas for parts of the pods (scopes) are refused.
"""

from __future__ import annotations

import decimal
import re
import typing as t

from apidouble import errors
from apidouble.store import PODS, Key, Store

Amounts = dict[str, decimal.Decimal]

QUOTAS = Key("", "resourcequotas")
# A quota of one of these obliges every container to say how much it wants.
_TO_BE_SAID = {kind + name for kind in ("", "requests.", "limits.") for name in ("cpu", "memory")}
_COUNTED = {*_TO_BE_SAID, "pods", "count/pods", "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|[MGTPE]|[KMGTPE]i)?")
_UNITS = {"": decimal.Decimal(1), "m": decimal.Decimal("0.001")}
_UNITS.update({unit: decimal.Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)})
_UNITS.update({unit + "i": decimal.Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)})


def amount(text: t.Any) -> decimal.Decimal:
    """A quantity (500m, 64Mi, 3) as a number."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise errors.bad_request("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return decimal.Decimal(match.group(1)) * _UNITS[match.group(2) or ""]


def written(name: str, value: decimal.Decimal) -> str:
    """A number as Kubernetes writes it: the largest unit that leaves a whole number, of 1024 where it is bytes."""
    units = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "") if "memory" in name or "storage" in name else ("", "m")
    for unit in units:
        if value % _UNITS[unit] == 0 and value >= _UNITS[unit]:
            return "%d%s" % (value / _UNITS[unit], unit)
    return "%d" % value


def _of_container(container: dict) -> Amounts:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    # What is limited and not requested is requested (a default of the API server).
    requests = {**limits, **(resources.get("requests") or {})}
    found = {"limits." + name: amount(value) for name, value in limits.items()}
    for name, value in requests.items():
        found[name] = found["requests." + name] = amount(value)
    return found


def usage(pod: dict) -> Amounts:
    """What a pod counts for: its containers together, or its greatest init container where that is more."""
    spec, total = pod["spec"], {"count/pods": decimal.Decimal(1)}
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return total
    total["pods"] = decimal.Decimal(1)
    for container in spec.get("containers") or []:
        for name, value in _of_container(container).items():
            total[name] = total.get(name, decimal.Decimal(0)) + value
    for container in spec.get("initContainers") or []:
        for name, value in _of_container(container).items():
            total[name] = max(total.get(name, decimal.Decimal(0)), value)
    return total


def _unsaid(pod: dict, limited: t.Iterable[str]) -> str:
    """Which containers do not say what a quota obliges them to say."""
    containers = [*(pod["spec"].get("containers") or []), *(pod["spec"].get("initContainers") or [])]
    missing = []
    for name in sorted(_TO_BE_SAID.intersection(limited)):
        silent = sorted(container["name"] for container in containers if name not in _of_container(container))
        if silent:
            missing.append("%s for: %s" % (name, ",".join(silent)))
    return "; ".join(missing)


def _listed(amounts: t.Mapping[str, str]) -> str:
    return ",".join("%s=%s" % pair for pair in sorted(amounts.items()))


def check_itself(quota: dict) -> None:
    """Refuse a quota that the double does not imitate."""
    spec = quota.get("spec") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        raise errors.ApiError(501, "NotImplemented", "the double does not imitate quotas with scopes")


def check(store: Store, pod: dict) -> None:
    """Refuse a new pod for which a quota leaves no room."""
    meta = pod["metadata"]
    quotas = sorted(store.list(QUOTAS, meta["namespace"]), key=lambda quota: quota["metadata"]["name"])
    if not quotas:
        return
    wanted = usage(pod)
    others = [usage(other) for other in store.list(PODS, meta["namespace"])]
    for quota in quotas:
        name = quota["metadata"]["name"]
        hard = {key: value for key, value in ((quota.get("spec") or {}).get("hard") or {}).items() if key in _COUNTED}
        unsaid = _unsaid(pod, hard)
        if unsaid:
            raise errors.forbidden("", "pods", meta["name"], "failed quota: %s: must specify %s" % (name, unsaid))
        used = {key: sum((other.get(key, decimal.Decimal(0)) for other in others), decimal.Decimal(0)) for key in hard}
        over = [key for key in hard if wanted.get(key) and used[key] + wanted[key] > amount(hard[key])]
        if over:
            parts = (
                name,
                _listed({key: written(key, wanted[key]) for key in over}),
                _listed({key: written(key, used[key]) for key in over}),
                _listed({key: str(hard[key]) for key in over}),
            )
            raise errors.forbidden(
                "", "pods", meta["name"], "exceeded quota: %s, requested: %s, used: %s, limited: %s" % parts
            )
