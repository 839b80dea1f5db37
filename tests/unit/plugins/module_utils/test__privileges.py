# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _privileges as privileges
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._criu_tasks import ALIVE, Images, Task, Thread

ROOT_CAPS = ("CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_NET_RAW")


def spec(uid=0, gid=0, groups=(), caps=ROOT_CAPS, **process):
    linux = process.pop("linux", {})
    return {
        "process": dict({
            "user": {"uid": uid, "gid": gid, "additionalGids": list(groups)},
            "capabilities": {"bounding": list(caps), "effective": list(caps), "permitted": list(caps)},
        }, **process),
        "linux": linux,
    }


def images(uid=0, gid=0, groups=(0,), caps=ROOT_CAPS, nnp=False, seccomp=0, lsm="", limits=None, userns=False, ambient=()):
    mask = privileges.capability_mask(caps)
    thread = Thread(
        tid=1, uids=frozenset([uid]), gids=frozenset([gid]), groups=frozenset(groups),
        capabilities={"bounding": mask, "effective": mask, "permitted": mask, "inheritable": 0,
                      "ambient": privileges.capability_mask(ambient)},
        no_new_privs=nnp, seccomp_mode=seccomp, lsm_profile=lsm,
    )
    return Images(tasks=(Task(1, "a\nb", ALIVE, (thread,), limits or {}),), machine=1, lsm="", user_namespace=userns)


def found(one, other, **grant):
    return sorted(excess.id for excess in privileges.excesses(one, privileges.grant_from_spec(other, **grant)))


@pytest.mark.parametrize(("one", "other", "wanted"), [
    (images(), spec(), []),
    (images(uid=33, gid=33, groups=[33]), spec(), []),
    (images(caps=["CAP_CHOWN"]), spec(), []),
    (images(caps=[*ROOT_CAPS, "CAP_SYS_ADMIN"]), spec(), ["capabilities"]),
    (images(ambient=["SYS_ADMIN"]), spec(), ["capabilities"]),
    (images(), spec(uid=1000, gid=1000), ["groups", "ids"]),
    (images(uid=1000, gid=1000, groups=[1000], caps=[]), spec(uid=1000, gid=1000), []),
    (images(uid=1000, gid=1000, groups=[1000, 4], caps=[]), spec(uid=1000, gid=1000), ["groups"]),
    (images(uid=1001, gid=1000, groups=[1000], caps=[]), spec(uid=1000, gid=1000), ["ids"]),
    # Root without the capability to change ids may not hold other ids.
    (images(uid=33, caps=[]), spec(caps=[]), ["ids"]),
    (images(), spec(noNewPrivileges=True), ["no_new_privs"]),
    (images(nnp=True), spec(noNewPrivileges=True), []),
    (images(), spec(linux={"seccomp": {"defaultAction": "x"}}), ["seccomp"]),
    (images(seccomp=2), spec(linux={"seccomp": {"defaultAction": "x"}}), []),
    (images(userns=True), spec(), ["user_namespace"]),
    (images(), spec(linux={"namespaces": [{"type": "user"}]}), ["user_namespace"]),
    (images(limits={7: 2048}), spec(rlimits=[{"type": "RLIMIT_NOFILE", "hard": 1024}]), ["rlimits"]),
    (images(limits={7: 1024}), spec(rlimits=[{"type": "RLIMIT_NOFILE", "hard": 1024}]), []),
])
def test_what_is_above_the_grant(one, other, wanted):
    assert found(one, other) == wanted


def test_inherited_limits_count_where_the_spec_names_none():
    assert found(images(limits={7: 2048}), spec(), inherited_limits={7: 1024}) == ["rlimits"]
    assert found(images(limits={7: 2048}), spec(rlimits=[{"type": "RLIMIT_NOFILE", "hard": 4096}]), inherited_limits={7: 1024}) == []


def test_security_module_only_where_the_node_has_it():
    confined = spec(apparmorProfile="cri-containerd.apparmor.d")
    assert found(images(), confined) == []
    assert found(images(), confined, lsm="apparmor") == ["lsm"]
    assert found(images(lsm="cri-containerd.apparmor.d"), confined, lsm="apparmor") == []


def test_a_process_without_new_privileges_cannot_have_more_than_it_was_given():
    narrow = spec(uid=1000, gid=1000, noNewPrivileges=True)
    narrow["process"]["capabilities"]["permitted"] = []
    assert found(images(uid=1000, gid=1000, groups=[1000], caps=["CAP_NET_RAW"], nnp=True), narrow) == ["capabilities"]


def test_messages_name_the_process_without_control_characters():
    excess = privileges.excesses(images(caps=["SYS_ADMIN"]), privileges.grant_from_spec(spec(caps=[])))[0]
    assert excess.text.startswith("process 1 (a?b) holds SYS_ADMIN")


def test_names_and_masks():
    assert privileges.capability_mask(["CAP_CHOWN", "setuid", "NO_SUCH"]) == 1 | 1 << 7
    assert privileges.capability_names(1 | 1 << 40 | 1 << 50) == ["CHOWN", "CHECKPOINT_RESTORE", "50"]


def test_seccomp_profiles():
    profile = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}
    assert not privileges.seccomp_differs({}, {})
    assert not privileges.seccomp_differs(profile, {})
    assert privileges.seccomp_differs({}, profile)
    assert not privileges.seccomp_differs(profile, profile)
