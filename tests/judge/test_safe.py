"""Reading and removing what a hostile program left in a directory."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from judge import safe


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "box").mkdir()
    (tmp_path / "secret").write_text("secret")
    with safe.directory(tmp_path / "box") as fd:
        yield fd


def test_a_file_below(root: int, tmp_path: Path) -> None:
    (tmp_path / "box/a/b").mkdir(parents=True)
    (tmp_path / "box/a/b/c").write_bytes(b"12345")
    assert safe.read_beneath(root, "a/b/c", 5) == b"12345"
    assert safe.start_of(root, "a/b/c", 3) == (b"123", True)
    assert safe.start_of(root, "a/b/c", 5) == (b"12345", False)
    with pytest.raises(safe.UnsafeFile, match="longer than 4"):
        safe.read_beneath(root, "a/b/c", 4)
    with pytest.raises(FileNotFoundError):
        safe.read_beneath(root, "a/b/d", 4)


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "", ".", "..", "a//b", "a/", "a\0b"])
def test_names_that_lead_out(root: int, tmp_path: Path, name: str) -> None:
    (tmp_path / "box/a").mkdir()
    with pytest.raises(safe.UnsafeFile):
        safe.open_beneath(root, name)


def test_links_on_the_way(root: int, tmp_path: Path) -> None:
    box = tmp_path / "box"
    (box / "file").symlink_to("../secret")
    (box / "dir").symlink_to("..")
    (box / "inner").mkdir()
    (box / "inner/real").write_text("x")
    (box / "even").symlink_to("inner")
    for name in ("file", "dir/secret", "even/real"):
        with pytest.raises(safe.UnsafeFile):
            safe.open_beneath(root, name)


def test_what_is_no_file(root: int, tmp_path: Path) -> None:
    box = tmp_path / "box"
    os.mkfifo(box / "fifo")
    (box / "directory").mkdir()
    (box / "closed").write_text("x")
    (box / "closed").chmod(0)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(box)
        try:
            listener.bind("socket")
        finally:
            os.chdir("/")
        for name in ("fifo", "directory", "closed", "socket"):
            with pytest.raises(safe.UnsafeFile):
                safe.open_beneath(root, name)


def test_no_fd_stays_open(root: int, tmp_path: Path) -> None:
    (tmp_path / "box/a").mkdir()
    (tmp_path / "box/a/link").symlink_to("x")
    os.mkfifo(tmp_path / "box/a/fifo")
    before = set(os.listdir("/proc/self/fd"))
    for name in ("a/link", "a/fifo", "a/none", "a", "b/c"):
        with pytest.raises((safe.UnsafeFile, FileNotFoundError)):
            safe.open_beneath(root, name)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_tree_of_any_kind_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("a/b/c", "a/d", "closed/inside/more"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_text("x")
    (tree / "out").symlink_to(tmp_path)
    (tree / "away").symlink_to("/nonexistent")
    os.mkfifo(tree / "fifo")
    os.link(tree / "a/d/file", tree / "link")
    (tree / "closed/inside/more").chmod(0)
    (tree / "closed/inside").chmod(0o500)
    (tree / "closed").chmod(0)
    (tmp_path / "kept").write_text("x")
    safe.remove_tree(tree)
    assert os.listdir(tmp_path) == ["kept"]
    safe.remove_tree(tree)  # nothing there is fine


def test_a_file_or_a_link_in_place_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "link").symlink_to("kept")
    safe.remove_tree(tmp_path / "link")
    assert (tmp_path / "kept/file").exists() and not os.path.lexists(tmp_path / "link")
    safe.remove_tree(tmp_path / "kept/file")
    assert not os.listdir(tmp_path / "kept")


def test_depth_and_number_cost_neither_stack_nor_fds(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(3000):
        (tree / f"{number:0200}").touch()
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(2100):  # longer than PATH_MAX, and deeper than Python recurses
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 12, hard))
    try:
        safe.remove_tree(tree)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert os.listdir(tmp_path) == []
