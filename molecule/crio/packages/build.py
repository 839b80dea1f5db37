# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the packages of the doubles and an apt repository of them: build.py PROGRAMS REPOSITORY.

PROGRAMS holds crio.py, criu.py and packages.py, the file that scenarios share. Runs on a node: needs dpkg-deb and nothing else.
"""

import io
import os
import sys
import tarfile

import packages

# What CRI-O's own packages set: crun, conmon-rs, and a signature policy that blocks every restore.
CRIO_CONF = """[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_type = "pod"
monitor_path = "/usr/libexec/crio/conmonrs"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
runtime_type = "pod"
monitor_path = "/usr/libexec/crio/conmonrs"
"""
# Debian's kernels leave a file behind; this one also the boot in which it was installed.
KERNEL_POSTINST = """#!/bin/sh
mkdir -p /var/lib/kernel-double
cat /proc/sys/kernel/random/boot_id > /var/lib/kernel-double/installed-in
echo "postinst $*" >> /var/log/kernel-double.log
"""


def crio(version, programs):
    """The files of a CRI-O of that version, as Debian's packages have them."""
    return {
        **packages.crio(version, os.path.join(programs, "crio.py"), CRIO_CONF),
        "usr/libexec/crio/crun": (packages.RUNC, 0o755),
        "usr/libexec/crio/conmon": ("#!/bin/sh\n", 0o755),
        "etc/crio/policy.json": ('{"default": [{"type": "insecureAcceptAnything"}]}\n', 0o644),
        "DEBIAN/conffiles": ("/etc/crio/crio.conf.d/10-crio.conf\n/etc/crio/policy.json\n", 0o644),
    }


def main(programs, repository):
    """All packages and the list of them."""
    os.makedirs(repository, exist_ok=True)
    criu = packages.program(os.path.join(programs, "criu.py"))
    kernel = {
        "boot/vmlinuz-6.12.57-double": ("no kernel\n", 0o644),
        "DEBIAN/postinst": (KERNEL_POSTINST, 0o755),
    }
    contents = [("cri-o", version + "-1.1", crio(version, programs)) for version in ("1.24.6", "1.36.3", "1.36.6")]
    contents += [("criu", "4.1.1-0double", {"usr/sbin/criu": (criu, 0o755)}), ("linux-image-amd64", "6.12.57-1", kernel)]
    packages.apt_lists(repository, [packages.deb(name, version, files, repository) for name, version, files in contents])
    # The same CRIU as an archive, for those who build their own.
    member = tarfile.TarInfo("sbin/criu")
    member.mode, member.size = 0o755, len(criu.encode())
    with tarfile.open(os.path.join(repository, "criu.tar.gz"), "w:gz") as archive:
        archive.addfile(member, io.BytesIO(criu.encode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
