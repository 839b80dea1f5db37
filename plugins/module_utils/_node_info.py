# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the node what it is: container runtime, OCI runtime, CRIU, kernel, kubelet, space.

PRIVATE to the collection. Reads only. Nothing needs to be installed: what is missing is a fact, not a failure.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_config as config_reader
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_kernel as kernel_reader
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _node_info_kubelet as kubelet_reader,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _restore_handler as handler
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import Find, Run
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import CONTAINERD, CRIO, SOCKETS, Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError

_TIMEOUT = 60.0
_CRIU_CONFIG = "/etc/criu/runc.conf"
_FEATURES = ("get_rseq_conf",)
# What CRIU calls while it works.
_HELPERS = ("iptables-restore", "ip6tables-restore", "nft", "ip", "tar")
# Parts of a node that can be looked at alone.
SUBSETS = ("engine", "criu", "kernel", "kubelet", "cpu")
_PROGRAM = {CONTAINERD: "containerd", CRIO: "crio"}
_RUNC_CRIU = "org.opencontainers.runc.checkpoint.enabled"
_TEXT_MAX = 600
_IMAGE_MAX = 64 * 1024


class System(t.NamedTuple):
    """The node, as far as it is not a command: replaced by a plain value in tests."""

    root: bool
    kernel: str
    arch: str
    exists: t.Callable[[str], bool]
    read: t.Callable[[str], t.Optional[str]]
    free_bytes: t.Callable[[str], t.Optional[int]]
    # Calls the function with a directory that exists only meanwhile.
    scratch: t.Callable[[t.Callable[[str], t.Optional[bytes]]], t.Optional[bytes]] = lambda use: None


def read_text(path: str) -> t.Optional[str]:
    """The file's text, unpacked when it is a C(.gz); None when it cannot be read."""
    try:
        if path.endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as packed:
                return packed.read()
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (OSError, EOFError):
        return None


