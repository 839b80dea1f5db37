# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks of virtual machines: a lab's root file system with a kernel, booted once, its state saved; kept in the cache."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import time
import typing as t
import uuid

from lablib import aptconf, rootfs, shell, state
from lablib.errors import LabError

from . import recipe as recipes
from .machine import Machine, arguments, program
from .recipe import Recipe

_SIZE = "6G"
_OFFSET = 1 << 20
# Whatever mke2fs of this machine knows: features that the oldest kernel and boot loader read, too.
_MKE2FS = """[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext4 = {
features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
"""


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def _cached(name: str, make: t.Callable[[str], None]) -> str:
    """A directory of the cache, made if it is not there; older ones of the same kind go."""
    directory = f"{state.cache_dir()}/vm/{name}"
    os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
    with state.lock(f".vm-{name}", wait=True):
        if not os.path.isdir(directory):
            shell.sweep(os.path.dirname(directory))
            with shell.fresh_directory(directory) as fresh:
                os.chmod(fresh, 0o700)  # it holds private keys
                make(fresh)
            for old in glob.glob(f"{glob.escape(directory.rpartition('-')[0])}-????????????"):
                if old != directory:
                    rootfs.remove_tree(old)
    return directory


def installed(name: str, say: t.Callable[[str], None]) -> str:
    """The directory with a disk that was not booted yet, its kernel, and the keys to it."""
    recipe, apt = recipes.RECIPES[name], aptconf.read_host()
    lower = rootfs.ensure(recipe.suite, apt, say)
    here = os.path.dirname(os.path.abspath(__file__))
    digest = _digest(str(recipes.FORMAT), os.path.basename(lower), shell.read_text(f"{here}/recipe.py"))

    def make(fresh: str) -> None:
        say(f"making the disk of the virtual machine {name} (half a minute, once)")
        for which in ("ssh_key", "ssh_host_key"):
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", f"{fresh}/{which}"])
        root = f"{fresh}/root"
        shell.run(["cp", "-a", lower, root])
        _furnish(recipe, root, fresh, apt)
        _install(recipe, root, fresh, rootfs.choose_mirror(apt))
        for which, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
            shutil.copyfile(sorted(glob.glob(f"{glob.escape(root)}/boot/{pattern}"))[-1], f"{fresh}/{which}")
        _disk(root, fresh)
        rootfs.remove_tree(root)

    return _cached(f"{name}-disk-{digest}", make)


def booted(name: str, accel: t.Sequence[str], say: t.Callable[[str], None]) -> str:
    """The directory with a disk whose saved state is a freshly booted machine."""
    recipe, source = recipes.RECIPES[name], installed(name, say)
    # A saved state belongs to one QEMU and one way of running it.
    digest = _digest(os.path.basename(source), *arguments("", "", recipe.memory_mib, accel, ()), shell.output([program(), "--version"]))

    def make(fresh: str) -> None:
        say(f"booting the virtual machine {name} (some minutes, once)")
        for file in ("ssh_key", "ssh_key.pub", "ssh_host_key.pub", "vmlinuz", "initrd", "disk.qcow2"):
            shutil.copy(f"{source}/{file}", f"{fresh}/{file}")
        begin = time.monotonic()
        machine = Machine(fresh, f"{fresh}/disk.qcow2", fresh, recipe.memory_mib, accel, boot_arguments(fresh))
        try:
            machine.start()
            say(f"ssh after {time.monotonic() - begin:.0f} s")
            if recipe.grub:
                machine.run("grub-install --target=i386-pc /dev/vda && update-grub", timeout=600)
                machine.power_off()
                begin = time.monotonic()
                machine = Machine(fresh, f"{fresh}/disk.qcow2", fresh, recipe.memory_mib, accel)
                machine.start()
                say(f"ssh {time.monotonic() - begin:.0f} s after a start by the boot loader")
            _save(machine)
            say("saved")
        finally:
            machine.stop()

    return _cached(f"{name}-booted-{digest}", make)


def boot_arguments(directory: str) -> list[str]:
    """QEMU's arguments to start the kernel directly."""
    return ["-kernel", f"{directory}/vmlinuz", "-initrd", f"{directory}/initrd", "-append", recipes.COMMAND_LINE]


