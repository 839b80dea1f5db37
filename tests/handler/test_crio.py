# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and the handler below CRI-O, which is a double here (crio_double.py); conmon, runc and CRIU are real.

With both cgroup managers. Where the machine of the lab has cgroups of version 1 and gives them to the container runtime alone, C(runtime) is
version 1 and C(machine) is version 2 without controllers; elsewhere both are the same.
"""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest
from cri_node import COUNTER, HANDLER, SLOW, STAGING, Node, copy, wait
from crio_node import CrioNode
from role import apply, run_playbook, run_role, snapshot
from staging import stage
from test_restore import source

BOTH = [("cgroupfs", "runtime"), ("systemd", "machine"), ("cgroupfs", "machine")]
CONF = "/usr/local/libexec/container-checkpoint/handler.conf"


@pytest.fixture(scope="module")
def installed(other_node: Node) -> t.Iterator[CrioNode]:
    """The double with the handler as its default runtime. The role is tested on the way, and that removal leaves nothing."""
    node, crio = other_node, CrioNode(other_node)
    there = node.run("test -e %s && echo yes; true" % CONF).strip()
    if there:
        apply(node, restore_handler_state="absent")
    crio.install()
    options = {"restore_handler_provider": "crio", "restore_handler_default_runtime": True}
    try:
        before = snapshot(node)
        if SLOW:
            checked = run_role(node, check=True, **options)
            assert checked.status == 0, checked.text[-6000:]
            assert snapshot(node) == before, "check mode changed something"
        apply(node, **options)
        assert apply(node, **options).changed == 0
        yield crio
        crio.clean()
        node.run("rm -f /etc/crio/crio.conf.d/20-manager.conf")
        crio.container(crio.pod("web"))
        refused = run_role(node, restore_handler_state="absent", **options)
        assert refused.status != 0 and "still runs containers under the runtime handler" in refused.text, refused.text[-3000:]
        crio.clean()
        apply(node, restore_handler_state="absent", **options)
        assert snapshot(node) == before
    finally:
        crio.clean()
        crio.uninstall()
        if there:
            apply(node, restore_handler_provider="containerd")


@pytest.fixture
def crio(installed: CrioNode) -> t.Iterator[CrioNode]:
    """Without containers and staged restores."""
    installed.node.run("rm -rf %s/*/*" % STAGING)
    yield installed
    installed.clean()
    installed.node.run("rm -rf /var/lib/container-checkpoint/archives")


def test_what_the_role_wrote(crio: CrioNode) -> None:
    """The runc of CRI-O's own packages, its root and its monitor, and CRI-O's engine."""
    conf = crio.node.run("cat " + CONF)
    assert "RUNC=/usr/libexec/crio/runc\n" in conf
    assert "ENGINE=cri-o\n" in conf
    shown = crio.node.run("crio config")
    entry = shown[shown.index("[crio.runtime.runtimes.%s]" % HANDLER):]
    assert 'runtime_path = "/usr/local/libexec/container-checkpoint/container-checkpoint-runc"' in entry
    assert 'monitor_path = "/usr/libexec/crio/conmon"' in entry
    assert 'runtime_root = "/run/runc"' in entry
    assert crio.node.json("/var/lib/container-checkpoint/handler-status.json")["engine"] == "cri-o"


@pytest.mark.parametrize(("manager", "view"), BOTH)
def test_the_counter_goes_on(crio: CrioNode, manager: str, view: str) -> None:
    """An archive of this CRI-O: held until started, goes on, logs, exec, the new pod's cgroup, exit code, nothing left."""
    crio.use(manager, view)
    node, pod = crio.node, crio.pod("web")
    identity = crio.container(pod)
    wait(lambda: node.counts(pod)[10:], 20, "the workload's log")
    archive = node.new_archive()
    crio("checkpoint", id=identity, out=archive)
    target = crio.pod("web-restored")
    entry = stage(node, archive, target, pod)
    made = crio.create(target)
    assert "message" not in made, made
    # CRIU's log and statistics, which name no content, are as CRIU makes them, in a directory of root's own.
    readable = node.run("find %s /run/container-checkpoint/handler -perm /077 -not -path '*/work/*'" % STAGING)
    assert readable == "", "a held container's memory is readable by others"
    time.sleep(0.3)
    assert node.counts(target) == [], "it ran before it was started"
    assert crio("start", id=made["id"]) == {"before": "created", "after": "running"}
    new = wait(lambda: node.counts(target)[5:] and node.counts(target), 20, "the restored counter's log")
    old = node.counts(pod)
    assert new[0][0] == old[0][0], "another process"
    assert old[10][1] < new[0][1] <= old[-1][1] + 1
    now = crio("state", id=made["id"])
    assert (now["status"], now["pid"]) == ("running", made["pid"])
    leaf = "crio-%s%s" % (made["id"], ".scope" if manager == "systemd" else "")
    assert leaf in now["cgroup"] and target.uid.replace("-", "_" if manager == "systemd" else "-") in now["cgroup"]
    assert crio("exec", id=made["id"], command=["python3", "-c", "print('alive')"]) == {"exit_code": 0, "output": "alive\n"}
    state, status = node.entries()[entry]
    assert (state, status["outcome"], status["source_engine"], status["pid"]) == ("done", "restored", "cri-o", made["pid"])
    assert crio("stop", id=made["id"])["exit_code"] == "137"
    crio.remove(made["id"])
    wait(lambda: not crio.leftovers(made["id"]), 30, "the node to be free of the container: " + crio.leftovers(made["id"]))
    fresh = crio.container(target, attempt=1)
    assert wait(lambda: node.counts(target, attempt=1), 20, "the fresh log")[0][1] == 1, fresh


