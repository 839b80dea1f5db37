# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boots real labs: needs root and what ``lab up`` needs. Labs of other names on this machine are left alone."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lablib import host, images, network, parts, state  # noqa: E402
from lablib.push import Registry  # noqa: E402

NAME, OTHER = "labtest", "labtest2"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(host.missing_packages()), reason="needs root, systemd-container and debootstrap"
)


def lab(*arguments, check=True, timeout=600):
    """Run the command line as a person would."""
    done = subprocess.run([f"{HERE}/lab", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def ssh(name, node, command, check=True):
    """Run a command on a node."""
    return lab("ssh", "--name", name, node, command, check=check, timeout=60)


def traces(name, number=None):
    """Everything on this machine that exists because of a lab: empty after its end."""
    found = glob.glob(f"{state.BASE}/{name}") + glob.glob(f"{state.BASE}/{name}.lock")
    found += glob.glob(f"{state.cache_dir()}/labs/{name}")
    for point in glob.glob("/sys/fs/cgroup") + glob.glob("/sys/fs/cgroup/*"):
        found += glob.glob(f"{point}/container-checkpoint-lab/{name}") + glob.glob(f"{point}/system.slice/cclab-{name}-*")
    found += [bridge for bridge, owner in network.leftovers().items() if owner == name]
    if number is not None:
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.split()
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
        bridge = f"cclab{number}"
        found += [table for table in tables if table == bridge]
        found += [link["ifname"] for link in links if link["ifname"] in (bridge,) or link["ifname"].startswith(f"vb-{bridge}-")]
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        found += [line for line in stream if f"/labs/{name}/" in line or f"{state.BASE}/{name}/" in line]
    for pid, argv in parts.command_lines().items():
        if any(word.startswith((f"{state.BASE}/{name}/", f"{state.cache_dir()}/labs/{name}/")) for word in argv):
            found.append(f"process {pid}: {' '.join(argv)}")
    for path in glob.glob("/proc/[0-9]*/cgroup"):
        try:
            with open(path, encoding="utf-8") as stream, open(path.replace("cgroup", "status"), encoding="utf-8") as status:
                mine = f"/container-checkpoint-lab/{name}/" in stream.read()
                if mine and "State:\tZ" not in status.read():  # a dead one waits for PID 1 of this machine
                    found.append(path)
        except OSError:
            continue
    return found


@pytest.fixture(name="two", scope="module")
def two_nodes():
    """A lab of two nodes with registries."""
    lab("clean", "--only", "--name", NAME)
    lab("up", "--name", NAME)
    yield state.load(NAME)
    lab("clean", "--only", "--name", NAME)


@pytest.fixture(name="other")
def other_lab():
    """A second name that is clean before and after."""
    lab("clean", "--only", "--name", OTHER)
    yield OTHER
    lab("clean", "--only", "--name", OTHER)


def test_nodes_run_without_a_failed_unit_and_without_what_the_roles_install(two):
    assert json.loads(lab("status", "--name", NAME).stdout)["up"] is True
    for node in two.nodes:
        assert ssh(NAME, node.name, "systemctl is-system-running --wait").stdout.strip() == "running"
        assert ssh(NAME, node.name, "hostname").stdout.strip() == node.name
        assert ssh(NAME, node.name, "command -v containerd || command -v criu", check=False).stdout == ""


def test_up_again_changes_nothing(two):
    before = ssh(NAME, "node1", "cat /proc/sys/kernel/random/boot_id /etc/machine-id").stdout
    lab("up", "--name", NAME)
    assert ssh(NAME, "node1", "cat /proc/sys/kernel/random/boot_id /etc/machine-id").stdout == before
    assert state.load(NAME) == two


def test_another_shape_under_the_same_name_is_refused(two):
    refused = lab("up", "--name", NAME, "--nodes", "1", check=False)
    assert refused.returncode == 1 and "exists with 2 nodes of forky" in refused.stderr


def test_nodes_reach_each_other_and_the_outside_route_by_name(two):
    assert "0% packet loss" in ssh(NAME, "node1", "ping -c 1 -W 5 node2").stdout
    route = ssh(NAME, "node1", "ip -4 route get 192.0.2.200").stdout
    assert f"via {two.gateway}" in route


def test_reboot_gives_a_new_boot_and_keeps_the_disk(two):
    ssh(NAME, "node2", "echo kept > /root/kept")
    before = ssh(NAME, "node2", "cat /proc/sys/kernel/random/boot_id").stdout
    lab("reboot", "--name", NAME, "node2")
    assert ssh(NAME, "node2", "cat /proc/sys/kernel/random/boot_id").stdout != before
    assert ssh(NAME, "node2", "cat /root/kept").stdout == "kept\n"


def test_base_registry_serves_nodes_with_the_systems_trust(two):
    seen = ssh(NAME, "node1", "curl -sSf https://base.lab:5001/v2/counter/tags/list").stdout
    assert json.loads(seen) == {"name": "counter", "tags": ["1"]}


def test_checkpoint_registry_wants_the_password(two):
    url = "https://checkpoints.lab:5000/v2/"
    assert ssh(NAME, "node1", f"curl -s -o /dev/null -w '%{{http_code}}' {url}").stdout == "401"
    with open(f"{two.state}/registry/password", encoding="ascii") as stream:
        password = stream.read().strip()
    image = images.assemble("probe", "1", b"x", {}, "x86_64")
    authority = f"{two.state}/ca.crt"
    assert Registry(two.gateway, 5000, "checkpoints.lab", authority, "lab", password).push(image).startswith("sha256:")
    with pytest.raises(Exception, match="401"):
        Registry(two.gateway, 5000, "checkpoints.lab", authority, "lab", "wrong").push(image)
    assert ssh(NAME, "node1", f"curl -s -o /dev/null -w '%{{http_code}}' -u lab:wrong {url}").stdout == "401"


def test_secrets_in_the_state_directory_are_for_root_only(two):
    for name in ("ssh_key", "ca.key", "auth.json", "registry/password", "registry/htpasswd", "registry/server.key"):
        assert os.stat(f"{two.state}/{name}").st_mode & 0o077 == 0, name


def test_a_second_command_on_the_same_lab_is_refused(two):
    with state.lock(NAME):
        refused = lab("down", "--name", NAME, check=False)
    assert refused.returncode == 1 and f"process {os.getpid()}" in refused.stderr


def test_a_node_whose_launcher_was_killed_is_started_again(two):
    marker = f"{two.state}/nodes/node2/node.json"
    (pid,) = parts.running(marker)
    os.kill(pid, signal.SIGKILL)
    assert json.loads(lab("status", "--name", NAME, check=False).stdout)["up"] is False
    lab("up", "--name", NAME)
    assert ssh(NAME, "node2", "hostname").stdout.strip() == "node2"
    assert parts.running(marker) not in ([], [pid])


def test_two_labs_side_by_side_and_down_leaves_nothing(two, other):
    lab("up", "--name", other, "--nodes", "1", "--no-cluster")
    second = state.load(other)
    assert second.number != two.number and second.gateway != two.gateway
    assert traces(other, second.number), "the probe must see a lab that runs"
    lab("down", "--name", other)
    assert traces(other, second.number) == []
    assert json.loads(lab("status", "--name", NAME).stdout)["up"] is True


@pytest.mark.parametrize("seconds", [0.2, 0.7, 1.5, 3.0])
def test_up_that_was_killed_leaves_nothing_after_clean(two, other, seconds):
    process = subprocess.Popen([f"{HERE}/lab", "up", "--name", other, "--nodes", "1"], stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    begun = state.load(other)
    process.kill()
    process.wait()
    lab("clean", "--only", "--name", other)
    assert traces(other, begun.number if begun else None) == []
    assert two.number != (begun.number if begun else None)


def test_clean_finds_a_lab_whose_description_was_lost(two, other):
    lab("up", "--name", other, "--nodes", "1", "--no-cluster")
    number = state.load(other).number
    os.unlink(f"{state.BASE}/{other}/lab.json")
    lab("clean", "--only", "--name", other)
    assert traces(other, number) == []


def test_frozen_processes_on_a_node_do_not_hold_up_its_end(two, other):
    """A container that was left frozen must not keep the lab from going down."""
    lab("up", "--name", other, "--nodes", "1", "--no-cluster")
    freezer = "/run/cgv1/freezer" if host.detect().cgroup1 else "/sys/fs/cgroup"
    state_file, value = ("freezer.state", "FROZEN") if host.detect().cgroup1 else ("cgroup.freeze", "1")
    ssh(other, "node1", "systemctl is-system-running --wait; systemd-run --unit=ice sleep 1000")
    freeze = f"systemctl show -P MainPID ice > {freezer}/ice/cgroup.procs && echo {value} > {freezer}/ice/{state_file}"
    ssh(other, "node1", f"mkdir {freezer}/ice && {freeze}")
    assert ssh(other, "node1", f"cat {freezer}/ice/{state_file}").stdout.strip() == value
    number = state.load(other).number
    lab("down", "--name", other)
    assert traces(other, number) == []


def test_down_leaves_nothing(two):
    lab("down", "--name", NAME)
    assert traces(NAME, two.number) == []
    assert "there is no lab" in lab("status", "--name", NAME, check=False).stderr
