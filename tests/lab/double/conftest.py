# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the doubles' tests: no node and no network but loopback is needed."""

from __future__ import annotations

import json
import os
import sys
import threading
import typing as t

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api as api_double  # noqa: E402
from apidouble import pki  # noqa: E402
from doubles_testkit import NODE, Cluster, Kubelet, data  # noqa: E402


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> pki.Directory:
    """A cluster's certificates, made once."""
    directory = pki.Directory(str(tmp_path_factory.mktemp("cluster")))
    pki.ensure(directory, "127.0.0.1", 1, [NODE])
    return directory


@pytest.fixture
def cluster(place: pki.Directory) -> t.Iterator[Cluster]:
    """A fresh API server double; its controllers run when a test says so."""
    for name in ("state.json", "kubelet-token", "nothing-token"):
        if place.has(name):
            os.unlink(place.file(name))
    server = api_double.build(place, "127.0.0.1", 0, [NODE])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Cluster(place, server)
    server.shutdown()
    server.server_close()


@pytest.fixture
def kubelet(cluster: Cluster, tmp_path: t.Any) -> t.Iterator[Kubelet]:
    double = Kubelet(cluster, str(tmp_path), json.loads(data("configz.json"))["kubeletconfig"])
    yield double
    double.close()


@pytest.fixture
def ready_node(cluster: Cluster) -> dict:
    """A node that pods can be bound to."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}}
    assert cluster.admin("POST", "/api/v1/nodes", node).status == 201
    status = {
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        }
    }
    answer = cluster.admin("PATCH", f"/api/v1/nodes/{NODE}/status", status, "application/merge-patch+json")
    assert answer.status == 200
    return answer.json
