# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The crictl double's command line and JSON, against what a real crictl printed (data/inspect-started-fresh.json)."""

from __future__ import annotations

import json
import typing as t

import pytest

from crictl_flags import Flags, UsageError, duration
from doubles_testkit import data

FLAGS = Flags(
    all="bool a", quiet="bool q", output="string o=table", label="list", timeout="duration t=2s", last="int n"
)


def test_flags() -> None:
    values, rest = FLAGS.parse(
        ["-aq", "--label", "a=b", "--label=c=d", "-o", "json", "--timeout=1m30s", "ID", "-o", "x"]
    )
    assert (values["all"], values["quiet"], values["output"], values["timeout"]) == (True, True, "json", 90.0)
    assert values["label"] == ["a=b", "c=d"]
    assert rest == ["ID", "-o", "x"]  # as in the real one, flags end at the first argument


def test_defaults_are_not_shared() -> None:
    FLAGS.parse(["--label", "a=b"])
    values, _rest = FLAGS.parse([])
    assert (values["label"], values["timeout"], values["last"]) == ([], 2.0, None)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nothing"], "flag provided but not defined: -nothing"),
        (["--output"], "flag needs an argument: -output"),
        (["--timeout", "5"], 'invalid value "5" for flag -timeout: parse error'),
        (["-n", "x"], 'invalid value "x" for flag -n: parse error'),
    ],
)
def test_flags_that_are_wrong(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        FLAGS.parse(argv)
    assert str(caught.value) == message


@pytest.mark.parametrize(("text", "seconds"), [("300ms", 0.3), ("2s", 2.0), ("1h1m1s", 3661.0), ("0", 0.0)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text, "t") == pytest.approx(seconds)


@pytest.fixture
def recorded() -> dict:
    return json.loads(data("inspect-started-fresh.json"))


def test_inspect_is_the_real_crictls(recorded: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    import crictl_output as out
    from cri_messages import CLASSES

    nanoseconds = {"createdAt": 1795264267792541226, "startedAt": 1795264267874289569, "finishedAt": 0}
    message: t.Any = json_format.ParseDict({**recorded["status"], **nanoseconds}, CLASSES["ContainerStatus"]())
    status = out.container_status(message)
    wanted = recorded["status"]
    assert status["createdAt"][:-1].startswith("2026-11-21T") and status["finishedAt"] == wanted["finishedAt"]
    for value in (status, wanted):
        value.pop("createdAt"), value.pop("startedAt")
    assert status == wanted
    info = json.dumps(recorded["info"])
    assert json.loads(out.inspected([out.with_info({"info": info}, status=status)])) == {
        "info": recorded["info"],
        "status": wanted,
    }


def test_time_in_go_format() -> None:
    pytest.importorskip("google.protobuf")
    import crictl_output as out

    assert out.go_time(1795264267500000000).startswith("2026-11-21T")
    assert ".5" in out.go_time(1795264267500000000)
    assert "." not in out.go_time(1795264267000000000)
