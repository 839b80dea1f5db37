# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles criu and container_runtime left on a node, and that a process survives a checkpoint there."""

from __future__ import annotations

import json
import tomllib

import pytest

RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"


@pytest.fixture(scope="module")
def effective(host):
    """containerd's configuration as it is in effect."""
    return tomllib.loads(host.check_output("containerd config dump"))


def test_criu_passes_its_own_check(host):
    result = host.run("criu check")
    assert result.rc == 0, result.stdout + result.stderr


def test_criu_lines_are_there_and_those_of_others_too(host):
    lines = host.file("/etc/criu/runc.conf").content_string.splitlines()
    assert lines[:2] == ["# written by hand", "allow-uprobes"]
    assert lines[2].startswith("# BEGIN") and lines[-1].startswith("# END")
    assert {"tcp-close", "file-locks", "skip-in-flight", "ghost-limit 64M", "enable-external-masters"} == set(lines[3:-1])


def test_service_runs_and_starts_at_boot(host):
    service = host.service("containerd")
    assert service.is_running
    assert service.is_enabled
    assert host.file("/run/containerd/containerd.sock").is_socket


def test_settings_are_in_effect(effective):
    runtime = effective["plugins"][RUNTIME]
    assert runtime["enable_unprivileged_ports"] is False
    assert runtime["containerd"]["runtimes"]["runc"]["runtime_type"] == "io.containerd.runc.v2"
    images = effective["plugins"][IMAGES]
    assert images["pinned_images"]["sandbox"] == "registry.example.com/pause:3.10"
    assert images["registry"]["config_path"] == "/etc/containerd/certs.d"


def test_cgroup_driver_is_the_one_asked_for(host, effective):
    wanted = host.ansible.get_variables()["container_runtime_systemd_cgroup"]
    assert effective["plugins"][RUNTIME]["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is wanted


def test_foreign_configuration_is_still_in_effect(host, effective):
    if host.ansible.get_variables()["inventory_hostname"] == "node1":
        # Debian's own file, in version 2, names one directory of CNI plugins; its containerd would take two without it.
        assert effective["plugins"][RUNTIME]["cni"]["bin_dirs"] == ["/usr/lib/cni"]
    else:
        assert effective["plugins"][RUNTIME]["max_container_log_line_size"] == 12345
        assert effective["plugins"][IMAGES]["snapshotter"] == "native"
        assert effective["plugins"]["io.containerd.internal.v1.opt"]["path"] == "/var/lib/containerd/opt-by-hand"


def test_the_drop_in_is_of_the_version_of_the_main_file(host):
    """containerd before 2.4 reads what it merged as the version of the last file: another one, and it forgets the main file's."""
    texts = [host.file("/etc/containerd/" + name).content_string for name in ("config.toml", "conf.d/50-container-checkpoint.toml")]
    assert [tomllib.loads(text)["version"] for text in texts] == [2, 2]


def test_cri_plugin_is_up(host):
    lines = [line.split() for line in host.check_output("ctr plugins ls").splitlines()]
    state = {(words[0], words[1]): words[-1] for words in lines if len(words) >= 3}
    assert state["io.containerd.grpc.v1", "cri"] == "ok"
    assert state["io.containerd.cri.v1", "runtime"] == "ok"


def test_registry_file_holds_the_login_and_only_root_reads_it(host):
    file = host.file("/etc/containerd/certs.d/registry.example.com:5000/hosts.toml")
    assert (file.user, file.mode) == ("root", 0o600)
    entry = tomllib.loads(file.content_string)["host"]["https://registry.example.com:5000"]
    assert entry["ca"] == "/etc/ssl/certs/ca-certificates.crt"
    assert entry["header"]["Authorization"] == "Basic cHVsbGVyOm5vdC1hLXNlY3JldA=="


def test_ledgers_name_what_was_added(host):
    added = {
        name: json.loads(host.file(f"/var/lib/container-checkpoint/roles/{name}.json").content_string)["packages"]
        for name in ("criu", "container_runtime")
    }
    assert "criu" in added["criu"]
    assert {"containerd", "runc"} <= set(added["container_runtime"])


def test_a_process_survives_a_checkpoint(host):
    """runc, CRIU and this kernel together, as containerd's service sees the node: a counter goes on where it was."""
    pid = host.check_output("systemctl show --property MainPID --value containerd")
    result = host.run("nsenter --target %s --mount sh -c %s", pid, ROUNDTRIP)
    assert result.rc == 0, result.stdout + result.stderr
    before, after_restore, later = (int(word) for word in result.stdout.split()[-3:])
    assert before > 0
    assert before <= after_restore < before + 20, "the counter did not go on from where it was"
    assert later > after_restore, "the restored process does not run"


ROUNDTRIP = r"""
set -eu
work=$(mktemp -d /root/roundtrip.XXXXXX)
id=roundtrip-$$
trap 'runc delete --force $id >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
mkdir -p "$work/bundle/rootfs/usr" "$work/bundle/rootfs/proc" "$work/bundle/rootfs/dev" "$work/bundle/rootfs/tmp"
for link in bin lib lib64 sbin; do ln -s usr/$link "$work/bundle/rootfs/$link"; done
cd "$work/bundle"
runc spec
python3 - <<'PYTHON'
import json
spec = json.load(open("config.json"))
spec["process"]["terminal"] = False
# Each count in a line of its own: a file that is written anew is empty for a moment, and the checkpoint may come in it.
spec["process"]["args"] = ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >> /tmp/count; sleep 0.1; done"]
spec["root"]["readonly"] = False
spec["process"].pop("rlimits", None)
spec["mounts"].append({"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]})
spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] not in ("cgroup", "sysfs", "mqueue")]
json.dump(spec, open("config.json", "w"))
PYTHON
runc run --detach $id </dev/null >/dev/null 2>&1
sleep 2
runc checkpoint --image-path "$work/images" --work-path "$work/dump" $id || { tail -n 20 "$work/dump/dump.log"; exit 1; }
before=$(tail -n 1 rootfs/tmp/count)
runc delete $id >/dev/null 2>&1 || true
sleep 1
runc restore --detach --image-path "$work/images" --work-path "$work/restore" $id </dev/null >/dev/null 2>&1 \
  || { tail -n 20 "$work/restore/restore.log"; exit 1; }
after=$(tail -n 1 rootfs/tmp/count)
sleep 1
echo "$before $after $(tail -n 1 rootfs/tmp/count)"
"""
