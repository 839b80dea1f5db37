# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the handler's Python: command lines, bundles, mounts, settings."""
from __future__ import annotations

import importlib.util
import os
import pathlib

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RestoreError

HANDLER = pathlib.Path(__file__).resolve().parents[3] / "roles/restore_handler/files/handler"


def load(name):
    spec = importlib.util.spec_from_file_location("restore_handler_" + name, HANDLER / (name + ".py"))
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    importlib.sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


arguments, bundle, mounts, settings = (load(name) for name in ("arguments", "bundle", "mounts", "settings"))

SPEC = {
    "annotations": {
        "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-namespace": "default",
        "io.kubernetes.cri.sandbox-name": "web", "io.kubernetes.cri.sandbox-uid": "u1", "io.kubernetes.cri.container-name": "c",
        "io.kubernetes.pod.uid": "forged", "io.container.manager": "cri-o",
    },
    "root": {"path": "rootfs"},
    "mounts": [{"destination": "/etc/hosts", "type": "bind", "source": "/x"}],
    "linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}], "cgroupsPath": "/kubepods/podx/id1"},
}


def test_command_lines():
    call = arguments.parse(["--root", "/r", "--log=/l", "--log-format", "json", "--systemd-cgroup", "create", "--bundle", "/b",
                            "--pid-file=/p", "--console-socket", "/c", "--no-pivot", "id1"])
    assert call.globals == ("--root", "/r", "--log=/l", "--log-format", "json", "--systemd-cgroup")
    assert call.global_options["log"] == "/l"
    assert call.lasting_globals == ["--root=/r", "--systemd-cgroup"]
    assert call.options == {"bundle": "/b", "pid-file": "/p", "console-socket": "/c", "no-pivot": ""}
    assert (call.command, call.container_id, call.bundle) == ("create", "id1", "/b")
    assert arguments.parse(["create", "-b", "/x", "id"]).bundle == "/x"
    assert arguments.parse(["delete", "--force", "id"]).container_id == "id"
    assert arguments.parse(["start", "id"]).bundle == "."
    assert arguments.parse([]).command == ""
    assert arguments.parse(["--version"]).command == ""


def test_whose_container():
    target = bundle.target(SPEC, "containerd")
    assert target == ("default", "web", "u1", "c", "") or (target.namespace, target.pod, target.pod_uid, target.container) == ("default", "web", "u1", "c")
    # Annotations of the other engine count for nothing.
    assert bundle.target(SPEC, "cri-o") is None
    assert bundle.target({"annotations": dict(SPEC["annotations"], **{"io.kubernetes.cri.container-type": "sandbox"})}, "containerd") is None
    assert bundle.target({}, "containerd") is None


@pytest.mark.parametrize(("path", "leaf"), [
    ("/kubepods/pod1/id1", "id1"),
    ("kubepods-pod1.slice:cri-containerd:id1", "cri-containerd-id1.scope"),
    ("kubepods-pod1.slice:crio:id1", "crio-id1.scope"),
    ("", ""),
])
def test_cgroups_of_both_managers(path, leaf):
    assert bundle.cgroup_leaf({"linux": {"cgroupsPath": path}}) == leaf


def test_namespaces():
    assert bundle.namespace_path(SPEC, "pid") == ""
    assert bundle.namespace_path(SPEC, "network") == "/n"
    assert bundle.namespace_path(SPEC, "user") is None


def test_mounts(tmp_path):
    root = tmp_path / "root"
    (root / "var").mkdir(parents=True)
    os.symlink("/run", root / "var/run")
    needed = {"/etc/hosts": "/etc/hosts", "/dev/null": "/proc/x", "/sys/fs/cgroup/cpu": "/sys/fs/cgroup/cpu"}
    assert mounts.missing(needed, SPEC, str(root), False) == []
    assert mounts.missing({"/run/.containerenv": "x"}, SPEC, str(root), False) == ["/run/.containerenv"]
    linked = {"mounts": [{"destination": "/var/run/secrets/x"}]}
    assert mounts.missing({"/run/secrets/x": "x"}, linked, str(root), False) == []
    for bad, unified, text in (
        ({"/data": "/data"}, False, "had mounts that the new one has not: /data"),
        ({"/sys/fs/cgroup/cpu": "x"}, True, "cgroup version 1, this node has version 2"),
        ({"/sys/fs/cgroup": "x"}, False, "cgroup version 2, this node has version 1"),
    ):
        with pytest.raises(RestoreError, match=text):
            mounts.missing(bad, SPEC, str(root), unified)


def test_links_in_the_root_never_lead_out(tmp_path):
    os.symlink("../../../../etc", tmp_path / "up")
    os.symlink("loop", tmp_path / "loop")
    assert mounts.resolve(str(tmp_path), "/up/passwd") == "/etc/passwd"
    assert mounts.resolve(str(tmp_path), "/../../x") == "/x"
    assert mounts.resolve(str(tmp_path), "/loop/x").endswith("/x")


def test_stand_ins_do_not_touch_the_given_spec(tmp_path):
    spec = mounts.add_stand_ins(SPEC, ["/run/.containerenv", "/run/secrets"], str(tmp_path))
    assert len(SPEC["mounts"]) == 1
    assert [mount["destination"] for mount in spec["mounts"]] == ["/etc/hosts", "/run/.containerenv", "/run/secrets"]
    assert "ro" in spec["mounts"][1]["options"]
    assert (tmp_path / "stand-in-0").is_file() and (tmp_path / "stand-in-1").is_dir()


def test_settings(tmp_path):
    found = settings.parse("# x\nRUNC=/usr/sbin/runc\nENGINE=cri-o\nBIND_TIMEOUT=5\nPYTHON=/x\nBAD=$(reboot)\n")
    assert (found.runc, found.engine, found.bind_timeout) == ("/usr/sbin/runc", "cri-o", 5.0)
    assert settings.load(str(tmp_path / "none")) == settings.Settings()