def with_scratch(use: t.Callable[[str], t.Optional[bytes]]) -> t.Optional[bytes]:
    """The answer of use(directory) for a fresh directory that is gone afterwards."""
    directory = tempfile.mkdtemp(prefix="container-checkpoint.")
    try:
        return use(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def free_bytes(path: str) -> t.Optional[int]:
    """Free bytes where path is, or will be once it is made."""
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def this_system() -> System:
    """The node this process runs on."""
    name = os.uname()
    return System(os.geteuid() == 0, name.release, name.machine, os.path.exists, read_text, free_bytes, with_scratch)


class Inspector:
    """Gathers the facts of C(node_info). run and find as in C(_command)."""

    def __init__(self, run: Run, find: Find, system: System, endpoint: t.Optional[str] = None) -> None:
        self._run = run
        self._find = find
        self._system = system
        self._cri = Cri(run, find, endpoint, exists=system.exists)

    def _try(self, *argv: str) -> t.Tuple[t.Optional[int], str, str]:
        """(rc, stdout, stderr) of a program that may be missing: rc is None then, or when it did not end in time."""
        path = argv[0] if argv[0].startswith("/") else self._find(argv[0])
        if not path:
            return None, "", "%s is not installed" % argv[0]
        try:
            return self._run([path] + list(argv[1:]), _TIMEOUT)
        except CheckpointError as exc:
            return None, "", exc.msg

    def _engine(self) -> t.Dict[str, t.Any]:
        facts: t.Dict[str, t.Any] = {
            "engine": None,
            "engine_version": None,
            "cri": False,
            "cri_why": None,
            "endpoint": self._cri.endpoint,
        }
        try:
            answer = self._cri.version()
        except CheckpointError as exc:
            facts["cri_why"] = exc.msg
        else:
            # CRI-O calls itself cri-o, containerd containerd; anything else is kept as it is and judged unknown.
            facts.update(engine=answer.name, engine_version=answer.version.lstrip("v"), cri=True)
            return facts
        installed = [engine for engine, program in _PROGRAM.items() if self._find(program)]
        installed.sort(key=lambda engine: not self._system.exists(SOCKETS[engine]))
        if installed:
            _rc, out, _err = self._try(_PROGRAM[installed[0]], "--version")
            # Not the first number of the line: the module path of containerd 2 ends in /v2.
            version = re.search(r"(?<![\w.])v?(\d+\.\d+\.\d+\S*)", out)
            facts.update(engine=installed[0], engine_version=version.group(1) if version else None)
        return facts

    def _config(self, engine: t.Optional[str]) -> t.Tuple[t.Optional[t.Dict[str, t.Any]], t.Optional[str]]:
        if engine == CONTAINERD:
            rc, out, err = self._try("containerd", "config", "dump")
            reader = config_reader.containerd
        elif engine == CRIO:
            # What the running service has in effect: one that found no CRIU when it started has switched it off. Else its files.
            rc, out, err = self._try("crio", "status", "config")
            if rc != 0 or not out.strip():
                rc, out, err = self._try("crio", "config")
            reader = config_reader.crio
        else:
            return None, "no known container runtime"
        if rc != 0 or not out.strip():
            return None, err.strip()[:_TEXT_MAX] or "exit status %s" % rc
        return reader(out), None

    def _oci_runtime(self, engine: t.Optional[str], config: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
        facts: t.Dict[str, t.Any] = {"name": None, "path": None, "version": None, "criu": None, "why": None}
        if not engine:
            return facts
        name = (config or {}).get("default_runtime") or "runc"
        given = ((config or {}).get("runtimes") or {}).get(name, {}).get("path")
        program = given or name
        path = (
            program
            if program.startswith("/") and self._system.exists(program)
            else self._find(os.path.basename(program))
        )
        facts["name"] = os.path.basename(program)
        if not path:
            return facts
        facts["path"] = path
        _rc, out, _err = self._try(path, "--version")
        version = re.search(r"\d+\.\d+(?:\.\d+)?\S*", out)
        facts["version"] = version.group(0) if version else None
        # Its own word, because a program may stand in for another one, as the restore handler does for runc.
        says = re.match(r"(\w+) version ", out)
        facts["name"] = says.group(1) if says else facts["name"]
        facts["criu"], facts["why"] = self._runtime_uses_criu(path, out)
        return facts

    def _runtime_uses_criu(self, path: str, version_text: str) -> t.Tuple[t.Optional[bool], t.Optional[str]]:
        if os.path.basename(path) == "crun":
            if "+CRIU" not in version_text:
                return False, "'crun --version' does not show +CRIU"
            rc, out, _err = self._try("ldconfig", "-p")
            if rc == 0 and "libcriu.so" not in out:
                return False, "libcriu is not installed"
            return True, None
        rc, out, _err = self._try(path, "features")
        if rc == 0:
            try:
                answer = (json.loads(out).get("annotations") or {}).get(_RUNC_CRIU)
            except (ValueError, AttributeError):
                answer = None
            if answer is not None:
                return answer == "true", (
                    None
                    if answer == "true"
                    else "'%s features' says checkpoint.enabled is %s"
                    % (
                        path,
                        answer,
                    )
                )
        rc, _out, err = self._try(path, "checkpoint", "--help")
        if rc is None:
            return None, err
        return rc == 0, None if rc == 0 else "'%s checkpoint --help' fails" % path

    def _criu(self, features: t.Sequence[str]) -> t.Dict[str, t.Any]:
        facts: t.Dict[str, t.Any] = {"criu_version": None, "criu_check": None, "criu_features": {}, "criu_config": None}
        facts["criu_network_lock"] = None
        facts["helpers"] = {name: self._find(name) is not None for name in _HELPERS}
        rc, out, _err = self._try("criu", "--version")
        if rc is None:
            return facts
        version = re.search(r"Version:\s*(\S+)", out)
        facts["criu_version"] = version.group(1) if version else "unknown"
        lines = [line.partition("#")[0].split() for line in (self._system.read(_CRIU_CONFIG) or "").splitlines()]
        facts["criu_config"] = sorted({line[0] for line in lines if line})
        locks = [line[1] for line in lines if len(line) > 1 and line[0] == "network-lock"]
        facts["criu_network_lock"] = locks[-1] if locks else None
        if self._system.root:
            rc, out, err = self._try("criu", "check")
            facts["criu_check"] = {"rc": rc, "text": (out + err).strip()[-_TEXT_MAX:]}
            for feature in features:
                rc, out, err = self._try("criu", "check", "--feature", feature)
                # A criu that does not know the feature's name says so and proves nothing.
                unknown = rc is None or "Unknown feature" in out + err
                facts["criu_features"][feature] = None if unknown else rc == 0
        return facts

    def _kernel_options(self) -> t.Dict[str, t.Any]:
        for path in kernel_reader.config_paths(self._system.kernel):
            text = self._system.read(path)
            if text:
                return kernel_reader.options(text, path)
        return kernel_reader.options(None, None)

    def _cpu(self) -> t.Dict[str, t.Any]:
        def dump(directory: str) -> t.Optional[bytes]:
            rc, _out, _err = self._try("criu", "cpuinfo", "dump", "--images-dir", directory)
            try:
                with open(os.path.join(directory, "cpuinfo.img"), "rb") as stream:
                    return stream.read(_IMAGE_MAX) if rc == 0 else None
            except OSError:
                return None

        image = self._system.scratch(dump) if self._system.root and self._find("criu") else None
        return kernel_reader.cpu(self._system.read("/proc/cpuinfo"), image)

    def _kubelet(self, configz: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
        rc, out, _err = self._try("kubelet", "--version")
        text = None if configz is not None else self._system.read(kubelet_reader.CONFIG_FILE)
        return kubelet_reader.facts(out if rc == 0 else None, configz, text)

    def _handler(self, config: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
        name = handler.installed_as((config or {}).get("runtimes") or {})
        status = (
            handler.parse_status(self._system.read(handler.HANDLER_STATUS)) if name else {"passing": False, "why": None}
        )
        return {"installed": name is not None, "runtime": name, "passing": status["passing"], "why": status["why"]}

    def gather(
        self,
        checkpoint_dir: str,
        wanted_free_bytes: int,
        configz: t.Optional[t.Mapping[str, t.Any]] = None,
        subset: t.Sequence[str] = SUBSETS,
        features: t.Sequence[str] = (),
    ) -> t.Dict[str, t.Any]:
        """Everything C(_node_info_assess) judges, as plain JSON types. Parts that are not in subset are left out."""
        node: t.Dict[str, t.Any] = {
            "subset": [name for name in SUBSETS if name in subset],
            "kernel": self._system.kernel,
            "arch": self._system.arch,
            "root": self._system.root,
        }
        if "engine" in subset:
            node.update(self._engine())
            node["config"], node["config_why"] = self._config(node["engine"])
            node["oci_runtime"] = self._oci_runtime(node["engine"], node["config"])
            node["restore_handler"] = self._handler(node["config"])
        if "criu" in subset:
            node.update(self._criu(list(dict.fromkeys((*_FEATURES, *features)))))
        if "kernel" in subset:
            node["kernel_options"] = self._kernel_options()
            node["lsm"] = kernel_reader.security_module(self._system.read)
            node["cgroup_version"] = 2 if self._system.exists("/sys/fs/cgroup/cgroup.controllers") else 1
        if "cpu" in subset:
            node["cpu"] = self._cpu()
        if "kubelet" in subset:
            node.update(self._kubelet(configz))
            node.update(
                checkpoint_dir=checkpoint_dir,
                free_bytes=self._system.free_bytes(checkpoint_dir),
                wanted_free_bytes=wanted_free_bytes,
            )
        return node
