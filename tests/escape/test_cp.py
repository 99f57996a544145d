"""``pysandbox cp`` of a container that swaps directories for links while it is copied, and of archives that are forged.

CVE-2018-15664 (a path that was checked becomes a link), CVE-2019-14271 (code of the container's runs as the copier),
CVE-2022-24765's kind (what is written below a directory that somebody else may write to).
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.containers.copy import _receive
from sandbox.errors import RequestError
from sandbox.images.inside import copying
from sandbox.images.inside.start import Refused
from sandbox.images.inside.tarread import TarReader
from tests.containers.started import Containers, soon

# Swaps the directory $1/it and a link to $2, as fast as a shell can; rename(2) leaves no moment without either.
SWAP = """
cd "$1"; mkdir real; echo mine >real/f; ln -s "$2" link; mv real it; echo up
while :; do mv -T it real; mv -T link it; mv -T it link; mv -T real it; done
"""
ROUNDS = 8


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def swapping(box: Containers, where: str, to: Path | str, *options: str) -> None:
    box.start("bad", "sh", "-c", SWAP, "sh", where, str(to), options=options)
    soon(lambda: "up" in box.ok("logs", "bad"))


def test_out_of_a_path_that_becomes_a_link(box: Containers, tmp_path: Path) -> None:
    """Neither the host's file nor one of the sandbox that copies comes out."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("host")
    swapping(box, "/tmp", secret)
    seen = set()
    for n in range(10 * ROUNDS):
        if n >= ROUNDS and seen:
            break
        done = box.words("cp", "bad:/tmp/it/f" if n % 2 else "bad:/tmp/it", f"out{n}")
        assert done.returncode == 0 or done.stderr.count("\n") == 1, done.stderr
        out = tmp_path / f"out{n}"
        if out.is_symlink():
            assert not n % 2  # a link itself may come out, and says where it led
        elif out.is_dir():
            seen |= {path.read_text() for path in out.iterdir()}
        elif out.exists():
            seen.add(out.read_text())
    assert seen == {"mine\n"}


def test_into_a_path_that_becomes_a_link(box: Containers, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new/g").write_text("new")
    swapping(box, "/tmp", victim)
    for n in range(ROUNDS):
        done = box.words("cp", "new/g" if n % 2 else "new/.", "bad:/tmp/it/x" if n % 2 else "bad:/tmp/it")
        assert done.returncode in (0, 125) and "fault of pysandbox" not in done.stderr, done.stderr
    assert not list(victim.iterdir())


def test_out_to_where_the_container_writes_too(box: Containers, tmp_path: Path) -> None:
    """The target is shared with it: what it puts there in our way is not followed."""
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    victim.mkdir()
    (victim / "f").write_text("host")
    box.start("good", "sh", "-c", "mkdir -p /tmp/s/it; echo evil >/tmp/s/it/f; echo evil >/tmp/s/g; echo up; sleep 60")
    soon(lambda: "up" in box.ok("logs", "good"))
    swapping(box, "/shared", victim, "-v", f"{shared}:/shared:rw")
    for _ in range(ROUNDS):
        done = box.words("cp", "good:/tmp/s/.", "shared")
        assert done.returncode in (0, 125) and "fault of pysandbox" not in done.stderr, done.stderr
        assert {path.name: path.read_text() for path in victim.iterdir()} == {"f": "host"}
    assert (shared / "g").read_text() == "evil\n"


def test_a_link_in_the_way_is_not_followed(box: Containers, tmp_path: Path) -> None:
    """The same without a race: a file that is a link is replaced, a directory that is one refused."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "f").write_text("host")
    target = tmp_path / "target"
    target.mkdir()
    (target / "f").symlink_to(victim / "f")
    box.start("one", "sh", "-c", "mkdir -p /tmp/s/d; echo evil >/tmp/s/f; echo evil >/tmp/s/d/f; echo up; sleep 60")
    soon(lambda: "up" in box.ok("logs", "one"))
    box.ok("cp", "one:/tmp/s/.", "target")
    assert not (target / "f").is_symlink() and (victim / "f").read_text() == "host"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/d").symlink_to(victim)
    done = box.words("cp", "one:/tmp/s/.", "other")
    assert done.returncode == 125 and "cannot take the place of what is there" in done.stderr
    assert (victim / "f").read_text() == "host"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = 4 if kind == tarfile.REGTYPE else 0
    return info


TOP = member("s", tarfile.DIRTYPE, mode=0o755)


def received(target: Path, *members: tarfile.TarInfo, limit_bytes: int = 1000, limit_files: int = 10) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"evil"[: info.size]))
    stream.seek(0)
    reader = TarReader(stream)
    _receive(reader, next(iter(reader)), "/tmp/s", str(target), limit_bytes, limit_files)


@pytest.mark.parametrize("members", [
    [TOP, member("s/l", tarfile.SYMTYPE, "../victim"), member("s/l/f")],
    [TOP, member("s/../victim/f")],
    [TOP, member("../victim/f")],
    [TOP, member("victim/f")],
    [TOP, member("s/l", tarfile.SYMTYPE, "../victim"), member("s/l", tarfile.DIRTYPE), member("s/l/f")],
    [member("s"), member("s/f")],
    [member("s"), member("t")],
    [TOP, member("s/" + "a" * 300)],
], ids=range(8))  # fmt: skip
def test_forged_archives(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    """Whoever took over the sandbox that reads the container can send what he likes."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "target").mkdir()
    with pytest.raises((Refused, RequestError)):
        received(tmp_path / "target", *members)
    assert not list(victim.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "target"}


@pytest.mark.parametrize("after", ["kind_of", "mkdir", "finish"])
def test_a_directory_that_becomes_a_link_between_two_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:  # fmt: skip
    """Who writes to the target too is given the very moment: after the look, before the open."""
    victim, target = tmp_path / "victim", tmp_path / "target/s"
    for path in (victim, target / "d"):
        path.mkdir(parents=True)
    victim.chmod(0o700)
    if after == "mkdir":
        (target / "d").rmdir()

    def swapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            found = function(*args, **options)
            about = args[1:2] == (b"d",) or after != "kind_of"
            if about and (target / "d").is_dir() and not (target / "d").is_symlink():
                (target / "d").rename(target / "moved")
                (target / "d").symlink_to(victim)
            return found

        return call

    if after == "kind_of":
        monkeypatch.setattr(copying, "kind_of", swapped(copying.kind_of))
    elif after == "mkdir":
        monkeypatch.setattr(os, "mkdir", swapped(os.mkdir))
    else:
        (target / "d").rmdir()
        monkeypatch.setattr(copying.Copy, "_add_file", swapped(copying.Copy._add_file))
    inner = member("s/d/f") if after != "finish" else member("s/f")
    with pytest.raises((Refused, OSError)):
        received(tmp_path / "target", TOP, member("s/d", tarfile.DIRTYPE, mode=0o755), inner)
    assert (target / "d").is_symlink() and (target / "moved").is_dir()
    assert not list(victim.iterdir()) and victim.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["file", "symlink", "nothing"])
