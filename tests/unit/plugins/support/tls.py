# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away certificates for tests, made with the openssl command; nothing that looks like a key is kept in the
project."""

from __future__ import annotations

import os
import subprocess

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
[leaf]
subjectAltName = DNS:localhost, IP:127.0.0.1
[othername]
subjectAltName = DNS:node1
"""


class Pki:
    """The CAs are as plain as many in use: without key usage. Paths: ca, other_ca; server, othername, expired, client, stranger, each with .pem and .key."""

    def __init__(self, directory):
        self._directory = str(directory)
        with open(self.path("openssl.cnf"), "w", encoding="ascii") as stream:
            stream.write(_CONFIG)
        for ca in ("ca", "other_ca"):
            self._openssl(
                "req",
                "-config",
                "openssl.cnf",
                "-x509",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-keyout",
                ca + ".key",
                "-out",
                ca + ".pem",
                "-subj",
                "/CN=" + ca,
                "-days",
                "2",
                "-extensions",
                "authority",
            )
        self._leaf("server", "ca", "leaf")
        self._leaf("othername", "ca", "othername")
        self._leaf("expired", "ca", "leaf", "20200101000000Z", "20200201000000Z")
        self._leaf("client", "ca", "leaf")
        self._leaf("stranger", "other_ca", "leaf")

    def path(self, name):
        return os.path.join(self._directory, name)

    def _openssl(self, *arguments):
        done = subprocess.run(
            ("openssl",) + arguments, cwd=self._directory, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError("openssl %s: %s" % (" ".join(arguments), done.stderr))

    def _leaf(self, name, ca, extensions, start="20200101000000Z", end="20490101000000Z"):
        with open(self.path("index.txt"), "w", encoding="ascii"):
            pass
        self._openssl(
            "req",
            "-config",
            "openssl.cnf",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            name + ".key",
            "-out",
            name + ".csr",
            "-subj",
            "/CN=" + name,
        )
        self._openssl(
            "ca",
            "-config",
            "openssl.cnf",
            "-batch",
            "-notext",
            "-create_serial",
            "-rand_serial",
            "-cert",
            ca + ".pem",
            "-keyfile",
            ca + ".key",
            "-in",
            name + ".csr",
            "-out",
            name + ".pem",
            "-startdate",
            start,
            "-enddate",
            end,
            "-extensions",
            extensions,
        )
