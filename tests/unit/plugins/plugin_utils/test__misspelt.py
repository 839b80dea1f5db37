# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables are taken for misspelt ones of a role, and that none of the collection's own is."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._misspelt import distance, known, misspelt

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
VARIABLES = {"backup_release", "backup_directory", "backup_keep", "backup_timer_name"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "ab", 2), ("keep", "keep", 0), ("relase", "release", 1), ("relaese", "release", 1), ("pods", "ports", 2), ("kitten", "sitting", 3)],
)
def test_distance(one, other, expected):
    assert [distance(*words) for words in ((one, other), (other, one))] == [expected, expected]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("backup_relase", "backup_release"),
        ("backup_directroy", "backup_directory"),
        ("backup_directories", None),
        ("backup_dir_custom", None),
        ("backup_kep", "backup_keep"),
        ("backup_kept", None),
        ("backup_sleep", None),
        ("backup_timers_nam", "backup_timer_name"),
        ("backup_release", None),
        ("__backup_relase", None),
        ("backups_release", None),
        ("other_release", None),
    ],
)
def test_only_what_is_nearly_a_known_name_is_misspelt(name, nearest):
    assert misspelt([name], "backup", VARIABLES) == ([(name, nearest)] if nearest else [])


def test_a_role_without_variables_has_no_misspelt_ones():
    assert misspelt(["empty_release"], "empty", set()) == []


def test_roles_whose_names_begin_alike_are_known():
    restore, handler = known(ROOT / "roles", "restore"), known(ROOT / "roles", "restore_handler")
    assert "restore_target_node" in restore - handler and "restore_handler_state" in restore & handler


@pytest.mark.parametrize("role", ROLES)
def test_nothing_of_the_collection_itself_looks_misspelt(role):
    """Names that playbooks, roles and documentation use: variables of playbooks, facts that roles make, examples."""
    files = [path for name in ("playbooks", "roles") for path in (ROOT / name).rglob("*") if path.suffix in (".yml", ".md")]
    names = {word for path in files for word in re.findall(r"(?<![\w.])%s_\w+" % role, path.read_text(encoding="utf-8"))}
    facts = re.findall(r"^    facts: \[(.*)\]", (ROOT / "roles" / role / "tasks" / "main.yml").read_text(encoding="utf-8"), re.MULTILINE)
    names -= {name.strip() for line in facts for name in line.split(",")}
    assert names, "the expression finds nothing"
    assert misspelt(names, role, known(ROOT / "roles", role)) == []


@pytest.mark.parametrize("role", ROLES)
def test_every_role_looks_for_misspelt_variables_first(role):
    if (ROOT / "roles" / role / "tasks" / "main.yml").exists():
        first = yaml.safe_load((ROOT / "roles" / role / "tasks" / "main.yml").read_text(encoding="utf-8"))[0]
        assert first["container_checkpoint.kubernetes.role_variables"]["role_path"] == "{{ role_path }}"
