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


def ask(node, alive=True, **given):
    params = {"namespace": "default", "pod": "py-d", "pod_uid": None, "containers": None, "require": True}
    params.update(given)
    return collect(node, params, lambda pid: alive, lambda: LOG)


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
