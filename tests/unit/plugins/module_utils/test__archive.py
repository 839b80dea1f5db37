# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive import ArchiveScanner, scan_file
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_identity import (
    format_time,
    parse_time,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._archive_policy import (
    ArchiveLimits,
    parse_document,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import ArchiveError
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.archives import (
    CONTAINER_ID,
    END,
    archive,
    documents,
    fixture,
    fixture_bytes,
    good_members,
    header,
    member,
    pax_record,
)

REAL = [
    "%s-%s" % (engine, name)
    for engine in ("containerd", "crio")
    for name in ("counter-counter", "two-a", "two-b", "emptyd-c")
]


def scan(data, split=4096, limits=None):
    scanner = ArchiveScanner(limits)
    for start in range(0, len(data), split):
        scanner.feed(data[start : start + split])
    return scanner.finish()


def refused(data, text, limits=None):
    with pytest.raises(ArchiveError) as caught:
        scan(data, limits=limits)
    assert text in caught.value.msg
    return caught.value.msg


@pytest.mark.parametrize("name", REAL)
def test_real_archives(name):
    engine, pod, container = name.split("-")
    contents = scan(fixture_bytes(name))
    identity = contents.identity
    assert identity.engine == {"containerd": "containerd", "crio": "cri-o"}[engine]
    assert (identity.namespace, identity.pod, identity.container) == ("default", pod, container)
    assert identity.container_id == contents.documents["config.dump"]["id"]
    assert len(identity.pod_uid) == 36
    assert identity.restart_count == 0
    assert identity.base_image_digest.startswith("sha256:")
    assert (identity.base_image_id is not None) == (engine == "crio")
    assert identity.oci_runtime == {"containerd": "io.containerd.runc.v2", "crio": "runc"}[engine]
    assert (identity.criu, identity.kernel, identity.arch) == ("4.2.1", "6.18.44-fc-v445", "x86_64")
    assert identity.cpu == "AuthenticAMD family 25 AMD EPYC"
    assert identity.hostname == pod
    assert identity.tty is False
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in [mount["destination"] for mount in identity.mounts]
    assert contents.bytes == len(fixture_bytes(name))
    assert contents.small["stats-dump"] and contents.small["checkpoint/inventory.img"].startswith(b"\x16\x31\x31\x58")
    assert len(contents.small["dump.log"]) == 64 * 1024
    assert json.loads(json.dumps(identity.as_dict())) == identity.as_dict()


@pytest.mark.parametrize("name", REAL)
def test_the_quick_look_finds_the_same(name):
    assert scan_file(fixture(name)) == scan(fixture_bytes(name))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(REAL[:1] + REAL[4:5]), st.integers(1, 20000))
def test_any_split_gives_the_same(name, split):
    data = fixture_bytes(name)
    assert scan(data, split) == scan(data, len(data))


def test_containerd_identity():
    identity = scan_file(fixture("containerd-counter-counter")).identity
    assert identity.container_id == "0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad"
    assert identity.pod_uid == "40ae907e-7bd9-48f5-ab96-7d04339bbe46"
    assert (
        identity.base_image_ref
        == "localhost:5000/counter@sha256:f6183db7b9ef82e9a9b108d929fe3e84d494d92a083ba7cae9dd3ae4b5045b2b"
    )
    assert identity.base_image_requested == "localhost:5000/counter:1"
    assert identity.checkpointed_at == "2026-11-21T11:55:44.162409Z"
    assert identity.created_at == "2026-11-21T11:55:33.212971Z"
    assert identity.credentials["uid"] == 0 and "CAP_CHOWN" in identity.credentials["capabilities"]["effective"]


def test_nothing_of_the_environment_is_in_the_identity():
    assert "do-not-show" not in json.dumps(scan(archive()).identity.as_dict())


def test_expectations():
    identity = scan(archive()).identity
    identity.check(namespace="default", pod="counter", container="counter", container_id=CONTAINER_ID, pod_uid=None)
    with pytest.raises(ArchiveError) as caught:
        identity.check(namespace="prod", pod="counter", container="other")
    assert (
        caught.value.msg
        == "the archive is not of the container that was asked for: inside it, container is 'counter', not 'other';"
        " namespace is 'default', not 'prod'"
    )


@pytest.mark.parametrize(
    "extra,text",
    [
        (
            member("l", kind=b"2", link=b"/etc/shadow"),
            "'l', a symbolic link to '/etc/shadow'; only regular files and directories",
        ),
        (member("h", kind=b"1", link=b"config.dump"), "'h', a hard link to 'config.dump'"),
        (member("dev", kind=b"3"), "a character device"),
        (member("dev", kind=b"4"), "a block device"),
        (member("pipe", kind=b"6"), "a fifo"),
        (member("/etc/passwd", b"x"), "absolute name '/etc/passwd'"),
        (member("checkpoint/../../etc/passwd", b"x"), "leads out of it"),
        (member("..", kind=b"5"), "leads out of it"),
        (member("a\0b", b"x"), "NUL byte"),
        (member("a\nb", b"x"), "control characters"),
        (member("./", b""), "a regular file with the name of a directory"),
        (member("x", pax_record("path", b"."), kind=b"x") + member("y", b"1"), "a file without a name"),
        (member("checkpoint/.wh.config.dump"), "an image layer would take for a deletion"),
        (member(".wh..wh..opq"), "an image layer would take for a deletion"),
        (member("config.dump", b"{}"), "two members with the name 'config.dump'"),
        (member("./config.dump", b"{}"), "two members with the name 'config.dump'"),
        (member("checkpoint//inventory.img", b"x"), "two members with the name 'checkpoint/inventory.img'"),
        (member("checkpoint", b"x"), "two members with the name 'checkpoint'"),
        (member("checkpoint/pages-1.img/x", b"x"), "a file 'checkpoint/pages-1.img' and a member below it"),
        (member("stats-dump/", kind=b"5"), "the archive's stats-dump is a directory"),
        (
            member("n" * 90 + "/" + "x", prefix=b"p/" * 50)
            + member("x", pax_record("path", b"n" * 300), kind=b"x")
            + member("y"),
            "too long",
        ),
        (
            header("status.dump", 3 * 1024 * 1024),
            "the archive's status.dump has 3145728 bytes; at most 1048576 are accepted",
        ),
        (header("stats-dump", 10**6), "the archive's stats-dump has 1000000 bytes"),
        (header("pages", size_field=b"\x80" + (2**62).to_bytes(11, "big")), "more than is accepted"),
        (member("status.dump", b"[" * 200 + b"]" * 200), "nested deeper than 64 levels"),
        (member("status.dump", b"[" * 90000 + b"]" * 90000), "nested deeper than 64 levels"),
        (member("status.dump", b"[" * 500000 + b"]" * 500000), "holds more than 100000 values"),
        (member("status.dump", b'{"a": [' + b"{}," * 60000 + b"1]}"), "holds more than 100000 values"),
        (member("status.dump", b'{"a": 1, "a": 2}'), "names a key twice in one object"),
        (member("status.dump", b'{"labels": {}, "Labels": {}}'), "names a key twice in different case"),
        (member("status.dump", b'{"a": NaN}'), "holds NaN"),
        (member("status.dump", b"[1, 2"), "not valid JSON"),
        (member("status.dump", b"\xff"), "not valid JSON"),
        (member("status.dump", b"[]"), "status.dump is not a JSON object"),
        (
            member("status.dump", b'{"annotations": {"cdi.k8s.io/gpu": "vendor.com/gpu=all"}}'),
            "carries a cdi.k8s.io annotation",
        ),
        (member("status.dump", b'{"Annotations": {"CDI.k8s.io/gpu": "x"}}'), "carries a cdi.k8s.io annotation"),
        (
            member("status.dump", json.dumps({"labels": {"io.kubernetes.pod.namespace": "other"}}).encode()),
            "the archive contradicts itself: spec.dump says namespace 'default', status.dump says 'other'",
        ),
    ],
)
def test_hostile_members(extra, text):
    refused(archive(extra), text)


def test_cdi_annotation_hidden_in_crio_json():
    spec = documents()["spec.dump"]
    spec["annotations"]["io.kubernetes.cri-o.Annotations"] = json.dumps({"cdi.k8s.io/x": "vendor.com/gpu=all"})
    refused(archive(spec_dump=spec), "carries a cdi.k8s.io annotation")


def test_a_value_that_only_mentions_cdi_is_harmless():
    spec = documents()["spec.dump"]
    spec["annotations"]["io.kubernetes.cri-o.Annotations"] = json.dumps({"note": "no cdi.k8s.io here"})
    assert scan(archive(spec_dump=spec)).identity.pod == "counter"


def test_the_roots_own_entry_is_harmless():
    assert scan(member("./", kind=b"5") + archive()).identity.pod == "counter"


def test_other_limits():
    refused(archive(), "more members than is accepted", ArchiveLimits(members=3))
    refused(archive(), "more members than is accepted", ArchiveLimits(name_bytes=20))
    refused(
        archive(), "'checkpoint/pages-1.img' has 5000 bytes, more than is accepted", ArchiveLimits(member_bytes=1000)
    )


@pytest.mark.parametrize("missing", ["config.dump", "spec.dump"])
def test_required_documents(missing):
    changes = {missing.replace(".", "_"): None}
    refused(archive(**changes), "this is not a checkpoint archive: it has no %s" % missing)


def test_required_criu_images():
    refused(b"".join(good_members()[:1] + good_members()[2:]) + END, "it has no checkpoint/inventory.img")


@pytest.mark.parametrize(
    "changes,text",
    [
        ({"config_dump": {"id": "../../x"}}, "no container ID of 64 hexadecimal digits"),
        ({"config_dump": [1]}, "config.dump is not a JSON object"),
        ({"spec_dump": {"annotations": {}}}, "does not tell which runtime wrote it"),
        (
            {"spec_dump": {"annotations": {"io.kubernetes.cri.container-name": "x"}}},
            "does not name the namespace, pod and container",
        ),
        (
            {"spec_dump": {"annotations": {"io.container.manager": "cri-o"}}},
            "does not name the namespace, pod and container",
        ),
    ],
)
def test_documents_without_identity(changes, text):
    refused(archive(**changes), text)


def test_podman_archives_are_recognised():
    identity = scan(archive(spec_dump={"annotations": {"io.container.manager": "libpod"}})).identity
    assert (identity.engine, identity.namespace, identity.pod) == ("podman", None, None)


def test_odd_types_do_not_crash():
    spec = {
        "process": {"user": 3, "env": [1, None], "rlimits": "x", "capabilities": []},
        "mounts": [1, {"type": "bind"}, {"options": 5}],
        "linux": [],
        "annotations": dict(documents()["spec.dump"]["annotations"], number=5),
    }
    identity = scan(archive(spec_dump=spec)).identity
    assert identity.mounts == ({"destination": None, "source": None, "read_only": False},)
    assert identity.credentials["uid"] == 0


@pytest.mark.parametrize(
    "magic,name", [(b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")]
)
def test_compressed_archives(magic, name):
    refused(magic + bytes(600), "compressed with %s as a whole" % name)
    scanner = ArchiveScanner()
    scanner.feed(magic[:1])
    with pytest.raises(ArchiveError):
        scanner.feed(magic[1:])


def test_incomplete_archives():
    data = archive()
    refused(b"", "the file is empty")
    refused(data[:-600], "truncated")
    refused(data + b"tail", "data after the end marker")
    for cut in range(0, len(data) - 1024, 333):
        refused(data[:cut], "truncated" if cut else "empty")


def test_scan_file_names_the_path(tmp_path):
    path = tmp_path / "a.tar"
    with pytest.raises(ArchiveError) as caught:
        scan_file(str(path))
    assert caught.value.msg == "archive %s cannot be read: No such file or directory" % path
    path.write_bytes(archive()[:-1024])
    with pytest.raises(ArchiveError) as caught:
        scan_file(str(path))
    assert caught.value.msg.startswith("archive %s: the tar is truncated" % path)
    # Truncated inside content that is seeked over.
    path.write_bytes(archive(header("pages-2.img", 10**9))[:-1024])
    with pytest.raises(ArchiveError, match="ends inside 'pages-2.img'"):
        scan_file(str(path))


def test_constant_memory():
    scanner = ArchiveScanner()
    for part in good_members():
        scanner.feed(part)
    block = bytes(1024 * 1024)
    tracemalloc.start()
    try:
        scanner.feed(header("checkpoint/pages-2.img", 256 * len(block)))
        for dummy in range(256):
            scanner.feed(block)
        scanner.feed(END)
        contents = scanner.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert contents.bytes > 256 * len(block)
    assert peak < 512 * 1024


@pytest.mark.parametrize(
    "text,expected",
    [
        ("2026-11-21T11:55:44.16240946Z", "2026-11-21T11:55:44.162409Z"),
        ("2026-11-21T17:16:14+05:30", "2026-11-21T11:46:14Z"),
        ("2026-11-21T00:30:00.5-01:00", "2026-11-21T01:30:00.500000Z"),
        ("0001-01-01T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        (5, None),
    ],
)
def test_times(text, expected):
    value = parse_time(text)
    assert (format_time(value) if value else None) == expected


def test_invalid_json_is_not_quoted():
    with pytest.raises(ArchiveError) as caught:
        parse_document("spec.dump", b'{"env": ["TOKEN=do-not-show"', ArchiveLimits())
    assert "do-not-show" not in caught.value.msg and "spec.dump" in caught.value.msg
