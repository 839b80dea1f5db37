# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of C(workload.py): locks, files, watches, and descriptors without a name."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct

from workload_base import KEEP, LIBC, MIB, TICKS, check, keep

DATA = "/data"
EMPTY = "/empty"
SHM = "/dev/shm"


def flock():
    keep(open("/tmp/flock", "w"))
    fcntl.flock(KEEP[-1], fcntl.LOCK_EX)


def posix_lock():
    keep(open("/tmp/posix", "w"))
    fcntl.lockf(KEEP[-1], fcntl.LOCK_EX)


def ofd_lock():
    keep(open("/tmp/ofd", "w"))
    fcntl.fcntl(KEEP[-1], 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))


def lease():
    keep(os.open("/tmp/lease", os.O_RDONLY | os.O_CREAT))
    fcntl.fcntl(KEEP[-1], fcntl.F_SETLEASE, fcntl.F_RDLCK)


def _deleted(path, size):
    keep(open(path, "wb"))
    KEEP[-1].write(os.urandom(MIB) * (size // MIB) if size >= MIB else b"x" * size)
    KEEP[-1].flush()
    os.unlink(path)


def deleted_small():
    _deleted("/tmp/small", 1000)


def deleted_3m():
    _deleted("/tmp/large", 3 * MIB)


def deleted_120m():
    _deleted("/tmp/huge", 120 * MIB)


def deleted_sparse():
    _deleted("/tmp/sparse", 1000)
    KEEP[-1].truncate(300 * MIB)


def deleted_linked():
    _file = open("/tmp/linked", "wb")
    os.link("/tmp/linked", "/tmp/other")
    os.unlink("/tmp/linked")
    keep(_file)


def deleted_of_image():
    keep(open("/app/counter.py"))
    os.unlink("/app/counter.py")


def replaced_file():
    with open("/tmp/config", "w") as stream:
        stream.write("old")
    keep(open("/tmp/config"))
    with open("/tmp/config.new", "w") as stream:
        stream.write("new")
    os.rename("/tmp/config.new", "/tmp/config")


def deleted_mapping():
    with open("/tmp/mapped", "wb") as stream:
        stream.write(b"x" * 3 * MIB)
    with open("/tmp/mapped", "r+b") as stream:
        keep(mmap.mmap(stream.fileno(), 0))
    os.unlink("/tmp/mapped")


def deleted_directory():
    os.mkdir("/tmp/gone")
    os.chdir("/tmp/gone")
    os.rmdir("/tmp/gone")


def growing(path="/growing.log"):
    """A file that is written to all the time."""
    stream = open(path, "w", buffering=1)
    keep(stream)
    TICKS.append(lambda: stream.write("a line that makes the file larger\n"))


def growing_volume():
    growing(DATA + "/growing.log")


def empty_dir_file():
    keep(open(EMPTY + "/file", "w"))


def empty_dir_content():
    with open(EMPTY + "/content", "w") as stream:
        stream.write("x" * 1000)


def host_path_file():
    keep(open(DATA + "/file", "w"))


def shm_file():
    keep(open(SHM + "/file", "w+b"))
    KEEP[-1].truncate(4096)
    keep(mmap.mmap(KEEP[-1].fileno(), 4096))


def shm_deleted():
    _deleted(SHM + "/sem.x", 32)


def _watch(path):
    fd = check(LIBC.inotify_init1(0))
    check(LIBC.inotify_add_watch(fd, path.encode(), 0x2))
    keep(fd)


def inotify_image():
    _watch("/app")


def inotify_etc():
    _watch("/etc/passwd")


def inotify_shm():
    _watch(SHM)


def inotify_volume():
    _watch(DATA)


def fanotify():
    fd = check(LIBC.syscall(300, 0, 0))
    check(LIBC.syscall(301, fd, 0x1, ctypes.c_uint64(0x2), -100, b"/app"))
    keep(fd)


def io_uring():
    keep(check(LIBC.syscall(425, 8, ctypes.create_string_buffer(256))))


def userfaultfd():
    keep(check(LIBC.syscall(323, 0x80000 | 1)))


def secretmem():
    fd = check(LIBC.syscall(447, 0))
    os.ftruncate(fd, 4096)
    keep(fd, mmap.mmap(fd, 4096))


def landlock():
    attributes = struct.pack("QQ", 0x1, 0)
    keep(check(LIBC.syscall(444, attributes, 8, 0)))


def device_fuse():
    keep(os.open("/dev/fuse", os.O_RDWR))


def bpf_map():
    attributes = struct.pack("IIIII", 2, 4, 4, 1, 0) + bytes(100)
    keep(check(LIBC.syscall(321, 0, attributes, len(attributes))))
