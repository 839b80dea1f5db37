# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of C(workload.py): memory, processes, timers, pipes, terminals, and a clock that is watched."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import signal
import threading
import time

from workload_base import KEEP, LIBC, MIB, check, child, keep


def plain():
    """Nothing."""


def heap(mib=64):
    keep(bytearray(os.urandom(MIB)) * mib)


def heap512():
    heap(512)


def threads():
    for _number in range(8):
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()


def children():
    for _number in range(5):
        child()


def zombie():
    child(lambda: None)
    time.sleep(0.1)


def stopped_child():
    pid = child()
    os.kill(pid, signal.SIGSTOP)


def eventfds():
    keep(os.eventfd(7), os.memfd_create("workload"), *os.pipe())
    os.truncate(KEEP[-3], MIB)


def memfd_sealed():
    fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.write(fd, b"x" * 4096)
    fcntl.fcntl(fd, 1033, 0x1 | 0x2 | 0x4)
    keep(fd)


def epoll():
    reading, writing = os.pipe()
    poll = select.epoll()
    poll.register(reading, select.EPOLLIN)
    keep(poll, reading, writing)


def timers():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 3600, 3600)
    keep(check(LIBC.timerfd_create(1, 0)))
    mask = ctypes.create_string_buffer(128)
    mask[1] = 2
    keep(check(LIBC.signalfd(-1, mask, 0)))


def fifo():
    os.mkfifo("/tmp/fifo")
    keep(os.open("/tmp/fifo", os.O_RDWR))


def pipe_data():
    reading, writing = os.pipe()
    os.write(writing, b"x" * 5000)
    keep(reading, writing)


def shared_memory():
    keep(mmap.mmap(-1, MIB))
    KEEP[-1][:5] = b"hello"


def sysv_shm():
    ident = check(LIBC.shmget(0, MIB, 0o1600))
    LIBC.shmat.restype = ctypes.c_void_p
    keep(LIBC.shmat(ident, None, 0))


def pidfd_child():
    keep(os.pidfd_open(child()))


def urandom():
    keep(
        os.open("/dev/urandom", os.O_RDONLY), os.open("/dev/null", os.O_RDWR), os.open("/proc/self/status", os.O_RDONLY)
    )


def open_file():
    keep(open("/app/counter.py"), open("/tmp/written", "w"))


def changed_image_file():
    with open("/app/counter.py", "a") as stream:
        stream.write("#\n")
    keep(open("/app/counter.py"))


def append_once():
    keep(open("/tmp/log", "a"))
    KEEP[-1].write("x\n")
    KEEP[-1].flush()


def chroot_child():
    def work():
        os.makedirs("/tmp/root", exist_ok=True)
        os.chroot("/tmp/root")
        os.chdir("/")
        time.sleep(1e6)

    child(work)


def traced():
    """A child that its parent traces."""
    pid = child()
    check(LIBC.ptrace(0x4206, pid, None, None))


def zombie_threads():
    """A child whose first thread has ended while another one lives."""

    def work():
        threading.Thread(target=time.sleep, args=(1e6,), daemon=False).start()
        LIBC.syscall(60, 0)

    child(work)
    time.sleep(0.2)


def nested_uts():
    child(lambda: (os.unshare(os.CLONE_NEWUTS), time.sleep(1e6)))


def nested_net():
    child(lambda: (os.unshare(os.CLONE_NEWNET), time.sleep(1e6)))


def nested_mnt():
    child(lambda: (os.unshare(os.CLONE_NEWNS), time.sleep(1e6)))


def nested_user():
    child(lambda: (os.unshare(os.CLONE_NEWUSER), time.sleep(1e6)))


def nested_pid():
    def work():
        os.unshare(os.CLONE_NEWPID)
        child()
        time.sleep(1e6)

    child(work)


def drop_root():
    def work():
        os.setgroups([])
        os.setgid(1000)
        os.setuid(1000)
        time.sleep(1e6)

    child(work)


def own_terminal():
    master, slave = os.openpty()
    keep(master, slave)


def watch_clock():
    """Do what a program does (sleep a moment, map and touch memory, open a file) and note how long each round took.

    A file /tmp/reset ends the interval: the rounds' lengths in ms go to /tmp/rounds, and the next interval begins.
    """

    def watch():
        rounds, looked = [], time.monotonic()
        while True:
            begun = time.monotonic()
            time.sleep(0.001)
            with mmap.mmap(-1, 65536) as memory:
                memory[::4096] = b"x" * 16
            os.close(os.open("/dev/null", os.O_RDONLY))
            now = time.monotonic()
            rounds.append(round(1000 * (now - begun), 3))
            if now - looked > 0.05:
                looked = now
                if os.path.exists("/tmp/reset"):
                    os.unlink("/tmp/reset")
                    with open("/tmp/rounds.new", "w") as stream:
                        stream.write(" ".join(map(str, rounds)))
                    os.rename("/tmp/rounds.new", "/tmp/rounds")
                    rounds = []

    threading.Thread(target=watch, daemon=True).start()
