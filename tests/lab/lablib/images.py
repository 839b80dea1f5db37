# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container images of the lab, made of the files of Debian's packages: no image is fetched from anywhere.

Same packages, same bytes: the layers have sorted names, no times and no owners.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import typing as t

from . import rootfs, shell, state
from .errors import LabError

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DIRECTORIES = ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "var", "root", "run")
_IDENTITY = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Image(t.NamedTuple):
    """An image ready to be pushed."""

    name: str
    tag: str
    manifest: bytes
    blobs: dict[str, bytes]  # digest -> content
    media_type: str = _MANIFEST


class Tree:
    """The files of a layer in the making."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        for name in _DIRECTORIES:
            self._add(name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)

    def _add(self, name: str, kind: bytes, content: bytes = b"", mode: int = 0o644, target: str = "") -> None:
        name = name.strip("/")
        parent = os.path.dirname(name)
        if parent and parent not in self.entries:
            self._add(parent, tarfile.DIRTYPE, mode=0o755)
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.linkname = kind, mode, len(content), target
        self.entries[name] = (info, content)

    def directory(self, name: str) -> None:
        """Add an empty directory."""
        self._add(name, tarfile.DIRTYPE, mode=0o755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(name, tarfile.REGTYPE, content, mode)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, tarfile.SYMTYPE, target=target, mode=0o777)

    def copy(self, root: str, path: str) -> None:
        """Add a file of a root file system, following links that lie inside it."""
        real = resolve(root, path)
        with open(f"{root}{real}", "rb") as stream:
            self.file(path, stream.read(), os.stat(f"{root}{real}").st_mode & 0o777)

    def tar(self) -> bytes:
        """The layer, uncompressed."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(self.entries):
                info, content = self.entries[name]
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()


def resolve(root: str, path: str) -> str:
    """A path inside a root file system with all links resolved inside it."""
    done = ""
    todo = path.strip("/").split("/")
    for _step in range(200):
        if not todo:
            return done
        part = todo.pop(0)
        here = f"{done}/{part}"
        if os.path.islink(f"{root}{here}"):
            target = os.readlink(f"{root}{here}")
            if target.startswith("/"):
                done = ""
            todo = os.path.normpath(target).strip("/").split("/") + todo
        elif part == "..":
            done = os.path.dirname(done)
        else:
            done = here
    raise LabError(f"too many links in {path}")


def digest(data: bytes) -> str:
    """As registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def architecture(machine: str) -> str:
    """The name that images use for what C(uname -m) says."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def assemble(name: str, tag: str, layer: bytes, config: dict[str, t.Any], machine: str) -> Image:
    """One layer and its configuration as an OCI image."""
    packed = gzip.compress(layer, compresslevel=1, mtime=0)
    document = {
        "architecture": architecture(machine),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created_by": "container-checkpoint-lab"}],
    }
    described = json.dumps(document, sort_keys=True).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest(described), "size": len(described)},
        "layers": [{"mediaType": _LAYER, "digest": digest(packed), "size": len(packed)}],
    }
    encoded = json.dumps(manifest, sort_keys=True).encode()
    return Image(name, tag, encoded, {digest(packed): packed, digest(described): described})


def _busybox(lower: str) -> tuple[bytes, list[str]]:
    """The program and the names of its tools."""
    with shell.scratch_directory(state.cache_dir()) as directory:
        shell.run(["dpkg-deb", "-x", rootfs.deb(lower, "busybox-static"), directory])
        program = resolve_any(directory, ("/usr/bin/busybox", "/bin/busybox"))
        applets = [name for name in shell.output([program, "--list"]).split() if name != "busybox"]
        with open(program, "rb") as stream:
            return stream.read(), applets


def resolve_any(root: str, paths: t.Sequence[str]) -> str:
    """The first of these files that exists."""
    for path in paths:
        if os.path.isfile(f"{root}{path}"):
            return f"{root}{path}"
    raise LabError(f"none of {', '.join(paths)} is in {root}")


