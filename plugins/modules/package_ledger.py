#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_ledger
short_description: Install packages, remember which were new, take exactly those away again
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Adds package repositories, refreshes the lists when they are old, and installs packages, in one step.
  - Keeps the names of the packages that were new, dependencies included, and of the files that it wrote in
    C(/var/lib/container-checkpoint/roles/NAME.json). With O(state=absent) exactly those go again; what another package has come to need stays.
  - Calls C(apt-get) and C(dnf) themselves, so it works with any Python on the node, also where their Python bindings
    belong to another one (EL 8).
  - When everything is there already, no package manager is started.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
attributes:
  check_mode:
    support: full
    details:
      - What a repository offers that is not configured yet cannot be known; the packages asked for are then predicted
        as new.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description: Whose packages these are.
    type: str
    required: true
  state:
    description:
      - V(present) writes the repositories and installs.
      - V(query) writes the repositories, refreshes the lists, and tells which versions of O(packages) are there and
        would be installed.
      - V(absent) takes away what earlier runs added under this name.
    type: str
    default: present
    choices: [present, query, absent]
  packages:
    description:
      - Names of packages, each C(name) or C(name=version).
      - With dnf the version may be given with or without its release.
    type: list
    elements: str
    default: []
  file:
    description:
      - One C(.deb) or C(.rpm) file by URL or by path on the node, installed together with O(packages).
    type: str
  file_checksum:
    description: Digest of O(file) as C(sha256:…). Required when it is a URL.
    type: str
  release:
    description:
      - With apt, the release that the packages are to be taken from (C(-t)), such as V(trixie-backports).
      - With dnf, the repository to switch on for this step.
    type: str
    default: ""
  hold:
    description:
      - Keep ordinary upgrades from changing O(packages). With apt they are put on hold; with dnf they are excluded in the
        files of O(repositories), so there must be some.
      - This module changes what it holds itself, and holds it again afterwards. What somebody else holds it refuses to
        change.
    type: bool
    default: false
  cache_valid_seconds:
    description:
      - Refresh the package lists when they are older than this. V(0) leaves them alone, unless a repository changed.
      - Nothing is refreshed while everything asked for is there.
    type: int
    default: 86400
  repositories:
    description: Package repositories to add.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the file, without its ending.
        type: str
        required: true
      uris:
        description: Base URLs.
        type: list
        elements: str
        required: true
      suites:
        description: Suites, such as V(trixie), or a path ending with a slash. apt only.
        type: list
        elements: str
        default: ["/"]
      components:
        description: Components. Empty for a suite that is a path. apt only.
        type: list
        elements: str
        default: []
      signed_by:
        description: Path of the key on the node, or the key itself in ASCII armour.
        type: str
      key_url:
        description: URL of the key in ASCII armour, fetched when the node does not have it yet.
        type: str
      key_checksum:
        description: Digest of the key's file as C(sha256:…).
        type: str
      trusted:
        description: Accept the repository without signature. Only for a repository on the node itself.
        type: bool
        default: false
      archived:
        description: Accept lists whose validity has ended, as those of archived releases. apt only.
        type: bool
        default: false
requirements:
  - Debian, Ubuntu, or a distribution with dnf
  - root
"""

EXAMPLES = r"""
- name: Install CRIU from a repository of our own
  container_checkpoint.kubernetes.package_ledger:
    name: criu
    packages:
      - criu
      - iptables
    repositories:
      - name: criu
        uris: ["https://mirror.example.com/criu/"]
        key_url: https://mirror.example.com/criu/Release.key

- name: Take it away again
  container_checkpoint.kubernetes.package_ledger:
    name: criu
    state: absent
"""

RETURN = r"""
added:
  description: The packages that were not there before, dependencies included. In check mode a prediction.
  returned: when O(state) is V(present)
  type: list
  elements: str
  sample: [criu, libnet1]
removed:
  description: The packages that were taken away.
  returned: when O(state) is V(absent)
  type: list
  elements: str
  sample: [criu, libnet1]
kept:
  description: Packages of the ledger that stay, because other packages have come to need them.
  returned: when O(state) is V(absent)
  type: list
  elements: str
  sample: [iptables]
held:
  description: The packages that were put on hold. In check mode those that are there already.
  returned: when O(state) is V(present)
  type: list
  elements: str
  sample: []
candidates:
  description: >-
    For each of O(packages) the version that is there, the version that an installation would take (V(null) for
    none), and all versions that the repositories offer, the newest first.
  returned: when O(state) is V(query)
  type: dict
  sample: {containerd: {installed: null, candidate: 2.1.9~ds1-1, versions: [2.1.9~ds1-1]}}
pending:
  description: >-
    In check mode, whether a repository or file is not there yet, so that RV(candidates) and RV(added) cannot be
    complete.
  returned: when O(state) is not V(absent)
  type: bool
  sample: false
repositories_changed:
  description: Whether a repository's file or key changed.
  returned: when O(state) is not V(absent)
  type: bool
  sample: true
"""

import hashlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages_apt as apt
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages_dnf as dnf
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    InputError,
    RuntimeToolError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import (
    remove_if_there,
    write_atomic,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._package_ledger import (
    Family,
    Keeper,
    Node,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._packages import (
    Run,
    check_checksum,
    parse_specs,
    unmet,
)

_BLOCK = 1024 * 1024


def read_text(path: str) -> t.Optional[str]:
    """A file's text; None when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CheckpointError("%s cannot be read: %s" % (path, exc)) from exc


