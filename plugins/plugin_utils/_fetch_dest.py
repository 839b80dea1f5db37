# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination of a fetch on the controller: is the place good, is the archive there already, the partial file.

PRIVATE to the collection. Beside the destination lie, while a fetch is under way or was broken, a hidden partial file,
which is locked by who writes it, and a hidden state file, which says how far it is good. Nothing ever lies under the
final name but a whole, verified archive; the record is written after it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _record
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    ArchiveError,
    CheckpointError,
    InputError,
    RuntimeToolError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._files import (
    open_regular,
    remove_if_there,
    sync_directory,
    write_atomic,
)

_BLOCK = 1024 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"
_AGE = b"age-encryption.org/v1\n"
_ENCRYPTED = ".age"
_MAX_STATE = 32 * 1024 * 1024


def resolve(dest: str, src: str, compress: str, encrypted: bool) -> str:
    """The path of the file: dest itself, or below it when it ends with a slash."""
    if not dest.endswith("/"):
        return dest
    return dest + os.path.basename(src) + (".zst" if compress == "zstd" else "") + (_ENCRYPTED if encrypted else "")


def check_place(path: str) -> None:
    """InputError unless a file can be put there, or a regular file is there already."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise InputError("the directory %s does not exist on the controller; make it first" % directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError("the directory %s on the controller is not writable for this user" % directory)
    if not os.path.lexists(path):
        return
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        raise InputError("the destination %s is a symbolic link; links are not followed" % path)
    if stat.S_ISDIR(mode):
        raise InputError("the destination %s is a directory; end dest with / to put the archive into it" % path)
    if not stat.S_ISREG(mode):
        raise InputError("the destination %s is not a regular file" % path)


def digest_of(path: str, length: t.Optional[int] = None, from_disk: bool = False) -> t.Any:
    """A sha256 object over a file or its beginning; from_disk: not from what the kernel remembers, if it can forget."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as stream:
            if from_disk:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            left = length
            while left is None or left > 0:
                block = stream.read(_BLOCK if left is None else min(_BLOCK, left))
                if not block:
                    break
                digest.update(block)
                left = None if left is None else left - len(block)
    except OSError as exc:
        raise CheckpointError("%s cannot be read back: %s" % (path, exc.strerror or exc)) from None
    return digest


def decoded_digest(path: str, compressed: bool, identity: t.Optional[str] = None) -> str:
    """The digest of the archive in a file that is compressed with zstd, or encrypted (identity: a file), or both;
    ArchiveError if it cannot be decoded."""
    commands = [_decryption(identity)] if identity else []
    if compressed:
        commands.append([find_zstd(), "-q", "-d", "-c"])
    digest = hashlib.sha256()
    with open_regular(path) as stream, contextlib.ExitStack() as stack:
        source: t.Any = stream
        processes = []
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            if processes:
                # Ours would keep the first program from noticing that the second one has ended.
                source.close()
            processes.append(process)
            source = process.stdout
        for block in iter(lambda: source.read(_BLOCK), b""):
            digest.update(block)
        words = [_words(process) for process in processes]
    # A program may only have failed because the one before it did, or have been cut off because the one after it did.
    for process, text in zip(processes, words):
        if process.returncode not in (0, -signal.SIGPIPE):
            how = "decrypted" if "-i" in process.args else "decompressed"
            raise ArchiveError("what was fetched to %s cannot be %s: %s" % (path, how, text))
    return digest.hexdigest()


