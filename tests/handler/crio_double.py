# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node. A double of CRI-O, which Debian does not carry: it reads CRI-O's configuration files, makes the bundle
and the OCI spec as CRI-O 1.36 does, and has the real conmon call the configured OCI runtime, which is real too.

    crio --version | config | (nothing: the service)     as the program C(crio) that the role looks for
    crio_double.py ACTION < ORDER > ANSWER               JSON; see ACTIONS

Left out: images (containerd's are used), the pod network, conmon's own cgroup, the infra container.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import typing as t

CONF, CONF_D = "/etc/crio/crio.conf", "/etc/crio/crio.conf.d"
LIBEXEC = "/usr/libexec/crio"
RUN, LIB = "/run/containers/storage/overlay-containers", "/var/lib/containers/storage/overlay-containers"
PODS, EXITS, SOCKETS = "/run/crio-double", "/run/crio/exits", "/run/crio"
# Not the node's root: that is an overlay, and an overlay's upper directory must not lie on one.
STORAGE = "/var/lib/containerd/crio-double"
UNIT = """[Unit]
Description=Double of CRI-O
[Service]
ExecStart=/usr/local/bin/crio
[Install]
WantedBy=multi-user.target
"""
# What CRI-O's own packages bring.
PACKAGED = """[crio.runtime]
default_runtime = "runc"
cgroup_manager = "{manager}"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
"""
CAPABILITIES = ["CAP_" + name for name in "CHOWN DAC_OVERRIDE FSETID FOWNER SETGID SETUID SETPCAP NET_BIND_SERVICE KILL".split()]
MASKED = ["/proc/" + name for name in "acpi interrupts kcore keys latency_stats sched_debug timer_list timer_stats".split()] + ["/sys/firmware"]
READ_ONLY = ["/proc/" + name for name in "bus fs irq sys sysrq-trigger".split()]

Document = t.Dict[str, t.Any]


# Configuration --------------------------------------------------------------------------------------------------


def settings() -> Document:
    """crio.runtime of all files, a later one over an earlier one, runtimes by name."""
    paths = [CONF] + sorted(os.path.join(CONF_D, name) for name in (os.listdir(CONF_D) if os.path.isdir(CONF_D) else []))
    merged: Document = {"runtimes": {}}
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
            table = tomllib.load(stream).get("crio", {}).get("runtime", {})
            merged["runtimes"].update(table.pop("runtimes", {}))
            merged.update(table)
    for name, runtime in merged["runtimes"].items():
        if runtime.get("runtime_type", "oci") == "oci" and not os.access(runtime.get("runtime_path") or shutil.which(name) or "", os.X_OK):
            sys.exit("validating runtime config: runtime validation: invalid runtime_path for runtime '%s'" % name)
    if merged.get("default_runtime", "crun") not in merged["runtimes"]:
        sys.exit("validating runtime config: default_runtime set to %r, but no runtime with that name" % merged.get("default_runtime"))
    return merged


def show(merged: Document) -> str:
    """C(crio config): only what differs from the defaults is no comment."""
    plain = {key: value for key, value in merged.items() if key != "runtimes"}
    lines = ["# The CRI-O configuration file specifies all of the available configuration options.", "[crio]", "[crio.runtime]",
             "# pids_limit = -1", *("%s = %s" % (key, json.dumps(value)) for key, value in plain.items())]
    for name, runtime in merged["runtimes"].items():
        lines += ["[crio.runtime.runtimes.%s]" % name, *("%s = %s" % (key, json.dumps(value)) for key, value in runtime.items())]
    return "\n".join(lines) + "\n"


def crio(argv: t.List[str]) -> None:
    """The program."""
    if argv == ["--version"]:
        print("crio version 1.36.3 (double)")
    elif argv == ["config"]:
        sys.stdout.write(show(settings()))
    else:
        settings()
        signal.pause()


def install(order: Document) -> Document:
    """Put the program, its packaged configuration and its helpers on the node."""
    for directory in (CONF_D, LIBEXEC, "/usr/local/bin"):
        os.makedirs(directory, exist_ok=True)
    for name in ("runc", "conmon"):
        shutil.copy2(t.cast(str, shutil.which(name)), os.path.join(LIBEXEC, name))
    put(os.path.join(CONF_D, "10-crio.conf"), PACKAGED.format(manager=order["cgroup_manager"]))
    put("/usr/local/bin/crio", "#!/bin/sh\nexec /usr/bin/python3 %s crio \"$@\"\n" % os.path.abspath(__file__), 0o755)
    put("/etc/systemd/system/crio.service", UNIT)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "enable", "--now", "--quiet", "crio.service"], check=True)
    return {}


