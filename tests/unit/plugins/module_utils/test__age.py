# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipients of age encryption."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _age
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

GOOD = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


def test_good_recipients():
    assert _age.check_recipient("  %s\n" % GOOD) == GOOD
    assert _age.check_recipient("ssh-ed25519 %s me@here" % BLOB) == "ssh-ed25519 %s me@here" % BLOB


@pytest.mark.parametrize("position", range(4, len(GOOD), 7))
def test_one_wrong_letter_is_found(position):
    wrong = GOOD[:position] + ("q" if GOOD[position] != "q" else "p") + GOOD[position + 1 :]
    with pytest.raises(InputError, match="checksum is wrong"):
        _age.check_recipient(wrong)


@pytest.mark.parametrize(
    "text", ["", "me@example.com", "age2x", "ssh-ed25519 !!!", "ssh-rsa " + BLOB, "ssh-ed25519", GOOD.upper()]
)
def test_what_is_no_recipient(text):
    with pytest.raises(InputError, match="neither|not a valid"):
        _age.check_recipient(text)


@pytest.mark.parametrize("text", ["AGE-SECRET-KEY-1ABCDEF", "age-secret-key-1abcdef", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_a_secret_is_refused_and_never_repeated(text):
    with pytest.raises(InputError) as caught:
        _age.check_recipient(text)
    assert "secret identity" in caught.value.msg
    assert "abcdef" not in caught.value.msg.lower()


def test_recipients_file():
    assert _age.parse_recipients("# operators\n\n%s\n ssh-ed25519 %s x\n" % (GOOD, BLOB)) == [
        GOOD,
        "ssh-ed25519 %s x" % BLOB,
    ]
    with pytest.raises(InputError):
        _age.parse_recipients("%s\nwhat\n" % GOOD)


def test_the_program():
    assert _age.find_program(lambda name: "/x/" + name) == "/x/age"
    assert _age.find_program({"rage": "/x/rage"}.get) == "/x/rage"
    with pytest.raises(RuntimeToolError, match="install the package age"):
        _age.find_program(lambda name: None)


def test_trying_out():
    calls = []

    def run(argv, timeout):
        calls.append(list(argv))
        return 1, "", "age: error: unknown plugin\nreport it\n"

    with pytest.raises(InputError, match="/x/age refuses the recipients: age: error: unknown plugin report it"):
        _age.try_out("/x/age", [GOOD, "age1b"], run)
    assert calls == [["/x/age", "-a", "-r", GOOD, "-r", "age1b", "/dev/null"]]
    _age.try_out("/x/age", [GOOD], lambda argv, timeout: (0, "", ""))
