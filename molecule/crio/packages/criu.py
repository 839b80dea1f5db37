# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of CRIU for the role kernel: its kernel lacks rseq until the node was booted after the kernel's installation.

The kernel's package wrote down in which boot it was installed. /var/lib/kernel-double/bad makes any kernel a bad one.
"""

import os
import sys


def text(path):
    """A file's text, or nothing."""
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def main(words):
    """--version, check, check --feature NAME."""
    with open("/var/log/criu-double.log", "a", encoding="utf-8") as log:
        log.write(" ".join(["criu", *words]) + "\n")
    if words == ["--version"]:
        print("Version: 4.1.1")
    elif words[:2] == ["check", "--feature"]:
        installed_in = text("/var/lib/kernel-double/installed-in")
        booted = installed_in and installed_in != text("/proc/sys/kernel/random/boot_id")
        good = booted and not os.path.exists("/var/lib/kernel-double/bad")
        print("%s is %ssupported" % (words[2], "" if good else "not "))
        return 0 if good else 1
    elif words == ["check"]:
        print("Looks good.")
    return 0


sys.exit(main(sys.argv[1:]))
