# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that clients and pure functions of this collection raise.

PRIVATE to the collection. Nothing below a module's C(main) knows an AnsibleModule: it raises one of
these, and the module turns it into a failed result in one place (C(_module.fail)).
"""

from __future__ import annotations

import typing as t


class CheckpointError(Exception):
    """A failure with a message for people and details for machines.

    msg: what failed, where, why, and what to do about it.
    details: plain JSON types, merged into the module's failed result.
    """

    def __init__(self, msg: str, **details: t.Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.details = details


class InputError(CheckpointError):
    """The caller asked for something that cannot be meant; nothing was touched."""


class ArchiveError(CheckpointError):
    """An archive is incomplete, hostile, or not the one that was asked for."""


class TransportError(CheckpointError):
    """No usable answer: connection, TLS, or a connection that broke on the way."""


class HttpStatusError(CheckpointError):
    """The other side answered with an HTTP status that means failure.

    status: the HTTP status code. body: the answer's text, shortened.
    """

    def __init__(self, msg: str, status: int, body: str = "", **details: t.Any) -> None:
        super().__init__(msg, http_status=status, **details)
        self.status = status
        self.body = body


class DeadlineError(CheckpointError):
    """Our own deadline passed before the work was done."""


class RuntimeToolError(CheckpointError):
    """A tool on the node (crictl, ctr, runc, criu) is missing or failed."""


class RegistryError(CheckpointError):
    """A registry refused, altered or lost what was sent to it."""


class RestoreError(CheckpointError):
    """A restore was refused, failed, or could not be proven."""
