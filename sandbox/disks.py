"""Which disks can a run reach? The block devices whose I/O ``--io-read`` and ``--io-write`` limit.

A place is a directory or file that is shown in the sandbox, or an open file that was handed over. Its
disk is that of its st_dev, a partition counting as the disk that it is part of: io.max and blkio.throttle
take whole disks (ENODEV else). dm, md and loop devices are whole. A file system with a made-up st_dev
(major 0) is looked up by the device that it was mounted from, btrfs by all of those. What remains has no
disk that we know: network and FUSE file systems (whose I/O somebody else does), overlay in a container.

Memory (tmpfs) is read without a disk. Scratch space is memory too, so that a run may well have no disk to
write to: ``--io-write`` then holds by itself and needs no cgroup. Looked at only when a limit is asked for.
"""

from __future__ import annotations

import os
import stat

from .cgroup.mounts import unescape
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .host import HostFacts
    from .spec import Spec, Stack

# File systems whose data is in memory or made up when it is read.
MEMORY = frozenset((
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rootfs", "rpc_pipefs", "securityfs",
    "selinuxfs", "sysfs", "tmpfs", "tracefs",
))  # fmt: skip

# SB_I_CGROUPWB: write-back of these is charged to the cgroup that made the page dirty (cgroup-v2.rst, "Writeback").
CGROUP_WRITEBACK = frozenset(("btrfs", "ext2", "ext4", "f2fs", "xfs"))


class Disk(Record):
    """A whole block device: ``name`` as in /sys/block, ``number`` as "254:0"."""

    name: str
    number: str


class Disks(Record):
    """All disks that a run can reach.

    ``read_fault`` and ``write_fault`` say of a place without a known disk why its I/O cannot be limited,
    with the fix; "" if there is none. ``written`` are the types of the file systems on disks that the run
    can write to.
    """

    disks: tuple[Disk, ...] = ()
    written: frozenset[str] = frozenset()
    read_fault: str = ""
    write_fault: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """For the cgroup."""
        return tuple(disk.number for disk in self.disks)

    def fault(self, limit: str) -> str:
        """Of ``io_read`` or ``io_write``."""
        return self.read_fault if limit == "io_read" else self.write_fault

    def nothing(self, limit: str) -> str:
        """Words for a limit that has nothing to limit, "" if there is something."""
        if limit == "io_write" and not self.written and not self.write_fault:
            return "nothing to limit: this sandbox can write to memory only, to no disk"
        if limit == "io_read" and not self.disks and not self.read_fault:
            return "nothing to limit: this sandbox can read from memory only, from no disk"
        return ""

    def on(self) -> str:
        """The disks by name, for a sentence."""
        return ", ".join(disk.name for disk in self.disks)


class Mount(Record):
    """One line of mountinfo."""

    number: int
    point: str
    writable: bool
    fstype: str
    source: str


def parse_mountinfo(text: str) -> dict[int, Mount]:
    """Mounts by their id (proc_pid_mountinfo(5)), in the order of mounting."""
    found = {}
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if dash and len(fields) >= 6 and len(tail) >= 3:
            writable = "rw" in fields[5].split(",") and "rw" in tail[2].split(",")
            found[int(fields[0])] = Mount(
                number=int(fields[0]), point=unescape(fields[4]), writable=writable, fstype=tail[0],
                source=unescape(tail[1]),
            )  # fmt: skip
    return found


def find(spec: Spec, host: HostFacts, fds: Sequence[int] = (), sys: str = "/sys") -> Disks:
    """The disks behind all places of this run; ``fds`` are the open files that it is handed."""
    search = Search(parse_mountinfo(os.fsdecode(_read("/proc/self/mountinfo"))), sys)
    for path, deep, writable in _places(spec, host):
        search.path(path, deep, writable)
    for fd in (*fds, *(volume.fd for volume in spec.volumes if volume.fd is not None)):
        search.fd(fd)
    return search.result()


def _places(spec: Spec, host: HostFacts) -> Iterator[tuple[str, bool, bool]]:
    """(path, with what is mounted below it, writable)."""
    if not spec.has("mount"):
        yield "/", True, True
        return
    if spec.rootfs is not None:
        yield from _stack(spec.rootfs.stack, spec.rootfs.direct and spec.rootfs.writable)
    else:
        for entry in (*host.system, *host.etc):
            if entry.kind != "link":
                yield entry.path, entry.kind == "dir", False
    for overlay in spec.overlays:
        yield from _stack(overlay.stack, False)
    for volume in spec.volumes:
        if volume.fd is None:
            yield volume.source, volume.is_dir, volume.writable
    if spec.program:
        yield spec.program, False, False


def _stack(stack: Stack, writable: bool) -> Iterator[tuple[str, bool, bool]]:
    for path in stack.layers:
        yield path, False, writable
    if stack.upper is not None:  # else changes are written to memory
        yield stack.upper, False, True


