# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can what was checkpointed on one node be restored on another one. Pure comparison of what C(node_info) returned on
both.

PRIVATE to the collection. What the container itself needs (base image, mounts, ServiceAccount, quota, admission) is in
C(_pair_needs); a matrix over many nodes is made here.
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _cpu, _pair_needs
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info_versions import Version, parse
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import (
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Reason,
    reason,
    verdict,
)

Facts = t.Mapping[str, t.Any]
_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}
_TO = (RESTORE,)


def _differ(name: str, severity: str, text: str, remedy: str, error: str, source: t.Any, target: t.Any) -> Reason:
    return reason(name, severity, _TO, text, remedy, error=error, source=source, target=target)


def compare(
    source: Facts, target: Facts, needs: t.Optional[Facts] = None, given: t.Optional[Facts] = None
) -> t.Dict[str, t.Any]:
    """{verdict, reasons[], paths[]} for a restore on target of what runs on source.

    source, target: results of node_info. needs: of the container; given: what the target and the cluster have
    (C(_pair_needs)).
    A fact that one of them lacks is not compared.
    """
    here, there = source.get("node") or {}, target.get("node") or {}
    paths = _paths(here, there, target)
    found = (
        _readiness(target, paths)
        + _machine(here, there)
        + _criu(here, there)
        + _runtime(here, there)
        + _security(here, there)
        + _pair_needs.check(needs or {}, given or {}, there)
    )
    found.sort(key=lambda item: _ORDER[item["severity"]])
    return {"verdict": verdict(found), "reasons": found, "paths": paths}


# -- ways to restore -------------------------------------------------------------------------------------------------


def _paths(here: Facts, there: Facts, target: Facts) -> t.List[t.Dict[str, t.Any]]:
    found = []
    for path in target.get("restore_paths") or []:
        usable = bool(path.get("available")) and path.get("enabled") is not False
        why = str(path.get("why") or "")
        if (
            usable
            and path.get("name") == "image"
            and _both(here, there, "engine")
            and here["engine"] != there["engine"]
        ):
            usable = False
            why = "%s cannot restore an image made by %s" % (there["engine"], here["engine"])
        found.append({"name": path.get("name"), "usable": usable, "why": why})
    return found


def _both(here: Facts, there: Facts, name: str) -> bool:
    return bool(here.get(name)) and bool(there.get(name))


def _readiness(target: Facts, paths: t.Sequence[Facts]) -> t.List[Reason]:
    found = []
    for item in target.get("reasons") or []:
        if item.get("severity") == ERROR and RESTORE in (item.get("affects") or ()):
            found.append(
                reason(
                    "target-" + str(item["id"]),
                    ERROR,
                    _TO,
                    "the target node: %s" % item["text"],
                    str(item.get("remedy") or ""),
                )
            )
    if not found and paths and not any(path["usable"] for path in paths):
        found.append(
            reason(
                "no-common-path",
                ERROR,
                _TO,
                "the target has no way to restore what this source makes: %s"
                % "; ".join("%s: %s" % (path["name"], path["why"]) for path in paths),
                "the restore handler on the target (role restore_handler), or a target with the source's engine",
                error="failed to read",
            )
        )
    if (target.get("verdict") or {}).get("restore") == "unknown":
        found.append(
            reason(
                "target-unknown",
                WARNING,
                _TO,
                "it could not be found out whether the target can restore",
                "run node_info there as root",
            )
        )
    return found


# -- machine and kernel ----------------------------------------------------------------------------------------------


def _machine(here: Facts, there: Facts) -> t.List[Reason]:
    if _both(here, there, "arch") and here["arch"] != there["arch"]:
        return [
            _differ(
                "arch-differs",
                ERROR,
                "the source is %s, the target %s" % (here["arch"], there["arch"]),
                "a target of the same architecture",
                "core image of another architecture",
                here["arch"],
                there["arch"],
            )
        ]
    found = []
    if _both(here, there, "cpu"):
        found += _cpus(here["cpu"], there["cpu"])
    older = _older(here.get("kernel"), there.get("kernel"))
    if older:
        found.append(
            _differ(
                "kernel-older",
                WARNING,
                "the target's kernel %s is older than the source's %s; what the program uses may be missing there"
                % (there["kernel"], here["kernel"]),
                "the same or a newer kernel on the target",
                "",
                here["kernel"],
                there["kernel"],
            )
        )
    return found


def _cpus(here: Facts, there: Facts) -> t.List[Reason]:
    frame, others = _cpu.missing(here, there)
    found = []
    if frame:
        found.append(
            _differ(
                "cpu-registers",
                ERROR,
                "the target's CPU lacks registers that are saved with every process: %s" % ", ".join(frame),
                "a target with the same or a newer CPU",
                "FPU feature required by image",
                here.get("model"),
                there.get("model"),
            )
        )
    if others:
        found.append(
            _differ(
                "cpu-instructions",
                WARNING,
                "the target's CPU lacks instructions that a program may use: %s" % ", ".join(others),
                "a target with the same or a newer CPU; 'cpu-cap ins' in /etc/criu/runc.conf makes CRIU refuse such"
                " targets",
                "CPU instruction capabilities do not match run time",
                here.get("model"),
                there.get("model"),
            )
        )
    if not found and _both(here, there, "vendor") and here["vendor"] != there["vendor"]:
        found.append(
            _differ(
                "cpu-vendor",
                WARNING,
                "the CPUs are of different makers (%s, %s)" % (here["vendor"], there["vendor"]),
                "try it with a test workload first",
                "",
                here["vendor"],
                there["vendor"],
            )
        )
    return found


