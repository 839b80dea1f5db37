# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's two registries: Debian's C(docker-registry) on the bridge's address, both with TLS of the lab's CA.

C(checkpoints.lab:5000) wants a password; C(base.lab:5001) lets everybody read and write (the bridge is reachable
from this machine and its nodes only).
"""

from __future__ import annotations

import base64
import glob
import json
import os
import shutil
import socket
import ssl
import sys
import typing as t

from . import images, parts, pki, shell, state
from .errors import LabError
from .host import Host
from .push import Registry

USER = "lab"
PORTS = {"checkpoints": 5000, "base": 5001}
PARTS = tuple(f"registry-{which}" for which in PORTS)
_RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "member.py")


def name(which: str) -> str:
    """Host and port as image names have it."""
    return f"{which}.lab:{PORTS[which]}"


def marker(lab: state.Lab, part: str) -> str:
    """The configuration file, which also identifies the process."""
    return f"{lab.state}/registry/{part[len('registry-') :]}.json"


def password_path(lab: state.Lab) -> str:
    """The file with the password of C(checkpoints.lab)."""
    return f"{lab.state}/registry/password"


def configuration(lab: state.Lab, which: str, secret: str) -> dict[str, t.Any]:
    """What docker-registry reads (JSON is YAML)."""
    place = f"{lab.state}/registry"
    found: dict[str, t.Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": f"{lab.data}/registry-{which}"}, "delete": {"enabled": True}},
        "http": {
            "addr": f"{lab.gateway}:{PORTS[which]}",
            "secret": secret,
            "tls": {"certificate": f"{place}/server.crt", "key": f"{place}/server.key"},
        },
    }
    if which == "checkpoints":
        found["auth"] = {"htpasswd": {"realm": "lab", "path": f"{place}/htpasswd"}}
    return found


def auth_file(secret: str) -> str:
    """Credentials as docker, podman, skopeo and our own modules read them."""
    pair = base64.b64encode(f"{USER}:{secret}".encode()).decode()
    return json.dumps({"auths": {name("checkpoints"): {"auth": pair}}}, indent=2) + "\n"


def program() -> str:
    """The registry's program: this machine's, or taken out of its distribution's package without installing it.

    Installed, the package would start a service of its own on port 5000.
    """
    found = shutil.which("docker-registry")
    if found:
        return found
    directory = f"{state.cache_dir()}/docker-registry"
    path = f"{directory}/usr/bin/docker-registry"
    if not os.path.exists(path):
        os.makedirs(state.cache_dir(), exist_ok=True)
        try:
            with shell.fresh_directory(directory) as fresh:
                shell.run(["apt-get", "-q", "download", "docker-registry"], cwd=fresh)
                package = glob.glob(f"{glob.escape(fresh)}/*.deb")[0]
                shell.run(["dpkg-deb", "-x", package, fresh])
                os.unlink(package)
        except LabError as exc:
            raise LabError(f"the package docker-registry cannot be had: {exc}; try apt-get update") from exc
    return path


def up(host: Host, lab: state.Lab, lower: str, say: t.Callable[[str], None], start: t.Callable[..., None] = parts.start) -> None:
    """Start both registries and put the images into C(base.lab)."""
    place = f"{lab.state}/registry"
    os.makedirs(place, mode=0o755, exist_ok=True)
    pki.ensure_server_certificate(lab, f"{place}/server", ["checkpoints.lab", "base.lab", "controller.lab", lab.gateway])
    if not os.path.exists(f"{lab.state}/auth.json"):
        secret = pki.password()
        shell.write_file(password_path(lab), secret + "\n", 0o600)
        shell.write_file(f"{place}/htpasswd", pki.htpasswd_line(USER, secret), 0o600)
        shell.write_file(f"{lab.state}/auth.json", auth_file(secret), 0o600)
    for which in PORTS:
        part = f"registry-{which}"
        config = marker(lab, part)
        if not os.path.exists(config):
            shell.write_file(config, json.dumps(configuration(lab, which, pki.password()), indent=2), 0o600)
        if parts.running(config):
            continue
        parts.end(host, lab, part, config)
        refuse_taken_port(lab.gateway, which)
        os.makedirs(f"{lab.data}/registry-{which}", exist_ok=True)
        argv = [sys.executable, "-B", _RUNNER, *parts.member_cgroups(host, lab, part), "--", program(), "serve", config]
        start(host, lab, part, argv, f"{place}/{which}.log")
    for which in PORTS:
        shell.wait_until(f"the registry {name(which)}", lambda w=which: answers(lab, w), 20)
    base = Registry(lab.gateway, PORTS["base"], "base.lab", f"{lab.state}/ca.crt")
    for image in images.ensure(lower, say):
        base.push(image)


def refuse_taken_port(address: str, which: str) -> None:
    """Explain a port that a registry cannot have, before it fails with less words."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, PORTS[which]))
            probe.listen()
        except OSError as exc:
            raise LabError(
                f"port {PORTS[which]} is taken on this machine ({exc.strerror}): stop the service that listens there on all"
                " addresses (an installed docker-registry?) and try again"
            ) from exc


def answers(lab: state.Lab, which: str) -> bool:
    """Whether a registry speaks (a refusal without password is an answer, too)."""
    try:
        registry = Registry(lab.gateway, PORTS[which], f"{which}.lab", f"{lab.state}/ca.crt")
        return registry.request("GET", "/v2/").status in (200, 401)
    except (OSError, ssl.SSLError):
        return False
