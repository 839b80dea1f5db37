# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint image whose processes hold more than the pod grants (the class of CVE-2026-95837 and CVE-2026-92574), with real parts."""

from __future__ import annotations

CHECKPOINT = "container_checkpoint.kubernetes.checkpoint"
RESTORE = "container_checkpoint.kubernetes.restore"


def image_of(cluster, name):
    """Checkpoint a pod into an image; its reference by digest."""
    done = cluster.play(
        CHECKPOINT, checkpoint_namespace="default", checkpoint_pods=[name], checkpoint_image_repository="checkpoints.lab:5000/privileges"
    )
    assert done.code == 0, done.output[-3000:]
    return done.report["checkpoints"][0]["image"]


def test_more_than_the_pod_grants_is_refused_unless_it_is_accepted(cluster, counter):
    """The checkpoint is of a stronger container than the one in whose pod it is to run."""
    cluster.delete("strong")
    pod = cluster.pod("counter")
    container = dict(pod["spec"]["containers"][0], securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "strong", "namespace": "default"},
        "spec": {"nodeName": "node1", "containers": [{key: container[key] for key in ("name", "image", "env", "securityContext") if key in container}]},
    }
    cluster.resource("Pod").create(body=body, namespace="default")
    try:
        cluster.wait(lambda: cluster.ready("strong"), "pod strong to be ready")
        image = image_of(cluster, "strong")
    finally:
        cluster.delete("strong")
    wanted = {
        "restore_pod": "counter",
        "restore_target_node": "node2",
        "restore_containers": [{"name": "counter", "image": image}],
    }
    refused = cluster.play(RESTORE, **wanted)
    assert refused.code != 0 and cluster.pod("counter-restored") is None
    for text in ("more than its pod grants", "SYS_ADMIN", "accept_privileges: [capabilities]", "Nothing was created"):
        assert refused.says(text), refused.output[-3000:]
    accepted = cluster.play(RESTORE, **wanted, restore_options={"accept_privileges": ["capabilities"]})
    assert accepted.code == 0 and accepted.report["verified"] is True, accepted.output[-3000:]
    assert accepted.says("accepted by accept_privileges")
    # It really holds what was refused before.
    pid = "crictl inspect $(crictl ps -q --name counter | head -n 1) | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"info\"][\"pid\"])'"
    held = cluster.on("node2", "grep CapEff /proc/$(%s)/status" % pid).split()[1]
    assert int(held, 16) >> 21 & 1