def _older(source: t.Any, target: t.Any) -> bool:
    first, second = parse(source), parse(target)
    return first is not None and second is not None and second[:2] < first[:2]


def _version(text: t.Any) -> t.Optional[Version]:
    return parse(text) if isinstance(text, str) else None


# -- CRIU, runtimes, security ----------------------------------------------------------------------------------------


def _criu(here: Facts, there: Facts) -> t.List[Reason]:
    found = []
    first, second = _version(here.get("criu_version")), _version(there.get("criu_version"))
    if first and second and second < first:
        found.append(
            _differ(
                "criu-older",
                ERROR if second[0] < first[0] else WARNING,
                "the target's criu %s is older than the source's %s" % (there["criu_version"], here["criu_version"]),
                "the same or a newer criu on the target",
                "Not supported images version",
                here["criu_version"],
                there["criu_version"],
            )
        )
    mine, theirs = set(here.get("criu_config") or ()), set(there.get("criu_config") or ())
    if "tcp-close" in mine and not {"tcp-close", "tcp-established"} & theirs and there.get("criu_config") is not None:
        found.append(
            _differ(
                "criu-config-differs",
                WARNING,
                "the source takes containers with TCP connections along (tcp-close), and the target has no rule for"
                " them",
                "the same /etc/criu/runc.conf on both (role criu)",
                "Connected TCP socket in image",
                sorted(mine),
                sorted(theirs),
            )
        )
    return found


def _runtime(here: Facts, there: Facts) -> t.List[Reason]:
    found = []
    mine, theirs = here.get("oci_runtime") or {}, there.get("oci_runtime") or {}
    if _both(mine, theirs, "name") and mine["name"] != theirs["name"]:
        found.append(
            _differ(
                "oci-runtime-differs",
                ERROR,
                "the source runs containers with %s, the target with %s" % (mine["name"], theirs["name"]),
                "the same OCI runtime on both, best runc",
                "No mapping for",
                mine["name"],
                theirs["name"],
            )
        )
    elif _older(mine.get("version"), theirs.get("version")):
        found.append(
            _differ(
                "oci-runtime-older",
                WARNING,
                "the target's %s %s is older than the source's %s"
                % (mine.get("name"), theirs["version"], mine["version"]),
                "the same or a newer one on the target",
                "",
                mine["version"],
                theirs["version"],
            )
        )
    if _both(here, there, "engine") and here["engine"] == there["engine"]:
        if _older(here.get("engine_version"), there.get("engine_version")):
            found.append(
                _differ(
                    "engine-older",
                    WARNING,
                    "the target's %s %s is older than the source's %s"
                    % (there["engine"], there["engine_version"], here["engine_version"]),
                    "the same or a newer one on the target",
                    "",
                    here["engine_version"],
                    there["engine_version"],
                )
            )
    return found


def _security(here: Facts, there: Facts) -> t.List[Reason]:
    found = []
    if here.get("lsm") and there.get("lsm") is not None and here["lsm"] != there["lsm"]:
        found.append(
            _differ(
                "lsm-differs",
                ERROR,
                "the source uses %s, the target %s" % (here["lsm"], there["lsm"] or "no such security module"),
                "a target with the same security module",
                "LSM specified but",
                here["lsm"],
                there["lsm"],
            )
        )
    if _both(here, there, "cgroup_version") and here["cgroup_version"] != there["cgroup_version"]:
        found.append(
            _differ(
                "cgroup-version-differs",
                WARNING,
                "the source has cgroup version %s, the target %s" % (here["cgroup_version"], there["cgroup_version"]),
                "'manage-cgroups ignore' in /etc/criu/runc.conf, and the same version where possible",
                "cpuset.cpus: Permission denied",
                here["cgroup_version"],
                there["cgroup_version"],
            )
        )
    return found


# -- many nodes ------------------------------------------------------------------------------------------------------


def matrix(nodes: t.Mapping[str, Facts]) -> t.List[t.Dict[str, t.Any]]:
    """One row for each source, with a column (V(yes), V(risky), V(no)) for each target and the reasons' ids in
    C(why)."""
    rows = []
    for source in nodes:
        row: t.Dict[str, t.Any] = {"source": source, "targets": {}, "why": {}}
        for target in nodes:
            if target == source:
                continue
            result = compare(nodes[source], nodes[target])
            row["targets"][target] = result["verdict"]
            row["why"][target] = [item["id"] for item in result["reasons"] if item["severity"] != INFO]
        rows.append(row)
    return rows
