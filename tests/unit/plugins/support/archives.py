# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives for tests: the ones that real kubelets produced, and hand-made ones, good and hostile."""

from __future__ import annotations

import io
import json
import os
import tarfile

ARCHIVES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "archives")
CONTAINER_ID = "0bad86e9900ece53f20ba13c2e80c3c04a4193fecfefaebe9a7c43b463066bad"
END = bytes(1024)


def fixture(name):
    """The path of a real archive: <engine>-<pod>-<container>."""
    return os.path.join(ARCHIVES, name + ".tar")


def fixture_bytes(name):
    with open(fixture(name), "rb") as stream:
        return stream.read()


def header(
    name, size=0, kind=b"0", link=b"", magic=b"ustar\x0000", prefix=b"", size_field=None, checksum=None, tail=b""
):
    """One tar header block, made field by field so that every field can be wrong."""
    if isinstance(name, str):
        name = name.encode("utf-8")
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000600\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = size_field if size_field is not None else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    block[345 : 345 + len(prefix)] = prefix
    if tail:
        block[512 - len(tail) :] = tail
    block[148:156] = checksum if checksum is not None else b"%06o\0 " % sum(block)
    assert len(block) == 512
    return bytes(block)


def member(name, content=b"", **fields):
    """A header and its padded content."""
    return header(name, len(content), **fields) + content + bytes(-len(content) % 512)


def pax_record(key, value):
    """One pax record with its own length in front."""
    body = b" " + key.encode("utf-8") + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def documents(**changes):
    """The documents of a small containerd checkpoint; None leaves one out."""
    result = {
        "config.dump": {
            "id": CONTAINER_ID,
            "name": "counter_counter_default_40ae907e-7bd9-48f5-ab96-7d04339bbe46_0",
            "rootfsImage": "base.example/counter:1",
            "rootfsImageRef": "base.example/counter@sha256:" + "f6" * 32,
            "rootfsImageName": "base.example/counter:1",
            "runtime": "io.containerd.runc.v2",
            "createdTime": "2026-11-21T11:55:33.212971722Z",
            "checkpointedTime": "2026-11-21T11:55:44.16240946Z",
        },
        "spec.dump": {
            "process": {"user": {"uid": 0, "gid": 0}, "env": ["SECRET=do-not-show"]},
            "mounts": [],
            "annotations": {
                "io.kubernetes.cri.container-name": "counter",
                "io.kubernetes.cri.sandbox-name": "counter",
                "io.kubernetes.cri.sandbox-namespace": "default",
                "io.kubernetes.cri.sandbox-uid": "40ae907e-7bd9-48f5-ab96-7d04339bbe46",
            },
        },
    }
    for key, value in changes.items():
        result[key.replace("_", ".")] = value
    return {key: value for key, value in result.items() if value is not None}


def good_members(docs=None):
    """The members of a small, complete checkpoint archive, as bytes."""
    result = [member("checkpoint/", kind=b"5")]
    result.append(member("checkpoint/inventory.img", b"\x16\x31\x31\x58"))
    result.append(member("checkpoint/pages-1.img", b"\xa5" * 5000))
    for name, document in (docs if docs is not None else documents()).items():
        content = document if isinstance(document, bytes) else json.dumps(document).encode("utf-8")
        result.append(member(name, content))
    return result


def archive(*extra, **changes):
    """A complete small archive plus extra members (bytes) before the end marker."""
    return b"".join(good_members(documents(**changes))) + b"".join(extra) + END


def named_archive(namespace, pod, container, container_id=CONTAINER_ID, pages=b"\xa5" * 5000, checkpointed=None):
    """A valid containerd archive of the given container, written by Python's tarfile."""
    docs = documents()
    docs["config.dump"]["id"] = container_id
    if checkpointed:
        docs["config.dump"]["checkpointedTime"] = checkpointed
    docs["spec.dump"]["annotations"] = {
        "io.kubernetes.cri.container-name": container,
        "io.kubernetes.cri.sandbox-name": pod,
        "io.kubernetes.cri.sandbox-namespace": namespace,
    }
    contents = {name: json.dumps(document).encode("utf-8") for name, document in docs.items()}
    contents["checkpoint/inventory.img"] = b"\x16\x31\x31\x58"
    contents["checkpoint/pages-1.img"] = pages
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(contents.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
