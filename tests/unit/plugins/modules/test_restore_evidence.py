# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore_evidence: only what the runtime recorded counts, and it must be the checkpoint that was expected."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, RestoreError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._restore_evidence import same_time
from ansible_collections.container_checkpoint.kubernetes.plugins.modules.restore_evidence import collect

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")
DIGEST = "sha256:" + "1" * 64
IMAGE = "localhost:5000/direct/py@" + DIGEST
TAG = "localhost:5000/direct/py:1795264268"
LOG = {"path": "/var/log/criu.log", "age_seconds": 3, "diagnosis": []}
UID = {"containerd": "6d6f3a90-3029-4982-beb3-d323f3b2bd15", "crio": "a8b69fa5-4471-42fe-8389-4529c92b698a"}
AT = {"containerd": "2026-11-21T12:31:08.24669231Z", "crio": "2026-11-21T12:32:18.268851245Z"}


def container(engine, fixture="restored-by-image", **changes):
    with open(os.path.join(FIXTURES, engine, "inspect-%s.json" % fixture), encoding="utf-8") as stream:
        return dataclasses.replace(_cri.parse_inspect(json.load(stream)), **changes)


class Node:
    """What collect() asks a Cri."""

    def __init__(self, *containers, digests=("localhost:5000/direct/py@" + DIGEST,)):
        self.known = containers
        self.digests = list(digests)

    def containers(self, namespace, pod):
        return [entry for entry in self.known if (entry.namespace, entry.pod) == (namespace, pod)]

    def inspect(self, container_id):
        return next(entry for entry in self.known if entry.id == container_id)

    def image(self, reference):
        return {"repoDigests": self.digests} if reference == TAG and self.digests else None


def ask(node, alive=True, staged=(), **given):
    params = {"namespace": "default", "pod": "py-d", "pod_uid": None, "containers": None, "require": True}
    params.update(given)
    return collect(node, params, lambda pid: alive, lambda: LOG, lambda: list(staged))


def refused(node, words, **given):
    with pytest.raises(RestoreError, match=words) as caught:
        ask(node, **given)
    return caught.value.details


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_a_restored_container_is_proven(engine):
    expected = [{"name": "py-d", "image": IMAGE, "checkpointed_at": AT[engine]}]
    result = ask(Node(container(engine)), pod_uid=UID[engine], containers=expected)
    assert (result["verified"], result["reasons"], result["changed"], result["criu_log"]) == (True, [], False, None)
    evidence = result["containers"][0]
    assert (evidence["restored"], evidence["by"], evidence["checkpointed_at"]) == (True, "cri", AT[engine])
    assert evidence["pid"] and evidence["container_id"] == container(engine).id


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_a_container_that_started_fresh_is_not(engine):
    details = refused(
        Node(container(engine, "started-fresh")),
        "it is not proven that pod default/py was restored: container py: the runtime says that it was started afresh",
        pod="py",
    )
    assert details["verified"] is False and details["containers"][0]["by"] is None
    assert details["reasons"][0]["id"] == "started-fresh"


def test_without_require_the_same_is_an_answer():
    result = ask(Node(container("containerd", "started-fresh")), pod="py", require=False)
    assert result["verified"] is False and result["reasons"][0]["id"] == "started-fresh"


def test_restored_from_another_image():
    expected = [{"name": "py-d", "image": "localhost:5000/direct/py@sha256:" + "2" * 64}]
    details = refused(Node(container("containerd")), "it was restored from %s, not from " % TAG, containers=expected)
    assert [reason["id"] for reason in details["reasons"]] == ["other-image"]


def test_restored_from_another_digest_that_the_runtime_names():
    named = container("containerd", checkpoint_image="x/y@sha256:" + "3" * 64)
    refused(Node(named), "not from " + IMAGE, containers=[{"name": "py-d", "image": IMAGE}])
    named = container("containerd", checkpoint_image="x/y@" + DIGEST)
    assert ask(Node(named, digests=()), containers=[{"name": "py-d", "image": IMAGE}])["reasons"] == []


def test_an_image_whose_digest_is_not_known_is_said_and_does_not_undo_the_proof():
    result = ask(Node(container("containerd"), digests=()), containers=[{"name": "py-d", "image": IMAGE}])
    assert result["verified"] is True and [reason["id"] for reason in result["reasons"]] == ["image-not-comparable"]


