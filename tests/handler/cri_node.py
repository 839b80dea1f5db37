# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node of the lab as these tests use it: ssh, its real CRI socket, pods and containers made as the kubelet makes them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab" / "double"))

from cri import Cri, CriError  # noqa: E402

STATE = pathlib.Path("/run/container-checkpoint-lab")
IMAGE = "base.lab:5001/counter:1"
HANDLER = "container-checkpoint"
SLOW = os.environ.get("HANDLER_SLOW") == "1"
SECONDS = 120  # for what takes a moment on a real processor, and longer on an emulated one (tests/vm)
CONF = "/usr/local/libexec/container-checkpoint/handler.conf"
STAGING = "/var/lib/container-checkpoint/restore"

# Counts in memory and in its log, 50 times a second; a nonce made at start tells one process from another.
COUNTER = """
import os, sys, time
nonce = os.urandom(8).hex()
blob = os.urandom(1 << 20) * int(os.environ.get("MIB", "1"))
count = 0
while True:
    count += 1
    print(nonce, count, len(blob), flush=True)
    time.sleep(0.02)
"""


class Pod(t.NamedTuple):
    """A pod sandbox."""

    name: str
    uid: str
    namespace: str
    sandbox: str
    config: t.Dict[str, t.Any]


class Node:
    """A node of a running lab."""

    def __init__(self, lab: str, name: str) -> None:
        inventory = json.loads((STATE / lab / "inventory.yml").read_text())
        group = inventory["all"]["children"]["kube_node"]
        self.lab, self.name = lab, name
        self.address = group["hosts"][name]["ansible_host"]
        self._systemd_cgroup = inventory["all"]["vars"]["container_runtime_systemd_cgroup"]
        self._ssh = ["ssh", "-F", "none", "-i", str(STATE / lab / "ssh_key"), "-o", "IdentitiesOnly=yes", "-o", "ControlMaster=auto",
                     "-o", "UserKnownHostsFile=%s" % (STATE / lab / "known_hosts"), "-o", "ControlPersist=60",
                     "-p", str(group["hosts"][name].get("ansible_port", 22))]
        self._directory = tempfile.mkdtemp(prefix="cchandler-")
        self._ssh += ["-o", "ControlPath=%s/c" % self._directory]
        self._connect()
        self.pods: t.List[Pod] = []

    def _connect(self) -> None:
        socket = os.path.join(self._directory, "cri-%s.sock" % uuid.uuid4().hex[:8])
        # A connection of its own, which does not end with the shared one. Of an option that ssh is given twice, the first one counts.
        self._forward = subprocess.Popen(
            ["ssh", "-o", "ControlPath=none", "-o", "ControlMaster=no", *self._ssh[1:], "-N", "-o", "ExitOnForwardFailure=yes",
             "-L", "%s:/run/containerd/containerd.sock" % socket, "root@" + self.address],
            stdin=subprocess.DEVNULL,
        )
        wait(lambda: os.path.exists(socket), SECONDS, "the forwarded CRI socket")
        self.cri = Cri(socket)

    def reconnect(self) -> None:
        """After the runtime was restarted."""
        self.cri.close()
        self._forward.terminate()
        self._forward.wait()
        self._connect()

    def remove_pods(self) -> None:
        """Remove what the tests made."""
        for pod in list(self.pods):
            with contextlib.suppress(Exception):
                self.remove_pod(pod)

    def close(self) -> None:
        """Remove what the tests made and let go of the node."""
        self.remove_pods()
        self.cri.close()
        self._forward.terminate()
        self._forward.wait()
        subprocess.run([*self._ssh, "-O", "exit", "root@" + self.address], check=False, stderr=subprocess.DEVNULL)

    def run(self, command: str, check: bool = True, data: t.Optional[bytes] = None) -> str:
        """Run a shell command on the node; return what it printed."""
        done = subprocess.run(self.command(command), input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, timeout=300,
                              **({} if data is not None else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode != 0:
            raise AssertionError("%s: %r ended with %d: %s" % (self.name, command, done.returncode, done.stderr.decode()))
        return done.stdout.decode()

    def command(self, command: str) -> t.List[str]:
        """The argument list that runs a shell command on the node."""
        return [*self._ssh, "root@" + self.address, command]

    def put(self, path: str, content: t.Union[str, bytes], mode: str = "0600") -> None:
        """Write a file on the node."""
        data = content.encode() if isinstance(content, str) else content
        self.run("umask 077; cat > '%s' && chmod %s '%s'" % (path, mode, path), data=data)

    def json(self, path: str) -> t.Any:
        """A JSON file of the node."""
        return json.loads(self.run("cat '%s'" % path))

    # Pods and containers ----------------------------------------------------------------------------------------

    def pod(self, name: str, handler: str = "", namespace: str = "default", uid: str = "", **linux: t.Any) -> Pod:
        """Run a pod sandbox."""
        uid = uid or str(uuid.uuid4())
        self.run("mkdir -p /var/log/pods/%s && printf '127.0.0.1 localhost\n' > /var/log/pods/%s/hosts && "
                 "touch /var/log/pods/%s/termination && mkdir -p /var/log/pods/%s/token && echo t > /var/log/pods/%s/token/token" % ((uid,) * 5))
        config = {
            "metadata": {"name": name, "uid": uid, "namespace": namespace, "attempt": 0},
            "hostname": name,
            "log_directory": "/var/log/pods/" + uid,
            "labels": {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid},
            "linux": {"cgroup_parent": self.cgroup_parent(uid),
                      "security_context": dict({"namespace_options": {"pid": "CONTAINER"}}, **linux.pop("security_context", {})), **linux},
        }
        sandbox = self.cri.call("RunPodSandbox", config=config, runtime_handler=handler).pod_sandbox_id
        pod = Pod(name, uid, namespace, sandbox, config)
        self.pods.append(pod)
        return pod

    def cgroup_parent(self, uid: str) -> str:
        """The pod's cgroup as the kubelet names it for the cgroup manager of this node."""
        return "/kubepods.slice/kubepods-pod%s.slice" % uid.replace("-", "_") if self._systemd_cgroup else "/kubepods/pod" + uid

    def container(self, pod: Pod, name: str = "c", command: t.Sequence[str] = (), start: bool = True, attempt: int = 0,
                  image: str = IMAGE, mounts: t.Sequence[t.Dict[str, t.Any]] = (), tty: bool = False,
                  env: t.Optional[t.Dict[str, str]] = None, **linux: t.Any) -> str:
        """Create a container with the mounts that the kubelet gives every one, and start it unless told otherwise."""
        host = "/var/log/pods/" + pod.uid
        security = dict({"namespace_options": {"pid": "CONTAINER"}}, **linux.pop("security_context", {}))
        container = self.cri.call("CreateContainer", pod_sandbox_id=pod.sandbox, sandbox_config=pod.config, config={
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": image},
            "command": list(command) or ["python3", "-c", COUNTER],
            "envs": [{"key": key, "value": value} for key, value in (env or {}).items()],
            "mounts": [
                {"container_path": "/etc/hosts", "host_path": host + "/hosts"},
                {"container_path": "/dev/termination-log", "host_path": host + "/termination"},
                {"container_path": "/var/run/secrets/kubernetes.io/serviceaccount", "host_path": host + "/token", "readonly": True},
                *mounts,
            ],
            "labels": {"io.kubernetes.container.name": name, **pod.config["labels"]},
            "annotations": {"io.kubernetes.container.restartCount": str(attempt)},
            "log_path": "%s-%d.log" % (name, attempt),
            "tty": tty, "stdin": tty,
            "linux": {"security_context": security, **linux},
        }).container_id
        if start:
            self.cri.call("StartContainer", container_id=container)
        return container

    def remove_pod(self, pod: Pod) -> None:
        """Stop and remove a pod and its containers."""
        for container in self.cri.containers(pod_sandbox_id=pod.sandbox):
            self.cri.stop(container.id, 0)
        self.cri.call("StopPodSandbox", pod_sandbox_id=pod.sandbox)
        self.cri.call("RemovePodSandbox", pod_sandbox_id=pod.sandbox)
        self.run("rm -rf /var/log/pods/" + pod.uid)
        if pod in self.pods:
            self.pods.remove(pod)

    def log(self, pod: Pod, name: str = "c", attempt: int = 0) -> t.List[str]:
        """The lines that a container wrote, without the CRI's prefix."""
        text = self.run("cat /var/log/pods/%s/%s-%d.log 2>/dev/null" % (pod.uid, name, attempt), check=False)
        return [line.split(" ", 3)[3] for line in text.splitlines() if line.count(" ") >= 3]

    def counts(self, pod: Pod, name: str = "c", attempt: int = 0) -> t.List[t.Tuple[str, int]]:
        """What COUNTER logged: pairs of nonce and count."""
        rows = [line.split() for line in self.log(pod, name, attempt)]
        return [(row[0], int(row[1])) for row in rows if len(row) == 3 and row[1].isdigit()]

    def pid(self, container: str) -> int:
        """The container's first process, seen from the node."""
        info = self.cri.call("ContainerStatus", container_id=container, verbose=True).info
        return int(json.loads(info["info"])["pid"])

    def exec(self, container: str, *command: str) -> str:
        """Run a command in a container; return what it printed."""
        answer = self.cri.call("ExecSync", container_id=container, cmd=list(command), timeout=SECONDS)
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout.decode()

    def inside(self, container: str, script: str) -> str:
        """Run Python in a container, which is all that the lab's image has; return what it printed."""
        return self.exec(container, "python3", "-c", script).strip()

    def checkpoint(self, container: str) -> str:
        """Checkpoint a container, through the CRI where it can do that; return the archive's path on the node."""
        path = self.new_archive()
        try:
            self.cri.checkpoint(container, path)
        except CriError as exc:
            if exc.code != "Unimplemented":
                raise
            self.double("runc", container, path)
        return path

    def new_archive(self) -> str:
        """A name for an archive."""
        self.run("mkdir -p -m 0700 /var/lib/container-checkpoint/archives")
        return "/var/lib/container-checkpoint/archives/%s.tar" % uuid.uuid4().hex

    def double(self, *arguments: str) -> None:
        """Run archive_double.py on the node, where the runtime sees its mounts and cgroups."""
        script = pathlib.Path(__file__).with_name("archive_double.py").read_bytes()
        self.run("nsenter -t $(pidof -s containerd) -m python3 - " + " ".join(arguments), data=script)

    # The handler ------------------------------------------------------------------------------------------------

    def entries(self) -> t.Dict[str, t.Tuple[str, t.Dict[str, t.Any]]]:
        """Every staging entry: id to its state and its status document."""
        script = (
            "import json,os\nr='%s'\nout={}\n"
            "for s in ('staged','claimed','failed','done'):\n"
            "  for e in os.listdir(r+'/'+s):\n"
            "    p='%%s/%%s/%%s/status.json'%%(r,s,e)\n"
            "    out[e]=(s,json.load(open(p)) if os.path.exists(p) else {})\n"
            "print(json.dumps(out))" % STAGING
        )
        return {name: (state, status) for name, (state, status) in json.loads(self.python(script)).items()}

    def python(self, script: str) -> str:
        """Run a Python script on the node."""
        encoded = base64.b64encode(script.encode()).decode()
        return self.run("echo %s | base64 -d | python3 -" % encoded)

    def leftovers(self, container: str) -> str:
        """Everything that is still there of a container below the CRI: markers, runc's state, processes, cgroups."""
        return self.run(
            "ls -d /run/container-checkpoint/handler/{0} /run/containerd/runc/k8s.io/{0} 2>/dev/null; "
            "grep -l {0} /proc/[0-9]*/cgroup 2>/dev/null; find /sys/fs/cgroup /run/cgv1 -name '*{0}*' 2>/dev/null; true".format(container)
        ).strip()


def wait(condition: t.Callable[[], t.Any], seconds: float, what: str) -> t.Any:
    """Wait until a condition holds; return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        begin = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > deadline:
            raise AssertionError("waited %g s for %s" % (seconds, what))
        time.sleep(max(0.05, now - begin))  # a slow node is asked less often, or it would do nothing else


def copy(source: Node, target: Node, path: str) -> None:
    """Copy a file from one node to the other, to the same path."""
    target.run("mkdir -p -m 0700 '%s'" % os.path.dirname(path))
    reading = subprocess.Popen(source.command("cat '%s'" % path), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    subprocess.run(target.command("umask 077; cat > '%s'" % path), stdin=reading.stdout, check=True)
    assert reading.wait() == 0
