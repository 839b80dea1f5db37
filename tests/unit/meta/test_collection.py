# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection agrees with itself: action groups with modules, role defaults with argument specifications, headers."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
# The doc fragment whose options make a module one of the group.
GROUP_FRAGMENTS = {"kubelet": "_kubelet", "registry": "_registry", "kubernetes": "_kube_api"}
SPDX = "# SPDX-License-" + "Identifier: GPL-3.0-or-later"


def load(path: pathlib.Path):
    """A YAML file's content; an empty mapping when it is not there or empty."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def constant(path: pathlib.Path, name: str) -> str:
    """A string constant of a Python file, at module level or in a class."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == name for target in node.targets):
            return ast.literal_eval(node.value)
    raise AssertionError("%s has no %s" % (path, name))


def groups() -> dict[str, list]:
    """The action groups of meta/runtime.yml: group to its modules."""
    declared = load(ROOT / "meta/runtime.yml")["action_groups"]
    return {group: [entry for entry in members if isinstance(entry, str)] for group, members in declared.items()}


def fragment_options(name: str) -> set[str]:
    """The options that a doc fragment brings."""
    return set(yaml.safe_load(constant(ROOT / "plugins/doc_fragments" / (name + ".py"), "DOCUMENTATION"))["options"])


def module_docs(name: str) -> dict:
    """A module's own documentation."""
    return yaml.safe_load(constant(ROOT / "plugins/modules" / (name + ".py"), "DOCUMENTATION"))


def fragments_of(docs: dict) -> set[str]:
    """Names of our fragments that a module extends."""
    named = docs.get("extends_documentation_fragment") or []
    named = [named] if isinstance(named, str) else named
    return {entry.rpartition("container_checkpoint.kubernetes.")[2].partition(".")[0] for entry in named}


def test_every_group_has_a_fragment():
    assert set(groups()) == set(GROUP_FRAGMENTS)


@pytest.mark.parametrize("group", sorted(GROUP_FRAGMENTS))
def test_group_and_modules_agree(group):
    fragment = GROUP_FRAGMENTS[group]
    options = fragment_options(fragment)
    members = groups()[group]
    assert options and members
    for module in members:
        docs = module_docs(module)
        own = set(docs["options"])
        for extended in fragments_of(docs):
            if (ROOT / "plugins/doc_fragments" / (extended + ".py")).exists() and extended != "_attributes":
                own |= fragment_options(extended)
        assert options <= own, "%s is in group %s and lacks %s" % (module, group, sorted(options - own))
    extenders = {module for module in MODULES if fragment in fragments_of(module_docs(module))}
    assert extenders <= set(members), "these take the options of group %s and are not in it" % group


def test_kubernetes_group_reaches_kubernetes_core():
    entries = load(ROOT / "meta/runtime.yml")["action_groups"]["kubernetes"]
    assert {"metadata": {"extend_group": ["kubernetes.core.k8s"]}} in entries


def test_there_are_modules_and_roles():
    assert MODULES and ROLES


@pytest.mark.parametrize("module", MODULES)
def test_module_says_since_when_and_how(module):
    docs = module_docs(module)
    assert docs["module"] == module
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(docs.get("version_added", "")))
    said = set(docs.get("attributes") or {})
    if "container_checkpoint.kubernetes._attributes.info_module" in docs["extends_documentation_fragment"]:
        said |= set(yaml.safe_load(constant(ROOT / "plugins/doc_fragments/_attributes.py", "INFO_MODULE"))["attributes"])
    assert {"check_mode", "diff_mode", "idempotent"} <= said


def role_specs(role: str) -> dict:
    """All options of all entry points of a role."""
    options: dict = {}
    for entry in load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"].values():
        options.update(entry.get("options") or {})
    return options


def templated(value) -> bool:
    """Whether a default is computed when it is used."""
    return isinstance(value, str) and "{{" in value


@pytest.mark.parametrize("role", ROLES)
def test_role_has_what_every_role_has(role):
    base = ROOT / "roles" / role
    missing = [name for name in ("README.md", "meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml") if not (base / name).is_file()]
    assert not missing


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_match_argument_specs(role):
    defaults = load(ROOT / "roles" / role / "defaults/main.yml")
    options = role_specs(role)
    assert not set(defaults) - set(options), "defaults that the specification does not have"
    optional = {name for name, spec in options.items() if not spec.get("required")}
    assert not optional - set(defaults), "optional arguments without a default in defaults/main.yml"
    for name, spec in options.items():
        if spec.get("required"):
            assert name not in defaults, "%s is required and has a default" % name
        elif "default" in spec:
            assert templated(defaults[name]) or spec["default"] == defaults[name], name
        else:
            assert templated(defaults[name]) or defaults[name] in (None, "", [], {}), "%s: the specification does not tell its default" % name


@pytest.mark.parametrize("role", ROLES)
def test_role_variables_carry_its_name_and_its_readme_names_them(role):
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    for name in role_specs(role):
        assert name.startswith(role + "_"), name
        assert name in readme, "%s is not in the README of role %s" % (name, role)


def sources():
    """Files that must carry the header."""
    for pattern in ("plugins/**/*.py", "roles/**/*.py", "tests/**/*.py", "tests/**/*.sh", "roles/*/*/*.yml", "playbooks/*.yml", "meta/*"):
        yield from (path for path in ROOT.glob(pattern) if path.is_file() and "output" not in path.parts)


def test_sources_carry_the_header():
    checked = 0
    bad = []
    for path in sources():
        head = path.read_text(encoding="utf-8").splitlines()[:8]
        checked += 1
        if not (SPDX in head and any(line.startswith("# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors") for line in head)):
            bad.append(str(path.relative_to(ROOT)))
    assert checked > 10
    assert not bad


def test_module_utils_are_private_and_say_so():
    bad = []
    for path in (ROOT / "plugins/module_utils").glob("*.py"):
        if not path.name.startswith("_") or "PRIVATE to the collection" not in path.read_text(encoding="utf-8"):
            bad.append(path.name)
    assert not bad


def test_files_stay_readable_in_length():
    long = {}
    for path in sources():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 700:
            long[str(path.relative_to(ROOT))] = lines
    assert not long
