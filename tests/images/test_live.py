"""A tree that changes while it becomes a tar: the archive stays whole, and what is missing is named."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.images.inside.live import Live
from sandbox.images.inside.scan import Scan
from sandbox.images.inside.start import Refused
from sandbox.images.inside.tarwrite import TarWriter


class Archived:
    """A tree and the archive of it."""

    def __init__(self, top: Path, kind: type[Scan] = Live) -> None:
        self.data = bytearray()
        self.fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        self.tar = TarWriter(-1, fine=True, write=lambda _fd, data: self.data.extend(data))
        self.scan = kind(self.fd, self.tar, ids="single", limit_bytes=1 << 40, newest_ns=None)

    def members(self) -> dict[str, bytes]:
        self.tar.close()
        self.scan.forget(())
        os.close(self.fd)
        with tarfile.open(fileobj=io.BytesIO(bytes(self.data))) as archive:
            return {m.name: archive.extractfile(m).read() if m.isfile() else b"" for m in archive}  # type: ignore[union-attr]


def test_a_file_that_becomes_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3000)
    (tmp_path / "g").write_bytes(b"g")
    into = Archived(tmp_path)
    add = into.tar.add

    def cut_off(member: object, data: object = ()) -> None:
        os.truncate(tmp_path / "f", 10)
        add(member, data)  # type: ignore[arg-type]

    monkeypatch.setattr(into.tar, "add", cut_off)
    into.scan.walk()
    assert into.members() == {"f": b"x" * 10 + bytes(2990), "g": b"g"}
    assert into.scan.notes == ["f: became shorter while it was copied; zeros are in place of 2990 bytes"]


def test_what_has_gone_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    into = Archived(tmp_path)
    write = into.scan.write

    def swap(place: tuple[bytes, ...], found: os.stat_result) -> bool:
        if place == (b"a",):
            (tmp_path / "b").rename(tmp_path / "moved")
            (tmp_path / "c").rename(tmp_path / "moved/c")
            (tmp_path / "c").symlink_to("/etc")
        return write(place, found)

    monkeypatch.setattr(into.scan, "write", swap)
    into.scan.walk()
    assert into.members() == {"a": b"", "a/f": b"a", "c": b""}  # c is the link by now, which nobody follows
    assert into.scan.notes == ["b: left out, it has gone meanwhile"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_becomes_a_link_after_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:  # fmt: skip
    """CVE-2018-15664 at its very moment: lstat(2) has seen a file or directory, and open(2) meets a link."""
    outside, top = tmp_path / "outside", tmp_path / "top"
    for path in (outside, top):
        path.mkdir()
    (outside / "f").write_text("secret")
    (top / "z").write_text("z")
    if kind == "file":
        (top / "x").write_text("x")
    else:
        (top / "x").mkdir()
    into = Archived(top)
    write = into.scan.write

    def swap(place: tuple[bytes, ...], found: os.stat_result) -> bool:
        if place == (b"x",):
            (top / "x").rename(tmp_path / "moved")
            (top / "x").symlink_to(outside / "f" if kind == "file" else outside)
        return write(place, found)

    monkeypatch.setattr(into.scan, "write", swap)
    into.scan.walk()
    assert into.members() == {"z": b"z"}
    assert len(into.scan.notes) == 1 and into.scan.notes[0].startswith("x: left out, "), into.scan.notes


def test_a_layer_is_refused_when_a_file_becomes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """commit --no-pause: the one's mode with the other's content would be a file that never was."""
    (tmp_path / "f").write_text("one")
    (tmp_path / "f").chmod(0o4755)
    into = Archived(tmp_path, Scan)
    write = into.scan.write

    def swap(place: tuple[bytes, ...], found: os.stat_result) -> bool:
        (tmp_path / "new").write_text("two")
        (tmp_path / "new").rename(tmp_path / "f")
        return write(place, found)

    monkeypatch.setattr(into.scan, "write", swap)
    with pytest.raises(Refused, match="f: changed while it was read; stop or pause"):
        into.scan.walk()
    assert into.members() == {}
