"""Archives of strangers: unpacked as they are, or refused with nothing left behind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.errors import ArchiveError
from judge.problem.archive import is_archive, unpack

Members = list[tuple[str, bytes]]
GOOD: Members = [("p/problem.yaml", b"name: x\n"), ("p/data/secret/1.in", b"1 2\n" * 500), ("p/run.sh", b"#!/bin/sh\n")]


def zipped(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = (stat.S_IFREG | (0o4755 if name.endswith(".sh") else 0o644)) << 16
            archive.writestr(info, data)
    return out.getvalue()


def tarred(members: Members, pack: Callable[[bytes], bytes] = bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4755 if name.endswith(".sh") else 0o600
            archive.addfile(info, io.BytesIO(data))
    return pack(out.getvalue())


def special(kind: bytes, name: str = "p/odd", target: str = "/etc/passwd") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Callable[[bytes], Path]:
    (tmp_path / "into").mkdir()

    def put(data: bytes, name: str = "package.bin") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return put


def refused(archive: Path, **limits: int) -> str:
    """Why, after a look that nothing is left."""
    into = archive.parent / "into"
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, into, **limits)
    assert os.listdir(into) == []
    assert "\n" not in caught.value.why
    return caught.value.why


@pytest.mark.parametrize(
    "data",
    [
        zipped(GOOD), zipped(GOOD, zipfile.ZIP_STORED), tarred(GOOD), tarred(GOOD, form=tarfile.GNU_FORMAT),
        tarred(GOOD, form=tarfile.USTAR_FORMAT), tarred(GOOD, gzip.compress), tarred(GOOD, bz2.compress),
        tarred(GOOD, lzma.compress),
        # One after another, as pbzip2 and bgzip write them.
        tarred(GOOD, lambda d: b"".join(bz2.compress(d[i : i + 3000]) for i in range(0, len(d), 3000))),
        tarred(GOOD, lambda d: gzip.compress(d[:700]) + gzip.compress(d[700:])),
        tarred(GOOD, lambda d: lzma.compress(d[:512]) + b"\0" * 8 + lzma.compress(d[512:])),
    ],
    ids="zip stored pax gnu ustar gz bz2 xz pbzip2 bgzip pixz".split(),
)  # fmt: skip
def test_every_format_gives_the_same_files(place: Callable[..., Path], data: bytes) -> None:
    archive = place(data, "sums.tar.gz")
    assert is_archive(archive)
    root = unpack(archive, archive.parent / "into")
    assert root == archive.parent / "into" / "sums" / "p"
    found = {str(p.relative_to(root.parent)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert found == dict(GOOD)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in root.rglob("*") if p.is_file()}
    assert modes == {"problem.yaml": 0o644, "1.in": 0o644, "run.sh": 0o755}


def test_a_single_top_folder_is_stripped_and_nothing_else(place: Callable[..., Path]) -> None:
    into = place(b"").parent / "into"
    assert unpack(place(zipped([("a/1", b""), ("b/1", b"")]), "two.zip"), into) == into / "two"
    assert unpack(place(zipped([("1.in", b"")]), "flat.zip"), into) == into / "flat"
    assert unpack(place(zipped([("a/", b""), ("a/b/1", b"")]), "one.zip"), into) == into / "one" / "a"
    assert unpack(into.parent / "one.zip", into, strip=False) == into / "one-2"
    assert unpack(place(zipped([]), "none.zip"), into) == into / "none"
    mac = zipped([("__MACOSX/p/._x", b"junk"), ("p/.DS_Store", b"junk"), ("p/x", b"x")])
    root = unpack(place(mac, "mac.zip"), into)
    assert [p.name for p in root.rglob("*")] == ["x"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "leads out of the archive by .."), ("a/../../x", "leads out of the archive by .."),
        ("a/..", "leads out of the archive by .."), ("/etc/x", "an absolute name"), ("..\\x", "a backslash"),
        ("a\nb", "control characters"), ("a\x1b[2J", "control characters"), ("a\u202etxt", "control characters"),
        ("/".join("a" * 25), "directories deep"), ("a" * 256, "the name is too long"),
        ("/".join(["a" * 120] * 10), "the name is too long"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_elsewhere(
    place: Callable[..., Path], name: str, why: str, pack: Callable[[Members], bytes]
) -> None:
    assert why in refused(place(pack([("good", b"x"), (name, b"x")])))
    assert not (place(b"").parent / "x").exists()


def test_bytes_that_are_no_text_in_a_name(place: Callable[..., Path]) -> None:
    assert "not UTF-8" in refused(place(tarred([("a\udcff", b"")], form=tarfile.GNU_FORMAT)))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a FIFO"), (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "unknown type"),
    ],
)  # fmt: skip
def test_what_is_no_file_in_a_tar(place: Callable[..., Path], kind: bytes, why: str) -> None:
    assert refused(place(special(kind))).startswith("p/odd: ") and why in refused(place(special(kind)))


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666, stat.S_IFSOCK])
def test_what_is_no_file_in_a_zip(place: Callable[..., Path], mode: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("p/odd")
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    why = refused(place(out.getvalue()))
    assert why == ("p/odd: a symbolic link" if stat.S_ISLNK(mode) else "p/odd: neither a file nor a directory")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_are_there_twice(place: Callable[..., Path], pack: Callable[[Members], bytes]) -> None:
    assert refused(place(pack([("a/x", b"1"), ("a/x", b"2")]))) == "a/x: there twice"
    assert refused(place(pack([("a/x", b"1"), ("a//./x", b"2")]))) == "a/x: there twice"
    assert refused(place(pack([("a/x", b"1"), ("a/X", b"2")]))) == "a/X: differs in case alone from a/x"
    assert refused(place(pack([("a/x", b"1"), ("A/y", b"2")]))) == "A: differs in case alone from a"
    assert refused(place(pack([("a", b"1"), ("a/y", b"2")]))) == "a: both a file and a directory"
    assert refused(place(pack([("a/y", b"1"), ("a", b"2")]))) == "a: both a file and a directory"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_size_and_count_are_capped(place: Callable[..., Path], pack: Callable[[Members], bytes]) -> None:
    archive = place(pack([("a", b"x" * 600), ("b", b"x" * 600)]))
    assert refused(archive, limit_bytes=1199) == "unpacks to more than 1199 bytes"
    assert unpack(archive, archive.parent / "into", limit_bytes=1200).exists()
    many = place(pack([(f"d/{i}", b"") for i in range(20)]))
    for entry in (archive.parent / "into").iterdir():
        entry.rename(archive.parent / "earlier")
    assert refused(many, limit_files=20) == "holds more than 20 files and directories"
    assert unpack(many, archive.parent / "into", limit_files=21).exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_many_directories_in_any_order(place: Callable[..., Path], pack: Callable[[Members], bytes]) -> None:
    """More than are held open at once; and none stays open."""
    deep = "/".join("d" * 22)
    members = [(f"{i % 100}/{deep if i % 30 == 0 else 'e'}/{i}", str(i).encode()) for i in range(400)]
    archive = place(pack(members))
    before = sorted(os.listdir("/proc/self/fd"))
    root = unpack(archive, archive.parent / "into")
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()} == dict(members)


def test_a_size_that_is_a_lie_is_not_believed(place: Callable[..., Path]) -> None:
    data = bytearray(zipped([("a", b"x" * 100_000)]))
    # The directory says 10 bytes; the data is 100,000.
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 10)
    why = refused(place(bytes(data)), limit_bytes=1000)
    assert "broken zip file" in why
    struct.pack_into("<L", data, at + 24, 200_000)
    assert "broken zip file" in refused(place(bytes(data))) or "shorter than" in refused(place(bytes(data)))


def test_a_ratio_that_no_test_data_has(place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # 20 MB of zeros in 14 KiB of xz: the floor is lowered, so that the test need not write 64 MiB.
    monkeypatch.setattr("judge.problem.archive.growth.RATIO_FLOOR_BYTES", 1 << 20)
    bomb = place(tarred([("zeros", bytes(20_000_000))], lzma.compress))
    assert refused(bomb) == "expands to more than 1100 times its size"
    fine = place(tarred([("zeros", bytes(20_000_000))], gzip.compress))
    assert unpack(fine, fine.parent / "into").exists()


def test_an_extended_header_is_not_read_into_memory(place: Callable[..., Path]) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    assert refused(place(info.tobuf())) == f"an extended header of {1 << 32} bytes"


def test_xz_with_a_dictionary_of_a_gigabyte(place: Callable[..., Path]) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(tarred(GOOD, lambda d: lzma.compress(d, filters=filters)))
    at = data.index(b"\x21\x01", 12) + 2  # filter id, size of properties, dictionary size
    data[at] = 36  # 1 GiB
    header = data[12 : 12 + 4 * (data[12] + 1) - 4]
    struct.pack_into("<L", data, 12 + len(header), zlib.crc32(header))
    assert "broken xz data" in refused(place(bytes(data)))


def test_zip_members_that_share_bytes(place: Callable[..., Path]) -> None:
    """Fifield's zip bomb quotes one kernel from many directory entries."""
    data = zipped([("a", b"x" * 5000)])
    at = data.index(b"PK\x01\x02")
    entry, end = data[at : data.index(b"PK\x05\x06")], bytearray(data[data.index(b"PK\x05\x06") :])
    struct.pack_into("<2H", end, 8, 2, 2)
    struct.pack_into("<L", end, 12, 2 * len(entry))
    twice = data[:at] + entry + entry.replace(b"a", b"b", 1) + bytes(end)
    assert "shares bytes" in refused(place(twice))


