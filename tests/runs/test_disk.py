"""Acceptance line 4: files, inodes and single files are bounded wherever a program can write."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from sandbox import Result, run

MIB = 1 << 20

FILL = """
import errno, os, sys
written = 0
fd = os.open(sys.argv[1] + "/hoard", os.O_WRONLY | os.O_CREAT)
block = b"x" * 65536
try:
    while written < 64 << 20:
        written += os.write(fd, block)
except OSError as error:
    print(error.errno, written)
"""

MAKE = """
import os, sys
made = 0
try:
    while made < 20000:
        os.close(os.open(f"{sys.argv[1]}/{made}", os.O_WRONLY | os.O_CREAT))
        made += 1
except OSError as error:
    print(error.errno, made)
"""

PLACES = ["/tmp", "/work", "/dev/shm"]


@pytest.mark.parametrize("place", PLACES)
def test_disk_is_full_at_the_limit(place: str, python_program: Callable[..., Result]) -> None:
    result = python_program(FILL, place, disk="4M")
    assert result.ok, result
    number, written = map(int, result.stdout.split())
    assert number == errno.ENOSPC
    assert 3 * MIB <= written <= 4 * MIB


def test_places_share_one_limit() -> None:
    fill = "for d in /tmp /work /dev/shm; do dd if=/dev/zero of=$d/x bs=64k count=1024 2>/dev/null; done"
    text = f"{fill}; cat /tmp/x /work/x /dev/shm/x | wc -c"
    result = run(["sh", "-c", text], disk="4M")
    assert 3 * MIB <= int(result.stdout) <= 4 * MIB


def test_own_tmpfs_has_its_own_limit(python_program: Callable[..., Result]) -> None:
    result = python_program(FILL, "/scratch/deep", tmpfs=["/scratch/deep:2M"], disk="16M")
    number, written = map(int, result.stdout.split())
    assert number == errno.ENOSPC and MIB <= written <= 2 * MIB


@pytest.mark.parametrize("place", [*PLACES, "/scratch"])
def test_inodes_end_at_the_limit(place: str, python_program: Callable[..., Result]) -> None:
    result = python_program(MAKE, place, inodes=100, tmpfs=["/scratch:4M"])
    number, made = map(int, result.stdout.split())
    assert number == errno.ENOSPC
    assert 50 <= made <= 100


def test_default_inodes_are_bounded(python_program: Callable[..., Result]) -> None:
    result = python_program(MAKE, "/tmp")
    number, made = map(int, result.stdout.split())
    assert number == errno.ENOSPC and made <= 16384


def test_fsize_is_a_signal_of_its_own(python_program: Callable[..., Result]) -> None:
    result = run(["dd", "if=/dev/zero", "of=/tmp/x", "bs=4k", "count=1000"], fsize="1M")
    assert (result.outcome, result.signal, result.exit_status) == ("signaled", 25, 128 + 25)  # SIGXFSZ
    ignored = "import os, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    text = (
        ignored
        + "fd = os.open('/tmp/x', 65)\ntry:\n while 1: os.write(fd, b'x' * 4096)\n"
        + "except OSError as e: print(e.errno, os.fstat(fd).st_size)"
    )
    assert python_program(text, fsize="1M").stdout.split() == [str(errno.EFBIG).encode(), str(MIB).encode()]


@pytest.mark.parametrize(
    "path", ["/", "/usr", "/etc", "/app", "/home", "/root", "/var", "/run", "/opt", "/dev", "/proc/sys"]
)
def test_everything_else_is_read_only(path: str) -> None:
    result = run(["sh", "-c", f"echo x > {path}/new-file"])
    assert result.exit_code != 0 and not result.ok, f"{path} can be written to"


def test_device_space_cannot_be_had_by_a_hard_link_or_a_mount() -> None:
    result = run(["sh", "-c", "mount -t tmpfs none /mnt || mount -o remount,rw / || ln /etc/passwd /tmp/p"])
    assert not result.ok


def test_nofile() -> None:
    result = run(["sh", "-c", "ulimit -n; ulimit -Hn"], nofile=17)
    assert result.stdout.split() == [b"17", b"17"]


def test_core_files_are_off_and_stack_is_as_asked() -> None:
    result = run(["sh", "-c", "ulimit -c; ulimit -s"], stack="16M")
    assert result.stdout.split() == [b"0", b"16384"]
