# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups with real parts: to a registry and to encrypted files, read back, pruned; and whatever may go wrong on the way.

Every fault is followed by the same run without it, which has to complete what the first one left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from cluster import ENVIRONMENT, VARIABLES

BACKUP = "container_checkpoint.kubernetes.backup"
REPOSITORY = "checkpoints.lab:5000/backup"
ANNOTATION = "example.com/backup"

pytestmark = pytest.mark.skipif(not shutil.which("age-keygen"), reason="needs age on the controller")


class Store:
    """The directory of files, the keys, and what the playbook is told."""

    def __init__(self, cluster, root):
        self.cluster, self.directory = cluster, root / "files"
        self.identity, self.recipient = self.key(root / "identity")
        self.other = self.key(root / "other")[0]

    @staticmethod
    def key(path):
        """An identity's file and its public key."""
        subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", str(path)], check=True, capture_output=True, text=True).stdout.strip()
        return str(path), public

    def variables(self, **changes):
        """What every run here is told."""
        return {
            "backup_namespace": "default",
            "backup_annotation": ANNOTATION,
            "backup_image_repository": REPOSITORY,
            "backup_directory": str(self.directory),
            "backup_recipients": [self.recipient],
            "backup_identity_file": self.identity,
            **changes,
        }

    def run(self, **changes):
        """One backup; no secret may be in what it prints or reports."""
        done = self.cluster.play(BACKUP, **self.variables(**changes))
        password = (self.cluster.state / "registry" / "password").read_text().strip()
        token = (self.cluster.state / "kubelet-token").read_text().strip()
        for secret in (password, token, "AGE-SECRET-KEY", "MEMORY_MIB"):
            assert secret not in done.output and secret not in json.dumps(done.report)
        return done

    def archives(self):
        """The files that are named like archives, sorted."""
        return sorted(name for name in os.listdir(self.directory) if re.search(r"\.tar(\.zst)?(\.age)?$", name) and name[0] != ".")

    def hidden(self):
        """What a transfer leaves while it is under way."""
        return [name for name in os.listdir(self.directory) if name.startswith(".")]

    def content(self, path):
        """SHA-256 of the archive in a file, by other means than the collection's."""
        script = "set -o pipefail; age -d -i %s '%s' | zstd -dcf | sha256sum" % (self.identity, path)
        return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split()[0]


@pytest.fixture(scope="module")
def store(cluster, tmp_path_factory):
    """Two counters, alpha on node1 and beta on node2, and nothing stored yet; afterwards nothing of it is left on the nodes."""
    for name, node in (("alpha", "node1"), ("beta", "node2")):
        annotated(cluster, name, node)
    for node in ("node1", "node2"):
        cluster.on(node, "rm -f /var/lib/kubelet/checkpoints/*")
    yield Store(cluster, tmp_path_factory.mktemp("store"))
    for name in ("alpha", "beta", "gamma"):
        cluster.delete(name)


def annotated(cluster, name, node, value="true", memory_mib=8):
    """A counter that asks to be backed up."""
    counter = cluster.counter(name, node, memory_mib=memory_mib)
    body = {"metadata": {"annotations": {ANNOTATION: value}}}
    cluster.resource("Pod").patch(name=name, namespace="default", body=body, content_type="application/merge-patch+json")
    return counter


def by_pod(entries):
    """The entries of a report by the name of their pod."""
    return {entry["pod"]: entry for entry in entries}


def on_node(cluster, node):
    """The archives that lie on a node."""
    return {name for name in cluster.archives(node) if name.endswith(".tar")}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backup_keep": {"keep_dayly": 7}}, "backup_keep.keep_dayly. Supported parameters include: group,"),
        ({"backup_recipients_file": "/nowhere/operators.txt"}, "backup_recipients_file: there is no file /nowhere/operators.txt"),
        ({"checkpoint_kubelet_token_file": "tokn"}, "checkpoint_kubelet_token_file: there is no file tokn where"),
    ],
)
def test_mistakes_are_refused_before_anything_is_frozen(cluster, store, changes, words):
    done = store.run(**changes)
    assert done.code != 0 and done.says(words), done.output[-3000:]
    assert done.report is None and cluster.archives("node1") == cluster.archives("node2") == set()


