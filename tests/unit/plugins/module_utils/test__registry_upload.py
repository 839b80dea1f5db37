# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RegistryError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import HttpClient
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry import Registry
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_auth import Credentials
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_upload import (
    BlobUpload,
    BlobWriter,
    UploadLost,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.registry import FakeRegistry

CHUNK = 100000
CONTENT = os.urandom(1234567)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def fake():
    with FakeRegistry() as registry:
        yield registry


def client(fake, retries=3, credentials=None):
    return Registry(
        HttpClient(timeout=60).send,
        fake.url,
        "team/app",
        credentials=credentials,
        retries=retries,
        sleep=lambda seconds: None,
    )


def push(fake, content=CONTENT, block=33333, chunk=CHUNK, **changes):
    upload = BlobUpload(client(fake, **changes), chunk)
    writer = BlobWriter(upload)
    try:
        for start in range(0, len(content), block):
            writer.write(content[start : start + block])
        writer.finish("sha256:" + hashlib.sha256(content).hexdigest())
    except BaseException:
        writer.abort()
        raise
    return upload


def on_patch(*numbers):
    """For a fault: whether this is the nth PATCH (from 1)."""
    seen = [0]

    def is_it(handler):
        if handler.command != "PATCH":
            return False
        seen[0] += 1
        return seen[0] in numbers

    return is_it


@pytest.mark.parametrize("block", [1000, 33333, CHUNK, 500000, len(CONTENT)])
def test_chunks_have_the_size_asked_for_whatever_the_blocks(fake, block):
    upload = push(fake, block=block)
    assert fake.blobs == {DIGEST: CONTENT}
    assert fake.patched == [CHUNK] * 12 + [len(CONTENT) - 12 * CHUNK]
    assert upload.bytes_sent == upload.offset == len(CONTENT)
    assert fake.uploads == {}


@pytest.mark.parametrize("size", [2, CHUNK - 1, CHUNK, CHUNK + 1])
def test_sizes_around_a_chunk(fake, size):
    push(fake, content=CONTENT[:size])
    assert list(fake.blobs.values()) == [CONTENT[:size]]


def test_a_cut_connection_goes_on_from_what_the_registry_has(fake):
    third = on_patch(3)

    def cut(handler):
        if not third(handler):
            return False
        session = handler.path.rpartition("/")[2].partition("?")[0]
        fake.uploads[session] += handler.body(limit=40000)
        handler.cut()
        return True

    with fake.faulty(cut):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT}
    assert fake.patched[2] == CHUNK - 40000
    assert len(fake.requests("POST")) == 1 and len(fake.requests("GET")) == 1


def test_a_lost_answer_does_not_send_the_chunk_twice(fake):
    third = on_patch(3)

    def lose_answer(handler):
        if not third(handler):
            return False
        fake.uploads[handler.path.rpartition("/")[2].partition("?")[0]] += handler.body()
        handler.cut()
        return True

    with fake.faulty(lose_answer):
        upload = push(fake)
    assert fake.blobs == {DIGEST: CONTENT} and upload.bytes_sent == len(CONTENT)


def test_a_registry_that_takes_less_than_it_was_sent_gets_the_rest(fake):
    second = on_patch(2)

    def take_half(handler):
        if not second(handler):
            return False
        session = handler.path.rpartition("/")[2].partition("?")[0]
        fake.uploads[session] += handler.body()[: CHUNK // 2]
        handler.answer(202, Range="bytes=0-%d" % (len(fake.uploads[session]) - 1), Location=handler.path)
        return True

    with fake.faulty(take_half):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT}


def test_range_not_satisfiable_is_asked_about(fake):
    second = on_patch(2)

    def refuse(handler):
        if not second(handler):
            return False
        handler.drain()
        handler.refuse(416, "RANGE_INVALID")
        return True

    with fake.faulty(refuse):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT}


@pytest.mark.parametrize("status, code", [(503, "UNAVAILABLE"), (429, "TOOMANYREQUESTS"), (500, "UNKNOWN")])
def test_transient_statuses(fake, status, code):
    some = on_patch(2, 5, 6)

    def refuse(handler):
        if not some(handler):
            return False
        handler.drain()
        handler.refuse(status, code)
        return True

    with fake.faulty(refuse):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT}


