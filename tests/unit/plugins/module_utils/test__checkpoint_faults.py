# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of C(checkpoint) without a socket: what each fault leads to."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _checkpoint_one, _checkpoint_repair
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    member,
    named_archive,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.checkpointnode import (
    NAME,
    Node,
    only_failure,
    quicken,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.fakekubelet import (
    FORBIDDEN,
    container_id,
)


@pytest.fixture
def quick(monkeypatch):
    quicken(monkeypatch)


# -- 403 and other answers -------------------------------------------------------------------------------------------


def test_403_is_tried_again_for_a_while(tmp_path):
    answers = [Answer(403, {}, (FORBIDDEN % ("create", "checkpoint")).encode())] * 2

    def reluctant(kubelet, path):
        if answers:
            return answers.pop()
        kubelet.write(path, named_archive(*NAME, container_id=container_id(*NAME)))
        return None

    node = Node(tmp_path, special={"default/counter/counter": reluctant})
    assert node.run(authorization_wait=35)["checkpoints"][0]["verified"]
    assert node.slept.count(5.0) == 2


def test_403_at_last(tmp_path):
    node = Node(tmp_path)
    node.kubelet.checkpoint = lambda *names: Answer(403, {}, (FORBIDDEN % ("create", "checkpoint")).encode())
    failure = only_failure(node.run())
    assert failure["http_status"] == 403 and "remembers a refusal" in failure["msg"]
    assert failure["paused"] == {"found": False, "resumed": False, "msg": "the container was not touched"}


def test_a_transient_failure_is_tried_again(tmp_path, quick):
    texts = ["failed to open: ctrd-checkpoint/status: no such file or directory"]

    def once(kubelet, path):
        if texts:
            return Answer(
                500, {}, ("checkpointing of default/counter/counter failed (rpc error: %s)" % texts.pop()).encode()
            )
        kubelet.write(path, named_archive(*NAME, container_id=container_id(*NAME)))
        return None

    node = Node(tmp_path, special={"default/counter/counter": once})
    assert node.run()["checkpoints"][0]["verified"] and len(node.kubelet.checkpoint_calls) == 2


def test_a_lasting_failure_is_not(tmp_path, quick):
    node = Node(
        tmp_path,
        special={
            "default/counter/counter": lambda kubelet, path: Answer(
                500,
                {},
                b"checkpointing of default/counter/counter failed (rpc error: code = Unimplemented desc = method"
                b" CheckpointContainer not implemented)",
            )
        },
    )
    failure = only_failure(node.run())
    assert failure["http_status"] == 500 and failure["diagnosis"] and "Remedy: " in failure["msg"]
    assert len(node.kubelet.checkpoint_calls) == 1


def test_unreachable(tmp_path):
    node = Node(tmp_path)

    def send(*args, **kwargs):
        raise TransportError("no answer from https://127.0.0.1:10250: the connection was refused", transport="refused")

    node.kubelet.send = send
    with pytest.raises(TransportError, match="Is the kubelet running"):
        node.run()


# -- time-out, paused container ---------------------------------------------------------------------------------------


def timing_out(kubelet, path):
    raise TransportError("no answer: nothing came back", transport="timeout")


def test_timeout_with_a_paused_container_is_repaired_and_reported(tmp_path, quick):
    node = Node(tmp_path, runtime=True, special={"default/counter/counter": timing_out})
    node.runtime.paused.add(container_id(*NAME))
    failure = only_failure(node.run())
    assert failure["paused"] == {
        "found": True,
        "resumed": True,
        "msg": "the container default/counter/counter was left paused and was resumed",
    }
    assert node.runtime.resumed == [container_id(*NAME)]
    assert failure["msg"].startswith("the checkpoint of default/counter/counter was not finished within 180 s")
    assert "Afterwards: the container default/counter/counter was left paused and was resumed." in failure["msg"]
    assert len(node.kubelet.checkpoint_calls) == 1


def test_deadline_of_the_runtime_leaves_it_paused(tmp_path, quick):
    text = (
        b"checkpointing of default/counter/counter failed (rpc error: code = DeadlineExceeded desc = stream terminated "
        b"by RST_STREAM with error code: CANCEL)"
    )
    node = Node(
        tmp_path, runtime=True, special={"default/counter/counter": lambda kubelet, path: Answer(500, {}, text)}
    )
    node.runtime.paused.add(container_id(*NAME))
    failure = only_failure(node.run())
    assert failure["paused"]["resumed"] and failure["http_status"] == 500 and failure["diagnosis"]


def test_a_container_that_resumes_by_itself_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint_repair, "GRACE_GIVEN_UP", 5.0)
    node = Node(tmp_path, runtime=True, special={"default/counter/counter": timing_out})
    node.runtime.paused.add(container_id(*NAME))
    threading.Timer(0.2, node.runtime.paused.clear).start()
    assert only_failure(node.run())["paused"]["found"] is False and node.runtime.resumed == []


