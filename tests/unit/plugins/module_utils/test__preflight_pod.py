# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pod_preflight is told of a Pod: everything that it reads, and no secret."""

from __future__ import annotations

import json

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_pod as pods
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.snapshots import snapshot

SECRET = "s3cret"
PROBE = {"periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 1}
POD = {
    "metadata": {"namespace": "default", "name": "web", "uid": "u-1", "annotations": {"token": SECRET}},
    "spec": {
        "volumes": [
            {"name": "scratch", "emptyDir": {"medium": "Memory"}},
            {"name": "disk", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
            {"name": "odd", "csi": {"driver": "d", "volumeAttributes": {"password": SECRET}}},
        ],
        "initContainers": [{"name": "init", "env": [{"name": "A", "value": SECRET}]}],
        "ephemeralContainers": [{"name": "debugger", "args": [SECRET]}],
        "containers": [
            {
                "name": "app",
                "env": [{"name": "PASSWORD", "value": SECRET}],
                "command": ["app", SECRET],
                "resources": {"limits": {"nvidia.com/gpu": 1}},
                "volumeDevices": [{"name": "raw", "devicePath": "/dev/raw"}],
                "volumeMounts": [
                    {"name": "scratch", "mountPath": "/scratch/"},
                    {"name": "disk", "mountPath": "/disk", "subPath": "a"},
                    {"name": "odd", "mountPath": "/odd"},
                ],
                "livenessProbe": dict(PROBE, exec={"command": ["check", SECRET]}),
                "startupProbe": dict(PROBE, httpGet={"httpHeaders": [{"name": "Authorization", "value": SECRET}]}),
            },
            {"name": "other"},
        ],
    },
}
SPEC = {
    "mounts": [
        {"destination": path, "type": "bind", "source": "/somewhere" + path, "options": ["rbind"]}
        for path in ("/scratch", "/disk", "/odd")
    ]
}


def found(pod):
    judged = {}
    for name in ("app", "debugger"):
        seen = snapshot(
            container=name, pod_object=pod, spec=SPEC, volumes=tuple(pods.volumes(SPEC, pod, name)), memory_bytes=1 << 33
        )
        judged[name] = (seen.volumes, pods.check(seen, {"freeze_seconds": 9.0}))
    return judged


def test_no_reason_is_lost_and_no_secret_is_kept():
    short = pods.outline(POD)
    assert found(short) == found(POD)
    names = {reason["id"] for _volumes, reasons in found(POD).values() for reason in reasons}
    assert {"probe-kills", "exec-probe", "gpu", "block-volume", "other-containers", "ephemeral-container"} <= names
    assert SECRET in json.dumps(POD) and SECRET not in json.dumps(short)
