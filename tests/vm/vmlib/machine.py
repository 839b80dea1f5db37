# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One QEMU process and the ssh connection to what runs in it.

The process dies with the one that started it, so that nothing is left after a C(kill -9) either; it is spoken to by
its standard input and output, so there is no socket to leave behind.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import typing as t

from lablib import shell
from lablib.errors import LabError

BOOT_SECONDS = 1200  # emulated, on a machine that has other things to do


def program() -> str:
    """QEMU's path."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise LabError("qemu-system-x86_64 is not installed: apt-get install qemu-system-x86 qemu-utils")
    return found


def acceleration() -> tuple[str, ...]:
    """QEMU's arguments: software emulation, or what VM_ACCEL=kvm asks for.

    A /dev/kvm that is there proves nothing: in a virtual machine it may refuse or stop on ordinary instructions.
    """
    wanted = os.environ.get("VM_ACCEL", "tcg")
    if wanted == "kvm":
        return ("-accel", "kvm", "-cpu", "host")
    if wanted != "tcg":
        raise LabError(f"VM_ACCEL is {wanted!r}: tcg or kvm")
    # QEMU 7.2's cmpxchg16b leaves rubbish in the flags, of which kernels panic sooner or later; without it they do not use it.
    return ("-accel", "tcg,thread=single,tb-size=512", "-cpu", "Haswell-noTSX,cx16=off")


def arguments(directory: str, disk: str, memory_mib: int, accel: t.Sequence[str], boot: t.Sequence[str]) -> list[str]:
    """What must be the same when a saved state is to be loaded."""
    return [
        *accel, *boot, "-m", str(memory_mib), "-smp", "1", "-display", "none", "-nodefaults", "-rtc", "base=utc",
        "-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe", "-device", "virtio-rng-pci", "-serial", f"file:{directory}/console.log",
    ]


class Machine:
    """A virtual machine."""

    def __init__(self, directory: str, disk: str, keys: str, memory_mib: int, accel: t.Sequence[str], boot: t.Sequence[str] = ()) -> None:
        self.directory, self.keys = directory, keys
        self._fixed = arguments(directory, disk, memory_mib, accel, boot)
        self.port = 0
        self.process: t.Any = None

    # The process ------------------------------------------------------------------------------------------------

    def start(self, snapshot: str = "") -> None:
        """Start it, from a saved state where one is named, and wait until ssh answers."""
        for attempt in range(3):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            try:
                self._launch(snapshot)
                break
            except LabError as exc:
                if attempt == 2 or "hostfwd" not in str(exc):  # somebody else was quicker to take the port
                    raise
        kind, key = shell.read_text(f"{self.keys}/ssh_host_key.pub").split()[:2]
        shell.write_file(f"{self.directory}/known_hosts", f"[127.0.0.1]:{self.port} {kind} {key}\n")
        self.wait()

    def _launch(self, snapshot: str) -> None:
        argv = [program(), *self._fixed, "-qmp", "stdio"]
        argv += ["-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=n"]
        argv += ["-loadvm", snapshot] if snapshot else []
        self._errors = open(f"{self.directory}/qemu.log", "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, preexec_fn=shell.die_with_parent)
        try:
            self._read()  # the greeting
            self.ask("qmp_capabilities")
        except LabError:
            self.stop()
            raise

    def _read(self) -> dict[str, t.Any]:
        line = self.process.stdout.readline()
        if not line:
            raise LabError(f"QEMU ended: {self.said()}")
        return json.loads(line)

    def ask(self, command: str, **arguments: t.Any) -> t.Any:
        """One command of QEMU's own protocol."""
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise LabError(f"QEMU refused {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def save(self, snapshot: str) -> None:
        """Keep the running machine's state in its disk."""
        said = self.ask("human-monitor-command", **{"command-line": f"savevm {snapshot}"}).strip()
        if said:
            raise LabError(f"QEMU did not save the machine's state: {said}")

    def said(self) -> str:
        """What QEMU and the console said last."""
        lines = []
        for name in ("qemu.log", "console.log"):
            lines += shell.read_text(f"{self.directory}/{name}", "").strip().splitlines()[-4:]
        return " | ".join(lines)

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self._errors):
                try:
                    stream.close()
                except OSError:
                    pass
            self.process = None

    def power_off(self) -> None:
        """Shut it down as its administrator would, so that its disk is whole."""
        self.run("sync; systemctl poweroff", check=False)
        try:
            self.process.wait(180)
        except subprocess.TimeoutExpired as exc:
            raise LabError(f"the machine did not shut down: {self.said()}") from exc
        self.stop()

    # The guest --------------------------------------------------------------------------------------------------

    def ssh(self, command: str) -> list[str]:
        """The argument list that runs a shell command in the guest."""
        options = ["-i", f"{self.keys}/ssh_key", "-o", f"UserKnownHostsFile={self.directory}/known_hosts", "-o", "IdentitiesOnly=yes", "-F", "none"]
        options += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"]
        return ["ssh", *options, "-p", str(self.port), "root@127.0.0.1", command]

    def run(self, command: str, check: bool = True, timeout: float = 300) -> str:
        """Run a shell command in the guest; what it printed."""
        done = shell.run(self.ssh(command), check=check, timeout=timeout)
        return done.stdout.decode(errors="replace")

    def wait(self) -> None:
        """Wait until the guest lets us in."""
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            if self.process.poll() is not None:
                raise LabError(f"QEMU ended with {self.process.returncode}: {self.said()}")
            try:
                if shell.run(self.ssh("true"), check=False, timeout=60).returncode == 0:
                    return
            except LabError:
                pass
            if time.monotonic() > deadline:
                raise LabError(f"no ssh within {BOOT_SECONDS} seconds: {self.said()}")
            time.sleep(0.5)
