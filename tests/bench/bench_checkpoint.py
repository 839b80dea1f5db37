# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty containers of one node: module checkpoint with concurrency 10 against a loop of ansible.builtin.uri.

The kubelet is the integration target's test server: HTTPS on loopback, an answer after 0.2 s and a small valid archive
for each. Both contenders are one task of a play on localhost, in turn, medians. The module also waits for, reads,
hashes, checks and records every archive; the loop only asks. Prints a table, and JSON with --json FILE. Ends with 1 if
the module is not at least ten times as fast. Needs ansible-core and openssl; no root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests" / "integration" / "targets" / "module_checkpoint" / "files" / "kubelet_server.py"
PROMISE = 10.0
LOOP, MODULE = "loop of ansible.builtin.uri", "module checkpoint"

# Times are taken around the one task that matters, so that Ansible's start, which both pay, does not count.
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        begin: "{{ now().timestamp() }}"
    - name: Measured
%s
      register: result
    - ansible.builtin.copy:
        dest: "{{ report }}"
        content: "{{ {'seconds': now().timestamp() - begin | float, 'made': made | length} | to_json }}"
        mode: "0600"
      vars:
        made: "{{ %s }}"
"""
TASKS = {
    LOOP: (
        """\
      ansible.builtin.uri:
        url: "{{ url }}/checkpoint/default/pod-{{ item }}/c?timeout=120"
        method: POST
        headers: {Authorization: Bearer right}
        validate_certs: false
      loop: "{{ range(containers | int) | list }}"
""",
        "result.results | map(attribute='json.items') | list",
    ),
    MODULE: (
        """\
      container_checkpoint.kubernetes.checkpoint:
        label_selectors: [kind=extra]
        concurrency: 10
        kubelet_url: "{{ url }}"
        kubelet_token: right
        kubelet_serving_cert: "{{ certificate }}"
        checkpoint_dir: "{{ directory }}"
""",
        "result.checkpoints | selectattr('verified') | list",
    ),
}


def stage(work: pathlib.Path) -> pathlib.Path:
    """A collection tree with what a user has installed."""
    target = work / "ansible_collections" / "container_checkpoint" / "kubernetes"
    for name in ("plugins", "meta"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "galaxy.yml", target)
    return work


@contextlib.contextmanager
def kubelet(work: pathlib.Path, containers: int, delay: float) -> t.Iterator[t.Dict[str, str]]:
    """A test server that runs; yields what a play needs to know."""
    certificate, key, directory = work / "kubelet.pem", work / "kubelet.key", work / "checkpoints"
    directory.mkdir(mode=0o700)
    subject = ["-subj", "/CN=node1", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *subject],
        check=True,
        capture_output=True,
    )
    prefix = work / "server"
    options = ["--cert", certificate, "--key", key, "--directory", directory, "--delay", delay, "--daemon", prefix]
    command = [sys.executable, SERVER, "--extra-pods", containers, *options]
    subprocess.run([str(word) for word in command], check=True)
    pid, port = prefix.with_suffix(".pid"), prefix.with_suffix(".port")
    for dummy in range(100):
        if port.exists():
            break
        time.sleep(0.1)
    try:
        url = "https://127.0.0.1:%s" % port.read_text().strip()
        yield {"url": url, "certificate": str(certificate), "directory": str(directory)}
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)


def once(contender: str, work: pathlib.Path, variables: t.Mapping[str, t.Any], containers: int) -> t.Dict[str, float]:
    """One run: seconds of the task, and of the whole ansible-playbook."""
    task, made = TASKS[contender]
    play, report = work / "play.yml", work / "report.json"
    play.write_text(PLAY % (task.rstrip("\n"), made))
    report.unlink(missing_ok=True)
    environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(work), ANSIBLE_LOCALHOST_WARNING="0")
    extra = json.dumps(dict(variables, report=str(report), containers=containers))
    begin = time.monotonic()
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", extra, str(play)]
    command += ["-e", "ansible_python_interpreter=" + sys.executable]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    whole = time.monotonic() - begin
    if done.returncode:
        raise SystemExit("%s failed:\n%s%s" % (contender, done.stdout[-3000:], done.stderr[-3000:]))
    result = json.loads(report.read_text())
    if result["made"] != containers:
        raise SystemExit("%s made %d archives instead of %d" % (contender, result["made"], containers))
    return {"task": result["seconds"], "whole": whole}


def measure(arguments: argparse.Namespace) -> t.Dict[str, t.Any]:
    """All runs, in turn."""
    runs: t.Dict[str, t.List[t.Dict[str, float]]] = {LOOP: [], MODULE: []}
    with tempfile.TemporaryDirectory(prefix="bench-checkpoint-") as name:
        work = stage(pathlib.Path(name))
        with kubelet(work, arguments.containers, arguments.delay) as variables:
            for number in range(arguments.runs):
                for contender, results in runs.items():
                    print("run %d of %s" % (number + 1, contender), file=sys.stderr)
                    results.append(once(contender, work, variables, arguments.containers))
                    for path in pathlib.Path(variables["directory"]).iterdir():
                        path.unlink()
    medians = {
        contender: {kind: statistics.median(run[kind] for run in results) for kind in ("task", "whole")}
        for contender, results in runs.items()
    }
    ratio = {kind: medians[LOOP][kind] / medians[MODULE][kind] for kind in ("task", "whole")}
    return {
        "containers": arguments.containers,
        "delay": arguments.delay,
        "concurrency": 10,
        "cpus": os.cpu_count(),
        "runs": runs,
        "medians": medians,
        "ratio": ratio,
        "promise": PROMISE,
        "kept": ratio["task"] >= PROMISE,
    }


def table(report: t.Mapping[str, t.Any]) -> str:
    """For people."""
    lines = ["%d containers, %g s each, %d CPUs" % (report["containers"], report["delay"], report["cpus"])]
    lines.append("%-28s %10s %22s" % ("", "task", "whole ansible-playbook"))
    for contender, medians in report["medians"].items():
        lines.append("%-28s %8.2f s %20.2f s" % (contender, medians["task"], medians["whole"]))
    ratio = report["ratio"]
    lines.append("%-28s %9.1fx %21.1fx" % ("the module is faster by", ratio["task"], ratio["whole"]))
    lines.append("promised: %gx for the task: %s" % (report["promise"], "kept" if report["kept"] else "BROKEN"))
    return "\n".join(lines)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--containers", type=int, default=50, help="how many (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=0.2, help="seconds until the kubelet answers (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file")
    arguments = parser.parse_args()
    missing = [program for program in ("ansible-playbook", "openssl") if shutil.which(program) is None]
    if missing:
        raise SystemExit("install %s" % " ".join(missing))
    report = measure(arguments)
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return 0 if report["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
