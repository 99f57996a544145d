"""``pysandbox cp``: where things go, both ways, of containers that run and of those that have ended."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.cp import split
from tests.containers.started import Containers, soon

MAKE = """
mkdir -p /tmp/d/e; echo a >/tmp/d/a; echo b >/tmp/d/e/b; ln -s /etc/passwd /tmp/d/l; mkfifo /tmp/d/f
chmod 6755 /tmp/d/a; chmod 700 /tmp/d/e; ln -s d /tmp/dl; touch -d 2001-02-03T04:05:06Z /tmp/d/a; echo up; exec sleep 60
"""
FIFO = "d/f: left out, it is a fifo\n"


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


@pytest.fixture
def one(box: Containers) -> Containers:
    box.start("one", "sh", "-c", MAKE)
    soon(lambda: "up" in box.ok("logs", "one"))
    return box


def tree(top: Path) -> dict[str, str]:
    """Name -> content, or what it is."""
    found = {}
    for path in sorted(top.rglob("*")):
        what = f"-> {os.readlink(path)}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        found[str(path.relative_to(top))] = what
    return found


D = {"a": "a\n", "e": "/", "e/b": "b\n", "l": "-> /etc/passwd"}


def test_out(one: Containers, tmp_path: Path) -> None:
    done = one.words("cp", "one:/tmp/d", "new")  # becomes it
    assert done.returncode == 0 and done.stderr == f"pysandbox: {FIFO}"
    assert tree(tmp_path / "new") == D
    a = (tmp_path / "new/a").stat()
    assert stat.S_IMODE(a.st_mode) == 0o755  # no setuid bit
    assert a.st_mtime == 981173106
    assert stat.S_IMODE((tmp_path / "new/e").stat().st_mode) == 0o700
    (tmp_path / "old").mkdir()
    (tmp_path / "old/kept").write_text("k")
    (tmp_path / "old/a").write_text("another")
    one.ok("cp", "one:/tmp/d", "old")  # goes into it
    one.ok("cp", "one:/tmp/d/.", "old")  # its content does
    assert tree(tmp_path / "old") == {**D, "kept": "k", "d": "/", **{f"d/{name}": what for name, what in D.items()}}
    one.ok("cp", "one:/tmp/d/a", "old")
    one.ok("cp", "one:tmp/d/a", "old/kept")  # relative paths begin at the root
    one.ok("cp", "one:/tmp/dl", "old/link")
    one.ok("cp", "-L", "one:/tmp/dl", "followed")
    assert (tmp_path / "old/kept").read_text() == "a\n"
    assert os.readlink(tmp_path / "old/link") == "d"
    assert tree(tmp_path / "followed") == D


REFUSED = [
    (["one:/nosuch", "x"], "no such file"),
    (["one:/tmp/d/a/x", "x"], "not a directory"),
    (["one:/tmp/d", "file"], "cannot be copied over a file"),
    (["one:/tmp/d/a", "x/"], "no such directory"),
    (["one:/tmp/d/a", "x/y"], "x: no such file or directory"),
    (["-a", "one:/tmp/d", "x"], "only root gives files away"),
    (["--limit", "1", "one:/tmp/d", "x"], "more than 1 bytes"),
    (["-L", "one:/dev/null", "x"], "neither a file nor a directory"),
    (["one:/tmp/d/a", ""], "not the name of a file"),
    (["one:/tmp/d/f", "x"], "neither a file nor a directory"),
    (["one:/tmp/[d]/a", "x"], "/tmp/[d]/a: no such file"),  # no pattern
    (["/dev/null", "one:/tmp"], "neither a file nor a directory"),
    (["unreadable", "one:/tmp"], "permission denied"),
    (["file", "one:/tmp/x/"], "no such directory"),
    (["file", "one:/nosuch/x"], "no such file"),
    ([".", "one:/tmp/d/a"], "cannot be copied over a file"),
    (["file", "one:/usr/x"], "read-only file system"),
    (["-a", "file", "one:/tmp"], "--ids range"),
    (["nosuch", "one:/tmp"], "no such file"),
    (["-", "one:/tmp/d/a"], "not a directory"),
    (["file", "other"], "one path of a container"),
    (["one:/a", "one:/b"], "one path of a container"),
    (["file"], "a source and a target"),
    (["nosuch:/a", "x"], "no such container"),
]  # fmt: skip


def test_what_cannot_be(one: Containers, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("f")
    (tmp_path / "unreadable").touch(0)
    for words, why in REFUSED:
        done = one.words("cp", *words)
        assert done.returncode == 125 and why in done.stderr.splitlines()[-1], (words, done.stderr)
    assert one.words("cp", "-", "one:/tmp/d").returncode == 0  # stdin is empty: a tar of nothing
    assert not (tmp_path / "other").exists() and tree(tmp_path / "x") == {}  # the directory was there before the limit


def test_into(one: Containers, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "sub/q").write_text("q")
    (source / "l").symlink_to("/nowhere")
    (source / "run").write_text("x")
    (source / "run").chmod(0o4750)
    os.mkfifo(source / "f")
    done = one.words("cp", "in", "one:/tmp/new")
    assert done.returncode == 0 and done.stderr == "pysandbox: in/f: left out, it is a fifo\n"
    one.ok("cp", "in", "one:/tmp/new")
    one.ok("cp", "in/.", "one:/tmp/dl")  # a link inside leads where it leads inside
    one.ok("cp", "in/sub/q", "one:/tmp/new/sub/r")
    one.ok("cp", "one:/tmp", "back")
    want = {"sub": "/", "sub/q": "q", "l": "-> /nowhere", "run": "x"}
    assert tree(tmp_path / "back/new") == {
        **want, "sub/r": "q", "in": "/", **{f"in/{name}": what for name, what in want.items()}}  # fmt: skip
    assert tree(tmp_path / "back/d") == {**D, **want}
    assert stat.S_IMODE((tmp_path / "back/new/run").stat().st_mode) == 0o750


def test_times_to_the_nanosecond_and_hard_links_as_files(one: Containers, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", ns=(0, 1_234_567_891_234_567_890))
    (tmp_path / "hard").hardlink_to(tmp_path / "f")
    one.ok("cp", ".", "one:/tmp/n")
    one.ok("cp", "one:/tmp/n", "back")
    for name in ("f", "hard"):
        found = (tmp_path / "back" / name).stat()
        assert found.st_mtime_ns == 1_234_567_891_234_567_890 and found.st_nlink == 1


def test_tars(one: Containers, tmp_path: Path) -> None:
    with (tmp_path / "out.tar").open("wb") as file:
        assert one.words("cp", "one:/tmp/d", "-", stdout=file).returncode == 0
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert sorted(tar.getnames()) == ["d", "d/a", "d/e", "d/e/b", "d/l"]
        assert tar.getmember("d/a").mode == 0o6755  # a tar tells what is there
    with (tmp_path / "out.tar").open("rb") as file:
        assert one.words("cp", "-", "one:/tmp/d/e", stdin=file).returncode == 0
    one.ok("cp", "one:/tmp/d/e", "e")
    assert tree(tmp_path / "e") == {"b": "b\n", "d": "/", **{f"d/{name}": what for name, what in D.items()}}
    # what leads out of the directory leads nowhere
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as tar:
        info = tarfile.TarInfo("../up")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "evil.tar").write_bytes(evil.getvalue())
    with (tmp_path / "evil.tar").open("rb") as file:
        done = one.words("cp", "-", "one:/tmp/d/e", stdin=file)
    assert done.returncode == 125 and '".."' in done.stderr


def test_large_files_pass_whole(one: Containers, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "large").write_bytes(data)
    one.ok("cp", "large", "one:/tmp/large")
    one.ok("cp", "one:/tmp/large", "back")
    assert (tmp_path / "back").read_bytes() == data


def test_ended_on_the_hosts_system(box: Containers) -> None:
    box.start("one", "true")
    box.ok("wait", "one")
    done = box.words("cp", "one:/etc", "x")
    assert done.returncode == 125 and "no image" in done.stderr


def test_split() -> None:
    assert split("a:/b") == ("a", "/b") and split("a:") == ("a", "/") and split("a") == ("", "a")
    assert split("./a:b") == ("", "./a:b") and split("/a:b") == ("", "/a:b") and split("-") == ("", "-")


def test_kill_9_leaves_no_helper(
    one: Containers, tmp_path: Path, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> None:  # fmt: skip
    """Killed in the middle of a file: its helper sandbox goes, and the container does not notice."""
    (tmp_path / "large").write_bytes(bytes(8 << 20))
    one.ok("cp", "large", "one:/tmp/large")
    copying = subprocess.Popen([*pysandbox_argv, "cp", "one:/tmp/large", "-"], stdout=subprocess.PIPE,
                               env={**pysandbox_env, **one.env})  # fmt: skip
    with copying:
        assert copying.stdout is not None
        assert copying.stdout.read(4096)
        helpers = helpers_of(copying.pid)
        assert helpers
        copying.kill()
        copying.wait()
        soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in helpers))
    assert one.state("one")["state"] == "running"
    one.ok("cp", "one:/tmp/large", "back")


def helpers_of(pid: int) -> set[int]:
    """All processes below it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, todo = set(), [pid]
    while todo:
        above = todo.pop()
        new = {child for child, parent in parents.items() if parent == above} - found
        found |= new
        todo += new
    return found
