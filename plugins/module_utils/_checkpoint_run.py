# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of the module C(checkpoint): resolve, call, wait, verify, record, for many containers at once.

PRIVATE to the collection. Everything outside (kubelet, runtime, clocks) comes in through C(Tools), so that it is tested
without a node. The result is plain data; problems of single containers end up in C(failures), not in an exception.
"""

from __future__ import annotations

import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_targets as targets
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_archive import Shelf
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_one import One, Settings
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_targets import (
    Resolved,
    Target,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    HttpStatusError,
    InputError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import (
    KubeletClient,
    is_forbidden,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import failure

Result = t.Dict[str, t.Any]


@dataclass
class Tools:
    """What the work is done with. kubelet: None with transport C(cri). cri: None where there is no crictl."""

    kubelet: t.Optional[KubeletClient]
    cri: t.Optional[Cri]
    lock_directory: t.Optional[str] = None
    sleep: t.Callable[[float], t.Any] = time.sleep
    notes: t.List[str] = field(default_factory=list)


def settings_of(params: t.Mapping[str, t.Any], check_mode: bool) -> Settings:
    """The options that matter to a single container, checked."""
    for name, minimum in (("timeout", 1), ("deadline", 1), ("max_age", 0), ("authorization_wait", 0)):
        if params[name] is not None and params[name] < minimum:
            raise InputError("%s must be at least %d, not %d" % (name, minimum, params[name]))
    if params["timeout"] is not None and params["deadline"] is not None and params["deadline"] <= params["timeout"]:
        raise InputError(
            "deadline (%d s) must be longer than timeout (%d s): a call that we give up while the kubelet still waits"
            " can leave the container paused" % (params["deadline"], params["timeout"])
        )
    if not params["checkpoint_dir"].startswith("/"):
        raise InputError("checkpoint_dir %r is not an absolute path" % params["checkpoint_dir"])
    return Settings(
        transport=params["transport"],
        checkpoint_dir=params["checkpoint_dir"],
        timeout=params["timeout"],
        deadline=params["deadline"],
        max_age=params["max_age"],
        rename=params["rename"],
        verify=params["verify"],
        node=params["node"],
        cluster=params["cluster"],
        authorization_wait=params["authorization_wait"],
        check_mode=check_mode,
    )


def resolve(params: t.Mapping[str, t.Any], tools: Tools) -> Resolved:
    """Find the containers that the options mean. Every name is checked before anybody is asked."""
    requests = targets.requests_of(params)
    matches = targets.check_selectors(params)
    if tools.kubelet is None:
        if params["label_selectors"] or params["field_selectors"]:
            raise InputError(
                "transport=cri knows no labels and fields of pods: select with pods or namespace, or use another"
                " transport"
            )
        if tools.cri is None:
            raise InputError("transport=cri needs crictl on this machine, and it is not installed")
        return targets.by_cri(requests, params["namespace"], params["containers"] or [], tools.cri.containers())
    try:
        pods = tools.kubelet.pods(None if requests else params["namespace"])
    except HttpStatusError as exc:
        if not is_forbidden(exc) or not requests:
            raise
        return _without_pods(requests, tools, exc)
    if not requests:
        return targets.by_selector(matches, params["namespace"], params["containers"] or [], pods)
    return targets.by_name(requests, pods, lambda namespace, pod: _not_here(tools.kubelet, namespace, pod))


def _without_pods(requests: t.Sequence[targets.Request], tools: Tools, exc: CheckpointError) -> Resolved:
    """The credentials may make checkpoints and not read pods (least privilege): ask the runtime, else take the names
    as they are."""
    if tools.cri is not None:
        try:
            return targets.by_cri(requests, None, [], tools.cri.containers())
        except CheckpointError as cri_exc:
            tools.notes.append("the container runtime could not be asked for its containers: %s" % cri_exc.msg)
    if any(not request.containers for request in requests):
        raise exc
    return targets.unresolved(requests)


def _not_here(kubelet: t.Optional[KubeletClient], namespace: str, pod: str) -> str:
    found = kubelet.pod(namespace, pod) if kubelet is not None else None
    node = (found or {}).get("spec", {}).get("nodeName")
    if found is not None:
        return "pod %s/%s is on %s, not on the node that was asked" % (
            namespace,
            pod,
            "node %s" % node if node else "no node yet",
        )
    return (
        "there is no pod %s in namespace %s on this node. Check the name; where the pod runs shows: kubectl get pod -n"
        " %s %s -o wide"
        % (
            pod,
            namespace,
            namespace,
            pod,
        )
    )


def run(params: t.Mapping[str, t.Any], tools: Tools, check_mode: bool) -> Result:
    """Do it all. The result has C(failures); the module fails if there are any."""
    settings = settings_of(params, check_mode)
    concurrency = params["concurrency"]
    if concurrency < 1 or concurrency > 256:
        raise InputError("concurrency must be between 1 and 256, not %d" % concurrency)
    resolved = resolve(params, tools)
    failures = [_failure(entry[:3], CheckpointError(entry[3])) for entry in resolved.problems]
    one = One(
        settings,
        tools.kubelet,
        tools.cri,
        Shelf(settings.checkpoint_dir),
        _engine_version(tools),
        tools.lock_directory,
        tools.sleep,
    )
    lock = threading.Lock()
    done: t.Dict[str, Result] = {}

    def work(target: Target) -> None:
        try:
            entry = one(target)
        except CheckpointError as exc:
            with lock:
                failures.append(_failure((target.namespace, target.pod, target.container), exc))
            return
        with lock:
            done[str(target)] = entry

    if concurrency == 1 or len(resolved.targets) < 2:
        for target in resolved.targets:
            work(target)
    else:
        with ThreadPoolExecutor(max_workers=min(concurrency, len(resolved.targets))) as pool:
            for future in [pool.submit(work, target) for target in resolved.targets]:
                future.result()
    # In the order in which they were asked for, whatever the order in which they were finished.
    checkpoints = [done[str(target)] for target in resolved.targets if str(target) in done]
    return {
        "changed": any(entry["changed"] for entry in checkpoints),
        "checkpoints": checkpoints,
        "failures": failures,
        "not_running": resolved.not_running,
        "msg": _summary(checkpoints, failures, resolved, check_mode),
    }


def _engine_version(tools: Tools) -> t.Callable[[], t.Optional[str]]:
    """Ask once, and only when a record is written."""
    lock, known = threading.Lock(), []  # type: t.Tuple[threading.Lock, t.List[t.Optional[str]]]

    def ask() -> t.Optional[str]:
        with lock:
            if not known:
                try:
                    known.append(tools.cri.version().version if tools.cri is not None else None)
                except CheckpointError:
                    known.append(None)
            return known[0]

    return ask


def _failure(where: t.Tuple[t.Any, ...], exc: CheckpointError) -> Result:
    entry = failure(exc)
    entry.update({"namespace": where[0], "pod": where[1], "container": where[2]})
    entry.setdefault("http_status", None)
    entry.setdefault("paused", {"found": None, "resumed": False, "msg": "no checkpoint was attempted"})
    return entry


def _summary(
    checkpoints: t.Sequence[Result], failures: t.Sequence[Result], resolved: Resolved, check_mode: bool
) -> str:
    if failures:
        total = len(checkpoints) + len(failures)
        if total == 1:
            return str(failures[0]["msg"])
        first = failures[0]
        name = "/".join(str(first[key]) for key in ("namespace", "pod", "container") if first[key] is not None)
        return "%d of %d checkpoints failed. The first, of %s: %s" % (len(failures), total, name, first["msg"])
    if not checkpoints:
        return "no running container matches, so there was nothing to checkpoint%s" % (
            " (%d do not run)" % len(resolved.not_running) if resolved.not_running else ""
        )
    reused = sum(1 for entry in checkpoints if entry["reused"])
    made = len(checkpoints) - reused
    parts = (
        [
            "%d %s %s"
            % (
                made,
                "container" if made == 1 else "containers",
                "would be checkpointed" if check_mode else "checkpointed",
            )
        ]
        if made
        else []
    )
    if reused:
        parts.append("%d already had a fresh enough archive" % reused)
    return ", ".join(parts)
