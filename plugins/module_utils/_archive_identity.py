# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose checkpoint an archive is, read from the documents inside it and never from its file name.

PRIVATE to the collection. Pure functions over parsed documents. Values of environment variables are never taken.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError

CONTAINERD = "containerd"
CRIO = "cri-o"
PODMAN = "podman"

_CRI = "io.kubernetes.cri."
_CRIO = "io.kubernetes.cri-o."
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"\) Version: (\S{1,64})")
_RUNNING_ON = re.compile(r"\) Running on \S{1,253} Linux (\S{1,128}) [^\n]{0,256}? (\S{1,32})(?:\n|$)")
_CPU = re.compile(r"\) cpu: x86_family (\d+) x86_vendor_id (\S{1,32}) x86_model_id ([^\n]{1,128})")

JsonDict = t.Dict[str, t.Any]


@dataclass(frozen=True)
class ArchiveIdentity:
    """What an archive says about itself. Times are UTC, C(YYYY-MM-DDTHH:MM:SS[.ffffff]Z); None where it says
    nothing."""

    engine: str
    namespace: t.Optional[str]
    pod: t.Optional[str]
    pod_uid: t.Optional[str]
    container: t.Optional[str]
    container_id: str
    restart_count: t.Optional[int]
    base_image_requested: t.Optional[str]
    base_image_ref: t.Optional[str]
    base_image_name: t.Optional[str]
    base_image_digest: t.Optional[str]
    base_image_id: t.Optional[str]
    oci_runtime: t.Optional[str]
    created_at: t.Optional[str]
    checkpointed_at: t.Optional[str]
    hostname: t.Optional[str]
    tty: bool
    mounts: t.Tuple[JsonDict, ...]
    credentials: JsonDict
    criu: t.Optional[str]
    kernel: t.Optional[str]
    arch: t.Optional[str]
    cpu: t.Optional[str]

    def as_dict(self) -> JsonDict:
        """Plain JSON types."""
        result = dataclasses.asdict(self)
        result["mounts"] = list(self.mounts)
        return result

    def check(self, **expected: t.Optional[str]) -> None:
        """Raise ArchiveError unless every expected field that is not None is what the archive says."""
        wrong = [
            "%s is %r, not %r" % (name.replace("_", " "), getattr(self, name), value)
            for name, value in sorted(expected.items())
            if value is not None and getattr(self, name) != value
        ]
        if wrong:
            raise ArchiveError(
                "the archive is not of the container that was asked for: inside it, %s" % "; ".join(wrong)
            )


def identify(documents: t.Mapping[str, t.Any], dump_log: bytes = b"") -> ArchiveIdentity:
    """Build the identity from C(config.dump), C(spec.dump), C(status.dump) and the head of C(dump.log)."""
    config, spec = _object(documents, "config.dump"), _object(documents, "spec.dump")
    status = _object(documents, "status.dump") if "status.dump" in documents else {}
    annotations = {key: value for key, value in _dict(spec.get("annotations")).items() if isinstance(value, str)}
    engine = _engine(annotations, status)
    container_id = config.get("id")
    if not isinstance(container_id, str) or not _CONTAINER_ID.fullmatch(container_id):
        raise ArchiveError("the archive's config.dump has no container ID of 64 hexadecimal digits")
    process = _dict(spec.get("process"))
    ref = _text(config.get("rootfsImageRef"))
    return ArchiveIdentity(
        engine=engine,
        container_id=container_id,
        base_image_requested=_text(config.get("rootfsImageName")) or _text(config.get("rootfsImage")),
        base_image_ref=ref,
        base_image_name=_text(config.get("rootfsImageName")),
        base_image_digest=_digest(ref) or _digest(annotations.get(_CRIO + "ImageRepoDigests", "").partition(",")[0]),
        base_image_id=ref if ref and re.fullmatch(r"[0-9a-f]{64}", ref) else None,
        oci_runtime=_text(config.get("runtime")),
        created_at=_utc(config.get("createdTime")),
        checkpointed_at=_utc(config.get("checkpointedTime")),
        hostname=_text(spec.get("hostname")) or _hostname(process),
        tty=process.get("terminal") is True,
        mounts=tuple(_mounts(spec)),
        credentials=_credentials(process, _dict(spec.get("linux"))),
        **_names(engine, annotations, status),
        **_machine(dump_log),
    )


