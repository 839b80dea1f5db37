# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the packages of the doubles and an apt repository of them: build.py PROGRAMS REPOSITORY.

PROGRAMS holds crio.py and criu.py. Runs on a node: needs dpkg-deb and nothing else.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

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
CRIO_UNIT = """[Unit]
Description=Double of CRI-O

[Service]
ExecStart=/usr/bin/crio

[Install]
WantedBy=multi-user.target
"""
RUNTIME = "#!/bin/sh\ncase \"$1\" in --version) echo 'runc version 1.4.2';; checkpoint) exit 0;; *) exit 1;; esac\n"
# Debian's kernels leave a file behind; this one also the boot in which it was installed.
KERNEL_POSTINST = """#!/bin/sh
mkdir -p /var/lib/kernel-double
cat /proc/sys/kernel/random/boot_id > /var/lib/kernel-double/installed-in
echo "postinst $*" >> /var/log/kernel-double.log
"""


def program(name):
    """The text of a double's program."""
    with open(os.path.join(sys.argv[1], name), encoding="utf-8") as stream:
        return "#!/usr/bin/python3\n" + stream.read()


def crio(version):
    """The files of a CRI-O of that version."""
    return {
        "usr/bin/crio": (program("crio.py"), 0o755),
        "usr/share/crio-double/version": (version + "\n", 0o644),
        "usr/libexec/crio/runc": (RUNTIME, 0o755),
        "usr/libexec/crio/crun": (RUNTIME, 0o755),
        "usr/libexec/crio/conmon": ("#!/bin/sh\n", 0o755),
        "usr/lib/systemd/system/crio.service": (CRIO_UNIT, 0o644),
        "etc/crio/crio.conf.d/10-crio.conf": (CRIO_CONF, 0o644),
        "etc/crio/policy.json": ('{"default": [{"type": "insecureAcceptAnything"}]}\n', 0o644),
        "DEBIAN/conffiles": ("/etc/crio/crio.conf.d/10-crio.conf\n/etc/crio/policy.json\n", 0o644),
    }


PACKAGES = [
    ("cri-o", "1.24.6-1.1", crio("1.24.6")),
    ("cri-o", "1.36.3-1.1", crio("1.36.3")),
    ("cri-o", "1.36.6-1.1", crio("1.36.6")),
    ("criu", "4.1.1-0double", {"usr/sbin/criu": (program("criu.py"), 0o755)}),
    (
        "linux-image-amd64",
        "6.12.57-1",
        {"boot/vmlinuz-6.12.57-double": ("no kernel\n", 0o644), "DEBIAN/postinst": (KERNEL_POSTINST, 0o755)},
    ),
]


def build(name, version, files, repository):
    """One .deb; its entry in the list."""
    tree = tempfile.mkdtemp()
    control = "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: double\n" % (name, version)
    for path, (text, mode) in {**files, "DEBIAN/control": (control, 0o644)}.items():
        full = os.path.join(tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(full, mode)
    os.chmod(tree, 0o755)
    deb = "%s_%s_all.deb" % (name, version)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, os.path.join(repository, deb)], check=True
    )
    shutil.rmtree(tree)
    with open(os.path.join(repository, deb), "rb") as stream:
        content = stream.read()
    digest = hashlib.sha256(content).hexdigest()
    return control + "Filename: ./%s\nSize: %d\nSHA256: %s\n" % (deb, len(content), digest)


def main():
    """All packages and the list of them."""
    repository = sys.argv[2]
    os.makedirs(repository, exist_ok=True)
    entries = [build(name, version, files, repository) for name, version, files in PACKAGES]
    with open(os.path.join(repository, "Packages"), "w", encoding="utf-8") as stream:
        stream.write("\n".join(entries))
    # The same CRIU as an archive, for those who build their own.
    content = program("criu.py").encode("utf-8")
    member = tarfile.TarInfo("sbin/criu")
    member.mode, member.size = 0o755, len(content)
    with tarfile.open(os.path.join(repository, "criu.tar.gz"), "w:gz") as archive:
        archive.addfile(member, io.BytesIO(content))
    with gzip.open(os.path.join(repository, "Packages.gz"), "wt", encoding="utf-8") as stream:
        stream.write("\n".join(entries))


main()
