# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTPS server for tests that answers as a kubelet does; its texts are those of a real one (answers.txt).

It makes archives that are valid checkpoints by all that can be seen without CRIU, and, for pods with certain names,
every
kind of wrong one (see PODS). Standard library only. Started with --daemon it prints nothing and writes its pid and port
to files, so that a play can start and end it.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import http.server
import io
import json
import os
import re
import ssl
import sys
import tarfile
import threading
import time
import urllib.parse

# pod -> containers; what is special about a pod is in Kubelet.special_<name>.
PODS = {
    "counter": ["counter"],
    "two": ["a", "b"],
    "empty": ["c"],
    "truncated": ["c"],
    "growing": ["c"],
    "linked": ["c"],
    "foreign": ["c"],
    "outside": ["c"],
    "missing": ["c"],
    "slow": ["c"],
    "stopped": ["c"],
    "toolong": ["c"],
    "unimplemented": ["c"],
    "criu": ["c"],
    "strange": ["c"],
}

TOKENS = {"right": ("create", "get"), "only-checkpoint": ("create",), "nothing": (), "late": ("create", "get")}


def recorded(path):
    """title -> (status, body) of answers.txt."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    entry = re.compile(r"^== ([^\n]+)\n(.*?)\nHTTP (\d+) ?[^\n]*$", re.DOTALL | re.MULTILINE)
    return {match.group(1): (int(match.group(3)), match.group(2)) for match in entry.finditer(text)}


def container_id(namespace, pod, container):
    return hashlib.sha256(("%s/%s/%s" % (namespace, pod, container)).encode()).hexdigest()


def archive(namespace, pod, container, extra=None, size=20000):
    """The bytes of a checkpoint as containerd writes it."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    config = {
        "id": container_id(namespace, pod, container),
        "name": container,
        "rootfsImageName": "base.example/counter:1",
        "rootfsImageRef": "base.example/counter@sha256:" + "f6" * 32,
        "runtime": "io.containerd.runc.v2",
        "createdTime": "2026-11-21T11:55:33.212971722Z",
        "checkpointedTime": now,
    }
    spec = {
        "process": {"user": {"uid": 0, "gid": 0}, "env": ["PASSWORD=integration-secret-in-archive"]},
        "annotations": {
            "io.kubernetes.cri.container-name": container,
            "io.kubernetes.cri.sandbox-name": pod,
            "io.kubernetes.cri.sandbox-namespace": namespace,
        },
    }
    log = "(00.000071) Version: 4.2.1 (gitid 0)\n(00.000075) Running on node1 Linux 6.18.44 #1 SMP x86_64\n"
    contents = [
        ("checkpoint/inventory.img", b"\x16\x31\x31\x58"),
        ("checkpoint/pages-1.img", b"\xa5" * size),
        ("config.dump", json.dumps(config).encode()),
        ("dump.log", log.encode()),
        ("spec.dump", json.dumps(spec).encode()),
    ]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o600
            tar.addfile(info, io.BytesIO(content))
        if extra is not None:
            tar.addfile(extra)
    return buffer.getvalue()


