# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a flat apt repository of doubles: build.py DESTINATION CONFIGZ MINOR...

CONFIGZ is what a real kubelet answered under /configz: its fields are the ones that the doubles know.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# The fields of kubeadm's documents, which the unit tests know as well.
FIELDS = HERE.parents[2] / "tests/unit/plugins/support/kubeadm_fields.py"
# Fields of the KubeletConfiguration that are empty on most nodes, so not in /configz.
MORE_FIELDS = {"featureGates", "staticPodPath", "staticPodURL", "kubeReserved", "systemReserved", "evictionHard", "tracing", "serverTLSBootstrap"}
UNIT = """[Unit]
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
POSTINST = """#!/bin/sh
set -e
systemctl daemon-reload || true
systemctl enable --quiet kubelet || true
"""
PRERM = """#!/bin/sh
set -e
[ "$1" != remove ] || systemctl disable --quiet --now kubelet || true
"""


def put(root: pathlib.Path, path: str, text: str, mode: int = 0o644) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def package(destination: pathlib.Path, name: str, version: str, known: set[str]) -> str:
    """Build one package; its entry for the index."""
    depends = "python3, python3-yaml" + (", kubelet (= %s)" % version if name == "kubeadm" else "")
    control = (
        "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDepends: %s\n"
        "Description: Double of %s for tests\n" % (name, version, depends, name)
    )
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        root.chmod(0o755)
        put(root, "DEBIAN/control", control)
        put(root, "usr/bin/" + name, "#!/usr/bin/python3\n" + (HERE / (name + ".py")).read_text(), 0o755)
        put(root, "usr/lib/kubernetes-doubles/%s.version" % name, "v%s\n" % version.partition("-")[0])
        if name == "kubelet":
            put(root, "usr/lib/systemd/system/kubelet.service", UNIT)
            put(root, "usr/lib/kubernetes-doubles/kubelet.fields", "\n".join(sorted(known)) + "\n")
            put(root, "DEBIAN/postinst", POSTINST, 0o755)
            put(root, "DEBIAN/prerm", PRERM, 0o755)
        if name == "kubeadm":
            put(root, "usr/lib/kubernetes-doubles/fields.py", FIELDS.read_text())
        file = destination / ("%s_%s_all.deb" % (name, version))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", place, str(file)], check=True, stdout=subprocess.DEVNULL)
    data = file.read_bytes()
    return "%sFilename: ./%s\nSize: %d\nSHA256: %s\n" % (control, file.name, len(data), hashlib.sha256(data).hexdigest())


def main(argv: list[str]) -> None:
    destination = pathlib.Path(argv[0])
    known = set(json.loads(pathlib.Path(argv[1]).read_text())["kubeletconfig"]) | MORE_FIELDS
    shutil.rmtree(destination, ignore_errors=True)
    for minor in argv[2:]:
        directory = destination / minor
        os.makedirs(directory)
        entries = [package(directory, name, "%s.%d-1.1" % (minor, patch), known) for patch in (1, 2) for name in ("kubelet", "kubeadm", "kubectl")]
        (directory / "Packages").write_text("\n".join(entries))


if __name__ == "__main__":
    main(sys.argv[1:])
