# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OCI image documents as bytes: configuration, manifest and the index of an image layout.

PRIVATE to the collection. Pure functions. Every document is written in one canonical form (sorted keys, no white
space), so that the same input always has the same digest.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER_TYPES = {"none": LAYER_TYPE, "gzip": LAYER_TYPE + "+gzip", "zstd": LAYER_TYPE + "+zstd"}
REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'

# uname -m -> (architecture, variant) as the OCI image specification (Go) names them.
_ARCHITECTURES = {
    "x86_64": ("amd64", None),
    "amd64": ("amd64", None),
    "aarch64": ("arm64", None),
    "arm64": ("arm64", None),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "arm": ("arm", "v7"),
    "ppc64le": ("ppc64le", None),
    "s390x": ("s390x", None),
    "riscv64": ("riscv64", None),
    "loongarch64": ("loong64", None),
    "loong64": ("loong64", None),
    "mips64": ("mips64", None),
}


@dataclass(frozen=True)
class Descriptor:
    """What one document says of another: media type, digest and size."""

    media_type: str
    digest: str
    size: int

    def as_dict(self) -> dict[str, t.Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        return cls(media_type, sha256_digest(content), len(content))


def sha256_digest(content: bytes) -> str:
    """The digest of a document, C(sha256:…)."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical(document: t.Any) -> bytes:
    """The one way in which this collection writes JSON that has a digest."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def platform_of(machine: str) -> tuple[str, t.Optional[str]]:
    """Architecture and variant of the image configuration for a machine name (C(x86_64), C(aarch64), …)."""
    try:
        return _ARCHITECTURES[machine]
    except KeyError:
        raise InputError(
            "no OCI architecture is known for the machine name %r; known are %s"
            % (machine, ", ".join(sorted(_ARCHITECTURES)))
        ) from None


def image_config(machine: str, created: t.Optional[str], diff_id: str) -> bytes:
    """The image configuration: a platform and one layer. The container's own command is in the archive, not here."""
    architecture, variant = platform_of(machine)
    config: dict[str, t.Any] = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    if variant:
        config["variant"] = variant
    if created:
        config["created"] = created
    return canonical(config)


def image_manifest(config: bytes, layer: Descriptor, annotations: t.Mapping[str, str]) -> bytes:
    """The manifest: one configuration, one layer, and the annotations by which runtimes recognise a checkpoint."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": Descriptor.of(CONFIG_TYPE, config).as_dict(),
            "layers": [layer.as_dict()],
            "annotations": dict(annotations),
        }
    )


def single_layer(manifest: bytes) -> t.Optional[Descriptor]:
    """The layer of a manifest that has exactly one; None if this is not such a manifest (whatever else it is)."""
    try:
        document = json.loads(manifest)
        layers = document["layers"]
        layer = layers[0]
        found = Descriptor(layer["mediaType"], layer["digest"], layer["size"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    plain = isinstance(found.media_type, str) and isinstance(found.digest, str) and isinstance(found.size, int)
    return found if len(layers) == 1 and plain else None


def index_entries(index: bytes) -> list[dict[str, t.Any]]:
    """The manifests named by the C(index.json) of an image layout."""
    try:
        document = json.loads(index)
        entries = document.get("manifests") or []
        if document.get("schemaVersion") != 2 or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("not an OCI image index")
    except (ValueError, AttributeError, TypeError) as exc:
        raise InputError("index.json of the image layout cannot be used: %s" % exc) from exc
    return entries


def index_lookup(index: bytes, ref_name: t.Optional[str]) -> t.Optional[str]:
    """The digest of the manifest that the index has under ref_name (None: without a name)."""
    for entry in index_entries(index):
        if _ref_name(entry) == ref_name and isinstance(entry.get("digest"), str):
            return t.cast(str, entry["digest"])
    return None


def index_with(index: t.Optional[bytes], manifest: Descriptor, ref_name: t.Optional[str]) -> bytes:
    """An index that has the manifest under ref_name, and keeps what the old index had under other names."""
    entry = manifest.as_dict()
    if ref_name:
        entry["annotations"] = {REF_NAME: ref_name}
    kept = [old for old in index_entries(index) if _ref_name(old) != ref_name] if index is not None else []
    return canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": kept + [entry]})


def _ref_name(entry: dict[str, t.Any]) -> t.Optional[str]:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None
