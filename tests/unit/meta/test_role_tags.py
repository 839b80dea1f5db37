# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of the provisioning roles: what is included carries them too, each alone finds what it needs, and the README names what there is."""

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


def tasks_of(found: list[dict]):
    """These tasks and those in their blocks."""
    for task in found:
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part) or [])
        yield task


def files_of(role: str, task: dict, seen: set[pathlib.Path]) -> set[pathlib.Path]:
    """The files that a task includes, and those that they include; an expression stands for any name."""
    included = task.get("ansible.builtin.include_tasks", task.get("ansible.builtin.import_tasks"))
    name = included["file"] if isinstance(included, dict) else included or ""
    for path in set((ROOT / "roles" / role / "tasks").glob(re.sub(r"\{\{.*?\}\}", "*", name))) - seen if name else ():
        seen.add(path)
        for inner in tasks_of(yaml.safe_load(path.read_text(encoding="utf-8"))):
            files_of(role, inner, seen)
    return seen


def words(text: str, variables: dict[str, str]) -> set[str]:
    """The names in a text, and in the role's variables that it names."""
    found: set[str] = set()
    new = set(re.findall(r"\b[a-z_][a-z0-9_]+\b", text))
    while new:
        found |= new
        new = {name for known in new & variables.keys() for name in re.findall(r"\b[a-z_][a-z0-9_]+\b", variables[known])} - found
    return found


def made_by(tasks: list[dict]) -> set[str]:
    """The variables that tasks register or set."""
    registered = {task["register"] for task in tasks if "register" in task}
    return registered | {name for task in tasks for name in task.get("ansible.builtin.set_fact", {})} - {"cacheable"}


@pytest.mark.parametrize("role", ROLES)
def test_a_tag_alone_finds_what_it_needs(role):
    variables = {
        name: str(value)
        for part in ("defaults", "vars")
        for path in (ROOT / "roles" / role / part).glob("*.yml")
        for name, value in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items()
    }
    found = []
    for step in steps(role):
        texts = [path.read_text(encoding="utf-8") for path in files_of(role, step, set())]
        tasks = [step, *(task for text in texts for task in tasks_of(yaml.safe_load(text)))]
        found.append((set(step.get("tags", [])), made_by(tasks), "\n".join([yaml.safe_dump(step), *texts])))
    made = set().union(*(names for _tags, names, _text in found))
    for tags, own, text in found:
        for tag in tags:
            there = own.union(*(names for others, names, _text in found if others & {tag, "always"}))
            needed = {name for name in words(text, variables) & made if name + " is defined" not in text}
            assert needed <= there, "%s --tags %s: nothing says what %s is" % (role, tag, ", ".join(sorted(needed - there)))


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_the_tags_that_there_are(role):
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", readme.partition("**Tags**")[2].partition(".")[0]))
    assert named == {tag for step in steps(role) for tag in step.get("tags", [])} - {role, "always"}
