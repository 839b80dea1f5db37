# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of doubles for the scenarios: a .deb or an .rpm out of a dictionary of files, and what several scenarios put into them.

The scenarios' build.py import it, on a node or on the controller. Files are {path below the root: (text, mode)}.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tempfile

RUNC = "#!/bin/sh\ncase \"$1\" in --version) echo 'runc version 1.4.2';; checkpoint) exit 0;; *) exit 1;; esac\n"
CRIO_UNIT = "[Unit]\nDescription=Double of CRI-O\n\n[Service]\nExecStart=/usr/bin/crio\n\n[Install]\nWantedBy=multi-user.target\n"
KUBELET_UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent (double)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DOUBLES = "usr/lib/kubernetes-doubles"


def text(path):
    """A file's text."""
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def program(path):
    """A double's program, for the node's Python."""
    return "#!/usr/bin/python3\n" + text(path)


def crio(version, crio_py, configuration):
    """The files of a CRI-O that is a double."""
    return {
        "usr/bin/crio": (program(crio_py), 0o755),
        "usr/share/crio-double/version": (version + "\n", 0o644),
        "usr/libexec/crio/runc": (RUNC, 0o755),
        "usr/lib/systemd/system/crio.service": (CRIO_UNIT, 0o644),
        "etc/crio/crio.conf.d/10-crio.conf": (configuration, 0o644),
    }


def kubernetes(version, programs, fields, known):
    """The files of kubelet, kubeadm and kubectl of a version, by package.

    programs: where the doubles lie. fields: the file with the fields of kubeadm's documents. known: those of the KubeletConfiguration.
    """
    found = {
        name: {
            "usr/bin/" + name: (program(os.path.join(programs, name + ".py")), 0o755),
            "%s/%s.version" % (DOUBLES, name): ("v%s\n" % version, 0o644),
        }
        for name in ("kubelet", "kubeadm", "kubectl")
    }
    found["kubelet"]["usr/lib/systemd/system/kubelet.service"] = (KUBELET_UNIT, 0o644)
    found["kubelet"][DOUBLES + "/kubelet.fields"] = ("\n".join(sorted(known)) + "\n", 0o644)
    found["kubeadm"][DOUBLES + "/fields.py"] = (text(fields), 0o644)
    return found


def _tree(root, files):
    for path, (content, mode) in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(full, mode)


def deb(name, version, files, repository, depends=""):
    """One .deb in the directory; its entry for the list."""
    control = "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n" % (name, version)
    control += ("Depends: %s\n" % depends if depends else "") + "Description: double\n"
    file = "%s_%s_all.deb" % (name, version)
    with tempfile.TemporaryDirectory() as tree:
        os.chmod(tree, 0o755)
        _tree(tree, {**files, "DEBIAN/control": (control, 0o644)})
        argv = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, os.path.join(repository, file)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(repository, file), "rb") as stream:
        content = stream.read()
    return control + "Filename: ./%s\nSize: %d\nSHA256: %s\n" % (file, len(content), hashlib.sha256(content).hexdigest())


def apt_lists(repository, entries):
    """The lists that make the directory a flat repository."""
    content = "\n".join(entries).encode()
    for name, data in (("Packages", content), ("Packages.gz", gzip.compress(content))):
        with open(os.path.join(repository, name), "wb") as stream:
            stream.write(data)


def rpm(name, version, release, files, top):
    """One .rpm below the directory, through a spec file of its own. Needs rpmbuild."""
    sources = os.path.join(top, "SOURCES", "%s-%s" % (name, version))
    _tree(sources, files)
    spec = os.path.join(top, "%s-%s.spec" % (name, version))
    with open(spec, "w", encoding="utf-8") as stream:
        stream.write(
            "Name: %s\nVersion: %s\nRelease: %s\nSummary: double\nLicense: GPL-3.0-or-later\nAutoReqProv: no\n"
            "%%description\ndouble\n%%install\ncp -a %s/. %%{buildroot}\n%%files\n%s\n"
            % (name, version, release, sources, "\n".join("/" + path for path in files))
        )
    # Without what Debian's rpm would run over the files.
    options = ["--define", "_topdir " + top, "--define", "__os_install_post %{nil}", "--define", "debug_package %{nil}"]
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *options, spec], check=True)


def rpm_lists(repository, top):
    """The repository out of what rpm() made. Needs createrepo_c."""
    os.makedirs(repository, exist_ok=True)
    subprocess.run("cp %s/RPMS/*/*.rpm %s && createrepo_c --quiet %s" % (top, repository, repository), shell=True, check=True)
