# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node. Makes archives that the lab's runtimes cannot make themselves; what they hold is real, their wrapping is a double.

    archive_double.py runc CONTAINER_ID OUT    a running container of containerd (also 1.7, whose CRI cannot checkpoint),
                                               dumped by the real runc and CRIU, in containerd's layout
    archive_double.py crio IN OUT              a containerd archive in CRI-O's layout: plain diff, deleted.files, bind.mounts,
                                               CRI-O's annotations, no status.dump

crio_double.py calls from_crio: a running container of that double, dumped through the OCI runtime, in CRI-O's layout.
"""

from __future__ import annotations

import datetime
import gzip
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import typing as t

RUNC_ROOT = "/run/containerd/runc/k8s.io"
BUNDLES = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """One regular file."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def whiteout(tar: tarfile.TarFile, directory: str, name: str) -> None:
    add(tar, os.path.join(directory, ".wh." + name), b"")


def upper_of(container_id: str) -> str:
    """Where the writable layer of a container of containerd is."""
    rootfs = os.path.join(BUNDLES, container_id, "rootfs")
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        line = [line for line in stream if " %s " % rootfs in line][0]
    return re.search(r"upperdir=([^,\s]+)", line).group(1)


def diff_of(upper: str) -> bytes:
    """A writable layer as containerd writes it: gzip, OCI whiteouts."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory, names, files in os.walk(upper):
            inside = os.path.relpath(directory, upper)
            inside = "" if inside == "." else inside
            if inside:
                tar.add(directory, inside, recursive=False)
            for name in names + files:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                    whiteout(tar, inside, name)
                elif not stat.S_ISDIR(status.st_mode):
                    tar.add(path, os.path.join(inside, name), recursive=False)
    return gzip.compress(raw.getvalue())


def from_runc(container_id: str, out: str) -> None:
    """Dump a running container and wrap it as containerd 2.x does."""
    work = tempfile.mkdtemp()
    try:
        images = os.path.join(work, "checkpoint")
        subprocess.run(["runc", "--root", RUNC_ROOT, "checkpoint", "--leave-running", "--image-path", images, "--work-path", work,
                        container_id], check=True)
        with open(os.path.join(BUNDLES, container_id, "config.json"), "rb") as stream:
            spec = stream.read()
        notes = json.loads(spec)["annotations"]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        config = {"id": container_id, "name": notes["io.kubernetes.cri.container-name"], "rootfsImageName": notes["io.kubernetes.cri.image-name"],
                  "runtime": "io.containerd.runc.v2", "createdTime": now, "checkpointedTime": now}
        os.umask(0o077)
        with tarfile.open(out, "w") as tar:
            for name in sorted(os.listdir(images)):
                tar.add(os.path.join(images, name), "checkpoint/" + name, recursive=False)
            tar.add(os.path.join(work, "dump.log"), "dump.log")
            add(tar, "spec.dump", spec)
            add(tar, "config.dump", json.dumps(config).encode())
            add(tar, "status.dump", b"{}")
            add(tar, "rootfs-diff.tar", diff_of(upper_of(container_id)))
    finally:
        shutil.rmtree(work)


def from_crio(runtime: "t.Callable[..., str]", container_id: str, config: str, upper: str, out: str, work: str) -> None:
    """Dump a running container of crio_double.py and wrap it as CRI-O does. runtime: calls the OCI runtime with arguments. work: the
    container's directory, where dump.log stays when that failed."""
    images = os.path.join(work, "checkpoint")
    try:
        runtime("checkpoint", "--leave-running", "--image-path", images, "--work-path", work, container_id)
        with open(config, "rb") as stream:
            spec = stream.read()
        notes = json.loads(spec)["annotations"]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        diff, deleted = plain_diff(diff_of(upper))
        os.umask(0o077)
        with tarfile.open(out, "w") as tar:
            for name in sorted(os.listdir(images)):
                tar.add(os.path.join(images, name), "checkpoint/" + name, recursive=False)
            tar.add(os.path.join(work, "dump.log"), "dump.log")
            add(tar, "spec.dump", spec)
            add(tar, "config.dump", json.dumps({
                "id": container_id, "name": "k8s_" + notes["io.kubernetes.container.name"], "rootfsImage": "0" * 64, "rootfsImageRef": "0" * 64,
                "rootfsImageName": notes["io.kubernetes.cri-o.ImageName"], "runtime": "runc", "createdTime": now, "checkpointedTime": now}).encode())
            add(tar, "bind.mounts", json.dumps(bind_mounts(json.loads(spec))).encode())
            add(tar, "rootfs-diff.tar", diff)
            if deleted:
                add(tar, "deleted.files", json.dumps(deleted).encode())
        for name in ("dump.log", "stats-dump"):
            os.unlink(os.path.join(work, name))
    finally:
        shutil.rmtree(images, ignore_errors=True)


def bind_mounts(spec: "dict[str, t.Any]") -> "list[dict[str, t.Any]]":
    """CRI-O's list of bind mounts."""
    return [{"source": mount["source"], "destination": mount["destination"], "file_type": "file", "permissions": 420}
            for mount in spec["mounts"] if mount["type"] == "bind"]


def to_crio(source: str, out: str) -> None:
    """Wrap the same checkpoint as CRI-O does."""
    os.umask(0o077)
    with tarfile.open(source) as given, tarfile.open(out, "w") as tar:
        for member in given:
            if not member.isreg() or member.name in ("status.dump", "status", "container.log"):
                continue
            data = given.extractfile(member).read()
            if member.name == "spec.dump":
                data = crio_spec(data)
                add(tar, "bind.mounts", json.dumps(bind_mounts(json.loads(data))).encode())
            elif member.name == "rootfs-diff.tar":
                data, deleted = plain_diff(data)
                if deleted:
                    add(tar, "deleted.files", json.dumps(deleted).encode())
            elif member.name == "config.dump":
                data = json.dumps(dict(json.loads(data), runtime="runc", rootfsImageRef="0" * 64)).encode()
            add(tar, member.name, data)


def crio_spec(data: bytes) -> bytes:
    """The spec with CRI-O's annotations instead of containerd's."""
    spec = json.loads(data)
    notes = spec["annotations"]
    spec["annotations"] = {
        "io.container.manager": "cri-o",
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.pod.namespace": notes["io.kubernetes.cri.sandbox-namespace"],
        "io.kubernetes.pod.name": notes["io.kubernetes.cri.sandbox-name"],
        "io.kubernetes.pod.uid": notes["io.kubernetes.cri.sandbox-uid"],
        "io.kubernetes.container.name": notes["io.kubernetes.cri.container-name"],
        "io.kubernetes.cri-o.ImageName": notes["io.kubernetes.cri.image-name"],
    }
    return json.dumps(spec).encode()


def plain_diff(data: bytes) -> "tuple[bytes, list[str]]":
    """The diff uncompressed, its whiteouts as a list of paths."""
    deleted = []
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as given, tarfile.open(fileobj=out, mode="w") as tar:
        for member in given:
            base = os.path.basename(member.name)
            if base.startswith(".wh."):
                deleted.append("/" + os.path.join(os.path.dirname(member.name), base[4:]))
                continue
            tar.addfile(member, given.extractfile(member) if member.isreg() else None)
    return out.getvalue(), deleted


if __name__ == "__main__":
    {"runc": from_runc, "crio": to_crio}[sys.argv[1]](sys.argv[2], sys.argv[3])