def _save(machine: Machine) -> None:
    state_of_system = machine.run("systemctl is-system-running --wait", check=False, timeout=600).strip()
    if state_of_system != "running":
        failed = machine.run("systemctl --failed --plain --no-legend", check=False).strip()
        raise LabError(f"the new machine is {state_of_system!r}: {failed or machine.said()}")
    machine.run("sync")
    machine.save(recipes.SNAPSHOT)


def _furnish(recipe: Recipe, root: str, fresh: str, apt: aptconf.HostApt) -> None:
    host_key = (shell.read_text(f"{fresh}/ssh_host_key"), shell.read_text(f"{fresh}/ssh_host_key.pub"))
    regular = recipes.files(recipe, apt.settings, shell.read_text(f"{fresh}/ssh_key.pub"), host_key, uuid.uuid4().hex)
    for path, file in regular.items():
        if path != "/etc/resolv.conf":  # the chroot needs the host's, until the packages are there
            shell.write_file(f"{root}{path}", file.content, file.mode)
    for path, target in recipes.links().items():
        os.makedirs(os.path.dirname(f"{root}{path}"), exist_ok=True)
        if os.path.lexists(f"{root}{path}"):
            os.unlink(f"{root}{path}")
        os.symlink(target, f"{root}{path}")
    os.chmod(f"{root}/root", 0o700)
    os.chmod(f"{root}/root/.ssh", 0o700)


def _install(recipe: Recipe, root: str, fresh: str, mirror: str) -> None:
    """The kernel and what else the recipe wants, with apt in a mount and PID namespace of its own."""
    extra = f"{root}/etc/apt/sources.list.d/vm-build.list"
    if recipe.kernel_suite:
        shell.write_file(extra, f"deb {mirror} {recipe.kernel_suite} main\n")
    answers = "grub-pc grub-pc/install_devices_empty boolean true"
    steps = [
        'mount -t proc proc "$1/proc"', 'mount -t sysfs sysfs "$1/sys"', 'mount --bind /dev "$1/dev"',
        "chroot \"$1\" sh -c 'apt-get -q update && apt-get -q -y --no-install-recommends install initramfs-tools zstd udev'",
        f"echo {answers} | chroot \"$1\" debconf-set-selections",
        f"chroot \"$1\" apt-get -q -y --no-install-recommends install {recipe.kernel} {' '.join(recipe.packages)}",
    ]
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    policy = f"{root}/usr/sbin/policy-rc.d"
    shell.write_file(policy, "#!/bin/sh\nexit 101\n", 0o755)
    inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec", "\n".join(steps), "sh", root]
    with open(f"{os.path.dirname(fresh)}/build.log", "ab") as log:
        try:
            shell.run(inside, log=log, env=environment)
        except LabError as exc:
            raise LabError(f"cannot install the kernel {recipe.kernel}: {' | '.join(shell.read_text(log.name).splitlines()[-5:])}") from exc
    os.unlink(policy)
    if recipe.kernel_suite:
        os.unlink(extra)
    shell.write_file(f"{root}/etc/resolv.conf", f"nameserver {recipes.RESOLVER}\n")


def _disk(root: str, fresh: str) -> str:
    """A disk with one partition that holds a directory's content; the first MiB is left to a boot loader."""
    raw, disk, config = f"{fresh}/disk.raw", f"{fresh}/disk.qcow2", f"{fresh}/mke2fs.conf"
    shell.write_file(config, _MKE2FS)
    shell.run(["truncate", "-s", _SIZE, raw])
    shell.run(["sfdisk", "--quiet", raw], text_input=f"label: dos\nstart={_OFFSET // 512}, type=83, bootable\n")
    size = f"{(os.stat(raw).st_size - _OFFSET) >> 10}k"
    options = ["-q", "-F", "-d", root, "-E", f"offset={_OFFSET},lazy_itable_init=1,lazy_journal_init=1", "-L", "vm"]
    shell.run(["mkfs.ext4", *options, raw, size], env={"MKE2FS_CONFIG": config})
    shell.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk])
    os.unlink(raw)
    return disk