def test_an_expectation_by_tag_is_refused():
    with pytest.raises(InputError, match="container py-d: the expected checkpoint image .* is not given by digest"):
        ask(Node(container("containerd")), containers=[{"name": "py-d", "image": TAG}])


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_restored_from_a_checkpoint_of_another_time(engine):
    expected = [{"name": "py-d", "checkpointed_at": "2026-11-20T00:00:00Z"}]
    refused(
        Node(container(engine)),
        "restored from a checkpoint of 2026-11-21.*, not of 2026-11-20T00:00:00Z",
        containers=expected,
    )


@pytest.mark.parametrize(
    "changes, alive, words",
    [
        ({"state": "exited"}, True, "it was restored but does not run: exited"),
        ({}, False, "its process 454 is gone"),
        ({"pid": 0}, True, "its process 0 is gone"),
        ({"attempt": 2}, True, r"it was restarted 2 time\(s\), each time from the same checkpoint"),
    ],
)
def test_restored_once_but_not_what_runs_now(changes, alive, words):
    refused(Node(container("containerd", **changes)), words, alive=alive)


def test_the_newest_attempt_counts():
    old = container("containerd", "started-fresh", name="py-d", pod="py-d", state="exited")
    assert ask(Node(container("containerd"), old))["verified"] is True


def test_another_node():
    details = refused(
        Node(), "this node runs no container of pod default/py-d: is it the node the pod was restored on?"
    )
    assert details["criu_log"] == LOG


def test_what_crius_log_says_is_part_of_the_failure(monkeypatch):
    said = diagnose("(00.01) Error (criu/sk-inet.c:1059): inet: Can't bind inet socket (id 14): Cannot assign requested address\n")
    monkeypatch.setitem(LOG, "diagnosis", said)
    with pytest.raises(RestoreError) as caught:
        ask(Node(), pod_uid="x")
    assert "CRIU's log (%s) says: " % LOG["path"] in caught.value.msg and "Remedy: " in caught.value.msg
    assert [one["id"] for one in caught.value.details["diagnosis"]] == ["bind-address"]


def test_after_a_failed_restore_the_log_is_there_though_the_pod_is_gone():
    result = ask(Node(), require=False)
    assert (result["verified"], result["containers"], result["criu_log"]) == (False, [], LOG)
    assert result["reasons"][0]["id"] == "no-pod"


def test_an_older_pod_of_the_same_name_is_not_mistaken_for_it():
    refused(Node(container("containerd")), "no container of pod default/py-d with UID other", pod_uid="other")


def test_a_container_that_is_not_there():
    details = refused(
        Node(container("containerd")),
        "container web: there is no such container: pod default/py-d has py-d here",
        containers=[{"name": "web"}],
    )
    assert details["containers"] == []


def test_names_are_checked_first():
    with pytest.raises(InputError, match="not a DNS-1123"):
        ask(Node(), namespace="a/b")


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ("2026-11-21T12:31:08.24669231Z", "2026-11-21T12:31:08.246692310Z", True),
        ("2026-11-21T12:31:08.24669231Z", "2026-11-21T12:31:08.246692+00:00", True),
        ("2026-11-21T12:31:08Z", "2026-11-21T12:31:08.000000Z", True),
        ("2026-11-21T12:31:08Z", "2026-11-21T12:31:09Z", False),
        ("2026-11-21T12:31:08.1Z", "2026-11-21T12:31:08.2Z", False),
        ("2026-11-21T12:31:08Z", "2026-11-21T18:01:08+05:30", None),
        ("yesterday", "2026-11-21T12:31:08Z", None),
    ],
)
def test_times(one, other, expected):
    assert same_time(one, other) is expected


# -- the restore handler's word ----------------------------------------------------------------------------------------

SHA = "a" * 64
WHEN = "2026-11-21T12:31:08.24669231Z"


def entry(container_id, outcome="restored", pid=0, **changes):
    """An entry as _stage.describe() tells it."""
    status = {"container_id": container_id, "outcome": outcome, "pid": pid, "reason": changes.pop("reason", None)}
    told = {
        "id": "0" * 32,
        "state": "done" if outcome == "restored" else "failed",
        "binding": {"namespace": "default", "pod": "py-d", "container": "py-d", "pod_uid": UID["containerd"]},
        "checkpoint": {"sha256": SHA, "image": None, "checkpointed_at": WHEN},
        "status": status,
    }
    told["binding"].update({key: changes.pop(key) for key in list(changes) if key in told["binding"]})
    told["checkpoint"].update({key: changes.pop(key) for key in list(changes) if key in told["checkpoint"]})
    told.update(changes)
    return told