def test_two_containers_to_a_registry_and_to_encrypted_files(cluster, store):
    done = store.run(backup_install_programs=True)
    assert done.code == 0, done.output[-4000:]
    made = by_pod(done.report["backups"])
    assert {name: one["node"] for name, one in made.items()} == {"alpha": "node1", "beta": "node2"}
    for one in made.values():
        assert (one["image_verified"], one["file_verified"], one["released"]) == (True, "decrypted", True)
        assert one["image"].startswith("%s/default/%s/counter@sha256:" % (REPOSITORY, one["pod"]))
        assert store.content(one["file"]) == one["sha256"]
        assert hashlib.sha256(pathlib.Path(one["file"]).read_bytes()).hexdigest() == one["stored_sha256"]
        assert os.stat(one["file"]).st_mode & 0o777 == 0o600
        record = json.loads(pathlib.Path(one["file"] + ".record.json").read_text())
        assert (record["source"]["pod"], record["archive"]["sha256"]) == (one["pod"], one["sha256"])
    assert len(store.archives()) == 2 and not store.hidden()
    assert os.stat(store.directory).st_mode & 0o777 == 0o700
    assert cluster.archives("node1") == cluster.archives("node2") == set()
    # A runtime pulls what the registry holds and checks every digest.
    cluster.on("node2", "crictl pull '%s'" % made["alpha"]["image"])


def test_what_is_fresh_is_left_alone(cluster, store):
    before = store.archives()
    done = store.run()
    assert done.code == 0, done.output[-4000:]
    assert done.report["backups"] == [] and sorted(by_pod(done.report["fresh"])) == ["alpha", "beta"]
    assert done.report["fresh"][0]["file"] in [str(store.directory / name) for name in before]
    assert not re.search(r"changed=[1-9]", done.output) and store.archives() == before
    assert on_node(cluster, "node1") == set()


def test_check_mode_makes_nothing(cluster, store):
    before = store.archives()
    variables = store.variables(backup_max_age=0, backup_select="[?node=='node1']", backup_keep={"keep_last": 1})
    done = cluster.play(BACKUP, check=True, **variables)
    assert done.code == 0, done.output[-4000:]
    assert done.report is None and done.says("would be backed up")
    assert store.archives() == before and on_node(cluster, "node1") == set()


def password(cluster):
    return (cluster.state / "registry" / "password").read_text().strip()


def test_a_registry_that_is_down_and_a_container_that_does_not_run(cluster, store):
    """Neither stops the others, the play ends failed with a list, and the next run completes."""
    registry = {"username": "lab", "password": password(cluster), "retries": 0}
    changes = {
        "backup_image_repository": REPOSITORY + "-down",
        "backup_directory": str(store.directory / "down"),
        "backup_registry": registry,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gamma", "namespace": "default", "annotations": {ANNOTATION: "all"}},
        "spec": {"nodeName": "node2", "containers": [{"name": "counter", "image": "base.lab:5001/there-is-none:1"}]},
    }
    cluster.resource("Pod").create(body=pod, namespace="default")
    with cluster.blocked("node1", 5000):
        done = store.run(**changes)
    assert done.code != 0
    assert [(one["pod"], one["released"]) for one in done.report["backups"]] == [("beta", True)], done.output[-4000:]
    failures = by_pod(done.report["failures"])
    assert sorted(failures) == ["alpha", "gamma"] and done.report["failed"] is True
    assert failures["gamma"]["step"] == "select" and "does not run" in failures["gamma"]["msg"]
    assert failures["alpha"]["step"] == "Push an image of each archive" and "checkpoints.lab:5000" in failures["alpha"]["msg"]
    assert done.says("1 backed up, 0 fresh, 2 failed:") and done.says("the archive is still at " + failures["alpha"]["path"])
    assert on_node(cluster, "node1") == {os.path.basename(failures["alpha"]["path"])}

    cluster.delete("gamma")
    again = store.run(**changes)
    assert again.code == 0, again.output[-4000:]
    assert [(one["pod"], one["path"], one["reused"]) for one in again.report["backups"]] == [("alpha", failures["alpha"]["path"], True)]
    one = again.report["backups"][0]
    assert (one["image_verified"], one["file_verified"], one["released"]) == (True, "decrypted", True)
    assert list(by_pod(again.report["fresh"])) == ["beta"]
    assert cluster.archives("node1") == set()


