# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of kubeadm: checks documents as kubeadm does, writes the files that it writes, records how it was called.

It makes no cluster. An imageRepository below .invalid cannot be pulled from, an apiServerEndpoint below .invalid not reached.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import subprocess
import sys

import yaml

HERE = "/usr/lib/kubernetes-doubles"
sys.path.insert(0, HERE)

import fields

LOG = "/var/log/kubernetes-doubles/calls.jsonl"
TOKENS = "/var/lib/kubernetes-doubles/tokens.json"
LETTERS = string.ascii_lowercase + string.digits


def version() -> str:
    with open(HERE + "/kubeadm.version", encoding="utf-8") as file:
        return file.read().strip()


def record(argv: list[str], **more: object) -> None:
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    with open(LOG, "a", encoding="utf-8") as file:
        file.write(json.dumps({"program": "kubeadm", "argv": argv, **more}) + "\n")


def fail(message: str) -> None:
    sys.stderr.write("error: %s\nTo see the stack trace of this error execute with --v=5 or higher\n" % message)
    sys.exit(1)


def write(path: str, text: str, mode: int = 0o600) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)


def option(argv: list[str], name: str) -> str:
    for number, word in enumerate(argv):
        if word == name:
            return argv[number + 1]
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return ""


def documents(argv: list[str]) -> dict[str, dict]:
    path = option(argv, "--config")
    with open(path, encoding="utf-8") as file:
        found = [one for one in yaml.safe_load_all(file) if one]
    with open(HERE + "/kubelet.fields", encoding="utf-8") as file:
        known = set(file.read().split())
    wrong = fields.problems(found, int(version().split(".")[1]), known)
    if wrong:
        fail("error unmarshaling configuration %s: strict decoding error: %s" % (path, ", ".join(wrong)))
    return {one["kind"]: one for one in found}


def tokens() -> dict[str, str]:
    try:
        with open(TOKENS, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def new_token() -> str:
    made = ["".join(secrets.choice(LETTERS) for _number in range(length)) for length in (6, 16)]
    write(TOKENS, json.dumps({**tokens(), made[0]: made[1]}))
    return ".".join(made)


def start_kubelet(registration: dict, kubelet: dict) -> None:
    write("/var/lib/kubelet/config.yaml", yaml.safe_dump({"staticPodPath": "/etc/kubernetes/manifests", "healthzPort": 10248, **kubelet}), 0o644)
    write("/var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS=""\n', 0o644)
    write("/var/lib/kubelet/instance-config.yaml", yaml.safe_dump({"containerRuntimeEndpoint": registration.get("criSocket")}), 0o644)
    write("/etc/kubernetes/kubelet.conf", "apiVersion: v1\nkind: Config\n")
    subprocess.run(["systemctl", "restart", "kubelet"], check=True)


def upload_certificates() -> None:
    if not os.path.exists("/etc/kubernetes/pki/ca.crt"):
        fail("error execution phase upload-certs: error loading CA")
    key = secrets.token_hex(32)
    write("/var/lib/kubernetes-doubles/last-key", key)
    print("[upload-certs] Storing the certificates in Secret \"kubeadm-certs\"\n[upload-certs] Using certificate key:\n%s" % key)


def init(argv: list[str]) -> None:
    found = documents(argv) if argv[1:2] != ["phase"] or option(argv, "--config") else {}
    if argv[1:3] == ["phase", "upload-certs"] and "--upload-certs" in argv:
        upload_certificates()
        return
    if os.path.exists("/etc/kubernetes/admin.conf"):
        fail(
            "error execution phase preflight: [preflight] Some fatal errors occurred:\n\t[ERROR FileAvailable--etc-kubernetes-admin.conf] already exists"
        )
    if found["ClusterConfiguration"].get("imageRepository", "").endswith(".invalid"):
        write("/etc/kubernetes/admin.conf", "half\n")
        fail("error execution phase preflight: [ERROR ImagePull]: failed to pull image %s/pause" % found["ClusterConfiguration"]["imageRepository"])
    write("/etc/kubernetes/pki/ca.crt", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 0o644)
    write("/etc/kubernetes/admin.conf", "apiVersion: v1\nkind: Config\n# secret-of-the-administrator\n")
    start_kubelet(found["InitConfiguration"]["nodeRegistration"], found["KubeletConfiguration"])
    shown = "<value withheld>" if "--skip-token-print" in argv else new_token()
    print("Your Kubernetes control-plane has initialized successfully!\n\nkubeadm join 10.0.0.1:6443 --token %s" % shown)


def join(argv: list[str]) -> None:
    record(argv, config_mode=oct(os.stat(option(argv, "--config")).st_mode & 0o777))
    found = documents(argv)["JoinConfiguration"]
    if found["discovery"]["bootstrapToken"]["apiServerEndpoint"].partition(":")[0].endswith(".invalid"):
        token = found["discovery"]["bootstrapToken"]["token"]
        fail("couldn't validate the identity of the API Server with token %s: no such host" % token)
    # What the cluster of these tests hands out.
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "featureGates": {"ContainerCheckpoint": True}}
    if found.get("controlPlane", {}).get("certificateKey"):
        write("/etc/kubernetes/admin.conf", "apiVersion: v1\nkind: Config\n")
    start_kubelet(found["nodeRegistration"], kubelet)
    print("This node has joined the cluster")


def token(argv: list[str]) -> None:
    if argv[1] == "delete":
        left = tokens()
        if left.pop(argv[2], None) is None:
            fail("failed to delete bootstrap token %r: not found" % argv[2])
        write(TOKENS, json.dumps(left))
        print('bootstrap token "%s" deleted' % argv[2])
        return
    made = new_token()
    write("/var/lib/kubernetes-doubles/last-token", made)
    print("kubeadm join 10.0.0.1:6443 --token %s --discovery-token-ca-cert-hash sha256:%s " % (made, "0" * 64))


def reset(_argv: list[str]) -> None:
    subprocess.run(["systemctl", "stop", "kubelet"], check=False)
    for path in (
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/pki/ca.crt",
        "/var/lib/kubelet/config.yaml",
        "/var/lib/kubelet/kubeadm-flags.env",
        "/var/lib/kubelet/instance-config.yaml",
    ):
        if os.path.exists(path):
            os.unlink(path)


def main() -> None:
    argv = sys.argv[1:]
    if argv[:1] != ["join"]:
        record(argv)
    if argv[:1] == ["version"]:
        print(version())
    elif argv[:2] == ["config", "validate"]:
        documents(argv)
        print("ok")
    elif argv[:1] and argv[0] in ("init", "join", "token", "reset"):
        {"init": init, "join": join, "token": token, "reset": reset}[argv[0]](argv)
    else:
        fail('unknown command "%s" for "kubeadm"' % " ".join(argv))


if __name__ == "__main__":
    main()
