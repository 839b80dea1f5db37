# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threats that docs/docsite/rst/guide_handler.rst writes down, each under the name it has there."""

from __future__ import annotations

import json

import pytest
from cri_node import HANDLER, STAGING, Node, wait
from staging import ModuleFailed, module, stage
from test_faults import discard, try_container
from test_restore import source


def test_a_pod_author_cannot_cause_or_choose_a_restore(node: Node) -> None:
    """Names, annotations and labels of a pod do not entitle it: only the UID that the API server gave."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    thief = node.pod("thief", handler=HANDLER)
    thief.config["annotations"] = {
        "io.kubernetes.cri.sandbox-uid": target.uid, "io.kubernetes.cri.sandbox-name": target.name,
        "io.kubernetes.pod.uid": target.uid, "io.container.manager": "cri-o",
    }
    thief.config["labels"]["io.kubernetes.pod.uid"] = target.uid
    node.container(thief)
    assert wait(lambda: node.counts(thief), 20, "the thief's log")[0][1] == 1
    assert node.entries()[entry][0] == "staged"


def test_two_pods_with_one_name_in_succession(node: Node) -> None:
    """The pod was deleted and made anew before it was restored: the new one is another pod."""
    pod, archive = source(node)
    first = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, first, pod)
    node.remove_pod(first)
    second = node.pod("web-restored", handler=HANDLER)
    node.container(second)
    assert wait(lambda: node.counts(second), 20, "the log")[0][1] == 1
    assert node.entries()[entry][0] == "staged"


def test_wrong_namespace(node: Node) -> None:
    """An archive is never restored into another namespace."""
    pod, archive = source(node)
    target = node.pod("web", handler=HANDLER, namespace="other")
    with pytest.raises(ModuleFailed, match="namespace is 'default', not 'other'"):
        stage(node, archive, target, pod)
    assert node.run("ls %s/incoming %s/staged" % (STAGING, STAGING)).split() == [STAGING + "/incoming:", STAGING + "/staged:"]


def test_tampered_record_and_archive(node: Node) -> None:
    """The digests come from the caller: a changed archive, and a changed record, are refused."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    with pytest.raises(ModuleFailed, match="another one, or it was changed"):
        stage(node, archive, target, pod, archive_sha256="0" * 64)
    digest = node.run("sha256sum '%s'" % archive).split()[0]
    record = {
        "schema": 1, "source": {"namespace": "default", "pod": "web", "container": "c", "container_id": "f" * 64},
        "engine": {"name": "containerd"}, "archive": {"name": archive.rpartition("/")[2], "bytes": 1, "sha256": digest},
    }
    node.put(archive + ".record.json", json.dumps(record))
    written = node.run("sha256sum '%s.record.json'" % archive).split()[0]
    with pytest.raises(ModuleFailed, match="it was changed"):
        stage(node, archive, target, pod, record=archive + ".record.json", record_sha256="0" * 64)
    with pytest.raises(ModuleFailed, match="the record says container_id"):
        stage(node, archive, target, pod, record=archive + ".record.json", record_sha256=written)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "web\n", "-web", "WEB", "a" * 300])
def test_hostile_pod_name(node: Node, name: str) -> None:
    """Names are checked before anything else happens, and no path is ever made of one."""
    with pytest.raises(ModuleFailed, match="is not a DNS-1123 subdomain"):
        module(node, "restore_stage", src="/nowhere", archive_sha256="0" * 64, namespace="default", pod=name, container="c", pod_uid="u")


