# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh server on loopback and a user with sudo, to test and measure what happens over ssh with become.

loopback_ssh.py up DIRECTORY writes inventory.yml there, with the host "loopback"; loopback_ssh.py down DIRECTORY removes
everything again. Needs root, sshd, ssh-keygen, useradd and sudo. The user can do nothing but log in from loopback with
a key that is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time


def user_of(directory: pathlib.Path) -> str:
    """The name of the user: another one for every directory, so that several servers do not meet."""
    return "cc-fetch-" + hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]


def sudoers_of(user: str) -> pathlib.Path:
    """What lets the user become root."""
    return pathlib.Path("/etc/sudoers.d") / user


def sshd() -> str:
    """The server's path."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def missing() -> list:
    """Packages that have to be installed first."""
    needed = {"openssh-server": sshd(), "sudo": shutil.which("sudo"), "openssh-client": shutil.which("ssh-keygen")}
    return [package for package, path in needed.items() if not path]


def up(directory: pathlib.Path) -> None:
    """Start the server."""
    if missing():
        raise SystemExit("install " + " ".join(missing()))
    user = user_of(directory)
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    try:
        pwd.getpwnam(user)
    except KeyError:
        # "*": no password fits, and the account is not locked.
        subprocess.run(["useradd", "--system", "--create-home", "--shell", "/bin/sh", "--password", "*", user], check=True)
    keys = pathlib.Path(pwd.getpwnam(user).pw_dir) / ".ssh" / "authorized_keys"
    keys.parent.mkdir(mode=0o755, exist_ok=True)
    keys.write_text((directory / "key.pub").read_text())
    keys.chmod(0o644)
    sudoers_of(user).write_text("%s ALL=(ALL) NOPASSWD: ALL\n" % user)
    sudoers_of(user).chmod(0o440)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = directory / "sshd_config"
    config.write_text(
        "ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s\nPidFile %s\nUsePAM no\nStrictModes no\n"
        "AllowUsers %s\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        % (port, directory / "host_key", keys, directory / "sshd.pid", user)
    )
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    subprocess.run([sshd(), "-f", str(config)], check=True)
    known = directory / "known_hosts"
    known.write_text("[127.0.0.1]:%d %s" % (port, (directory / "host_key.pub").read_text()))
    arguments = "-o UserKnownHostsFile=%s -o ControlMaster=auto -o ControlPersist=10s -o ControlPath=%s/cp-%%C" % (known, directory)
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(directory / "key"),
        "ansible_ssh_args": arguments,
        "ansible_become": True,
        "ansible_python_interpreter": os.environ.get("LOOPBACK_PYTHON", "/usr/bin/python3"),
    }
    (directory / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"loopback": host}}}, indent=2) + "\n")
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def down(directory: pathlib.Path) -> None:
    """Stop the server, remove the user."""
    user = user_of(directory)
    pid = directory / "sshd.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    sudoers_of(user).unlink(missing_ok=True)
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        # sshd's processes for this user; userdel refuses while there are any.
        try:
            if process.stat().st_uid == pwd.getpwnam(user).pw_uid:
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, KeyError):
            continue
    deadline = time.monotonic() + 120
    while subprocess.run(["userdel", "--remove", user], capture_output=True, check=False).returncode not in (0, 6):
        if time.monotonic() > deadline:
            raise SystemExit("user %s cannot be removed" % user)
        time.sleep(0.2)


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve())
