# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.modules import checkpoint

ROOT = os.path.abspath(__file__).partition("/ansible_collections/")[0]


def call(tmp_path, **options):
    """Run the module as a node would: its own process, its arguments on standard input."""
    options.setdefault("checkpoint_dir", str(tmp_path))
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": dict(options, _ansible_check_mode=options.pop("check", False))})
    code = (
        "import ansible.module_utils.basic as basic\n"
        "basic._ANSIBLE_PROFILE = 'legacy'\n"
        "from ansible_collections.container_checkpoint.kubernetes.plugins.modules.checkpoint import main\nmain()\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT] + [path for path in sys.path if path]))
    done = subprocess.run(
        [sys.executable, "-c", code], input=arguments, capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "options,text",
    [
        ({}, "one of the following is required: pods, namespace, label_selectors, field_selectors"),
        ({"pods": [{"name": "a"}], "namespace": "b"}, "mutually exclusive: pods|namespace"),
        ({"pods": [{"name": "a"}], "containers": ["b"]}, "mutually exclusive: pods|containers"),
        (
            {"pods": [{"name": "a"}], "kubelet_token": "secret-token", "kubelet_token_file": "/y"},
            "mutually exclusive: kubelet_token|kubelet_token_file",
        ),
        ({"pods": [{"namespace": "a"}]}, "missing required arguments: name found in pods"),
        ({"pods": [{"name": "a"}], "after": "frozen"}, "value of after must be one of: running"),
        ({"pods": [{"name": "../a"}]}, "pod '../a' is not a DNS-1123 subdomain"),
        ({"pods": [{"name": "a"}], "kubelet_url": "https://127.0.0.1:1"}, "the connection was refused"),
        (
            {"pods": [{"name": "a"}], "transport": "api_proxy", "host": "https://x", "api_key": "secret-key"},
            "node is needed",
        ),
    ],
)
def test_failures_of_the_module(tmp_path, options, text):
    result = call(tmp_path, **options)
    assert result["failed"] and text in result["msg"], result["msg"]
    assert "secret-key" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})
    assert result.get("invocation", {}).get("module_args", {}).get("api_key") in (
        None,
        "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
    )


def test_failures_have_the_results_keys(tmp_path):
    result = call(tmp_path, pods=[{"name": "a"}], kubelet_url="https://127.0.0.1:1", check=True)
    assert {"changed", "checkpoints", "failures", "not_running", "msg", "diagnosis"} <= set(result)


def test_difference():
    entries = [
        {"namespace": "a", "pod": "b", "container": "c", "path": "/x.tar", "changed": True},
        {"namespace": "a", "pod": "b", "container": "d", "path": None, "changed": True},
        {"namespace": "a", "pod": "b", "container": "e", "path": "/y.tar", "changed": False},
    ]
    assert checkpoint.difference(entries) == {
        "before": "a/b/e: /y.tar\n",
        "after": "a/b/c: /x.tar\na/b/d: a new archive\na/b/e: /y.tar\n",
    }
