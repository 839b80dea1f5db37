# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipients of age encryption: what one looks like, and the program that encrypts for them.

PRIVATE to the collection. The checks are pure and need no program: a mistyped key is found before anything is read.
"""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SSH = ("ssh-ed25519", "ssh-rsa")
_TRY_SECONDS = 30.0


def check_recipient(recipient: str) -> str:
    """Return the recipient without surrounding blanks, or raise InputError that says what is wrong with it."""
    text = recipient.strip()
    if text.upper().startswith(("AGE-SECRET-KEY-", "AGE-PLUGIN-")) or "PRIVATE KEY" in text:
        # Never repeated in a message.
        raise InputError(
            "one of the recipients is a secret identity, not a public recipient; give what age-keygen -y prints for it,"
            " and treat the identity as exposed"
        )
    if text.startswith("age1"):
        if not _bech32_ok(text):
            raise InputError(
                "recipient %s is not a valid age recipient: its checksum is wrong; was it mistyped?" % text
            )
        return text
    if text.startswith(_SSH):
        return _check_ssh(text)
    raise InputError("recipient %.40s is neither an age recipient (age1…) nor an ssh-ed25519 or ssh-rsa key" % text)


def parse_recipients(text: str) -> t.List[str]:
    """The recipients of a recipients file: one a line, C(#) begins a comment line."""
    lines = (line.strip() for line in text.splitlines())
    return [check_recipient(line) for line in lines if line and not line.startswith("#")]


def find_program(find: t.Callable[[str], t.Optional[str]]) -> str:
    """The path of age or rage, or RuntimeToolError."""
    program = find("age") or find("rage")
    if program is None:
        raise RuntimeToolError(
            "the archive is to be encrypted, and neither age nor rage is installed here: install the package age (or"
            " rage)"
        )
    return program


def arguments(recipients: t.Sequence[str]) -> t.List[str]:
    """The program's arguments that encrypt for these recipients."""
    return [word for recipient in recipients for word in ("-r", recipient)]


def try_out(
    program: str, recipients: t.Sequence[str], run: t.Callable[[t.Sequence[str], float], t.Tuple[int, str, str]]
) -> None:
    """Encrypt nothing for these recipients; InputError if the program refuses them."""
    rc, dummy, stderr = run([program, "-a", *arguments(recipients), "/dev/null"], _TRY_SECONDS)
    if rc != 0:
        words = " ".join(line.strip() for line in stderr.splitlines() if line.strip())[:500]
        raise InputError("%s refuses the recipients: %s" % (program, words or "exit status %d" % rc))


def _bech32_ok(text: str) -> bool:
    """Whether the checksum of BIP 173 is right. age has no limit on the length."""
    prefix, dummy, data = text.rpartition("1")
    if text != text.lower() or len(data) < 7 or any(char not in _CHARSET for char in data):
        return False
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = 1
    for value in values + [_CHARSET.index(char) for char in data]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= term
    return check == 1


def _check_ssh(text: str) -> str:
    kind, dummy, rest = text.partition(" ")
    blob = rest.strip().split(" ", 1)[0]
    try:
        raw = base64.b64decode(blob, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    name = kind.encode("utf-8", "replace")
    if kind not in _SSH or not raw.startswith(len(name).to_bytes(4, "big") + name):
        raise InputError("recipient %.60s is not a valid ssh public key" % text)
    return text
