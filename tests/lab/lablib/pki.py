# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of a lab: ssh, a certificate authority of its own and what it signs, a password for the registry."""

from __future__ import annotations

import ctypes
import glob
import os
import secrets
import string

from . import shell
from .errors import LabError
from .nodefiles import File
from .state import Lab

_BCRYPT = "./" + string.ascii_uppercase + string.ascii_lowercase + string.digits
_HOST_CA = "/usr/local/share/ca-certificates"


def ensure_ssh_keys(lab: Lab) -> None:
    """A key for root on the nodes, and one host key for all nodes so that it can be checked."""
    for name in ("ssh_key", "ssh_host_key"):
        if not os.path.exists(f"{lab.state}/{name}.pub"):
            if os.path.exists(f"{lab.state}/{name}"):
                os.unlink(f"{lab.state}/{name}")
            comment = f"lab-{lab.name}"
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", f"{lab.state}/{name}"])
    kind, key = shell.read_text(f"{lab.state}/ssh_host_key.pub").split()[:2]
    known = "".join(f"{node.address},{node.name} {kind} {key}\n" for node in lab.nodes)
    shell.write_file(f"{lab.state}/known_hosts", known)


def ensure_authority(lab: Lab) -> None:
    """The lab's own certificate authority: C(ca.crt), C(ca.key)."""
    key, certificate = f"{lab.state}/ca.key", f"{lab.state}/ca.crt"
    if os.path.exists(certificate):
        return
    _key(key)
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    subject = f"/O=container-checkpoint-lab/CN=lab {lab.name}"
    fresh = f"{certificate}.new"
    shell.run(["openssl", "req", "-x509", "-new", "-key", key, "-days", "365", "-subj", subject, *extensions, "-out", fresh])
    os.replace(fresh, certificate)


def ensure_server_certificate(lab: Lab, path: str, names: list[str]) -> None:
    """C(path).crt and C(path).key for a server of these names and addresses."""
    if os.path.exists(f"{path}.crt"):
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    _key(f"{path}.key")
    alternative = ",".join(("IP:" if name.replace(".", "").isdigit() else "DNS:") + name for name in names)
    shell.write_file(
        f"{path}.ext",
        f"subjectAltName={alternative}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
        "keyUsage=digitalSignature\nauthorityKeyIdentifier=keyid\n",
    )
    shell.run(["openssl", "req", "-new", "-key", f"{path}.key", "-subj", f"/CN={names[0]}", "-out", f"{path}.csr"])
    authority = ["-CA", f"{lab.state}/ca.crt", "-CAkey", f"{lab.state}/ca.key", "-set_serial", str(secrets.randbits(63))]
    signing = ["openssl", "x509", "-req", "-in", f"{path}.csr", *authority, "-days", "365", "-extfile", f"{path}.ext"]
    shell.run([*signing, "-out", f"{path}.crt.new"])
    os.replace(f"{path}.crt.new", f"{path}.crt")


def _key(path: str) -> None:
    text = shell.output(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    shell.write_file(path, text, 0o600)


def trust_files(lab: Lab, lower: str) -> dict[str, File]:
    """What puts the lab's CA, and private ones that this machine trusts, into a node's system trust store."""
    private = [shell.read_text(path) for path in sorted(glob.glob(f"{_HOST_CA}/**/*.crt", recursive=True))]
    authority = shell.read_text(f"{lab.state}/ca.crt")
    bundle = shell.read_text(f"{lower}/etc/ssl/certs/ca-certificates.crt", "")
    found = {f"{_HOST_CA}/container-checkpoint-lab.crt": File(authority)}
    for number, text in enumerate(private):
        found[f"{_HOST_CA}/lab-host-{number}.crt"] = File(text)
    found["/etc/ssl/certs/ca-certificates.crt"] = File(bundle + "".join([*private, authority]))
    return found


def password() -> str:
    """A random password."""
    return secrets.token_urlsafe(18)


def htpasswd_line(user: str, secret: str) -> str:
    """A line of a password file, hashed with bcrypt by the C library (the only hash the registry takes)."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = "$2b$05$" + "".join(secrets.choice(_BCRYPT) for _position in range(21)) + "."
    hashed = library.crypt(secret.encode(), salt.encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise LabError("this machine's C library cannot hash a password with bcrypt")
    return f"{user}:{hashed.decode()}\n"
