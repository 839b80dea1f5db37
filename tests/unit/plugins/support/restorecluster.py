# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny cluster for the tests of pod_restore: the dynamic client as far as it is used, nodes, Pods and a clock."""

from __future__ import annotations

import copy
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _restore,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    RestoreError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kube_api import (
    KubeApi,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pod_spec import (
    Request,
    Restored,
)

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")
IMAGE = "checkpoints.lab:5000/counter@sha256:" + "1" * 64
CONTAINERD_KEY = "org.criu.checkpoint.container.name"
CRIO_KEY = "io.kubernetes.cri-o.annotations.checkpoint.name"
ANNOTATIONS = {
    CONTAINERD_KEY: "counter",
    CRIO_KEY: "counter",
    "org.criu.checkpoint.engine.name": "containerd",
    "org.criu.checkpoint.host.arch": "x86_64",
}

# As a container of root's with containerd's usual capabilities has them.
_SET = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split()
PRIVILEGES = {
    "user_namespace": False,
    "lsm": "",
    "credentials": [
        {
            "pid": 1,
            "command": "counter.sh",
            "uids": [0],
            "gids": [0],
            "groups": [0],
            "capabilities": {"bounding": _SET, "effective": _SET, "permitted": _SET, "inheritable": [], "ambient": []},
            "no_new_privs": False,
            "seccomp_mode": 0,
            "lsm_profile": "",
        }
    ],
}


def fixture(*path):
    with open(os.path.join(FIXTURES, *path), encoding="utf-8") as stream:
        return json.load(stream)


class ApiError(Exception):
    """As the dynamic client's errors look."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.reason = "whatever"
        self.body = json.dumps({"kind": "Status", "message": message}).encode()


class Cluster:
    """The dynamic client of a tiny cluster. script: statuses a created Pod goes through, one with every read."""

    def __init__(self, *objects, script=(), events=(), errors=None):
        self.objects = {
            (entry["kind"], entry["metadata"].get("namespace"), entry["metadata"]["name"]): entry for entry in objects
        }
        self.script = list(script)
        self.events = list(events)
        self.errors = errors or {}
        self.calls = []
        self.resources = self

    # The library's two steps: find the resource, then use its verbs.
    def get(self, api_version, kind):
        return Resource(self, kind)


class Resource:
    def __init__(self, cluster, kind):
        self.cluster = cluster
        self.kind = kind

    def _log(self, verb, **more):
        self.cluster.calls.append((verb, self.kind, more))
        error = self.cluster.errors.get((verb, self.kind))
        if error:
            raise error

    def get(self, name=None, namespace=None, field_selector=None, _request_timeout=None):
        self._log("get", name=name, field_selector=field_selector)
        assert _request_timeout
        if self.kind == "Event":
            return {"items": copy.deepcopy(self.cluster.events)}
        found = self.cluster.objects.get((self.kind, namespace, name))
        if found is None:
            raise ApiError(404, '%s "%s" not found' % (self.kind, name))
        if self.kind == "Pod" and found["metadata"].get("uid") == "new-uid" and self.cluster.script:
            found["status"] = self.cluster.script.pop(0) if len(self.cluster.script) > 1 else self.cluster.script[0]
        return copy.deepcopy(found)

    def create(self, body=None, namespace=None, dry_run=None, _request_timeout=None):
        self._log("dry-run" if dry_run else "create", body=copy.deepcopy(body))
        pod = copy.deepcopy(body)
        pod["metadata"]["uid"] = "dry-uid" if dry_run else "new-uid"
        if not dry_run:
            self.cluster.objects[("Pod", namespace, pod["metadata"]["name"])] = pod
        return copy.deepcopy(pod)

    def patch(self, body=None, name=None, namespace=None, content_type=None, _request_timeout=None):
        """A JSON patch that tests and removes a scheduling gate, which is all that is asked for."""
        self._log("patch", body=copy.deepcopy(body))
        assert content_type == "application/json-patch+json"
        pod = self.cluster.objects[("Pod", namespace, name)]
        uid, gate, removal = body
        index = int(removal["path"].rpartition("/")[2])
        if pod["metadata"]["uid"] != uid["value"] or pod["spec"]["schedulingGates"][index]["name"] != gate["value"]:
            raise ApiError(422, "the server rejected our request due to an error in our request")
        assert (uid["op"], gate["op"], removal["op"]) == ("test", "test", "remove")
        assert gate["path"] == removal["path"] + "/name"
        del pod["spec"]["schedulingGates"][index]
        return copy.deepcopy(pod)

    def delete(self, name=None, namespace=None, body=None, _request_timeout=None):
        self._log("delete", name=name, uid=body["preconditions"]["uid"])
        del self.cluster.objects[("Pod", namespace, name)]
        return {"kind": "Status", "status": "Success"}


def node(name="node2", runtime="containerd://2.1.9", ready="True", arch="amd64", **spec):
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"containerRuntimeVersion": runtime, "architecture": arch},
        },
    }


def source(engine="containerd"):
    return fixture(engine, "pod-counter.json")


def status(state, phase="Pending", **more):
    return {"phase": phase, "containerStatuses": [dict({"name": "counter", "state": state, "restartCount": 0}, **more)]}


WAITING = status({"waiting": {"reason": "ContainerCreating"}})
RUNNING = status({"running": {"startedAt": "now"}}, "Running", containerID="containerd://" + "c" * 64)


class Time:
    """A clock that sleep() moves."""

    def __init__(self):
        self.now = 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def order(**changes):
    request = {
        "name": "counter-restored",
        "target_node": "node2",
        "containers": (Restored("counter", IMAGE, ANNOTATIONS, privileges=PRIVILEGES),),
    }
    request.update(
        {
            key: changes.pop(key)
            for key in list(changes)
            if key in Request.__dataclass_fields__ and key != "restart_policy"
        }
    )
    return _restore.Order(
        namespace=changes.pop("namespace", "default"),
        pod=changes.pop("pod", "counter"),
        request=Request(**request),
        **changes,
    )


def run(cluster, check_mode=False, secrets=(), **changes):
    passing = Time()
    return _restore.Restorer(
        KubeApi(cluster, secrets), order(**changes), check_mode, passing.clock, passing.sleep
    ).run()


def verbs(cluster):
    return [(verb, kind) for verb, kind, _more in cluster.calls if verb != "get"]


def refused(cluster, message, error=RestoreError, **changes):
    """Nothing may have been created, and the message says what is wrong."""
    with pytest.raises(error, match=message) as caught:
        run(cluster, **changes)
    assert ("create", "Pod") not in verbs(cluster)
    return caught.value
