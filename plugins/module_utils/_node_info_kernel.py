# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the running kernel was built with, as far as CRIU cares, and what the CPU can do.

PRIVATE to the collection. Pure but for the file names: the text comes from whoever calls.
"""

from __future__ import annotations

import base64
import re
import typing as t

# Without one of these nothing can be dumped.
REQUIRED = (
    "CHECKPOINT_RESTORE",
    "NAMESPACES",
    "UTS_NS",
    "IPC_NS",
    "PID_NS",
    "NET_NS",
    "FHANDLE",
    "EVENTFD",
    "EPOLL",
    "UNIX_DIAG",
    "INET_DIAG",
    "INET_TCP_DIAG",
    "PACKET_DIAG",
    "NETLINK_DIAG",
    "PROC_CHILDREN",
)
# Without one of these some processes cannot be dumped: UDP sockets, watched files, tunnels, time namespaces; and without both of those that hold
# the network still none with a connection. What only pre-dumps and lazy restores need (MEM_SOFT_DIRTY, USERFAULTFD) counts for nothing here: no
# container runtime asks for them.
WANTED = ("INET_UDP_DIAG", "INOTIFY_USER", "TUN", "TIME_NS")
WANTED_ONE_OF = (("NETFILTER_XT_MARK", "NF_TABLES"),)
_SETTING = re.compile(r"^CONFIG_([A-Z0-9_]+)=([ym])$", re.MULTILINE)


def config_paths(release: str) -> t.Tuple[str, ...]:
    """Where a kernel's configuration may lie."""
    return ("/boot/config-" + release, "/proc/config.gz", "/lib/modules/%s/config" % release)


def options(text: t.Optional[str], source: t.Optional[str]) -> t.Dict[str, t.Any]:
    """{known, source, missing[], missing_wanted[]} from the text of a configuration."""
    if not text or "CONFIG_" not in text:
        return {"known": False, "source": None, "missing": [], "missing_wanted": []}
    there = {match.group(1) for match in _SETTING.finditer(text)}
    return {
        "known": True,
        "source": source,
        "missing": [name for name in REQUIRED if name not in there],
        "missing_wanted": [name for name in WANTED if name not in there]
        + [" or ".join(names) for names in WANTED_ONE_OF if not there.intersection(names)],
    }


def security_module(read: t.Callable[[str], t.Optional[str]]) -> str:
    """The security module in force: selinux, apparmor or nothing."""
    if read("/sys/fs/selinux/enforce") is not None:
        return "selinux"
    return "apparmor" if (read("/sys/module/apparmor/parameters/enabled") or "").strip() == "Y" else ""


def cpu(text: t.Optional[str], image: t.Optional[bytes] = None) -> t.Dict[str, t.Any]:
    """{vendor, model, flags[], criu_image} from /proc/cpuinfo and the image that C(criu cpuinfo dump) wrote.

    criu_image is what C(criu cpuinfo check) on another node takes; None where CRIU is missing or has no such image (arm64).
    """
    fields: t.Dict[str, str] = {}
    for line in (text or "").split("\n\n", maxsplit=1)[0].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return {
        "vendor": fields.get("vendor_id") or fields.get("CPU implementer"),
        "model": fields.get("model name") or fields.get("CPU part"),
        "flags": sorted((fields.get("flags") or fields.get("Features") or "").split()),
        "criu_image": base64.b64encode(image).decode("ascii") if image else None,
    }
