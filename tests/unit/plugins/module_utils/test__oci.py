# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._oci import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    canonical,
    image_config,
    image_manifest,
    index_entries,
    index_lookup,
    index_with,
    platform_of,
    sha256_digest,
    single_layer,
)

DIFF_ID = "sha256:" + "ab" * 32
LAYER = Descriptor(LAYER_TYPE, DIFF_ID, 4096)


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert (
        canonical({"b": 1, "a": [{"d": 2, "c": "é"}]})
        == canonical({"a": [{"c": "é", "d": 2}], "b": 1})
        == b'{"a":[{"c":"\\u00e9","d":2}],"b":1}'
    )


def test_config_names_platform_layer_and_time_and_nothing_else():
    assert json.loads(image_config("x86_64", "2026-11-21T11:55:44.162409Z", DIFF_ID)) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "created": "2026-11-21T11:55:44.162409Z",
        "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
    }


def test_config_of_an_arm_machine_has_the_variant_and_no_time_if_none_is_known():
    config = json.loads(image_config("armv7l", None, DIFF_ID))
    assert (config["architecture"], config["variant"], "created" in config) == ("arm", "v7", False)


@pytest.mark.parametrize(
    "machine, expected", [("aarch64", ("arm64", None)), ("amd64", ("amd64", None)), ("s390x", ("s390x", None))]
)
def test_platform(machine, expected):
    assert platform_of(machine) == expected


def test_platform_that_is_not_known():
    with pytest.raises(InputError, match="'vax'"):
        platform_of("vax")


def test_manifest_refers_to_the_config_by_its_bytes():
    config = image_config("x86_64", None, DIFF_ID)
    manifest = json.loads(image_manifest(config, LAYER, {"k": "v"}))
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "digest": "sha256:" + hashlib.sha256(config).hexdigest(),
            "size": len(config),
        },
        "layers": [{"mediaType": LAYER_TYPE, "digest": DIFF_ID, "size": 4096}],
        "annotations": {"k": "v"},
    }


def test_single_layer_of_our_own_manifest():
    assert single_layer(image_manifest(b"{}", LAYER, {})) == LAYER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"not json",
        b'{"manifests": []}',
        b'{"layers": []}',
        b'{"layers": [{"mediaType": 1, "digest": "x", "size": 1}]}',
        b'{"layers": [{"mediaType": "t", "digest": "x", "size": "1"}]}',
        b'{"layers": [{"mediaType": "t", "digest": "x", "size": 1}, {"mediaType": "t", "digest": "x", "size": 1}]}',
    ],
)
def test_single_layer_of_anything_else(content):
    assert single_layer(content) is None


def test_index_keeps_other_names_and_replaces_its_own():
    one, two = Descriptor.of(MANIFEST_TYPE, b"one"), Descriptor.of(MANIFEST_TYPE, b"two")
    index = index_with(None, one, "r.example/x:1")
    index = index_with(index, one, "r.example/x:2")
    index = index_with(index, two, "r.example/x:1")
    assert index_lookup(index, "r.example/x:1") == sha256_digest(b"two")
    assert index_lookup(index, "r.example/x:2") == sha256_digest(b"one")
    assert index_lookup(index, None) is None
    assert len(index_entries(index)) == 2


def test_index_without_a_name_is_found_without_one():
    index = index_with(None, Descriptor.of(MANIFEST_TYPE, b"one"), None)
    assert index_lookup(index, None) == sha256_digest(b"one")
    assert index_lookup(index, "r.example/x:1") is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schemaVersion": 1}', b'{"schemaVersion": 2, "manifests": ["x"]}'])
def test_index_that_is_none(content):
    with pytest.raises(InputError, match="index.json"):
        index_entries(content)
