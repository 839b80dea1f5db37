# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find and read CRIU's and the runtime's logs on this node while they exist, and say what they mean.

PRIVATE to the collection. Effects come in through C(Places); what is found is diagnosed here. The runtimes delete a
restore's log when it
failed, and a container's when it is removed: so this runs right after a failure, or finds what C(log-file) in CRIU's
configuration kept (role criu: C(criu_log_file), one for all, or C(criu_log_dir), one for each operation).
"""

from __future__ import annotations

import datetime
import glob
import os
import re
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import KINDS, diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError

Finding = t.Dict[str, t.Any]

# Where runc, crun, containerd's shim and CRI-O leave dump.log and restore.log.
PATTERNS = (
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/criu-dump.log",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/dump.log",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/restore.log",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/work/*.log",
    "/var/lib/containerd/io.containerd.runtime.v2.task/k8s.io/*/*.log",
    "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/*/dump.log",
    "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/*/restore.log",
    "/var/lib/containers/storage/overlay-containers/*/userdata/dump.log",
    "/var/lib/containers/storage/overlay-containers/*/userdata/restore.log",
    "/run/containers/storage/overlay-containers/*/userdata/dump.log",
    "/run/containers/storage/overlay-containers/*/userdata/restore.log",
    "/run/runc/*/criu.work/*.log",
)
CRIU_CONFIG = "/etc/criu/runc.conf"
# The role criu has each log renamed that begins under this name (criu_log_dir); the new names end as this does.
CURRENT = "current.log"
UNITS = ("containerd", "crio", "kubelet")
_CONTAINER = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# As in kubepods/podUID, and with systemd's names kubepods-podUID.slice, where it has underscores.
_POD = re.compile(r"[/-]pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_NAMED = re.compile(r"(?:path=|log file:|log-file|see)\s*[\"']?(/[^\s\"':,;)]+\.log)")
_TAIL_BYTES = 4 * 1024 * 1024
_SHOWN_ERRORS = 12
_RANK = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Text:
    """A log as it was read: its last part, and when it was last written (seconds since the epoch)."""

    path: str
    text: str
    written: float


def read_tail(path: str) -> t.Optional[Text]:
    """The end of a regular file; None when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(stream.fileno())
            stream.seek(max(0, found.st_size - _TAIL_BYTES))
            return Text(path, stream.read(_TAIL_BYTES).decode("utf-8", "replace"), found.st_mtime)
    except OSError:
        return None


