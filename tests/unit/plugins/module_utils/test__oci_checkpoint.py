# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import scan_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci_checkpoint import (
    checkpoint_annotations,
    image_machine,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import fixture

BOTH_KEYS = ("org.criu.checkpoint.container.name", "io.kubernetes.cri-o.annotations.checkpoint.name")


def test_containerd():
    annotations = checkpoint_annotations(scan_file(fixture("containerd-counter-counter")))
    assert annotations == {
        "org.criu.checkpoint.container.name": "counter",
        "io.kubernetes.cri-o.annotations.checkpoint.name": "counter",
        "org.criu.checkpoint.engine.name": "containerd",
        "org.criu.checkpoint.pod.name": "counter",
        "org.criu.checkpoint.pod.namespace": "default",
        "org.criu.checkpoint.pod.uid": "40ae907e-7bd9-48f5-ab96-7d04339bbe46",
        "org.criu.checkpoint.pod.id": annotations["org.criu.checkpoint.pod.id"],
        "org.criu.checkpoint.runtime.name": "io.containerd.runc.v2",
        "org.criu.checkpoint.criu.version": "4.2.1",
        "org.criu.checkpoint.host.arch": "x86_64",
        "org.criu.checkpoint.host.kernel": annotations["org.criu.checkpoint.host.kernel"],
        "org.criu.checkpoint.rootfsImageUserRequested": "localhost:5000/counter:1",
        "org.criu.checkpoint.rootfsImageName": "localhost:5000/counter:1",
        "org.criu.checkpoint.rootfsImageSha": "sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b",
        "org.opencontainers.image.base.name": "localhost:5000/counter:1",
        "org.opencontainers.image.base.digest": "sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b",
        "org.opencontainers.image.created": "2026-11-21T11:55:44.162409Z",
    }
    assert len(annotations["org.criu.checkpoint.pod.id"]) == 64
    assert annotations["org.criu.checkpoint.host.kernel"].startswith("6.18.")


def test_crio_has_the_id_and_the_digest_of_the_base_image():
    annotations = checkpoint_annotations(scan_file(fixture("crio-two-b")))
    assert [annotations[key] for key in BOTH_KEYS] == ["b", "b"]
    assert annotations["org.criu.checkpoint.engine.name"] == "cri-o"
    assert len(annotations["org.criu.checkpoint.rootfsImageID"]) == 64
    assert annotations["org.opencontainers.image.base.digest"].startswith("sha256:")


def test_no_key_of_podman_and_no_environment():
    for name in ("containerd-two-a", "crio-two-a"):
        annotations = checkpoint_annotations(scan_file(fixture(name)))
        assert not any(key.startswith("io.podman") for key in annotations)
        assert "KUBERNETES_SERVICE_HOST" not in str(annotations)


def test_own_annotations_are_added():
    contents = scan_file(fixture("containerd-counter-counter"))
    assert checkpoint_annotations(contents, {"example.com/ticket": "4711"}) == dict(
        checkpoint_annotations(contents), **{"example.com/ticket": "4711"}
    )


@pytest.mark.parametrize(
    "key",
    [
        *BOTH_KEYS,
        "org.criu.checkpoint.anything",
        "io.podman.annotations.checkpoint.name",
        "CDI.k8s.io/devices",
        "org.opencontainers.image.base.name",
        "bad\nkey",
        "",
    ],
)
def test_annotations_with_a_meaning_cannot_be_set(key):
    with pytest.raises(InputError, match="annotation"):
        checkpoint_annotations(scan_file(fixture("containerd-counter-counter")), {key: "x"})


def test_values_that_are_not_text_are_refused():
    contents = scan_file(fixture("containerd-counter-counter"))
    with pytest.raises(InputError, match="printable"):
        checkpoint_annotations(contents, {"example.com/x": "a\0b"})
    identity = dataclasses.replace(contents.identity, oci_runtime="runc\n")
    with pytest.raises(ArchiveError, match="runtime.name"):
        checkpoint_annotations(dataclasses.replace(contents, identity=identity))


def test_an_archive_of_podman_is_refused():
    contents = scan_file(fixture("containerd-counter-counter"))
    identity = dataclasses.replace(contents.identity, engine="podman", container=None)
    with pytest.raises(ArchiveError, match="not of a Kubernetes container"):
        checkpoint_annotations(dataclasses.replace(contents, identity=identity))


def test_machine_is_asked_for_or_inside_or_here():
    contents = scan_file(fixture("containerd-counter-counter"))
    silent = dataclasses.replace(contents, identity=dataclasses.replace(contents.identity, arch=None))
    assert image_machine(contents, "s390x", "aarch64") == "s390x"
    assert image_machine(contents, None, "aarch64") == "x86_64"
    assert image_machine(silent, None, "aarch64") == "aarch64"
