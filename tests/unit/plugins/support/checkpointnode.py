# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node on which C(checkpoint) can be run without a socket."""

from __future__ import annotations

import datetime
import os
import time

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import (
    _checkpoint_archive,
    _checkpoint_repair,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import format_time
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_run import Tools, run
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import KubeletClient
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.fakekubelet import (
    FakeKubelet,
    FakeRuntime,
    pod_object,
)

NAME = ("default", "counter", "counter")
ONE = [{"namespace": "default", "name": "counter", "containers": ["counter"]}]


class Node:
    """A node with a fake kubelet, and a fake runtime if wanted."""

    def __init__(self, tmp_path, pods=None, runtime=False, **kwargs):
        self.directory = str(tmp_path / "checkpoints")
        os.mkdir(self.directory)
        self.locks = str(tmp_path / "locks")
        self.pods = pods if pods is not None else [pod_object("default", "counter", ["counter"])]
        self.kubelet = FakeKubelet(self.directory, self.pods, **kwargs)
        self.kubelet.now = format_time(datetime.datetime.now(datetime.timezone.utc))
        self.runtime = FakeRuntime(self.pods) if runtime else None
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        time.sleep(min(seconds, 0.02))

    def tools(self, transport="kubelet"):
        client = KubeletClient(self.kubelet.send, "https://127.0.0.1:10250") if transport != "cri" else None
        return Tools(client, self.runtime.cri() if self.runtime else None, self.locks, self.sleep)

    def run(self, check_mode=False, **options):
        params = dict.fromkeys(
            "pods namespace label_selectors field_selectors containers node cluster timeout deadline max_age".split()
        )
        params.update(
            transport="kubelet",
            checkpoint_dir=self.directory,
            concurrency=1,
            rename="keep",
            verify="auto",
            authorization_wait=0,
        )
        params.update(options)
        if not any(params[name] is not None for name in ("pods", "namespace", "label_selectors", "field_selectors")):
            params["pods"] = ONE
        return run(params, self.tools(params["transport"]), check_mode)

    def files(self):
        return sorted(os.listdir(self.directory))


def quicken(monkeypatch):
    """Faults without long waits."""
    monkeypatch.setattr(_checkpoint_repair, "GRACE_GIVEN_UP", 0.1)
    monkeypatch.setattr(_checkpoint_repair, "GRACE_ANSWERED", 0.05)
    monkeypatch.setattr(_checkpoint_archive, "STALLED", 0.3)


def only_failure(result):
    assert result["checkpoints"] == [] and len(result["failures"]) == 1
    failure = result["failures"][0]
    assert result["msg"] == failure["msg"] or failure["container"] is None
    return failure
