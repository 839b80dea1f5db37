# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Double of crictl 1.36 over a real CRI socket: the commands that the collection and the lab use.

Installed as /usr/local/bin/crictl (a two-line wrapper). Same flags, same JSON, same exit code and same message on
stderr as the real one; see README.md for what is not imitated.
"""

from __future__ import annotations

import datetime
import glob
import os
import re
import sys
import typing as t

import crictl_output as out
from cri import Cri, CriError
from crictl_flags import Flags, UsageError, duration

CONFIG = "/etc/crictl.yaml"
DEFAULT_ENDPOINTS = (
    "unix:///run/containerd/containerd.sock",
    "unix:///run/crio/crio.sock",
    "unix:///var/run/cri-dockerd.sock",
)
GLOBAL_FLAGS = Flags(
    runtime_endpoint="string r",
    image_endpoint="string i",
    timeout="duration t",
    config="string c",
    debug="bool D",
    version="bool v",
)
STATES = {"created": 0, "running": 1, "exited": 2, "unknown": 3}
LIST_FLAGS = dict(
    id="string",
    name="string",
    namespace="string",
    state="string s",
    label="list",
    quiet="bool q",
    output="string o=table",
    latest="bool l",
    last="int n",
    verbose="bool v",
    no_trunc="bool",
)


class Failure(Exception):
    """The command failed; str() is the message of crictl's last line."""


def labels_of(values: t.Iterable[str]) -> dict[str, str]:
    pairs = [value.split("=") for value in values]
    for pair in pairs:
        if len(pair) != 2:
            raise Failure(f"incorrectly specified label: {'='.join(pair)}")
    return dict(pairs)


def matches(pattern: t.Optional[str], text: str) -> bool:
    return not pattern or re.search(pattern, text) is not None


def newest(found: list[t.Any], options: dict[str, t.Any]) -> list[t.Any]:
    found = sorted(found, key=lambda item: item.created_at, reverse=True)
    count = 1 if options["latest"] else options["last"]
    return found[:count] if count else found


def list_containers(cri: Cri, options: dict[str, t.Any]) -> list[t.Any]:
    wanted: dict[str, t.Any] = {"label_selector": labels_of(options["label"])}
    if options["id"]:
        wanted["id"] = options["id"]
    if options["pod"]:
        wanted["pod_sandbox_id"] = options["pod"]
    if options["state"]:
        if options["state"].lower() not in STATES:
            raise Failure("--state should be one of created, running, exited or unknown")
        wanted["state"] = {"state": STATES[options["state"].lower()]}
    elif not (options["all"] or options["latest"] or options["last"]):
        wanted["state"] = {"state": STATES["running"]}
    found = [
        c
        for c in cri.containers(**wanted)
        if matches(options["name"], c.metadata.name)
        and matches(options["namespace"], c.labels.get("io.kubernetes.pod.namespace", ""))
    ]
    if options["image"]:
        image = cri.call("ImageStatus", image={"image": options["image"]}).image
        found = [
            c
            for c in found
            if image.id and cri.call("ImageStatus", image={"image": c.image.image}).image.id == image.id
        ]
    return newest(found, options)


def ps(cri: Cri, options: dict[str, t.Any], _arguments: list[str]) -> None:
    found = list_containers(cri, options)
    if options["output"] == "json":
        print(out.dump({"containers": [out.as_dict(c) for c in found]}, sort=False))
    elif options["quiet"]:
        print("".join(f"{c.id}\n" for c in found), end="")
    else:
        print(
            out.table(
                ("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"),
                [
                    (
                        out.short(c.id),
                        out.short(c.image.image),
                        out.go_time(c.created_at),
                        ("Created", "Running", "Exited", "Unknown")[c.state],
                        c.metadata.name,
                        c.metadata.attempt,
                        out.short(c.pod_sandbox_id),
                        c.labels.get("io.kubernetes.pod.name", ""),
                        c.labels.get("io.kubernetes.pod.namespace", ""),
                    )
                    for c in found
                ],
            )
        )


