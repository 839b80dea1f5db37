# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the rpm packages of the doubles and a repository of them: build.py PROGRAMS REPOSITORY. Needs rpmbuild and createrepo_c."""

import os
import subprocess
import sys
import tempfile

RUNTIME = "#!/bin/sh\ncase \"$1\" in --version) echo 'runc version 1.4.2';; checkpoint) exit 0;; *) exit 1;; esac\n"
UNIT = "[Unit]\nDescription=Double of CRI-O\n\n[Service]\nExecStart=/usr/bin/crio\n\n[Install]\nWantedBy=multi-user.target\n"
CONF = """[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
"""


def program(name):
    """The text of a double's program."""
    with open(os.path.join(sys.argv[1], name), encoding="utf-8") as stream:
        return "#!/usr/bin/python3\n" + stream.read()


def packages():
    """(name, version, release, {path: (text, mode)}) of each."""
    kernel = "/boot/vmlinuz-6.12.57-1.el9.elrepo.x86_64"
    crio = {
        "/usr/bin/crio": (program("crio.py"), 0o755),
        "/usr/share/crio-double/version": ("1.36.6\n", 0o644),
        "/usr/libexec/crio/runc": (RUNTIME, 0o755),
        "/usr/lib/systemd/system/crio.service": (UNIT, 0o644),
        "/etc/crio/crio.conf.d/10-crio.conf": (CONF, 0o644),
    }
    return [
        ("kernel-lt", "6.12.57", "1.el9.elrepo", {kernel: ("no kernel\n", 0o644)}),
        ("criu", "4.1.1", "1.el9", {"/usr/sbin/criu": (program("criu.py"), 0o755)}),
        ("iptables-nft", "1.8.10", "1.el9", {"/usr/share/doc/iptables-nft-double": ("\n", 0o644)}),
        ("cri-o", "1.36.6", "150500.1.1", crio),
    ]


def build(name, version, release, files, top):
    """One .rpm through a spec file of its own."""
    sources = os.path.join(top, "SOURCES", name)
    for path, (text, mode) in files.items():
        full = sources + path
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(full, mode)
    listed = "\n".join(files)
    spec = os.path.join(top, name + ".spec")
    with open(spec, "w", encoding="utf-8") as stream:
        stream.write(
            "Name: %s\nVersion: %s\nRelease: %s\nSummary: double\nLicense: GPL-3.0-or-later\nAutoReqProv: no\n"
            "%%description\ndouble\n%%install\ncp -a %s/. %%{buildroot}\n%%files\n%s\n"
            % (name, version, release, sources, listed)
        )
    # Without what Debian's rpm would run over the files.
    options = ["--define", "_topdir " + top, "--define", "__os_install_post %{nil}", "--define", "debug_package %{nil}"]
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *options, spec], check=True)


def main():
    """All packages and the repository's lists."""
    repository = sys.argv[2]
    os.makedirs(repository, exist_ok=True)
    top = tempfile.mkdtemp()
    for name, version, release, files in packages():
        build(name, version, release, files, top)
    subprocess.run(
        "cp %s/RPMS/*/*.rpm %s && createrepo_c --quiet %s" % (top, repository, repository), shell=True, check=True
    )


main()
