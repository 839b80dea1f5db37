# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a node with containerd: what it refuses, that it changes nothing twice, and that removal restores every byte."""

from __future__ import annotations

import os
import typing as t

import kubernetes
import pytest
from cri_node import HANDLER, SLOW, STATE, Node, wait
from role import apply, run_role, snapshot

CONFIG = "/etc/containerd/config.toml"
STATUS = "/var/lib/container-checkpoint/handler-status.json"
# A runc that says of itself that it was built without CRIU.
WITHOUT_CRIU = """#!/bin/sh
[ "$1" = features ] && { echo '{"annotations": {"org.opencontainers.runc.checkpoint.enabled": "false"}}'; exit 0; }
exec /usr/sbin/runc "$@"
"""


@pytest.fixture(scope="module")
def removed(lab_node: Node) -> t.Iterator[None]:
    """The node is without the handler; afterwards it is as it was."""
    node = lab_node
    installed = node.run("test -e /usr/local/libexec/container-checkpoint/handler.conf && echo yes; true").strip()
    default = "container-checkpoint" in node.run("containerd config dump | grep default_runtime_name")
    if installed:
        apply(node, restore_handler_state="absent")
    yield
    if installed:
        apply(node, restore_handler_default_runtime=default)


@pytest.fixture
def bare(node: Node, removed: None) -> Node:
    """The node without the handler; each test leaves it so."""
    return node


def runtime_classes(node: Node) -> t.Optional[t.List[str]]:
    """The RuntimeClasses that the lab's API server (a double) has; None where the lab has none."""
    path = STATE / node.lab / "kubeconfig"
    if not path.exists():
        return None
    os.environ["K8S_AUTH_KUBECONFIG"] = str(path)
    client = kubernetes.config.new_client_from_config(str(path))
    return [one.metadata.name for one in kubernetes.client.NodeV1Api(client).list_runtime_class().items if one.handler == one.metadata.name]


def test_what_it_refuses(bare: Node) -> None:
    """A runc without CRIU, no CRIU, no runc: refused with the reason, and nothing was changed."""
    before = snapshot(bare)
    bare.put("/run/runc-without-criu", WITHOUT_CRIU, "0755")
    run = run_role(bare, restore_handler_runc="/run/runc-without-criu")
    assert run.status != 0 and "this runc was built without CRIU" in run.text, run.text[-3000:]
    criu = bare.run("command -v criu").strip()
    bare.run("mv %s %s.away" % (criu, criu))
    try:
        run = run_role(bare)
    finally:
        bare.run("mv %s.away %s; rm /run/runc-without-criu" % (criu, criu))
    assert run.status != 0 and "CRIU is not installed" in run.text, run.text[-3000:]
    assert snapshot(bare) == before


def test_every_byte_comes_back(bare: Node) -> None:
    """check, present, present, refused while a container runs under it, absent: as before, also without a last line end.

    The RuntimeClass comes and goes with it, through kubernetes.core and a kubeconfig.
    """
    node = bare
    everything = {"restore_handler_default_runtime": True, "restore_handler_runtime_class": runtime_classes(node) is not None}
    node.run("cp -p {0} {0}.kept && printf '# no line end' >> {0}".format(CONFIG))
    try:
        before = snapshot(node)
        checked = run_role(node, check=True, **everything)
        assert checked.status == 0 and checked.changed > 0, checked.text[-6000:]
        assert snapshot(node) == before, "check mode changed something"
        apply(node, **everything)
        assert HANDLER in (runtime_classes(node) or [HANDLER])
        status = node.json(STATUS)
        assert (status["state"], status["engine"]) == ("passing", "containerd")
        assert status["version"]
        assert node.run("stat -c %%a %s" % STATUS).strip() == "600"
        assert apply(node, **everything).changed == 0
        pod = node.pod("web", handler="")
        identity = node.container(pod)
        refused = run_role(node, restore_handler_state="absent")
        assert refused.status != 0 and "still runs containers under the runtime handler" in refused.text, refused.text[-3000:]
        assert identity[:12] in refused.text
        wait(lambda: node.counts(pod)[3:], 20, "the workload to go on")
        node.remove_pod(pod)
        if SLOW:
            checked = run_role(node, check=True, restore_handler_state="absent")
            assert checked.status == 0 and checked.changed > 0, checked.text[-6000:]
        apply(node, restore_handler_state="absent", **everything)
        assert snapshot(node) == before
        assert HANDLER not in (runtime_classes(node) or [])
        assert apply(node, restore_handler_state="absent", **everything).changed == 0
        with pytest.raises(Exception, match=HANDLER):
            node.pod("web", handler=HANDLER)
    finally:
        node.run("mv {0}.kept {0} && systemctl restart containerd".format(CONFIG))
        node.reconnect()