@pytest.fixture
def small_disk(store):
    """A disk of 256 KiB for files."""
    path = store.directory / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_wrong_recipient_then_a_full_disk_then_a_backup(cluster, store, small_disk):
    """All with one archive, which stays on its node until the last run."""
    changes = {"backup_select": "[?pod=='alpha']", "backup_image_repository": "", "backup_directory": str(small_disk)}
    wrong = store.run(**{**changes, "backup_directory": str(store.directory / "wrong"), "backup_identity_file": store.other})
    assert wrong.code != 0
    failure = wrong.report["failures"][0]
    assert "cannot be decrypted" in failure["msg"] and os.listdir(store.directory / "wrong") == [], failure
    left = on_node(cluster, "node1")
    assert left == {os.path.basename(failure["path"])}

    full = store.run(**changes)
    assert full.code != 0 and "No space left on device" in full.report["failures"][0]["msg"], full.output[-4000:]
    assert os.listdir(small_disk) == [] and on_node(cluster, "node1") == left

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = store.run(**changes)
    assert done.code == 0, done.output[-4000:]
    one = done.report["backups"][0]
    assert (one["path"], one["reused"], one["file_verified"], one["released"]) == (failure["path"], True, "decrypted", True)
    assert store.content(one["file"]) == one["sha256"]
    assert cluster.archives("node1") == set()


def test_killed_in_the_middle_and_run_again(cluster, store, tmp_path):
    """kill -9 of ansible-playbook and all its children while an archive is under way. Then the policy keeps one file of each container."""
    cluster.delete("alpha")
    annotated(cluster, "alpha", "node1", value="counter", memory_mib=48)
    before = store.archives()
    changes = {"backup_image_repository": "", "backup_compress": "none", "backup_keep": {"keep_last": 1}}
    with cluster.slowed("node1", "20mbit"):
        process = start(cluster, tmp_path, store.variables(**changes))
        try:
            cluster.wait(lambda: process.poll() is not None or under_way(store), "the transfer to begin")
            assert process.poll() is None, (tmp_path / "output").read_text()[-4000:]
        finally:
            for pid in family(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
    left = on_node(cluster, "node1")
    assert len(left) == 1 and store.archives() == before

    done = store.run(**changes)
    assert done.code == 0, done.output[-4000:]
    assert [(one["pod"], os.path.basename(one["path"]), one["released"]) for one in done.report["backups"]] == [("alpha", *left, True)]
    one = done.report["backups"][0]
    assert one["reused"] is True and store.content(one["file"]) == one["sha256"]
    assert on_node(cluster, "node1") == set() and not store.hidden()

    old = {name.partition("_")[2].partition("_")[0]: name for name in before}
    rules = {state: {os.path.basename(entry["path"]): entry["rule"] for entry in done.report["pruned"][state]} for state in ("removed", "kept")}
    assert rules == {
        "removed": {old["alpha"]: "not_kept"},
        "kept": {old["beta"]: "keep_last", os.path.basename(one["file"]): "keep_last"},
    }
    assert store.archives() == sorted(rules["kept"])


def start(cluster, work, variables):
    """The playbook, in the background."""
    settings = work / "settings.json"
    settings.write_text(json.dumps({"checkpoint_kubelet_token_file": str(cluster.state / "kubelet-token"), **variables}))
    argv = ["ansible-playbook", "--inventory", cluster.inventory, BACKUP, "--extra-vars", "@%s" % VARIABLES, "--extra-vars", "@%s" % settings]
    with open(work / "output", "w") as output:
        return subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT})


def family(pid):
    """A process and all that descend from it: Ansible's workers have sessions of their own, and would go on."""
    children = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def under_way(store):
    """Whether something of an archive has arrived."""
    return any(path.stat().st_size > 1024 * 1024 for path in store.directory.glob(".*.part"))
