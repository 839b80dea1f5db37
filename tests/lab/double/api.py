# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Double of the Kubernetes API server: command line and life cycle (README.md says what it imitates).

    api.py start --dir DIR --address IP [--port 6443] [--node NAME]... files, server in the background; idempotent
    api.py serve --dir DIR --address IP [--port 6443] [--node NAME]... the same in the foreground
    api.py stop  --dir DIR

DIR afterwards holds kubeconfig (cluster-admin), ca.crt, kubelet-token (may only create nodes/checkpoint),
nothing-token (may do nothing), nodes/NAME/kubelet.conf and the pid and log of the server. The server also ends when
DIR is removed.
"""

from __future__ import annotations

import argparse
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import typing as t
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from apidouble import auth, bootstrap, controllers, pki  # noqa: E402
from apidouble.resources import Discovery  # noqa: E402
from apidouble.server import ApiHandler, App  # noqa: E402
from apidouble.store import Key, Store  # noqa: E402
from httpsd import TlsServer, server_context  # noqa: E402

TOKEN_SECONDS = 365 * 24 * 3600
CLUSTER_IP = "10.96.0.1"
WAIT_SECONDS = 20.0
SAVE_SECONDS = 2.0


def build(place: pki.Directory, address: str, port: int, nodes: t.Sequence[str], pull_secret: str = "") -> TlsServer:
    """The server, listening but not yet serving; the files in its directory complete."""
    pki.ensure(place, address, port, nodes)
    store = Store(place.file("state.json"))
    bootstrap.fill(store, place.read("ca.crt"), CLUSTER_IP, port)
    if pull_secret:
        bootstrap.fill_pull_secret(store, pull_secret)
    app = App(place, store, Discovery(f"{address}:{port}"))
    for name, file in ((bootstrap.CHECKPOINTER, "kubelet-token"), (bootstrap.POWERLESS, "nothing-token")):
        if not place.has(file) or auth.user_of_token(app.token_key, place.read(file).strip(), store) is None:
            account = store.get(Key("", "serviceaccounts"), "default", name)
            place.write(auth.issue_token(app.token_key, account, TOKEN_SECONDS) + "\n", file)
    context = server_context(place.file("apiserver.crt"), place.file("apiserver.key"), place.file("ca.crt"))
    return TlsServer((address, port), ApiHandler, context, app)


def serve(place: pki.Directory, address: str, port: int, nodes: t.Sequence[str], pull_secret: str) -> None:
    server = build(place, address, port, nodes, pull_secret)
    store: Store = server.app.store
    place.write(f"{os.getpid()}\n", "api.pid")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=controllers.run, args=(store, place.read("ca.crt"), stopping.is_set), daemon=True).start()
    saved = -1
    while not stopping.wait(SAVE_SECONDS):
        if not place.has("api.pid") or place.read("api.pid").strip() != str(os.getpid()):
            return
        if store.version != saved:
            saved = store.version
            store.save()
    store.save()
    os.unlink(place.file("api.pid"))


def running(place: pki.Directory) -> t.Optional[int]:
    """The pid of this directory's server, if it is alive and really ours."""
    try:
        pid = int(place.read("api.pid"))
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if place.path.encode() in words else None


def answers(place: pki.Directory, address: str, port: int) -> bool:
    context = ssl.create_default_context(cafile=place.file("ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"https://{address}:{port}/readyz", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def start(place: pki.Directory, address: str, port: int, nodes: t.Sequence[str], pull_secret: str) -> int:
    pki.ensure(place, address, port, nodes)  # a node that came later gets its file even if the server runs
    if running(place) and answers(place, address, port):
        print("unchanged")
        return 0
    arguments = [
        sys.executable,
        os.path.abspath(__file__),
        "serve",
        "--dir",
        place.path,
        "--address",
        address,
        "--port",
        str(port),
    ]
    for node in nodes:
        arguments += ["--node", node]
    if pull_secret:
        arguments += ["--pull-secret", os.path.abspath(pull_secret)]
    with open(place.file("api.log"), "ab") as log:
        child = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if child.poll() is not None:
            print(f"the API server double ended with {child.returncode}; see {place.file('api.log')}", file=sys.stderr)
            return 1
        if answers(place, address, port):
            print("started")
            return 0
        time.sleep(0.1)
    print(f"the API server double does not answer at {address}:{port}; see {place.file('api.log')}", file=sys.stderr)
    return 1


def stop(place: pki.Directory) -> int:
    pid = running(place)
    if pid is None:
        print("unchanged")
        return 0
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + WAIT_SECONDS
    while running(place) and time.monotonic() < end:
        time.sleep(0.1)
    if running(place):
        os.kill(pid, signal.SIGKILL)
    print("stopped")
    return 0


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Double of the Kubernetes API server.")
    parser.add_argument("action", choices=["start", "serve", "stop"])
    parser.add_argument("--dir", required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6443)
    parser.add_argument("--node", action="append", default=[])
    parser.add_argument("--pull-secret", default="", help="docker configuration for pods in the namespace default")
    options = parser.parse_args(argv)
    place = pki.Directory(options.dir)
    if options.action == "stop":
        return stop(place)
    if options.action == "start":
        return start(place, options.address, options.port, options.node, options.pull_secret)
    serve(place, options.address, options.port, options.node, options.pull_secret)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
