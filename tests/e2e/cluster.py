# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as the end-to-end tests see it: playbooks, the Kubernetes API, the nodes, and ways to break things on them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import time
import typing as t

import kubernetes.config
import kubernetes.dynamic

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "lab" / "lab"
VARIABLES = ROOT / "tests" / "lab" / "demo" / "lab-variables.yml"
FAULTS = "/run/kubelet-double/faults.json"
ARCHIVES = "/var/lib/kubelet/checkpoints"
ENVIRONMENT = {"ANSIBLE_HOST_KEY_CHECKING": "false", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INJECT_FACT_VARS": "false"}


@dataclasses.dataclass(frozen=True)
class Play:
    """How a playbook ended: exit code, what it printed, and the JSON report if it wrote one."""

    code: int
    output: str
    report: t.Optional[dict]

    def says(self, text: str) -> bool:
        """Whether the output holds this text, wherever lines were broken."""
        return " ".join(text.split()) in " ".join(self.output.replace('"', " ").split())


class Cluster:
    """One lab that is up and provisioned."""

    def __init__(self, name: str, work: pathlib.Path) -> None:
        self.name = name
        self.state = pathlib.Path("/run/container-checkpoint-lab") / name
        self.inventory = str(self.state / "inventory.yml")
        self._work = work
        self._runs = 0

    def connect(self) -> None:
        """Open the Kubernetes API; possible once the lab is provisioned."""
        client = kubernetes.config.new_client_from_config(config_file=str(self.state / "kubeconfig"))
        self._api = kubernetes.dynamic.DynamicClient(client)

    def play(self, playbook: str, check: bool = False, tags: str = "", **variables: t.Any) -> Play:
        """Run one playbook of the collection, or a file; all of it, or what has one of these tags."""
        self._runs += 1
        role = playbook.rsplit(".", 1)[-1]
        report = self._work / ("report-%d.json" % self._runs)
        settings = self._work / ("settings-%d.json" % self._runs)
        defaults = {
            role + "_report": str(report),
            "checkpoint_kubelet_token_file": str(self.state / "kubelet-token"),
            # Whether a node has the handler or not, what is not about it goes through images.
            role + "_backend": "image",
        }
        settings.write_text(json.dumps({**defaults, **variables}))
        argv = ["ansible-playbook", "--inventory", self.inventory, playbook, "--extra-vars", "@%s" % VARIABLES, "--extra-vars", "@%s" % settings]
        argv += ["--tags", tags] if tags else []
        done = subprocess.run(argv + ["--check"] * check, capture_output=True, text=True, check=False, env={**os.environ, **ENVIRONMENT})
        output = done.stdout + done.stderr
        (self._work / ("play-%d-%s.log" % (self._runs, role))).write_text(output)
        return Play(done.returncode, output, json.loads(report.read_text()) if report.exists() else None)

    def on(self, node: str, script: str) -> str:
        """Run a shell script on a node; its output. It must succeed."""
        argv = [str(LAB), "ssh", "--name", self.name, node, "--", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout

    def resource(self, kind: str, api_version: str = "v1") -> t.Any:
        """The dynamic client's resource of a kind."""
        return self._api.resources.get(api_version=api_version, kind=kind)

    def pod(self, name: str) -> t.Optional[dict]:
        """A pod in the namespace default, or None."""
        try:
            return self.resource("Pod").get(name=name, namespace="default").to_dict()
        except kubernetes.dynamic.exceptions.NotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Delete a pod and wait until it is gone."""
        with contextlib.suppress(kubernetes.dynamic.exceptions.NotFoundError):
            self.resource("Pod").delete(name=name, namespace="default", body={"gracePeriodSeconds": 1})
        self.wait(lambda: self.pod(name) is None, "pod %s to be gone" % name)

    def wait(self, condition: t.Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Poll until it holds; fail the test if it never does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("waited %d s in vain for %s" % (seconds, what))
            time.sleep(0.5)

    def counter(self, name: str, node: str, memory_mib: int = 8, ports: t.Sequence[int] = (8080,), **labels: str) -> Counter:
        """Start a counter and have it count to three. More ports: a container more for each."""
        self.delete(name)
        image, memory = "base.lab:5001/counter:1", {"name": "MEMORY_MIB", "value": str(memory_mib)}
        names = {port: "counter" if port == 8080 else "counter-%d" % port for port in ports}
        containers = [{"name": names[port], "image": image, "env": [memory, {"name": "PORT", "value": str(port)}]} for port in ports]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"nodeName": node, "containers": containers},
        }
        self.resource("Pod").create(body=body, namespace="default")
        self.wait(lambda: self.ready(name), "pod %s to be ready" % name)
        for port in ports:
            counter = Counter(self, name, port)
            # Ready without a probe means started, not listening.
            self.wait(counter.answers, "pod %s to answer" % name)
            for _number in range(3):
                counter.ask("/")
        return Counter(self, name)

    def ready(self, name: str) -> bool:
        """Whether the pod is Ready."""
        conditions = ((self.pod(name) or {}).get("status") or {}).get("conditions") or []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def token(self, account: str) -> str:
        """A token of a ServiceAccount in the namespace default, which is made if it is not there."""
        accounts = self.resource("ServiceAccount")
        with contextlib.suppress(kubernetes.dynamic.exceptions.ConflictError):
            accounts.create(body={"metadata": {"name": account}}, namespace="default")
        answer = accounts.subresources["token"].create(name=account, namespace="default", body={"spec": {"expirationSeconds": 600}})
        return answer.to_dict()["status"]["token"]

    def archives(self, node: str) -> set[str]:
        """Names of the files in the kubelet's directory of archives."""
        return set(self.on(node, "ls %s" % ARCHIVES).split())

    @contextlib.contextmanager
    def fault(self, node: str, **switches: t.Any) -> t.Iterator[None]:
        """Have the node's kubelet double misbehave."""
        self.on(node, "cat > %s <<'EOF'\n%s\nEOF" % (FAULTS, json.dumps(switches)))
        try:
            yield
        finally:
            self.on(node, "rm -f %s" % FAULTS)

    @contextlib.contextmanager
    def blocked(self, node: str, port: int) -> t.Iterator[None]:
        """Have the node's connections to a port refused, as when what listens there is down."""
        rule = "OUTPUT -p tcp --dport %d -j REJECT --reject-with tcp-reset" % port
        self.on(node, "iptables -I %s" % rule)
        try:
            yield
        finally:
            self.on(node, "iptables -D %s" % rule)

    @contextlib.contextmanager
    def slowed(self, node: str, rate: str) -> t.Iterator[None]:
        """Limit what the node sends."""
        self.on(node, "tc qdisc add dev host0 root tbf rate %s burst 32kbit latency 400ms" % rate)
        try:
            yield
        finally:
            self.on(node, "tc qdisc del dev host0 root")

    def readers(self, node: str, path: str) -> list[int]:
        """Processes of the node that have a file open."""
        script = "for fd in /proc/[0-9]*/fd/*; do [ \"$(readlink $fd)\" = '%s' ] && echo $fd; done; true" % path
        return sorted({int(line.split("/")[2]) for line in self.on(node, script).split()})


@dataclasses.dataclass
class Counter:
    """The lab's workload in a pod."""

    cluster: Cluster
    name: str
    port: int = 8080

    @property
    def uid(self) -> t.Optional[str]:
        """UID of the pod, None if there is none."""
        pod = self.cluster.pod(self.name)
        return pod["metadata"]["uid"] if pod else None

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            return bool(self.ask())
        except subprocess.CalledProcessError:
            return False

    def ask(self, path: str = "/peek") -> dict:
        """What it answers, asked from its node."""
        pod = self.cluster.pod(self.name)
        assert pod is not None, "there is no pod %s" % self.name
        url = "http://%s:%d%s" % (pod["status"]["podIP"], self.port, path)
        code = "import urllib.request as u; print(u.urlopen('%s', timeout=10).read().decode())" % url
        return json.loads(self.cluster.on(pod["spec"]["nodeName"], 'python3 -c "%s"' % code))
