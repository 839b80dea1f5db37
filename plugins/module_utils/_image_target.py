# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an image is put: the interface, a registry behind it, and the rehearsal that check mode uses.

PRIVATE to the collection. A target shows nothing of an image before C(publish).
"""

from __future__ import annotations

import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_upload import (
    BlobUpload,
    BlobWriter,
)


class Writer(t.Protocol):
    """Takes a blob whose digest is known at its end."""

    def write(self, block: bytes) -> None:
        """The next bytes."""

    def finish(self, digest: str) -> None:
        """The blob is over and has this digest."""

    def abort(self) -> None:
        """Forget the blob."""


class Target(t.Protocol):
    """A place for images."""

    # Whether a blob that is there already need not be sent again.
    keeps_blobs: bool
    bytes_sent: int

    def manifest(self) -> t.Optional[bytes]:
        """The manifest that is there now under the image's name."""

    def blob_size(self, digest: str) -> t.Optional[int]:
        """The size of a blob that is there; -1 if it is there and the size is not known."""

    def writer(self, total: t.Optional[int]) -> Writer:
        """Begin a blob (of this size, if it is known), or continue the one that was interrupted."""

    def put_blob(self, content: bytes, digest: str) -> None:
        """Put a small blob."""

    def publish(self, manifest: bytes, digest: str) -> None:
        """Make the image visible under its name."""

    def abort(self) -> None:
        """Nothing will be published."""


class RegistryTarget:
    """A tag in a repository of a registry."""

    keeps_blobs = True

    def __init__(self, registry: Registry, tag: str, chunk_size: int) -> None:
        self._registry = registry
        self._tag = tag
        self._chunk_size = chunk_size
        self._uploads: list[BlobUpload] = []
        self._small = 0

    @property
    def bytes_sent(self) -> int:
        """Bytes of blobs and manifests that went over the network, repeated ones counted again."""
        return self._small + sum(upload.bytes_sent for upload in self._uploads)

    def manifest(self) -> t.Optional[bytes]:
        return self._registry.manifest(self._tag)

    def blob_size(self, digest: str) -> t.Optional[int]:
        return self._registry.blob_size(digest)

    def writer(self, total: t.Optional[int]) -> BlobWriter:
        if not (self._uploads and self._uploads[-1].interrupted):
            self._uploads.append(BlobUpload(self._registry, self._chunk_size, total))
        return BlobWriter(self._uploads[-1])

    def put_blob(self, content: bytes, digest: str) -> None:
        self._registry.put_blob(content)
        self._small += len(content)

    def publish(self, manifest: bytes, digest: str) -> None:
        self._registry.put_manifest(self._tag, manifest)
        self._small += len(manifest)

    def abort(self) -> None:
        """Give up a session that was left open to be continued."""
        if self._uploads and self._uploads[-1].interrupted:
            self._uploads[-1].cancel()


class Rehearsal:
    """Check mode: looks into the real target, but only counts what would be sent."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.keeps_blobs = target.keeps_blobs
        self.bytes_sent = 0

    def manifest(self) -> t.Optional[bytes]:
        return self._target.manifest()

    def blob_size(self, digest: str) -> t.Optional[int]:
        return self._target.blob_size(digest)

    def writer(self, total: t.Optional[int]) -> Writer:
        return self

    def write(self, block: bytes) -> None:
        self.bytes_sent += len(block)

    def finish(self, digest: str) -> None:
        """Nothing was sent."""

    def abort(self) -> None:
        """Nothing was sent."""

    def put_blob(self, content: bytes, digest: str) -> None:
        self.bytes_sent += len(content)

    def publish(self, manifest: bytes, digest: str) -> None:
        self.bytes_sent += len(manifest)