def test_nobody_can_look(tmp_path, quick):
    node = Node(tmp_path, special={"default/counter/counter": timing_out})
    failure = only_failure(node.run())
    assert failure["paused"]["found"] is None and "crictl is not on this machine" in failure["msg"]


def test_looking_fails(tmp_path, quick):
    node = Node(tmp_path, runtime=True, special={"default/counter/counter": timing_out})
    node.runtime.broken = "connection refused"
    failure = only_failure(node.run())
    assert failure["paused"]["found"] is None and "connection refused" in failure["paused"]["msg"]


def test_what_a_failed_call_left_behind_is_named(tmp_path, quick):
    def leave(kubelet, path):
        kubelet.write(path, b"half an archive")
        raise TransportError("no answer: nothing came back", transport="timeout")

    node = Node(tmp_path, special={"default/counter/counter": leave})
    failure = only_failure(node.run())
    assert failure["leftovers"] == [os.path.join(node.directory, node.files()[0])]
    assert "The failed call left behind: %s" % failure["leftovers"][0] in failure["msg"]


# -- bad archives ------------------------------------------------------------------------------------------------------


GOOD = named_archive(*NAME, container_id=container_id(*NAME))


def writes(data):
    return lambda kubelet, path: kubelet.write(path, data)


def links_to(target):
    return lambda kubelet, path: os.symlink(target, path)


@pytest.mark.parametrize(
    "special,text",
    [
        (writes(b""), "the file is empty; it has not changed for 0.3 s"),
        (writes(GOOD[:3000]), "the tar is truncated"),
        (writes(GOOD + b"garbage"), "data after the end marker"),
        (writes(member("l", kind=b"2", link=b"/etc/shadow") + GOOD), "only regular files and directories are accepted"),
        (writes(member("d", kind=b"3") + GOOD), "a character device"),
        (writes(member("../../x", b"1") + GOOD), "leads out of it"),
        (writes(member("status.dump", b"[" * 9999) + GOOD), "nested deeper than 64 levels|not valid JSON"),
        (writes(member("status.dump", b" " * (2 << 20)) + GOOD), "at most 1048576 are accepted"),
        (
            writes(named_archive("default", "counter", "other", container_id(*NAME))),
            "inside it, container is 'other', not 'counter'",
        ),
        (
            writes(named_archive("prod", "counter", "counter", container_id(*NAME))),
            "inside it, namespace is 'prod', not 'default'",
        ),
        (writes(named_archive(*NAME, container_id="c" * 64)), "inside it, container id is '%s', not" % ("c" * 64)),
        (links_to("/etc/passwd"), "is not a regular file"),
        (lambda kubelet, path: None, "which the answer names, is not there"),
        (lambda kubelet, path: os.mkdir(path), "is not a regular file"),
    ],
)
def test_bad_archives_get_no_record(tmp_path, quick, special, text):
    node = Node(tmp_path, special={"default/counter/counter": special})
    failure = only_failure(node.run())
    assert any(part in failure["msg"] for part in text.split("|")), failure["msg"]
    assert failure["path"].startswith(node.directory) and failure["path"] in failure["msg"]
    assert not [name for name in node.files() if name.endswith(".json")]
    assert failure["paused"]["msg"] == "the checkpoint itself succeeded"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "relative.tar",
        "%s/../x.tar",
        "%s/sub/x.tar",
        "%s/",
        "%s/.hidden",
        "%s/a\nb.tar",
        "%s//etc/x.tar",
        "%s/-x.tar",
    ],
)
def test_answers_with_a_path_outside_are_refused(tmp_path, quick, path):
    node = Node(tmp_path)
    node.kubelet.special["default/counter/counter"] = lambda kubelet, unused: kubelet.success(
        path.replace("%s", node.directory)
    )
    failure = only_failure(node.run())
    assert "is not a file in the checkpoint directory %s. It was not touched" % node.directory in failure["msg"]
    assert node.files() == []