def test_a_session_that_is_gone_asks_to_start_again(fake):
    third = on_patch(3)

    def forget(handler):
        if third(handler):
            fake.uploads.clear()
        return False

    with fake.faulty(forget), pytest.raises(UploadLost, match="404"):
        push(fake)
    assert fake.blobs == {}


def test_a_session_that_went_back_asks_to_start_again(fake):
    third = on_patch(3)

    def go_back(handler):
        if not third(handler):
            return False
        handler.drain()
        del fake.uploads[handler.path.rpartition("/")[2].partition("?")[0]][50000:]
        handler.refuse(503, "UNAVAILABLE")
        return True

    with fake.faulty(go_back), pytest.raises(UploadLost, match="it has 50000 bytes"):
        push(fake)


def test_a_failure_that_stays_ends(fake):
    def down(handler):
        if handler.command != "PATCH":
            return False
        handler.drain()
        handler.refuse(503, "UNAVAILABLE")
        return True

    with fake.faulty(down), pytest.raises(RegistryError, match=r"at byte 0\) failed \(tried 4 times\).*503") as error:
        push(fake, retries=3)
    assert not isinstance(error.value, UploadLost)
    assert fake.blobs == {} and fake.uploads == {}


def test_a_registry_that_makes_no_progress_ends(fake):
    def deaf(handler):
        if handler.command != "PATCH":
            return False
        handler.drain()
        handler.answer(202, Range="0-0", Location=handler.path)
        return True

    with fake.faulty(deaf), pytest.raises(RegistryError):
        push(fake, retries=2)
    assert len(fake.requests("PATCH")) == 3


def test_an_expired_token_is_renewed_in_the_middle():
    with FakeRegistry(auth="bearer") as fake:
        fourth = on_patch(4)

        def expire(handler):
            if fourth(handler):
                fake.tokens.clear()
            return False

        with fake.faulty(expire):
            push(fake, credentials=Credentials("lab", "secret"))
        assert fake.blobs == {DIGEST: CONTENT} and len(fake.token_requests) == 2


def test_the_registry_may_ask_for_larger_chunks(fake):
    fake.min_chunk = 300000
    push(fake)
    assert fake.patched == [300000] * 4 + [len(CONTENT) - 1200000]


def test_a_registry_that_wants_huge_chunks_gets_one_stream(fake):
    fake.min_chunk = 1 << 40
    upload = push(fake)
    assert fake.patched == [len(CONTENT)] and fake.blobs == {DIGEST: CONTENT} and upload.bytes_sent == len(CONTENT)


# One stream ---------------------------------------------------------------------------------------


def write_all(upload, content=CONTENT, block=33333):
    writer = BlobWriter(upload)
    try:
        for start in range(0, len(content), block):
            writer.write(content[start : start + block])
        writer.finish(DIGEST)
    except BaseException:
        writer.abort()
        raise


@pytest.mark.parametrize("total", [None, len(CONTENT)])
def test_one_stream(fake, total):
    headers = []

    def look(handler):
        if handler.command == "PATCH":
            headers.append(
                (
                    handler.headers.get("Content-Length"),
                    handler.headers.get("Content-Range"),
                    handler.headers.get("Transfer-Encoding"),
                )
            )
        return False

    upload = BlobUpload(client(fake), total=total)
    with fake.faulty(look):
        write_all(upload)
    assert fake.blobs == {DIGEST: CONTENT} and upload.bytes_sent == len(CONTENT)
    assert headers == ([(str(total), "0-%d" % (total - 1), None)] if total else [(None, None, "chunked")])


def break_stream(fake, taken, answer=None):
    """A fault that takes some bytes of the first PATCH and then breaks the connection, or answers."""
    first = on_patch(1)

    def fault(handler):
        if not first(handler):
            return False
        body = handler.body()[:taken]
        fake.uploads[handler.path.rpartition("/")[2].partition("?")[0]] += body
        if answer is None:
            handler.cut()
        else:
            answer(handler, body)
        return True

    return fault


