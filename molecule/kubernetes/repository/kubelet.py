# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of the kubelet: reads its configuration as strictly as the kubelet, and answers /healthz. It runs no pods."""

from __future__ import annotations

import http.server
import sys

import yaml

HERE = "/usr/lib/kubernetes-doubles"
GATES = ("AllAlpha", "AllBeta", "ContainerCheckpoint", "GracefulNodeShutdown", "KubeletTracing")


def read(name: str) -> str:
    with open("%s/%s" % (HERE, name), encoding="utf-8") as file:
        return file.read()


class Health(http.server.BaseHTTPRequestHandler):
    """ok, whatever is asked."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments: object) -> None:
        """Nothing is logged."""


def configuration(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        found = yaml.safe_load(file)
    body = {name: value for name, value in found.items() if name not in ("apiVersion", "kind")}
    unknown = sorted(set(body) - set(read("kubelet.fields").split()))
    if unknown:
        sys.exit('failed to load Kubelet config file %s: strict decoding error: unknown field "%s"' % (path, unknown[0]))
    for gate in body.get("featureGates") or {}:
        if gate not in GATES:
            sys.exit("failed to set feature gates from initial flags-based config: unrecognized feature gate: %s" % gate)
    return body


def main() -> None:
    if "--version" in sys.argv:
        print("Kubernetes " + read("kubelet.version").strip())
    elif "--help" in sys.argv:
        print("      --feature-gates mapStringBool   A set of key=value pairs that describe feature gates. Options are:")
        for gate in GATES:
            print(" " * 38 + gate + "=true|false (BETA - default=true)")
    else:
        path = next(word.partition("=")[2] for word in sys.argv if word.startswith("--config="))
        port = configuration(path).get("healthzPort", 10248)
        http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()


if __name__ == "__main__":
    main()
