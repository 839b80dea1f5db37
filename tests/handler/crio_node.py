# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's double of CRI-O (crio_double.py) as the tests use it: pods and containers made as CRI-O makes them."""

from __future__ import annotations

import json
import pathlib
import typing as t
import uuid

from cri_node import COUNTER, IMAGE, Node, Pod

PLACE = "/usr/local/lib/crio-double"
MANAGER = "/etc/crio/crio.conf.d/20-manager.conf"


class CrioNode:
    """The double on one node. view: C(machine) has the machine's own cgroups, C(runtime) those that containerd sees there."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.view = "machine"
        self._made: t.List[t.Tuple[str, str]] = []

    def install(self) -> None:
        """Put the double on the node, with the real conmon."""
        self.node.run("command -v conmon >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install conmon")
        self.node.run("mkdir -p " + PLACE)
        for name in ("crio_double.py", "archive_double.py"):
            self.node.put(PLACE + "/" + name, pathlib.Path(__file__).with_name(name).read_bytes(), "0644")
        self("install", cgroup_manager="systemd")

    def uninstall(self) -> None:
        """Take it away again."""
        for self.view in ("runtime", "machine"):
            self("forget")
        self("uninstall")
        self.node.run("rm -r " + PLACE)

    def use(self, manager: str, view: str) -> None:
        """Which cgroup manager CRI-O is configured for, and which cgroups it sees."""
        self.view = view
        self.node.put(MANAGER, '[crio.runtime]\ncgroup_manager = "%s"\n' % manager)

    def __call__(self, action: str, **order: t.Any) -> t.Dict[str, t.Any]:
        prefix = "nsenter -t $(pidof -s containerd) -m " if self.view == "runtime" else ""
        answer = self.node.run("%spython3 -B %s/crio_double.py %s" % (prefix, PLACE, action), data=json.dumps(order).encode())
        return json.loads(answer)

    def pod(self, name: str) -> Pod:
        """The namespaces of a pod."""
        uid = str(uuid.uuid4())
        sandbox = self("pod", name=name, uid=uid, namespace="default")["id"]
        self._made.append(("remove_pod", sandbox))
        return Pod(name, uid, "default", sandbox, {})

    def create(self, pod: Pod, name: str = "c", attempt: int = 0, tty: bool = False, handler: str = "", command: t.Sequence[str] = ()) -> t.Dict[str, t.Any]:
        """Create a container; the answer has C(message) where that was refused."""
        answer = self("create", sandbox=pod.sandbox, name=name, attempt=attempt, tty=tty, handler=handler, image=IMAGE,
                      command=list(command) or ["/usr/bin/python3", "-c", COUNTER])
        if "message" not in answer:
            self._made.append(("remove", answer["id"]))
        return answer

    def container(self, pod: Pod, **options: t.Any) -> str:
        """Create and start a container; its ID."""
        made = self.create(pod, **options)
        assert "message" not in made, made
        started = self("start", id=made["id"])
        assert started == {"before": "created", "after": "running"}, started
        return made["id"]

    def remove(self, identity: str) -> None:
        """Remove a container."""
        self("remove", id=identity)
        self._made.remove(("remove", identity))

    def clean(self) -> None:
        """Remove what a test made."""
        while self._made:
            action, identity = self._made.pop()
            self(action, id=identity)

    def leftovers(self, container: str) -> str:
        """Everything that is still there of a container below CRI-O: markers, runc's state, processes, cgroups, mounts."""
        return self.node.run(
            "ls -d /run/container-checkpoint/handler/{0} /run/runc/{0} 2>/dev/null; grep -l {0} /proc/[0-9]*/cgroup 2>/dev/null; "
            "find /sys/fs/cgroup /run/cgv1 -name '*{0}*' 2>/dev/null; grep {0} /proc/self/mountinfo; true".format(container)
        ).strip()
