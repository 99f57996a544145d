"""A root file system made by an attacker: its links point at what the launch is going to make, mount or write.

CVE-2021-30465, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: a launch that follows them acts on the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import Result, Sandbox, SetupError

# Writes and reads at every place that the launch fills; says what it could read.
ATTACK = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    static const char *places[] = {"/proc/x", "/dev/x", "/dev/pts/x", "/dev/shm/x", "/tmp/x", "/work/x", "/etc/x",
        "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc/passwd", "/x", "/mnt/x", "/app/x", "/empty/x",
        "/proc/kept", "/dev/kept", "/dev/pts/kept", "/dev/shm/kept", "/tmp/kept", "/work/kept", "/etc/kept",
        "/mnt/kept",
        "/app/kept", "/empty/kept"};
    char text[4096];
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        int fd = open(places[i], O_RDONLY);
        ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
        if (length > 0)
            (void)!write(1, text, (size_t)length);
        if (fd >= 0)
            close(fd);
        fd = open(places[i], O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (fd >= 0) {
            (void)!write(fd, "attacked", 8);
            close(fd);
        }
        unlink(places[i]);
    }
    return 0;
}
"""

LINKED = ("proc", "dev", "dev/pts", "dev/shm", "dev/null", "dev/ptmx", "tmp", "etc", "etc/resolv.conf", "etc/hosts",
          "etc/hostname", "work", "mnt", "app", "empty", "proc/sys", "proc/acpi")  # fmt: skip
WORD = "a secret of the host"


def tree(path: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything that can be seen to change below a directory."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in [".", *names, *files]:
            item = Path(directory, name)
            stat = item.lstat()
            content = item.read_bytes() if item.is_file() and not item.is_symlink() else b""
            if item.is_symlink():
                content = os.fsencode(os.readlink(item))
            found[str(item)] = (stat.st_mode, stat.st_mtime_ns, stat.st_ctime_ns, content)
    return found


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host beside the root, with a file of each name that the launch writes."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o777)
    for name in ("resolv.conf", "hosts", "hostname", "passwd", "kept", "null", "ptmx"):
        (victim / name).write_text(WORD)
        (victim / name).chmod(0o666)
    (victim / "pts").mkdir()
    (victim / "shm").mkdir()
    return victim


@pytest.fixture
def rootfs(tmp_path: Path, compiled: Callable[..., Path]) -> Path:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "attack").write_bytes(compiled("attack", ATTACK).read_bytes())
    (root / "bin" / "attack").chmod(0o755)
    for name in ("proc", "dev", "tmp", "etc", "work", "mnt"):
        (root / name).mkdir()
    return root


def attack(root: Path, box: Sandbox, **options: object) -> Result | SetupError:
    try:
        return box.run(["/bin/attack"], **options)
    except SetupError as error:
        return error


@pytest.mark.parametrize("mode", ["ro", "scratch"])
@pytest.mark.parametrize("target", ["absolute", "dots", "proc"])
@pytest.mark.parametrize("name", LINKED)
def test_links_stay_inside(name: str, target: str, mode: str, rootfs: Path, victim: Path, box: Sandbox) -> None:
    link = rootfs / name
    if link.is_dir():
        link.rmdir()
    link.parent.mkdir(exist_ok=True)
    is_file = "." in name or name in ("dev/null", "dev/ptmx", "etc/hosts", "etc/hostname")
    aim = victim / link.name if is_file else victim
    ways = {"absolute": str(aim), "dots": "../" * 30 + str(aim).lstrip("/"), "proc": f"/proc/self/root{aim}"}
    link.symlink_to(ways[target])
    before = tree(victim), tree(rootfs)
    result = attack(rootfs, box, rootfs=f"{rootfs}:{mode}", tmpfs=["/mnt:1M"])
    assert (tree(victim), tree(rootfs)) == before
    if isinstance(result, Result):  # a refusal is as good
        assert result.ok, result
        assert WORD.encode() not in result.stdout


@pytest.mark.parametrize("mode", ["ro", "scratch"])
def test_a_plain_root_works(mode: str, rootfs: Path, victim: Path, box: Sandbox) -> None:
    """Or the tests above would pass because nothing ever ran."""
    before = tree(rootfs)
    result = attack(rootfs, box, rootfs=f"{rootfs}:{mode}")
    assert isinstance(result, Result) and result.ok, result
    assert b"127.0.0.1 localhost" in result.stdout
    assert tree(rootfs) == before


@pytest.mark.parametrize("mode", ["ro", "scratch"])
def test_a_share_is_not_mounted_through_a_link(
    mode: str, rootfs: Path, victim: Path, tmp_path: Path, box: Sandbox
) -> None:
    """CVE-2021-30465: the target of a volume is a link out of the root."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("shared")
    (rootfs / "data").symlink_to(victim)
    before = tree(victim), tree(rootfs)
    result = attack(rootfs, box, rootfs=f"{rootfs}:{mode}", volumes=[f"{shared}:/data/below:rw"])
    assert (tree(victim), tree(rootfs)) == before
    assert isinstance(result, SetupError) or (result.ok and WORD.encode() not in result.stdout)


@pytest.mark.parametrize("kind", ["fifo", "file", "socket"])
@pytest.mark.parametrize("name", ["dev", "proc", "tmp", "etc", "work"])
def test_what_is_no_directory_is_refused_or_hidden(name: str, kind: str, rootfs: Path, box: Sandbox) -> None:
    """And a fifo never makes the launch wait for its other end."""
    import socket

    (rootfs / name).rmdir()
    if kind == "fifo":
        os.mkfifo(rootfs / name)
    elif kind == "file":
        (rootfs / name).write_text("")
    else:
        here = os.getcwd()
        os.chdir(rootfs)  # the path of a socket has 108 bytes at most
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
        os.chdir(here)
    result = attack(rootfs, box, rootfs=str(rootfs))
    assert isinstance(result, (Result, SetupError))


@pytest.mark.parametrize("kind", ["loop", "deep"])
def test_link_loops_end(kind: str, rootfs: Path, box: Sandbox) -> None:
    (rootfs / "work").rmdir()
    if kind == "loop":
        (rootfs / "work").symlink_to("work")
    else:
        for number in range(60):
            (rootfs / f"l{number}").symlink_to(f"l{number + 1}")
        (rootfs / "work").symlink_to("l0")
    assert isinstance(attack(rootfs, box, rootfs=str(rootfs)), SetupError)


def test_a_fifo_in_place_of_a_file_that_is_written(rootfs: Path, box: Sandbox) -> None:
    for name in ("resolv.conf", "hosts", "hostname"):
        os.mkfifo(rootfs / "etc" / name)
    result = attack(rootfs, box, rootfs=f"{rootfs}:scratch")
    assert isinstance(result, (Result, SetupError))


def test_the_masks_lie_on_the_private_proc(rootfs: Path, inside: object, box: Sandbox) -> None:
    """CVE-2025-31133: what stands in for a mask is the null device itself, whatever the root calls /dev/null."""
    (rootfs / "dev" / "null").write_text("no device")
    before = tree(rootfs)
    result = attack(rootfs, box, rootfs=str(rootfs))
    assert isinstance(result, Result) and result.ok
    assert tree(rootfs) == before
