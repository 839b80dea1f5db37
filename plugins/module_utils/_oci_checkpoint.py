# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an OCI image a checkpoint image: the annotations of its manifest, its platform and its time.

PRIVATE to the collection. Pure functions. Everything comes from inside the archive (and from annotations that the
caller adds), never from the record or the clock: the same archive always becomes the same image.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveContents
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import (
    PODMAN,
    ArchiveIdentity,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, InputError

CRIU_PREFIX = "org.criu.checkpoint."
# The keys by which the runtimes recognise a checkpoint image. They share none, so an image carries both.
CONTAINERD_KEY = CRIU_PREFIX + "container.name"
CRIO_KEY = "io.kubernetes.cri-o.annotations.checkpoint.name"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
CREATED = "org.opencontainers.image.created"

_RESERVED = (CRIU_PREFIX, "io.kubernetes.cri-o.annotations.checkpoint.", "io.podman.", "cdi.k8s.io")
_SANDBOX_IDS = ("io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")


def checkpoint_annotations(contents: ArchiveContents, extra: t.Optional[t.Mapping[str, str]] = None) -> dict[str, str]:
    """The annotations of the manifest. extra: the caller's own, which may not replace the ones that have a meaning."""
    identity = contents.identity
    if identity.engine == PODMAN or not identity.container:
        raise ArchiveError(
            "the archive is not of a Kubernetes container (engine %s); no runtime would restore its image in a pod"
            % identity.engine
        )
    found: dict[str, t.Optional[str]] = {
        CONTAINERD_KEY: identity.container,
        CRIO_KEY: identity.container,
        CRIU_PREFIX + "engine.name": identity.engine,
        CRIU_PREFIX + "pod.name": identity.pod,
        CRIU_PREFIX + "pod.namespace": identity.namespace,
        CRIU_PREFIX + "pod.uid": identity.pod_uid,
        CRIU_PREFIX + "pod.id": _sandbox_id(contents.documents.get("spec.dump")),
        CRIU_PREFIX + "runtime.name": identity.oci_runtime,
        CRIU_PREFIX + "criu.version": identity.criu,
        CRIU_PREFIX + "host.arch": identity.arch,
        CRIU_PREFIX + "host.kernel": identity.kernel,
        CREATED: identity.checkpointed_at,
    }
    found.update(_base_image(identity))
    annotations = dict(_checked_extra(extra or {}))
    for key, value in found.items():
        if value is not None:
            if not _TEXT.fullmatch(value):
                raise ArchiveError("the archive's value for the annotation %s is not printable text" % key)
            annotations[key] = value
    return annotations


def image_machine(contents: ArchiveContents, wanted: t.Optional[str], local: str) -> str:
    """The machine (C(uname -m)) that the image is for: asked for, else from inside the archive, else this one."""
    return wanted or contents.identity.arch or local


def _base_image(identity: ArchiveIdentity) -> dict[str, t.Optional[str]]:
    """The image the container was started from, which a restore needs on the target."""
    name = identity.base_image_name or identity.base_image_requested
    return {
        CRIU_PREFIX + "rootfsImageUserRequested": identity.base_image_requested,
        CRIU_PREFIX + "rootfsImageName": identity.base_image_name,
        CRIU_PREFIX + "rootfsImageSha": identity.base_image_digest,
        CRIU_PREFIX + "rootfsImageID": identity.base_image_id,
        BASE_NAME: name,
        BASE_DIGEST: identity.base_image_digest,
    }


def _sandbox_id(spec: t.Any) -> t.Optional[str]:
    annotations = spec.get("annotations") if isinstance(spec, dict) else None
    for key in _SANDBOX_IDS:
        value = annotations.get(key) if isinstance(annotations, dict) else None
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
            return value
    return None


def _checked_extra(extra: t.Mapping[str, str]) -> t.Mapping[str, str]:
    for key, value in extra.items():
        if key.lower().startswith(_RESERVED) or key in (BASE_NAME, BASE_DIGEST, CREATED):
            raise InputError(
                "annotation %r cannot be set: runtimes give it a meaning, and its value comes from the archive" % key
            )
        if not _TEXT.fullmatch(key) or not isinstance(value, str) or (value and not _TEXT.fullmatch(value)):
            raise InputError("annotation %r is not printable text of at most 4096 characters" % key)
    return extra
