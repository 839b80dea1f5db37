# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_package_ledger: the order of steps, check mode, what is remembered, what is taken away again."""

from __future__ import annotations

import json

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages as packages
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages_apt as apt
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._package_ledger import (
    Family,
    Keeper,
    Node,
)

PATH = "/var/lib/container-checkpoint/roles/criu.json"
SUM = "sha256:" + "a" * 64


class World:
    """A node with packages and files, and a package manager that does what it is told."""

    def __init__(self, there=("tar",), fails=False):
        self.packages = {name: packages.Installed("1") for name in there}
        self.files = {}
        self.digests = {}
        self.steps = []
        self.fails = fails

    def installed(self):
        return dict(self.packages)

    def candidate(self, name, release):
        return "2"

    def versions(self, name):
        return ["2", "1"]

    def hold(self, names):
        return self._mark(names, True)

    def unhold(self, names):
        self._mark(names, False)

    def _mark(self, names, held):
        found = [name for name in names if self.packages[name].held is not held]
        self.steps += [("hold" if held else "unhold", found)] if found else []
        for name in found:
            self.packages[name] = packages.Installed(self.packages[name].version, held)
        return found

    def file_spec(self, path):
        return packages.Spec("criu", "9")

    def version_matches(self, installed, wanted):
        return installed == wanted

    def install(self, specs, path, release):
        self.steps.append(("install", [spec.name for spec in specs], path))
        self.packages["libnet1"] = packages.Installed("1")
        if self.fails:
            raise CheckpointError("the network went away")
        for spec in specs:
            self.packages[spec.name] = packages.Installed(spec.version or "2")

    def would_add(self, specs, path, release):
        return [spec.name for spec in specs] + ["libnet1"]

    def removable(self, names):
        return [name for name in names if name != "iptables"]

    def remove(self, names):
        for name in names:
            del self.packages[name]

    def write(self, path, text, mode):
        self.steps.append(("write", path))
        self.files[path] = text
        return True

    def download(self, url, path, checksum):
        self.steps.append(("download", url))
        self.files[path] = "fetched"
        self.digests[path] = checksum
        return path

    def keeper(self, check=False):
        family = Family(self, apt.SOURCES, apt.KEYRING, apt.render_repository, True)
        node = Node(
            self.files.get,
            self.write,
            lambda path: self.files.pop(path, None) is not None,
            self.download,
            self.digests.get,
        )
        return Keeper("criu", family, node, check)


def test_installs_once_and_remembers_dependencies():
    world = World()
    keeper = world.keeper()
    assert keeper.install(["criu", "tar"], None, "") == ["criu", "libnet1"] and keeper.changed
    assert json.loads(world.files[PATH]) == {"packages": ["criu", "libnet1"], "files": []}
    again = world.keeper()
    assert again.install(["criu", "tar"], None, "") == [] and not again.changed
    assert [step for step in world.steps if step[0] == "install"] == [("install", ["criu"], None)]


def test_half_an_installation_is_remembered_too():
    world = World(fails=True)
    with pytest.raises(CheckpointError):
        world.keeper().install(["criu"], None, "")
    assert json.loads(world.files[PATH])["packages"] == ["libnet1"]


def test_check_mode_predicts_and_does_nothing():
    world = World()
    keeper = world.keeper(check=True)
    assert keeper.install(["criu"], None, "") == ["criu", "libnet1"] and keeper.changed
    assert not world.steps and not world.files


def test_check_mode_with_a_repository_that_is_not_there_yet():
    world = World()
    keeper = world.keeper(check=True)
    assert keeper.repositories([{"name": "crio", "uris": ["https://a/"], "key_url": "https://a/key"}])
    assert keeper.pending and keeper.install(["cri-o"], None, "") == ["cri-o"]
    assert not world.steps and not world.files


def test_repositories_are_written_once_with_their_key_and_go_again():
    world = World()
    entry = {"name": "crio", "uris": ["https://a/"], "key_url": "https://a/key"}
    assert world.keeper().repositories([entry])
    assert "Signed-By: /etc/apt/keyrings/crio.asc" in world.files["/etc/apt/sources.list.d/crio.sources"]
    again = world.keeper()
    assert not again.repositories([entry]) and not again.changed
    # Another address is written over our own file; the key is not fetched again.
    assert world.keeper().repositories([dict(entry, uris=["https://b/"])])
    assert [step for step in world.steps if step[0] == "download"] == [("download", "https://a/key")]
    world.keeper().take_away()
    assert world.files == {}


def test_a_repository_of_somebody_else_is_not_overwritten():
    world = World()
    world.files["/etc/apt/sources.list.d/crio.sources"] = "Types: deb\n"
    with pytest.raises(CheckpointError, match="somebody else's"):
        world.keeper().repositories([{"name": "crio", "uris": ["https://a/"]}])
    assert world.files["/etc/apt/sources.list.d/crio.sources"] == "Types: deb\n"


@pytest.mark.parametrize(
    "entry", [{"signed_by": "nonsense"}, {"signed_by": "/a", "key_url": "https://a"}, {"name": "../../x"}]
)
def test_repositories_that_cannot_be_meant(entry):
    with pytest.raises(InputError):
        World().keeper().repositories([{"name": "crio", "uris": ["https://a/"], **entry}])