def uninstall(_order: Document) -> Document:
    subprocess.run(["systemctl", "disable", "--now", "--quiet", "crio.service"], check=True)
    for path in ("/usr/local/bin/crio", "/etc/systemd/system/crio.service"):
        os.unlink(path)
    for path in ("/etc/crio", LIBEXEC):
        shutil.rmtree(path)
    shutil.rmtree(STORAGE, ignore_errors=True)
    return {}


# Pods and containers --------------------------------------------------------------------------------------------


def pod(order: Document) -> Document:
    """Namespaces that outlive the containers, as CRI-O pins them; no infra container (drop_infra_ctr)."""
    sandbox = secrets.token_hex(32)
    kinds = {"net": "--net", "ipc": "--ipc", "uts": "--uts"}
    for kind in kinds:
        put("/run/%sns/%s" % (kind, sandbox), "")
    subprocess.run(["unshare", *("%s=/run/%sns/%s" % (option, kind, sandbox) for kind, option in kinds.items()),
                    "hostname", order["name"]], check=True)
    host = "/var/log/pods/" + order["uid"]
    os.makedirs(host + "/token", exist_ok=True)
    for name in ("hosts", "termination", "token/token"):
        put(os.path.join(host, name), "127.0.0.1 localhost\n")
    put(os.path.join(PODS, sandbox), json.dumps(order))
    return {"id": sandbox}


