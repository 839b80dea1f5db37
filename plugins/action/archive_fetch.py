# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of C(archive_fetch): look, transfer frame by frame, verify, put in place, remove the source."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_native
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _age, _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._argspec_fetch import fetch_argument_spec
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    InputError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import failure
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils import _fetch_dest
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._fetch_dest import Partial
from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._fetch_transfer import Transfer, Wish

MODULE = "container_checkpoint.kubernetes.archive_fetch"
display = Display()


class ActionWire:
    """The way to the node: the task's own connection and become."""

    def __init__(
        self, connection: t.Any, become: bool, executable: t.Optional[str], start: t.Callable[..., t.Any]
    ) -> None:
        self._connection, self._become, self._executable = connection, become, executable
        self._start = start
        # What takes input for a command does it without a terminal, so that every byte survives.
        self.text = not getattr(connection, "has_pipelining", False)

    def run(self, script: str) -> t.Tuple[int, bytes, bytes]:
        connection = self._connection
        command = script
        if self._become:
            command = connection.become.build_become_command(command, connection._shell)
        if getattr(connection, "allow_executable", True) and self._executable:
            command = self._executable + " -c " + shlex.quote(command)
        try:
            with unlogged(connection):
                rc, out, err = connection.exec_command(command, in_data=None if self.text else b"\n", sudoable=True)
        except AnsibleConnectionFailure as exc:
            raise TransportError("the connection to the node failed: %s" % to_native(exc).strip()) from None
        return rc, _bytes(out), _bytes(err)

    def start(self, offset: int, prefix: str) -> t.Mapping[str, t.Any]:
        try:
            return self._start(offset, prefix)
        except AnsibleConnectionFailure as exc:
            raise TransportError("the connection to the node failed: %s" % to_native(exc).strip()) from None


@contextlib.contextmanager
def unlogged(connection: t.Any) -> t.Iterator[None]:
    """With -vvv, the ssh connection would print what a command answers; this is the memory of a process."""
    context = getattr(connection, "_play_context", None)
    before = getattr(context, "no_log", None)
    if context is not None:
        context.no_log = True
    try:
        yield
    finally:
        if context is not None:
            context.no_log = before


def _bytes(output: t.Any) -> bytes:
    if isinstance(output, bytes):
        return output
    return output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output.read()


