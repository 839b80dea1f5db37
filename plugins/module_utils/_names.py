# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that go into URLs and paths: DNS-1123 checks and image references.

PRIVATE to the collection. Pure functions. Every path component of a kubelet or API URL passes through here first,
so that C(../), C(#) or C(%2f) in a name can never address something else.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError

# Kubernetes: apimachinery validation, IsDNS1123Label and IsDNS1123Subdomain.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_MAX = 63
_SUBDOMAIN_MAX = 253

# OCI distribution spec, "Pulling manifests": name and reference grammar.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(r"%s(?:/%s)*" % (_COMPONENT, _COMPONENT))
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


def check_label(value: str, what: str) -> str:
    """Return value if it is a DNS-1123 label (namespaces, containers), else raise InputError naming C(what)."""
    if len(value) <= _LABEL_MAX and _LABEL.fullmatch(value):
        return value
    raise InputError(
        "%s %r is not a DNS-1123 label: use at most %d lower-case letters, digits and '-', "
        "beginning and ending with a letter or digit" % (what, value, _LABEL_MAX)
    )


def check_subdomain(value: str, what: str) -> str:
    """Return value if it is a DNS-1123 subdomain (pods, nodes), else raise InputError naming C(what)."""
    if value and len(value) <= _SUBDOMAIN_MAX and all(_LABEL.fullmatch(part) for part in value.split(".")):
        return value
    raise InputError(
        "%s %r is not a DNS-1123 subdomain: use at most %d lower-case letters, digits, '-' and '.', "
        "each part beginning and ending with a letter or digit" % (what, value, _SUBDOMAIN_MAX)
    )


@dataclass(frozen=True)
class ImageReference:
    """An image reference: registry host (empty if none was given), repository, and tag and/or digest."""

    host: str
    repository: str
    tag: t.Optional[str] = None
    digest: t.Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse C(host[:port]/repository[:tag][@sha256:…]); raise InputError saying which part is wrong."""
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise InputError("image %r: the digest %r is not 'sha256:' and 64 hexadecimal digits" % (text, digest))
        host, slash, path = rest.partition("/")
        # As the docker reference grammar decides: a first component is a host if it looks like one.
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            host, path = "", rest
        elif not _HOST.fullmatch(host):
            raise InputError("image %r: %r is not a registry host" % (text, host))
        repository, colon, tag = path.partition(":")
        if not _REPOSITORY.fullmatch(repository):
            raise InputError("image %r: the repository %r is not a valid name (lower-case path components)" % (text, repository))
        if colon and not _TAG.fullmatch(tag):
            raise InputError("image %r: the tag %r is not valid" % (text, tag))
        return cls(host=host, repository=repository, tag=tag or None, digest=digest or None)

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return "%s/%s" % (self.host, self.repository) if self.host else self.repository

    def __str__(self) -> str:
        text = self.name
        if self.tag:
            text += ":" + self.tag
        if self.digest:
            text += "@" + self.digest
        return text

    def with_digest(self, digest: str) -> ImageReference:
        """The same name, pinned by digest and without tag."""
        return ImageReference(self.host, self.repository, None, digest)
