# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.container_checkpoint.kubernetes.plugins.filter.backup_fresh import backup_fresh

NOW = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.timezone.utc).timestamp()
TARGET = {
    "namespace": "shop",
    "pod": "cart-0",
    "pod_uid": "uid",
    "container": "cart",
    "container_id": "id",
    "node": "node1",
    "started_at": "2026-11-21T11:30:00Z",
}


def archive(when, state="complete", container_id="id", error=None):
    return {"path": "/b/" + when, "checkpointed_at": when, "container_id": container_id, "record": {"state": state}, "error": error}


def image(when, uid="uid", container="cart"):
    annotations = {
        "org.opencontainers.image.created": when,
        "org.criu.checkpoint.pod.uid": uid,
        "org.criu.checkpoint.container.name": container,
    }
    return {"image": "r/x@" + when, "annotations": annotations}


OLD, OLDER, NEW = "2026-11-21T11:45:00Z", "2026-11-21T11:20:00.5Z", "2026-11-21T11:59:00.123456789Z"


@pytest.mark.parametrize(
    "archives, images, expected",
    [
        ([archive(OLD), archive(NEW)], None, (NEW, "/b/" + NEW, None)),
        (None, [image(OLD), image(NEW)], (NEW, None, "r/x@" + NEW)),
        ([archive(OLD)], [image(NEW)], (OLD, "/b/" + OLD, "r/x@" + NEW)),
        ([archive(OLD)], [], None),
        ([], [image(NEW)], None),
        ([], None, None),
        (None, None, None),
        ([archive(NEW, state="missing")], None, None),
        ([archive(NEW, error="damaged")], None, None),
        ([archive(NEW, container_id="other")], None, None),
        ([archive("nonsense")], None, None),
        (None, [image(NEW, uid="other")], None),
        (None, [image(NEW, container="other")], None),
        # Within the age, but of the run of the container before this one.
        (None, [image(OLDER)], None),
        ([archive(OLDER)], None, (OLDER, "/b/" + OLDER, None)),
    ],
)
def test_where_it_must_be(archives, images, expected):
    found = backup_fresh([TARGET], 3600, NOW, archives=archives, images=images)
    assert [(one["checkpointed_at"], one["file"], one["image"]) for one in found] == ([expected] if expected else [])


@pytest.mark.parametrize("age, expected", [(0, 0), (30, 0), (60, 1), ("3600", 1)])
def test_age(age, expected):
    assert len(backup_fresh([TARGET], age, NOW, archives=[archive("2026-11-21T11:59:00Z")])) == expected


def test_unknown_runs():
    for changes in ({"container_id": None}, {"started_at": None}):
        target = {**TARGET, **changes}
        assert backup_fresh([target], 3600, NOW, archives=[archive(NEW, container_id=None), archive(NEW)], images=[image(NEW)]) == []


def test_nonsense():
    with pytest.raises(AnsibleFilterError):
        backup_fresh("x", 1, 1)
