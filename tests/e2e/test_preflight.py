# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pod_preflight says no to is refused before anything is frozen, with the reason and the remedy; doubts are warnings."""

from __future__ import annotations

import pytest
from cluster import Counter

CHECKPOINT = "container_checkpoint.kubernetes.checkpoint"
MIGRATE = "container_checkpoint.kubernetes.migrate"
SECRET = "hunter2-of-the-unfit"
# The counter, with a socket that CRIU cannot save.
PROGRAM = "import socket; s = socket.socket(2, 1, 262); s.bind(('0.0.0.0', 9004)); s.listen(); exec(open('/app/counter.py').read())"

POD_RESTORE = """
- name: Create a pod that restores
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Create it
      container_checkpoint.kubernetes.pod_restore:
        namespace: default
        pod: counter
        target_node: node2
        backend: image
        kubeconfig: "{{ lab_kubeconfig }}"
        containers:
          - name: counter
            image: "checkpoints.lab:5000/unmade@sha256:%s"
            annotations:
              org.criu.checkpoint.container.name: counter
""" % ("0" * 64)


@pytest.fixture(scope="module")
def unfit(cluster):
    """A counter on node1 that listens with MPTCP, as Go programs do by themselves."""
    cluster.delete("unfit")
    env = [{"name": "MEMORY_MIB", "value": "8"}, {"name": "PASSWORD", "value": SECRET}]
    container = {"name": "counter", "image": "base.lab:5001/counter:1", "command": ["python3", "-c", PROGRAM], "env": env}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "unfit", "namespace": "default", "labels": {"app": "fitness"}},
        "spec": {"nodeName": "node1", "containers": [container]},
    }
    cluster.resource("Pod").create(body=body, namespace="default")
    found = Counter(cluster, "unfit")
    cluster.wait(lambda: cluster.ready("unfit") and found.answers(), "pod unfit to answer")
    yield found
    cluster.delete("unfit")


@pytest.fixture(scope="module")
def dumps(cluster):
    """How often runc has had CRIU do something on node1; criu check, which node_info runs, is not counted."""
    counting = "#!/bin/sh\n[ \"$1\" != swrk ] || echo called >> /run/criu-calls\nexec /usr/sbin/criu.real \"$@\"\n"
    replace = "rm -f /run/criu-calls && mv /usr/sbin/criu /usr/sbin/criu.real && cat > /usr/sbin/criu <<'EOF'\n%sEOF\nchmod 0755 /usr/sbin/criu"
    cluster.on("node1", replace % counting)
    yield lambda: int(cluster.on("node1", "cat /run/criu-calls 2>/dev/null | wc -l"))
    cluster.on("node1", "mv /usr/sbin/criu.real /usr/sbin/criu")


def test_what_would_fail_is_not_frozen_and_the_others_are_checkpointed(cluster, unfit, dumps):
    cluster.counter("fit", "node1", app="fitness")
    before, archives = unfit.ask(), cluster.archives("node1")
    try:
        done = cluster.play(CHECKPOINT, checkpoint_namespace="default", checkpoint_label_selectors=["app=fitness"])
    finally:
        cluster.delete("fit")
    assert done.code != 0
    assert [one["pod"] for one in done.report["checkpoints"]] == ["fit"], done.output[-3000:]
    refused = done.report["failures"]
    assert [(one["pod"], one["container"], one["node"]) for one in refused] == [("unfit", "counter", "node1")]
    # The reason, the error that it would have been, and the remedy; for people and for programs.
    assert "mptcp" in [reason["id"] for reason in refused[0]["reasons"] if reason["severity"] == "error"]
    for text in ("it would fail and was not frozen", "Unsupported proto 262", "GODEBUG=multipathtcp=0"):
        assert text in refused[0]["msg"] and done.says(text)
    new = cluster.archives("node1") - archives
    assert new and not [name for name in new if "unfit" in name]
    assert unfit.ask()["nonce"] == before["nonce"]
    # Ansible writes a module's options to the node's journal; what a pod has in its environment is not among them.
    journal = cluster.on("node1", "journalctl --no-pager | grep pod_preflight || true")
    assert "pod_objects" in journal and SECRET not in journal and "PASSWORD" not in journal


