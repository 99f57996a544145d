"""The reader of what comes out of a compiler's sandbox: right for what tar packs, an error for anything forged."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.build import inside, ustar


def forged(*members: tuple[str, bytes, bytes], **changes: object) -> io.BytesIO:
    """An archive of (name, type, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            info.linkname = "/etc/passwd" if kind in b"12" else ""
            for key, value in changes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def test_what_tar_packs(tmp_path: Path) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    (source / "a" / "empty").mkdir(parents=True)
    (source / ("d" * 90) / ("e" * 90)).mkdir(parents=True)
    files = {"x": b"1", "a/y": b"2" * 511, "a/z": b"3" * 512, f"{'d' * 90}/{'e' * 90}/f": b"4" * 1025, "é": b""}
    for name, content in files.items():
        (source / name).write_bytes(content)
    (source / "x").chmod(0o4755)
    packed = subprocess.run(["tar", *inside._TAR, "-C", source, "."], check=True, capture_output=True).stdout
    into.mkdir()
    assert ustar.extract(io.BytesIO(packed), into, limit_bytes=1 << 20) == sum(map(len, files.values()))
    assert {str(p.relative_to(into)): p.read_bytes() for p in into.rglob("*") if p.is_file()} == files
    assert (into / "a" / "empty").is_dir()
    assert (into / "x").stat().st_mode & 0o7777 == 0o755 and (into / "a" / "y").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6"])
def test_links_and_devices_are_left_out(kind: bytes, tmp_path: Path) -> None:
    ustar.extract(forged(("bad", kind, b""), ("good", b"0", b"x")), tmp_path, limit_bytes=100)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a/.."])
def test_a_way_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(ustar.BadArchive, match="leads out of it"):
        ustar.extract(forged((name, b"0", b"x")), tmp_path, limit_bytes=100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "names", [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a", "./a"]], ids=["same", "below", "above", "dot"]
)
def test_a_name_twice(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(ustar.BadArchive, match="name twice"):
        ustar.extract(forged(*((name, b"0", b"x") for name in names)), tmp_path, limit_bytes=100)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"S", b"7"])
def test_extensions_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(ustar.BadArchive):
        ustar.extract(forged(("a", kind, b"12 path=../x\n")), tmp_path, limit_bytes=100)


def test_too_large(tmp_path: Path) -> None:
    with pytest.raises(ustar.BadArchive, match="larger than"):
        ustar.extract(forged(("a", b"0", b"x" * 60), ("b", b"0", b"x" * 60)), tmp_path, limit_bytes=100)


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 1024])
def test_cut(cut: int, tmp_path: Path) -> None:
    data = forged(("a", b"0", b"x" * 600)).getvalue()[:cut]
    with pytest.raises(ustar.BadArchive, match="incomplete"):
        ustar.extract(io.BytesIO(data), tmp_path, limit_bytes=1000)


@settings(deadline=None, database=None)
@given(st.binary(max_size=3000), st.integers(0, 1023))
def test_any_bytes(noise: bytes, at: int) -> None:
    """Nothing but BadArchive comes of them."""
    data = bytearray(forged(("a", b"0", b"x" * 100)).getvalue())
    data[at : at + len(noise)] = noise
    with tempfile.TemporaryDirectory() as into:
        try:
            ustar.extract(io.BytesIO(bytes(data)), Path(into), limit_bytes=1 << 20)
        except ustar.BadArchive:
            pass
