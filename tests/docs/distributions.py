# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation's table of distributions, out of the data that the roles use.

    distributions.py          write docs/docsite/rst/guide_distributions.rst
    distributions.py --check  fail when it is not what would be written

Rows come from roles/{kernel,criu,container_runtime}/vars/distributions.yml, what versions can do from _node_info_versions.py, what was
run, cell by cell, from proofs.yml beside this file. A unit test runs the check.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs/docsite/rst/guide_distributions.rst"
NAMES = {"EL": "RHEL, AlmaLinux, Rocky Linux", "Fedora": "Fedora 42 and later", "Debian_14": "Debian forky"}
# CRIU's own builds are the newest release.
OBS_CRIU = "4.2.1"
KEYS = {
    "containerd": "``org.criu.checkpoint.container.name``",
    "cri-o": "``io.kubernetes.cri-o.annotations.checkpoint.name``",
}
# The cells of a row behind the distribution's name, as proofs.yml calls them.
CELLS = ("kernel", "criu", "runtime", "kubernetes", "checkpoint", "restore", "key")
STATES = ("run", "double")
NOT_RUN = "not run"
SWITCHES = {
    "containerd": "``enable_experimental_restore_via_create``",
    "cri-o": "``container_level_enabled``",
}


def versions_module() -> t.Any:
    """The table of versions; the file imports nothing of the collection, so it can be read from where it lies."""
    path = ROOT / "plugins/module_utils/_node_info_versions.py"
    spec = importlib.util.spec_from_file_location("_node_info_versions", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def load(role: str) -> dict[str, t.Any]:
    """A role's data."""
    return yaml.safe_load((ROOT / "roles" / role / "vars/distributions.yml").read_text(encoding="utf-8"))


def title(key: str) -> str:
    """A distribution's name for people."""
    family, _underscore, number = key.partition("_")
    return NAMES.get(key) or ("%s %s" % (NAMES.get(family, family), number)).strip()


def kernel_cell(versions: t.Any, row: t.Mapping[str, str]) -> tuple[str, str]:
    """(what the cell says, the version that counts)."""
    stock = row["stock"]
    if versions.kernel_has_rseq_query(versions.parse(stock)) or not row["newer"]:
        return stock, stock
    source = {"elrepo": "ELRepo", "": "HWE"}.get(row["repository"], "backports")
    newer = row["newer"] if "." in row["newer"] else row["newer"] + ".x"
    hint = "; a vendor's backport passes" if row["repository"] == "elrepo" else ""
    return "%s, else %s (%s)%s" % (stock, newer, source, hint), newer.replace(".x", ".1")


def criu_cell(row: t.Mapping[str, str]) -> tuple[str, str]:
    """(what the cell says, the version that counts)."""
    if row["source"] == "obs":
        return (
            "%s (CRIU's own build)%s"
            % (OBS_CRIU, "; the distribution's %s is too old" % row["package"] if row["package"] else ""),
            OBS_CRIU,
        )
    return str(row["package"]), str(row["package"])


def abilities(versions: t.Any, engine: str, version: str, kernel: str, criu: str) -> tuple[str, str, str]:
    """(checkpoint?, restore from an image?, by which key) of a combination."""
    parsed = versions.parse(version)
    misfit = versions.kernel_needs(versions.parse(kernel), versions.parse(criu))
    how = versions.engine_restores(engine, parsed)
    if not versions.engine_checkpoints(engine, parsed):
        checkpoint = "no: this %s cannot" % engine
    elif misfit:
        checkpoint = "no: %s" % misfit
    else:
        checkpoint = "yes"
    if misfit or how in (versions.NEVER, versions.REMOVED, None):
        # The handler was seen with containerd 1.7; nothing is known of older ones.
        return checkpoint, "no" if misfit or parsed < (1, 7, 0) else "by the handler only", ""
    return (
        checkpoint,
        "yes, without a switch" if how == versions.ALWAYS else "yes, with %s" % SWITCHES[engine],
        KEYS[engine],
    )


def runtimes(versions: t.Any, key: str, data: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, str, str, str]]:
    """(id, engine, version, what the cell says, Kubernetes) of each runtime that a distribution can have."""
    row, newest = data["__container_runtime_distributions"][key], data["__container_runtime_newest"]

    def kubernetes(version: str) -> str:
        return data["__container_runtime_kubernetes"].get(".".join(version.split(".")[:2]), "")

    if row["containerd"]:
        yield "containerd", versions.CONTAINERD, row["containerd"], "containerd %s, runc %s" % (
            row["containerd"],
            row["runc"],
        ), kubernetes(row["containerd"])
    if row["docker"]:
        yield "docker", versions.CONTAINERD, newest["docker"], "containerd %s (docker.com)" % newest[
            "docker"
        ], kubernetes(newest["docker"])
    if row["crio"]:
        yield "crio", versions.CRIO, newest["crio"], "CRI-O %s (its own repository)" % newest["crio"], ".".join(
            newest["crio"].split(".")[:2]
        )