def test_a_link_that_is_put_where_a_file_is_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:  # fmt: skip
    """As above: what was in the way has gone, and the new file is not there yet."""
    (tmp_path / "victim").write_text("host")
    target = tmp_path / "target/s"
    target.mkdir(parents=True)
    if kind == "file":
        (target / "f").write_text("old")
    elif kind == "symlink":
        (target / "f").symlink_to("nowhere")
    clear = copying.Copy._clear

    def cleared(self: Any, above: int, place: Any) -> None:
        clear(self, above, place)
        (target / "f").symlink_to(tmp_path / "victim")

    monkeypatch.setattr(copying.Copy, "_clear", cleared)
    with pytest.raises(FileExistsError):
        received(tmp_path / "target", TOP, member("s/f"))
    assert (tmp_path / "victim").read_text() == "host"


def test_what_is_left_out_of_forged_archives(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "outside").write_text("host")
    before = os.listdir("/proc/self/fd")
    received(target, TOP, member("s/deep/er/f"), member("s/dev", tarfile.CHRTYPE), member("s/fifo", tarfile.FIFOTYPE),
             member("s/hard", tarfile.LNKTYPE, "../outside"), member("s/suid", mode=0o7777))  # fmt: skip
    assert os.listdir("/proc/self/fd") == before
    assert sorted(os.listdir(target)) == ["deep", "suid"]
    assert (target / "suid").stat().st_mode & 0o7777 == 0o777
    assert (tmp_path / "outside").stat().st_nlink == 1


def test_caps(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than 7 bytes"):
        received(tmp_path / "a", TOP, member("s/a"), member("s/b"), limit_bytes=7)
    with pytest.raises(Refused, match="more than 10 files"):
        received(tmp_path / "b", TOP, *(member(f"s/d{n}", tarfile.DIRTYPE) for n in range(11)))
    sparse = member("s/huge")
    sparse.size, sparse.pax_headers = 0, {"GNU.sparse.map": "", "GNU.sparse.size": str(1 << 60)}
    with pytest.raises(Refused):
        received(tmp_path / "c", TOP, sparse)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 100
