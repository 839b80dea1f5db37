# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore handler as back-end of the playbooks, on real parts: with and without a registry, and what may go wrong."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest
from cluster import ARCHIVES, ENVIRONMENT, Counter

PLAYBOOKS = "container_checkpoint.kubernetes."
STAGING = "/var/lib/container-checkpoint/restore"
IDENTITY = "/root/age-identity"
KEPT = ("count", "nonce", "started", "memory_sha256")
REGISTRY = {"restore_registry": "{{ container_checkpoint_registry }}"}


@pytest.fixture(scope="module")
def handled(cluster):
    """The lab, with the handler on node2."""
    done = cluster.play(str(pathlib.Path(__file__).with_name("handler.yml")))
    assert done.code == 0, done.output[-4000:]
    return cluster


@pytest.fixture(scope="module")
def checkpoint(handled):
    """A counter on node1 that counted to three, and its checkpoint: as an archive there and as an image in the registry."""
    handled.delete("counter-restored")
    counter = handled.counter("counter", "node1", app="counter")
    made = handled.play(
        PLAYBOOKS + "checkpoint",
        checkpoint_namespace="default",
        checkpoint_pods=["counter"],
        checkpoint_image_repository="checkpoints.lab:5000/handled",
        checkpoint_options={"rename": "safe"},
    )
    assert made.code == 0, made.output[-4000:]
    yield counter, made.report["checkpoints"][0]
    handled.delete("counter")


@pytest.fixture
def source(handled, checkpoint):
    """The source, which must be untouched afterwards, whatever happens; its twin is gone."""
    counter, made = checkpoint
    before = {"uid": counter.uid, **counter.ask()}
    yield counter, made
    handled.delete("counter-restored")
    assert counter.uid == before["uid"] and counter.ask()["nonce"] == before["nonce"]


def left_on_node2(cluster):
    """What of staged memory and of archives on their way is there."""
    script = (
        "cd %s; ls -d staged/* claimed/* failed/* incoming/* ../arriving/* 2>/dev/null; find . -name '*.img'" % STAGING
    )
    return cluster.on("node2", script + "; true").split()


def restore(cluster, **variables):
    given = {"restore_pod": "counter", "target_node": "node2", "restore_backend": "handler", **REGISTRY, **variables}
    return cluster.play(PLAYBOOKS + "restore", **given)


def test_a_counter_survives_its_migration_without_a_registry(handled, counter):
    before = counter.ask()
    done = handled.play(
        PLAYBOOKS + "migrate",
        migrate_pod="counter",
        target_node="node2",
        migrate_backend="auto",
        migrate_image_repository="",
    )
    assert done.code == 0, done.output[-4000:]
    twin = Counter(handled, "counter-restored")
    after = twin.ask()
    assert {key: after[key] for key in KEPT} == {key: before[key] for key in KEPT}
    assert twin.ask("/")["count"] == before["count"] + 1
    assert handled.pod("counter") is None

    report = done.report
    assert (report["backend"], report["verified"], report["source_removed"], report["images"]) == (
        "handler",
        True,
        True,
        [],
    )
    assert [(one["name"], one["restored"], one["by"]) for one in report["containers"]] == [("counter", True, "handler")]
    record = json.loads(handled.on("node1", "cat '%s.record.json'" % report["archives"][0]))
    assert report["containers"][0]["archive_sha256"] == record["archive"]["sha256"]
    assert {"restore: open", "restore: unpack", "restore: wait"} <= set(report["stages"])
    # An ordinary pod: its own image by digest, and it may be restarted.
    spec = handled.pod("counter-restored")["spec"]
    assert (
        spec["containers"][0]["image"].startswith("base.lab:5001/counter@sha256:") and spec["restartPolicy"] == "Always"
    )
    assert spec["runtimeClassName"] == "container-checkpoint" and not spec.get("schedulingGates")
    assert left_on_node2(handled) == []


def test_two_containers_of_one_pod_move_together(handled):
    """Each gets its own memory back, and both are proven, in one run of the playbook and without a registry."""
    handled.delete("pair-restored")
    handled.counter("pair", "node1", ports=(8080, 8081))
    try:
        before = {port: Counter(handled, "pair", port).ask("/") for port in (8080, 8081)}
        done = handled.play(
            PLAYBOOKS + "migrate", migrate_pod="pair", target_node="node2", migrate_backend="handler", migrate_image_repository=""
        )
        assert done.code == 0, done.output[-4000:]
        after = {port: Counter(handled, "pair-restored", port).ask() for port in (8080, 8081)}
        assert before[8080]["nonce"] != before[8081]["nonce"]
        assert [{key: after[port][key] for key in KEPT} for port in after] == [{key: before[port][key] for key in KEPT} for port in before]
        proven = {one["name"]: (one["restored"], one["by"]) for one in done.report["containers"]}
        assert proven == {"counter": (True, "handler"), "counter-8081": (True, "handler")}
        assert len({one["archive_sha256"] for one in done.report["containers"]}) == 2
        assert done.report["verified"] is True and handled.pod("pair") is None
        assert left_on_node2(handled) == []
    finally:
        for name in ("pair", "pair-restored"):
            handled.delete(name)


