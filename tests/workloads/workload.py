# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that has what is asked for: C(workload.py FEATURE...). Runs in a container, with nothing but Python.

Prints C(NONCE COUNT) ten times a second; the nonce is made at start and tells one process from another. Each feature
is a function of that name.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

KEEP: list = []
LIBC = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
DATA = "/data"
EMPTY = "/empty"
SHM = "/dev/shm"
UNIX_OUTSIDE = "/outside/socket"
ABSTRACT = "\0container-checkpoint-neighbour"


def keep(*things):
    KEEP.extend(things)


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def pod_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


# -- harmless --------------------------------------------------------------------------------------------------------


def plain():
    """Nothing."""


def heap(mib=64):
    keep(bytearray(os.urandom(MIB)) * mib)


def heap512():
    heap(512)


def threads():
    for _number in range(8):
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()


def child(work=lambda: time.sleep(1e6)):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    keep(pid)
    return pid


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


# -- locks and files -------------------------------------------------------------------------------------------------


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


# -- watches and things without a name -------------------------------------------------------------------------------


def _watch(path):
    fd = check(LIBC.inotify_init1(0))
    check(LIBC.inotify_add_watch(fd, path.encode(), 0x2))
    keep(fd)


def inotify_image():
    _watch("/app")


def inotify_etc():
    _watch("/etc/passwd")


def inotify_tmp():
    os.makedirs("/tmp/watched", exist_ok=True)
    _watch("/tmp/watched")


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


def device_tun():
    os.makedirs("/dev/net", exist_ok=True)
    keep(os.open("/dev/net/tun", os.O_RDWR))


def bpf_map():
    attributes = struct.pack("IIIII", 2, 4, 4, 1, 0) + bytes(100)
    keep(check(LIBC.syscall(321, 0, attributes, len(attributes))))


# -- sockets ---------------------------------------------------------------------------------------------------------


def _listen(address, family=socket.AF_INET, protocol=0):
    server = socket.socket(family, socket.SOCK_STREAM, protocol)
    server.bind(address)
    server.listen(8)
    keep(server)
    return server


def tcp_listen():
    _listen(("0.0.0.0", 9000))
    _listen(("::", 9001), socket.AF_INET6)
    _listen(("127.0.0.1", 9002))


def tcp_listen_pod():
    _listen((pod_address(), 9003))


def tcp_established():
    server = _listen(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    keep(client, server.accept())


def tcp_outside():
    keep(socket.create_connection((os.environ["OUTSIDE"], int(os.environ["OUTSIDE_PORT"]))))


def tcp_close_wait():
    server = _listen(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    keep(client)
    server.accept()[0].close()


def tcp_syn_sent():
    client = socket.socket()
    client.setblocking(False)
    if client.connect_ex(("192.0.2.77", 9)) not in (errno.EINPROGRESS, 0):
        raise OSError("no connection under way")
    keep(client)


def tcp_in_flight():
    server = _listen(("127.0.0.1", 0))
    keep(socket.create_connection(server.getsockname()))


def tcp_unconnected():
    keep(socket.socket(), socket.socket(socket.AF_INET6))


def mptcp():
    _listen(("0.0.0.0", 9004), protocol=262)


def sctp():
    keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))


def udp_any():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].bind(("0.0.0.0", 9005))


def udp_pod():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].bind((pod_address(), 9006))


def udp_connected():
    keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    KEEP[-1].connect(("192.0.2.1", 53))


def raw():
    keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))


def packet():
    keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))


def alg():
    keep(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
    KEEP[-1].bind(("hash", "sha256"))


def vsock():
    keep(socket.socket(40, socket.SOCK_STREAM))


def netlink():
    keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    KEEP[-1].bind((0, 0))


def netlink_unread():
    netlink()
    KEEP[-1].send(struct.pack("=IHHII", 17, 18, 0x301, 1, 0) + b"\0")
    time.sleep(0.1)


def socketpair():
    keep(*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    KEEP[-1].send(b"waiting")


def socketpair_closed():
    one, other = socket.socketpair()
    other.close()
    keep(one)


def unix_listen():
    server = _listen("/tmp/unix", socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    client.connect("/tmp/unix")
    keep(client, server.accept())


def unix_waiting():
    _listen("/tmp/waiting", socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    client.connect("/tmp/waiting")
    keep(client)


def unix_outside():
    client = socket.socket(socket.AF_UNIX)
    client.connect(UNIX_OUTSIDE)
    keep(client)


def unix_neighbour():
    client = socket.socket(socket.AF_UNIX)
    client.connect(ABSTRACT)
    keep(client)


def unix_neighbour_dgram():
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.connect(ABSTRACT + "-dgram")
    keep(client)


def neighbour():
    """The other side of the two above, in a container of its own."""
    server = _listen(ABSTRACT, socket.AF_UNIX)
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagram.bind(ABSTRACT + "-dgram")
    keep(datagram)

    def accept():
        while True:
            keep(server.accept())

    threading.Thread(target=accept, daemon=True).start()


# -- processes -------------------------------------------------------------------------------------------------------


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


TICKS: list = []


def watch_clock():
    """Keep the longest time between two looks at the clock in /tmp/gap; a file /tmp/reset starts anew."""

    def watch():
        last, longest, told = time.monotonic(), 0.0, 0.0
        while True:
            time.sleep(0.001)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            if now - told > 0.2:
                told = now
                if os.path.exists("/tmp/reset"):
                    os.unlink("/tmp/reset")
                    longest = 0.0
                with open("/tmp/gap.new", "w") as stream:
                    stream.write("%.3f" % (1000 * longest))
                os.rename("/tmp/gap.new", "/tmp/gap")
                last = time.monotonic()

    threading.Thread(target=watch, daemon=True).start()


def main(names: list) -> None:
    """Get everything, then count."""
    os.makedirs("/tmp", exist_ok=True)
    for name in names:
        globals()[name]()
    nonce, count = os.urandom(6).hex(), 0
    while True:
        count += 1
        print(nonce, count, flush=True)
        for tick in TICKS:
            tick()
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1:])
