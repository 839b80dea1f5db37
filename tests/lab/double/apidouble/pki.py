# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a double's cluster: its CA, certificates and kubeconfigs, made with openssl.

The names are kubeadm's where it has one. Everything secret is 0600.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import typing as t

DAYS = "3650"


class Directory:
    """Where a cluster's files are, and what makes the missing ones."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def file(self, *parts: str) -> str:
        return os.path.join(self.path, *parts)

    def read(self, *parts: str) -> str:
        with open(self.file(*parts), encoding="utf-8") as file:
            return file.read()

    def write(self, text: str, *parts: str, mode: int = 0o600) -> str:
        """Write at once and whole; an unchanged file is left alone."""
        path = self.file(*parts)
        if os.path.exists(path) and self.read(*parts) == text:
            return path
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
        return path

    def has(self, *parts: str) -> bool:
        return os.path.exists(self.file(*parts))


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _key(place: Directory, name: str) -> None:
    place.write(_openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), f"{name}.key")


def ensure_ca(place: Directory) -> None:
    if place.has("ca.crt"):
        return
    _key(place, "ca")
    place.write(
        _openssl(
            "req",
            "-x509",
            "-new",
            "-key",
            place.file("ca.key"),
            "-days",
            DAYS,
            "-subj",
            "/CN=kubernetes",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
        ),
        "ca.crt",
        mode=0o644,
    )


def ensure_certificate(
    place: Directory,
    name: str,
    common: str,
    organisations: t.Sequence[str] = (),
    server_names: t.Sequence[str] = (),
    days: str = DAYS,
) -> None:
    """name.crt and name.key, signed by the cluster's CA: for a server if it has names, else for a client."""
    if place.has(f"{name}.crt"):
        return
    os.makedirs(os.path.dirname(place.file(name)), exist_ok=True)
    _key(place, name)
    lines = ["basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature,keyEncipherment"]
    if server_names:
        names = ",".join(("IP:" if n.replace(".", "").isdigit() else "DNS:") + n for n in server_names)
        lines += ["extendedKeyUsage=serverAuth", f"subjectAltName={names}"]
    else:
        lines += ["extendedKeyUsage=clientAuth"]
    extensions = place.write("\n".join(lines) + "\n", f"{name}.ext")
    subject = "".join(f"/O={o}" for o in organisations) + f"/CN={common}"
    request = place.file(f"{name}.csr")
    _openssl("req", "-new", "-key", place.file(f"{name}.key"), "-subj", subject, "-out", request)
    place.write(
        _openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            place.file("ca.crt"),
            "-CAkey",
            place.file("ca.key"),
            "-set_serial",
            str(secrets.randbits(63)),
            "-days",
            days,
            "-extfile",
            extensions,
        ),
        f"{name}.crt",
        mode=0o644,
    )
    os.unlink(request)
    os.unlink(extensions)


def kubeconfig(place: Directory, server: str, user: str, name: str = "", token: str = "") -> str:
    """A kubeconfig (JSON, which is YAML) with the certificate ``name`` or a token inside."""

    def inline(path: str) -> str:
        return base64.b64encode(place.read(path).encode()).decode()

    credentials = (
        {"token": token}
        if token
        else {"client-certificate-data": inline(f"{name}.crt"), "client-key-data": inline(f"{name}.key")}
    )
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": f"{user}@lab",
                "preferences": {},
                "clusters": [
                    {"name": "lab", "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")}}
                ],
                "users": [{"name": user, "user": credentials}],
                "contexts": [{"name": f"{user}@lab", "context": {"cluster": "lab", "user": user}}],
            },
            indent=2,
        )
        + "\n"
    )


def ensure(place: Directory, address: str, port: int, nodes: t.Sequence[str]) -> None:
    """All files that do not need a running server (tokens do)."""
    os.makedirs(place.path, mode=0o755, exist_ok=True)
    server = f"https://{address}:{port}"
    ensure_ca(place)
    ensure_certificate(
        place,
        "apiserver",
        "kube-apiserver",
        server_names=[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            *dict.fromkeys([address, "127.0.0.1"]),
        ],
    )
    ensure_certificate(place, "apiserver-kubelet-client", "kube-apiserver-kubelet-client")
    ensure_certificate(place, "admin", "kubernetes-admin", ["kubeadm:cluster-admins"])
    if not place.has("tokens.key"):
        place.write(secrets.token_hex(32), "tokens.key")
    place.write(kubeconfig(place, server, "kubernetes-admin", "admin"), "kubeconfig")
    for node in nodes:
        ensure_certificate(place, f"nodes/{node}/kubelet-client", f"system:node:{node}", ["system:nodes"])
        place.write(
            kubeconfig(place, server, f"system:node:{node}", f"nodes/{node}/kubelet-client"),
            "nodes",
            node,
            "kubelet.conf",
        )