@pytest.fixture(scope="module")
def encrypted(handled, checkpoint, tmp_path_factory):
    """The checkpoint as a file on the controller, as a backup keeps it: compressed and encrypted. Node2 has the identity."""
    _counter, made = checkpoint
    install = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install age zstd"
    for node in ("node1", "node2"):
        handled.on(node, "command -v age >/dev/null && command -v zstd >/dev/null || (%s)" % install)
    handled.on("node2", "umask 077; rm -f {0} {0}.other; age-keygen -o {0} 2>/dev/null; age-keygen -o {0}.other 2>/dev/null".format(IDENTITY))
    stored = tmp_path_factory.mktemp("stored") / "counter.tar.zst.age"
    options = {"src": made["path"], "dest": str(stored), "compress": "zstd", "recipients": [handled.on("node2", "age-keygen -y " + IDENTITY).strip()]}
    argv = ["ansible", "node1", "--inventory", handled.inventory, "--become", "-m", PLAYBOOKS + "archive_fetch", "-a", json.dumps(options)]
    fetched = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **ENVIRONMENT})
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    assert stored.read_bytes().startswith(b"age-encryption.org/")
    yield str(stored)
    handled.on("node2", "rm -f {0} {0}.other".format(IDENTITY))


def test_an_encrypted_file_of_the_controller_is_restored_with_the_targets_identity(handled, source, encrypted):
    """Decrypted and decompressed on the target while it is unpacked: neither the controller nor a disk sees it in the clear."""
    counter, _made = source
    counter.ask("/")
    done = restore(
        handled, restore_archives=[encrypted], restore_archive_host="localhost", restore_stage_options={"identity_file": IDENTITY}
    )
    assert done.code == 0, done.output[-4000:]
    twin = Counter(handled, "counter-restored").ask()
    assert (twin["count"], twin["nonce"]) == (3, counter.ask()["nonce"])
    assert (done.report["backend"], done.report["verified"]) == ("handler", True)
    assert left_on_node2(handled) == []


def test_an_encrypted_file_and_no_identity_or_another_one(handled, source, encrypted):
    given = {"restore_archives": [encrypted], "restore_archive_host": "localhost"}
    done = restore(handled, restore_stage_options={"identity_file": IDENTITY + ".other"}, **given)
    nothing_came_of_it(handled, done, "cannot be decrypted with %s.other" % IDENTITY, "The new pod was deleted again")
    done = restore(handled, **given)
    nothing_came_of_it(handled, done, "is encrypted: set restore_stage_options.identity_file", "Nothing was touched")


def test_restored_out_of_an_image_and_again_is_unchanged(handled, source):
    counter, made = source
    counter.ask("/")
    variables = {"restore_backend": "auto", "restore_containers": [{"name": "counter", "image": made["image"]}]}
    done = restore(handled, **variables)
    assert done.code == 0, done.output[-4000:]
    twin = Counter(handled, "counter-restored").ask()
    assert (twin["count"], twin["nonce"]) == (3, counter.ask()["nonce"])
    assert (done.report["backend"], done.report["verified"]) == ("handler", True)
    assert done.report["containers"][0]["checkpoint_image"] == made["image"]

    again = restore(handled, **variables)
    assert again.code == 0, again.output[-4000:]
    assert (again.report["changed"], again.report["verified"]) == (False, True)
    assert Counter(handled, "counter-restored").ask()["started"] == twin["started"]


def with_source_file(cluster, change, work):
    """The source's object, changed."""
    pod = cluster.pod("counter")
    change(pod["spec"])
    path = work / "pod.json"
    path.write_text(json.dumps(pod))
    return {"restore_source_file": str(path)}


def less_privileges(spec):
    spec["containers"][0]["securityContext"] = {"capabilities": {"drop": ["ALL"]}}


def fewer_mounts(spec):
    spec["automountServiceAccountToken"] = False
    spec["volumes"] = []
    spec["containers"][0]["volumeMounts"] = []


def nothing_came_of_it(cluster, done, *words):
    assert done.code != 0 and all(done.says(text) for text in words), done.output[-4000:]
    assert cluster.pod("counter-restored") is None
    assert left_on_node2(cluster) == []


def test_an_archive_that_was_changed(handled, source):
    _counter, made = source
    there = "%s/changed.tar" % ARCHIVES
    handled.on(
        "node1",
        'cp \'{0}\' {1}; sed \'s|"name": "[^"]*.tar"|"name": "changed.tar"|\' \'{0}.record.json\' > {1}.record.json; '
        "printf x | dd of={1} bs=1 seek=$(( $(stat -c %s {1}) / 2 )) conv=notrunc status=none".format(
            made["path"], there
        ),
    )
    try:
        done = restore(handled, restore_archives=[there], restore_archive_host="node1")
    finally:
        handled.on("node1", "rm -f %s*" % there)
    nothing_came_of_it(handled, done, "changed.tar on node1", "Nothing was touched")


def test_an_archive_of_another_base_image(handled, source):
    _counter, made = source
    other = "base.lab:5001/counter@sha256:" + "0" * 64
    done = restore(handled, restore_containers=[{"name": "counter", "image": made["image"], "base_image": other}])
    nothing_came_of_it(handled, done, "base image has the digest sha256:", "The new pod was deleted again")


def test_privileges_above_the_pods(handled, source, tmp_path):
    _counter, made = source
    variables = with_source_file(handled, less_privileges, tmp_path)
    done = restore(handled, restore_archives=[made["path"]], restore_archive_host="node1", **variables)
    nothing_came_of_it(
        handled, done, "the checkpoint holds more privileges than the pod asks for", "The new pod was deleted again"
    )


def test_what_fails_on_the_node_is_told_with_its_words(handled, source, tmp_path):
    """The new pod lacks a mount of the source, which the handler sees when the container is created."""
    _counter, made = source
    variables = with_source_file(handled, fewer_mounts, tmp_path)
    done = restore(handled, restore_containers=[{"name": "counter", "image": made["image"]}], **variables)
    nothing_came_of_it(handled, done, "had mounts that the new one has not", "secrets/kubernetes.io/serviceaccount", "The source was not touched")
