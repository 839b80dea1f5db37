# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet without containers: registers nodes with the API server, and gives Pods the status that their image asks for.

    kubelet.py KUBECONFIG SECONDS

An image whose digest begins with 1 runs, 2 is refused by the runtime, 3 never starts. Ends by itself after SECONDS.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

import kubernetes
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

# As a real kubelet 1.36.2 with containerd showed it when the base image could not be pulled.
REFUSED = "failed to pull checkpoint base image base.lab:5001/counter@sha256:f618: 401 Unauthorized"
NODES = {
    "node1": "containerd://2.1.9",
    "node2": "containerd://2.1.9",
    "node3": "cri-o://1.36.3",
    "node4": "containerd://2.4.0",
}


def state_for(image):
    digest = image.rpartition("@sha256:")[2]
    if digest.startswith("2"):
        return {"waiting": {"reason": "CreateContainerError", "message": REFUSED}}
    if digest.startswith("3"):
        return {"waiting": {"reason": "ContainerCreating"}}
    return {"running": {"startedAt": "2026-11-21T12:31:11Z"}}


def status_of(pod):
    statuses = []
    for number, container in enumerate(pod["spec"]["containers"]):
        state = state_for(container["image"])
        running = "running" in state
        statuses.append(
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": running,
                "restartCount": 0,
                "state": state,
                "containerID": "containerd://%064d" % number if running else "",
            }
        )
    running = all("running" in entry["state"] for entry in statuses)
    return {"phase": "Running" if running else "Pending", "containerStatuses": statuses}


def register(nodes):
    for name, runtime in NODES.items():
        nodes.create(body={"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"containerRuntimeVersion": runtime, "architecture": "amd64"},
        }
        nodes.status.patch(body={"status": status}, name=name, content_type="application/merge-patch+json")


def step(pods):
    for entry in pods.get(namespace="default").to_dict()["items"]:
        name = entry["metadata"]["name"]
        try:
            if entry["metadata"].get("deletionTimestamp"):
                pods.delete(name=name, namespace="default", body={"gracePeriodSeconds": 0})
            elif entry["spec"].get("nodeName") and not (entry.get("status") or {}).get("containerStatuses"):
                pods.status.patch(
                    body={"status": status_of(entry)},
                    name=name,
                    namespace="default",
                    content_type="application/merge-patch+json",
                )
        except (ConflictError, NotFoundError):
            pass  # changed under us; the next step sees it as it is then


def main():
    client = kubernetes.config.new_client_from_config(sys.argv[1])
    end = time.monotonic() + float(sys.argv[2])
    with tempfile.TemporaryDirectory() as cache:
        api = kubernetes.dynamic.DynamicClient(client, cache_file=os.path.join(cache, "discovery.json"))
        register(api.resources.get(api_version="v1", kind="Node"))
        pods = api.resources.get(api_version="v1", kind="Pod")
        while time.monotonic() < end:
            step(pods)
            time.sleep(0.1)


main()