class ActionModule(ActionBase):
    """The action."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Run the action."""
        self._task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        dummy, self._params = self.validate_argument_spec(argument_spec=fetch_argument_spec())
        self._result = self._blank()
        try:
            result.update(self._fetch())
        except CheckpointError as exc:
            exc.details.pop("discard", None)
            result.update(failure(exc, **self._result))
            result["failed"] = True
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    @property
    def _proves(self) -> bool:
        """Whether what was fetched is read back."""
        return bool(self._params["remove_source"] or self._params["verify"] or self._params["identity_file"])

    def _blank(self) -> t.Dict[str, t.Any]:
        params = self._params
        return {
            "changed": False,
            "src": params["src"],
            "dest": params["dest"],
            "compress": params["compress"],
            "encrypted": False,
            "sha256": None,
            "stored_sha256": None,
            "size": None,
            "stored_bytes": None,
            "record_path": None,
            "pod_path": None,
            "verified": None,
            "resumed_at": 0,
            "source_removed": False,
            "seconds": None,
            "bytes_per_second": None,
            "notes": [],
        }

    def _fetch(self) -> t.Dict[str, t.Any]:
        params, result = self._params, self._result
        recipients = self._recipients()
        encrypted = result["encrypted"] = bool(recipients)
        path = result["dest"] = _fetch_dest.resolve(params["dest"], params["src"], params["compress"], encrypted)
        _fetch_dest.check_place(path)
        if self._proves:
            _fetch_dest.check_proof(params["compress"], encrypted, params["identity_file"])
        check = self._task.check_mode
        if check:
            return self._after_look(path, recipients, None)
        with Partial(path) as partial:
            try:
                if partial.recover(encrypted):
                    result["changed"] = True
                    result["notes"].append("an earlier fetch had been interrupted before its last step")
                return self._after_look(path, recipients, partial)
            except CheckpointError as exc:
                if exc.details.get("discard"):
                    partial.discard()
                elif encrypted:
                    partial.empty()
                raise
            finally:
                self._tidy(partial)

    def _tidy(self, partial: Partial) -> None:
        """An empty partial file without a state is of no use to anybody."""
        if not partial.stored or not os.path.lexists(partial.state_path):
            partial.discard()

    def _after_look(
        self, path: str, recipients: t.Sequence[str], partial: t.Optional[Partial]
    ) -> t.Dict[str, t.Any]:
        params, result = self._params, self._result
        there = _fetch_dest.whole(path)
        source = self._node("look", recipients, digest=there is not None)
        if not source["exists"]:
            if there is None or not params["remove_source"]:
                raise InputError("%s does not exist on the node" % params["src"])
            # Fetched and removed by an earlier run, perhaps not to the end.
            self._describe(path, there, bool(recipients))
            self._verify_old(path, there)
            self._remove_source(None, recipients, partial)
            return self._done("the archive was fetched and removed before")
        state = source["state"]
        result["size"] = state["size"]
        if there is not None and self._is_same(path, there, source["sha256"], recipients):
            self._describe(path, there, bool(recipients))
            if self._proves:
                self._verify_old(path, there)
            if params["remove_source"]:
                self._remove_source(state, recipients, partial)
            return self._done("the archive is there already")
        if os.path.lexists(path) and not params["force"]:
            raise InputError(
                "%s exists and is not this archive in this form; choose another destination, or replace it with"
                " force: true" % path
            )
        self._check_space(path, state["size"], recipients, partial)
        if partial is None:
            result["changed"] = True
            result["source_removed"] = params["remove_source"]
            return self._done("the archive would be fetched")
        self._transfer(state, recipients, partial)
        if params["remove_source"]:
            self._remove_source(state, recipients, partial)
        return self._done("the archive was fetched")

    def _transfer(self, state: t.Mapping[str, t.Any], recipients: t.Sequence[str], partial: Partial) -> None:
        params, result = self._params, self._result
        encrypted = bool(recipients)
        order = {
            "src": params["src"],
            "state": dict(state),
            "compress": params["compress"],
            "encrypted": encrypted,
        }
        wish = Wish(
            order=order,
            plain=params["compress"] == "none" and not encrypted,
            encrypted=encrypted,
            size=state["size"],
            retries=params["retries"],
        )

        def start(offset: int, prefix: str) -> t.Mapping[str, t.Any]:
            return self._node("serve", recipients, state=dict(state), offset=offset, prefix=prefix)["session"]

        host = self._task_vars.get("inventory_hostname")
        wire = ActionWire(self._connection, self._becomes(), self._play_context.executable, start)
        transfer = Transfer(
            wish,
            wire,
            partial,
            lambda text: display.display("archive_fetch [%s]: %s: %s" % (host, os.path.basename(params["src"]), text)),
            params["progress_seconds"],
        )
        began = time.monotonic()
        try:
            end = transfer.run()
        finally:
            transfer.stop()
            result["notes"] += transfer.notes
            result["resumed_at"] = transfer.resumed_at
            for note in transfer.notes:
                display.warning("archive_fetch [%s]: %s" % (host, note))
        partial.close_transfer(end)
        result["verified"] = "received"
        if self._proves:
            result["verified"] = partial.verify(params["compress"], encrypted, params["identity_file"])
        record = partial.finish(encrypted)
        result["changed"] = True
        seconds = time.monotonic() - began
        result["seconds"] = round(seconds, 3)
        result["bytes_per_second"] = int((end["size"] - transfer.resumed_at) / seconds) if seconds else None
        self._describe(partial.path, record, encrypted)

    def _describe(self, path: str, record: _record.Record, encrypted: bool) -> None:
        pod = _fetch_dest.pod_path(path, encrypted)
        self._result.update(
            sha256=record["archive"]["sha256"],
            stored_sha256=record["archive"]["stored_sha256"],
            size=record["archive"]["bytes"],
            stored_bytes=os.stat(path).st_size,
            record_path=_record.path_for(path),
            pod_path=pod if os.path.lexists(pod) else None,
        )

    def _is_same(
        self, path: str, there: _record.Record, sha256: t.Optional[str], recipients: t.Sequence[str]
    ) -> bool:
        """Whether the destination holds the archive of this digest in the form that is wanted."""
        compress, encrypted = _fetch_dest.form_of(path)
        if there["archive"]["sha256"] != sha256:
            return False
        return encrypted == bool(recipients) and compress in ("unknown", self._params["compress"])

    def _verify_old(self, path: str, record: _record.Record) -> None:
        """Before its source is removed, what lies there is proven as what has just arrived is."""
        compress, encrypted = _fetch_dest.form_of(path)
        identity = self._params["identity_file"] if encrypted else None
        self._result["verified"] = _fetch_dest.prove(path, compress, encrypted, identity, record["archive"]["sha256"])

    def _check_space(
        self, path: str, size: int, recipients: t.Sequence[str], partial: t.Optional[Partial]
    ) -> None:
        if self._params["compress"] != "none":
            return
        space = os.statvfs(os.path.dirname(path) or ".")
        here = space.f_bavail * space.f_frsize + (os.stat(partial.part).st_size if partial is not None else 0)
        if size > here:
            raise InputError(
                "%s needs %d bytes, and the destination's file system has %d" % (self._params["src"], size, here)
            )

    def _remove_source(
        self, state: t.Optional[t.Mapping[str, t.Any]], recipients: t.Sequence[str], partial: t.Optional[Partial]
    ) -> None:
        answer = self._node("remove", [], state=dict(state) if state else None)
        self._result["source_removed"] = answer["removed"]
        if answer["removed"]:
            self._result["changed"] = True

    def _done(self, msg: str) -> t.Dict[str, t.Any]:
        self._result["msg"] = msg
        if self._task.diff:
            line = "%(dest)s: sha256 %(sha256)s\n" % self._result
            after = line if self._result["sha256"] else "%(dest)s\n" % self._result
            self._result["diff"] = {"before": "" if self._result["changed"] else after, "after": after}
        return self._result

    def _recipients(self) -> t.List[str]:
        found = [_age.check_recipient(recipient) for recipient in self._params["recipients"] or []]
        if self._params["recipients_file"]:
            try:
                with open(self._find_file(self._params["recipients_file"]), encoding="utf-8") as stream:
                    more = _age.parse_recipients(stream.read())
            except (AnsibleError, OSError, ValueError) as exc:
                raise InputError("recipients_file cannot be read: %s" % to_native(exc)) from None
            if not more:
                raise InputError("recipients_file %s names no recipient" % self._params["recipients_file"])
            found += more
        return list(dict.fromkeys(found))

    def _find_file(self, name: str) -> str:
        """Where Ansible looks for files (beside the playbook or in the role), else where it was started."""
        try:
            return self._find_needle("files", name)
        except AnsibleError:
            if os.path.isfile(name):
                return name
            raise

    def _node(self, step: str, recipients: t.Sequence[str], **more: t.Any) -> t.Dict[str, t.Any]:
        """Run the module of the same name on the node."""
        arguments = {
            "src": self._params["src"],
            "dest": self._params["dest"],
            "compress": self._params["compress"],
            "recipients": list(recipients),
            "_call": {"step": step, **more},
        }
        answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=self._task_vars)
        if answer.get("failed"):
            details = {"discard": True} if answer.get("discard") else {}
            if answer.get("exception"):
                details["exception"] = answer["exception"]
            raise CheckpointError(str(answer.get("msg") or "the node gave no reason"), **details)
        return answer

    def _becomes(self) -> bool:
        """Whether commands change the user, as Ansible itself decides it."""
        if not self._connection.become:
            return False
        become_user, remote_user = self.get_become_option("become_user"), self._get_remote_user()
        return C.BECOME_ALLOW_SAME_USER or become_user != remote_user or not any((become_user, remote_user))