def last_written(path: str) -> t.Optional[float]:
    """When a file was last written; None when there is none."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return None


@dataclass(frozen=True)
class Places:
    """How the node is read; replaced by plain functions in tests."""

    read: t.Callable[[str], t.Optional[Text]] = read_tail
    find: t.Callable[[str], t.Sequence[str]] = glob.glob
    config: str = CRIU_CONFIG
    written: t.Callable[[str], t.Optional[float]] = last_written


def configured_path(config: str) -> t.Optional[str]:
    """The absolute path that C(log-file) names in a configuration of CRIU; the last one counts."""
    found = None
    for line in config.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "log-file":
            found = words[1].strip("\"'")
    return found if found and os.path.isabs(found) else None


def kept_logs(places: Places) -> t.List[str]:
    """What CRIU's configuration has kept: the log that it writes to, then those of single operations, the newest first
    (their names are times)."""
    config = places.read(places.config)
    path = configured_path(config.text) if config is not None else None
    if path is None or os.path.basename(path) != CURRENT:
        return [path] if path else []
    found = places.find(os.path.join(glob.escape(os.path.dirname(path)), "*.log"))
    return [path] + sorted((one for one in found if os.path.basename(one) != CURRENT), reverse=True)


def named_paths(message: str) -> t.List[str]:
    """The log files that an error message names."""
    return list(dict.fromkeys(_NAMED.findall(message)))


def stage_of(log: Text) -> str:
    """dump or restore: by what CRIU says it does, else by the file's name. A dump says so before it can fail, a restore
    that ends early does not."""
    if "Dumping processes" in log.text or "Dumping FAILED" in log.text or "Dumping finished" in log.text:
        return "dump"
    if "Restoring FAILED" in log.text or "Restore finished" in log.text or "Restoring processes" in log.text:
        return "restore"
    return "dump" if "dump" in os.path.basename(log.path) else "restore"


def succeeded(log: Text) -> bool:
    """Whether the log is of a run that worked."""
    return "Dumping finished successfully" in log.text or "Restore finished successfully" in log.text


def errors_of(log: Text) -> t.List[str]:
    """The error lines, as CRIU wrote them: no memory, no environment."""
    return [line.strip()[:400] for line in log.text.splitlines() if "Error (" in line][:_SHOWN_ERRORS]


def candidates(places: Places, message: str = "", container_id: t.Optional[str] = None) -> t.List[str]:
    """Every log that may be there: named in the message, kept by the configuration, or where runtimes put them."""
    found = named_paths(message) + kept_logs(places)
    for pattern in PATTERNS:
        if container_id is None:
            found += sorted(places.find(pattern))
        else:
            found += sorted(path for path in places.find(pattern) if container_id in path)
    return list(dict.fromkeys(found))


def of_another(log: Text, container_id: str) -> bool:
    """Whether a log speaks of containers (their cgroups have their ids) and this one is not among them."""
    ids = set(_CONTAINER.findall(log.text))
    return bool(ids) and not any(one.startswith(container_id) or container_id == "-" for one in ids)


def of_pods(log: Text, pod_uids: t.Collection[str]) -> bool:
    """Whether a log may be of one of these Pods (any, where none is given): it names one, or no Pod at all because CRIU
    ended too early."""
    named = {uid.replace("_", "-") for uid in _POD.findall(log.text)}
    return not pod_uids or not named or not named.isdisjoint(pod_uids)


def described(log: Text, now: float) -> t.Dict[str, t.Any]:
    """One log of the answer."""
    stage = stage_of(log)
    return {
        "path": log.path,
        "stage": stage,
        "written_at": iso(log.written),
        "age_seconds": int(max(0.0, now - log.written)),
        "succeeded": succeeded(log),
        "errors": errors_of(log),
        "diagnosis": [] if succeeded(log) else diagnose(log.text, where=stage),
    }


def collect(
    places: Places,
    at: float,
    window: float,
    now: float,
    message: str = "",
    container_id: t.Optional[str] = None,
    pod_uids: t.Collection[str] = (),
) -> t.List[t.Dict[str, t.Any]]:
    """The logs written within window seconds of a moment (those that the message names: at any time), the nearest first;
    only of one container or of some Pods, where they are given."""
    named = set(named_paths(message))

    def wanted(path: str) -> bool:
        if path in named:
            return True
        written = places.written(path)
        return written is not None and abs(written - at) <= window

    # There may be thousands of old ones, and reading is what costs.
    paths = [path for path in candidates(places, message, container_id) if wanted(path)]
    near = [log for log in (places.read(path) for path in paths) if log is not None and log.text.strip()]
    if container_id is not None:
        near = [log for log in near if log.path in named or not of_another(log, container_id)]
    near = [log for log in near if log.path in named or of_pods(log, pod_uids)]
    near.sort(key=lambda log: (log.path not in named, abs(log.written - at)))
    return [described(log, now) for log in near]


def merged(*groups: t.Sequence[Finding]) -> t.List[Finding]:
    """Findings of several texts as one list: causes before what accompanies them, earlier groups before later, each
    id once."""
    found: t.Dict[str, t.Tuple[t.Tuple[int, int], Finding]] = {}
    for number, group in enumerate(groups):
        for finding in group:
            found.setdefault(str(finding["id"]), ((_RANK.get(finding["kind"], 0), number), finding))
    # A message that nobody knows says less than any cause that somebody does.
    ranked = sorted(found.values(), key=lambda pair: (pair[0][0], pair[1]["id"] == "criu-unknown", pair[0][1]))
    return [finding for _order, finding in ranked]


def add_to(exc: CheckpointError, container_id: t.Optional[str], since: float, places: Places = Places()) -> None:
    """Give a failed checkpoint what CRIU's log says, while the log is there: containerd's answer only names the file.

    Adds C(criu_log), and puts the log's causes before what the message itself says. A log from before the call is not
    of it.
    """
    now = time.time()
    entries = collect(places, now, max(1.0, now - since + 1.0), now, exc.msg, container_id or "-")
    found = [
        entry
        for entry in entries
        if entry["stage"] == "dump" and entry["diagnosis"] and entry["age_seconds"] <= now - since + 1
    ]
    if not found:
        return
    exc.details["criu_log"] = {"path": found[0]["path"], "errors": found[0]["errors"]}
    explain(exc, found[0])


def explain(exc: CheckpointError, log: t.Mapping[str, t.Any]) -> None:
    """Put what CRIU's log says (C(path), C(diagnosis)) before what a failure's message itself says."""
    known = exc.details.get("diagnosis")
    exc.details["diagnosis"] = merged(log["diagnosis"], known if known is not None else diagnose(exc.msg))
    first = log["diagnosis"][0]
    exc.msg += "\nCRIU's log (%s) says: %s. Remedy: %s." % (
        log["path"],
        first["cause"].rstrip("."),
        first["remedy"].rstrip("."),
    )


def moment(text: t.Optional[str], now: float) -> float:
    """Seconds since the epoch of an RFC 3339 time, a number, or nothing (now)."""
    if not text:
        return now
    try:
        return float(text)
    except ValueError:
        pass
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?", text.strip())
    if match is None:
        raise InputError("%r is no time: write 2026-11-21T13:05:00Z, or seconds since 1970" % text)
    day, clock, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z") else zone[:3] + ":" + zone[-2:]
    clock = clock if clock.count(":") == 2 else clock + ":00"
    try:
        return datetime.datetime.fromisoformat("%sT%s%s" % (day, clock, zone)).timestamp()
    except ValueError as exc:
        raise InputError("%r is no time: %s" % (text, exc)) from exc


def iso(seconds: float) -> str:
    """A moment in writing, UTC."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def journal_command(journalctl: str, at: float, window: float, lines: int) -> t.List[str]:
    """What to run for the runtime's and the kubelet's words around a moment."""
    command = [journalctl, "--no-pager", "--quiet", "--output=short-iso", "--lines=%d" % lines]
    command += ["--since=@%d" % int(at - window), "--until=@%d" % int(at + window + 1)]
    return command + ["--unit=%s.service" % unit for unit in UNITS]


def answer(findings: t.Sequence[Finding], logs: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The answer in words."""
    causes = [finding for finding in findings if finding["kind"] != "wrapper"]
    if causes:
        first = causes[0]
        text = "Cause: %s.\nRemedy: %s." % (first["cause"].rstrip("."), first["remedy"].rstrip("."))
        text += (
            "\nIt may help to simply try again."
            if first["transient"]
            else "\nTrying again without a change does not help."
        )
        text += "\nSeen in: %s" % first["line"]
        if len(causes) > 1:
            text += "\nAlso seen: %s." % "; ".join(finding["cause"].rstrip(".") for finding in causes[1:3])
        return text
    if findings:
        return "Only a message that passes another one on was found: %s. %s." % (
            findings[0]["line"],
            findings[0]["remedy"].rstrip("."),
        )
    if any(log["succeeded"] for log in logs):
        return "Nothing failed: the last log is of a run that worked."
    return (
        "No known message was found. The runtimes delete CRIU's log of a failed restore: set criu_log_dir (role criu)"
        " and try again."
    )