def test_a_failed_checkpoint_is_explained_from_where_crio_leaves_its_log(crio: CrioNode, tmp_path: pathlib.Path) -> None:
    """dump.log in the container's own directory, where CRI-O has CRIU work; the playbook finds it and names the cause."""
    crio.use("cgroupfs", "runtime")
    node, pod, report = crio.node, crio.pod("mptcp"), tmp_path / "report.json"
    program = "import socket; s = socket.socket(2, 1, 262); s.bind(('127.0.0.1', 0)); s.listen()" + COUNTER
    identity = crio.container(pod, command=["/usr/bin/python3", "-c", program])
    wait(lambda: node.counts(pod)[3:], 20, "the workload's log")
    with pytest.raises(AssertionError, match="CalledProcessError"):
        crio("checkpoint", id=identity, out=node.new_archive())
    why = run_playbook(
        node, "container_checkpoint.kubernetes.diagnose", diagnose_report=str(report), diagnose_journal=False, diagnose_container_id=identity
    )
    assert why.status == 0, why.text[-3000:]
    found = json.loads(report.read_text())[0]
    assert found["findings"][0]["id"] == "mptcp" and "GODEBUG" in why.text, found
    assert [log["path"] for log in found["logs"]] == ["/var/lib/containers/storage/overlay-containers/%s/userdata/dump.log" % identity]


def test_tty(crio: CrioNode) -> None:
    """conmon's console socket."""
    crio.use("cgroupfs", "runtime")
    node, pod = crio.node, crio.pod("web")
    identity = crio.container(pod, tty=True)
    wait(lambda: node.counts(pod)[10:], 20, "the workload's log")
    archive = node.new_archive()
    crio("checkpoint", id=identity, out=archive)
    target = crio.pod("web-restored")
    stage(node, archive, target, pod)
    restored = crio.container(target, tty=True)
    assert wait(lambda: node.counts(target), 20, "the log")[0][0] == node.counts(pod)[0][0]
    assert "pts" in node.run("readlink /proc/%d/fd/0" % crio("state", id=restored)["pid"])


def test_an_archive_of_containerd(node: Node, crio: CrioNode) -> None:
    """Made by the real containerd of one node, restored below CRI-O on the other: other default capabilities are refused, then accepted."""
    crio.use("cgroupfs", "runtime")
    pod, archive = source(node)
    copy(node, crio.node, archive)
    target = crio.pod("web-restored")
    stage(crio.node, archive, target, pod, policy="fail")
    refused = crio.create(target)
    assert "container create failed: " in refused["message"] and "more privileges than the new pod grants" in refused["message"]
    assert crio.leftovers(refused["id"]) == ""
    crio.node.run("rm -rf %s/*/*" % STAGING)
    entry = stage(crio.node, archive, target, pod, accept=["capabilities", "seccomp"])
    crio.container(target, attempt=1)
    assert wait(lambda: crio.node.counts(target, attempt=1), 20, "the log")[0][0] == node.counts(pod)[0][0]
    assert crio.node.entries()[entry][1]["source_engine"] == "containerd"


# In place of the handler's Python: kills it so many seconds after a CRIU is at work.
KILLER = """#!/usr/bin/python3
import os, subprocess, sys, time

def criu():
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%%s/comm" %% name) as stream:
                if stream.read() == "criu\\n":
                    return True
        except OSError:
            pass

child = subprocess.Popen(["/usr/bin/python3", *sys.argv[1:]], close_fds=False)
if "create" in sys.argv:
    while child.poll() is None and not criu():
        pass
    time.sleep(%g)
    child.kill()
sys.exit(child.wait() and 137)
"""


@pytest.mark.parametrize("delay", [0.0, 0.16])
def test_killed_while_it_restores(crio: CrioNode, delay: float) -> None:
    """The handler dies in the middle of a create: CRI-O sees a failure, deletes, nothing is left, and the next attempt restores."""
    crio.use("cgroupfs", "runtime")
    node, pod = crio.node, crio.pod("web")
    identity = crio.container(pod)
    wait(lambda: node.counts(pod)[10:], 20, "the workload's log")
    archive = node.new_archive()
    crio("checkpoint", id=identity, out=archive)
    target = crio.pod("web-restored")
    node.run("cp -p {0} {0}.kept && sed -i 's|^PYTHON=.*|PYTHON=/run/killer|' {0}".format(CONF))
    try:
        # A restore may be over before it is killed.
        for after in (delay, delay / 2, delay / 4, delay / 8, 0):
            node.run("rm -rf %s/*/*" % STAGING)
            stage(node, archive, target, pod)
            node.put("/run/killer", KILLER % after, "0700")
            failed = crio.create(target)
            if "message" in failed:
                break
            crio.remove(failed["id"])
    finally:
        node.run("mv {0}.kept {0}; rm /run/killer".format(CONF))
    assert "message" in failed, "it was not killed"
    wait(lambda: not crio.leftovers(failed["id"]), 30, "the clean-up: " + crio.leftovers(failed["id"]))
    crio.container(target, attempt=1)
    assert wait(lambda: node.counts(target, attempt=1), 20, "the log")[0][0] == node.counts(pod)[0][0]
