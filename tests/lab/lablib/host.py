# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine offers: cgroup layout, capabilities, PID 1, programs. Found out, never assumed."""

from __future__ import annotations

import os
import shutil
import sys
import typing as t

from . import shell
from .errors import LabError

_CAP_SYS_RESOURCE = 24
_NEEDED_CONTROLLERS = {"cpu", "memory", "pids"}

# program -> package, the same names in Debian and Ubuntu
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "dpkg-deb": "dpkg",
    "unshare": "util-linux",
}
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")


class Mount(t.NamedTuple):
    """A mounted cgroup hierarchy."""

    point: str
    options: str  # what to give to C(mount -o) for a hierarchy of version 1, "" for version 2


class Host(t.NamedTuple):
    """The facts that the launcher and the inventory depend on."""

    systemd: bool  # PID 1 is systemd, so a node is a transient unit of it
    cgroup2: str | None  # where the unified hierarchy is mounted
    cgroup2_usable: bool  # and whether it has controllers
    cgroup1: tuple[Mount, ...]  # hierarchies of version 1, only filled when version 2 is not usable
    cap_sys_resource: bool


def parse_cgroup_mounts(mountinfo: str) -> tuple[str | None, tuple[Mount, ...]]:
    """The unified hierarchy and those of version 1, from C(/proc/self/mountinfo)."""
    unified, version1 = None, []
    for line in mountinfo.splitlines():
        left, _separator, right = line.partition(" - ")
        point, (kind, _source, options) = left.split()[4], right.split()[:3]
        if kind == "cgroup2" and unified is None:
            unified = point
        elif kind == "cgroup":
            names = [o for o in options.split(",") if o not in ("rw", "ro", "clone_children", "noprefix", "xattr")]
            names = [o for o in names if not o.startswith("release_agent=")]
            if names and names[0].startswith("name="):
                names.insert(0, "none")
            version1.append(Mount(point, ",".join(names)))
    return unified, tuple(version1)


def has_capability(status: str, number: int) -> bool:
    """Whether a capability is effective, from C(/proc/self/status)."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def detect() -> Host:
    """Look at this machine."""
    unified, version1 = parse_cgroup_mounts(shell.read_text("/proc/self/mountinfo"))
    controllers = set(shell.read_text(f"{unified}/cgroup.controllers", "").split()) if unified else set()
    usable = _NEEDED_CONTROLLERS <= controllers
    return Host(
        systemd=os.path.isdir("/run/systemd/system") and shell.read_text("/proc/1/comm", "").strip() == "systemd",
        cgroup2=unified,
        cgroup2_usable=usable,
        cgroup1=() if usable else version1,
        cap_sys_resource=has_capability(shell.read_text("/proc/self/status"), _CAP_SYS_RESOURCE),
    )


def missing_packages() -> list[str]:
    """Packages that the lab needs and this machine has not."""
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())}
    if not any(os.path.exists(path) for path in KEYRINGS):
        missing.add("debian-archive-keyring")
    return sorted(missing)


def search_path() -> str:
    """PATH with the directories of the superuser, which a user's shell may lack."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def require(install_missing: bool = False) -> Host:
    """Check that a lab can run here, or say exactly what is missing."""
    os.environ["PATH"] = search_path()
    if sys.version_info < (3, 9):
        raise LabError("the lab needs Python 3.9 or newer")
    if os.geteuid() != 0:
        raise LabError("the lab starts nodes in namespaces and needs root: run it with sudo")
    missing = missing_packages()
    if missing and install_missing and shutil.which("apt-get"):
        shell.run(["apt-get", "update", "-q"], check=False)
        shell.run(
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing],
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )
        missing = missing_packages()
    if missing:
        names = " ".join(missing)
        raise LabError(
            f"missing on this machine: {names}. On Debian and Ubuntu: apt-get install {names}"
            " (or start the lab with --install-missing)"
        )
    host = detect()
    if host.cgroup2 is None:
        raise LabError("no cgroup2 hierarchy is mounted on this machine, and systemd nodes need one")
    if not host.cgroup2_usable and not host.cgroup1:
        raise LabError("the cgroup2 hierarchy has no cpu, memory and pids controllers and there is none of version 1")
    return host
