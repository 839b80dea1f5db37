# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read images back from a registry: tags, manifests, and, to prove them, every byte of every blob.

PRIVATE to the collection. Only reads. Blobs pass through a hash and are kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from urllib.parse import urljoin

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveScanner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_privileges import (
    PrivilegeReader,
    as_dict,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._compress import RunWithPipes
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, RegistryError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import sha256_digest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._stage_image import feed_from, look

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_MAX_PAGES = 1000

JsonDict = t.Dict[str, t.Any]


def list_tags(registry: Registry) -> t.List[str]:
    """All tags of the repository, sorted; none if the registry does not know the repository."""
    found: t.Set[str] = set()
    url = registry.url("tags/list?n=1000")
    for dummy in range(_MAX_PAGES):
        answer = registry.call("listing the tags", "GET", url, ok=(200, 404))
        if answer.status == 404:
            break
        try:
            found.update(str(tag) for tag in json.loads(answer.body).get("tags") or [])
        except (ValueError, AttributeError, TypeError):
            raise RegistryError("registry %s answers with something that is no list of tags" % registry.host) from None
        following = _NEXT.search(answer.headers.get("link", ""))
        if not following:
            break
        url = registry.target(urljoin(url, following.group(1)), url, "listing the tags")
    return sorted(found)


def describe(registry: Registry, reference: str) -> t.Optional[JsonDict]:
    """What the manifest under a tag or digest says; None if there is none. Asked for by a digest, it must have it."""
    manifest = registry.manifest(reference)
    if manifest is None:
        return None
    digest = sha256_digest(manifest)
    if reference.startswith("sha256:") and digest != reference:
        raise RegistryError(
            "registry %s answers with manifest %s where %s was asked for: what it stores is damaged"
            % (registry.host, digest, reference)
        )
    try:
        document = json.loads(manifest)
        blobs = [_blob(one) for one in [document["config"], *document["layers"]]]
        annotations = {str(key): str(value) for key, value in (document.get("annotations") or {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RegistryError(
            "%s in registry %s is no image manifest" % (reference, registry.host)
        ) from None
    return {
        "tag": None if reference.startswith("sha256:") else reference,
        "digest": digest,
        "bytes": sum(blob["size"] for blob in blobs),
        "blobs": blobs,
        "annotations": annotations,
        "verified": None,
        "privileges": None,
    }


def _blob(descriptor: t.Any) -> JsonDict:
    digest, size = descriptor["digest"], descriptor["size"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int):
        raise ValueError(digest)
    return {"digest": digest, "size": size}


def verify(registry: Registry, image: JsonDict) -> None:
    """Read every blob to its end; RegistryError unless each is what the manifest says."""
    for blob in image["blobs"]:
        _read_back(registry, blob["digest"], blob["size"])
    image["verified"] = True


def privileges(
    registry: Registry, image: str, find: t.Callable[[str], t.Optional[str]], run: RunWithPipes
) -> JsonDict:
    """What the processes in the checkpoint may do, out of the archive in the image's layer; every digest is compared."""
    found = look(registry, ImageReference.parse(image))
    scanner, reader, total = ArchiveScanner(), PrivilegeReader(), hashlib.sha256()
    feed_from(registry, found, find, run)([total.update, scanner.feed, reader.feed])
    if total.hexdigest() != found.archive_sha256:
        raise ArchiveError("the archive in %s does not have the digest that its configuration says: it was changed" % image)
    scanner.finish()
    return as_dict(reader.images())


def _read_back(registry: Registry, digest: str, expected: int) -> None:
    total = hashlib.sha256()
    size = 0

    def fault(more: str) -> RegistryError:
        return RegistryError(
            "reading blob %s back: registry %s has %s%d bytes with the digest %s, and the manifest says %d bytes with the"
            " digest %s: what it stores is damaged"
            % (digest[:19], registry.host, more, size, "sha256:" + total.hexdigest(), expected, digest)
        )

    def take(block: bytes) -> None:
        nonlocal size
        size += len(block)
        total.update(block)
        if size > expected:
            raise fault("at least ")

    registry.stream(digest, take)
    if (size, "sha256:" + total.hexdigest()) != (expected, digest):
        raise fault("")
