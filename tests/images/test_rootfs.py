"""A root file system in a directory, which may be hostile: links stay links, nothing outside is read, nothing waits."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from sandbox import RequestError
from sandbox.images.formats import import_image
from sandbox.images.store import Store
from sandbox.scratch import empty
from tests.image_helper import busybox_image
from tests.layout_helper import content
from tests.swap_helper import swap_after_a_look


def lower(store: Store, ref: str) -> Path:
    (path,) = store.lowers(store.open(ref))
    return Path(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    (path / "etc/hostname").write_text("a\n")
    return path


def test_what_is_kept(store: Store, root: Path) -> None:
    (root / "etc/hostname").chmod(0o4640)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    os.link(root / "etc/hostname", root / "etc/same")
    (root / "link").symlink_to("etc/hostname")
    os.mkfifo(root / "fifo")
    os.setxattr(root / "etc/hostname", "user.note", b"\xff\0bytes")
    os.setxattr(root / "etc", "user.overlay.opaque", b"y")
    (root / "ä\n").write_text("a name")
    (root / os.fsdecode(b"\xff")).write_text("no text")
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 20)
    os.utime(root / "etc/hostname", (1, 12345))
    import_image(store, str(root), "test")
    top = lower(store, "test")
    found = (top / "etc/hostname").stat()
    assert stat.S_IMODE(found.st_mode) == 0o4640 and found.st_mtime == 12345 and found.st_nlink == 2
    assert found.st_ino == (top / "etc/same").stat().st_ino
    assert stat.S_IMODE((top / "tmp").stat().st_mode) == 0o1777
    assert os.readlink(top / "link") == "etc/hostname" and stat.S_ISFIFO((top / "fifo").lstat().st_mode)
    assert os.getxattr(top / "etc/hostname", "user.note") == b"\xff\0bytes"
    assert "user.overlay.opaque" not in os.listxattr(top / "etc"), "that would be an order to overlayfs"
    assert (top / "ä\n").exists() and (top / os.fsdecode(b"\xff")).read_text() == "no text"
    assert (top / "sparse").read_bytes() == bytes(1 << 20)


def test_the_same_tree_gives_the_same_image(store: Store, root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root, tmp_path / "copy", symlinks=True)
    one = import_image(store, str(root))
    assert import_image(store, str(tmp_path / "copy")).digest == one.digest
    (root / "etc/hostname").chmod(0o600)
    assert import_image(store, str(root)).digest != one.digest


def test_links_out_are_not_followed(store: Store, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "key").symlink_to(tmp_path / "secret/key")
    (root / "loop").symlink_to("loop")
    (root / "proc").symlink_to("/proc")
    import_image(store, str(root), "test")
    top = lower(store, "test")
    assert all((top / name).is_symlink() for name in ("out", "key", "loop", "proc"))
    assert sorted(os.listdir(top)) == ["etc", "key", "loop", "out", "proc"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_becomes_a_link_after_it_was_looked_at(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:  # fmt: skip
    """The directory may be one that a sandbox writes to."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    if kind == "file":
        (root / "x").write_text("x")
    else:
        (root / "x").mkdir()
    swap_after_a_look(monkeypatch, root / "x", tmp_path / ("secret/key" if kind == "file" else "secret"))
    with pytest.raises(RequestError, match="cannot be read: (too many levels|not a directory).*/x"):
        import_image(store, str(root), "test")
    assert (root / "x").is_symlink() and not store.images()


def test_what_cannot_be_kept_is_noted(store: Store, root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as held:
        os.chdir(root)
        held.bind("socket")
    image = import_image(store, str(root), "test")
    assert store.notes(image) == ("socket: a socket, left out",)
    assert os.listdir(lower(store, "test")) == ["etc"]


def test_a_path_that_is_a_link_is_what_it_leads_to(store: Store, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert import_image(store, str(tmp_path / "link"), "test").digest == import_image(store, str(root)).digest


@pytest.mark.parametrize(("levels", "fits"), [(140, True), (300, False)])
def test_depth(store: Store, root: Path, levels: int, fits: bool) -> None:
    """As deep as a path may be long; and deeper than that, which nothing that reads layers could take."""
    before = content(store)
    held = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("directory-with-a-long-name", dir_fd=held)
        inner = os.open("directory-with-a-long-name", os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(held)
    try:
        if fits:
            import_image(store, str(root), "test")
            store.remove("test")
        else:
            with pytest.raises(RequestError, match="more than 4095 bytes"):
                import_image(store, str(root), "test")
    finally:  # pytest's own removal recurses
        held = os.open(root, os.O_RDONLY)
        empty(held)
        os.close(held)
    assert content(store) == before


def test_what_cannot_be_read_is_named(store: Store, root: Path) -> None:
    (root / "etc/shadow").write_text("x")
    (root / "etc/shadow").chmod(0)
    with pytest.raises(RequestError, match=r"cannot be read: permission denied.*etc/shadow"):
        import_image(store, str(root), "test")
    assert not store.images()


def test_the_image_that_tests_use(store: Store, tmp_path: Path) -> None:
    assert busybox_image(store, tmp_path) == "busybox:latest"
    top = lower(store, "busybox")
    assert os.readlink(top / "bin/sh") == "busybox" and os.access(top / "bin/busybox", os.X_OK)
    assert (top / "etc/passwd").read_text().startswith("root:x:0:0:")
