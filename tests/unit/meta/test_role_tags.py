# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of the provisioning roles: what is included carries them too, and the README names what there is."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
# The roles that change nodes or the cluster.
ROLES = ["access", "container_runtime", "control_plane", "criu", "kernel", "kubernetes_node", "pod_network", "registry", "worker"]


def steps(role: str) -> list[dict]:
    """The tasks of its main entry point."""
    return yaml.safe_load((ROOT / "roles" / role / "tasks/main.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("role", ROLES)
def test_a_tag_reaches_what_is_included(role):
    for step in steps(role):
        included = step.get("ansible.builtin.include_tasks")
        if included is None:
            continue
        # Without apply the include runs, and nothing of what it brings.
        assert isinstance(included, dict) and included["apply"]["tags"] == step["tags"], "%s: %s" % (role, step["name"])


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_the_tags_that_there_are(role):
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", readme.partition("**Tags**")[2].partition(".")[0]))
    assert named == {tag for step in steps(role) for tag in step.get("tags", [])} - {role, "always"}
