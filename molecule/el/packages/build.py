# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the rpm packages of the doubles and a repository of them: build.py PROGRAMS REPOSITORY. Needs rpmbuild and createrepo_c.

PROGRAMS holds the doubles' programs and packages.py, the file that scenarios share. Kubernetes has a repository of its own, REPOSITORY-kubernetes.
"""

import os
import sys
import tempfile

import packages

CRIO_CONF = """[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
"""


def main(programs, repository):
    """All packages and the repositories' lists."""
    criu = packages.program(os.path.join(programs, "criu.py"))
    top = tempfile.mkdtemp()
    for name, version, release, files in (
        ("kernel-lt", "6.12.57", "1.el9.elrepo", {"boot/vmlinuz-6.12.57-1.el9.elrepo.x86_64": ("no kernel\n", 0o644)}),
        ("criu", "4.1.1", "1.el9", {"usr/sbin/criu": (criu, 0o755)}),
        ("iptables-nft", "1.8.10", "1.el9", {"usr/share/doc/iptables-nft-double": ("\n", 0o644)}),
        ("tar", "1.35", "1.el9", {"usr/share/doc/tar-double": ("\n", 0o644)}),
        ("cri-o", "1.36.6", "150500.1.1", packages.crio("1.36.6", os.path.join(programs, "crio.py"), CRIO_CONF)),
    ):
        packages.rpm(name, version, release, files, top)
    packages.rpm_lists(repository, top)
    top = tempfile.mkdtemp()
    for version in ("1.36.1", "1.36.2"):
        fields = os.path.join(programs, "kubeadm_fields.py")
        for name, files in packages.kubernetes(version, programs, fields, {"featureGates"}).items():
            packages.rpm(name, version, "150500.1.1", files, top)
    packages.rpm_lists(repository + "-kubernetes", top)


if __name__ == "__main__":
    main(*sys.argv[1:])