def compressed_inside(path: str, identity: str) -> bool:
    """Whether what an encrypted file holds is compressed; ArchiveError if it cannot be decrypted."""
    with open_regular(path) as stream:
        command = _decryption(identity)
        with subprocess.Popen(command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            head = process.stdout.read(len(_ZSTD))  # type: ignore[union-attr]
            if not head:
                raise ArchiveError("what was fetched to %s cannot be decrypted: %s" % (path, _words(process)))
            process.kill()
    return head == _ZSTD


def _words(process: t.Any) -> str:
    """What a program complained about, in one line."""
    return " ".join(process.stderr.read(2000).decode("utf-8", "replace").split()) or "no reason given"


def _decryption(identity: str) -> t.List[str]:
    """The command that decrypts with the identities in a file; the file's name is all that anybody sees of them."""
    program = shutil.which("age") or shutil.which("rage")
    if program is None:
        raise RuntimeToolError(
            "what was fetched is to be decrypted and compared, and neither age nor rage is installed on the controller:"
            " install the package age (or rage) there, or do not use identity_file"
        )
    return [program, "-d", "-i", identity]


def check_proof(compress: str, encrypted: bool, identity: t.Optional[str]) -> None:
    """Whether the controller has what reading back needs; else InputError or RuntimeToolError before a byte moves."""
    if identity:
        _decryption(identity)
        if not encrypted:
            raise InputError("identity_file is given, and nothing is encrypted: there are no recipients")
        if not os.path.isfile(identity) or not os.access(identity, os.R_OK):
            raise InputError("identity_file %s is no file on the controller that this user can read" % identity)
    if compress == "zstd" and (identity or not encrypted):
        find_zstd()


def prove(path: str, compress: str, encrypted: bool, identity: t.Optional[str], sha256: str) -> str:
    """Decode a file as far as that can be done, and compare; return how far that proves it, or raise ArchiveError."""
    if encrypted and not identity or not encrypted and compress != "zstd":
        return "read_back"
    compressed = compressed_inside(path, identity) if identity else True
    if decoded_digest(path, compressed, identity) != sha256:
        raise ArchiveError(
            "what was fetched to %s is not the archive when %s" % (path, "decrypted" if identity else "decompressed")
        )
    return "decrypted" if identity else "decompressed"


def find_zstd() -> str:
    """The path of zstd on the controller."""
    program = shutil.which("zstd")
    if program is None:
        raise RuntimeToolError(
            "what was fetched is decompressed and compared, and zstd is not installed on the controller: install the"
            " package zstd there, or use neither remove_source nor verify with compress"
        )
    return program


def form_of(path: str) -> t.Tuple[str, bool]:
    """How a file is stored: its compression (C(unknown) if it is encrypted), and whether it is encrypted."""
    with open_regular(path) as stream:
        head = stream.read(len(_AGE))
    if head.startswith(_AGE):
        return "unknown", True
    return ("zstd" if head.startswith(_ZSTD) else "none"), False


def whole(path: str) -> t.Optional[_record.Record]:
    """The record of what lies at the destination, if that is whole by its own digest; None otherwise."""
    if not os.path.lexists(path) or not os.path.lexists(_record.path_for(path)):
        return None
    try:
        record = _record.read(_record.path_for(path))
    except ArchiveError:
        return None
    return record if digest_of(path).hexdigest() == record["archive"].get("stored_sha256") else None


def pod_path(path: str, encrypted: bool) -> str:
    """Where the pod's object goes."""
    return _record.pod_path_for(path) + (_ENCRYPTED if encrypted else "")


class Partial:
    """The partial file of a destination, locked. Use it in a C(with) statement."""

    def __init__(self, path: str) -> None:
        self.path = path
        directory, name = os.path.split(path)
        # A name can be as long as the file system allows; what begins alike is told apart by the digest.
        short = "%s.%s" % (name.encode("utf-8", "replace")[:150].decode("utf-8", "ignore"), _short_digest(name))
        self.part = os.path.join(directory, ".%s.part" % short)
        self.state_path = os.path.join(directory, ".%s.state" % short)
        self.state: t.Dict[str, t.Any] = {}
        self._digest = hashlib.sha256()
        self._sent = hashlib.sha256()
        self._file = self._lock()
        try:
            self._load()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *exception: t.Any) -> None:
        os.close(self._file)

    def _lock(self) -> int:
        while True:
            try:
                descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as exc:
                raise CheckpointError("%s cannot be written: %s" % (self.part, exc.strerror or exc)) from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(descriptor, 0o600)
                if os.path.samestat(os.fstat(descriptor), os.lstat(self.part)):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise CheckpointError(
                    "another fetch is writing to %s now; wait for it, or give every host a destination of its own"
                    % self.path
                ) from None
            except FileNotFoundError:
                pass
            # The other one has finished and renamed what we have locked.
            os.close(descriptor)

    def _load(self) -> None:
        """Take over what an interrupted fetch left, as far as it is good."""
        try:
            with open_regular(self.state_path) as stream:
                state = json.loads(stream.read(_MAX_STATE))
            if state["version"] == 1 and isinstance(state["stored"], int):
                self.state = state
        except (OSError, ValueError, KeyError, TypeError):
            self.state = {}

    @property
    def offset(self) -> int:
        """How much of the archive is good here."""
        return self.state.get("offset", 0)

    @property
    def stored(self) -> int:
        """How many bytes of the partial file are good."""
        return self.state.get("stored", 0)

    def prepare(self, order: t.Mapping[str, t.Any], resumable: bool) -> t.Optional[str]:
        """Keep what fits the order, or begin anew; return why what was there cannot be used, None if nothing was.

        order: what is fetched and how; what was begun for another order is worth nothing.
        """
        why = self._unusable(order, resumable)
        self._sent = hashlib.sha256()
        if why is None and self.state:
            self._digest = digest_of(self.part, self.stored)
            if self._digest.hexdigest() != self.state["stored_sha256"]:
                why = "the partial file was altered"
        if why is not None or not self.state:
            self._digest = hashlib.sha256()
            self.state = {"version": 1, "order": dict(order), "offset": 0, "stored": 0, "digest": "", "end": None}
            self.state["stored_sha256"] = self._digest.hexdigest()
        try:
            os.ftruncate(self._file, self.stored)
            os.lseek(self._file, self.stored, os.SEEK_SET)
        except OSError as exc:
            raise CheckpointError("%s cannot be written: %s" % (self.part, exc.strerror or exc)) from None
        return why

    def _unusable(self, order: t.Mapping[str, t.Any], resumable: bool) -> t.Optional[str]:
        if not self.state or not self.stored:
            return None
        if self.state.get("order") != dict(order):
            return "it was of another state of the archive, or another compression"
        return None if resumable else "an encrypted transfer cannot be continued"

    def add(self, header: t.Mapping[str, t.Any], payload: memoryview, plain: bool) -> None:
        """Append a frame; TransportError, and nothing done, if it was altered on its way."""
        digest, sent = self._digest.copy(), self._sent
        digest.update(payload)
        if not plain:
            sent = self._sent.copy()
            sent.update(payload)
        if (digest if plain else sent).hexdigest() != header["check"]:
            raise TransportError("a frame was altered on its way: its digest is wrong")
        try:
            view = payload
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as exc:
            raise CheckpointError(
                "%s cannot be written after %d bytes: %s; the partial file was removed, so that its space is free again"
                % (self.part, self.stored, exc.strerror or exc),
                discard=True,
            ) from None
        self._digest, self._sent = digest, sent
        self.state.update(
            offset=header["offset"],
            digest=header["digest"],
            stored=self.stored + len(payload),
            stored_sha256=digest.hexdigest(),
        )
        self._save()

    def _save(self) -> None:
        """Without a sync: after a crash of the machine the digest tells whether file and state fit."""
        temporary = self.state_path + ".tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(self.state, stream)
            os.replace(temporary, self.state_path)
        except OSError as exc:
            raise CheckpointError(
                "%s cannot be written: %s" % (self.state_path, exc.strerror or exc), discard=True
            ) from None

    def discard(self) -> None:
        """Leave nothing behind."""
        for path in (self.state_path + ".tmp", self.state_path, self.part):
            remove_if_there(path)
        self.state = {}

    def empty(self) -> None:
        """Free the space of what cannot be continued, and leave the note that there was something."""
        os.ftruncate(self._file, 0)

    def close_transfer(self, end: t.Mapping[str, t.Any]) -> None:
        """All bytes are here: sync them, and note what remains to be done."""
        try:
            os.fsync(self._file)
        except OSError as exc:
            raise CheckpointError("%s cannot be written: %s" % (self.part, exc.strerror or exc), discard=True) from None
        self.state["end"] = {key: end[key] for key in ("sha256", "size", "record", "pod")}
        self._save()

    def verify(self, compress: str, encrypted: bool, identity: t.Optional[str] = None) -> str:
        """Read the partial file back from the disk; return how far that proves it."""
        if digest_of(self.part, from_disk=True).hexdigest() != self.state["stored_sha256"]:
            raise CheckpointError("%s cannot be read back as it was written; check the disk" % self.part, discard=True)
        try:
            return prove(self.part, compress, encrypted, identity, self.state["end"]["sha256"])
        except ArchiveError as exc:
            exc.details["discard"] = True
            raise

    @property
    def finished(self) -> bool:
        """Whether only the last steps of an earlier fetch are missing."""
        return bool(self.state.get("end"))

    def finish(self, encrypted: bool) -> t.Dict[str, t.Any]:
        """Give the archive its name, then write the pod's object and the record; may be repeated after a crash."""
        end = self.state["end"]
        if os.fstat(self._file).st_size == self.stored and os.path.lexists(self.part):
            os.replace(self.part, self.path)
            sync_directory(os.path.dirname(self.path) or ".")
        if end["pod"] is not None:
            write_atomic(pod_path(self.path, encrypted), base64.b64decode(end["pod"]))
        record = _record.check(end["record"], "of " + self.path)
        record["archive"].update(name=os.path.basename(self.path), stored_sha256=self.state["stored_sha256"])
        _record.write(self.path, record)
        remove_if_there(self.state_path)
        return record

    def recover(self, encrypted: bool) -> bool:
        """Do the last steps of an earlier fetch that was killed before them; whether there was one."""
        if not self.finished:
            return False
        there = self.part if os.fstat(self._file).st_size else self.path
        if not os.path.lexists(there) or digest_of(there).hexdigest() != self.state["stored_sha256"]:
            self.state = {}
            return False
        if there == self.path:
            # Renamed before it was killed; what we have locked is a new, empty file.
            remove_if_there(self.part)
        self.finish(encrypted)
        return True


def _short_digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
