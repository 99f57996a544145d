"""Files into roots and out of them: names, links, owners, what is there already, and who is to blame."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import HostError, RequestError
from sandbox.images.copying import Copied, Root, copy_between, copy_in, copy_out
from sandbox.images.helper import remove_tree
from tests.tar_helper import directory, file, hardlink, symlink, tar


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "dir/sub").mkdir(parents=True)
    (top / "dir/a.txt").write_text("a")
    (top / "dir/b.txt").write_text("b")
    (top / "dir/.hidden").write_text("h")
    (top / "dir/sub/c").write_text("c")
    (top / "dir/link").symlink_to("a.txt")
    os.link(top / "dir/a.txt", top / "dir/sub/hard")
    (top / "dir").chmod(0o750)
    (top / "file").write_text("file")
    os.utime(top / "file", (0, 1000))
    (top / "to-dir").symlink_to("/dir")
    (top / "to-file").symlink_to("../../../file")
    (top / "out").symlink_to("/etc/passwd")
    return top


@pytest.fixture
def target(tmp_path: Path) -> Path:
    top = tmp_path / "target"
    top.mkdir()
    return top


def cp(source: Path, paths: str, target: Path, dest: str, **options: Any) -> Copied:
    return copy_between(Root(directory=str(source)), paths.split(), Root(directory=str(target)), dest, **options)


def names(top: Path) -> list[str]:
    return sorted(str(p.relative_to(top)) for p in top.rglob("*"))


def listed(source: Path, *paths: str, **options: Any) -> list[str]:
    read, write = os.pipe()
    try:
        copy_out(Root(directory=str(source)), paths, write, **options)
    except Exception:
        os.close(read)
        raise
    finally:
        os.close(write)
    with open(read, "rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
        return archive.getnames()


DIR = ["dir", "dir/.hidden", "dir/a.txt", "dir/b.txt", "dir/link", "dir/sub", "dir/sub/c", "dir/sub/hard"]


def test_which_names(source: Path) -> None:
    assert listed(source, "/dir") == listed(source, "dir") == DIR
    inner = [name[4:] for name in DIR[1:]]
    assert listed(source, "dir/.") == listed(source, "dir", contents=True) == inner
    assert listed(source, "dir/*.txt", "f?le") == ["a.txt", "b.txt", "file"]
    assert listed(source, "d*/[a-b].txt") == ["a.txt", "b.txt"]
    assert listed(source, "dir/*") == [".hidden", "a.txt", "b.txt", "link", "sub", "sub/c", "sub/hard"]
    assert listed(source, "../../dir/sub/../a.txt") == ["a.txt"]  # the root is its own parent
    assert listed(source, "to-dir") == ["to-dir"]
    assert listed(source, "to-dir", follow=True) == [name.replace("dir", "to-dir", 1) for name in DIR]
    assert listed(source, "to-dir/") == listed(source, "to-dir", follow=True)
    assert listed(source, "to-file", follow=True) == ["to-file"]
    for missing in ("nothing", "dir/*.none", "file/x", "dir/a.txt/."):
        with pytest.raises((RequestError, HostError), match=r"no such file|not a directory"):
            listed(source, missing)
    with pytest.raises((RequestError, HostError), match="no such file"):
        listed(source, "out", follow=True)  # of the host there is nothing


def test_where_to(source: Path, target: Path) -> None:
    cp(source, "file", target, "/new")
    assert (target / "new").read_text() == "file" and (target / "new").stat().st_mtime == 1000
    cp(source, "file", target, "/made/up/")
    assert (target / "made/up/file").exists() and stat.S_IMODE((target / "made/up").stat().st_mode) == 0o755
    cp(source, "dir", target, "/renamed")
    assert names(target / "renamed") == [name[4:] for name in DIR[1:]]
    assert stat.S_IMODE((target / "renamed").stat().st_mode) == 0o750
    assert (target / "renamed/sub/hard").stat().st_ino == (target / "renamed/a.txt").stat().st_ino
    assert os.readlink(target / "renamed/link") == "a.txt"
    cp(source, "dir", target, "/made")  # it is there: into it
    assert (target / "made/dir/sub/c").exists()
    cp(source, "dir/.", target, "/made", names="into")
    assert (target / "made/sub/c").exists()
    cp(source, "file", target, "../../up")
    assert (target / "up").exists()
    (target / "link").symlink_to("/made")
    cp(source, "file", target, "/link")
    assert (target / "made/file").exists() and (target / "link").is_symlink()
    with pytest.raises(RequestError, match="more than one thing"):
        cp(source, "file dir/a.txt", target, "/one")
    with pytest.raises(RequestError, match="no directory"):
        cp(source, "file", target, "/new/below")


def test_what_is_there_already(source: Path, target: Path) -> None:
    (target / "dir/sub").mkdir(parents=True, mode=0o700)
    (target / "dir/a.txt").write_text("old")
    (target / "dir/mine").write_text("mine")
    os.utime(target / "dir", (0, 77))
    cp(source, "dir", target, "/")
    assert (target / "dir/a.txt").read_text() == "a" and (target / "dir/mine").exists()
    assert stat.S_IMODE((target / "dir/sub").stat().st_mode) == 0o700  # as it was
    (target / "file").mkdir()
    (target / "file/x").touch()
    with pytest.raises(RequestError, match="cannot take the place of a directory"):
        cp(source, "file", target, "/")
    assert (target / "file/x").exists()
    (target / "t").write_text("t")
    with pytest.raises(RequestError, match="cannot take the place"):
        copy_tar(target, "/", tar(directory("t")))


def copy_tar(target: Path, dest: str, blob: bytes, **options: Any) -> Copied:
    read, write = os.pipe()
    os.write(write, blob)  # a pipe holds 64 KiB
    os.close(write)
    try:
        return copy_in(read, Root(directory=str(target)), dest, **options)
    finally:
        os.close(read)


def test_modes_and_links_that_lead_out(target: Path, tmp_path: Path) -> None:
    copy_tar(target, "/", tar(file("a", b"x", mode=0o600), directory("d", 0o700)), mode=0o644 | 0o111)
    assert stat.S_IMODE((target / "a").stat().st_mode) == stat.S_IMODE((target / "d").stat().st_mode) == 0o755
    victim = tmp_path / "victim"
    victim.mkdir()
    (target / "l").symlink_to(victim)
    for entries in ((file("l/x"),), (symlink("m", str(victim)), file("m/x")), (hardlink("h", "../victim/x"),)):
        with pytest.raises(RequestError, match=r'symlink|"\.\."'):
            copy_tar(target, "/", tar(*entries))
    with pytest.raises(RequestError, match="link to what is not there"):
        copy_tar(target, "/l/deep/", tar(file("x")))
    assert not list(victim.iterdir())


def test_an_overlay(source: Path, tmp_path: Path) -> None:
    """Of a container that does not run: what is put in goes to its upper directory, twice over."""
    (tmp_path / "up/upper").mkdir(parents=True)
    root = Root(layers=(str(source),), upper=str(tmp_path / "up"))
    for number in range(2):
        read, write = os.pipe()
        os.write(write, tar(file(f"n{number}", b"new")))
        os.close(write)
        copy_in(read, root, "/dir")
        os.close(read)
    assert names(tmp_path / "up/upper") == ["dir", "dir/n0", "dir/n1"]
    assert not (source / "dir/n0").exists()
    out = tmp_path / "out"
    out.mkdir()
    copy_between(Root(layers=(str(tmp_path / "up/upper"), str(source))), ["dir"], Root(directory=str(out)), "/")
    assert (out / "dir/n1").read_text() == "new" and (out / "dir/a.txt").read_text() == "a"
    remove_tree(str(tmp_path / "up"))


def test_owners_of_a_range(source: Path, target: Path) -> None:
    into = Root(directory=str(target), ids="range")
    copy_between(Root(directory=str(source)), ["dir"], into, "/d", owner=(1000, 33))
    read, write = os.pipe()
    copy_out(into, ["d"], write)
    os.close(write)
    with open(read, "rb") as opened, tarfile.open(fileobj=opened, mode="r|") as archive:
        assert {(m.uid, m.gid) for m in archive} == {(1000, 33)}
    remove_tree(str(target), ids="range")


def test_much_data(source: Path, target: Path) -> None:
    """More than a pipe holds, and a file that grows is not half of one."""
    with open(source / "big", "wb") as out:
        out.write(os.urandom(1 << 20) * 20)
    assert cp(source, "big", target, "/big").bytes == 20 << 20
    assert (target / "big").read_bytes() == (source / "big").read_bytes()
    with pytest.raises(RequestError, match="more than 1000 bytes"):
        cp(source, "big", target, "/other", limit_bytes=1000)


def test_what_is_left_in_the_work_directory_leads_nowhere(source: Path, target: Path, tmp_path: Path) -> None:
    """An overlay that ended while it made a symlink leaves it there, with the target that a program has chosen."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (elsewhere / "file").write_text("kept")
    (target / "upper").mkdir()
    (target / "work/work").mkdir(parents=True)
    (target / "work/work/#1").symlink_to(elsewhere)
    (target / "work/work/closed").mkdir(mode=0)
    copy_between(Root(directory=str(source)), ["file"], Root(layers=(str(source),), upper=str(target)), "/new")
    assert (target / "upper/new").read_text() == "file"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755 and (elsewhere / "file").read_text() == "kept"
