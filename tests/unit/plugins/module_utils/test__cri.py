# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_cri: what crictl, ctr and runc print, and what is done about a container that was left paused."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    InputError,
    RuntimeToolError,
)

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")

VERSION = """Version:  0.1.0
RuntimeName:  containerd
RuntimeVersion:  2.1.9
RuntimeApiVersion:  v1
"""
TASKS = """TASK                                                                PID     STATUS
257b294d7bb44c2bacc67946c45b4b46f7be9b8de3b5e03c5f847b4036d59ea1    790     PAUSED
5a6533fdb722beb2e8eec946a421cd88e2ad295c48ec7db9bc4406444abde8ec    412     RUNNING
"""


def inspect(engine, name):
    with open(os.path.join(FIXTURES, engine, "inspect-%s.json" % name), encoding="utf-8") as stream:
        return json.load(stream)


class Node:
    """A node whose tools answer from a table of (words that must occur in the command) → answer or list of answers."""

    def __init__(self, answers, tools=("crictl", "ctr", "runc"), sockets=("/run/containerd/containerd.sock",)):
        self.answers = answers
        self.tools = tools
        self.sockets = sockets
        self.calls = []

    def run(self, argv, timeout):
        self.calls.append((list(argv), timeout))
        for words, answer in self.answers:
            if all(word in argv for word in words):
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                return answer
        raise AssertionError("unexpected command %s" % (argv,))

    def find(self, name):
        return "/usr/bin/" + name if name in self.tools else None

    def cri(self, endpoint=None):
        return _cri.Cri(self.run, self.find, endpoint, exists=lambda path: path in self.sockets)


def test_version_is_read_from_crictls_table():
    found = Node([(["version"], (0, VERSION, ""))]).cri().version()
    assert found == _cri.EngineVersion("containerd", "2.1.9", "v1")


def test_version_without_a_name_is_an_error():
    with pytest.raises(RuntimeToolError, match="printed no RuntimeName"):
        _cri.parse_version("Version: 0.1.0\n")


@pytest.mark.parametrize(
    "sockets, given, expected",
    [
        (("/run/containerd/containerd.sock",), None, "unix:///run/containerd/containerd.sock"),
        (("/run/crio/crio.sock",), None, "unix:///run/crio/crio.sock"),
        (("/run/crio/crio.sock", "/run/containerd/containerd.sock"), None, None),
        ((), None, None),
        ((), "/run/other.sock", "unix:///run/other.sock"),
        ((), "unix:///run/other.sock", "unix:///run/other.sock"),
    ],
)
def test_the_one_socket_that_exists_is_used(sockets, given, expected):
    assert Node([], sockets=sockets).cri(given).endpoint == expected


def test_containerds_restored_container():
    found = _cri.parse_inspect(inspect("containerd", "restored-by-image"))
    assert (found.engine, found.restored) == ("containerd", True)
    assert found.checkpointed_at == "2026-11-21T12:31:08.24669231Z"
    assert found.checkpoint_image == "localhost:5000/direct/py:1795264268"
    assert (found.namespace, found.pod, found.name, found.pid) == ("default", "py-d", "py-d", 454)
    assert found.running and found.started_at == "2026-11-21T12:31:11.028607265Z"
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in found.mounts


def test_crios_restored_container():
    found = _cri.parse_inspect(inspect("crio", "restored-by-image"))
    assert (found.engine, found.restored, found.checkpoint_image) == ("cri-o", True, None)
    assert found.checkpointed_at == "2026-11-21T12:32:18.268851245Z"


@pytest.mark.parametrize("engine", ["containerd", "crio"])
def test_a_container_that_started_fresh_is_not_restored(engine):
    found = _cri.parse_inspect(inspect(engine, "started-fresh"))
    # CRI-O's source container has a checkpointedAt of its own: it was checkpointed, not restored.
    assert (found.restored, found.checkpointed_at) == (False, None)


def test_inspect_keeps_no_environment():
    assert "KUBERNETES_PORT" not in repr(_cri.parse_inspect(inspect("containerd", "restored-by-image")))


def test_an_answer_without_the_verbose_part_is_refused():
    with pytest.raises(RuntimeToolError, match="without 'status' or 'info'"):
        _cri.parse_inspect({"status": {}})


def test_containers_are_filtered_even_if_crictl_did_not():
    listing = {
        "containers": [
            {
                "id": "a",
                "metadata": {"name": "c", "attempt": 0},
                "state": "CONTAINER_EXITED",
                "labels": labels("default", "web", "c"),
            },
            {
                "id": "b",
                "metadata": {"name": "c", "attempt": 1},
                "state": "CONTAINER_RUNNING",
                "labels": labels("default", "web", "c"),
            },
            {"id": "x", "metadata": {"name": "c"}, "state": "CONTAINER_RUNNING", "labels": labels("other", "web", "c")},
        ]
    }
    found = Node([(["ps"], (0, json.dumps(listing), ""))]).cri().containers("default", "web", "c")
    assert [(entry.id, entry.running) for entry in found] == [("b", True), ("a", False)]