def _base() -> Tree:
    tree = Tree()
    for path, text in _IDENTITY.items():
        tree.file(path, text.encode())
    return tree


def busybox(lower: str, machine: str) -> Image:
    """A shell and its tools, for loops and for looking around."""
    (program, applets), tree = _busybox(lower), _base()
    tree.file("bin/busybox", program, 0o755)
    for applet in applets:
        tree.link(f"bin/{applet}", "busybox")
    return assemble("busybox", "1", tree.tar(), {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, machine)


def pause(lower: str, machine: str) -> Image:
    """The pod's own container: does nothing."""
    tree = _base()
    tree.file("bin/busybox", _busybox(lower)[0], 0o755)
    return assemble("pause", "1", tree.tar(), {"Entrypoint": ["/bin/busybox", "sleep", "infinity"]}, machine)


def counter(lower: str, machine: str) -> Image:
    """The counting service on the smallest Python that Debian has."""
    listing = f"{lower}/var/lib/dpkg/info"
    version = next((m[1] for m in map(re.compile(r"(python3\.\d+)-minimal\.list").fullmatch, os.listdir(listing)) if m), "")
    if not version:
        raise LabError(f"there is no Python in {lower}")
    tree = _base()
    linked = shell.output(["unshare", "--mount", "chroot", lower, "ldd", f"/usr/bin/{version}"])
    for library in sorted(set(re.findall(r"(/\S+) \(0x", linked))):
        tree.copy(lower, library)
    tree.copy(lower, f"/usr/bin/{version}")
    tree.link("usr/bin/python3", version)
    names = [name for name in os.listdir(listing) if re.fullmatch(rf"lib{re.escape(version)}-minimal(:\w+)?\.list", name)]
    for path in shell.read_text(f"{listing}/{names[0]}").split("\n"):
        if path.endswith(".py") and path.startswith(f"/usr/lib/{version}/"):
            tree.copy(lower, path)
    with open(f"{_HERE}/images/counter.py", "rb") as stream:
        tree.file("app/counter.py", stream.read())
    tree.directory(f"usr/lib/{version}/lib-dynload")  # where Python looks for its own place; everything needed is built in
    config = {
        "Entrypoint": ["/usr/bin/python3", "-I", "-S", "/app/counter.py"],
        "Env": ["PATH=/usr/bin:/bin", "PORT=8080", "MEMORY_MIB=16"],
        "ExposedPorts": {"8080/tcp": {}},
    }
    return assemble("counter", "1", tree.tar(), config, machine)


_RECIPES = {"busybox": busybox, "pause": pause, "counter": counter}


def recipe_key(lower: str) -> str:
    """Images are made anew when their root file system or this recipe changes."""
    sources = [os.path.basename(lower)]
    for path in (os.path.abspath(__file__), f"{_HERE}/images/counter.py"):
        sources.append(shell.read_text(path))
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:12]


def ensure(lower: str, say: t.Callable[[str], None]) -> list[Image]:
    """All images, from the cache where they are there."""
    directory = f"{state.cache_dir()}/images/{recipe_key(lower)}"
    if not os.path.isdir(directory):
        say("building the workload images")
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        shell.sweep(os.path.dirname(directory))
        with shell.fresh_directory(directory) as fresh:
            for recipe in _RECIPES.values():
                _save(fresh, recipe(lower, os.uname().machine))
    return [_load(directory, name) for name in _RECIPES]


def _save(directory: str, image: Image) -> None:
    place = f"{directory}/{image.name}"
    shell.write_file(f"{place}/manifest.json", image.manifest)
    for number, content in image.blobs.items():
        shell.write_file(f"{place}/{number.replace(':', '-')}", content)


def _load(directory: str, name: str) -> Image:
    place = f"{directory}/{name}"
    blobs = {}
    for file in sorted(os.listdir(place)):
        if file.startswith("sha256-"):
            with open(f"{place}/{file}", "rb") as stream:
                blobs[file.replace("-", ":", 1)] = stream.read()
    with open(f"{place}/manifest.json", "rb") as stream:
        return Image(name, "1", stream.read(), blobs)
