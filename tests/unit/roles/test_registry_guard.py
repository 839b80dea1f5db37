# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that keeps the registry within its limits, with real files and locks; systemctl and the registry's collector are doubles."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import time

import jinja2
import pytest

TEMPLATE = pathlib.Path(__file__).resolve().parents[3] / "roles/registry/templates/guard.sh.j2"
# The collector says that it began, and ends when it is allowed to.
COLLECTOR = """#!/bin/sh
echo "$@" >%(place)s/collecting
while [ ! -e %(place)s/go ]; do sleep 0.05; done
"""

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="no flock on this machine")


class Guard:
    """A registry's storage, and the program as the role writes it."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.storage = place / "storage"
        self.storage.mkdir()
        (place / "bin").mkdir()
        self.double("systemctl", '#!/bin/sh\necho "$@" >>%s/restarts\n' % place)
        self.double("runuser", COLLECTOR % {"place": place})
        self.environment = {**os.environ, "PATH": "%s:%s" % (place / "bin", os.environ["PATH"])}

    def double(self, name: str, text: str) -> None:
        """Put a program first in the way."""
        (self.place / "bin" / name).write_text(text)
        (self.place / "bin" / name).chmod(0o755)

    def write(self, **limits: object) -> None:
        """The program with these limits."""
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
        environment.filters["quote"] = shlex.quote
        settings = {
            "__registry_header": "# header",
            # Below /run, where the template writes its state.
            "__registry_unit": "../" * 8 + str(self.place).lstrip("/") + "/unit",
            "__registry_config": "/etc/registry",
            "registry_storage_path": str(self.storage),
            "registry_user": "nobody",
            "registry_collect_untagged": False,
            "registry_max_bytes": 0,
            "registry_min_free_bytes": 0,
            **limits,
        }
        self.double("guard", environment.from_string(TEMPLATE.read_text()).render(settings) + "\n")

    def run(self, word: str) -> str:
        """Its output."""
        argv = [str(self.place / "bin/guard"), word]
        return subprocess.run(argv, env=self.environment, check=True, capture_output=True, text=True, timeout=60).stdout

    def mode(self) -> str:
        """Which configuration the registry has: config, or readonly."""
        path = self.place / "unit.mode"
        return path.read_text().strip().rpartition("/")[2] if path.exists() else "config.yml"

    def restarts(self) -> int:
        """How often the registry was restarted."""
        path = self.place / "restarts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(name="guard")
def make_guard(tmp_path):
    """Within all limits."""
    found = Guard(tmp_path)
    found.write()
    return found


def test_within_the_limits_nothing_is_restarted(guard):
    assert guard.run("check") == "" and (guard.mode(), guard.restarts()) == ("config.yml", 0)


@pytest.mark.parametrize("limit", [{"registry_max_bytes": 100000}, {"registry_min_free_bytes": 2**62}])
def test_beyond_a_limit_nothing_can_be_pushed_until_it_is_kept_again(guard, limit):
    (guard.storage / "blob").write_bytes(b"x" * 200000)
    guard.write(**limit)
    assert guard.run("check").startswith("read-only: ")
    assert guard.run("check").startswith("read-only: ")
    assert (guard.mode(), guard.restarts()) == ("readonly.yml", 1)
    (guard.storage / "blob").unlink()
    guard.write()
    assert guard.run("check") == "" and (guard.mode(), guard.restarts()) == ("config.yml", 2)


def test_nothing_can_be_pushed_while_images_are_collected(guard):
    collecting = subprocess.Popen([str(guard.place / "bin/guard"), "collect"], env=guard.environment)
    try:
        end = time.monotonic() + 60
        while not (guard.place / "collecting").exists():
            assert time.monotonic() < end and collecting.poll() is None, "it does not collect"
            time.sleep(0.05)
        # The timer does not wait for it.
        assert guard.run("check") == ""
        assert guard.mode() == "readonly.yml", "pushes are let in while layers are removed"
    finally:
        (guard.place / "go").touch()
        assert collecting.wait(timeout=60) == 0
    assert (guard.place / "collecting").read_text() == "-u nobody -- /usr/bin/docker-registry garbage-collect /etc/registry/readonly.yml\n"
    assert guard.mode() == "config.yml"
