# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of CRIU: its kernel lacks rseq until the node was booted after the installation of kernel-lt."""

import glob
import os
import sys


def main(words):
    """--version, check, check --feature NAME."""
    if words == ["--version"]:
        print("Version: 4.1.1")
    elif words[:2] == ["check", "--feature"]:
        # Files get their time when they are installed, process 1 when the node boots.
        booted = any(os.stat(path).st_ctime < os.stat("/proc/1").st_mtime for path in glob.glob("/boot/vmlinuz-6.12.*"))
        print("%s is %ssupported" % (words[2], "" if booted else "not "))
        return 0 if booted else 1
    elif words == ["check"]:
        print("Looks good.")
    return 0


sys.exit(main(sys.argv[1:]))
