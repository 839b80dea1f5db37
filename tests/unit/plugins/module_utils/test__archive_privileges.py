# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes in real archives may do, against what Pods grant: read on the way, handed on, compared."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _archive_privileges as held
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _pod_grant as granted
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    InputError,
    RestoreError,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support import archives, hostile

REAL = ["containerd-counter-counter", "containerd-two-b", "crio-counter-counter", "crio-emptyd-c"]


def read(data, block=4096):
    reader = held.PrivilegeReader()
    for start in range(0, len(data), block):
        reader.feed(data[start : start + block])
    return held.as_dict(reader.images())


def real(name="containerd-counter-counter"):
    return read(archives.fixture_bytes(name))


def pod(**own):
    whole = own.pop("whole", {})
    return {"metadata": {}, "spec": {"securityContext": whole, "containers": [{"name": "c", "securityContext": own}]}}


def check(pod_, given, accepted=(), engine="containerd", lsm=""):
    return granted.check(pod_, "c", given, accepted, engine, lsm)


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_a_stream_says_what_the_file_says(name):
    data = archives.fixture_bytes(name)
    whole = held.as_dict(held.read_file(archives.fixture(name)))
    assert read(data, 1000) == read(data, 1 << 20) == whole
    (only,) = whole["credentials"]
    assert only["uids"] == [0] and only["pid"] == 1 and only["command"]
    assert ("NET_RAW" in only["capabilities"]["effective"]) == name.startswith("containerd")


@pytest.mark.parametrize("name", REAL)
def test_what_is_handed_on_is_what_was_read(name):
    given = real(name)
    assert held.as_dict(held.from_dict(json.loads(json.dumps(given)))) == given


def test_archives_that_say_it_twice_or_not_at_all():
    with pytest.raises(ArchiveError, match="no CRIU image inventory.img"):
        read(archives.member("checkpoint/core-1.img", b"x") + bytes(1024))
    twice = archives.member("checkpoint/core-1.img", b"x") + archives.member("./checkpoint//core-1.img", b"y")
    with pytest.raises(ArchiveError, match="two members"):
        read(twice + bytes(1024))
    with pytest.raises(ArchiveError, match="too large"):
        read(archives.member("checkpoint/core-1.img", bytes(held.MAX_IMAGE + 1)) + bytes(1024))
    with pytest.raises(ArchiveError):
        read(archives.fixture_bytes("containerd-counter-counter")[:20000])


def test_of_a_hostile_archive_it_says_nothing_or_an_error():
    refused = 0
    for content in hostile.contents().values():
        try:
            assert read(content, 1 << 20)["credentials"]
        except ArchiveError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given.pop("credentials"),
        lambda given: given.update(credentials=[]),
        lambda given: given.update(credentials=[{}]),
        lambda given: given.update(user_namespace="perhaps"),
        lambda given: given["credentials"][0].pop("groups"),
        lambda given: given["credentials"][0].update(uids="0"),
        lambda given: given["credentials"][0]["capabilities"].pop("bounding"),
        lambda given: given["credentials"][0]["capabilities"].update(effective=["EVERYTHING"]),
        lambda given: given["credentials"][0]["capabilities"].update(effective=["64"]),
        lambda given: given.update(error="it could not be read"),
    ],
)
def test_what_nobody_made_is_refused(change):
    given = real()
    change(given)
    with pytest.raises(InputError):
        check(pod(), given)


# -- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_the_pod_that_it_is_of_grants_it(name):
    assert check(pod(), real(name), engine="cri-o" if name.startswith("crio") else "containerd") == []


