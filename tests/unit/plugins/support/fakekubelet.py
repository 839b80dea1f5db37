# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet behind a function instead of a socket, and a runtime behind another, for tests of what calls them."""

from __future__ import annotations

import json
import os
import threading
import urllib.parse

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import named_archive

FORBIDDEN = "Forbidden (user=system:serviceaccount:default:ckpt, verb=%s, resource=nodes, subresource(s)=[%s])"


def container_id(namespace, pod, container):
    """A made-up ID, the same whenever it is asked for."""
    return (("%s/%s/%s" % (namespace, pod, container)).encode("utf-8").hex() + "0" * 64)[:64]


def pod_object(namespace, name, containers, node="node1", labels=None, running=True, **meta):
    state = (
        {"running": {"startedAt": "2026-11-21T12:31:07Z"}} if running else {"waiting": {"reason": "ImagePullBackOff"}}
    )
    return {
        "metadata": dict({"namespace": namespace, "name": name, "labels": labels or {}}, **meta),
        "spec": {
            "nodeName": node,
            "containers": [
                {"name": container, "env": [{"name": "TOKEN", "value": "do-not-show"}]} for container in containers
            ],
        },
        "status": {
            "phase": "Running" if running else "Pending",
            "containerStatuses": [
                {
                    "name": container,
                    "state": state,
                    "containerID": "containerd://" + container_id(namespace, name, container),
                }
                for container in containers
            ],
        },
    }


class FakeKubelet:
    """directory: where archives go. special: C(namespace/pod/container) -> function(self, path) -> Answer or None (as
    usual)."""

    def __init__(self, directory, pods, special=None, may_read_pods=True):
        self.directory = str(directory)
        self.pods = pods
        self.special = special or {}
        self.may_read_pods = may_read_pods
        self.calls = []
        self.active = self.most_active = 0
        self._lock = threading.Lock()
        self._count = 0

    def send(self, method, url, headers=None, body=None, timeout=None, max_body=0):
        parts = urllib.parse.urlsplit(url)
        self.calls.append((method, parts.path + ("?" + parts.query if parts.query else ""), timeout))
        if method == "GET" and parts.path.endswith("/pods"):
            return self.list_pods()
        words = parts.path.strip("/").split("/")
        if method == "POST" and words[0] == "checkpoint":
            with self._lock:
                self.active += 1
                self.most_active = max(self.active, self.most_active)
            try:
                return self.checkpoint(*words[1:])
            finally:
                with self._lock:
                    self.active -= 1
        return Answer(404, {}, b"404 page not found\n")

    def list_pods(self):
        if not self.may_read_pods:
            return Answer(403, {}, (FORBIDDEN % ("get", "pods proxy")).encode())
        return Answer(200, {}, json.dumps({"kind": "PodList", "items": self.pods}).encode())

    def checkpoint(self, namespace, pod, container):
        there = [
            entry
            for entry in self.pods
            if (entry["metadata"]["namespace"], entry["metadata"]["name"]) == (namespace, pod)
        ]
        if not there:
            return Answer(404, {}, b"pod does not exist\n")
        if container not in [entry["name"] for entry in there[0]["spec"]["containers"]]:
            return Answer(404, {}, ("container %s does not exist\n" % container).encode())
        path = self.next_path(namespace, pod, container)
        action = self.special.get("%s/%s/%s" % (namespace, pod, container))
        answer = action(self, path) if action else None
        if answer is not None:
            return answer
        if not action:
            self.write(
                path,
                named_archive(
                    namespace, pod, container, container_id(namespace, pod, container), checkpointed=self.now
                ),
            )
        return self.success(path)

    now = "2026-11-21T12:00:00Z"

    def next_path(self, namespace, pod, container):
        with self._lock:
            self._count += 1
            return os.path.join(
                self.directory,
                "checkpoint-%s_%s-%s-2026-11-21T12:00:%02d+01:00.tar" % (pod, namespace, container, self._count % 60),
            )

    @staticmethod
    def write(path, data):
        with open(path, "wb") as stream:
            stream.write(data)

    @staticmethod
    def success(path):
        return Answer(200, {"content-type": "application/json"}, json.dumps({"items": [path]}).encode())

    @property
    def checkpoint_calls(self):
        return [call for call in self.calls if "/checkpoint/" in call[1]]


class FakeRuntime:
    """crictl and ctr of a node with containerd. paused: IDs that are paused; resumed: IDs that were resumed."""

    def __init__(self, pods, paused=(), memory=None):
        self.pods = pods
        self.paused = set(paused)
        self.resumed = []
        self.memory = memory
        self.commands = []
        self.broken = ""
        self.on_checkpoint = None

    def cri(self):
        return Cri(self.run, lambda name: "/usr/bin/" + name, exists=lambda path: "containerd" in path)

    def _containers(self):
        for pod in self.pods:
            for status in pod["status"]["containerStatuses"]:
                labels = {
                    "io.kubernetes.container.name": status["name"],
                    "io.kubernetes.pod.name": pod["metadata"]["name"],
                    "io.kubernetes.pod.namespace": pod["metadata"]["namespace"],
                }
                if "uid" in pod["metadata"]:
                    labels["io.kubernetes.pod.uid"] = pod["metadata"]["uid"]
                state = "CONTAINER_RUNNING" if "running" in status["state"] else "CONTAINER_EXITED"
                yield {
                    "id": status["containerID"].rpartition("/")[2],
                    "metadata": {"name": status["name"]},
                    "labels": labels,
                    "state": state,
                }

    def run(self, argv, timeout):
        self.commands.append(list(argv))
        if self.broken:
            return 1, "", self.broken
        words = [word for word in argv[1:] if not word.startswith("-")]
        if "version" in words:
            return 0, "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.1.9\nRuntimeApiVersion:  v1\n", ""
        if "ps" in words:
            return 0, json.dumps({"containers": list(self._containers())}), ""
        if "inspect" in words:
            entry = [entry for entry in self._containers() if entry["id"] == words[-1]][0]
            return 0, json.dumps({"status": entry, "info": {"runtimeType": "io.containerd.runc.v2"}}), ""
        if "stats" in words:
            return (
                0,
                json.dumps(
                    {
                        "stats": (
                            [{"memory": {"workingSetBytes": {"value": str(self.memory)}}}]
                            if self.memory is not None
                            else []
                        )
                    }
                ),
                "",
            )
        if "checkpoint" in words:
            export = [word for word in argv if word.startswith("--export=")][0][len("--export=") :]
            return self.on_checkpoint(export, words[-1]) if self.on_checkpoint else (1, "", "unexpected")
        if words[-2:] == ["tasks", "ls"]:
            rows = [
                "%s 123 %s" % (entry["id"], "PAUSED" if entry["id"] in self.paused else "RUNNING")
                for entry in self._containers()
            ]
            return 0, "TASK PID STATUS\n" + "\n".join(rows) + "\n", ""
        if "resume" in words:
            self.paused.discard(words[-1])
            self.resumed.append(words[-1])
            return 0, "", ""
        return 1, "", "unknown command %r" % (argv,)
