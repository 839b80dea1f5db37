# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import typing as t

from . import host, lab, node, rootfs, state
from .errors import LabError


def parser() -> argparse.ArgumentParser:
    """Commands and options."""
    top = argparse.ArgumentParser(prog="lab", description="Real systemd nodes on this machine, for demonstrations and tests.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text)
        found.add_argument("--name", default="lab", help="which lab (several can exist side by side)")
        found.add_argument("--quiet", action="store_true", help="say nothing but errors")
        return found

    up = command("up", "Start a lab, or complete one that was started; prints the path of its inventory.")
    up.add_argument("--nodes", type=int, default=2, metavar="K", help="how many nodes (default: 2)")
    up.add_argument("--suite", default=rootfs.SUITES[0], choices=rootfs.SUITES, help="Debian release of the nodes")
    up.add_argument("--no-cluster", action="store_true", help="nodes only: no registries, no workload images")
    up.add_argument("--install-missing", action="store_true", help="install missing packages of this machine with apt-get")
    command("down", "Stop a lab and remove everything of it.")
    command("status", "Say as JSON what of a lab is there; exit code 3 unless all of it works.")
    clean = command("clean", "Remove everything that labs left on this machine, also after they were killed.")
    clean.add_argument("--cache", action="store_true", help="remove cached root file systems and images, too")
    clean.add_argument("--only", action="store_true", help="only the lab of --name")
    ssh = command("ssh", "Open a shell on a node, or run a command there.")
    ssh.add_argument("node")
    ssh.add_argument("arguments", nargs=argparse.REMAINDER, metavar="command")
    command("reboot", "Reboot a node and wait for it.").add_argument("node")
    return top


@contextlib.contextmanager
def _printing() -> t.Iterator[None]:
    """Flush what is printed; when nobody reads it any more, end as other tools do: quietly, by SIGPIPE."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)


def _existing(name: str) -> state.Lab:
    found = state.load(name)
    if not found:
        others = ", ".join(other.name for other in state.all_labs()) or "none"
        raise LabError(f"there is no lab {name!r} (labs on this machine: {others}): start it with 'lab up --name {name}'")
    return found


def execute(options: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    say = lab.Progress(options.quiet)
    machine = host.require(install_missing=getattr(options, "install_missing", False))
    if options.command == "up":
        up = lab.up(machine, options.name, options.nodes, options.suite, not options.no_cluster, say)
        with _printing():
            print(f"{up.state}/inventory.yml")
    elif options.command == "down":
        if not lab.down(machine, options.name, say):
            say(f"there is no lab {options.name!r}")
    elif options.command == "clean":
        lab.clean(machine, [options.name] if options.only else [], options.cache, say)
    elif options.command == "status":
        seen = lab.status(_existing(options.name))
        with _printing():
            print(json.dumps(seen, indent=2))
        return 0 if seen["up"] else 3
    elif options.command == "ssh":
        one = _existing(options.name)
        argv = node.ssh_argv(one, lab.find_node(one, options.node), [a for a in options.arguments if a != "--"])
        os.execv(argv[0], argv)
    elif options.command == "reboot":
        one = _existing(options.name)
        say(f"{options.node} is back after {lab.reboot(one, lab.find_node(one, options.node)):.1f} s")
    return 0


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Entry point."""
    try:
        with _printing():
            options = parser().parse_args(arguments)
        return execute(options)
    except LabError as exc:
        print(f"lab: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; 'lab clean' removes what was begun", file=sys.stderr)
        return 130
