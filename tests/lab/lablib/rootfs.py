# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' root file system: debootstrapped once, kept in the cache, shared read-only by all nodes.

It holds what a freshly installed server has (systemd, ssh, Python) and neither containerd nor CRIU: the
collection's roles install those. Their packages lie in apt's download directory, so that installing them is quick.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import sys
import typing as t

from . import aptconf, shell, state
from .errors import LabError

SUITES = ("forky", "trixie", "bookworm")
OLD_SUITES = ("bullseye",)  # for virtual machines only (tests/vm): there is no CRIU in it
_FORMAT = 1  # count up when the way of building changes
_INCLUDE = (
    "systemd systemd-sysv dbus openssh-server python3 python3-apt iproute2 iptables kmod procps ca-certificates"
    " iputils-ping curl zstd"
).split()
# Not installed, only downloaded: what the roles and the doubles ask for, and what the images are made of.
_DOWNLOAD = "containerd runc criu containernetworking-plugins busybox-static python3-grpcio python3-protobuf".split()


def _downloads(suite: str) -> t.Sequence[str]:
    return () if suite in OLD_SUITES else _DOWNLOAD


def key(suite: str, mirror: str) -> str:
    """Names the directory in the cache: another recipe or another mirror is another root file system."""
    recipe = "|".join([str(_FORMAT), suite, mirror, *_INCLUDE, *_downloads(suite)])
    return f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def default_mirror(script: str) -> str | None:
    """The mirror that debootstrap itself falls back to, from its own text."""
    match = re.search(r'^DEF_MIRROR="?([^"\s]+)', script, re.MULTILINE)
    return match[1] if match else None


def choose_mirror(apt: aptconf.HostApt) -> str:
    """Configured on this machine, or else debootstrap's own choice."""
    mirror = apt.mirror or default_mirror(shell.read_text(shutil.which("debootstrap") or "", ""))
    if not mirror:
        raise LabError("this machine's apt configuration names no Debian mirror: set LAB_MIRROR to one")
    return mirror


def ensure(suite: str, apt: aptconf.HostApt, say: t.Callable[[str], None]) -> str:
    """The directory of a complete root file system, built if the cache does not have it."""
    if suite not in SUITES + OLD_SUITES:
        raise LabError(f"unknown suite {suite!r}: one of {', '.join(SUITES + OLD_SUITES)}")
    mirror = choose_mirror(apt)
    directory = f"{state.cache_dir()}/rootfs/{key(suite, mirror)}"
    if os.path.isdir(directory):
        return directory
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with state.lock(f".rootfs-{suite}", wait=True):
        if not os.path.isdir(directory):
            say(f"building the {suite} root file system from {mirror} (a minute or two, once)")
            _build(suite, mirror, directory, apt)
    return directory


def _build(suite: str, mirror: str, directory: str, apt: aptconf.HostApt) -> None:
    shell.sweep(os.path.dirname(directory))
    log_path = f"{directory}.log"
    try:
        with shell.fresh_directory(directory) as fresh, open(log_path, "wb") as log:
            # In a mount and PID namespace of its own: what debootstrap mounts and starts ends with it.
            inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
            script = "/usr/share/debootstrap/scripts/sid"
            include = f"--include={','.join(_INCLUDE)}"
            shell.run(
                [*inside, "debootstrap", "--variant=minbase", include, suite, fresh, mirror, script],
                log=log,
                env=_clean_environment(),
            )
            shell.write_file(f"{fresh}/etc/apt/apt.conf.d/90lab", "\n".join(apt.settings) + "\n")
            shell.write_file(f"{fresh}/etc/dpkg/dpkg.cfg.d/lab", "force-unsafe-io\n")
            resolv_conf = shell.read_text("/etc/resolv.conf", "")
            shell.write_file(f"{fresh}/etc/resolv.conf", resolv_conf)
            steps = (
                "apt-get clean && apt-get -q update &&"
                f" apt-get -q -y -o APT::Keep-Downloaded-Packages=true --download-only install {' '.join(_downloads(suite))}"
            )
            shell.run(
                [*inside, "sh", "-c", f'mount -t proc proc "$1/proc" && exec chroot "$1" sh -c {_quote(steps)}', "sh", fresh],
                log=log,
                env={**_clean_environment(), "DEBIAN_FRONTEND": "noninteractive"},
            )
            for path in ("etc/machine-id", "var/lib/dbus/machine-id", "etc/hostname"):
                if os.path.lexists(f"{fresh}/{path}"):
                    os.unlink(f"{fresh}/{path}")
    except LabError as exc:
        last = shell.read_text(log_path, "").strip().splitlines()[-5:]
        raise LabError(f"cannot build the {suite} root file system ({exc}); {log_path} ends: {' | '.join(last)}") from exc


def _clean_environment() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def remove_tree(path: str) -> None:
    """Remove a directory and complain only when something is left."""
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        print(f"lab: {path} could not be removed completely", file=sys.stderr)


def deb(directory: str, package: str) -> str:
    """The downloaded file of a package in a root file system."""
    found = sorted(glob.glob(f"{glob.escape(directory)}/var/cache/apt/archives/{package}_*.deb"))
    if not found:
        raise LabError(f"the package {package} was not downloaded into {directory}: remove that directory and try again")
    return found[-1]
