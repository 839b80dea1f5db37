# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration, stage by stage, with a table of times at the end. Called by C(run), which explains the settings."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab"
QUIET = {
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
    "ANSIBLE_PIPELINING": "true",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_LOCALHOST_WARNING": "false",
}


class Failed(Exception):
    """A stage failed; the message says which command and where its output is."""


class Demo:
    """Stages, their times, and where their output goes."""

    def __init__(self, work: pathlib.Path) -> None:
        self.work = work
        self.times: list[tuple[str, float]] = []

    def run(self, name: str, argv: list[str], extra: dict[str, object] | None = None) -> str:
        """Run one stage; its output, which is shown when it fails."""
        if extra is not None:
            settings = self.work / "settings.json"
            settings.write_text(json.dumps(extra))
            argv = [*argv, "--extra-vars", "@%s" % settings]
        print("-- %s" % name, flush=True)
        begun = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **QUIET}, cwd=self.work)
        self.times.append((name, time.monotonic() - begun))
        log = self.work / ("%02d-%s.log" % (len(self.times), re.sub("[^a-z]+", "-", name.lower())))
        log.write_text(done.stdout + done.stderr)
        if done.returncode:
            print(done.stdout[-6000:] + done.stderr[-3000:], file=sys.stderr)
            raise Failed("%s failed (exit %d); all of its output is in %s" % (name, done.returncode, log))
        return done.stdout

    def playbook(self, name: str, inventory: str, playbook: str, extra: dict[str, object]) -> None:
        """Run a playbook as one stage."""
        self.run(name, ["ansible-playbook", "--inventory", inventory, playbook, *variables_file()], extra)

    def read(self, name: str) -> dict:
        """A result that a stage wrote."""
        return json.loads((self.work / name).read_text())


def own_cluster() -> bool:
    """Whether the demonstration shall run on a cluster that is there. Half of the settings is a mistake."""
    given = [name for name in ("KUBECONFIG", "INVENTORY", "REGISTRY") if os.environ.get(name)]
    if "INVENTORY" not in given and "REGISTRY" not in given:
        return False
    if len(given) < 3:
        raise Failed("to run on your own cluster, set all of KUBECONFIG, INVENTORY and REGISTRY; only %s is set" % " and ".join(given))
    return True


def variables_file() -> list[str]:
    """What the lab's inventory says, in the words of the roles. A cluster of yours gets its settings from the environment."""
    return [] if own_cluster() else ["--extra-vars", "@%s" % (HERE / "lab-variables.yml")]


def cluster_settings() -> dict[str, object]:
    """The roles' variables for a cluster that is there."""
    if not own_cluster():
        return {}
    registry = {key: os.environ[name] for key, name in (("username", "REGISTRY_USERNAME"), ("password", "REGISTRY_PASSWORD")) if os.environ.get(name)}
    return {
        "container_checkpoint_kubernetes": {"kubeconfig": os.path.abspath(os.environ["KUBECONFIG"])},
        "container_checkpoint_registry": registry,
        "migrate_image_repository": os.environ["REGISTRY"],
        "demo_image": os.environ.get("IMAGE", "docker.io/library/python:3-slim"),
        "demo_command": ["python3", "-u", "-c", (HERE.parent / "images" / "counter.py").read_text()],
    }


def nodes(inventory: str) -> tuple[str, str]:
    """Names of the two nodes."""
    listed = subprocess.run(["ansible-inventory", "--inventory", inventory, "--list"], capture_output=True, text=True, check=True, env={**os.environ, **QUIET})
    data = json.loads(listed.stdout)
    variables = data.get("_meta", {}).get("hostvars", {})
    names = [variables.get(host, {}).get("kubernetes_node_name", host) for host in data.get("kube_node", {}).get("hosts", [])]
    source, target = os.environ.get("SOURCE"), os.environ.get("TARGET")
    rest = [name for name in names if name not in (source, target)]
    source = source or (rest.pop(0) if rest else None)
    target = target or (rest.pop(0) if rest else None)
    if not source or not target:
        raise Failed("the demonstration needs two nodes; group kube_node of %s has %s" % (inventory, ", ".join(names) or "none"))
    return source, target


def stages(demo: Demo, inventory: str) -> None:
    """From the start of the counter to the proof."""
    source, target = nodes(inventory)
    settings = {**cluster_settings(), "demo_source": source, "demo_target": target, "demo_work": str(demo.work)}
    demo.playbook("start a counter on %s and count" % source, inventory, str(HERE / "start.yml"), settings)
    before = demo.read("before.json")
    migration = {
        **settings,
        **demo.read("access.json"),
        "migrate_namespace": before["namespace"],
        "migrate_pod": before["pod"],
        "source_node": source,
        "target_node": target,
        "migrate_report": str(demo.work / "migration.json"),
    }
    demo.playbook("migrate it to %s" % target, inventory, "container_checkpoint.kubernetes.migrate", migration)
    result = demo.read("migration.json")
    demo.playbook("prove that it is the old one", inventory, str(HERE / "proof.yml"), {**settings, "demo_before": before, "demo_migration": result})
    show(demo, before, demo.read("after.json"), result)


def show(demo: Demo, before: dict, after: dict, result: dict) -> None:
    """What a person came to see. Everything in it was asserted in C(proof.yml)."""
    lines = [("", before["node"], after["node"])]
    lines += [(key, str(before["answer"][key]), str(after["answer"][key])) for key in ("count", "nonce", "started")]
    lines.append(("memory sha256", before["answer"]["memory_sha256"][:32], after["answer"]["memory_sha256"][:32]))
    print("\nThe counter before and after its move (asked once more after it):")
    for line in lines:
        print("  %-14s  %-34s  %s" % line)
    print("\nThe source went on for %s ms after its state was saved; nobody asked it anything in that time." % result["lost_ms"])
    print("\nIn the migration:")
    for name, seconds in result["stages"].items():
        print("  %-44s %7.2f s" % (name, seconds))


def main() -> int:
    """Entry point."""
    begun = time.monotonic()
    name = os.environ.get("LAB_NAME", "demo")
    demo = Demo(pathlib.Path(tempfile.mkdtemp(prefix="container-checkpoint-demo.")))
    started_lab = False
    try:
        if own_cluster():
            inventory = os.path.abspath(os.environ["INVENTORY"])
        else:
            started_lab = True
            inventory = demo.run("boot two nodes and the registries", [str(LAB), "up", "--name", name]).strip().splitlines()[-1]
            demo.playbook("provision the nodes with this collection's roles", inventory, str(HERE.parent / "provision.yml"), {})
        stages(demo, inventory)
        code = 0
    except Failed as exc:
        print("\nFAILED: %s" % exc, file=sys.stderr)
        code = 1
    if started_lab and os.environ.get("KEEP") != "1":
        try:
            demo.run("take the lab down", [str(LAB), "down", "--name", name])
        except Failed as exc:
            print("\nFAILED: %s" % exc, file=sys.stderr)
            code = 1
    elif started_lab:
        print("\nThe lab is still up: %s status --name %s" % (LAB, name))
    print("\nStages:")
    for stage, seconds in demo.times:
        print("  %-52s %7.1f s" % (stage, seconds))
    print("  %-52s %7.1f s" % ("all", time.monotonic() - begun))
    if code == 0:
        shutil.rmtree(demo.work)
    print("\n%s" % ("The counter survived the move." if code == 0 else "The demonstration failed."))
    return code


if __name__ == "__main__":
    sys.exit(main())
