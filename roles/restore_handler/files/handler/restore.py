# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore: check, prepare the root file system and the spec, have runc and CRIU restore, see that nothing runs.

CRIU is told to leave the processes stopped (its option C(leave-stopped), given in a file named by the environment
variable that CRIU reads before the options runc passes). So nothing of the workload runs before C(start).
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
import typing as t

import bundle
import marker as marks
import mounts
import processes
import report
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _criu_tasks as criu
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _privileges as privileges
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _rootfs_diff as rootfs_diff
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _stage as stage
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError, RestoreError
from arguments import Call
from settings import Settings

_STOP_TIMEOUT = 5.0
_STANDARD_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PASSED_ON = ("console-socket", "pid-file", "no-pivot")


class Work:
    """Everything one restore does to the node. What is left after a failure, C(marker.discard) removes."""

    def __init__(self, call: Call, config: Settings, spec: bundle.Spec, entry: stage.Entry, marker: str) -> None:
        self.call, self.config, self.spec, self.entry, self.marker = call, config, spec, entry, marker
        self.images = os.path.join(entry.path, stage.IMAGES)
        self.log = os.path.join(entry.path, stage.WORK, "restore.log")
        self.root = bundle.root_path(spec, call.bundle)
        self.stages: t.Dict[str, float] = {}
        self.root_touched = False

    def run(self) -> t.Dict[str, t.Any]:
        """Restore; return what the status says about it."""
        with self._timed("check"):
            found, source = self._check()
            stand_ins = mounts.missing(criu.external_mounts(self.images), self.spec, self.root, _unified_cgroups())
        with self._timed("files"):
            applied = self._prepare_root()
        with self._timed("restore"), self._private_spec(stand_ins):
            self._runc_restore()
        with self._timed("hold"):
            pid = self._init_pid()
            running = processes.wait_until_stopped(pid, _STOP_TIMEOUT)
            if running or not processes.inside(pid):
                raise RestoreError("CRIU did not leave the restored processes stopped (%s)" % (running or "there are none"))
            self._apply_oom_score(pid)
        return {
            "pid": pid,
            "pid_start_time": stage.process_start(pid),
            "processes": len(found.tasks),
            "keep_stopped": [task.pid for task in found.tasks if task.state == criu.STOPPED],
            "files": applied._asdict(),
            "stand_ins": stand_ins,
            "criu": self._statistics(),
            "source_engine": source,
        }

    @contextlib.contextmanager
    def _timed(self, name: str) -> t.Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = round(time.monotonic() - began, 4)

    def _check(self) -> t.Tuple[criu.Images, str]:
        self._check_files()
        for kind in ("pid", "user"):
            joined = bundle.namespace_path(self.spec, kind)
            if kind == "pid" and joined is None:
                raise RestoreError("the new container has no PID namespace of its own (hostPID), so its processes cannot be restored")
            if joined:
                raise RestoreError("the new container joins another %s namespace (shareProcessNamespace), so it cannot be restored" % kind)
        source = stage.read_json(os.path.join(self.entry.path, stage.SPEC))
        tty = bool((self.spec.get("process") or {}).get("terminal"))
        if tty != bool((source.get("process") or {}).get("terminal")):
            raise RestoreError("the container of the checkpoint has %s terminal, the new one has %s: set tty (and stdin) alike"
                               % ("no" if tty else "a", "one" if tty else "none"))
        found = criu.read(self.images)
        accepted = set(self.entry.document.get("accept") or [])
        grant = privileges.grant_from_spec(self.spec, found.lsm if _lsm_enabled(found.lsm) else "", _own_limits())
        above = [excess for excess in privileges.excesses(found, grant) if excess.id not in accepted]
        if privileges.seccomp_differs(source, self.spec) and "seccomp" not in accepted:
            above.append(privileges.Excess("seccomp", "the new container has another seccomp profile than the checkpoint's"))
        if above:
            raise RestoreError(
                "the checkpoint holds more privileges than the new pod grants: %s. Give the pod the security context of the "
                "source, or accept the difference when staging (%s)"
                % ("; ".join(excess.text for excess in above), ", ".join(sorted({excess.id for excess in above}))),
                excesses=[dict(vars(excess)) for excess in above],
            )
        return found, (self.entry.document.get("checkpoint") or {}).get("engine") or ""

    def _check_files(self) -> None:
        """The files that were unpacked when the entry was staged are all there, with their sizes, and nothing else is."""
        wanted = {name: int(size) for name, size in (self.entry.document.get("files") or {}).items()}
        there = {}
        for directory, names, files in os.walk(self.entry.path):
            if directory == self.entry.path:
                names[:] = [name for name in names if name != stage.WORK]
            for name in files:
                path = os.path.join(directory, name)
                relative = os.path.relpath(path, self.entry.path)
                status = os.lstat(path)
                if not os.path.isfile(path) or os.path.islink(path) or status.st_nlink != 1:
                    raise ArchiveError("staged file %s is not a plain file" % relative)
                there[relative] = status.st_size
        for own in (stage.ENTRY_FILE, stage.CLAIM_FILE, stage.STATUS_FILE):
            there.pop(own, None)
        if there != wanted:
            wrong = sorted(set(there.items()) ^ set(wanted.items()))
            raise ArchiveError("the staged files are not those that were staged: %s" % ", ".join(sorted({name for name, _size in wrong})[:5]))

    def _prepare_root(self) -> rootfs_diff.Applied:
        self.root_touched = True
        diff_path = os.path.join(self.entry.path, stage.DIFF)
        deleted_path = os.path.join(self.entry.path, stage.DELETED)
        deleted = None
        if os.path.exists(deleted_path):
            with open(deleted_path, "rb") as stream:
                deleted = stream.read(64 << 20)
        if os.path.exists(diff_path):
            with open(diff_path, "rb") as diff:
                applied = rootfs_diff.apply(self.root, diff, deleted)
        else:
            applied = rootfs_diff.apply(self.root, None, deleted)
        mode = criu.root_mode(self.images)
        if mode is not None:
            os.chmod(self.root, mode)
        return applied

    @contextlib.contextmanager
    def _private_spec(self, stand_ins: t.Sequence[str]) -> t.Iterator[None]:
        """For the time of the restore, the bundle's spec with the stand-ins mounted; then the runtime's own again."""
        if not stand_ins:
            yield
            return
        path = os.path.join(self.call.bundle, "config.json")
        aside = os.path.join(self.call.bundle, "config.json.container-checkpoint")
        os.link(path, aside)
        try:
            stage.write_json(path, mounts.add_stand_ins(self.spec, stand_ins, self.marker))
            yield
        finally:
            os.replace(aside, path)

    def _runc_restore(self) -> None:
        work = os.path.dirname(self.log)
        os.makedirs(work, mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log)
        options = os.path.join(self.marker, "criu.conf")
        with os.fdopen(os.open(options, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as stream:
            stream.write("leave-stopped\n")
        argv = [self.config.runc, *self.call.globals, "restore", "--detach", "--no-subreaper", "--bundle", self.call.bundle,
                "--image-path", self.images, "--work-path", work, "--manage-cgroups-mode", "ignore"]
        for name in _PASSED_ON:
            value = self.call.options.get(name)
            if name in self.call.options:
                argv += ["--" + name] if not value else ["--" + name, value]
        environment = dict(os.environ, CRIU_CONFIG_FILE=options, PATH=_path(os.environ.get("PATH", "")))
        try:
            status = processes.run(argv + [self.call.container_id], self.config.restore_timeout, environment, note=marks.runc_note(self.marker))
        except TimeoutError as exc:
            raise RestoreError(str(exc)) from None
        if status != 0:
            errors = report.criu_errors(self.log)
            findings = diagnose("\n".join(errors), where="restore")
            text = "runc restore ended with status %d" % status
            if findings:
                text += ": %(cause)s. Remedy: %(remedy)s [%(line)s]" % findings[0]
            elif errors:
                text += " [%s]" % errors[0]
            raise RestoreError(text, diagnosis=findings)

    def _init_pid(self) -> int:
        path = self.call.options.get("pid-file")
        if path:
            with open(path, encoding="ascii") as stream:
                return int(stream.read())
        root = self.call.global_options.get("root") or "/run/runc"
        return int(stage.read_json(os.path.join(root, self.call.container_id, "state.json"))["init_process_pid"])

    def _apply_oom_score(self, pid: int) -> None:
        """CRIU brings the source's score along; the new container's is the one that counts."""
        score = (self.spec.get("process") or {}).get("oomScoreAdj")
        if score is None:
            return
        for member in processes.inside(pid):
            # A node without CAP_SYS_RESOURCE cannot lower it; the runtime could not either.
            with contextlib.suppress(OSError), open("/proc/%d/oom_score_adj" % member, "w", encoding="ascii") as stream:
                stream.write("%d\n" % int(score))

    def _statistics(self) -> t.Dict[str, int]:
        try:
            with open(os.path.join(os.path.dirname(self.log), "stats-restore"), "rb") as stream:
                return criu.restore_statistics(stream.read(1 << 20))
        except (OSError, ArchiveError):
            return {}


def _path(given: str) -> str:
    """Where runc looks for criu. CRI-O's monitor may have no PATH at all, and passes on what it has."""
    parts = [part for part in given.split(":") if part]
    return ":".join(parts + [part for part in _STANDARD_PATH if part not in parts])


def _own_limits() -> t.Dict[int, int]:
    """The hard limits that a container inherits from the runtime, which are ours: we are its child, like runc."""
    limits = {}
    for number in range(len(privileges.RLIMITS)):
        hard = resource.getrlimit(number)[1]
        limits[number] = (1 << 64) - 1 if hard == resource.RLIM_INFINITY else hard
    return limits


def _unified_cgroups() -> bool:
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def _lsm_enabled(name: str) -> bool:
    try:
        with open("/sys/kernel/security/lsm", encoding="ascii") as stream:
            return name in stream.read().strip().split(",")
    except OSError:
        return False