@pytest.mark.parametrize(
    "own, kind",
    [
        ({"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}, "ids"),
        ({"runAsNonRoot": True}, "ids"),
        ({"whole": {"runAsNonRoot": True}}, "ids"),
        ({"runAsGroup": 7, "runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}, "groups"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities"),
        ({"capabilities": {"drop": ["all"], "add": ["NET_BIND_SERVICE"]}}, "capabilities"),
        ({"allowPrivilegeEscalation": False}, "no_new_privs"),
        ({"seccompProfile": {"type": "RuntimeDefault"}}, "seccomp"),
        ({"whole": {"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}}, "seccomp"),
    ],
)
def test_a_pod_that_grants_less_is_refused_unless_that_is_accepted(own, kind):
    with pytest.raises(RestoreError, match="more than its pod grants") as caught:
        check(pod(**own), real())
    kinds = [one["id"] for one in caught.value.details["privileges"]]
    assert kind in kinds and "CVE-2026-95837" in caught.value.msg and "accept_privileges" in caught.value.msg
    assert len(check(pod(**own), real(), accepted=kinds)) == len(kinds)
    with pytest.raises(RestoreError):
        check(pod(**own), real(), accepted=[one for one in kinds if one != kind])


def test_containerds_capabilities_are_more_than_crios():
    with pytest.raises(RestoreError, match="NET_RAW"):
        check(pod(), real(), engine="cri-o")


@pytest.mark.parametrize("own", [{"privileged": True, "seccompProfile": {"type": "RuntimeDefault"}}, {"capabilities": {"add": ["ALL"]}}])
def test_a_pod_that_grants_everything(own):
    given = real()
    every = [str(number) if number > 40 else name for number, name in enumerate(granted.privileges.CAPABILITIES)]
    given["credentials"][0]["capabilities"] = {key: list(every) for key in given["credentials"][0]["capabilities"]}
    assert check(pod(**own), given) == []
    with pytest.raises(RestoreError, match="SYS_ADMIN"):
        check(pod(), given)


def strong(**changes):
    """The real one, with something that its owner has changed in the images."""
    given = real()
    given["credentials"].append(copy.deepcopy(given["credentials"][0]))
    given["credentials"][1].update(pid=99, command="intruder", **changes)
    return given


def test_a_second_process_counts():
    sets = dict(real()["credentials"][0]["capabilities"], bounding=["SYS_ADMIN"], effective=["63"])
    with pytest.raises(RestoreError, match=r"process 99 \(intruder\) holds 63 in its effective set|holds SYS_ADMIN"):
        check(pod(), strong(capabilities=sets))


def test_ids_where_the_pod_says_which():
    plain = {"runAsUser": 1000, "runAsGroup": 1000, "capabilities": {"drop": ["ALL"]}}
    empty = {name: [] for name in ("ambient", "bounding", "effective", "inheritable", "permitted")}
    given = real()
    given["credentials"][0].update(uids=[1000], gids=[1000], groups=[2000], capabilities=empty)
    assert check(pod(whole={"supplementalGroups": [2000]}, **plain), given) == []
    assert check(pod(whole={"fsGroup": 2000}, **plain), given) == []
    with pytest.raises(RestoreError, match="is in the groups 2000"):
        check(pod(**plain), given)
    given["credentials"][0].update(uids=[0, 1000])
    with pytest.raises(RestoreError, match="has the user ids 0, 1000, the new container only 1000"):
        check(pod(whole={"fsGroup": 2000}, **plain), given)
    # Nothing says which: the image decides, and whoever makes the pod chooses the image.
    assert check(pod(capabilities={"drop": ["ALL"]}), given) == []


def test_a_user_namespace_is_refused_whatever_is_accepted():
    given = dict(real(), user_namespace=True)
    with pytest.raises(RestoreError, match="user namespace"):
        check(pod(), given, accepted=granted.ACCEPTABLE)
    asked = pod()
    asked["spec"]["hostUsers"] = False
    with pytest.raises(RestoreError, match="user namespace"):
        check(asked, real())


@pytest.mark.parametrize(
    "own, annotation, profile",
    [
        ({}, "", "cri-containerd.apparmor.d"),
        ({"appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}, "", "mine"),
        ({"appArmorProfile": {"type": "RuntimeDefault"}}, "", "cri-containerd.apparmor.d"),
        ({}, "localhost/mine", "mine"),
    ],
)
def test_the_apparmor_profile_that_the_pod_gets(own, annotation, profile):
    asked, given = pod(**own), real()
    if annotation:
        asked["metadata"]["annotations"] = {"container.apparmor.security.beta.kubernetes.io/c": annotation}
    with pytest.raises(RestoreError, match="apparmor profile"):
        check(asked, given, lsm="apparmor")
    given["credentials"][0]["lsm_profile"] = profile
    assert check(asked, given, lsm="apparmor") == []
    assert check(pod(appArmorProfile={"type": "Unconfined"}), given, lsm="apparmor") == []