def labels(namespace, pod, name):
    return {
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.name": pod,
        "io.kubernetes.container.name": name,
    }


def test_crictl_missing_says_where_it_comes_from():
    with pytest.raises(RuntimeToolError, match="crictl is not installed on this node; .*cri-tools"):
        Node([], tools=()).cri().version()


def test_crictls_own_message_is_kept():
    node = Node(
        [
            (
                ["checkpoint"],
                (1, "", "rpc error: code = Unknown desc = only CONTAINER_RUNNING containers can be checkpointed\n"),
            )
        ]
    )
    with pytest.raises(RuntimeToolError, match="crictl checkpoint failed: rpc error.*only CONTAINER_RUNNING"):
        node.cri().checkpoint("abc", "/tmp/x.tar", 120)


def test_checkpoint_hands_the_timeout_to_the_runtime_and_waits_longer_itself():
    node = Node([(["checkpoint"], (0, "abc\n", ""))])
    assert node.cri().checkpoint("abc", "/tmp/x.tar", 300) == "/tmp/x.tar"
    argv, deadline = node.calls[0]
    assert argv[argv.index("--timeout") + 1] == "300s" and deadline > 300
    assert argv[-3:] == ["checkpoint", "--export=/tmp/x.tar", "abc"]


def test_checkpoint_refuses_a_relative_path():
    with pytest.raises(InputError, match="not absolute"):
        Node([]).cri().checkpoint("abc", "x.tar", 300)


@pytest.mark.parametrize(
    "answer, expected",
    [
        ((0, '{"stats": [{"memory": {"workingSetBytes": {"value": "4096"}}}]}', ""), 4096),
        ((0, '{"stats": [{"memory": {"usageBytes": {"value": "8192"}}}]}', ""), 8192),
        ((0, '{"stats": []}', ""), None),
        ((1, "", "unknown command stats"), None),
    ],
)
def test_memory(answer, expected):
    assert Node([(["stats"], answer)]).cri().memory("abc") == expected


@pytest.mark.parametrize(
    "reference, found",
    [
        ("base.lab:5001/counter:1", True),
        ("base.lab:5001/counter@sha256:" + "1" * 64, True),
        ("f" * 64, True),
        ("base.lab:5001/counter@sha256:" + "2" * 64, False),
    ],
)
def test_image_is_found_by_tag_digest_and_id(reference, found):
    image = {
        "id": "f" * 64,
        "repoTags": ["base.lab:5001/counter:1"],
        "repoDigests": ["base.lab:5001/counter@sha256:" + "1" * 64],
    }
    assert (Node([(["images"], (0, json.dumps({"images": [image]}), ""))]).cri().image(reference) is not None) is found


# -- paused containers -----------------------------------------------------------------------------------------------


def test_containerd_paused_is_seen_through_ctr_and_repaired():
    container = _cri.parse_inspect(inspect("containerd", "started-fresh"))
    node = Node(
        [
            (["tasks", "ls"], [(0, TASKS, ""), (0, TASKS.replace("PAUSED", "RUNNING"), "")]),
            (["tasks", "resume", container.id], (0, "", "")),
        ]
    )
    cri = node.cri()
    assert cri.paused(container) is True
    cri.resume(container)
    assert node.calls[1][0] == [
        "/usr/bin/ctr",
        "--address",
        "/run/containerd/containerd.sock",
        "--namespace",
        "k8s.io",
        "tasks",
        "resume",
        container.id,
    ]


def test_a_resume_without_effect_is_a_failure():
    container = _cri.parse_inspect(inspect("containerd", "started-fresh"))
    node = Node([(["tasks", "ls"], (0, TASKS, "")), (["tasks", "resume"], (0, "", ""))])
    with pytest.raises(RuntimeToolError, match="container py of pod default/py is paused and could not be resumed"):
        node.cri().resume(container)


def test_crio_paused_is_seen_through_the_runtime_that_knows_the_container():
    container = _cri.parse_inspect(inspect("crio", "started-fresh"))
    node = Node(
        [
            (["/usr/bin/runc", "state"], (1, "", "container does not exist")),
            (
                ["/usr/bin/crun", "state"],
                [(0, '{"status": "paused"}', ""), (0, '{"status": "paused"}', ""), (0, '{"status": "running"}', "")],
            ),
            (["/usr/bin/crun", "resume"], (0, "", "")),
        ],
        tools=("runc", "crun"),
    )
    assert node.cri().paused(container) is True
    node.cri().resume(container)
    assert ["/usr/bin/crun", "--root", "/run/crun", "resume", container.id] in [argv for argv, _timeout in node.calls]


def test_crio_without_any_runtime_that_knows_the_container():
    container = _cri.parse_inspect(inspect("crio", "started-fresh"))
    with pytest.raises(RuntimeToolError, match="neither runc nor crun is installed"):
        Node([], tools=()).cri().paused(container)