class Search:
    """Collects disks and faults, place by place; ``sys`` is where sysfs is mounted."""

    def __init__(self, mounts: dict[int, Mount], sys: str) -> None:
        self._mounts, self._sys = mounts, sys
        self._disks: dict[str, Disk] = {}
        self._written: set[str] = set()
        self._faults = {False: "", True: ""}  # by: is it about writing

    def result(self) -> Disks:
        """What was found."""
        return Disks(disks=tuple(self._disks.values()), written=frozenset(self._written),
                     read_fault=self._faults[False], write_fault=self._faults[True])  # fmt: skip

    def path(self, path: str, deep: bool, writable: bool) -> None:
        """A path of the host's and, with ``deep``, what is mounted below it."""
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # what cannot be opened cannot be shown: the launch says so better
        try:
            self.place(path, os.fstat(fd).st_dev, self._mount_of(fd), writable, named=True)
        finally:
            os.close(fd)
        below = path.rstrip("/") + "/"
        for mount in self._mounts.values():
            if deep and mount.point.startswith(below) and mount.point != path:
                try:
                    device = os.stat(mount.point).st_dev
                except OSError:
                    continue  # covered by another mount, or closed to us and so to the sandbox
                self.place(mount.point, device, mount, writable and mount.writable, named=False)

    def fd(self, fd: int) -> None:
        """An open file that the program is handed: a regular one, or a block device itself."""
        import fcntl

        try:
            status = os.fstat(fd)
        except OSError:
            return  # the streams say so better
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        name = f"the open file {fd}"
        if stat.S_ISBLK(status.st_mode):
            self._found(name, "a block device", self._whole(status.st_rdev), writable)
        elif stat.S_ISREG(status.st_mode):
            self.place(name, status.st_dev, self._mount_of(fd), writable, named=True)

    def _mount_of(self, fd: int) -> Mount | None:
        for line in _read(f"/proc/self/fdinfo/{fd}").splitlines():
            key, _, value = line.partition(b":")
            if key == b"mnt_id":
                return self._mounts.get(int(value))
        return None

    def place(self, name: str, device: int, mount: Mount | None, writable: bool, named: bool) -> None:
        """One place; ``named`` is one that the caller named, where writing to memory is a fault."""
        fstype = mount.fstype if mount is not None else "a file system out of sight"
        if fstype in MEMORY:
            if writable and named:
                self._fault(True, f"{name} is on {fstype}, which is memory and no disk; share a directory on a disk")
        elif fstype.startswith("fuse"):  # also fuseblk, which has a disk: another process reads and writes it
            self._found(name, fstype, (), writable)
        elif os.major(device):
            self._found(name, fstype, self._whole(device), writable)
        else:
            self._found(name, fstype, self._of_source(mount), writable)

    def _found(self, name: str, fstype: str, disks: tuple[Disk, ...], writable: bool) -> None:
        for disk in disks:
            self._disks[disk.number] = disk
        if disks and writable:
            self._written.add(fstype)
        if not disks:
            said = f"{name} is on {fstype}, and no local disk of it is known; copy it to a file system on a disk"
            self._fault(False, said)
            if writable:
                self._fault(True, said)

    def _fault(self, writing: bool, said: str) -> None:
        self._faults[writing] = self._faults[writing] or said

    def _of_source(self, mount: Mount | None) -> tuple[Disk, ...]:
        """By the device in mountinfo. btrfs names one of its devices; /sys/fs/btrfs/UUID/devices has all."""
        if mount is None or not mount.source.startswith("/"):
            return ()
        try:
            status = os.stat(mount.source)
        except OSError:
            return ()
        if not stat.S_ISBLK(status.st_mode):
            return ()
        if mount.fstype != "btrfs":
            return self._whole(status.st_rdev)
        own = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        for uuid in _names(f"{self._sys}/fs/btrfs"):
            directory = f"{self._sys}/fs/btrfs/{uuid}/devices"
            numbers = [_read(f"{directory}/{name}/dev").decode().strip() for name in _names(directory)]
            if own in numbers:
                every = [self._whole(_number(number)) for number in numbers]
                return tuple(disk for disks in every for disk in disks) if all(every) else ()
        return ()

    def _whole(self, device: int) -> tuple[Disk, ...]:
        """The disk, or nothing where /sys does not show it."""
        directory = os.path.realpath(f"{self._sys}/dev/block/{os.major(device)}:{os.minor(device)}")
        if os.path.exists(f"{directory}/partition"):
            directory = os.path.dirname(directory)
        number = _read(f"{directory}/dev").decode().strip()
        return (Disk(name=os.path.basename(directory), number=number),) if number else ()


def _number(text: str) -> int:
    major, _, minor = text.partition(":")
    return os.makedev(int(major or 0), int(minor or 0))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _read(path: str) -> bytes:
    """A file of /proc or /sys, empty if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)
