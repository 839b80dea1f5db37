# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Double of the kubelet: runs the pods of its node through the real CRI socket and serves the kubelet's HTTPS port.

Runs on a node as the unit ``kubelet-double`` (install.yml); README.md says what it imitates. It makes its serving
certificate itself: self-signed, with the node's name as its only alternative name (FACTS 10.1).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import typing as t

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cri import Cri  # noqa: E402
from httpsd import TlsServer, server_context  # noqa: E402
from kubeletdouble.access import Access  # noqa: E402
from kubeletdouble.apiclient import ApiClient  # noqa: E402
from kubeletdouble.checkpoints import Checkpoints  # noqa: E402
from kubeletdouble.node import Node  # noqa: E402
from kubeletdouble.server import App, KubeletHandler  # noqa: E402
from kubeletdouble.settings import FAULTS, Settings  # noqa: E402


def ensure_certificate(root: str, node: str) -> tuple[str, str]:
    """(certificate, key) in ``<root>/pki``, made once."""
    directory = os.path.join(root, "pki")
    certificate, key = os.path.join(directory, "kubelet.crt"), os.path.join(directory, "kubelet.key")
    if not os.path.exists(certificate):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        old = os.umask(0o077)
        try:
            subprocess.run(
                [
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-keyout",
                    key,
                    "-out",
                    certificate + ".new",
                    "-days",
                    "365",
                    "-subj",
                    f"/CN={node}@lab",
                    "-addext",
                    f"subjectAltName=DNS:{node}",
                    "-addext",
                    "extendedKeyUsage=serverAuth",
                ],
                check=True,
                capture_output=True,
            )
        finally:
            os.umask(old)
        os.replace(certificate + ".new", certificate)
    return certificate, key


def build(settings: Settings, kubeconfig: str, client_ca: str) -> tuple[TlsServer, Node]:
    api = ApiClient(kubeconfig)
    node = Node(settings, api, Cri(settings.endpoint, settings.request_timeout))
    app = App(settings, Access(api, settings), Checkpoints(settings, node.pod, Cri), node)
    certificate, key = ensure_certificate(settings.root, settings.node)
    port = int(settings.config.get("port", 10250))
    context = server_context(certificate, key, client_ca)
    return TlsServer((settings.config.get("address", "0.0.0.0"), port), KubeletHandler, context, app), node


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Double of the kubelet.")
    parser.add_argument("--node-name", required=True)
    parser.add_argument("--node-ip", required=True)
    parser.add_argument("--kubeconfig", default="/etc/kubernetes/kubelet.conf")
    parser.add_argument("--client-ca-file", default="/etc/kubernetes/pki/ca.crt")
    parser.add_argument("--config", default="/var/lib/kubelet/config.yaml")
    parser.add_argument("--root-dir", default="/var/lib/kubelet")
    parser.add_argument("--container-runtime-endpoint", default="unix:///run/containerd/containerd.sock")
    parser.add_argument("--faults", default=FAULTS)
    options = parser.parse_args(argv)
    settings = Settings(
        options.node_name,
        options.node_ip,
        options.root_dir,
        options.config,
        options.container_runtime_endpoint,
        options.faults,
    )
    server, node = build(settings, options.kubeconfig, options.client_ca_file)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=node.start, daemon=True).start()
    stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
