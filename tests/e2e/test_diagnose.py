# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook diagnose makes of a pod's events. What it makes of CRIU's logs: tests/workloads."""

from __future__ import annotations


def test_the_pods_events_are_explained(cluster):
    cluster.delete("imageless")
    container = {"name": "c", "image": "base.lab:5001/there-is-none:1"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "imageless", "namespace": "default"},
        "spec": {"nodeName": "node1", "containers": [container]},
    }
    cluster.resource("Pod").create(body=body, namespace="default")

    def said():
        events = cluster.resource("Event").get(namespace="default", field_selector="involvedObject.name=imageless").to_dict()["items"]
        return any("there-is-none" in event["message"] and event["reason"] == "Failed" for event in events)

    try:
        cluster.wait(said, "the kubelet to say that there is no such image")
        why = cluster.play(
            "container_checkpoint.kubernetes.diagnose", checkpoint_hosts="node1", diagnose_pod="default/imageless", diagnose_journal=False, diagnose_window=1
        )
    finally:
        cluster.delete("imageless")
    assert why.code == 0, why.output[-3000:]
    result = why.report[0]
    assert any("there-is-none" in event["message"] for event in result["events"])
    assert result["findings"] and "there-is-none" in result["findings"][0]["line"], result