def pods(cri: Cri, options: dict[str, t.Any], _arguments: list[str]) -> None:
    wanted: dict[str, t.Any] = {"label_selector": labels_of(options["label"])}
    if options["id"]:
        wanted["id"] = options["id"]
    if options["state"]:
        states = {"ready": 0, "notready": 1}
        if options["state"].lower() not in states:
            raise Failure("--state should be ready or notready")
        wanted["state"] = {"state": states[options["state"].lower()]}
    found = newest(
        [
            p
            for p in cri.sandboxes(**wanted)
            if matches(options["name"], p.metadata.name) and matches(options["namespace"], p.metadata.namespace)
        ],
        options,
    )
    if options["output"] == "json":
        print(out.dump({"items": [out.as_dict(p) for p in found]}, sort=False))
    elif options["quiet"]:
        print("".join(f"{p.id}\n" for p in found), end="")
    else:
        print(
            out.table(
                ("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"),
                [
                    (
                        out.short(p.id),
                        out.go_time(p.created_at),
                        ("Ready", "NotReady")[p.state],
                        p.metadata.name,
                        p.metadata.namespace,
                        p.metadata.attempt,
                        p.runtime_handler or "(default)",
                    )
                    for p in found
                ],
            )
        )


def inspect(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    ids = arguments
    if not ids:  # the real crictl 1.36 ignores --name and --namespace here; so do we
        ids = [c.id for c in list_containers(cri, {**options, "name": None, "namespace": None})]
    results = []
    for identifier in ids:
        try:
            answer = cri.call("ContainerStatus", container_id=identifier, verbose=not options["quiet"])
        except CriError as exc:
            raise Failure(f"get the status of containers: get container status: {exc}") from None
        results.append(out.with_info(answer.info, status=out.container_status(answer.status)))
    print_inspected(results, options)


def inspectp(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    results = []
    for identifier in arguments or [p.id for p in cri.sandboxes()]:
        try:
            answer = cri.call("PodSandboxStatus", pod_sandbox_id=identifier, verbose=not options["quiet"])
        except CriError as exc:
            raise Failure(f"get the status of pod sandboxes: get pod sandbox status: {exc}") from None
        results.append(out.with_info(answer.info, status=out.sandbox_status(answer.status)))
    print_inspected(results, options)


def inspecti(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    results = []
    for identifier in arguments or [image.id for image in cri.call("ListImages").images]:
        try:
            answer = cri.call("ImageStatus", image={"image": identifier}, verbose=not options["quiet"])
        except CriError as exc:
            raise Failure(f'image status for "{identifier}" request: {exc}') from None
        if not answer.HasField("image"):
            raise Failure(f'no such image "{identifier}" present')
        results.append(out.with_info(answer.info, status=out.as_dict(answer.image)))
    print_inspected(results, options)


def print_inspected(results: list[dict[str, t.Any]], options: dict[str, t.Any]) -> None:
    if not results:  # the real one shows its help after this and exits 0
        log("error", "No IDs provided or nothing found per filter")
        return
    if options["output"] not in (None, "json"):
        raise Failure(f'unsupported format: "{options["output"]}"')
    print(out.inspected(results))


def images(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    found = cri.call("ListImages", filter={"image": {"image": arguments[0]}} if arguments else {}).images
    if options["output"] == "json":
        print(out.dump({"images": [out.as_dict(image) for image in found]}, sort=False))
    elif options["quiet"]:
        print("".join(f"{image.id}\n" for image in found), end="")
    else:
        rows = [
            (*(tag.rsplit(":", 1)), out.short(image.id), f"{image.size / 1e6:.3g}MB")
            for image in found
            for tag in (image.repo_tags or ["<none>:<none>"])
        ]
        print(out.table(("IMAGE", "TAG", "IMAGE ID", "SIZE"), rows))


def pull(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    if not arguments:
        raise Failure("image name cannot be empty")
    auth: t.Optional[dict[str, str]] = None
    creds = options["creds"] or os.environ.get("CRICTL_CREDS")
    encoded = options["auth"] or os.environ.get("CRICTL_AUTH")
    if creds and encoded:
        raise Failure("both `--creds` and `--auth` are specified")
    if creds:
        username, _sep, password = creds.partition(":")
        auth = {"username": username, "password": password}
    elif encoded:
        auth = {"auth": encoded}
    spec = {"image": arguments[0], "annotations": labels_of(options["annotation"])}
    fields = {"image": spec, **({"auth": auth} if auth else {})}
    try:
        answer = cri.call("PullImage", deadline=options["pull_timeout"] or 0, **fields)
    except CriError as exc:
        raise Failure(f"pulling image: {exc}") from None
    print(f"Image is up to date for {answer.image_ref}")


def rmi(cri: Cri, _options: dict[str, t.Any], arguments: list[str]) -> None:
    for name in arguments:
        image = cri.call("ImageStatus", image={"image": name})
        if not image.HasField("image"):
            raise Failure(f"no such image {name}")
        cri.call("RemoveImage", image={"image": name})
        print("".join(f"Deleted: {tag}\n" for tag in image.image.repo_tags or [image.image.id]), end="")


def checkpoint(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    if not arguments:
        raise Failure("ID cannot be empty")
    if not options["export"]:
        raise Failure(
            "cannot checkpoint a container without specifying the checkpoint destination. "
            "Use --export=/path/to/checkpoint.tar"
        )
    for identifier in arguments:
        try:
            cri.checkpoint(identifier, options["export"])
        except CriError as exc:
            raise Failure(f'checkpointing the container "{identifier}" failed: {exc}') from None
        print(identifier)


def stats(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    wanted: dict[str, t.Any] = {"label_selector": labels_of(options["label"])}
    if options["id"] or arguments:
        wanted["id"] = options["id"] or arguments[0]
    if options["pod"]:
        wanted["pod_sandbox_id"] = options["pod"]
    found = list(cri.call("ListContainerStats", filter=wanted).stats)
    if options["output"] == "json":
        print(out.dump({"stats": [out.as_dict(entry) for entry in found]}, sort=False))
    else:
        print(
            out.table(
                ("CONTAINER", "NAME", "MEM"),
                [
                    (
                        out.short(s.attributes.id),
                        s.attributes.metadata.name,
                        f"{s.memory.working_set_bytes.value / 1e6:.4g}MB",
                    )
                    for s in found
                ],
            )
        )


def stop(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    if not arguments:
        raise Failure("you must specify at least one CONTAINER-ID or use --all")
    for identifier in arguments:
        try:
            cri.stop(identifier, options["timeout"] or 0)
        except CriError as exc:
            raise Failure(f'stopping the container "{identifier}": {exc}') from None
        print(identifier)


def rm(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    for identifier in arguments:
        try:
            status = cri.status(identifier)
        except CriError as exc:
            raise Failure(f'getting container status "{identifier}": {exc}') from None
        if status.state == STATES["running"]:
            if not options["force"]:
                raise Failure(f'container "{identifier}" is running, please stop it first')
            cri.stop(identifier, 0)
        cri.call("RemoveContainer", container_id=identifier)
        if status.log_path and not options["keep_logs"]:
            for log in [*glob.glob(glob.escape(status.log_path) + ".*"), status.log_path]:
                if os.path.exists(log):
                    os.remove(log)
        print(identifier)


def stopp(cri: Cri, _options: dict[str, t.Any], arguments: list[str]) -> None:
    for identifier in arguments:
        cri.call("StopPodSandbox", pod_sandbox_id=identifier)
        print(f"Stopped sandbox {identifier}")


def rmp(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    for identifier in arguments:
        status = cri.call("PodSandboxStatus", pod_sandbox_id=identifier).status
        if status.state == 0:
            if not options["force"]:
                raise Failure(f'pod sandbox "{identifier}" is running, please stop it first')
            cri.call("StopPodSandbox", pod_sandbox_id=identifier)
        cri.call("RemovePodSandbox", pod_sandbox_id=identifier)
        print(f"Removed sandbox {identifier}")


def exec_(cri: Cri, options: dict[str, t.Any], arguments: list[str]) -> None:
    """Always the CRI's ExecSync: the streaming protocol of an exec without ``--sync`` is not imitated."""
    if len(arguments) < 2:
        raise Failure("exec: a container and a command are needed")
    answer = cri.call(
        "ExecSync", deadline=0, container_id=arguments[0], cmd=arguments[1:], timeout=options["timeout"] or 0
    )
    newline = b"\n" if options["sync"] else b""
    sys.stdout.buffer.write(answer.stdout + newline)
    (sys.stdout if options["sync"] else sys.stderr).buffer.write(answer.stderr + newline)
    sys.stdout.flush()
    if answer.exit_code:
        raise Failure(
            f"execing command in container {arguments[0]}: command terminated with exit code {answer.exit_code}"
        )


def version(cri: Cri, _options: dict[str, t.Any], _arguments: list[str]) -> None:
    try:
        answer = cri.call("Version", version="v1")
    except CriError as exc:
        raise Failure(f"getting the runtime version: {exc}") from None
    print(
        f"Version:  {answer.version}\nRuntimeName:  {answer.runtime_name}\n"
        f"RuntimeVersion:  {answer.runtime_version}\nRuntimeApiVersion:  {answer.runtime_api_version}"
    )


def info(cri: Cri, options: dict[str, t.Any], _arguments: list[str]) -> None:
    try:
        answer = cri.call("Status", verbose=not options["quiet"])
    except CriError as exc:
        raise Failure(f"getting status of runtime: {exc}") from None
    print_inspected([out.runtime_info(answer)], options)


INSPECT_FLAGS = {**LIST_FLAGS, "output": "string o", "template": "string"}
CONTAINER_FLAGS = dict(pod="string p", image="string", all="bool a")
COMMANDS: dict[str, tuple[t.Callable[..., None], Flags]] = {
    "version": (version, Flags()),
    "info": (info, Flags(output="string o=json", quiet="bool q", template="string")),
    "ps": (ps, Flags(**LIST_FLAGS, **CONTAINER_FLAGS, resolve_image_path="bool r")),
    "pods": (pods, Flags(**LIST_FLAGS)),
    "inspect": (inspect, Flags(**INSPECT_FLAGS, **CONTAINER_FLAGS)),
    "inspectp": (inspectp, Flags(**INSPECT_FLAGS)),
    "inspecti": (inspecti, Flags(output="string o", quiet="bool q", template="string", name="string", filter="list f")),
    "images": (
        images,
        Flags(
            output="string o",
            quiet="bool q",
            verbose="bool v",
            filter="list f",
            digests="bool",
            no_trunc="bool",
            pinned="bool",
        ),
    ),
    "pull": (
        pull,
        Flags(
            creds="string",
            auth="string",
            username="string u",
            pod_config="string",
            annotation="list a",
            pull_timeout="duration pt",
        ),
    ),
    "rmi": (rmi, Flags(all="bool a", prune="bool q")),
    "checkpoint": (checkpoint, Flags(export="string e")),
    "stats": (
        stats,
        Flags(
            all="bool a",
            id="string",
            pod="string p",
            label="list",
            output="string o=table",
            seconds="int s",
            watch="bool w",
        ),
    ),
    "stop": (stop, Flags(timeout="int t", all="bool a")),
    "rm": (rm, Flags(force="bool f", keep_logs="bool k", all="bool a")),
    "stopp": (stopp, Flags()),
    "rmp": (rmp, Flags(force="bool f", all="bool a")),
    "exec": (exec_, Flags(sync="bool s", timeout="int", tty="bool t", interactive="bool i", quiet="bool q")),
}
COMMANDS["image"] = COMMANDS["img"] = COMMANDS["images"]


def read_config(path: str) -> dict[str, str]:
    """/etc/crictl.yaml as kubeadm and people write it: flat ``key: value`` lines."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        lines = [line.partition("#")[0].split(":", 1) for line in file]
    return {pair[0].strip(): pair[1].strip().strip("\"'") for pair in lines if len(pair) == 2}


def connect(options: dict[str, t.Any]) -> Cri:
    config = read_config(options["config"] or os.environ.get("CRI_CONFIG_FILE", CONFIG))
    endpoint = (
        options["runtime_endpoint"] or os.environ.get("CONTAINER_RUNTIME_ENDPOINT") or config.get("runtime-endpoint")
    )
    if not endpoint:
        there = [e for e in DEFAULT_ENDPOINTS if os.path.exists(e[len("unix://") :])]
        endpoint = (there or DEFAULT_ENDPOINTS)[0]
    timeout = options["timeout"]
    if timeout is None and config.get("timeout", "0") != "0":
        value = config["timeout"]
        timeout = float(value) if value.isdigit() else duration(value, "timeout")
    return Cri(endpoint, timeout if timeout and timeout > 0 else 2.0)


def log(level: str, text: str) -> None:
    """A line on stderr in logrus' text format; the last line of a failed crictl has the level ``fatal``."""
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    print(f'time="{now}" level={level} msg="{quoted}"', file=sys.stderr)


def main(argv: t.Sequence[str]) -> int:
    try:
        options, rest = GLOBAL_FLAGS.parse(argv)
        if options["version"]:
            print("crictl version v1.36.0-double")
            return 0
        if not rest or rest[0] not in COMMANDS:
            print(f"usage: crictl [global options] {{{','.join(sorted(COMMANDS))}}}")
            return 0 if not rest else 3
        command, flags = COMMANDS[rest[0]]
        values, arguments = flags.parse(rest[1:])
        command(connect(options), values, arguments)
    except (UsageError, Failure) as exc:
        log("fatal", str(exc))
        return 1
    except CriError as exc:
        log("fatal", f"{rest[0]}: {exc}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
