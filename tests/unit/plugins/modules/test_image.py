# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a process: what Ansible sees, and what a killed run leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _image
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    fixture,
    fixture_bytes,
    named_archive,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry

pytestmark = pytest.mark.slow

ROOT = os.path.abspath(_image.__file__).partition("/ansible_collections/")[0]
START = """
import sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[1].encode()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.container_checkpoint.kubernetes.plugins.modules import image
image.main()
"""
SRC = fixture("crio-counter-counter")
KEYS = {"digest", "reference", "layer", "bytes_read", "bytes_sent", "blobs", "annotations", "identity", "stages", "msg"}


def start(**params):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT] + [path for path in sys.path if path]))
    command = [sys.executable, "-c", START, json.dumps({"ANSIBLE_MODULE_ARGS": params})]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(**params):
    """The module's result."""
    process = start(**params)
    out, err = process.communicate(timeout=60)
    assert out, err
    return json.loads(out.splitlines()[-1])


def to(fake, **changes):
    params = {"src": SRC, "name": fake.host + "/team/app:1", "plain_http": True, "retries": 0}
    params.update(changes)
    return params


def test_check_run_and_again():
    with FakeRegistry(auth="basic") as fake:
        account = {"username": "lab", "password": "secret"}
        predicted = run(_ansible_check_mode=True, _ansible_diff=True, **to(fake, **account))
        assert fake.manifests == {}
        result = run(_ansible_diff=True, **to(fake, **account))
        again = run(_ansible_check_mode=True, **to(fake, **account))
    digest = "sha256:" + hashlib.sha256(fake.manifests["1"]).hexdigest()
    assert result["changed"] is True and again["changed"] is False
    assert result["image"] == "%s/team/app@%s" % (fake.host, digest)
    assert result["reference"] == "%s/team/app:1" % fake.host
    assert result["diff"] == {
        "before": {"reference": result["reference"], "digest": None},
        "after": {"reference": result["reference"], "digest": digest},
    }
    assert KEYS | {"image", "changed"} <= set(again) and "diff" not in again
    for outcome in (predicted, result):
        outcome.pop("stages")
        outcome.pop("invocation", None)
    assert predicted == result
    assert "secret" not in json.dumps([result, predicted, again])


def test_zstd_through_the_module(tmp_path):
    result = run(src=SRC, oci_archive=str(tmp_path / "image.tar"), compression="zstd")
    if "zstd is not installed" in result.get("msg", ""):
        pytest.skip("the program zstd is not installed")
    assert result["changed"] and result["layer"]["media_type"].endswith("+zstd")
    assert result["image"] == "oci-archive:%s@%s" % (tmp_path / "image.tar", result["digest"])


@pytest.mark.parametrize(
    "params, says",
    [
        ({"name": "registry.example/app"}, "must be host"),
        ({"name": "app:1"}, "must be host"),
        ({"name": "registry.example/app:1@sha256:" + "a" * 64}, "must be host"),
        ({"name": "registry.example/../app:1"}, "not a valid name"),
        ({"name": "registry.example/app:1", "chunk_bytes": 1}, "chunk_bytes"),
        ({"name": "registry.example/app:1", "request_timeout": 0}, "request_timeout"),
        ({"name": "registry.example/app:1", "retries": -1}, "retries"),
        (
            {"name": "registry.example/app:1", "auth_file": "/nowhere/auth.json"},
            "auth_file /nowhere/auth.json cannot be read",
        ),
        ({"name": "registry.example/app:1", "ca_cert": "/nowhere/ca.pem"}, "ca_cert /nowhere/ca.pem cannot be read"),
        ({}, "one of the following is required: name, layout, oci_archive"),
        ({"layout": "/x", "oci_archive": "/y"}, "mutually exclusive"),
        ({"name": "registry.example/app:1", "username": "u"}, "required together"),
    ],
)
def test_wrong_options(params, says):
    result = run(src=SRC, **params)
    assert result["failed"] and says in result["msg"]


def test_a_failure_says_what_and_keeps_the_keys(tmp_path):
    truncated = tmp_path / "truncated.tar"
    truncated.write_bytes(fixture_bytes("crio-counter-counter")[:-4096])
    with FakeRegistry() as fake:
        result = run(**to(fake, src=str(truncated)))
    assert result["failed"] and str(truncated) in result["msg"] and "truncated" in result["msg"]
    assert KEYS | {"diagnosis"} <= set(result)
    assert fake.manifests == {} and fake.blobs == {} and fake.uploads == {}


def test_credentials_come_from_a_file(tmp_path):
    auth_file = tmp_path / "auth.json"
    with FakeRegistry(auth="bearer") as fake:
        auth_file.write_text(json.dumps({"auths": {fake.host: {"auth": "bGFiOnNlY3JldA=="}}}))
        result = run(**to(fake, auth_file=str(auth_file)))
    assert result["changed"] and "bGFiOnNlY3JldA" not in json.dumps(result)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_killed_in_the_middle_of_a_push_and_run_again(tmp_path, compression):
    src = tmp_path / "checkpoint.tar"
    src.write_bytes(named_archive("default", "counter", "counter", pages=os.urandom(12 << 20)))
    with FakeRegistry() as fake:
        params = to(fake, src=str(src), compression=compression, chunk_bytes=1 << 20)

        def slow(handler):
            if handler.command == "PATCH" and len(fake.patched) >= 3:
                time.sleep(30)
            return False

        with fake.faulty(slow):
            process = start(**params)
            deadline = time.monotonic() + 30
            while len(fake.patched) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert len(fake.patched) == 3 and fake.blobs == {} and fake.manifests == {}
        result = run(**params)
        assert result["changed"], result
        content = fake.blobs[result["layer"]["digest"]]
        assert compression != "none" or content == src.read_bytes()
        assert run(**params)["changed"] is False