def test_a_linked_checkpoint_directory_is_the_same_directory(tmp_path):
    node = Node(tmp_path)
    link = str(tmp_path / "link")
    os.symlink(node.directory, link)
    assert node.run(checkpoint_dir=link)["checkpoints"][0]["path"].startswith(link + "/")


def test_an_archive_that_still_grows_is_waited_for(tmp_path):
    writers = []

    def slowly(kubelet, path):
        def write():
            with open(path, "wb") as stream:
                for start in range(0, len(GOOD), 4096):
                    stream.write(GOOD[start : start + 4096])
                    stream.flush()
                    time.sleep(0.1)

        writers.append(threading.Thread(target=write))
        writers[0].start()
        time.sleep(0.05)

    node = Node(tmp_path, special={"default/counter/counter": slowly})
    entry = node.run()["checkpoints"][0]
    writers[0].join()
    assert (
        entry["size"] == len(GOOD)
        and entry["sha256"] == hashlib.sha256(GOOD).hexdigest()
        and entry["stages"]["wait"] > 0.1
    )


def test_an_old_archive_is_not_taken_for_the_new_one(tmp_path):
    def stale(kubelet, path):
        kubelet.write(path, GOOD)
        os.utime(path, (time.time() - 100, time.time() - 100))

    node = Node(tmp_path, special={"default/counter/counter": stale})
    assert "is older than the call that is said to have written it" in only_failure(node.run())["msg"]


def test_replaced_while_it_is_verified(tmp_path, monkeypatch):
    node = Node(tmp_path)
    verify = _checkpoint_one.archives.verify_archive

    def replacing(path, **kwargs):
        with open(path + ".new", "wb") as stream:
            stream.write(GOOD)
        os.replace(path + ".new", path)
        return verify(path, **kwargs)

    monkeypatch.setattr(_checkpoint_one.archives, "verify_archive", replacing)
    assert "was replaced or changed since it was looked at" in only_failure(node.run())["msg"]


def test_the_record_is_written_last(tmp_path, monkeypatch):
    """Killed before the last step: there is an archive, and nothing that says it is complete."""
    node = Node(tmp_path)

    class Killed(BaseException):
        pass

    def killed(*args):
        raise Killed

    monkeypatch.setattr(_checkpoint_one._record, "write", killed)
    with pytest.raises(Killed):
        node.run()
    assert [name.rpartition(".tar")[2] for name in node.files()] == ["", ".pod.json"]


def test_the_disk_is_full(tmp_path, monkeypatch):
    node = Node(tmp_path)

    def full(*args):
        raise CheckpointError("%s cannot be written: No space left on device" % args[0])

    monkeypatch.setattr(_checkpoint_one._record, "write", full)
    failure = only_failure(node.run())
    assert "No space left on device" in failure["msg"] and failure["path"]


def test_verify_never(tmp_path):
    node = Node(tmp_path)
    entry = node.run(verify="never")["checkpoints"][0]
    assert entry["verified"] is False and entry["record"] is None and len(node.files()) == 1
