# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a flat apt repository of doubles: build.py DESTINATION CONFIGZ MINOR...

CONFIGZ is what a real kubelet answered under /configz: its fields are the ones that the doubles know.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "molecule"))

import packages

# Fields of the KubeletConfiguration that are empty on most nodes, so not in /configz.
MORE_FIELDS = {"featureGates", "staticPodPath", "staticPodURL", "kubeReserved", "systemReserved", "evictionHard", "tracing", "serverTLSBootstrap"}
# The fields of kubeadm's documents, which the unit tests know as well.
FIELDS = ROOT / "tests/unit/plugins/support/kubeadm_fields.py"
POSTINST = "#!/bin/sh\nset -e\nsystemctl daemon-reload || true\nsystemctl enable --quiet kubelet || true\n"
PRERM = "#!/bin/sh\nset -e\n[ \"$1\" != remove ] || systemctl disable --quiet --now kubelet || true\n"


def version(minor: str, patch: int, directory: pathlib.Path, known: set[str]) -> list[str]:
    """The packages of one version; their entries for the list."""
    contents = packages.kubernetes("%s.%d" % (minor, patch), str(HERE), str(FIELDS), known)
    contents["kubelet"].update({"DEBIAN/postinst": (POSTINST, 0o755), "DEBIAN/prerm": (PRERM, 0o755)})
    full = "%s.%d-1.1" % (minor, patch)
    depends = {"kubeadm": "python3, python3-yaml, kubelet (= %s)" % full}
    return [packages.deb(name, full, files, str(directory), depends.get(name, "python3, python3-yaml")) for name, files in contents.items()]


def main(argv: list[str]) -> None:
    """A directory for each minor."""
    destination = pathlib.Path(argv[0])
    known = set(json.loads(pathlib.Path(argv[1]).read_text())["kubeletconfig"]) | MORE_FIELDS
    shutil.rmtree(destination, ignore_errors=True)
    for minor in argv[2:]:
        directory = destination / minor
        os.makedirs(directory)
        packages.apt_lists(str(directory), [entry for patch in (1, 2) for entry in version(minor, patch, directory, known)])


if __name__ == "__main__":
    main(sys.argv[1:])
