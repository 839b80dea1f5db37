# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling the collection's own modules on a node of the lab, as a playbook does."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import subprocess
import tarfile
import typing as t

import ansible.module_utils as ansible_module_utils
from cri_node import IMAGE, Node, Pod

COLLECTION = "ansible_collections.container_checkpoint.kubernetes.plugins.modules."
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
THERE = "/var/lib/container-checkpoint-tests"  # not below /run, where stock Debian runs no program
# Runs a module as it is, with its arguments from standard input; no connection plug-in, no temporary files.
_RUNNER = """
import json, runpy, sys
sys.path.insert(0, %r)
from ansible.module_utils.testing import patch_module_args
order = json.load(sys.stdin)
with patch_module_args(order["arguments"]):
    runpy.run_module(order["module"], run_name="__main__")
"""


class ModuleFailed(Exception):
    """A module that failed, with its result."""

    def __init__(self, result: t.Dict[str, t.Any]) -> None:
        super().__init__(result.get("msg"))
        self.result = result


def put_collection(node: Node) -> None:
    """Bring the collection's plugins, and of ansible-core what modules import, to a node."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        theirs = pathlib.Path(ansible_module_utils.__file__).parent
        tar.addfile(tarfile.TarInfo("ansible/__init__.py"))
        for path, name in (
            (theirs, "ansible/module_utils"),
            (theirs.parent / "release.py", "ansible/release.py"),
            (theirs.parent / "_internal" / "__init__.py", "ansible/_internal/__init__.py"),
            (REPOSITORY / "plugins" / "modules", "ansible_collections/container_checkpoint/kubernetes/plugins/modules"),
            (REPOSITORY / "plugins" / "module_utils", "ansible_collections/container_checkpoint/kubernetes/plugins/module_utils"),
        ):
            if path.exists():
                tar.add(path, name, filter=lambda member: None if "__pycache__" in member.name else member)
    node.run("rm -rf %s && mkdir -m 0700 %s && tar -C %s --no-same-owner -xz" % ((THERE,) * 3), data=packed.getvalue())
    node.put(THERE + "/run.py", _RUNNER % THERE)


@contextlib.contextmanager
def prepared(lab: str, name: str) -> t.Iterator[Node]:
    """A node of a running lab, with the collection and the images on it, and without a kubelet meanwhile."""
    node = Node(lab, name)
    # Pods are made through the CRI; a kubelet removes every pod that the API does not know.
    kubelet = node.run("systemctl is-active kubelet-double.service || true").strip() == "active"
    try:
        if kubelet:
            node.run("systemctl stop kubelet-double.service")
        put_collection(node)
        for image in (IMAGE, "base.lab:5001/pause:1"):
            node.cri.call("PullImage", image={"image": image})
        yield node
    finally:
        node.remove_pods()
        if kubelet:
            node.run("systemctl start kubelet-double.service")
        node.close()


def module(node: Node, module_name: str, /, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
    """Run one module of the collection on a node; raise ModuleFailed where it fails."""
    order = {"module": COLLECTION + module_name, "arguments": dict(options, _ansible_check_mode=check)}
    done = subprocess.run(node.command("python3 %s/run.py" % THERE), input=json.dumps(order).encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, check=False)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise AssertionError("the module %s printed no result: %s %s" % (module_name, done.stdout, done.stderr.decode()[-2000:])) from None
    if result.get("failed"):
        raise ModuleFailed(result)
    return result


def stage(node: Node, archive: str, pod: Pod, source: t.Optional[Pod] = None, container: str = "c", **options: t.Any) -> str:
    """Stage an archive for a container of a pod; return the entry's ID."""
    options.setdefault("archive_sha256", node.run("sha256sum '%s'" % archive).split()[0])
    if "owner_uid" not in options:
        options.setdefault("pod_uid", pod.uid)
    if source is not None and source.name != pod.name:
        options.setdefault("source_pod", source.name)
    result = module(node, "restore_stage", src=archive, namespace=pod.namespace, pod=pod.name, container=container, **options)
    return result["entry"]["id"]
