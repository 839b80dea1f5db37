# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic

from ansible_collections.container_checkpoint.kubernetes.plugins.modules import checkpoint


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the module with these options; its result."""

    def run(check=False, **options):
        options.setdefault("checkpoint_dir", str(tmp_path))
        arguments = {"ANSIBLE_MODULE_ARGS": dict(options, _ansible_check_mode=check, _ansible_remote_tmp=str(tmp_path))}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode("utf-8"))
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            checkpoint.main()
        return json.loads(capsys.readouterr().out)

    return run


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
def test_failures_of_the_module(call, options, text):
    result = call(**options)
    assert result["failed"] and text in result["msg"], result["msg"]
    assert "secret-key" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})
    assert result.get("invocation", {}).get("module_args", {}).get("api_key") in (
        None,
        "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
    )


def test_failures_have_the_results_keys(call):
    result = call(pods=[{"name": "a"}], kubelet_url="https://127.0.0.1:1", check=True)
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