def write_text(path: str, text: str, mode: int) -> bool:
    """Write a file whole, making its directory."""
    try:
        # Directories that hold what only root may know are 0700 as the ledger's.
        os.makedirs(os.path.dirname(path), mode=0o700 if mode == 0o600 else 0o755, exist_ok=True)
        write_atomic(path, text.encode(), mode)
    except OSError as exc:
        raise CheckpointError("%s cannot be written: %s" % (path, exc)) from exc
    return True


def digest(path: str) -> t.Optional[str]:
    """A file's digest as C(sha256:…); None when it is not there."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                found.update(block)
    except OSError:
        return None
    return "sha256:" + found.hexdigest()


def download(url: str, path: str, checksum: str) -> str:
    """Fetch a URL into a file under another name first; the digest is compared before it gets its own."""
    partial = path + ".part"
    found = hashlib.sha256()
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open_url(url, timeout=60, http_agent="ansible-container-checkpoint") as answer, open(
            partial, "wb"
        ) as stream:
            while block := answer.read(_BLOCK):
                found.update(block)
                stream.write(block)
        if checksum and "sha256:" + found.hexdigest() != check_checksum(checksum):
            raise CheckpointError(
                "%s has the digest sha256:%s, not %s: it is not what was meant, and was thrown away"
                % (url, found.hexdigest(), checksum)
            )
        os.chmod(partial, 0o644)
        os.rename(partial, path)
    except CheckpointError:
        remove_if_there(partial)
        raise
    except Exception as exc:  # urllib, ssl and the file system each have their own
        remove_if_there(partial)
        raise TransportError("%s cannot be fetched: %s" % (url, exc)) from exc
    return path


def choose_family(find: t.Callable[[str], t.Optional[str]], run: Run, holding: t.Sequence[str]) -> Family:
    """The package tools of this node; one of the RHEL family may have apt's as well.

    holding: repositories of ours with excludes.
    """
    if find("apt-get") and find("dpkg-query") and not os.path.exists("/etc/redhat-release"):
        return Family(apt.Apt(run), apt.SOURCES, apt.KEYRING, apt.render_repository, True)
    if find("dnf"):
        return Family(dnf.Dnf(run, read_text, holding), dnf.SOURCES, dnf.KEYRING, dnf.render_repository, False)
    raise RuntimeToolError(
        "this node has neither apt-get nor dnf: this collection installs packages with these two only"
    )


def main() -> None:
    """Write repositories, install or remove, answer."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "query", "absent"]},
            "packages": {"type": "list", "elements": "str", "default": []},
            "file": {"type": "str"},
            "file_checksum": {"type": "str"},
            "release": {"type": "str", "default": ""},
            "hold": {"type": "bool", "default": False},
            "cache_valid_seconds": {"type": "int", "default": 86400},
            "repositories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "uris": {"type": "list", "elements": "str", "required": True},
                    "suites": {"type": "list", "elements": "str", "default": ["/"]},
                    "components": {"type": "list", "elements": "str", "default": []},
                    "signed_by": {"type": "str"},
                    "key_url": {"type": "str", "no_log": False},
                    "key_checksum": {"type": "str", "no_log": False},
                    "trusted": {"type": "bool", "default": False},
                    "archived": {"type": "bool", "default": False},
                },
            },
        },
        supports_check_mode=True,
    )
    params = module.params

    def run(argv: t.Sequence[str]) -> t.Tuple[int, str, str]:
        environment = {"LC_ALL": "C", "LANG": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return module.run_command(list(argv), environ_update=environment, handle_exceptions=True)

    partial: t.Dict[str, t.Any] = {}
    try:
        specs = parse_specs(params["packages"])
        names = [spec.name for spec in specs]
        repositories = params["repositories"]
        family = choose_family(module.get_bin_path, run, [one["name"] for one in repositories if params["hold"]])
        if params["hold"] and not family.marks:
            if not repositories:
                raise InputError("hold needs repositories with dnf: packages are excluded in their files")
            repositories = [{**one, "exclude": names} for one in repositories]
        node = Node(read_text, write_text, remove_if_there, download, digest)
        keeper = Keeper(params["name"], family, node, module.check_mode)
        if params["state"] == "absent":
            removed, kept = keeper.take_away()
            module.exit_json(changed=keeper.changed, removed=removed, kept=kept)
        partial["repositories_changed"] = keeper.repositories(repositories)
        lacking = unmet(family.manager, specs, family.manager.installed())
        if not module.check_mode and (partial["repositories_changed"] or lacking):
            try:
                family.manager.refresh(params["cache_valid_seconds"], partial["repositories_changed"])
            except CheckpointError:
                keeper.undo_repositories()
                raise
        if params["state"] == "query":
            candidates = keeper.candidates(names, params["release"])
            module.exit_json(changed=keeper.changed, candidates=candidates, pending=keeper.pending, **partial)
        path = keeper.package_file(params["file"] or "", params["file_checksum"] or "")
        added = keeper.install(params["packages"], path, params["release"])
        held = keeper.hold(names) if params["hold"] else []
        module.exit_json(changed=keeper.changed, added=added, held=held, pending=keeper.pending, **partial)
    except CheckpointError as exc:
        fail(module, exc, **partial)


if __name__ == "__main__":
    main()