def test_encrypted_and_other_compression(place: Callable[..., Path]) -> None:
    data = bytearray(zipped(GOOD))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    assert refused(place(bytes(data))) == "p/problem.yaml: encrypted"
    assert "compressed by bzip2" in refused(place(zipped(GOOD, zipfile.ZIP_BZIP2)))
    assert "compressed by lzma" in refused(place(zipped(GOOD, zipfile.ZIP_LZMA)))


def test_bad_checksums(place: Callable[..., Path]) -> None:
    data = bytearray(zipped(GOOD, zipfile.ZIP_STORED))
    data[data.index(b"name: x")] ^= 1
    assert "Bad CRC-32 for file 'p/problem.yaml'" in refused(place(bytes(data)))
    packed = bytearray(tarred(GOOD, gzip.compress))
    packed[-6] ^= 1
    assert "broken gzip data" in refused(place(bytes(packed)))
    plain = bytearray(tarred(GOOD, form=tarfile.USTAR_FORMAT))
    plain[0] ^= 1
    assert "broken tar file" in refused(place(bytes(plain)))


@pytest.mark.parametrize(
    "data", [zipped(GOOD), *(tarred(GOOD, pack) for pack in (bytes, gzip.compress, bz2.compress, lzma.compress))]
)
def test_truncation(place: Callable[..., Path], data: bytes) -> None:
    # A tar's last 5 KiB are padding.
    for keep in (len(data) // 9, len(data) // 3, len(data) - (6000 if len(data) == 10240 else 3)):
        why = refused(place(data[:keep]))
        assert "truncated" in why or "broken" in why


def test_more_after_the_end(place: Callable[..., Path]) -> None:
    assert "after the end" in refused(place(tarred(GOOD) + b"more".ljust(512)))
    assert "broken gzip data" in refused(place(tarred(GOOD, gzip.compress) + b"more"))


def test_a_directory_of_many_entries_is_counted_before_it_is_read(
    place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = place(zipped([(str(i), b"") for i in range(50)]))
    monkeypatch.setattr(zipfile, "ZipFile", None)  # would be a TypeError if it came to that
    assert "more than 49 files" in refused(archive, limit_files=49)


def test_not_an_archive(place: Callable[..., Path]) -> None:
    assert refused(place(b"")) == "neither zip nor tar, tar.gz, tar.bz2, tar.xz but empty"
    assert "a 7z file" in refused(place(b"7z\xbc\xaf\x27\x1c" + bytes(100)))
    assert "cannot be read: No such file" in refused(place(b"").parent / "missing")
    os.mkfifo(place(b"").parent / "fifo")
    assert refused(place(b"").parent / "fifo") == "not a regular file"
    assert not is_archive(place(b"").parent / "fifo") and not is_archive(place(b"hello"))


def test_a_full_disk_is_told_and_leaves_nothing(place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that cannot be written is not the archive's fault, but must not stay either."""
    archive = place(zipped(GOOD))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fchmod", full)
    assert refused(archive) == "cannot be unpacked: No space left on device"


EDITS = st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=4)), max_size=6)
FUZZ = settings(
    max_examples=150, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
BASES = [zipped(GOOD), zipped(GOOD, zipfile.ZIP_STORED), tarred(GOOD), tarred(GOOD, gzip.compress)]


def attempt(directory: Path, data: bytes) -> None:
    """Whatever it is: unpacked below ``into`` with files and directories alone, or ArchiveError and nothing there."""
    into = directory / "into"
    into.mkdir(exist_ok=True)
    archive = directory / "fuzz"
    archive.write_bytes(data)
    try:
        root = unpack(archive, into, limit_bytes=1 << 20, limit_files=50)
    except ArchiveError:
        assert os.listdir(into) == []
        return
    assert root.is_relative_to(into)
    (top,) = into.iterdir()
    for path in top.rglob("*"):
        assert stat.S_ISREG(path.lstat().st_mode) or stat.S_ISDIR(path.lstat().st_mode)
        assert path.resolve() == path.absolute()
    shutil.rmtree(top)


@FUZZ
@given(base=st.sampled_from(BASES), edits=EDITS)
def test_fuzz_bytes(tmp_path: Path, base: bytes, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(base)
    for at, new in edits:
        at %= len(data)
        data[at : at + len(new)] = new
    attempt(tmp_path, bytes(data))


# Made of what names are dangerous by; "\\" and the rest cannot be in a zip's local name unescaped but are in a tar's.
TRICKY = st.lists(st.sampled_from(["..", ".", "", "a", "A", "b", "a\0b", "\\", "é", "/"]), max_size=6).map("/".join)


@FUZZ
@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(
    names=st.lists(TRICKY, max_size=5),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    zip_=st.booleans(),
)
def test_fuzz_names(tmp_path: Path, names: list[str], kind: bytes, zip_: bool) -> None:
    out = io.BytesIO()
    if zip_:
        with zipfile.ZipFile(out, "w") as packed:
            for name in names:
                packed.writestr(zipfile.ZipInfo(name), b"x")
    else:
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, ".."
                archive.addfile(info)
            archive.addfile(tarfile.TarInfo("last"))
    attempt(tmp_path, out.getvalue())
