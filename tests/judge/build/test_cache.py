"""The cache: whole entries or none, whoever is killed when, and never somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from judge.build import Cache
from sandbox import HostError

KEY = "ab" * 32


def put(cache: Cache, key: str = KEY, content: bytes = b"program", meta: str = "") -> Path:
    with cache.scratch() as scratch:
        files = scratch / "files"
        (files / ".build").mkdir(parents=True)
        (files / ".build" / "program").write_bytes(content)
        return cache.put(key, files, {"said": meta}).files


def test_put_and_get(tmp_path: Path) -> None:
    with Cache(tmp_path / "c") as cache:
        assert cache.get(KEY) is None
        files = put(cache, meta="x")
    with Cache(tmp_path / "c") as cache:
        entry = cache.get(KEY)
        assert entry is not None and entry.files == files and entry.meta == {"said": "x"}
        assert (entry.files / ".build" / "program").read_bytes() == b"program"


def test_another_was_quicker(tmp_path: Path) -> None:
    with Cache(tmp_path / "c") as one, Cache(tmp_path / "c") as two:
        put(one, content=b"first")
        assert (put(two, content=b"second") / ".build" / "program").read_bytes() == b"first"
        assert not list((tmp_path / "c" / "tmp").iterdir())


@pytest.mark.parametrize("harm", ["content", "cut", "gone", "more", "link", "meta", "mode", "no meta"])
def test_what_is_not_as_it_was_made_is_made_again(harm: str, tmp_path: Path) -> None:
    """After a loss of power, or when somebody has been at it."""
    with Cache(tmp_path / "c") as cache:
        entry = put(cache).parent
    program = entry / "files" / ".build" / "program"
    if harm == "content":
        program.write_bytes(b"PROGRAM")
    elif harm == "cut":
        program.write_bytes(b"")
    elif harm == "gone":
        program.unlink()
    elif harm == "more":
        (entry / "files" / "more").touch()
    elif harm == "link":
        (entry / "files" / "more").symlink_to("/etc/passwd")
    elif harm == "meta":
        (entry / "meta.json").write_bytes(b"")
    elif harm == "no meta":
        (entry / "meta.json").unlink()
    else:
        (entry / "files").chmod(0o777)
    with Cache(tmp_path / "c") as cache:
        assert cache.get(KEY) is None
        assert not entry.exists()
        put(cache, content=b"again")
    with Cache(tmp_path / "c") as cache:
        assert (found := cache.get(KEY)) and (found.files / ".build" / "program").read_bytes() == b"again"


def test_the_longest_unused_go(tmp_path: Path) -> None:
    keys = [f"{n:064x}" for n in range(20)]
    with Cache(tmp_path / "c", limit_bytes=5000) as cache:
        for n, key in enumerate(keys):
            put(cache, key, b"x" * 1000)
            os.utime(tmp_path / "c" / "entries" / key, (n, n))
    with Cache(tmp_path / "c", limit_bytes=5000) as cache:
        assert cache.get(keys[0]) is not None  # used just now
        put(cache, "f" * 64, b"x" * 1000)
        left = {path.name for path in (tmp_path / "c" / "entries").iterdir()}
    assert left == {keys[0], "f" * 64, *keys[-3:]}


def test_what_is_used_stays(tmp_path: Path) -> None:
    """By another process: it holds a lock, which the kernel takes from it when it dies."""
    with Cache(tmp_path / "c") as cache:
        put(cache, KEY, b"x" * 1000)
    code = ("import sys, pathlib, judge.build as b; c = b.Cache(pathlib.Path(sys.argv[1])); c.get(sys.argv[2]);"
            "print('held', flush=True); sys.stdin.read()")  # fmt: skip
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path / "c", KEY], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with Cache(tmp_path / "c", limit_bytes=10) as cache:
            put(cache, "1" * 64)
            assert (tmp_path / "c" / "entries" / KEY).is_dir()
        holder.kill()
    with Cache(tmp_path / "c", limit_bytes=10) as cache:
        put(cache, "2" * 64)
        assert not (tmp_path / "c" / "entries" / KEY).exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = ("import sys, os, pathlib, judge.build as b; c = b.Cache(pathlib.Path(sys.argv[1]))\n"
            "with c.scratch() as s: (s / 'half').write_text('x'); os.kill(os.getpid(), 9)")  # fmt: skip
    subprocess.run([sys.executable, "-c", code, tmp_path / "c"])
    assert len(list((tmp_path / "c" / "tmp").iterdir())) == 1
    with Cache(tmp_path / "c") as cache, cache.scratch() as mine:
        with Cache(tmp_path / "c"):
            assert list((tmp_path / "c" / "tmp").iterdir()) == [mine]  # of a process that lives


def test_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    with Cache(tmp_path / "c") as cache:
        order: list[str] = []

        def build(name: str) -> None:
            with cache.building(KEY):
                order.append(f"{name} in")
                time.sleep(0.05)
                order.append(f"{name} out")

        threads = [threading.Thread(target=build, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(order[n].replace("in", "out") == order[n + 1] for n in range(0, 6, 2)), order


def test_many_threads(tmp_path: Path) -> None:
    """The same and different entries at once, in a cache that throws away all the time."""
    with Cache(tmp_path / "c", limit_bytes=3000) as cache:
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for n in range(20):
                    files = put(cache, f"{(n + number) % 7:064x}", b"x" * 1000)
                    assert (files / ".build" / "program").stat().st_size == 1000
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed, failed
    assert not list((tmp_path / "c" / "tmp").iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_directory_that_others_may_write_to(mode: int, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c").chmod(mode)
    with pytest.raises(HostError, match=r"somebody else may write.*XDG_CACHE_HOME"):
        Cache(tmp_path / "c")


def test_a_place_where_nothing_can_be_made() -> None:
    with pytest.raises(HostError, match=r"cannot make its cache /proc/.*XDG_CACHE_HOME"):
        Cache(Path("/proc/no/such"))


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Cache() as cache:
        assert cache.directory == tmp_path / "pysandbox" / "judge"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Cache() as cache:
        assert cache.directory == tmp_path / "home" / ".cache" / "pysandbox" / "judge"
