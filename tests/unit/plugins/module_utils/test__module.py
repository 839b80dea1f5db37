# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    HttpStatusError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail, failure


class FakeModule:
    def fail_json(self, **result):
        self.result = result
        raise SystemExit(1)


def test_message_details_and_partial_result():
    module = FakeModule()
    with pytest.raises(SystemExit):
        fail(module, HttpStatusError("no way", status=500, body="text", where="kubelet"), checkpoints=[1], changed=True)
    assert module.result["msg"] == "no way"
    assert (module.result["http_status"], module.result["where"]) == (500, "kubelet")
    assert (module.result["checkpoints"], module.result["changed"]) == ([1], True)
    assert isinstance(module.result["diagnosis"], list)


def test_the_exceptions_own_diagnosis_is_kept():
    assert failure(CheckpointError("x", diagnosis=[{"id": "a"}]), changed=False) == {
        "msg": "x",
        "changed": False,
        "diagnosis": [{"id": "a"}],
    }
