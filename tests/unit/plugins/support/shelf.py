# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of archives for tests, and the tools that archive_info and archive_prune are given."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_info import Tools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_source import ZstdTools
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import verify_archive
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import named_archive

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.timezone.utc).timestamp()
DAY = 86400


def pipes(argv, pass_fds, started):
    """What AnsibleModule.run_command does with pass_fds."""
    with subprocess.Popen(argv, pass_fds=pass_fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        started()
        out, err = process.communicate()
    return process.returncode, out, err


def run(argv, timeout):
    """What CommandRunner.run does."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


def tools(find=shutil.which):
    """Tools of this machine; C(find) can hide them."""
    return Tools(find=find, run=run, zstd=ZstdTools(find, pipes))


def age(path, days):
    """Let a file look so old at NOW."""
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))


def put(directory, name, days, pod="counter", container="app", record=True, pages=b"\xa5" * 100, **changes):
    """An archive checkpointed so many days before NOW, with its record and the pod's object; returns its path."""
    when = datetime.datetime.fromtimestamp(NOW - days * DAY, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = os.path.join(str(directory), name)
    with open(path, "wb") as stream:
        stream.write(named_archive("default", pod, container, checkpointed=when, pages=pages))
    if record:
        document = _record.build(path, verify_archive(path), **changes)
        _record.write_pod(path, {"metadata": {"name": pod}})
        _record.write(path, document)
        for beside in (_record.path_for(path), _record.pod_path_for(path)):
            age(beside, days)
    age(path, days)
    return path