def create(order: Document) -> Document:
    """A container of a pod, made and created as CRI-O does; C(message) where the runtime refused."""
    identity, sandbox = secrets.token_hex(32), order["sandbox"]
    with open(os.path.join(PODS, sandbox), encoding="utf-8") as stream:
        mine = json.load(stream)
    merged = settings()
    runtime = merged["runtimes"][order.get("handler") or merged["default_runtime"]]
    systemd = merged.get("cgroup_manager", "systemd") == "systemd"
    bundle, persistent, root = "%s/%s/userdata" % (RUN, identity), "%s/%s/userdata" % (LIB, identity), "%s/%s" % (STORAGE, identity)
    for directory in (bundle, persistent, EXITS, bundle + "/shm", *(os.path.join(root, name) for name in ("upper", "work", "merged"))):
        os.makedirs(directory, exist_ok=True)
    os.chmod(root + "/upper", 0o555)
    run("mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (image(order["image"]), root, root), "overlay", root + "/merged")
    run("mount", "-t", "tmpfs", "-o", "size=65536k", "shm", bundle + "/shm")
    for path, text in ((bundle + "/resolv.conf", ""), (bundle + "/hostname", mine["name"]), (persistent + "/.containerenv", "")):
        put(path, text, 0o644)
    log = "/var/log/pods/%s/%s-%d.log" % (mine["uid"], order["name"], order["attempt"])
    put(os.path.join(bundle, "config.json"), json.dumps(spec(order, mine, identity, bundle, persistent, root + "/merged", systemd)))
    # What a second call needs to know.
    put(os.path.join(bundle, "double.json"), json.dumps({
        "runtime": runtime["runtime_path"], "monitor": runtime.get("monitor_path") or shutil.which("conmon"), "env": runtime.get("monitor_env", []),
        "root": runtime.get("runtime_root", "/run/runc"), "systemd": systemd, "storage": root, "tty": order["tty"], "name": order["name"]}))
    call = container(identity)
    argv = ["-b", bundle, "-c", identity, "--exit-dir", EXITS, "-l", log, "--log-level", "info", "-n", "k8s_" + order["name"],
            "-P", bundle + "/conmon-pidfile", "-p", bundle + "/pidfile", "--persist-dir", persistent, "-r", call["runtime"],
            "--runtime-arg", "--root=" + call["root"], "--socket-dir-path", SOCKETS, "--syslog", "-u", identity]
    argv += (["-s"] if systemd else []) + (["-t"] if order["tty"] else [])
    answer = monitor(call, argv)
    if answer["pid"] < 0:
        with contextlib.suppress(subprocess.CalledProcessError):
            oci(call, "delete", "--force", identity)
        clean(identity, call)
        return {"id": identity, "message": "container create failed: " + answer.get("message", "")}
    return {"id": identity, "pid": answer["pid"]}


def spec(order: Document, mine: Document, identity: str, bundle: str, persistent: str, root: str, systemd: bool) -> Document:
    """The OCI spec, with the mounts, annotations and cgroup path that CRI-O's have."""
    host, uid, unified = "/var/log/pods/" + mine["uid"], mine["uid"], os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    device = ["nosuid", "noexec", "nodev"]
    mounts = [("/proc", "proc", "proc", device), ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
              ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
              ("/dev/mqueue", "mqueue", "mqueue", device), ("/sys", "sysfs", "sysfs", [*device, "ro"]),
              ("/sys/fs/cgroup", "cgroup", "cgroup", [*device, "relatime", "ro"]),
              ("/dev/shm", "bind", bundle + "/shm", ["rw", "bind"]), ("/etc/resolv.conf", "bind", bundle + "/resolv.conf", ["rw", "bind", *device]),
              ("/etc/hostname", "bind", bundle + "/hostname", ["rw", "bind"]), ("/run/.containerenv", "bind", persistent + "/.containerenv", ["rw", "bind"]),
              ("/etc/hosts", "bind", host + "/hosts", ["rbind", "rprivate", "rw", "bind"]),
              ("/dev/termination-log", "bind", host + "/termination", ["rbind", "rprivate", "rw", "bind"]),
              ("/var/run/secrets/kubernetes.io/serviceaccount", "bind", host + "/token", ["rbind", "rprivate", "ro", "bind"])]
    shared = (("network", "net"), ("ipc", "ipc"), ("uts", "uts"))
    namespaces = [{"type": "pid"}, {"type": "mount"}]
    namespaces += [{"type": kind, "path": "/run/%sns/%s" % (short, order["sandbox"])} for kind, short in shared]
    resources: Document = {"devices": [{"allow": False, "access": "rwm"}]}
    if controllers():
        resources.update(cpu={"shares": 2, "quota": 0, "period": 100000}, pids={"limit": -1})
    labels = {"io.kubernetes.container.name": order["name"], "io.kubernetes.pod.name": mine["name"],
              "io.kubernetes.pod.namespace": mine["namespace"], "io.kubernetes.pod.uid": uid}
    return {
        "ociVersion": "1.1.0", "hostname": mine["name"], "root": {"path": root},
        "process": {"terminal": order["tty"], "user": {"uid": 0, "gid": 0, "additionalGids": [0]}, "args": order["command"], "cwd": "/",
                    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOSTNAME=" + mine["name"]],
                    "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}},
        "mounts": [{"destination": where, "type": kind, "source": source, "options": options} for where, kind, source, options in mounts],
        "annotations": dict(labels, **{
            "io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.ContainerID": identity,
            "io.kubernetes.cri-o.SandboxID": order["sandbox"], "io.kubernetes.cri-o.ImageName": order["image"],
            "io.kubernetes.cri-o.ImageRepoDigests": order["image"], "io.kubernetes.cri-o.Labels": json.dumps(labels),
            "io.kubernetes.cri-o.Metadata": json.dumps({"name": order["name"], "attempt": order["attempt"]}),
            "io.kubernetes.cri-o.LogPath": "/var/log/pods/%s/%s-%d.log" % (uid, order["name"], order["attempt"]),
        }),
        "linux": {"resources": resources, "namespaces": namespaces + ([{"type": "cgroup"}] if unified else []),
                  "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
                  "cgroupsPath": "kubepods-besteffort-pod%s.slice:crio:%s" % (uid.replace("-", "_"), identity) if systemd
                  else "/kubepods/besteffort/pod%s/crio-%s" % (uid, identity)},
    }


def start(order: Document) -> Document:
    """CRI-O asks for the state first, and refuses what is not in the state C(created)."""
    call = container(order["id"])
    before = json.loads(oci(call, "state", order["id"]))["status"]
    if before != "created":
        return {"message": "container %s is not in created state: %s" % (order["id"], before)}
    oci(call, "start", order["id"])
    return {"before": before, "after": json.loads(oci(call, "state", order["id"]))["status"]}


def state(order: Document) -> Document:
    """What the runtime says, and what conmon wrote down when the container ended."""
    answer = json.loads(oci(container(order["id"]), "state", order["id"]))
    texts = {}
    for key, path in (("cgroup", "/proc/%d/cgroup" % answer["pid"]), ("exit_code", os.path.join(EXITS, order["id"]))):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as stream:
            texts[key] = stream.read()
    return {"status": answer["status"], "pid": answer["pid"], "cgroup": texts.get("cgroup", ""), "exit_code": texts.get("exit_code")}


def execute(order: Document) -> Document:
    """ExecSync: a process of its own, through conmon."""
    call = container(order["id"])
    with open("%s/%s/userdata/config.json" % (RUN, order["id"]), encoding="utf-8") as stream:
        process = dict(json.load(stream)["process"], args=order["command"], terminal=False)
    place = "/run/crio-exec-" + secrets.token_hex(8)
    put(place + ".json", json.dumps(process))
    answer = monitor(call, ["-c", order["id"], "-n", "k8s_" + call["name"], "-r", call["runtime"], "-p", place + ".pid", "-e", "-l", place + ".log",
                            "--socket-dir-path", SOCKETS, "--log-level", "info", "--sync", *(["-s"] if call["systemd"] else []),
                            "--exec-process-spec", place + ".json", "--runtime-arg", "--root=" + call["root"]], exec_sync=True)
    with open(place + ".log", encoding="utf-8") as stream:
        text = "".join(line.split(" ", 3)[3] for line in stream)
    for end in (".json", ".pid", ".log"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place + end)
    return {"exit_code": answer.get("exit_code"), "output": text, **({"message": answer["message"]} if answer.get("message") else {})}


def stop(order: Document) -> Document:
    call = container(order["id"])
    pid = json.loads(oci(call, "state", order["id"]))["pid"]
    oci(call, "kill", order["id"], "KILL")
    deadline = time.monotonic() + 10
    while pid and not os.path.exists(os.path.join(EXITS, order["id"])) and time.monotonic() < deadline:
        time.sleep(0.02)
    return state(order)


def remove(order: Document) -> Document:
    call = container(order["id"])
    oci(call, "delete", "--force", order["id"])
    clean(order["id"], call)
    return {}


def remove_pod(order: Document) -> Document:
    for kind in ("net", "ipc", "uts"):
        path = "/run/%sns/%s" % (kind, order["id"])
        run("umount", "--lazy", path)
        os.unlink(path)
    with open(os.path.join(PODS, order["id"]), encoding="utf-8") as stream:
        shutil.rmtree("/var/log/pods/" + json.load(stream)["uid"], ignore_errors=True)
    os.unlink(os.path.join(PODS, order["id"]))
    return {}


def checkpoint(order: Document) -> Document:
    """An archive in CRI-O's layout: the images are real, the wrapping is the double's."""
    import archive_double

    call, config = container(order["id"]), "%s/%s/userdata/config.json" % (RUN, order["id"])
    work = "%s/%s/userdata" % (LIB, order["id"])
    archive_double.from_crio(lambda *words: oci(call, *words), order["id"], config, call["storage"] + "/upper", order["out"], work)
    return {}


# Calls ----------------------------------------------------------------------------------------------------------


def container(identity: str) -> Document:
    with open("%s/%s/userdata/double.json" % (RUN, identity), encoding="utf-8") as stream:
        return json.load(stream)


def oci(call: Document, *words: str) -> str:
    """The OCI runtime, with the arguments CRI-O itself gives it."""
    argv = [call["runtime"], "--root", call["root"], *(["--systemd-cgroup"] if call["systemd"] else []), *words]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode()


def monitor(call: Document, argv: t.List[str], exec_sync: bool = False) -> Document:
    """conmon, with the pipes and the bare environment that CRI-O gives it; its answer."""
    reading, writing = os.pipe()
    waiting, starting = os.pipe()
    environment = dict(item.split("=", 1) for item in call["env"])
    environment.update(_OCI_SYNCPIPE=str(writing), _OCI_STARTPIPE=str(waiting))
    child = subprocess.Popen([call["monitor"], *argv], env=environment, pass_fds=(writing, waiting), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    os.close(waiting)
    os.write(starting, b"\0")
    os.close(starting)
    with os.fdopen(reading, encoding="utf-8") as stream:
        # Of an exec, the pid comes first, then what became of it.
        lines = list(stream) if exec_sync else [stream.readline()]
    child.wait()
    answers = [json.loads(line) if line else {"pid": -1, "message": "error reading container (probably exited) json message: EOF"} for line in lines]
    return dict(item for answer in answers for item in answer.items())


def clean(identity: str, call: Document) -> None:
    for path in (call["storage"] + "/merged", "%s/%s/userdata/shm" % (RUN, identity)):
        run("umount", "--lazy", path)
    for path in (call["storage"], "%s/%s" % (RUN, identity), "%s/%s" % (LIB, identity)):
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(EXITS, identity))


def image(name: str) -> str:
    """An image's files, read-only; mounted once in each mount namespace that this is called from."""
    place = os.path.join(images_here(), "".join(letter if letter.isalnum() else "_" for letter in name))
    if not os.path.ismount(place):
        os.makedirs(place, exist_ok=True)
        run("ctr", "--namespace", "k8s.io", "images", "mount", name, place)
        run("mount", "--make-private", place)
    return place


def images_here() -> str:
    return os.path.join(STORAGE, "image", str(os.stat("/proc/self/ns/mnt").st_ino))


def forget(_order: Document) -> Document:
    """Unmount the images of this mount namespace."""
    here = images_here()
    for name in os.listdir(here) if os.path.isdir(here) else []:
        run("umount", os.path.join(here, name))
    shutil.rmtree(here, ignore_errors=True)
    return {}


def controllers() -> bool:
    """Whether containers can be limited where this runs: version 1, or version 2 with controllers."""
    try:
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as stream:
            return "cpu" in stream.read().split()
    except FileNotFoundError:
        return True


def put(path: str, text: str, mode: int = 0o600) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, mode)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


ACTIONS = {"install": install, "forget": forget, "uninstall": uninstall, "pod": pod, "create": create, "start": start, "state": state, "exec": execute,
           "stop": stop, "remove": remove, "remove_pod": remove_pod, "checkpoint": checkpoint}

if __name__ == "__main__":
    if sys.argv[1] == "crio":
        crio(sys.argv[2:])
    else:
        os.umask(0o022)
        print(json.dumps(ACTIONS[sys.argv[1]](json.load(sys.stdin))))