def test_links_in_the_staging_directory(node: Node) -> None:
    """A staging directory that is a link, or open to others, is not used, neither for staging nor at create."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    try:
        node.run("chmod 0755 " + STAGING)
        identity, error = try_container(node, target, 0)
        assert "must belong to root with mode 0700" in error
        discard(node, identity)
        node.run("chmod 0700 {0} && mv {0} {0}.moved && ln -s {0}.moved {0}".format(STAGING))
        with pytest.raises(ModuleFailed, match="a link is not accepted"):
            stage(node, archive, target, pod)
        identity, error = try_container(node, target, 1)
        assert "a link is not accepted" in error
    finally:
        node.run("chmod 0700 {0}; if [ -L {0} ]; then rm {0} && mv {0}.moved {0}; fi".format(STAGING))


def test_a_staged_file_replaced_by_a_link(node: Node) -> None:
    """Files that are not those that were staged are refused before CRIU sees them."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    node.run("cd %s/staged/*/checkpoint && cp pages-1.img /root/pages && ln -sf /root/pages pages-1.img" % STAGING)
    _identity, error = try_container(node, target, 0)
    node.run("rm /root/pages")
    assert "is not a plain file" in error


def test_others_cannot_read_the_memory(node: Node) -> None:
    """Neither what is staged nor the archive nor the markers: somebody else on the node does not even see the names."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    places = "%s /run/container-checkpoint/handler %s" % (STAGING, archive)
    node.run("mkdir -p -m 0700 /run/container-checkpoint/handler")
    assert node.run("find %s -perm /077" % places) == ""
    assert "pages-1.img" in node.run("find %s" % places)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    assert "pages" not in node.run(nobody + "find %s 2>/dev/null || true" % places)
    assert node.run(nobody + "cat %s 2>&1 || true" % archive).strip().endswith("Permission denied")
    node.container(target)
    wait(lambda: node.counts(target), 20, "the restored log")
    assert node.run("find %s -perm /077" % places) == ""


def test_privileges_above_the_pods(node: Node) -> None:
    """A checkpoint with more capabilities than the new pod grants is refused; root may accept the difference when staging."""
    pod, archive = source(node, security_context={"capabilities": {"add_capabilities": ["SYS_PTRACE"]}})
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    identity, error = try_container(node, target, 0)
    assert "SYS_PTRACE" in error
    assert node.entries()[entry][1]["outcome"] == "failed"
    discard(node, identity)
    module(node, "restore_stage", state="absent", namespace="default", pod=target.name, container="c")
    stage(node, archive, target, pod, accept=["capabilities"])
    node.container(target, attempt=1)
    assert wait(lambda: node.counts(target, attempt=1), 20, "the log")[0][0] == node.counts(pod)[0][0]


def test_no_new_privs_and_ids(node: Node) -> None:
    """A root checkpoint does not become the process of a pod that runs as another user without privileges."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod)
    _identity = node.container(target, start=False, security_context={"run_as_user": {"value": 1000}, "no_new_privs": True})
    with pytest.raises(Exception, match="user ids 0") as caught:
        node.cri.call("StartContainer", container_id=_identity)
    assert "no_new_privs" in str(caught.value)


def test_a_pod_that_its_owner_makes(node: Node) -> None:
    """Bound to an owner: the container waits, another pod is refused, the confirmed one is restored."""
    pod, archive = source(node)
    image = "sha256:" + "a" * 64
    digest = module_digest(node, archive) or image
    target = node.pod("web", handler=HANDLER)
    entry = stage(node, archive, target, pod, owner_uid="owner-1", service_account="default", base_image_digest=digest)
    _identity, error = "", ""
    node.run("sed -i.kept 's/^BIND_TIMEOUT=.*/BIND_TIMEOUT=1/' /usr/local/libexec/container-checkpoint/handler.conf")
    try:
        _identity, error = try_container(node, target, 0)
    finally:
        node.run("mv /usr/local/libexec/container-checkpoint/handler.conf.kept /usr/local/libexec/container-checkpoint/handler.conf")
    assert "nobody confirmed" in error
    made = {
        "metadata": {"namespace": "default", "name": "web", "uid": target.uid, "ownerReferences": [{"controller": True, "uid": "somebody-else"}]},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "c", "image": "counter@" + digest}]},
    }
    with pytest.raises(ModuleFailed, match="controlling owner's UID is 'somebody-else'"):
        module(node, "restore_stage", entry=entry, pod_object=made)
    made["metadata"]["ownerReferences"][0]["uid"] = "owner-1"
    assert module(node, "restore_stage", entry=entry, pod_object=made, check=True)["changed"]
    assert module(node, "restore_stage", entry=entry, pod_object=made)["changed"]
    assert not module(node, "restore_stage", entry=entry, pod_object=made)["changed"]
    node.container(target, attempt=1)
    assert wait(lambda: node.counts(target, attempt=1), 20, "the log")[0][0] == node.counts(pod)[0][0]


def module_digest(node: Node, archive: str) -> str:
    """The base image's digest as the archive has it."""
    config = json.loads(node.run("tar -xOf '%s' config.dump" % archive))
    return (config.get("rootfsImageRef") or "").rpartition("@")[2]