@pytest.mark.parametrize("total", [None, len(CONTENT)])
@pytest.mark.parametrize(
    "answer",
    [
        None,
        lambda handler, body: handler.refuse(503, "UNAVAILABLE"),
        lambda handler, body: handler.answer(202, Range="0-%d" % (len(body) - 1), Location=handler.path),
    ],
)
def test_a_broken_stream_is_continued_with_what_the_registry_lacks(fake, total, answer):
    upload = BlobUpload(client(fake), total=total)
    with fake.faulty(break_stream(fake, 700000, answer)):
        with pytest.raises(UploadLost) as error:
            write_all(upload)
        assert (error.value.position, upload.interrupted) == (700000, True)
        assert len(fake.uploads) == 1
        write_all(upload)
    assert fake.blobs == {DIGEST: CONTENT}
    assert fake.patched == [len(CONTENT) - 700000]
    assert len(fake.requests("POST")) == 1


def test_a_broken_stream_whose_session_is_gone_starts_again(fake):
    upload = BlobUpload(client(fake))
    with fake.faulty(break_stream(fake, 700000, lambda handler, body: (fake.uploads.clear(), handler.cut()))):
        with pytest.raises(UploadLost) as error:
            write_all(upload)
    assert (error.value.position, upload.interrupted) == (0, False)


def test_a_stream_that_is_refused_ends(fake):
    upload = BlobUpload(client(fake))
    with fake.faulty(break_stream(fake, 10, lambda handler, body: handler.refuse(413, "SIZE_INVALID"))):
        with pytest.raises(RegistryError, match="413") as error:
            write_all(upload)
    assert not isinstance(error.value, UploadLost) and fake.uploads == {}


def test_a_stream_that_is_given_up_leaves_nothing(fake):
    writer = BlobWriter(BlobUpload(client(fake)))
    writer.write(CONTENT)
    writer.abort()
    assert fake.uploads == {} and fake.blobs == {}


def test_a_damaged_upload_is_a_digest_mismatch(fake):
    def damage(handler):
        if handler.command == "PUT":
            next(iter(fake.uploads.values()))[500] ^= 1
        return False

    with (
        fake.faulty(damage),
        pytest.raises(
            RegistryError, match="digest mismatch: registry localhost.*received something else than was sent"
        ),
    ):
        push(fake)
    assert fake.blobs == {}


def test_a_lost_answer_to_the_end_is_looked_up(fake):
    cuts = [1]

    def lose_answer(handler):
        if handler.command != "PUT" or not cuts:
            return False
        cuts.pop()
        fake.blobs[DIGEST] = bytes(fake.uploads.popitem()[1])
        handler.cut()
        return True

    with fake.faulty(lose_answer):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT}
    assert len(fake.requests("PUT")) == 1


def test_an_end_that_failed_is_tried_again(fake):
    failures = [1]

    def refuse(handler):
        if handler.command != "PUT" or not failures:
            return False
        failures.pop()
        handler.drain()
        handler.refuse(503, "UNAVAILABLE")
        return True

    with fake.faulty(refuse):
        push(fake)
    assert fake.blobs == {DIGEST: CONTENT} and len(fake.requests("PUT")) == 2


def test_a_registry_that_loses_a_finished_blob_is_noticed(fake):
    def lose(handler):
        if handler.command == "HEAD":
            fake.blobs.clear()
        return False

    with fake.faulty(lose), pytest.raises(RegistryError, match="now says that it has no such blob"):
        push(fake)


def test_abort_cancels_the_session_and_ends_the_thread(fake):
    writer = BlobWriter(BlobUpload(client(fake), CHUNK))
    for start in range(0, len(CONTENT), CHUNK):
        writer.write(CONTENT[start : start + CHUNK])
    writer.abort()
    assert fake.uploads == {} and fake.blobs == {}
    deadline = time.monotonic() + 60
    while any(thread.name == "blob-upload" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.name == "blob-upload" for thread in threading.enumerate())


def test_a_writer_never_waits_for_an_upload_that_failed(fake):
    def down(handler):
        if handler.command != "PATCH":
            return False
        handler.drain()
        handler.refuse(403, "DENIED")
        return True

    with fake.faulty(down):
        writer = BlobWriter(BlobUpload(client(fake), CHUNK))
        with pytest.raises(RegistryError, match="403"):
            for dummy in range(1000):
                writer.write(CONTENT)
        writer.abort()
