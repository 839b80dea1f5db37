# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of the lab for these workloads: makes their containers through the real CRI, checkpoints and restores them,
keeps CRIU's logs."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "handler"))

from catalog import BARE, REMAP, Workload  # noqa: E402
from cri_node import IMAGE, STATE, Node, Pod  # noqa: E402

HOME = "/var/lib/workloads"
CONF = "/etc/criu/runc.conf"
LOG = "/var/log/workloads-criu.log"
PORT = 9750
PYTHON = "PYTHON=$(ls -d /usr/lib/python3.* | head -n 1)"
OUTSIDE_UNIT = "workloads-outside"
KUBELET = "kubelet-double"
READY_SECONDS = 20.0
_TRACER = "import ctypes,time; ctypes.CDLL(None).ptrace(0x4206, %d, None, None); time.sleep(600)"


@dataclasses.dataclass
class Running:
    """A container that runs a workload."""

    workload: Workload
    pod: Pod
    container: str
    nonce: str = ""


@dataclasses.dataclass
class Happened:
    """What a checkpoint or restore did. log: of CRIU, where it failed. container: the one that could not be restored."""

    ok: bool
    error: str = ""
    log: str = ""
    container: str = ""


class Bench:
    """Everything that is done to one node. Leaves it as it found it (close)."""

    def __init__(self, lab: str, name: str = "node1") -> None:
        self.node = Node(lab, name)
        # A checkpoint that hangs shows it soon enough.
        self.node.cri.timeout = 40.0
        self.lab = lab
        self.base_conf = self.node.run("cat %s 2>/dev/null || true" % CONF)
        self._conf = self.base_conf
        # The lab's kubelet removes pods that no API server knows.
        self._kubelet = self.node.run("systemctl is-active %s || true" % KUBELET).strip() == "active"
        self.node.run("systemctl stop %s 2>/dev/null; true" % KUBELET)
        self._set_up()

    def _set_up(self) -> None:
        self.node.run(
            "{python}; mkdir -p {home}/lib {home}/outside {home}/data {home}/archives && cp -r $PYTHON/. {home}/lib/ &&"
            " cp -L $(ldconfig -p | awk '/libffi.so/ {{print $NF}}') {home}/lib/ && mkdir -p {home}/shared &&"
            " mountpoint -q {home}/shared || {{ mount --bind {home}/shared {home}/shared && mount --make-shared"
            " {home}/shared; }}".format(python=PYTHON, home=HOME)
        )
        for name in ("checkpoint_image.py", "outside.py"):
            self.node.put("%s/%s" % (HOME, name), (HERE / name).read_bytes(), "0644")
        for path in sorted(HERE.glob("workload*.py")):
            self.node.put("%s/lib/%s" % (HOME, path.name), path.read_bytes(), "0644")
        self.node.run(
            "systemctl stop %s 2>/dev/null; systemctl reset-failed %s 2>/dev/null; true" % (OUTSIDE_UNIT, OUTSIDE_UNIT)
        )
        self.node.run(
            "systemd-run --quiet --collect --unit=%s python3 %s/outside.py %s/outside/socket %d"
            % (OUTSIDE_UNIT, HOME, HOME, PORT)
        )
        for image in (IMAGE, "base.lab:5001/pause:1"):
            self.node.cri.call("PullImage", image={"image": image})

    def close(self) -> None:
        """Take everything away again."""
        self.node.put(CONF, self.base_conf, "0644")
        self.node.run(
            "systemctl stop {unit}; umount {home}/shared; rm -rf {home} {log}".format(
                unit=OUTSIDE_UNIT, home=HOME, log=LOG
            ),
            check=False,
        )
        if self._kubelet:
            self.node.run("systemctl start %s" % KUBELET)
        self.node.close()

    def versions(self) -> t.Dict[str, str]:
        """What decides here."""
        lines = self.node.run(
            "uname -r; containerd --version | cut -d' ' -f3; runc --version | head -n 1 | cut -d' ' -f3;"
            " criu --version | head -n 1 | cut -d' ' -f2"
        ).split()
        return dict(zip(("kernel", "containerd", "runc", "criu"), lines))

    # -- containers -------------------------------------------------------------------------------------------------

    def configure(self, name: str, log: str = LOG) -> None:
        """Give CRIU the configuration that a workload asks for, and have it keep its log (empty: where runc puts it)."""
        text = {BARE: "", REMAP: self.base_conf + "link-remap\next-unix-sk\n"}.get(name, self.base_conf)
        text += "log-file %s\n" % log if log else ""
        if text != self._conf:
            self.node.put(CONF, text, "0644")
            self._conf = text

    def _pod(self, workload: Workload, suffix: str = "") -> Pod:
        options = {"network": workload.network, "pid": workload.pid, "ipc": workload.ipc}
        context: t.Dict[str, t.Any] = {"namespace_options": options}
        if workload.privileged:
            context["privileged"] = True
        return self.node.pod("w-" + workload.name + suffix, security_context=context)

    def _create(self, workload: Workload, pod: Pod, image: str, features: t.Sequence[str], name: str = "c") -> str:
        host = "/var/log/pods/" + pod.uid
        empty = "/var/lib/kubelet/pods/%s/volumes/kubernetes.io~empty-dir/empty" % pod.uid
        data = "%s/data/%s" % (HOME, workload.name)
        self.node.run("mkdir -p %s %s" % (empty, data))
        mounts = [
            {"container_path": "/etc/hosts", "host_path": host + "/hosts"},
            {"container_path": "/dev/termination-log", "host_path": host + "/termination"},
            {
                "container_path": "/var/run/secrets/kubernetes.io/serviceaccount",
                "host_path": host + "/token",
                "readonly": True,
            },
            {"container_path": "/opt/workload", "host_path": HOME + "/lib", "readonly": True},
            {"container_path": "/outside", "host_path": HOME + "/outside"},
            {"container_path": "/data", "host_path": data},
            {"container_path": "/empty", "host_path": empty},
        ]
        if workload.propagation:
            mounts.append(
                {
                    "container_path": "/shared",
                    "host_path": HOME + "/shared",
                    "propagation": "PROPAGATION_" + workload.propagation,
                }
            )
        context: t.Dict[str, t.Any] = {
            "namespace_options": {"network": workload.network, "pid": workload.pid, "ipc": workload.ipc},
            "privileged": workload.privileged,
        }
        if workload.user:
            context["run_as_user"] = {"value": workload.user}
        if workload.seccomp:
            context["seccomp"] = {"profile_type": "RuntimeDefault"}
        device = {"container_path": workload.device, "host_path": workload.device, "permissions": "rw"}
        return self.node.cri.call(
            "CreateContainer",
            pod_sandbox_id=pod.sandbox,
            sandbox_config=pod.config,
            config={
                "metadata": {"name": name, "attempt": 0},
                "image": {"image": image},
                "command": ["python3", "-S", "/opt/workload/workload.py", *features],
                "envs": [
                    {"key": key, "value": value}
                    for key, value in (
                        ("PYTHONPATH", "/opt/workload:/opt/workload/lib-dynload"),
                        ("PYTHONDONTWRITEBYTECODE", "1"),
                        ("LD_LIBRARY_PATH", "/opt/workload"),
                        ("OUTSIDE", self.node.address),
                        ("OUTSIDE_PORT", str(PORT)),
                    )
                ],
                "mounts": mounts,
                "devices": [device] if workload.device else [],
                "labels": {"io.kubernetes.container.name": name, **pod.config["labels"]},
                "annotations": {"io.kubernetes.container.restartCount": "0"},
                "log_path": name + "-0.log",
                "tty": workload.tty,
                "stdin": workload.tty,
                "linux": {"security_context": context},
            },
        ).container_id

    def start(self, workload: Workload) -> Running:
        """A pod with the workload in it; returns at once (ready waits)."""
        pod = self._pod(workload)
        if workload.outside == "neighbour":
            other = self._create(workload, pod, IMAGE, ["neighbour"], "n")
            self.node.cri.call("StartContainer", container_id=other)
            self._wait_line(pod, "n")
        container = self._create(workload, pod, IMAGE, workload.features)
        self.node.cri.call("StartContainer", container_id=container)
        return Running(workload, pod, container)

    def ready(self, running: Running) -> None:
        """Wait until the workload has everything, then do from outside what it wants."""
        running.nonce = self._wait_line(running.pod)
        if running.workload.outside == "exec":
            self.node.run(
                "ctr -n k8s.io tasks exec --detach --exec-id e1 %s python3 -c 'import time; time.sleep(600)'"
                % running.container
            )
        elif running.workload.outside == "exec_tty":
            self.node.run(
                'systemd-run --quiet --collect --unit=workloads-exec script -qfc "ctr -n k8s.io tasks exec --tty'
                " --exec-id e2 %s python3 -c 'import time; time.sleep(600)'\" /dev/null; sleep 1"
                % running.container
            )
        elif running.workload.outside == "trace":
            pid = self.node.pid(running.container)
            self.node.run(
                "systemd-run --quiet --collect --unit=workloads-trace python3 -c '%s'; sleep 0.5" % (_TRACER % pid)
            )

    def _lines(self, pod: Pod, name: str = "c") -> t.List[t.List[str]]:
        return [line.split() for line in self.node.log(pod, name)]

    def _wait_line(self, pod: Pod, name: str = "c") -> str:
        end = time.monotonic() + READY_SECONDS
        while True:
            lines = self._lines(pod, name)
            counted = [line for line in lines if len(line) == 2 and line[1].isdigit()]
            if counted:
                return counted[-1][0]
            if time.monotonic() > end:
                raise RuntimeError(
                    "%s does not start: %s" % (pod.name, " ".join(" ".join(line) for line in lines[-6:]))
                )
            time.sleep(0.2)

    def remove(self, running: Running) -> None:
        """The pod and what it had on the node."""
        if running.workload.outside in ("exec_tty", "trace"):
            self.node.run("systemctl kill -s KILL workloads-exec workloads-trace 2>/dev/null", check=False)
        self._remove_pod(running.pod)

    def _remove_pod(self, pod: Pod) -> None:
        try:
            self.node.remove_pod(pod)
        except Exception as exc:
            # The next one matters more than what is left of this one; close() tries again.
            print("%s cannot be removed: %s" % (pod.name, str(exc)[:200]), file=sys.stderr)
        finally:
            self.node.run("rm -rf /var/lib/kubelet/pods/" + pod.uid, check=False)

    # -- preflight, checkpoint, restore -----------------------------------------------------------------------------

    def preflight(self, environment: t.Optional[t.Mapping[str, str]] = None, **options: t.Any) -> t.Dict[str, t.Any]:
        """What the module says about everything that runs on the node. environment: more of it for Ansible."""
        arguments = json.dumps(dict({"check_node": False, "namespace": "default"}, **options))
        command = ["ansible", "-i", str(STATE / self.lab / "inventory.yml"), self.node.name, "-m"]
        command += ["container_checkpoint.kubernetes.pod_preflight", "-a", arguments]
        settings = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_HOST_KEY_CHECKING="false", ANSIBLE_PIPELINING="1")
        settings.update(environment or {})
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings, check=False, timeout=300
        )
        text = done.stdout.decode()
        start = text.find("{")
        if done.returncode != 0 or start < 0:
            raise RuntimeError("pod_preflight failed: %s %s" % (text[-3000:], done.stderr.decode()[-2000:]))
        return json.loads(text[start:])

    def diagnose(self, report: pathlib.Path, **variables: t.Any) -> t.Dict[str, t.Any]:
        """What the playbook diagnose finds on this node."""
        given = dict({"checkpoint_hosts": self.node.name, "diagnose_report": str(report)}, **variables)
        output = self.play("container_checkpoint.kubernetes.diagnose", **given)
        return dict(json.loads(report.read_text())[0], output=output)

    def play(self, playbook: str, **variables: t.Any) -> str:
        """Run a playbook on this lab; what it prints."""
        command = ["ansible-playbook", "-i", str(STATE / self.lab / "inventory.yml"), playbook, "-e", json.dumps(variables)]
        environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_HOST_KEY_CHECKING="false", ANSIBLE_PIPELINING="1")
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False, timeout=300
        )
        if done.returncode != 0:
            raise RuntimeError("the playbook %s failed: %s" % (playbook, done.stdout.decode()[-3000:]))
        return done.stdout.decode()

    def checkpoint(self, running: Running) -> t.Tuple[Happened, str]:
        """(what happened, the archive's path on the node)."""
        path = "%s/archives/%s.tar" % (HOME, running.workload.name)
        self.node.run("rm -f %s %s" % (LOG, path))
        try:
            self.node.cri.checkpoint(running.container, path)
        except Exception as exc:
            # containerd leaves a container paused when the deadline passed, and then it cannot even be removed.
            self.node.run("ctr -n k8s.io tasks resume %s 2>/dev/null" % running.container, check=False)
            return Happened(False, str(exc), self._criu_log()), path
        return Happened(True), path

    def _criu_log(self) -> str:
        return self.node.run("tail -c 400000 %s 2>/dev/null || true" % LOG)

    def restore(self, running: Running, archive: str) -> Happened:
        """Restore an archive in a new pod, by the CRI's own way, and see that the process goes on."""
        image = "localhost/workloads/%s:1" % running.workload.name
        pod = None
        try:
            self.node.run("rm -f %s; python3 %s/checkpoint_image.py %s %s" % (LOG, HOME, archive, image))
            self._known_image(image)
            pod, container = self._pod(running.workload, "-restored"), ""
            try:
                container = self._create(running.workload, pod, image, running.workload.features)
                self.node.cri.call("StartContainer", container_id=container)
            except Exception as exc:
                return Happened(False, str(exc), self._criu_log(), container)
            return self._goes_on(running, pod, container)
        finally:
            if pod is not None:
                self._remove_pod(pod)
            self.node.run("ctr -n k8s.io images rm %s >/dev/null; rm -f %s" % (image, archive), check=False)

    def _known_image(self, image: str) -> None:
        end = time.monotonic() + 60
        while not self.node.cri.call("ImageStatus", image={"image": image}).image.id:
            if time.monotonic() > end:
                raise RuntimeError("the runtime does not see the image %s" % image)
            time.sleep(0.1)

    def _goes_on(self, running: Running, pod: Pod, container: str) -> Happened:
        end = time.monotonic() + 5
        before = None
        while time.monotonic() < end:
            state = self.node.cri.status(container).state
            if int(state) != 1:
                return Happened(False, "the restored container is in state %d" % state, self._criu_log())
            counts = [
                int(line[1])
                for line in self._lines(pod)
                if len(line) == 2 and line[0] == running.nonce and line[1].isdigit()
            ]
            if before is not None and counts and max(counts) > before:
                return Happened(True)
            before = max(counts) if counts else before
            time.sleep(0.2)
        return Happened(False, "the restored process does not go on", self._criu_log())