def fresh(**changes):
    """A container of which the runtime knows nothing but that it started it."""
    return container("containerd", restored=False, checkpointed_at=None, checkpoint_image=None, **changes)


def by_handler(found=None, **changes):
    found = found or fresh()
    return Node(found), [entry(found.id, pid=found.pid, **changes)]


def test_what_the_handler_restored_is_proven():
    here, staged = by_handler()
    expected = [{"name": "py-d", "archive_sha256": SHA, "checkpointed_at": WHEN}]
    result = ask(here, staged=staged, pod_uid=UID["containerd"], containers=expected)
    assert (result["verified"], result["reasons"]) == (True, [])
    found = result["containers"][0]
    assert (found["restored"], found["by"], found["archive_sha256"], found["checkpointed_at"]) == (
        True,
        "handler",
        SHA,
        WHEN,
    )
    assert [(one["container"], one["outcome"]) for one in result["handler"]] == [("py-d", "restored")]


def test_staged_out_of_the_expected_image():
    here, staged = by_handler(image=IMAGE)
    assert (
        ask(here, staged=staged, containers=[{"name": "py-d", "image": IMAGE}])["containers"][0]["checkpoint_image"]
        == IMAGE
    )
    here, staged = by_handler(image="localhost:5000/direct/py@sha256:" + "9" * 64)
    refused(
        here,
        "it was restored from localhost:5000/direct/py@sha256:9+, not from",
        staged=staged,
        containers=[{"name": "py-d", "image": IMAGE}],
    )


@pytest.mark.parametrize(
    "changes, expected, words",
    [
        ({"sha256": "b" * 64}, {"archive_sha256": SHA}, "from the archive with the digest b+, not a+"),
        ({"checkpointed_at": "2026-11-21T12:31:09Z"}, {"checkpointed_at": WHEN}, "a checkpoint of .*:09Z, not of"),
        ({"outcome": "failed", "reason": "criu is too old"}, {}, r"did not restore it \(failed\): criu is too old"),
        ({"outcome": "held"}, {}, r"did not restore it \(held\): it gave no reason"),
    ],
)
def test_the_handler_says_otherwise(changes, expected, words):
    here, staged = by_handler(**changes)
    refused(here, words, staged=staged, containers=[dict(expected, name="py-d")])


@pytest.mark.parametrize("changes", [{"pod": "other"}, {"namespace": "other"}, {"pod_uid": "another"}])
def test_an_entry_of_another_pod_proves_nothing(changes):
    here, staged = by_handler(**changes)
    refused(here, "started afresh", staged=staged, pod_uid=UID["containerd"])


def test_another_container_id_proves_nothing():
    pod = fresh()
    refused(
        Node(pod), "restored it as container 5+ before, and it has ended since", staged=[entry("5" * 64, pid=pod.pid)]
    )
    refused(
        Node(pod), "the restore handler says: no images", staged=[entry("5" * 64, outcome="failed", reason="no images")]
    )
    refused(Node(pod), "started afresh, not restored$", staged=[entry("", outcome="", status={})])


def test_another_process_than_the_restored_one():
    pod = fresh()
    refused(Node(pod), "what runs is the process %d" % pod.pid, staged=[entry(pod.id, pid=pod.pid + 1)])


def test_restored_by_the_handler_and_gone():
    here, staged = by_handler()
    refused(here, "its process .* is gone", alive=False, staged=staged)


def test_a_second_attempt_that_was_restored_is_no_restart():
    here, staged = by_handler(fresh(attempt=1))
    assert ask(here, staged=staged)["verified"] is True


def test_the_archive_cannot_be_compared_where_the_runtime_restored():
    result = ask(Node(container("containerd")), containers=[{"name": "py-d", "archive_sha256": SHA}])
    assert result["verified"] is True and [one["id"] for one in result["reasons"]] == ["archive-not-comparable"]


def test_why_the_handler_failed_can_be_asked_when_the_pod_is_gone():
    result = ask(
        Node(), require=False, pod_uid=UID["containerd"], staged=[entry("5" * 64, outcome="failed", reason="no images")]
    )
    assert result["verified"] is False
    assert [(one["outcome"], one["reason"]) for one in result["handler"]] == [("failed", "no images")]