class Kubelet:
    """What the server knows; one object for all requests."""

    def __init__(self, options):
        self.options = options
        self.answers = recorded(os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.txt"))
        self.refusals = 2
        self.lock = threading.Lock()
        self.size = options.size
        self.pods = dict(PODS)
        for number in range(options.extra_pods):
            self.pods["pod-%d" % number] = ["c"]

    def list_pods(self):
        items = []
        for pod, containers in self.pods.items():
            statuses = [
                {
                    "name": name,
                    "containerID": "containerd://" + container_id("default", pod, name),
                    "state": {"running": {}},
                }
                for name in containers
            ]
            spec = {
                "nodeName": "node1",
                "containers": [
                    {"name": name, "env": [{"name": "P", "value": "integration-secret-in-pod"}]} for name in containers
                ],
            }
            meta = {
                "name": pod,
                "namespace": "default",
                "labels": {"test": pod, "kind": "extra" if pod.startswith("pod-") else "named"},
            }
            items.append(
                {"metadata": meta, "spec": spec, "status": {"phase": "Running", "containerStatuses": statuses}}
            )
        return 200, json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def checkpoint(self, namespace, pod, container, query):
        if namespace != "default" or pod not in self.pods:
            return self.answers["unknown pod"]
        if container not in self.pods[pod]:
            return 404, "container %s does not exist" % container
        timeout = query.get("timeout", ["0"])[-1]
        if not re.fullmatch(r"-?[0-9]+", timeout):
            return self.answers["timeout=abc"]
        time.sleep(self.options.delay)
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = "%s/checkpoint-%s_%s-%s-%s.tar" % (self.options.directory, pod, namespace, container, stamp)
        special = getattr(self, "special_" + pod, None)
        if special is not None:
            return special(path, pod, container)
        self.write(path, archive(namespace, pod, container, size=self.size))
        return self.success(path)

    @staticmethod
    def write(path, data):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(data)

    @staticmethod
    def success(path):
        return 200, json.dumps({"items": [path]})

    @staticmethod
    def failure(pod, container, text):
        return 500, "checkpointing of default/%s/%s failed (%s)" % (pod, container, text)

    def special_empty(self, path, pod, container):
        self.write(path, b"")
        return self.success(path)

    def special_truncated(self, path, pod, container):
        self.write(path, archive("default", pod, container)[:-9000])
        return self.success(path)

    def special_growing(self, path, pod, container):
        data = archive("default", pod, container)
        self.write(path, data[:5000])

        def grow():
            for start in range(5000, len(data), 5000):
                time.sleep(0.15)
                with open(path, "ab") as stream:
                    stream.write(data[start : start + 5000])

        threading.Thread(target=grow, daemon=True).start()
        return self.success(path)

    def special_linked(self, path, pod, container):
        link = tarfile.TarInfo("checkpoint/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        self.write(path, archive("default", pod, container, link))
        return self.success(path)

    def special_foreign(self, path, pod, container):
        self.write(path, archive("default", "counter", "counter"))
        return self.success(path)

    def special_outside(self, path, pod, container):
        return self.success("/etc/passwd")

    def special_missing(self, path, pod, container):
        return self.success(path)

    def special_slow(self, path, pod, container):
        time.sleep(6)
        return self.success(path)

    def special_stopped(self, path, pod, container):
        return self.failure(pod, container, "container %s not found" % container)

    def special_toolong(self, path, pod, container):
        text = "rpc error: code = DeadlineExceeded desc = stream terminated by RST_STREAM with error code: CANCEL"
        return self.failure(pod, container, text)

    def special_unimplemented(self, path, pod, container):
        return self.failure(
            pod, container, "rpc error: code = Unimplemented desc = method CheckpointContainer not implemented"
        )

    def special_criu(self, path, pod, container):
        text = (
            'rpc error: code = Unknown desc = checkpointing container "x" failed: /usr/bin/runc did not terminate'
            " successfully: exit status 1: criu failed: type DUMP errno 0 path="
            " /run/containerd/io.containerd.runtime.v2.task/k8s.io/x/criu-dump.log"
        )
        return self.failure(pod, container, text)

    def special_strange(self, path, pod, container):
        return 200, "this is not JSON"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kubelet = None

    def rights(self):
        """What the client may do, None if it is nobody we know."""
        if isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert():
            return TOKENS["right"]
        token = (self.headers.get("Authorization") or "").partition("Bearer ")[2]
        if token == "late":
            with self.kubelet.lock:
                if self.command == "POST" and self.kubelet.refusals:
                    self.kubelet.refusals -= 1
                    return ()
        return TOKENS.get(token)

    def decide(self):
        parts = urllib.parse.urlsplit(self.path)
        words = [urllib.parse.unquote(word) for word in parts.path.strip("/").split("/")]
        rights = self.rights()
        if rights is None:
            return self.kubelet.answers["bad token"]
        if self.command == "GET" and words == ["pods"]:
            return (
                self.kubelet.list_pods()
                if "get" in rights
                else self.kubelet.answers["/pods with the checkpoint right only"]
            )
        if words[0] != "checkpoint" or self.kubelet.options.mode == "gate-off":
            return 404, "404 page not found"
        if self.command != "POST" or self.kubelet.options.mode == "no-post":
            return 405, "405: Method Not Allowed"
        if "create" not in rights:
            return self.kubelet.answers["token without the right"]
        if len(words) != 4:
            return 404, "404 page not found"
        return self.kubelet.checkpoint(words[1], words[2], words[3], urllib.parse.parse_qs(parts.query))

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        if self.kubelet.options.log:
            with self.kubelet.lock, open(self.kubelet.options.log, "a", encoding="utf-8") as stream:
                stream.write("%s %s\n" % (self.command, self.path))
        status, body = self.decide()
        data = (body + ("" if status == 200 else "\n")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients that hang up or do not trust us are part of the tests


def start(options):
    """A server that listens, and is not served yet."""
    Handler.kubelet = Kubelet(options)
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    if options.client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(options.client_ca)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--client-ca")
    parser.add_argument("--directory", required=True, help="where archives go")
    parser.add_argument("--log", help="a line for each request goes there")
    parser.add_argument("--mode", choices=["normal", "gate-off", "no-post"], default="normal")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer to a checkpoint")
    parser.add_argument("--size", type=int, default=20000, help="bytes of memory pages in an archive")
    parser.add_argument("--extra-pods", type=int, default=0, help="so many more pods, pod-0, pod-1, …")
    parser.add_argument("--daemon", metavar="PREFIX", help="go to the background; write PREFIX.pid and PREFIX.port")
    return parser.parse_args(arguments)


def main():
    options = parse()
    server = start(options)
    if options.daemon:
        if os.fork():
            os._exit(0)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        for suffix, value in ((".pid", os.getpid()), (".port", server.server_port)):
            with open(options.daemon + suffix + ".new", "w", encoding="ascii") as stream:
                stream.write("%d\n" % value)
            os.replace(options.daemon + suffix + ".new", options.daemon + suffix)
    else:
        sys.stderr.write("https://127.0.0.1:%d\n" % server.server_port)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
