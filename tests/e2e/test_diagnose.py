# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook diagnose makes of a pod's events, and what it and the restore itself make of CRIU's log of a restore that failed. Other logs of
CRIU: tests/workloads."""

from __future__ import annotations

import re

import pytest
from cluster import Counter

LOGS = "/var/log/criu-e2e"
KEEP = """
- name: Keep CRIU's logs
  hosts: node2
  gather_facts: false
  become: true
  tasks:
    - name: Configure
      ansible.builtin.include_role:
        name: container_checkpoint.kubernetes.criu
        tasks_from: "{{ item }}"
      loop: [configure.yml, logs.yml]
"""
# The counter, and beside it a socket that listens on the pod's own address, which no other pod will have.
BOUND = (
    "import socket; a = socket.socket(2, 2); a.connect(('192.0.2.1', 9)); s = socket.create_server((a.getsockname()[0], 9005)); a.close(); "
    "exec(open('/app/counter.py').read())"
)


@pytest.fixture
def kept(cluster, tmp_path):
    """The role criu has node2 keep a log of each operation."""
    playbook = tmp_path / "keep.yml"
    playbook.write_text(KEEP)
    done = cluster.play(str(playbook), criu_log_dir=LOGS)
    assert done.code == 0, done.output[-3000:]
    yield
    done = cluster.play(str(playbook), criu_log_dir="")
    cluster.on("node2", "rm -rf %s" % LOGS)
    assert done.code == 0, done.output[-3000:]


@pytest.fixture
def bound(cluster):
    """A counter that is bound to its pod's address: it can be checkpointed, and not be restored in another pod."""
    cluster.delete("bound")
    cluster.delete("bound-restored")
    container = {"name": "counter", "image": "base.lab:5001/counter:1", "command": ["python3", "-c", BOUND], "env": [{"name": "MEMORY_MIB", "value": "8"}]}
    metadata = {"name": "bound", "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node1", "containers": [container]}}
    cluster.resource("Pod").create(body=body, namespace="default")
    found = Counter(cluster, "bound")
    cluster.wait(lambda: cluster.ready("bound") and found.answers(), "pod bound to answer")
    yield found
    cluster.delete("bound")
    cluster.delete("bound-restored")


def test_a_failed_restore_leaves_its_log_and_the_cause_is_named_at_once_and_later(cluster, kept, bound):
    """containerd deletes restore.log, and its own answer says only that CRIU failed."""
    before = bound.ask()
    done = cluster.play("container_checkpoint.kubernetes.migrate", migrate_pod="bound", target_node="node2", migrate_preflight="warn")
    assert done.code != 0 and done.says("criu failed: type RESTORE errno 0"), done.output[-3000:]
    # The restore's own failure: cause, remedy, and where the log is.
    assert done.says("says: the program listened on the old pod's IP address (let it listen on 0.0.0.0 or ::)"), done.output[-3000:]
    path = re.search(r"CRIU's log \((%s/2\S+\.log) on node2\)" % LOGS, " ".join(done.output.split()))
    assert path, done.output[-3000:]
    assert cluster.pod("bound-restored") is None and bound.ask()["nonce"] == before["nonce"]
    assert "Can't bind inet socket" in cluster.on("node2", "cat '%s'" % path.group(1))
    # Later, from the node and the time alone.
    why = cluster.play("container_checkpoint.kubernetes.diagnose", checkpoint_hosts="node2", diagnose_window=120)
    assert why.code == 0, why.output[-3000:]
    result = why.report[0]
    assert result["findings"][0]["id"] == "bind-address" and "0.0.0.0" in result["answer"], result
    assert path.group(1) in [log["path"] for log in result["logs"] if log["stage"] == "restore" and not log["succeeded"]]


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
