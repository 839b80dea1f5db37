# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a checkpoint image of an archive in this node's own image store: C(checkpoint_image.py ARCHIVE NAME). Runs on
the node.

The archive's bytes are the only layer, as this collection's module image does it; here without a registry.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile


def digest(data: bytes) -> str:
    """As registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def main(archive: str, name: str) -> None:
    """Write an OCI layout and import it."""
    with open(archive, "rb") as stream:
        layer = stream.read()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": len(layer)}
            ],
            "annotations": {"org.criu.checkpoint.container.name": "c"},
        }
    ).encode()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": digest(manifest),
                    "size": len(manifest),
                    "platform": {"architecture": "amd64", "os": "linux"},
                    "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
                }
            ],
        }
    ).encode()
    members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index}
    members.update({"blobs/sha256/" + digest(data)[7:]: data for data in (layer, config, manifest)})
    path = archive + ".oci"
    with tarfile.open(path, "w") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    try:
        subprocess.run(
            ["ctr", "-n", "k8s.io", "images", "import", "--platform", "linux/amd64", path],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    finally:
        os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
