# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_preflight_parse: the texts of /proc as kernels write them, and CRIU's configuration."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_parse as parse
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _preflight_unix as unix
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._preflight_model import Lock

ID = "c2385d03777a94be758af5d35398d01e03b115ec58ad497fedf6a1cac51ba513"
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 4001 1 0 100 0 0 10 0
   1: 0A01F40A:9C42 0700000A:1538 01 00000000:00000000 02:00000000 00000000     0        0 4002 2 0 20 4 30 10 -1
   2: 0100007F:9C44 0100007F:1F90 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
"""
_NOBODY = "00000000000000000000000000000000"
_TCP6_TAIL = "00000000:00000000 00:00000000 00000000     0        0"
TCP6 = "  sl  local_address   remote_address   st ...\n" + "".join(
    "   %d: %s %s %s %s %d 1 0\n" % row
    for row in (
        (0, _NOBODY + ":2329", _NOBODY + ":0000", "0A", _TCP6_TAIL, 4003),
        (1, "0000000000000000FFFF00000100007F:9C44", "0000000000000000FFFF00000100007F:1F90", "01", _TCP6_TAIL, 4004),
    )
)
NETLINK = """\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   4711       00000000 64       0        0     2        0        5001
"""
TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.244.1.3
        /32 host LOCAL
     |-- 10.244.1.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""
MOUNTINFO = """\
970 900 0:64 / / rw,relatime master:7 - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/c/fs\\0401,workdir=/w
971 970 8:1 /var/lib/x /data rw,relatime shared:3 master:2 - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-%s.scope\n" % ID, ID),
        ("11:memory:/kubepods/pod1/%s\n1:name=systemd:/kubepods/pod1/%s\n" % (ID, ID), ID),
        ("0::/kubepods.slice/crio-conmon-%s.scope\n" % ID, None),
        ("0::/kubepods.slice/crio-%s.scope/container\n" % ID, ID),
        ("0::/user.slice\n", None),
        ("", None),
    ],
)
def test_the_container_of_a_process(text, expected):
    assert parse.container_of(text) == expected


def test_status_and_its_numbers():
    fields = parse.status("Name:\tnginx\nNSpid:\t4711\t1\nNSsid:\t0\t0\nUid:\t0\t1\t2\t3\nRssAnon:\t  12 kB\n")
    assert fields["Name"] == "nginx"
    assert parse.last_number(fields, "NSpid") == 1 and parse.last_number(fields, "NSsid", 1) == 0
    assert parse.last_number(fields, "NSpgid", 7) == 7
    assert parse.numbers(fields, "Uid") == (0, 1, 2, 3)
    assert parse.kib(fields, "RssAnon") == 12288 and parse.kib(fields, "VmSwap") == 0


def test_a_name_with_brackets_and_blanks_does_not_move_the_terminal():
    assert parse.tty_of_stat("12 (a) b) S 1 12 12 34816 12 4194304 0") == 34816
    assert parse.tty_of_stat("") == 0


def test_fdinfo_with_locks_watches_and_a_pidfd():
    text = (
        "pos:\t0\nflags:\t02100002\nmnt_id:\t970\nlock:\t1: FLOCK  ADVISORY  WRITE 4711 00:40:1234 0 EOF\n"
        "lock:\t2: POSIX  ADVISORY  READ 12 00:40:1234 0 EOF\n"
        "inotify wd:1 ino:1b5 sdev:40 mask:2 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:b5\nPid:\t9\n"
    )
    found = parse.fdinfo(text)
    assert found["flags"] & 3 == 2 and found["mount_id"] == 970 and found["refers_to_pid"] == 9
    assert found["locks"] == (Lock("FLOCK", "WRITE", 4711), Lock("POSIX", "READ", 12))
    assert found["watches"] == ((0x40, 0x1B5),)


def test_mounts_with_sharing_and_escapes():
    first, second = parse.mounts(MOUNTINFO + "garbage\n")
    assert (first.point, first.fstype, first.master, first.shared) == ("/", "overlay", 7, 0)
    assert "upperdir=/var/lib/c/fs 1" in first.source.split(",")
    assert (second.mount_id, second.device, second.root, second.shared, second.master) == (
        971,
        "8:1",
        "/var/lib/x",
        3,
        2,
    )


def test_inet_sockets_with_queue_and_without_those_that_nobody_owns():
    listening, connected = parse.inet_sockets(TCP, "tcp")
    assert (listening.state, listening.local, listening.queue) == (10, ("127.0.0.1", 8080), 2)
    assert (connected.state, connected.local, connected.remote) == (1, ("10.244.1.10", 40002), ("10.0.0.7", 5432))


def test_ipv6_and_what_only_looks_like_it():
    anybody, mapped = parse.inet_sockets(TCP6, "tcp6")
    assert anybody.local == ("::", 9001)
    assert mapped.remote == ("127.0.0.1", 8080)


def test_netlink_and_addresses():
    assert [(one.inode, one.unread) for one in parse.netlink_sockets(NETLINK)] == [(5001, 64)]
    addresses = parse.local_addresses(TRIE, "fd000000000000000000000000000002 02 40 00 80 eth0\n")
    assert addresses == {"10.244.1.3", "127.0.0.1", "fd00::2"}


def test_mappings_once_each_and_none_of_the_kernels_own():
    text = (
        "5581-5582 r--p 00000000 08:01 12 /usr/bin/x\n5583-5584 rw-p 00000000 08:01 12 /usr/bin/x\n"
        "7f01-7f02 rw-p 00000000 00:00 0 \n7f03-7f04 rw-p 00000000 00:00 0 [heap]\n"
        "7f05-7f06 rw-s 00000000 00:01 3 /dev/zero (deleted)\n7f07-7f08 r-xp 00000000 00:00 0 [uprobes]\n"
    )
    assert [path for _address, path in parse.interesting_mappings(text)] == [
        "/usr/bin/x",
        "/dev/zero (deleted)",
        "[uprobes]",
    ]


def test_crius_configuration_and_sizes():
    options = parse.criu_options('# ours\ntcp-close\nghost-limit 100M\n--link-remap\nlog-file="/var/log/criu.log"\n\n')
    assert options == {"tcp-close": "", "ghost-limit": "100M", "link-remap": "", "log-file": "/var/log/criu.log"}
    assert parse.size("100M", 1) == 100 << 20 and parse.size("2k", 1) == 2048 and parse.size("", 7) == 7
    assert parse.size("many", 7) == 7


# -- sock_diag -------------------------------------------------------------------------------------------------------


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def test_unix_sockets_as_the_kernel_answers():
    body = (
        struct.pack("=BBBBIII", 1, 1, 1, 0, 77, 0, 0)
        + attribute(0, b"\0abstract")
        + attribute(2, struct.pack("=I", 78))
    )
    found, complete = unix.parse(message(20, body) + message(3, struct.pack("=i", 0)))
    assert complete
    assert [(one.inode, one.kind, one.state, one.peer, one.name) for one in found] == [
        (77, "stream", 1, 78, "@abstract")
    ]


def test_a_refusal_of_the_kernel_is_an_error():
    with pytest.raises(OSError, match="sock_diag"):
        unix.parse(message(2, struct.pack("=i", -2) + b"\0" * 16))


def test_half_an_answer_is_not_complete():
    assert unix.parse(b"\0" * 10) == ([], False)
    assert unix.parse(struct.pack("=IHHII", 0, 20, 0, 0, 0)) == ([], False)
