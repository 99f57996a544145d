"""Files between a container's tree and the host: what matches, what is left out, and that no name leads elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox import RequestError
from sandbox.ci import cachestore, guard
from sandbox.ci.artifacts import Staging, check
from sandbox.ci.files import copy
from sandbox.images.copying import Copied


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "from"
    (root / "build/deep/er").mkdir(parents=True)
    (root / "build/a.o").write_text("a")
    (root / "build/deep/er/b.o").write_text("bb")
    (root / "build/deep/c.txt").write_text("ccc")
    (root / "tool").write_text("#!/bin/sh\n")
    (root / "tool").chmod(0o6775)
    (root / "secret").symlink_to("/etc/passwd")
    (root / "out").symlink_to("/etc")
    (root / "build/up").symlink_to("../..")
    os.mkfifo(root / "build/pipe.o")
    (root / os.fsdecode(b"bad\xff\n.o")).write_text("x")
    (tmp_path / "to").mkdir()
    return tmp_path


def copied(tree: Path, *patterns: str, links: bool = False, limit: int = 1000) -> tuple[Copied, set[str]]:
    done = copy(
        str(tree / "from"), str(tree / "to"), "artifacts", "x", patterns=patterns, links=links, limit_bytes=limit
    )
    found = {str(path.relative_to(tree / "to")) for path in (tree / "to").rglob("*") if not path.is_dir()}
    return done, found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("build/a.o", {"build/a.o"}),
        ("build/*.o", {"build/a.o"}),
        ("**/*.o", {"build/a.o", "build/deep/er/b.o", os.fsdecode(b"bad\xff\n.o")}),
        ("build", {"build/a.o", "build/deep/er/b.o", "build/deep/c.txt"}),
        ("build/**", {"build/a.o", "build/deep/er/b.o", "build/deep/c.txt"}),
        ("b*/d*/?.txt", {"build/deep/c.txt"}),
        ("/tool", {"tool"}),
        ("bad*", {os.fsdecode(b"bad\xff\n.o")}),
    ],
)
def test_patterns(tree: Path, pattern: str, found: set[str]) -> None:
    assert copied(tree, pattern)[1] == found


def test_what_is_no_file_stays_where_it_is(tree: Path) -> None:
    """A symlink, or a way through one, is never followed: /etc/passwd is the host's."""
    done, found = copied(tree, "secret", "out/passwd", "build/up/**", "build/pipe.o", "none")
    assert found == set()
    assert done.skipped == ("secret", "build/pipe.o")
    assert done.unmatched == ("out/passwd", "build/up/**", "none")
    assert list((tree / "to").iterdir()) in ([], [tree / "to/build"])


def test_modes_on_the_host(tree: Path) -> None:
    copied(tree, "tool")
    assert (tree / "to/tool").stat().st_mode & 0o7777 == 0o755


def test_links_are_made_anew_where_the_target_is_a_containers(tree: Path) -> None:
    copied(tree, links=True)
    assert os.readlink(tree / "to/secret") == "/etc/passwd"
    assert (tree / "to/tool").stat().st_mode & 0o7777 == 0o6775


def test_limits(tree: Path) -> None:
    with pytest.raises(RequestError, match=r"artifacts: .*more than 2 bytes"):
        copied(tree, "**", limit=2)
    deep = tree / "from/d"
    for _ in range(300):
        deep.mkdir()
        deep = deep / "d"
    (deep.parent / "end").write_text("e")
    done, found = copied(tree, "d")  # no depth is too much for the copier
    assert found == {"d/" * 300 + "end"} and done.files == 1


def test_a_file_in_the_way_is_replaced_and_a_link_is_not_followed(tree: Path) -> None:
    (tree / "outside").write_text("kept")
    (tree / "to/tool").symlink_to(tree / "outside")
    copied(tree, "tool")
    assert (tree / "outside").read_text() == "kept"
    assert not (tree / "to/tool").is_symlink()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def save(digest: str, key: str, size: int) -> None:
    with cachestore.Staging(digest, key, ("p",), "single") as staging:
        (Path(staging.make(0)) / "file").write_bytes(b"x" * size)
        staging.publish(size)


def test_a_cache_is_there_when_it_is_whole(data: Path) -> None:
    with cachestore.opened("d1") as entry:
        assert entry is None
    with cachestore.Staging("d1", "key", ("p",), "single") as staging:
        staging.make(0)
    assert cachestore.entries() == []
    assert [name for name in os.listdir(data / "ci/cache") if name != ".lock"] == []
    save("d1", "key", 5)
    with cachestore.opened("d1") as entry:
        assert entry is not None
        assert (entry.key, entry.bytes, entry.has(0), entry.has(1)) == ("key", 5, True, False)
    assert [(key, size) for key, size, _when in cachestore.entries()] == [("key", 5)]


def test_the_oldest_caches_go_first_and_those_in_use_stay(data: Path) -> None:
    for number in range(3):
        save(f"d{number}", f"k{number}", 100)
        os.utime(data / f"ci/cache/d{number}/cache.json", (number, number))
    with cachestore.opened("d0"):  # used now, and so the latest
        assert cachestore.prune(150) == ["k2", "k1"]
        assert cachestore.prune(0) == []
    assert cachestore.prune(0) == ["k0"]


def test_what_a_killed_process_left_goes(data: Path) -> None:
    left = data / "ci/cache/.new-1-2"
    save("d", "k", 1)
    left.mkdir()
    (left / "cache.json").touch()
    cachestore.prune(1000)
    assert not left.exists()
    assert len(cachestore.entries()) == 1


def test_a_cache_that_was_half_removed_can_be_saved_anew(data: Path) -> None:
    """By a process that was killed: nothing of it is left in the cache's place."""
    save("d", "k", 1)
    halves = [data / "ci/cache/.new-1-2", data / "ci/cache/.new-gone-3"]
    for half in halves:
        (half / "0").mkdir(parents=True)
    assert cachestore.prune(0) == ["k"]
    assert [name for name in os.listdir(data / "ci/cache") if name != ".lock"] == []
    save("d", "k", 2)
    assert [size for _key, size, _when in cachestore.entries()] == [2]


def test_artifacts_that_were_half_copied_go_with_the_next(tmp_path: Path) -> None:
    dead = tmp_path / "out/.new-0123"
    (dead / "o").mkdir(parents=True)
    with Staging(str(tmp_path / "out/a")) as other:  # somebody fills it
        with Staging(str(tmp_path / "out/b")) as staging:
            assert not dead.exists() and Path(other.path).exists()
            Path(staging.path, "file").touch()
            staging.publish()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/b", "out/b/file"]


def test_a_link_in_the_place_of_artifacts_leads_nowhere(tmp_path: Path) -> None:
    """A job that was given the directory above, or a repository, has put it there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (tmp_path / "a").symlink_to("elsewhere")
    with pytest.raises(RequestError, match="symlink"):
        check(str(tmp_path / "a"))
    with Staging(str(tmp_path / "a")) as staging:
        staging.publish()
    assert check(str(tmp_path / "a")) and os.listdir(tmp_path / "a") == []
    assert (tmp_path / "elsewhere/file").exists()


def test_a_run_that_was_killed_before_it_had_a_lock_goes(data: Path) -> None:
    with guard.Guard("first"):
        for left in ("second", ".gone-1"):
            (data / "ci/runs" / left / "artifacts").mkdir(parents=True)
        with guard.Guard("third"):
            assert sorted(os.listdir(data / "ci/runs")) == [".lock", "first", "third"]
    assert os.listdir(data / "ci/runs") == [".lock"]
