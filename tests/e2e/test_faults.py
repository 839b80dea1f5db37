# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong with real parts: a clear message, and nothing lost."""

from __future__ import annotations

import threading
import time

import pytest

MIGRATE = "container_checkpoint.kubernetes.migrate"


def untouched(cluster, counter, before):
    """The source is the very same process, counting where it was, and there is no twin."""
    assert counter.uid == before["uid"]
    answer = counter.ask("/")
    assert (answer["nonce"], answer["count"]) == (before["nonce"], before["count"] + 1)
    assert cluster.pod("counter-restored") is None


@pytest.fixture
def before(counter):
    """What the counter is like before anything happens to it."""
    return {"uid": counter.uid, **counter.ask()}


@pytest.mark.parametrize(
    "variables, says",
    [
        ({"migrate_pod": "nobody", "target_node": "node2"}, "there is no pod nobody where it was looked for"),
        ({"migrate_pod": "counter", "target_node": "node2", "source_node": "node2"}, "default/counter is on node1, not on node2"),
        ({"migrate_pod": "counter", "target_node": "node1"}, "default/counter is on node1 already"),
        ({"migrate_pod": "counter", "target_node": "node9"}, "The node node9 is no host of the inventory"),
        ({"migrate_pod": "counter", "target_node": "node2", "migrate_image_repository": ""}, "migrate_image_repository must say"),
        ({"target_node": "node2"}, "missing required arguments: migrate_pod"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_touched(cluster, counter, before, variables, says):
    archives = cluster.archives("node1")
    done = cluster.play(MIGRATE, **variables)
    assert done.code != 0 and done.says(says), done.output[-3000:]
    assert cluster.archives("node1") == archives
    untouched(cluster, counter, before)


def test_registry_down(cluster, counter, before):
    with cluster.blocked("node1", 5000):
        done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2", migrate_registry={"retries": 0})
    assert done.code != 0
    assert done.says("(step: checkpoint and push)") and done.says("The source was not touched and is Running on node1"), done.output[-3000:]
    assert done.says("failed (step: checkpoint and push): ") and done.says("checkpoints.lab:5000")
    assert not done.says("(step: checkpoint and push): One or more items failed")
    untouched(cluster, counter, before)


def test_wrong_password(cluster, counter, before):
    done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2", migrate_registry={"username": "lab", "password": "not-it"})
    assert done.code != 0 and done.says("The source was not touched"), done.output[-3000:]
    assert "not-it" not in done.output
    untouched(cluster, counter, before)


def test_base_image_missing_on_the_target(cluster, counter, before):
    archives = cluster.archives("node1")
    cluster.on("node2", "for i in $(crictl images -q base.lab:5001/counter); do crictl rmi $i; done")
    with cluster.blocked("node2", 5001):
        done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2")
    assert done.code != 0 and done.says("node2 cannot pull base.lab:5001/counter@sha256:"), done.output[-3000:]
    assert cluster.archives("node1") == archives
    untouched(cluster, counter, before)


def test_target_that_cannot_restore(cluster, counter, before):
    archives = cluster.archives("node1")
    cluster.on("node2", "mv /usr/sbin/criu /usr/sbin/criu.away")
    try:
        done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2")
    finally:
        cluster.on("node2", "mv /usr/sbin/criu.away /usr/sbin/criu")
    assert done.code != 0 and done.says("node2 cannot restore"), done.output[-3000:]
    assert cluster.archives("node1") == archives
    untouched(cluster, counter, before)


def test_token_without_the_right(cluster, counter, before):
    done = cluster.play(
        MIGRATE,
        migrate_pod="counter",
        target_node="node2",
        checkpoint_kubelet_token_file="",
        checkpoint_kubelet_token=cluster.token("powerless"),
        checkpoint_options={"authorization_wait": 0},
    )
    assert done.code != 0 and done.says("(step: checkpoint and push)") and done.says("nodes/checkpoint"), done.output[-3000:]
    untouched(cluster, counter, before)


def test_container_left_paused_is_resumed_and_reported(cluster):
    counter = cluster.counter("counter", "node1", memory_mib=192, app="counter")
    before = {"uid": counter.uid, **counter.ask()}
    # The runtime's deadline passes in the middle of the dump, and containerd leaves the container paused (seen on real clusters).
    # How far the dump is by then depends on the machine: too early and nothing is frozen yet, too late and it is done.
    for seconds in (0.3, 0.6, 1.2, 0.15, 2.4):
        with cluster.fault("node1", runtime_request_timeout=seconds):
            done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2", checkpoint_options={"timeout": 1})
        if done.code == 0 or done.says("was left paused and was resumed"):
            break
    assert done.code != 0 and done.says("was left paused and was resumed"), done.output[-3000:]
    untouched(cluster, counter, before)
    cluster.delete("counter")


def test_killed_in_the_middle_of_a_push_then_run_again(cluster):
    cluster.counter("large", "node1", memory_mib=64, app="large")
    variables = {"checkpoint_namespace": "default", "checkpoint_pods": ["large"], "checkpoint_options": {"max_age": 3600}}
    made = cluster.play("container_checkpoint.kubernetes.checkpoint", **variables)
    assert made.code == 0, made.output[-3000:]
    path = made.report["checkpoints"][0]["path"]
    variables["checkpoint_image_repository"] = "checkpoints.lab:5000/killed"

    pushes = []
    with cluster.slowed("node1", "10mbit"):
        push = threading.Thread(target=lambda: pushes.append(cluster.play("container_checkpoint.kubernetes.checkpoint", **variables)))
        push.start()
        # The call that reuses the archive has it open for a moment; who still has it open later is pushing it.
        pushing = []

        def found():
            before = set(cluster.readers("node1", path))
            time.sleep(2)
            pushing[:] = before & set(cluster.readers("node1", path))
            return len(pushing) == 1

        cluster.wait(found, "somebody to push the archive")
        cluster.on("node1", "kill -9 %d" % pushing[0])
        push.join()
    assert pushes[0].code != 0
    assert [(one["path"], one["image"]) for one in pushes[0].report["checkpoints"]] == [(path, None)]
    assert [one["node"] for one in pushes[0].report["failures"]] == ["node1"]

    again = cluster.play("container_checkpoint.kubernetes.checkpoint", **variables)
    assert again.code == 0, again.output[-3000:]
    one = again.report["checkpoints"][0]
    assert one["path"] == path and one["changed"] is False
    # What the registry holds is whole: a runtime pulls it and checks every digest.
    cluster.on("node2", "crictl pull '%s'" % one["image"])
    cluster.delete("large")
