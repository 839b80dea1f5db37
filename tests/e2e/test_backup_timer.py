# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer of the backup on a real systemd: node2 is the controller, with Debian's own ansible-core, and backs itself up."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess

import pytest
from cluster import LAB

TIMER = "container_checkpoint.kubernetes.backup_timer"
UNITS = "/etc/systemd/system/container-checkpoint-backup-e2e"
PLACE = "/srv/controller"
PARTS = (
    "container_checkpoint/kubernetes/plugins",
    "container_checkpoint/kubernetes/roles",
    "container_checkpoint/kubernetes/playbooks",
    "container_checkpoint/kubernetes/meta",
    "container_checkpoint/kubernetes/galaxy.yml",
    "kubernetes/core/plugins",
    "kubernetes/core/meta",
)


def put(cluster, path, content):
    """A file on node2 for root alone."""
    cluster.on("node2", "umask 077; mkdir -p $(dirname %s); cat > %s <<'EOF'\n%s\nEOF" % (path, path, content))


def copy_collections(cluster):
    """What the playbook needs of both collections, from wherever they are found here."""
    for root in os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":"):
        base = pathlib.Path(root) / "ansible_collections"
        there = [part for part in PARTS if (base / part).exists()]
        if not there:
            continue
        unpack = "mkdir -p {0}/ansible_collections && tar -xz -C {0}/ansible_collections".format(PLACE)
        pack = "tar -cz -C %s %s | %s ssh --name %s node2 -- %s" % (base, " ".join(there), LAB, cluster.name, shlex.quote(unpack))
        subprocess.run(["bash", "-o", "pipefail", "-c", pack], check=True, timeout=600)


@pytest.fixture(scope="module")
def controller(cluster):
    """node2 with ansible-core, the collections, an inventory and variables; and a counter there."""
    cluster.counter("tick", "node2", app="tick")
    cluster.on("node2", "rm -f /var/lib/kubelet/checkpoints/*")
    packages = "ansible-core python3-kubernetes age"
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends %s >/dev/null 2>&1" % packages
    # Longer than Cluster.on waits, on a loaded machine.
    subprocess.run([str(LAB), "ssh", "--name", cluster.name, "node2", "--", install], check=True, timeout=600)
    copy_collections(cluster)
    here = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    put(cluster, PLACE + "/inventory.yml", json.dumps({"kube_node": {"hosts": {"node2": here}}}))
    put(cluster, PLACE + "/kubeconfig", (cluster.state / "kubeconfig").read_text())
    put(cluster, PLACE + "/token", (cluster.state / "kubelet-token").read_text().strip())
    cluster.on("node2", "age-keygen -o %s/identity 2>/dev/null" % PLACE)
    yield variables(cluster)
    name = os.path.basename(UNITS)
    cluster.on("node2", "systemctl stop %s.timer %s.service; rm -rf %s %s.* /var/lib/%s; systemctl daemon-reload; true" % (name, name, PLACE, UNITS, name))
    cluster.delete("tick")


def variables(cluster):
    """The backup's variables, as they lie on node2."""
    return {
        "container_checkpoint_kubernetes": {"kubeconfig": PLACE + "/kubeconfig"},
        "checkpoint_kubelet_token_file": PLACE + "/token",
        "backup_namespace": "default",
        "backup_label_selectors": ["app=tick"],
        "backup_directory": PLACE + "/files",
        "backup_recipients": [cluster.on("node2", "age-keygen -y %s/identity" % PLACE).strip()],
        "backup_identity_file": PLACE + "/identity",
    }


def ask(cluster, **changes):
    """Run the playbook of the timer; the status that it writes, and how it ended."""
    settings = {
        "backup_timer_host": "node2",
        "backup_timer_name": "e2e",
        "backup_timer_schedule": "*:*:0/15",
        "backup_timer_delay_seconds": 0,
        "backup_timer_inventory": PLACE + "/inventory.yml",
        "backup_timer_vars_files": [PLACE + "/variables.json"],
        "backup_timer_environment": {"ANSIBLE_COLLECTIONS_PATH": PLACE},
        **changes,
    }
    return cluster.play(TIMER, **settings)


def finished(cluster, result):
    """Whether the last run of the service ended this way."""
    shown = cluster.on("node2", "systemctl show -p Result -p ExecMainExitTimestamp container-checkpoint-backup-e2e.service").split("\n")
    return "Result=" + result in shown and "ExecMainExitTimestamp=" not in shown


def test_the_timer_is_installed_runs_is_asked_and_removed(cluster, controller):
    refused = ask(cluster)
    assert refused.code != 0 and refused.says("there is no %s/variables.json; put it there first" % PLACE), refused.output[-3000:]

    put(cluster, PLACE + "/variables.json", json.dumps(controller))
    done = ask(cluster)
    assert done.code == 0, done.output[-4000:]
    one = done.report[0]
    assert (one["installed"], one["enabled"], one["active"], one["host"]) == (True, True, True, "node2")
    # While it runs, which on a slow machine it does by now, systemd knows no next time.
    assert one["next_run"] or one["running"]
    again = ask(cluster)
    assert again.code == 0 and "changed=0" in again.output.rpartition("PLAY RECAP")[2], again.output[-3000:]

    cluster.wait(lambda: finished(cluster, "success"), "the timer to have run the backup", 600)
    after = ask(cluster).report[0]
    assert after["last_result"] in ("success", "running") and after["last_run"]
    report = json.loads(cluster.on("node2", "cat /var/lib/container-checkpoint-backup-e2e/report.json"))
    assert report["failed"] is False and [entry["pod"] for entry in report["backups"] + report["fresh"]] == ["tick"]
    files = [name for name in cluster.on("node2", "ls %s/files" % PLACE).split() if name.endswith(".tar.zst.age")]
    assert len(files) == 1
    digest = cluster.on("node2", "age -d -i %s/identity '%s/files/%s' | zstd -dc | sha256sum" % (PLACE, PLACE, files[0])).split()[0]
    record = json.loads(cluster.on("node2", "cat '%s/files/%s.record.json'" % (PLACE, files[0])))
    assert record["archive"]["sha256"] == digest
    # Secrets are in files, not in what everybody can read.
    token = cluster.on("node2", "cat %s/token" % PLACE).strip()
    assert token not in cluster.on("node2", "cat %s.service; journalctl -u container-checkpoint-backup-e2e --no-pager" % UNITS)


def test_a_failed_run_is_told_and_the_timer_goes(cluster, controller):
    put(cluster, PLACE + "/variables.json", json.dumps({**controller, "backup_directory": "/proc/nowhere"}))
    cluster.wait(lambda: finished(cluster, "exit-code"), "a run to fail", 600)
    put(cluster, PLACE + "/variables.json", "{")
    told = ask(cluster)
    assert told.report[0]["last_result"] in ("failed", "running"), told.report
    if told.report[0]["last_result"] == "failed":
        assert int(told.report[0]["exit_status"]) > 0

    gone = ask(cluster, backup_timer_state="absent")
    assert gone.code == 0, gone.output[-4000:]
    assert (gone.report[0]["installed"], gone.report[0]["active"], gone.report[0]["next_run"]) == (False, False, "")
    assert cluster.on("node2", "ls /etc/systemd/system | grep container-checkpoint-backup || true") == ""
    again = ask(cluster, backup_timer_state="absent")
    assert again.code == 0 and "changed=0" in again.output.rpartition("PLAY RECAP")[2], again.output[-3000:]
