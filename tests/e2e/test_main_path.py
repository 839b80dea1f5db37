# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on real parts: checkpoint, image, push, restore on another node, proof."""

from __future__ import annotations

import json

from cluster import ARCHIVES, Counter

PLAYBOOKS = "container_checkpoint.kubernetes."


def test_a_counter_survives_its_migration(cluster, counter):
    before = counter.ask()
    done = cluster.play(
        PLAYBOOKS + "migrate",
        migrate_pod="counter",
        source_node="node1",
        target_node="node2",
        checkpoint_kubelet_token_file="",
        checkpoint_kubelet_token_from_service_account="default/ckpt",
    )
    assert done.code == 0, done.output[-4000:]
    assert cluster.pod("counter") is None
    assert cluster.pod("counter-restored")["spec"]["nodeName"] == "node2"
    twin = Counter(cluster, "counter-restored")
    after = twin.ask()
    assert {key: after[key] for key in ("count", "nonce", "started", "memory_sha256")} == {
        key: before[key] for key in ("count", "nonce", "started", "memory_sha256")
    }
    assert twin.ask("/")["count"] == before["count"] + 1

    report = done.report
    assert report["verified"] is True and report["source_removed"] is True and report["changed"] is True
    assert [(one["name"], one["restored"], one["by"]) for one in report["containers"]] == [("counter", True, "cri")]
    assert report["containers"][0]["checkpoint_image"] == report["images"][0]
    assert report["lost_ms"] > 0
    assert done.says("%s ms between its checkpoint and its removal is lost" % report["lost_ms"])
    assert {"checkpoint: call", "image: stream", "restore: wait", "removal of the source"} <= set(report["stages"])
    assert 0 < report["stages"]["checkpoint: call"] < report["stages"]["total"]


def test_check_mode_of_a_migration_changes_nothing(cluster, counter):
    before, archives = counter.uid, cluster.archives("node1")
    done = cluster.play(PLAYBOOKS + "migrate", check=True, migrate_pod="counter", target_node="node2")
    assert done.code == 0, done.output[-4000:]
    assert counter.uid == before and cluster.pod("counter-restored") is None
    assert cluster.archives("node1") == archives
    assert counter.ask("/")["count"] == 4


def test_checkpoints_on_both_nodes_then_nothing_to_do_then_a_restore(cluster, counter):
    cluster.counter("other", "node2", app="counter")
    variables = {
        "checkpoint_namespace": "default",
        "checkpoint_label_selectors": ["app=counter"],
        "checkpoint_image_repository": "checkpoints.lab:5000/e2e",
        "checkpoint_options": {"max_age": 600, "rename": "safe"},
    }
    first = cluster.play(PLAYBOOKS + "checkpoint", **variables)
    assert first.code == 0, first.output[-4000:]
    made = {one["pod"]: one for one in first.report["checkpoints"]}
    assert {name: one["node"] for name, one in made.items()} == {"counter": "node1", "other": "node2"}
    assert all(one["changed"] and "@sha256:" in one["image"] for one in made.values())
    for one in made.values():
        record = json.loads(cluster.on(one["node"], "cat '%s'" % one["record_path"]))
        digest = cluster.on(one["node"], "sha256sum '%s'" % one["path"]).split()[0]
        assert record["archive"]["sha256"] == one["sha256"] == digest
        assert one["path"].startswith(ARCHIVES + "/") and ":" not in one["path"]
        assert cluster.on(one["node"], "stat -c %%a '%s'" % one["path"]).strip() == "600"

    second = cluster.play(PLAYBOOKS + "checkpoint", **variables)
    assert second.code == 0, second.output[-4000:]
    assert [one["changed"] for one in second.report["checkpoints"]] == [False, False]
    assert {one["pod"]: one["image"] for one in second.report["checkpoints"]} == {name: one["image"] for name, one in made.items()}

    # The source counts on; its twin starts from the archive, which holds three.
    assert counter.ask("/")["count"] == 4
    third = cluster.play(
        PLAYBOOKS + "restore",
        restore_pod="counter",
        target_node="node2",
        restore_archives=[made["counter"]["path"]],
        restore_archive_host="node1",
        restore_image_repository="checkpoints.lab:5000/e2e",
        restore_registry={"username": "lab", "password": (cluster.state / "registry" / "password").read_text().strip()},
    )
    assert third.code == 0, third.output[-4000:]
    assert third.report["verified"] is True
    twin = Counter(cluster, "counter-restored")
    assert twin.ask()["count"] == 3 and twin.ask()["nonce"] == counter.ask()["nonce"]
    cluster.delete("other")