def test_a_key_in_the_variable_becomes_a_file():
    world = World()
    world.keeper().repositories([{"name": "crio", "uris": ["https://a/"], "signed_by": "-----BEGIN\nx\n-----END\n"}])
    assert world.files["/etc/apt/keyrings/crio.asc"] == "-----BEGIN\nx\n-----END\n"


def test_a_package_file_is_fetched_once_and_must_be_the_right_one():
    world = World()
    with pytest.raises(InputError, match="has no checksum"):
        world.keeper().package_file("https://a/criu.deb", "")
    path = world.keeper().package_file("https://a/criu.deb?x=1", SUM)
    assert path == "/var/cache/container-checkpoint/criu.deb"
    assert world.keeper().package_file("https://a/criu.deb?x=1", SUM) == path
    assert len(world.steps) == 1
    world.digests["/root/criu.deb"] = "sha256:" + "b" * 64
    with pytest.raises(CheckpointError, match="has the digest sha256:bbb"):
        world.keeper().package_file("/root/criu.deb", SUM)
    with pytest.raises(CheckpointError, match="is missing"):
        world.keeper().package_file("/root/none.deb", "")


def test_a_package_file_replaces_the_package_of_its_name():
    world = World()
    world.keeper().install(["criu", "iptables"], "/root/criu.deb", "")
    assert world.steps[0] == ("install", ["iptables"], "/root/criu.deb")
    world.packages["criu"] = packages.Installed("9")
    keeper = world.keeper()
    assert keeper.install(["iptables"], "/root/criu.deb", "") == [] and not keeper.changed


def test_taking_away_leaves_what_others_need_and_what_was_there_before():
    world = World()
    world.keeper().install(["criu", "iptables"], None, "")
    dry = world.keeper(check=True)
    assert dry.take_away() == (["criu", "libnet1"], ["iptables"]) and dry.changed and "criu" in world.packages
    assert world.keeper().take_away() == (["criu", "libnet1"], ["iptables"])
    assert set(world.packages) == {"tar", "iptables"} and PATH not in world.files
    again = world.keeper()
    assert again.take_away() == ([], []) and not again.changed


def test_what_is_there_and_what_would_be():
    assert World().keeper().candidates(["tar", "criu"]) == {
        "tar": {"installed": "1", "candidate": "2", "versions": ["2", "1"]},
        "criu": {"installed": None, "candidate": "2", "versions": ["2", "1"]},
    }


def test_what_is_held_by_us_is_changed_and_held_again_and_given_free():
    world = World()
    keeper = world.keeper()
    keeper.install(["criu=1"], None, "")
    assert keeper.hold(["criu"]) == ["criu"] and world.packages["criu"].held
    assert json.loads(world.files[PATH])["held"] == ["criu"]
    again = world.keeper()
    assert again.install(["criu=1"], None, "") == [] and again.hold(["criu"]) == [] and not again.changed
    world.steps.clear()
    world.keeper().install(["criu=2"], None, "")
    assert [step[0] for step in world.steps] == ["unhold", "install", "hold"]
    assert world.packages["criu"] == packages.Installed("2", True)
    assert world.keeper().take_away() == (["criu", "libnet1"], [])


def test_a_change_that_fails_leaves_our_hold():
    world = World()
    keeper = world.keeper()
    keeper.install(["criu=1"], None, "")
    keeper.hold(["criu"])
    world.fails = True
    with pytest.raises(CheckpointError, match="the network went away"):
        world.keeper().install(["criu=2"], None, "")
    assert world.packages["criu"] == packages.Installed("1", True)


def test_the_hold_of_somebody_else_is_neither_lifted_nor_ours():
    world = World(there=())
    world.keeper().install(["criu=1"], None, "")
    world.packages["criu"] = packages.Installed("1", True)
    keeper = world.keeper()
    assert keeper.hold(["criu"]) == [] and "held" not in json.loads(world.files[PATH])
    with pytest.raises(CheckpointError, match="held by somebody else.*criu is 1, wanted is 2"):
        world.keeper().install(["criu=2"], None, "")
    assert world.keeper().take_away() == (["libnet1"], ["criu"]) and world.packages["criu"].held


def test_check_mode_predicts_holds():
    world = World()
    dry = world.keeper(check=True)
    assert dry.hold(["tar", "criu"]) == ["tar"] and dry.changed and not world.steps


def test_repositories_that_cannot_be_read_are_put_back():
    world = World()
    path = "/etc/apt/sources.list.d/crio.sources"
    good, bad = ({"name": "crio", "uris": ["https://%s/" % name]} for name in ("good", "bad"))
    keeper = world.keeper()
    keeper.repositories([bad])
    keeper.undo_repositories()
    assert path not in world.files
    world.keeper().repositories([good])
    before = world.files[path]
    keeper = world.keeper()
    keeper.repositories([bad])
    assert world.files[path] != before
    keeper.undo_repositories()
    assert world.files[path] == before