def test_a_move_that_would_fail_is_refused_before_anything_is_touched(cluster, unfit, dumps):
    before, archives, called = unfit.ask(), cluster.archives("node1"), dumps()
    done = cluster.play(MIGRATE, migrate_pod="unfit", target_node="node2")
    assert done.code != 0
    assert done.says("Nothing was touched, because default/unfit would not survive the move from node1 to node2"), done.output[-3000:]
    assert done.says("Unsupported proto 262") and done.says("GODEBUG=multipathtcp=0")
    assert cluster.archives("node1") == archives and dumps() == called
    assert unfit.ask()["nonce"] == before["nonce"] and cluster.pod("unfit-restored") is None


def test_the_pair_and_the_api_server_are_asked_before_anything_is_frozen(cluster, counter):
    """The target's CRIU is older, which is a doubt; and there is a pod of that name already, which ends the move."""
    before, archives = counter.ask(), cluster.archives("node1")
    cluster.counter("counter-restored", "node2")
    older = "#!/bin/sh\n[ \"$1\" != --version ] || { echo Version: 4.1.1; exit 0; }\nexec /usr/sbin/criu.away \"$@\"\n"
    cluster.on("node2", "mv /usr/sbin/criu /usr/sbin/criu.away && cat > /usr/sbin/criu <<'EOF'\n%sEOF\nchmod 0755 /usr/sbin/criu" % older)
    try:
        done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2")
    finally:
        cluster.on("node2", "mv /usr/sbin/criu.away /usr/sbin/criu")
    assert done.code != 0 and done.says("pod default/counter-restored exists already and is not this restore"), done.output[-3000:]
    assert done.says("default/counter/counter may fail: the target's criu 4.1.1 is older than the source's")
    assert cluster.archives("node1") == archives and counter.ask()["nonce"] == before["nonce"]


@pytest.fixture
def no_room(cluster):
    """A quota that the pods of the namespace use up already."""
    pods = cluster.resource("Pod").get(namespace="default").to_dict()["items"]
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-more"}, "spec": {"hard": {"pods": str(len(pods))}}}
    quotas = cluster.resource("ResourceQuota")
    quotas.create(body=body, namespace="default")
    yield "exceeded quota: no-more, requested: pods=1, used: pods=%d, limited: pods=%d" % (len(pods), len(pods))
    quotas.delete(name="no-more", namespace="default")


@pytest.fixture
def restricted(cluster):
    """The namespace has become stricter since its pods were made."""
    label = "pod-security.kubernetes.io/enforce"

    def enforce(level):
        body = {"metadata": {"labels": {label: level}}}
        cluster.resource("Namespace").patch(name="default", body=body, content_type="application/merge-patch+json")

    enforce("restricted")
    yield "allowPrivilegeEscalation != false (container"
    enforce(None)


def pods_there(cluster):
    pods = cluster.resource("Pod").get(namespace="default").to_dict()["items"]
    return {pod["metadata"]["uid"]: (pod["metadata"]["name"], pod["spec"]) for pod in pods}


def test_a_quota_refuses_the_new_pod_before_anything_is_frozen(cluster, counter, no_room, dumps):
    """Only the API server knows such rules: it is asked in a dry run."""
    before, archives, called, pods = counter.ask(), cluster.archives("node1"), dumps(), pods_there(cluster)
    done = cluster.play(MIGRATE, migrate_pod="counter", target_node="node2")
    assert done.code != 0
    for text in ("could not try out pod default/counter-restored: HTTP 403: pods", no_room, "Remedy: raise the quota", "Nothing was created"):
        assert done.says(text), (text, done.output[-3000:])
    assert not done.says("Missing right")
    assert cluster.archives("node1") == archives and dumps() == called
    assert pods_there(cluster) == pods and counter.ask() == before


def test_pod_security_refuses_it_in_the_dry_run_before_it_is_created(cluster, counter, restricted, tmp_path):
    """The task of the role migrate by itself, and not as a check: the dry run comes first, whoever asks."""
    playbook, pods = tmp_path / "restore.yml", pods_there(cluster)
    playbook.write_text(POD_RESTORE)
    done = cluster.play(str(playbook))
    assert done.code != 0
    for text in ("HTTP 403: pods", "violates PodSecurity", restricted, "Remedy: change what the message names in the pod", "Nothing was created"):
        assert done.says(text), (text, done.output[-3000:])
    assert pods_there(cluster) == pods
