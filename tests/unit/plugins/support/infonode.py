# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that exists only as commands with their answers, files and sockets, for node_info and its judgement."""

from __future__ import annotations

import json

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _node_info_assess as assess
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._node_info import Inspector, System

CRICTL = "Version:  0.1.0\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  v1\n"
CONTAINERD_DUMP = """
version = 3
[plugins]
  [plugins.'io.containerd.cri.v1.runtime']
    %s
    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'
          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
"""
FEATURES = json.dumps({"annotations": {"org.opencontainers.runc.checkpoint.enabled": "true"}})
CONTAINERD = "/run/containerd/containerd.sock"


class Node:
    """A node: commands and their answers, files, sockets."""

    def __init__(self, commands=None, files=None, kernel="6.1.0-35-amd64", root=True, free=50 << 30):
        self.commands = commands or {}
        self.files = files or {}
        self.system = System(root, kernel, "x86_64", lambda path: path in self.files, self.files.get, lambda path: free)

    def find(self, name):
        return "/usr/bin/" + name if any(command.split()[0] == name for command in self.commands) else None

    def run(self, argv, timeout):
        line = " ".join([argv[0].rpartition("/")[2]] + list(argv[1:]))
        line = line.replace("crictl --runtime-endpoint unix://%s --timeout 30s" % CONTAINERD, "crictl")
        answer = self.commands.get(line, (127, "", "unexpected command: %s" % line))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def facts(self, configz=None, wanted=1 << 30, **more):
        return Inspector(self.run, self.find, self.system).gather(
            "/var/lib/kubelet/checkpoints", wanted, configz, **more
        )

    def judge(self, **options):
        return assess.assess(self.facts(**options))


def commands(version="2.1.9", setting="", engine="containerd", criu="4.2.1", **more):
    table = {
        "crictl version": (0, CRICTL % (engine, version), ""),
        "containerd config dump": (0, CONTAINERD_DUMP % setting, ""),
        "runc --version": (0, "runc version 1.3.6\ncommit: x\n", ""),
        "runc features": (0, FEATURES, ""),
        "criu --version": (0, "Version: %s\nGitID: v%s\n" % (criu, criu), ""),
        "criu check": (0, "Looks good.\n", ""),
        "criu check --feature get_rseq_conf": (0, "get_rseq_conf is supported\n", ""),
        "kubelet --version": (0, "Kubernetes v1.36.2\n", ""),
        "iptables-restore": (0, "", ""),
        "tar": (0, "", ""),
    }
    table.update(more)
    return table


FILES = {CONTAINERD: "", "/etc/criu/runc.conf": "# ours\ntcp-close\nskip-in-flight\n"}


def ids(result, severity=None):
    return [reason["id"] for reason in result["reasons"] if severity in (None, reason["severity"])]


def reason(result, name):
    return next(entry for entry in result["reasons"] if entry["id"] == name)


def path(result, name):
    return next(entry for entry in result["restore_paths"] if entry["name"] == name)