def proofs() -> list[dict[str, t.Any]]:
    """What was run, as proofs.yml says it."""
    return yaml.safe_load((pathlib.Path(__file__).parent / "proofs.yml").read_text(encoding="utf-8"))["proofs"]


def marks(given: list[dict[str, t.Any]]) -> dict[tuple[str, str, str], str]:
    """(distribution, runtime, cell) to what that cell says: the state, and the number of the proof."""
    found: dict[tuple[str, str, str], str] = {}
    for number, proof in enumerate(given, 1):
        wrong = set(proof["cells"]) - set(CELLS)
        if wrong or proof["state"] not in STATES:
            raise SystemExit("proofs.yml: proof %d has a state or cells that are none: %s" % (number, sorted(wrong)))
        for distribution, names in proof["rows"].items():
            for place in ((distribution, name, cell) for name in names for cell in proof["cells"]):
                if place in found:
                    raise SystemExit("proofs.yml says two things of %s" % (place,))
                found[place] = "%s (%d)" % (proof["state"], number)
    return found


HEAD = """..
  Copyright (c) 2026, The container_checkpoint.kubernetes contributors
  GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

.. Written by tests/docs/distributions.py from the data of the roles. Do not edit.

.. _ansible_collections.container_checkpoint.kubernetes.docsite.guide_distributions:

Distributions, kernels, CRIU and runtimes
=========================================

What the roles ``kernel``, ``criu`` and ``container_runtime`` make of each distribution, by the data that they themselves use. Each cell says what was
run: ``run`` with the real thing, ``double`` with a program that stands for it, ``not run`` from documentation and package lists only; the number is that
of the proof below the table. CRI-O, kubeadm and the RHEL family are doubles wherever they were run.
The key is the annotation that a checkpoint image needs for this runtime; our images carry both. The restore handler restores with any runtime, without a
key and without a switch.

.. list-table::
  :header-rows: 1
  :widths: 12 16 16 18 10 14 18 18

  * - Distribution
    - Kernel
    - CRIU
    - Runtime
    - Kubernetes
    - Checkpoint?
    - Restore from an image?
    - By which key
"""
TAIL = """
What was run
------------

This machine's kernel is that of the machine whose containers were the nodes: 6.18 when the proofs were looked at last.

.. list-table::
  :header-rows: 1
  :widths: 5 10 85

  * - Number
    - State
    - With what
"""


def render() -> str:
    """The whole page."""
    versions = versions_module()
    kernels, crius, engines = load("kernel"), load("criu"), load("container_runtime")
    given = proofs()
    proven, lines = marks(given), []
    for key, kernel in kernels["__kernel_distributions"].items():
        kernel_text, kernel_version = kernel_cell(versions, kernel)
        criu_text, criu_version = criu_cell(crius["__criu_distributions"][key])
        for name, engine, version, text, kubernetes in runtimes(versions, key, engines):
            cells = [kernel_text, criu_text, text, kubernetes or "none tested"]
            cells += abilities(versions, engine, version, kernel_version, criu_version)
            lines.append("  * - " + title(key))
            for cell, said in zip(CELLS, cells):
                mark = proven.pop((key, name, cell), NOT_RUN) if said else ""
                lines.append(("    - %s" % (said and "%s; *%s*" % (said, mark))).rstrip())
    if proven:
        raise SystemExit("proofs.yml names cells that do not exist: %s" % sorted(proven))
    below = ["  * - %d\n    - %s\n    - %s" % (number, proof["state"], proof["what"]) for number, proof in enumerate(given, 1)]
    return HEAD + "\n".join(lines) + "\n" + TAIL + "\n".join(below) + "\n"


def main(words: list[str]) -> int:
    """Write or compare."""
    text = render()
    if words == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print("%s is not current: run tests/docs/distributions.py" % TARGET.relative_to(ROOT))
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
