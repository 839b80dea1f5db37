# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand archives in one directory, each described and judged, in time and memory that fit."""

from __future__ import annotations

import json
import os
import resource
import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_dir import read_directory
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import Wish, describe, paths_of
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_prune import (
    Rules,
    judge,
    opened,
    remove,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import verify_archive
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._retention import Policy
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.shelf import put, tools

pytestmark = pytest.mark.slow

COUNT = 10000
DAY = 86400.0
# Far more than it takes on one idle core; a loop over all pairs would take hours.
SECONDS = 120
MEMORY_KIB = 128 * 1024


def lay_out(directory):
    """Links to one archive, each with a record of its own."""
    first = put(directory, "first.tar", 0, record=False)
    record = json.dumps(_record.build(first, verify_archive(first)))
    for number in range(COUNT):
        name = "checkpoint-%05d.tar" % number
        os.link(first, str(directory / name))
        with open(_record.path_for(str(directory / name)), "w", encoding="utf-8") as stream:
            stream.write(record.replace('"first.tar"', '"%s"' % name))
    os.unlink(first)


def test_ten_thousand_archives(tmp_path):
    lay_out(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    assert len(paths_of(str(tmp_path))) == COUNT
    directory = read_directory(str(tmp_path))
    now = time.time() + 30 * DAY
    entries = judge(directory, lambda path: describe(path, Wish(trust_record=True), tools()), Rules(Policy(keep_last=3)), now, set)
    gone = [entry for entry in entries if not entry.keep]
    assert (len(entries), len(gone)) == (COUNT, COUNT - 3)
    assert all(entry.complete for entry in entries)
    with opened(str(tmp_path)) as descriptor:
        assert all(remove(descriptor, directory, entry) for entry in gone[:500])
    assert len(os.listdir(str(tmp_path))) == 2 * (COUNT - 500)
    assert time.process_time() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