def parse_time(text: t.Any) -> t.Optional[datetime.datetime]:
    """An RFC 3339 time as the runtimes write it (up to nanoseconds, any offset) in UTC; None for no or the zero
    time."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    try:
        value = datetime.datetime.fromisoformat(match.group(1))
        value = value.replace(microsecond=int((match.group(2) or "0")[:6].ljust(6, "0")))
        zone = match.group(3)
        if zone != "Z":
            offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            value = value - offset if zone[0] == "+" else value + offset
    except (ValueError, OverflowError):
        return None
    return None if value.year <= 1 else value.replace(tzinfo=datetime.timezone.utc)


def format_time(value: datetime.datetime) -> str:
    """A time in UTC as the record writes it."""
    return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() + "Z"


def _utc(text: t.Any) -> t.Optional[str]:
    value = parse_time(text)
    return format_time(value) if value else None


def _object(documents: t.Mapping[str, t.Any], name: str) -> JsonDict:
    document = documents.get(name)
    if not isinstance(document, dict):
        raise ArchiveError("the archive's %s is not a JSON object" % name)
    return document


def _dict(value: t.Any) -> JsonDict:
    return value if isinstance(value, dict) else {}


def _list(value: t.Any) -> t.List[t.Any]:
    return value if isinstance(value, list) else []


def _text(value: t.Any) -> t.Optional[str]:
    return value if isinstance(value, str) and value else None


def _digest(reference: t.Optional[str]) -> t.Optional[str]:
    """The digest of C(NAME@sha256:…)."""
    digest = (reference or "").rpartition("@")[2]
    return digest if _DIGEST.fullmatch(digest) else None


def _engine(annotations: t.Mapping[str, str], status: t.Mapping[str, t.Any]) -> str:
    manager = annotations.get("io.container.manager")
    if manager == "cri-o":
        return CRIO
    if manager == "libpod":
        return PODMAN
    if manager is None and (status or any(key.startswith(_CRI) for key in annotations)):
        return CONTAINERD
    raise ArchiveError("the archive's spec.dump does not tell which runtime wrote it (containerd, CRI-O or podman)")


def _names(engine: str, annotations: t.Mapping[str, str], status: t.Mapping[str, t.Any]) -> JsonDict:
    if engine == CONTAINERD:
        labels = _dict(status.get("labels"))
        names = {
            "namespace": annotations.get(_CRI + "sandbox-namespace"),
            "pod": annotations.get(_CRI + "sandbox-name"),
            "pod_uid": annotations.get(_CRI + "sandbox-uid") or _text(labels.get("io.kubernetes.pod.uid")),
            "container": annotations.get(_CRI + "container-name"),
        }
        for field, label in (("namespace", "pod.namespace"), ("pod", "pod.name"), ("container", "container.name")):
            stated = _text(labels.get("io.kubernetes." + label))
            if stated and stated != names[field]:
                raise ArchiveError(
                    "the archive contradicts itself: spec.dump says %s %r, status.dump says %r"
                    % (field, names[field], stated)
                )
        restarts = _dict(status.get("annotations")).get("io.kubernetes.container.restartCount")
    else:
        names = {
            "namespace": annotations.get("io.kubernetes.pod.namespace"),
            "pod": annotations.get("io.kubernetes.pod.name"),
            "pod_uid": annotations.get("io.kubernetes.pod.uid"),
            "container": annotations.get("io.kubernetes.container.name"),
        }
        restarts = annotations.get("io.kubernetes.container.restartCount")
    if engine != PODMAN and not (names["namespace"] and names["pod"] and names["container"]):
        raise ArchiveError("the archive's spec.dump does not name the namespace, pod and container it is of")
    names["restart_count"] = (
        int(restarts) if isinstance(restarts, str) and re.fullmatch(r"[0-9]{1,9}", restarts) else None
    )
    return names


def _hostname(process: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """containerd leaves the host name out of the spec, but passes it in the environment. No other variable is looked
    at."""
    for entry in _list(process.get("env")):
        if isinstance(entry, str) and entry.startswith("HOSTNAME="):
            return entry[len("HOSTNAME=") :] or None
    return None


def _mounts(spec: t.Mapping[str, t.Any]) -> t.Iterator[JsonDict]:
    """The bind mounts, which a pod made for the restore must have too."""
    for mount in _list(spec.get("mounts")):
        if not isinstance(mount, dict):
            continue
        options = [option for option in _list(mount.get("options")) if isinstance(option, str)]
        if mount.get("type") == "bind" or "bind" in options or "rbind" in options:
            yield {
                "destination": _text(mount.get("destination")),
                "source": _text(mount.get("source")),
                "read_only": "ro" in options,
            }


def _credentials(process: t.Mapping[str, t.Any], linux: t.Mapping[str, t.Any]) -> JsonDict:
    """What the spec granted the container's first process; the restored one will hold the same."""
    user = _dict(process.get("user"))
    capabilities = _dict(process.get("capabilities"))
    return {
        "uid": user.get("uid", 0),
        "gid": user.get("gid", 0),
        "additional_gids": _list(user.get("additionalGids")),
        "capabilities": {key: sorted(str(cap) for cap in _list(value)) for key, value in sorted(capabilities.items())},
        "no_new_privileges": process.get("noNewPrivileges") is True,
        "seccomp": bool(linux.get("seccomp")),
        "apparmor_profile": _text(process.get("apparmorProfile")),
        "selinux_label": _text(process.get("selinuxLabel")),
        "rlimits": [limit for limit in _list(process.get("rlimits")) if isinstance(limit, dict)],
        "user_namespace": any(_dict(entry).get("type") == "user" for entry in _list(linux.get("namespaces"))),
    }


def _machine(dump_log: bytes) -> JsonDict:
    """Where and with what it was dumped: the first lines of C(dump.log)."""
    text = dump_log.decode("utf-8", "replace")
    version, running, cpu = _VERSION.search(text), _RUNNING_ON.search(text), _CPU.search(text)
    return {
        "criu": version.group(1) if version else None,
        "kernel": running.group(1) if running else None,
        "arch": running.group(2) if running else None,
        "cpu": "%s family %s %s" % (cpu.group(2), cpu.group(1), cpu.group(3).strip()) if cpu else None,
    }
