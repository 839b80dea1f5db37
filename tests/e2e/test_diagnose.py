# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook diagnose reads: the logs that role criu keeps of each checkpoint and restore, and the pod's events."""

from __future__ import annotations

import pytest

LOGS = "/var/log/criu-operations"
ROLE = """
- name: Logs of CRIU
  hosts: node1
  become: true
  roles:
    - role: container_checkpoint.kubernetes.criu
"""


@pytest.fixture
def role(cluster, tmp_path):
    """Run the role on node1 with other variables; without logs afterwards."""
    playbook = tmp_path / "criu.yml"
    playbook.write_text(ROLE)

    def run(**variables):
        done = cluster.play(str(playbook), **variables)
        assert done.code == 0, done.output[-3000:]
        return done

    yield run
    run(criu_log_dir="")
    assert cluster.on("node1", "ls /etc/systemd/system/container-checkpoint-criu-logs.* /etc/tmpfiles.d/container-checkpoint-criu-logs.conf 2>/dev/null | wc -l").strip() == "0"
    cluster.on("node1", "rm -rf %s" % LOGS)


def logs(cluster):
    """Each log's name and what it ends with."""
    lines = cluster.on("node1", "cd %s && for log in *.log; do echo $log $(tail -n 1 $log); done" % LOGS).splitlines()
    return [line.split(" ", 1) for line in lines if "current.log" not in line]


def test_every_operation_has_a_log_of_its_own(cluster, counter, role):
    role(criu_log_dir=LOGS)
    again = role(criu_log_dir=LOGS)
    assert " changed=0 " in again.output.rsplit("node1 ", 1)[1], again.output[-2000:]
    chosen = {"checkpoint_namespace": "default", "checkpoint_pods": ["counter"]}
    for _number in range(2):
        done = cluster.play("container_checkpoint.kubernetes.checkpoint", **chosen)
        assert done.code == 0, done.output[-3000:]
    found = logs(cluster)
    assert len(found) == 2 and all("Dumping finished successfully" in end for _name, end in found), found
    # The one for this container, and no other's.
    pod = cluster.pod("counter")
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for wanted, expected in ((container, 2), ("f" * 64, 0)):
        why = cluster.play("container_checkpoint.kubernetes.diagnose", checkpoint_hosts="node1", diagnose_container_id=wanted, diagnose_window=600)
        assert why.code == 0, why.output[-3000:]
        assert len([log for log in why.report[0]["logs"] if log["path"].startswith(LOGS)]) == expected, why.report


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
