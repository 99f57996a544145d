"""Places and the disks behind them: /sys and mountinfo of hosts that are not this one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sandbox.cgroup import blockio
from sandbox.disks import Disk, Disks, Mount, Search, parse_mountinfo
from sandbox.spec import Limits
from sandbox.units import Rate

PLAIN = os.makedev(8, 0)


def mount(fstype: str, source: str = "none", point: str = "/srv") -> Mount:
    return Mount(number=1, point=point, writable=True, fstype=fstype, source=source)


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    """sda with two partitions, and dm-0, as /sys shows them."""
    for path, number in (("sda", "8:0"), ("sda/sda1", "8:1"), ("sda/sda2", "8:2"), ("virtual/dm-0", "252:0")):
        directory = tmp_path / "devices" / path
        directory.mkdir(parents=True)
        (directory / "dev").write_text(number + "\n")
        if "/sda" in path:
            (directory / "partition").write_text(path[-1])
        link = tmp_path / "dev" / "block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(directory)
    return tmp_path


def found(sys: Path, device: int, where: Mount | None, writable: bool = True, named: bool = True) -> Disks:
    search = Search({}, os.fspath(sys))
    search.place("/srv/x", device, where, writable, named)
    return search.result()


@pytest.mark.parametrize(
    ("device", "name", "number"),
    [((8, 0), "sda", "8:0"), ((8, 1), "sda", "8:0"), ((8, 2), "sda", "8:0"), ((252, 0), "dm-0", "252:0")],
)
def test_a_partition_is_its_disk_and_dm_is_whole(device: tuple[int, int], name: str, number: str, sys: Path) -> None:
    got = found(sys, os.makedev(*device), mount("ext4"))
    assert got == Disks(disks=(Disk(name=name, number=number),), written=frozenset({"ext4"}))


def test_a_disk_counts_once(sys: Path) -> None:
    search = Search({}, os.fspath(sys))
    search.place("/a", os.makedev(8, 1), mount("ext4"), False, True)
    search.place("/b", os.makedev(8, 2), mount("xfs"), True, True)
    assert search.result().numbers == ("8:0",) and search.result().written == {"xfs"}


@pytest.mark.parametrize("fstype", ["nfs4", "overlay", "fuse.sshfs", "zfs", "9p"])
def test_no_disk_is_known(fstype: str, sys: Path) -> None:
    got = found(sys, os.makedev(0, 44), mount(fstype, "server:/x"))
    assert not got.disks
    for limit in ("io_read", "io_write"):
        assert got.fault(limit).startswith(f"/srv/x is on {fstype}, and no local disk of it is known; ")
        assert not got.nothing(limit)
    reading = found(sys, os.makedev(0, 44), mount(fstype, "server:/x"), writable=False)
    assert reading.fault("io_read") and not reading.fault("io_write")


def test_fuseblk_has_a_disk_but_another_process_uses_it(sys: Path) -> None:
    assert found(sys, PLAIN, mount("fuseblk", "/dev/sda")).fault("io_write")


def test_a_disk_that_sys_does_not_show(sys: Path) -> None:
    assert found(sys, os.makedev(99, 1), mount("ext4")).fault("io_write")


def test_memory(sys: Path) -> None:
    named = found(sys, os.makedev(0, 30), mount("tmpfs"))
    assert "memory and no disk" in named.fault("io_write") and not named.fault("io_read")
    assert named.nothing("io_read") and not named.nothing("io_write")
    # what is mounted somewhere below a volume was named by nobody, and nothing of it goes to a disk
    below = found(sys, os.makedev(0, 30), mount("tmpfs"), named=False)
    assert not below.fault("io_write") and below.nothing("io_write")


def a_block_device() -> tuple[str, int]:
    for name in sorted(os.listdir("/dev")):
        status = os.stat(f"/dev/{name}") if os.path.exists(f"/dev/{name}") else None
        if status is not None and stat.S_ISBLK(status.st_mode):
            return f"/dev/{name}", status.st_rdev
    pytest.skip("no block device in /dev")


def test_made_up_device_numbers_are_looked_up_by_the_source(sys: Path) -> None:
    path, device = a_block_device()
    number = f"{os.major(device)}:{os.minor(device)}"
    directory = sys / "devices" / "other"
    directory.mkdir()
    (directory / "dev").write_text(number + "\n")
    (sys / "dev" / "block" / number).symlink_to(directory)
    assert found(sys, os.makedev(0, 50), mount("bcachefs", path)).numbers == (number,)
    # btrfs: without its list in /sys we do not know all of its devices
    assert found(sys, os.makedev(0, 50), mount("btrfs", path)).fault("io_write")
    devices = sys / "fs" / "btrfs" / "0-1-2" / "devices"
    devices.mkdir(parents=True)
    (devices / "other").symlink_to(directory)
    (devices / "sda1").symlink_to(sys / "devices" / "sda" / "sda1")
    assert found(sys, os.makedev(0, 50), mount("btrfs", path)).numbers == (number, "8:0")
    (devices / "lost").mkdir()
    assert found(sys, os.makedev(0, 50), mount("btrfs", path)).fault("io_write"), "one of its disks is unknown"


def test_mountinfo() -> None:
    text = (
        "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
        "37 36 0:5 / /dev ro - tmpfs none rw\n38 36 0:6 / /x rw - ext4 /dev/sda1 ro\nnonsense\n"
    )
    assert parse_mountinfo(text) == {
        36: Mount(number=36, point="/mnt 2", writable=True, fstype="ext3", source="/dev/root"),
        37: Mount(number=37, point="/dev", writable=False, fstype="tmpfs", source="none"),
        38: Mount(number=38, point="/x", writable=False, fstype="ext4", source="/dev/sda1"),
    }


def test_lines_for_the_kernel() -> None:
    limits = Limits(io_read=Rate(bytes_per_s=1 << 20), io_write=Rate(bytes_per_s=4096, ops_per_s=7))
    assert list(blockio.v2_lines(limits, ("8:0", "252:0"))) == [
        b"8:0 rbps=1048576 wbps=4096 wiops=7", b"252:0 rbps=1048576 wbps=4096 wiops=7"]  # fmt: skip
    assert list(blockio.v1_lines(limits, ("8:0",))) == [
        ("blkio.throttle.read_bps_device", b"8:0 1048576"),
        ("blkio.throttle.write_bps_device", b"8:0 4096"),
        ("blkio.throttle.write_iops_device", b"8:0 7"),
    ]
    assert {file for file, _ in blockio.v1_lines(limits, ("8:0",))} <= set(blockio.V1_LIMITS)


def test_counters() -> None:
    two = b"8:0 rbytes=1 wbytes=2 rios=9 wios=9 dbytes=9 dios=9\n252:0 rbytes=10 wbytes=20\n7:0 \n"
    assert blockio.v2_bytes(two) == (11, 22) and blockio.v2_bytes(b"") == (0, 0)
    v1 = b"8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:0 Async 0\n8:0 Total 11\n252:0 Read 1\nTotal 12\n"
    assert blockio.v1_bytes(v1) == (6, 6) and blockio.v1_bytes(b"Total 0\n") == (0, 0)


def test_lift(tmp_path: Path) -> None:
    """On plain files each write begins at the start; what the kernel makes of it is test_io_limits' business."""
    (tmp_path / "io.max").write_text("8:0 rbps=4096 wbps=max riops=max wiops=max\n")
    (tmp_path / blockio.V1_LIMITS[0]).write_text("8:0 4096\n")
    blockio.lift(os.fspath(tmp_path))
    assert (tmp_path / "io.max").read_text().startswith("8:0 rbps=max wbps=max riops=max wiops=max")
    assert (tmp_path / blockio.V1_LIMITS[0]).read_text().startswith("8:0 0")
    blockio.lift(os.fspath(tmp_path / "gone"))
