# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkpoint of one container, from the call to the record.

PRIVATE to the collection. One object serves all containers of a module call, from several threads.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_archive as archives
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_repair as repair
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _diagnosis_logs as logs
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record, _retry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_memory import (
    Cgroups,
    derived_timeout,
    own_deadline,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._checkpoint_targets import Target
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._cri import Cri
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    HttpStatusError,
    InputError,
    RuntimeToolError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._kubelet import (
    KubeletClient,
    is_forbidden,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._lock import container_lock
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._pipeline import VerifiedArchive

Entry = t.Dict[str, t.Any]

# How a connection failed before the request was sent: the container was not touched.
_NOT_SENT = ("refused", "dns", "connect_timeout", "fingerprint", "tls_ca", "tls_host", "tls_expired", "tls_protocol")

_FORBIDDEN_AFTER = 5.0


@dataclass(frozen=True)
class Settings:
    """The options that matter to a single container. Times in seconds; None: derived."""

    transport: str
    checkpoint_dir: str
    timeout: t.Optional[int] = None
    deadline: t.Optional[int] = None
    max_age: t.Optional[int] = None
    rename: str = "keep"
    verify: str = "auto"
    node: t.Optional[str] = None
    cluster: t.Optional[str] = None
    authorization_wait: int = 35
    check_mode: bool = False


class One:
    """Call it with a target: the result's entry for it, or CheckpointError."""

    def __init__(
        self,
        settings: Settings,
        kubelet: t.Optional[KubeletClient],
        cri: t.Optional[Cri],
        shelf: archives.Shelf,
        engine_version: t.Callable[[], t.Optional[str]],
        lock_directory: t.Optional[str] = None,
        sleep: t.Callable[[float], t.Any] = time.sleep,
    ) -> None:
        self._settings = settings
        self._kubelet = kubelet
        self._cri = cri
        self._shelf = shelf
        self._engine_version = engine_version
        self._lock_directory = lock_directory
        self._sleep = sleep
        self._cgroups = Cgroups()
        self._forbidden_since: t.Optional[float] = None
        self._forbidden_lock = threading.Lock()
        self._probed: t.Dict[t.Tuple[str, str], t.Optional[CheckpointError]] = {}

    def __call__(self, target: Target) -> Entry:
        """Make the checkpoint, or find one that is fresh enough, or (check mode) predict."""
        settings = self._settings
        target = self._with_id(target)
        timeout = settings.timeout if settings.timeout is not None else derived_timeout(self._memory(target))
        deadline = float(settings.deadline) if settings.deadline is not None else own_deadline(timeout)
        if settings.check_mode:
            return self._predict(target)
        with container_lock(str(target), deadline, self._lock_directory, sleep=self._sleep) as before_call:
            reused = self._reuse(target, deadline)
            if reused is not None:
                return reused
            before_call()
            return self._make(target, timeout, deadline)

    # -- what is known before ------------------------------------------------------------------------------------

    def _with_id(self, target: Target) -> Target:
        """The container's ID, which max_age, the CRI and a repair need."""
        if target.container_id is None and self._cri is not None:
            try:
                running = [
                    entry
                    for entry in self._cri.containers(target.namespace, target.pod, target.container)
                    if entry.running
                ]
            except CheckpointError:
                running = []
            if running:
                target = Target(
                    target.namespace,
                    target.pod,
                    target.container,
                    running[0].id,
                    running[0].pod_uid or None,
                    target.node,
                    target.pod_object,
                )
        if target.container_id is None and self._settings.max_age is not None:
            raise InputError(
                "max_age needs the ID of the container %s, to tell its archives from those of an earlier one, and"
                " nobody says it: the credentials may not read pods (get nodes/pods), and crictl is not on this machine"
                " or does not know the container" % target
            )
        return target

    def _memory(self, target: Target) -> t.Optional[int]:
        if target.container_id is None:
            return None
        memory = self._cgroups.memory(target.container_id)
        if memory is None and self._cri is not None:
            memory = self._cri.memory(target.container_id)
        return memory

    def _reuse(self, target: Target, deadline: float) -> t.Optional[Entry]:
        if self._settings.max_age is None:
            return None
        found = self._shelf.fresh(target, self._settings.max_age)
        if found is None:
            return None
        if found.record is None:
            # Somebody made it and was interrupted, or was not us: it becomes complete now.
            stages: t.Dict[str, float] = {}
            if self._settings.check_mode:
                return self._entry(target, path=found.path, changed=True, reused=True)
            return self._complete(target, found.path, None, time.monotonic() + deadline, stages, reused=True)
        if self._settings.verify == "always":
            verified = archives.verify(found.path, target, None, _state_of(found.path), time.monotonic() + deadline)
            if verified.sha256 != found.record["archive"]["sha256"]:
                raise ArchiveError(
                    "archive %s is damaged: its SHA-256 is %s, and its record says %s"
                    % (found.path, verified.sha256, found.record["archive"]["sha256"])
                )
        return self._entry(target, path=found.path, record=found.record, changed=False, reused=True, verified=True)

    def _predict(self, target: Target) -> Entry:
        reused = self._reuse(target, float(self._settings.timeout or 120))
        if reused is not None:
            return reused
        if self._kubelet is None:
            self._need_id(target)
        else:
            key = (target.namespace, target.pod)
            if key not in self._probed:
                try:
                    self._patiently(lambda: self._kubelet.probe(*key))  # type: ignore[union-attr]
                    self._probed[key] = None
                except CheckpointError as exc:
                    self._probed[key] = exc
            problem = self._probed[key]
            if problem is not None:
                raise problem
        return self._entry(target, changed=True)

    def _need_id(self, target: Target) -> str:
        if target.container_id is None:
            raise InputError("the container runtime of this node runs no container %s" % target)
        return target.container_id

    # -- the call ------------------------------------------------------------------------------------------------

    def _make(self, target: Target, timeout: int, deadline: float) -> Entry:
        stages: t.Dict[str, float] = {}
        started, called_at = time.monotonic(), time.time()
        try:
            path = self._call(target, timeout, deadline)
            stages["call"] = time.monotonic() - started
            path = archives.check_path(path, self._settings.checkpoint_dir)
        except CheckpointError as exc:
            raise self._after_failure(exc, target, called_at) from exc
        if not self._is_here(path):
            return self._entry(target, path=path, changed=True, stages=stages)
        try:
            return self._complete(target, path, called_at, started + deadline, stages)
        except CheckpointError as exc:
            exc.details.setdefault("path", path)
            exc.details.setdefault(
                "paused", {"found": False, "resumed": False, "msg": "the checkpoint itself succeeded"}
            )
            raise

    def _call(self, target: Target, timeout: int, deadline: float) -> str:
        failed = 0
        while True:
            called_at = time.time()
            try:
                return self._patiently(lambda: self._call_once(target, timeout, deadline))
            except CheckpointError as exc:
                failed += 1
                logs.add_to(exc, target.container_id, called_at)
                # What timed out is never simply tried again: the archive may exist, the container may be paused.
                answered = isinstance(exc, RuntimeToolError) or (isinstance(exc, HttpStatusError) and exc.status >= 500)
                pause = _retry.pause_before_next(exc.details.get("diagnosis") or [], failed) if answered else None
                if pause is None:
                    raise
                self._sleep(pause)

    def _call_once(self, target: Target, timeout: int, deadline: float) -> str:
        if self._kubelet is not None:
            return self._kubelet.checkpoint(target.namespace, target.pod, target.container, timeout, deadline)
        if self._cri is None:
            raise InputError("transport=cri needs crictl on this machine, and it is not installed")
        os.makedirs(self._settings.checkpoint_dir, mode=0o700, exist_ok=True)
        path = archives.new_path(self._settings.checkpoint_dir, target, datetime.datetime.now().astimezone())
        try:
            return self._cri.checkpoint(self._need_id(target), path, float(timeout))
        except CheckpointError as exc:
            exc.details.setdefault("diagnosis", diagnose(exc.msg))
            raise

    def _patiently(self, call: t.Callable[[], t.Any]) -> t.Any:
        """Repeat what is answered with 403 for a while: the kubelet remembers a refusal after the right was granted."""
        while True:
            try:
                return call()
            except HttpStatusError as exc:
                if not is_forbidden(exc):
                    raise
                with self._forbidden_lock:
                    # One waiting time for the whole module call, not one for each container.
                    if self._forbidden_since is None:
                        self._forbidden_since = time.monotonic()
                    waited = time.monotonic() - self._forbidden_since
                if waited + _FORBIDDEN_AFTER > self._settings.authorization_wait:
                    raise
                self._sleep(_FORBIDDEN_AFTER)

    def _after_failure(self, exc: CheckpointError, target: Target, called_at: float) -> CheckpointError:
        """Was the container left paused, is there half an archive? Adds what was found to the error."""
        status = exc.details.get("http_status")
        refused = status is not None and status < 500 and status != 200
        if isinstance(exc, InputError) or refused or exc.details.get("transport") in _NOT_SENT:
            exc.details.setdefault("paused", {"found": False, "resumed": False, "msg": "the container was not touched"})
            return exc
        grace = repair.GRACE_ANSWERED if status is not None else repair.GRACE_GIVEN_UP
        paused = repair.look_and_resume(self._cri, target, grace, self._sleep)
        exc.details["paused"] = paused
        exc.details["leftovers"] = archives.leftovers(self._settings.checkpoint_dir, target, called_at)
        exc.msg += "\nAfterwards: %s." % str(paused["msg"]).rstrip(".")
        if exc.details["leftovers"]:
            exc.msg += "\nThe failed call left behind: %s." % ", ".join(exc.details["leftovers"])
        return exc

    # -- the archive ---------------------------------------------------------------------------------------------

    def _is_here(self, path: str) -> bool:
        """Whether the archive can be read on this machine, or is the business of a later call on the node."""
        if self._settings.verify == "never":
            return False
        return self._settings.verify == "always" or self._settings.transport != "api_proxy" or os.path.lexists(path)

    def _complete(
        self,
        target: Target,
        path: str,
        called_at: t.Optional[float],
        end: float,
        stages: t.Dict[str, float],
        reused: bool = False,
    ) -> Entry:
        started = time.monotonic()
        while True:
            state = archives.wait_complete(path, end, sleep=self._sleep)
            stages["wait"] = time.monotonic() - started
            try:
                verified = archives.verify(path, target, called_at, state, end)
                break
            except ArchiveError as exc:
                # It changed while it was read: somebody still writes. Wait again, within the deadline.
                if not exc.details.get("incomplete") or time.monotonic() >= end:
                    raise
        stages["verify"] = time.monotonic() - started - stages["wait"]
        if self._settings.rename == "safe":
            path = archives.rename_safe(path)
        record = self._record(target, path, verified, stages)
        return self._entry(target, path=path, record=record, changed=True, reused=reused, verified=True, stages=stages)

    def _record(
        self, target: Target, path: str, verified: VerifiedArchive, stages: t.Mapping[str, float]
    ) -> _record.Record:
        """The pod's object first, the record last: what has a record is complete."""
        if target.pod_object is not None:
            _record.write_pod(path, target.pod_object)
        record = _record.build(
            path,
            verified,
            node=self._settings.node or target.node,
            cluster=self._settings.cluster,
            pod=target.pod_object,
            engine_version=self._engine_version(),
            stages=stages,
        )
        _record.write(path, record)
        return record

    def _entry(
        self,
        target: Target,
        path: t.Optional[str] = None,
        record: t.Optional[_record.Record] = None,
        changed: bool = False,
        reused: bool = False,
        verified: bool = False,
        stages: t.Optional[t.Mapping[str, float]] = None,
    ) -> Entry:
        archive = record["archive"] if record else {}
        return {
            "namespace": target.namespace,
            "pod": target.pod,
            "container": target.container,
            "container_id": record["source"]["container_id"] if record else target.container_id,
            "node": self._settings.node or target.node,
            "path": path,
            "size": archive.get("bytes"),
            "sha256": archive.get("sha256"),
            "record_path": _record.path_for(path) if record and path else None,
            "record": record,
            "changed": changed,
            "verified": verified,
            "reused": reused,
            "stages": {key: round(value, 6) for key, value in (stages or {}).items()},
        }


def _state_of(path: str) -> t.Any:
    """The file as it is now."""
    return archives.FileState.of(os.lstat(path))
