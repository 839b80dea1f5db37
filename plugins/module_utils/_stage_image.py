# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A staged archive's bytes out of a checkpoint image: from a registry, or from an OCI layout in a directory of the node.

PRIVATE to the collection. The image's digest decides: the manifest must have it, the manifest names the configuration and the
layer, the configuration names the digest of the archive. Nothing of it is written anywhere but into the staging entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import RunWithPipes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._decompress import make_decompressor
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    InputError,
    RegistryError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import open_regular
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    Descriptor,
    sha256_digest,
    single_layer,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_source import Feed, Sink

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_DOCUMENT = 4 * 1024 * 1024
_BLOCK = 256 * 1024


@dataclass(frozen=True)
class CheckpointImage:
    """What a checkpoint image says about itself: its one layer, how that is compressed, and the archive's digest."""

    reference: str
    layer: Descriptor
    compression: str
    archive_sha256: str


class Store(t.Protocol):
    """Where the image is: a repository of a registry (C(_registry.Registry)) or a layout."""

    def manifest(self, digest: str) -> t.Optional[bytes]:
        """The manifest's bytes, None if it is not there."""

    def stream(self, digest: str, sink: Sink) -> None:
        """Give a blob to the sink."""


def look(store: Store, reference: ImageReference) -> CheckpointImage:
    """Read manifest and configuration, each checked against the digest that names it."""
    digest = reference.digest
    if not digest:
        raise InputError("the checkpoint image %s is not given by digest (name@sha256:…)" % reference)
    manifest = store.manifest(digest)
    if manifest is None:
        raise RegistryError("there is no image %s" % reference)
    if sha256_digest(manifest) != digest:
        raise ArchiveError(
            "the manifest of %s has the digest %s: it was changed" % (reference, sha256_digest(manifest))
        )
    layer = single_layer(manifest)
    if layer is None or not _DIGEST.fullmatch(layer.digest):
        raise ArchiveError("%s is no checkpoint image: it does not have exactly one layer" % reference)
    config = _config(store, manifest, reference)
    diff_ids = (config.get("rootfs") or {}).get("diff_ids") if isinstance(config.get("rootfs"), dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != 1 or not _DIGEST.fullmatch(str(diff_ids[0])):
        raise ArchiveError("the configuration of %s does not name the digest of its one layer" % reference)
    suffix = layer.media_type.rpartition(".")[2].rpartition("+")[2]
    compression = {"gzip": "gzip", "zstd": "zstd", "tar": "none"}.get(suffix)
    if compression is None:
        raise ArchiveError(
            "the layer of %s has the media type %s, which is not known here" % (reference, layer.media_type[:100])
        )
    return CheckpointImage(str(reference), layer, compression, diff_ids[0].partition(":")[2])


def _config(store: Store, manifest: bytes, reference: ImageReference) -> t.Dict[str, t.Any]:
    try:
        digest = json.loads(manifest)["config"]["digest"]
    except (ValueError, KeyError, TypeError):
        digest = None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ArchiveError("the manifest of %s names no configuration" % reference)
    content = bytearray()

    def take(block: bytes) -> None:
        content.extend(block)
        if len(content) > _MAX_DOCUMENT:
            raise ArchiveError("the configuration of %s is too large" % reference)

    store.stream(digest, take)
    if sha256_digest(bytes(content)) != digest:
        raise ArchiveError("the configuration of %s does not have the digest %s: it was changed" % (reference, digest))
    try:
        config = json.loads(content)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise ArchiveError("the configuration of %s is not a JSON object" % reference)
    return config


def feed_from(
    store: Store, image: CheckpointImage, find: t.Callable[[str], t.Optional[str]], run: RunWithPipes
) -> Feed:
    """The archive in the image's layer. find and run: for the program zstd, where the layer needs it."""

    def feed(sinks: t.Sequence[Sink]) -> None:
        def give(block: bytes) -> None:
            for sink in sinks:
                sink(block)

        decoder = make_decompressor(image.compression, give, "the layer of %s" % image.reference, find, run)
        digest = hashlib.sha256()
        size = 0

        def take(block: bytes) -> None:
            nonlocal size
            size += len(block)
            if size > image.layer.size:
                raise ArchiveError("the layer of %s is larger than its manifest says" % image.reference)
            digest.update(block)
            decoder.write(block)

        try:
            store.stream(image.layer.digest, take)
        except BaseException:
            decoder.abort()
            raise
        decoder.close()
        if "sha256:" + digest.hexdigest() != image.layer.digest:
            raise ArchiveError(
                "the layer of %s does not have the digest %s: it was changed" % (image.reference, image.layer.digest)
            )

    return feed


class LayoutStore:
    """An OCI image layout in a directory."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _blob(self, digest: str) -> t.BinaryIO:
        return open_regular(os.path.join(self._path, "blobs", "sha256", digest.partition(":")[2]))

    def manifest(self, digest: str) -> t.Optional[bytes]:
        try:
            with self._blob(digest) as stream:
                return stream.read(_MAX_DOCUMENT)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ArchiveError("the image layout %s cannot be read: %s" % (self._path, exc.strerror or exc)) from None

    def stream(self, digest: str, sink: Sink) -> None:
        try:
            stream = self._blob(digest)
        except OSError as exc:
            raise ArchiveError(
                "blob %s of the image layout %s: %s" % (digest[:19], self._path, exc.strerror or exc)
            ) from None
        with stream:
            while True:
                block = stream.read(_BLOCK)
                if not block:
                    return
                sink(block)
