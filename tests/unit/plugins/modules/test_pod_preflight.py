# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_preflight: from the options to the result, with a runtime that is made up and a process that is real."""

from __future__ import annotations

import os

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight as preflight
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_pod as pods
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Container
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_collect import ProcReader
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import Host

ID, OTHER = "c" * 64, "d" * 64
UID = "6d6f3a90-3029-4982-beb3-d323f3b2bd15"
KUBELET = "/var/lib/kubelet/pods/" + UID
SPEC = {
    "process": {"terminal": True},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/cache",
            "type": "bind",
            "source": KUBELET + "/volumes/kubernetes.io~empty-dir/cache",
            "options": ["rbind", "rw"],
        },
        {
            "destination": "/conf",
            "type": "bind",
            "source": KUBELET + "/volumes/kubernetes.io~configmap/conf",
            "options": ["rbind", "ro"],
        },
        {
            "destination": "/sub",
            "type": "bind",
            "source": KUBELET + "/volume-subpaths/disk/app/0",
            "options": ["rbind", "rw", "rslave"],
        },
        {"destination": "/dev/shm", "type": "bind", "source": "/run/containerd/x/shm", "options": ["rbind"]},
        {"destination": "/etc/hosts", "type": "bind", "source": KUBELET + "/etc-hosts", "options": ["rbind"]},
        {"destination": "/srv", "type": "bind", "source": "/srv/data", "options": ["rbind"]},
    ],
}
POD = {
    "metadata": {"namespace": "shop", "name": "web", "uid": UID},
    "spec": {
        "volumes": [
            {"name": "disk", "persistentVolumeClaim": {"claimName": "disk-0"}},
            {"name": "cache", "emptyDir": {}},
        ],
        "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [
            {
                "name": "app",
                "volumeMounts": [
                    {"name": "disk", "mountPath": "/sub", "subPath": "x"},
                    {"name": "cache", "mountPath": "/cache/"},
                ],
                "livenessProbe": {
                    "exec": {"command": ["true"]},
                    "periodSeconds": 1,
                    "failureThreshold": 1,
                    "timeoutSeconds": 1,
                },
                "resources": {"limits": {"nvidia.com/gpu": 1}},
                "volumeDevices": [{"name": "raw", "devicePath": "/dev/xvda"}],
            },
            {"name": "other"},
        ],
    },
}


class Runtime:
    """What is asked of a Cri."""

    def __init__(self, gone=False):
        self.gone = gone

    def containers(self):
        return [
            Container(ID, "app", "shop", "web", UID, "running"),
            Container(OTHER, "other", "shop", "web", UID, "running"),
            Container("e" * 64, "job", "shop", "done", UID, "exited"),
        ]

    def document(self, container_id):
        if self.gone:
            raise RuntimeToolError("no such container")
        return {
            "info": {"pid": os.getpid(), "runtimeSpec": SPEC},
            "status": {"metadata": {"attempt": 2}, "logPath": "/log"},
        }


class Reader(ProcReader):
    """Every container is this process."""

    def by_container(self, wanted):
        return {container: [os.getpid()] for container in wanted}


AROUND = preflight.Surroundings(read=lambda path: None, walk_size=lambda path: (3, 4096), sleep=lambda seconds: None)


def resolve(**params):
    return preflight.resolve(
        dict({"pods": None, "namespace": None, "containers": None, "pod_objects": None}, **params), Runtime()
    )


def look(runtime=None, **params):
    resolved = resolve(**params)
    return preflight.Preflight(runtime or Runtime(), Host("containerd", namespaces={}), Reader(), AROUND)(
        resolved.targets
    )


def ids(entry):
    return [reason["id"] for reason in entry["reasons"]]


def test_everything_that_runs_here_by_default():
    assert [(target.pod, target.container) for target in resolve().targets] == [("web", "app"), ("web", "other")]
    assert [target.container for target in resolve(containers=["other"]).targets] == ["other"]
    assert resolve(namespace="elsewhere").targets == []


def test_a_pod_that_was_named_and_is_not_here_is_an_error():
    resolved = resolve(pods=[{"namespace": "shop", "name": "gone", "containers": None}])
    error = preflight.problems_of(resolved)
    assert isinstance(error, CheckpointError) and "gone" in error.msg and error.details["problems"][0]["pod"] == "gone"
    assert preflight.problems_of(resolve()) is None


def test_objects_of_other_nodes_are_left_out_and_ours_come_along():
    elsewhere = {"metadata": {"namespace": "shop", "name": "far"}}
    resolved = resolve(pod_objects=[POD, elsewhere], containers=["app"])
    assert [(target.pod, target.container, target.pod_object is POD) for target in resolved.targets] == [
        ("web", "app", True)
    ]


