# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of the lab's pure parts: parsing, naming, rendering. No root, no effect on the machine."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lablib import aptconf, cgroups, host, images, inventory, launcher, network, nodefiles, parts, pki, registry, rootfs, shell, state  # noqa: E402
from lablib.errors import LabError  # noqa: E402
from lablib.host import Host, Mount  # noqa: E402

V1 = (Mount("/sys/fs/cgroup/cpu", "cpu"), Mount("/sys/fs/cgroup/systemd", "none,name=systemd"))
RESTRICTED = Host(False, "/sys/fs/cgroup/unified", False, V1, False)
ORDINARY = Host(True, "/sys/fs/cgroup", True, (), True)


@pytest.fixture(name="lab")
def lab_fixture():
    return state.make_lab("unit", 7, 2, "forky", True)


@pytest.fixture(autouse=True)
def own_directories(monkeypatch, tmp_path):
    monkeypatch.setattr(state, "BASE", str(tmp_path / "run"))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))


# apt

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://vendor.example/apt bookworm main
deb http://mirror.example/debian/ bookworm main contrib
deb-src http://source.example/debian bookworm main
"""
DEB822 = """Types: deb deb-src
# a comment
URIs: http://a.example/debian
 http://b.example/debian
Suites: trixie trixie-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
"""


def test_one_line_sources_and_the_likeliest_mirror():
    sources = aptconf.parse_one_line(ONE_LINE)
    assert [source.uri for source in sources] == ["http://vendor.example/apt", "http://mirror.example/debian/"]
    assert aptconf.debian_mirror(sources, "bookworm") == "http://mirror.example/debian"
    assert aptconf.debian_mirror(sources, "trixie") is None


def test_deb822_sources_with_continuation_comment_and_disabled_stanza():
    sources = aptconf.parse_deb822(DEB822)
    assert [source.uri for source in sources] == ["http://a.example/debian", "http://b.example/debian"]
    assert sources[0].suites == ("trixie", "trixie-updates")


def test_a_vendor_suite_is_no_debian_mirror():
    sources = aptconf.parse_one_line("deb http://apt.example/x bookworm-pgdg main\ndeb http://d.example/y bookworm stable")
    assert aptconf.debian_mirror(sources, "bookworm") is None


def test_acquire_settings_keep_proxies_and_leave_the_rest():
    dump = (
        'Acquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::https::CaInfo "/etc/ca.pem";\nAcquire::Check-Valid-Until "false";\nAcquire::Languages:: "none";\n'
        'Acquire::IndexTargets::deb::Packages::flatMetaKey "Packages";\nDir::Cache "x";\n'
    )
    kept = aptconf.acquire_settings(dump, {"https_proxy": "http://env.example:1"})
    assert kept == [
        'Acquire::http::Proxy "http://proxy.example:3142";',
        'Acquire::https::CaInfo "/etc/ca.pem";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages:: "none";',
        'Acquire::https::Proxy "http://env.example:1";',
    ]
    assert len(aptconf.acquire_settings(dump, {"http_proxy": "http://env.example:1"})) == 4


def test_mirror_of_debootstrap_itself():
    assert rootfs.default_mirror('x\nDEF_MIRROR="http://m.example/debian"\n') == "http://m.example/debian"
    assert rootfs.default_mirror("nothing") is None
    with pytest.raises(LabError, match="one of forky"):
        rootfs.ensure("woody", aptconf.HostApt("http://m.example", ()), print)


# the machine

MOUNTINFO = """24 1 254:0 / / rw - ext4 /dev/vda rw
30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
"""


def test_cgroup_mounts_of_a_hybrid_machine():
    unified, version1 = host.parse_cgroup_mounts(MOUNTINFO)
    assert unified == "/sys/fs/cgroup/unified"
    assert version1 == (Mount("/sys/fs/cgroup/cpu", "cpu,cpuacct"), Mount("/sys/fs/cgroup/systemd", "none,name=systemd"))


@pytest.mark.parametrize(("mask", "wanted"), [("000001fffeffffff", False), ("000001ffffffffff", True)])
def test_capability(mask, wanted):
    assert host.has_capability(f"Name: x\nCapEff:\t{mask}\n", 24) is wanted


def test_not_root_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="sudo"):
        host.require()


def test_missing_programs_are_named_by_package(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host.shutil, "which", lambda name, path=None: None if name == "systemd-nspawn" else f"/bin/{name}")
    monkeypatch.setattr(host.os.path, "exists", lambda path: True)
    with pytest.raises(LabError, match="apt-get install systemd-container"):
        host.require()


# names, numbers, locks


@pytest.mark.parametrize("name", ["", "A", "1a", "a/b", "a.b", "x" * 22, "..", "-a"])
def test_names_that_are_refused(name):
    with pytest.raises(LabError, match="not a name"):
        state.make_lab(name, 0, 1, "forky", True)


def test_too_many_nodes():
    with pytest.raises(LabError, match="between 1 and 9"):
        state.make_lab("a", 0, 10, "forky", True)


def test_description_survives_the_disk(lab):
    assert state.from_json(state.to_json(lab)) == lab
    state.save(lab)
    assert state.load("unit") == lab
    assert state.all_labs() == [lab]
    assert state.load("other") is None


def test_numbers_avoid_other_labs_and_networks_of_the_machine():
    assert state.free_number([], []) == 0
    assert state.free_number([0, 1], ["10.99.2.0/24", "10.103.3.7"]) == 4
    with pytest.raises(LabError, match="no free network"):
        state.free_number([], ["10.0.0.0/8"])


def test_interface_names_fit_the_kernel():
    assert len(state.make_lab("a", 255, 9, "forky", True).bridge) <= 15


def test_lock_refuses_a_second_command_and_names_the_first():
    with state.lock("unit"):
        script = f"import sys; sys.path.insert(0, {HERE!r}); from lablib import state; state.BASE = {state.BASE!r}\nwith state.lock('unit'): pass"
        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert f"process {os.getpid()}" in second.stderr and second.returncode != 0
    assert not os.path.exists(state.BASE), "the lock leaves nothing"
    with state.lock("unit"):
        pass


def test_lock_of_a_dead_process_does_not_hold():
    os.makedirs(state.BASE)
    with open(f"{state.BASE}/unit.lock", "w", encoding="ascii") as stream:
        stream.write("1")
    with state.lock("unit"), open(f"{state.BASE}/unit.lock", encoding="ascii") as stream:
        assert stream.read() == str(os.getpid())
        with open(f"{state.BASE}/unit.lock", encoding="ascii") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


# network


def test_only_own_rules_are_found_among_foreign_ones(lab):
    listing = (
        "-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT\n-A FORWARD -i cclab70 -m comment --comment cclab70 -j ACCEPT\n"
        '-A INPUT -i cclab7 -m comment --comment cclab7 -j ACCEPT\n-A INPUT -m comment --comment "a b" -j DROP\n'
    )
    assert network.tagged_rules(listing, lab.bridge) == ["INPUT -i cclab7 -m comment --comment cclab7 -j ACCEPT".split()]


@pytest.mark.parametrize(
    ("listing", "wanted"),
    [
        ("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT DROP\n-N X\n-A X -j DROP\n", False),
        ("-P INPUT ACCEPT\n-P FORWARD DROP\n", True),
        ("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-A FORWARD -j DOCKER-USER\n", True),
        ("", False),
    ],
)
def test_whether_a_foreign_filter_may_drop(listing, wanted):
    assert network.filters(listing) is wanted


def test_networks_of_the_machine():
    routes = [{"dst": "default"}, {"dst": "10.1.2.0/24", "dev": "eth0"}, {"dst": "10.3.4.5", "dev": "tun0"}, {"dst": "10.99.0.0/24", "dev": "cclab0"}]
    assert network.host_networks(json.dumps(routes)) == ["10.1.2.0/24", "10.3.4.5/32"]


def test_loopback_nameservers_are_of_no_use_to_a_node():
    assert network.nameservers("nameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch x\n") == ["192.0.2.1"]


# a node's files


def node_files(lab, cgroup1):
    return nodefiles.files(
        lab,
        lab.nodes[0],
        mtu=1400,
        resolv_conf="nameserver 192.0.2.1\n",
        apt_settings=["x;"],
        public_key="ssh-ed25519 A\n",
        host_key=("private", "public"),
        machine_id="0" * 32,
        cgroup1=cgroup1,
    )


def test_names_resolve_on_nodes(lab):
    text = node_files(lab, ())["/etc/hosts"].content
    assert "10.99.7.11 node1\n" in text and "10.99.7.12 node2\n" in text
    assert "10.99.7.1 checkpoints.lab base.lab" in text


def test_routes_to_the_other_nodes_pods_only(lab):
    script = node_files(lab, ())["/usr/local/sbin/lab-network"].content
    assert "10.102.7.0/24 via 10.99.7.12" in script and "10.101.7.0/24" not in script


def test_version_1_view_only_where_the_machine_needs_it(lab):
    needed = node_files(lab, V1)
    assert "mount -t cgroup -o none,name=systemd cgroup /run/cgv1/systemd" in needed["/usr/local/sbin/lab-cgroup1"].content
    assert "BindPaths=/run/cgv1:/sys/fs/cgroup" in needed["/etc/systemd/system/containerd.service.d/lab-cgroup1.conf"].content
    assert not [path for path in node_files(lab, ()) if "cgroup1" in path]
    assert "lab-cgroup1.service" not in json.dumps(nodefiles.links(()))


def test_secrets_of_a_node_are_for_root_only(lab):
    found = node_files(lab, ())
    assert found["/etc/ssh/ssh_host_ed25519_key"].mode == 0o600 and found["/root/.ssh/authorized_keys"].mode == 0o600


def test_command_line_of_a_boot():
    node = {
        "name": "node1", "machine": "m", "root": "/r", "bridge": "br", "binds": [["/a", "/b"]], "binds_ro": [["/c", "/c"]],
    }  # fmt: skip
    argv = launcher.nspawn_argv(node, fuse=True)
    assert {"--bind=/a:/b", "--bind-ro=/c:/c", "--bind=/dev/fuse", "--keep-unit", "--register=no"} <= set(argv)
    assert "--bind=/dev/fuse" not in launcher.nspawn_argv(node, fuse=False)
    assert launcher.unified_path("4:memory:/x\n0::/system.slice/a.service\n") == "system.slice/a.service"


def test_running_finds_exact_arguments_only():
    table = {1: ["x", "/run/a/node.json"], 2: ["x", "/run/a/node.json.old"], 3: ["grep /run/a/node.json"]}
    assert parts.running("/run/a/node.json", table) == [1]


def test_the_last_lab_takes_the_common_cgroup_with_it(tmp_path):
    for name in ("a/node1/x/y", "a/node2", "b/node1"):
        (tmp_path / "all" / name).mkdir(parents=True)
    cgroups.remove([f"{tmp_path}/all/a/node1", f"{tmp_path}/all/a/node2"])
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["b"]
    cgroups.remove([f"{tmp_path}/all/b/node1"])
    assert not (tmp_path / "all").exists() and tmp_path.exists()


# inventory, registry, keys


def test_inventory_follows_what_the_machine_lacks(lab):
    restricted, ordinary = (inventory.build(machine, lab)["all"] for machine in (RESTRICTED, ORDINARY))
    assert restricted["vars"]["container_runtime_restrict_oom_score_adj"] is True
    assert restricted["vars"]["container_runtime_systemd_cgroup"] is False
    assert ordinary["vars"]["container_runtime_restrict_oom_score_adj"] is False
    assert ordinary["vars"]["container_runtime_systemd_cgroup"] is True
    assert sorted(ordinary["children"]["kube_node"]["hosts"]) == ["node1", "node2"]


def test_no_registry_variables_without_a_cluster(lab):
    assert "lab_registry_ca" not in inventory.build(ORDINARY, lab._replace(cluster=False))["all"]["vars"]


def test_inventory_holds_no_password(lab):
    assert "lookup(" in json.dumps(inventory.build(ORDINARY, lab)["all"]["vars"]["container_runtime_registries"])


def test_only_the_checkpoint_registry_asks_for_a_password(lab):
    assert "auth" in registry.configuration(lab, "checkpoints", "s") and "auth" not in registry.configuration(lab, "base", "s")
    assert json.loads(registry.auth_file("p"))["auths"] == {"checkpoints.lab:5000": {"auth": "bGFiOnA="}}


def test_a_taken_port_is_explained(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setitem(registry.PORTS, "base", taken.getsockname()[1])
        with pytest.raises(LabError, match=f"port {taken.getsockname()[1]} is taken"):
            registry.refuse_taken_port("127.0.0.1", "base")
    registry.refuse_taken_port("127.0.0.1", "base")


def test_password_hash_is_bcrypt_and_salted():
    first, second = pki.htpasswd_line("lab", "x"), pki.htpasswd_line("lab", "x")
    assert first.startswith("lab:$2b$05$") and len(first) == len("lab:") + 60 + 1 and first != second


# images


def test_layer_is_the_same_for_the_same_files_and_owns_its_parents():
    def layer(order):
        tree = images.Tree()
        for name in order:
            tree.file(name, name.encode(), 0o755)
        return tree.tar()

    assert layer(["opt/a/x", "opt/b"]) == layer(["opt/b", "opt/a/x"])
    with tarfile.open(fileobj=io.BytesIO(layer(["opt/a/x"]))) as archive:
        names = archive.getnames()
        assert {member.mtime for member in archive} == {0}
    assert names.index("opt") < names.index("opt/a") < names.index("opt/a/x")


def test_links_are_followed_inside_the_root_only(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/real").write_text("x")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/lib/so").symlink_to("/lib/real")
    (tmp_path / "loop").symlink_to("loop")
    assert images.resolve(str(tmp_path), "/lib/so") == "/usr/lib/real"
    assert images.resolve(str(tmp_path), "/../../lib/so") == "/usr/lib/real"
    with pytest.raises(LabError, match="too many links"):
        images.resolve(str(tmp_path), "/loop")


def test_image_describes_its_own_bytes():
    image = images.assemble("a", "1", b"layer", {"Cmd": ["x"]}, "x86_64")
    manifest = json.loads(image.manifest)
    for described in [manifest["config"], *manifest["layers"]]:
        assert images.digest(image.blobs[described["digest"]]) == described["digest"]
        assert len(image.blobs[described["digest"]]) == described["size"]
    config = json.loads(image.blobs[manifest["config"]["digest"]])
    assert config["rootfs"]["diff_ids"] == [images.digest(b"layer")] and config["architecture"] == "amd64"


# files


def test_a_broken_build_leaves_nothing_and_a_killed_one_is_swept(tmp_path):
    with pytest.raises(RuntimeError), shell.fresh_directory(str(tmp_path / "final")):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    (tmp_path / ".new-final-999999999").mkdir()
    (tmp_path / f".new-final-{os.getpid()}").mkdir()
    shell.sweep(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [f".new-final-{os.getpid()}"]


def test_write_file_sets_the_mode_and_replaces(tmp_path):
    path = str(tmp_path / "d/f")
    shell.write_file(path, "one")
    shell.write_file(path, "two", 0o600)
    assert shell.read_text(path) == "two" and os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "d") == ["f"]


def test_failure_of_a_program_quotes_its_last_words():
    with pytest.raises(LabError, match="exit code 3: it broke"):
        shell.run(["sh", "-c", "echo it broke >&2; exit 3"])
    with pytest.raises(LabError, match="not installed"):
        shell.run(["no-such-program-here"])


# command line

STATUS = """
import sys
sys.path.insert(0, sys.argv[1])
from lablib import cli
cli.host.require = cli._existing = lambda *_args, **_kwargs: None
cli.lab.status = lambda _lab: {"up": True, "nodes": ["node"] * int(sys.argv[2])}
sys.exit(cli.main(["status"]))
"""


@pytest.mark.parametrize("argv", [["-c", STATUS, HERE, "1"], ["-c", STATUS, HERE, "100000"], [os.path.join(HERE, "lablib", "__main__.py"), "--help"]])
def test_the_command_ends_quietly_when_nobody_reads_on(argv):
    read, write = os.pipe()
    os.close(read)
    # Unbuffered, argparse itself swallows the error.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        done = subprocess.run([sys.executable, "-B", *argv], stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")
