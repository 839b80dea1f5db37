# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role restore_handler brings to a node is all that the handler imports, and no more."""

from __future__ import annotations

import ast
import os
import re

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..", "..")
ROLE = os.path.join(ROOT, "roles", "restore_handler")
UTILS = os.path.join(ROOT, "plugins", "module_utils")
PACKAGE = "ansible_collections.container_checkpoint.kubernetes.plugins.module_utils"


def listed(name):
    """A list of file names in the role's variables; read without YAML, which the tests of old Pythons have not."""
    with open(os.path.join(ROLE, "vars", "main.yml"), encoding="utf-8") as stream:
        text = stream.read()
    block = re.search(r"^%s:\n((?:  - \S+\n)+)" % name, text, re.MULTILINE)
    assert block, "vars/main.yml has no list %s" % name
    return {line[4:] for line in block.group(1).splitlines()}


def imported(path):
    """The collection's module_utils that a file imports, wherever in it."""
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found |= {alias.name + ".py" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE + "."):
            found.add(node.module.rpartition(".")[2] + ".py")
    return found


def test_every_module_that_the_handler_imports_is_installed_with_it():
    parts = os.path.join(ROLE, "files", "handler")
    assert listed("__restore_handler_parts") == {name for name in os.listdir(parts) if name.endswith(".py")}
    waiting = set().union(*(imported(os.path.join(parts, name)) for name in listed("__restore_handler_parts")))
    needed = set()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= imported(os.path.join(UTILS, name)) - needed
    assert listed("__restore_handler_modules") == needed