def test_a_container_that_ended_meanwhile_is_a_no():
    assert [ids(entry) for entry in look(Runtime(gone=True), containers=["app"])] == [["no-process"]]


def test_volumes_by_their_sources_alone():
    kinds = {volume.path: (volume.kind, volume.sub_path) for volume in pods.volumes(SPEC, None, "app")}
    assert kinds == {
        "/cache": ("emptyDir", False),
        "/conf": ("configMap", False),
        "/sub": ("unknown", True),
        "/dev/shm": ("shm", False),
        "/etc/hosts": ("pod", False),
        "/srv": ("hostPath", False),
    }


def test_volumes_by_the_pod():
    kinds = {volume.path: (volume.name, volume.kind, volume.sub_path) for volume in pods.volumes(SPEC, POD, "app")}
    assert kinds["/sub"] == ("disk", "persistentVolumeClaim", True) and kinds["/cache"] == ("cache", "emptyDir", False)


def test_the_whole_way_with_the_pods_object():
    entry = look(pod_objects=[POD], containers=["app"])[0]
    assert (entry["namespace"], entry["pod"], entry["container"], entry["pid"]) == ("shop", "web", "app", os.getpid())
    expected = {
        "emptydir-content", "shm-content", "claim", "host-path", "sub-path", "terminal", "exec-probe", "other-containers",
        "init-containers", "gpu", "block-volume",
    }  # fmt: skip
    assert expected <= set(ids(entry))
    assert [reason["severity"] for reason in entry["reasons"]] == sorted(
        (reason["severity"] for reason in entry["reasons"]), key=["error", "warning", "info"].index
    )
    others = next(reason for reason in entry["reasons"] if reason["id"] == "other-containers")
    assert "other, proxy" in others["text"]
    assert entry["estimate"]["rootfs_bytes"] is None or entry["estimate"]["rootfs_bytes"] == 4096
    assert "environ" not in str(entry).lower()


def probed(freeze, **probe):
    pod = {"spec": {"containers": [{"name": "app", "livenessProbe": probe}]}}
    snapshot = preflight.Snapshot("n", "p", "app", ID, 1, (), pod_object=pod)
    return [reason["id"] for reason in pods.check(snapshot, {"freeze_seconds": freeze})]


@pytest.mark.parametrize(
    "freeze, probe, expected",
    [
        (2.0, {"httpGet": {}}, []),
        (25.0, {"httpGet": {}}, ["probe-kills"]),
        (2.0, {"httpGet": {}, "periodSeconds": 1, "failureThreshold": 2}, ["probe-kills"]),
        (0.5, {"exec": {"command": ["true"]}}, ["exec-probe"]),
    ],
)
def test_probes_against_the_expected_freeze(freeze, probe, expected):
    assert probed(freeze, **probe) == expected


def test_the_annotation_chooses_another_configuration():
    class Annotated(Runtime):
        def document(self, container_id):
            spec = dict(SPEC, annotations={"org.criu.config": "/mine.conf"})
            return {"info": {"pid": os.getpid(), "runtimeSpec": spec}, "status": {}}

    around = preflight.Surroundings(
        read=lambda path: "file-locks\n" if path == "/mine.conf" else None,
        walk_size=lambda path: (0, 0),
        sleep=lambda seconds: None,
    )
    seen = []
    one = preflight.Preflight(Annotated(), Host("containerd"), Reader(), around)
    original = preflight.judge
    try:
        preflight.judge = lambda snapshot: seen.append(dict(snapshot.host.criu_options))
        one(resolve(containers=["app"]).targets)
    finally:
        preflight.judge = original
    assert seen == [{"file-locks": ""}]


def test_the_summary_counts_all_three():
    entries = [{"verdict": word} for word in ("yes", "no", "no")]
    assert preflight.summary(entries) == {"yes": 1, "risky": 0, "no": 2}


def test_the_spec_comes_from_the_runtimes_own_files_where_they_are():
    bundle = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/" % ID
    here = {bundle + "config.json": '{"process": {"terminal": true}}', bundle + "init.pid": "%d" % os.getpid()}
    around = preflight.Surroundings(read=here.get, walk_size=lambda path: (0, 0), sleep=lambda seconds: None)
    entry = preflight.Preflight(Runtime(gone=True), Host("containerd"), Reader(), around)(
        resolve(containers=["app"]).targets
    )[0]
    assert entry["pid"] == os.getpid() and "terminal" in ids(entry) and "no-process" not in ids(entry)
    here[bundle + "config.json"] = "{ half"
    entry = preflight.Preflight(Runtime(), Host("containerd"), Reader(), around)(resolve(containers=["app"]).targets)[0]
    assert entry["pid"] == os.getpid() and "host-path" in ids(entry)
