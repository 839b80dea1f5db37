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

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RegistryError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer, Body
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import sha256_digest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry

# What a request for a blob accepts; nothing else that this collection sends does, token requests least of all.
_BLOB = "application/octet-stream"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_MAX_PAGES = 1000

JsonDict = t.Dict[str, t.Any]


class HashingSend:
    """A transport that hashes the bodies of blobs instead of returning them. send: the real one; takes C(sink)."""

    def __init__(self, send: t.Callable[..., Answer]) -> None:
        self._send = send
        self.digest = ""
        self.size = 0

    def __call__(self, method: str, url: str, headers: t.Mapping[str, str], body: Body) -> Answer:
        if method != "GET" or headers.get("Accept") != _BLOB:
            return self._send(method, url, headers, body)
        # Fresh for every attempt: what a broken one brought counts for nothing.
        total = hashlib.sha256()
        size = 0

        def sink(block: bytes) -> None:
            nonlocal size
            total.update(block)
            size += len(block)

        answer = self._send(method, url, headers, body, sink=sink)
        self.digest, self.size = "sha256:" + total.hexdigest(), size
        return answer


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
    }


def _blob(descriptor: t.Any) -> JsonDict:
    digest, size = descriptor["digest"], descriptor["size"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int):
        raise ValueError(digest)
    return {"digest": digest, "size": size}


def verify(registry: Registry, send: HashingSend, image: JsonDict) -> None:
    """Read every blob to its end; RegistryError unless each is what the manifest says. registry must use send."""
    for blob in image["blobs"]:
        what = "reading blob %s back" % blob["digest"][:19]
        registry.call(what, "GET", registry.url("blobs/" + blob["digest"]), ok=(200,), headers={"Accept": _BLOB})
        if (send.digest, send.size) != (blob["digest"], blob["size"]):
            raise RegistryError(
                "%s: registry %s has %d bytes with the digest %s, and the manifest says %d bytes with the digest %s:"
                " what it stores is damaged" % (what, registry.host, send.size, send.digest, blob["size"], blob["digest"])
            )
    image["verified"] = True
