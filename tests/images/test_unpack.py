"""Layers become directories: forms of tar, attributes, whiteouts. What is refused is in escape/test_images.py."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import RequestError
from sandbox.images.helper import remove_tree
from tests.tar_helper import Layers, digest, directory, file, hardlink, header, padded, pax, symlink, tar


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    yield Layers(tmp_path)
    for path in tmp_path.glob("layer-*"):
        if os.listdir(path):
            remove_tree(str(path), ids="range" if path.owner() != path.parent.owner() else "single")


ONE = tar(file("a", b"x" * 5000))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_three_formats(layers: Layers, form: int) -> None:
    long = "d" * 90 + "/" + "e" * 60 if form == tarfile.USTAR_FORMAT else "d" * 150 + "/" + "f" * 200
    blob = tar(directory("etc", 0o750), file("etc/motd", b"hello", mode=0o640, mtime=1234), file(long, b"long"),
               symlink("s", "etc/motd"), hardlink("etc/other", "etc/motd"), form=form)  # fmt: skip
    done = layers.unpack(blob)
    assert done.diff_id == digest(blob) and done.bytes == 9 and not done.notes
    assert (layers.path / long).read_bytes() == b"long"
    motd = (layers.path / "etc/motd").stat()
    assert (stat.S_IMODE(motd.st_mode), motd.st_mtime, motd.st_nlink) == (0o640, 1234, 2)
    assert (layers.path / "etc/other").stat().st_ino == motd.st_ino
    assert os.readlink(layers.path / "s") == "etc/motd"
    assert stat.S_IMODE((layers.path / "etc").stat().st_mode) == 0o750


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressions(layers: Layers, compress: object) -> None:
    blob = compress(ONE)  # type: ignore[operator]
    done = layers.unpack(blob, diff_id=digest(ONE), digest=digest(blob))
    assert done.diff_id == digest(ONE) and (layers.path / "a").read_bytes() == b"x" * 5000


def test_zstd(layers: Layers) -> None:
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    blob = subprocess.run(["zstd", "-c"], input=ONE, capture_output=True, check=True).stdout
    assert layers.unpack(blob).diff_id == digest(ONE)


def test_members_of_gzip_one_after_another(layers: Layers) -> None:
    """As pigz and bgzip write them, and the padding of a tape at the end."""
    assert layers.unpack(gzip.compress(ONE[:700]) + gzip.compress(ONE[700:]) + bytes(512)).diff_id == digest(ONE)


def test_a_media_type_is_only_noted(layers: Layers) -> None:
    done = layers.unpack(ONE, media_type="application/vnd.oci.image.layer.v1.tar+gzip")
    assert done.diff_id == digest(ONE) and "not compressed" in done.notes[0]
    assert not layers.unpack(ONE, media_type="application/vnd.oci.image.layer.v1.tar").notes


def test_attributes(layers: Layers) -> None:
    blob = tar(
        directory("d", 0o500, mtime=77), file("d/later", b"x", mtime=5.25),
        file("su", b"#!", mode=0o6755, uid=3_000_000, pax_headers={"SCHILY.xattr.user.note": "a\nb"}),
        file("secret", b"", mode=0),
        ("pipe", {"type": tarfile.FIFOTYPE, "mode": 0o622}),
        file("old", b"", mtime=-5),
        file("attr", b"", pax_headers={"SCHILY.xattr.trusted.x": "1", "SCHILY.xattr.user.overlay.opaque": "y"}),
    )  # fmt: skip
    done = layers.unpack(blob)
    found = (layers.path / "d").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o500, 77)  # though something came into it later
    assert (layers.path / "d/later").stat().st_mtime_ns == 5_250_000_000
    assert stat.S_IMODE((layers.path / "su").stat().st_mode) == 0o6755
    assert os.getxattr(layers.path / "su", "user.note") == b"a\nb"
    assert stat.S_ISFIFO((layers.path / "pipe").stat().st_mode)
    assert stat.S_IMODE((layers.path / "pipe").stat().st_mode) == 0o622
    assert stat.S_IMODE((layers.path / "secret").stat().st_mode) == 0
    assert (layers.path / "old").stat().st_mtime == -5
    assert os.listxattr(layers.path / "attr") == []
    assert len(done.notes) == 2 and "trusted.x" in done.notes[0] and "user.overlay.opaque" in done.notes[1]
    assert all(path.stat().st_uid == os.getuid() for path in layers.path.iterdir())


def test_sparse(layers: Layers, tmp_path: Path) -> None:
    """By GNU tar in its four ways: no hole becomes bytes on the disk."""
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "s", "wb") as out:
        for number in range(40):  # more than fit into a header of the old format
            out.seek(number << 20)
            out.write(b"%d" % number)
        out.truncate(100 << 20)
    wanted = (source / "s").read_bytes()
    for options in (["gnu"], ["pax", "--sparse-version=0.0"], ["pax", "--sparse-version=0.1"], ["pax"]):
        command = ["tar", "-C", source, "-S", f"--format={options[0]}", *options[1:], "-cf", tmp_path / "t", "s"]
        subprocess.run(command, check=True)
        assert (tmp_path / "t").stat().st_size < 2 << 20
        done = layers.unpack(tmp_path / "t")
        assert done.bytes == len(wanted)
        assert (layers.path / "s").read_bytes() == wanted
        assert (layers.path / "s").stat().st_blocks * 512 < 2 << 20


def test_later_members_replace_earlier_ones(layers: Layers) -> None:
    blob = tar(
        file("a", b"1"), hardlink("b", "a"), file("a", b"2"), directory("d"), directory("d/e"), file("d/e/f", b""),
        file("d", b"file now"), file("f", b""), directory("f"), file("f/in", b"in"), symlink("f/in", "x"),
        directory("deep"), file("deep/" + "x/" * 200 + "y", b""), file("deep", b"short"),
    )  # fmt: skip
    layers.unpack(blob)
    assert ((layers.path / "a").read_bytes(), (layers.path / "b").read_bytes()) == (b"2", b"1")
    assert (layers.path / "d").read_bytes() == b"file now" and os.readlink(layers.path / "f/in") == "x"
    assert (layers.path / "deep").read_bytes() == b"short"


def test_whiteouts(layers: Layers) -> None:
    blob = tar(
        file("etc/.wh.gone"), file("dir/new", b""), file("dir/.wh..wh..opq"), file("dir/newer", b""),
        # in the same layer: the lower one's is hidden all the same
        file(".wh.first"), directory("first"), file("first/x"), directory("then"), file("then/x"), file(".wh.then"),
        file(".wh.implied"), file("implied/x"), file(".wh.f"), file("f", b"there"), file("g", b"there"), file(".wh.g"),
    )  # fmt: skip
    layers.unpack(blob)
    assert layers.is_whiteout("etc/gone")
    assert layers.is_opaque("dir") and {p.name for p in (layers.path / "dir").iterdir()} == {"new", "newer"}
    for name in ("first", "then", "implied"):
        assert layers.is_opaque(name) and (layers.path / name / "x").exists(), name
    assert (layers.path / "f").read_bytes() == (layers.path / "g").read_bytes() == b"there"
    assert not layers.is_opaque("etc") and not list(layers.path.rglob(".wh.*"))


def test_an_opaque_root_is_told(layers: Layers) -> None:
    assert layers.unpack(tar(file(".wh..wh..opq"), file("a"))).opaque
    assert not layers.unpack(tar(file("d/.wh..wh..opq"))).opaque


def test_devices_are_left_out_and_noted(layers: Layers) -> None:
    device = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
    whiteout = {**device, "devmajor": 0, "devminor": 0}
    done = layers.unpack(tar(("dev/null", device), hardlink("dev/zero", "dev/null"), ("dev/zero2", whiteout)))
    assert [p.name for p in layers.path.rglob("*")] == ["dev"]
    assert len(done.notes) == 3 and all("left out" in note for note in done.notes)


def test_names(layers: Layers) -> None:
    """Absolute, with dots, bytes that are no UTF-8, a newline; and 4095 bytes of path."""
    deep = "/".join(["d" * 100] * 40)
    blob = tar(file("/abs/./x//y", b"1"), file("./dot"), file("new\nline"), file(deep + "/end", b"end"),
               ("./", {"type": tarfile.DIRTYPE, "mode": 0o711}))  # fmt: skip
    blob = header(b"\xff\xfe") + blob
    layers.unpack(blob)
    assert (layers.path / "abs/x/y").read_bytes() == b"1"
    assert {b"\xff\xfe", b"dot", b"new\nline"} <= set(os.listdir(os.fsencode(layers.path)))
    with contextlib.chdir(layers.path):
        assert Path(deep, "end").read_bytes() == b"end"
    assert stat.S_IMODE(layers.path.stat().st_mode) == 0o711


def test_a_range_keeps_owners(layers: Layers) -> None:
    from sandbox import Sandbox

    blob = tar(file("a", b"x", uid=1000, gid=33, mode=0o4711), directory("d", uid=7, gid=8), file("b", uid=65536))
    with pytest.raises(RequestError, match="b: uid 65536 is above 65535"):
        layers.unpack(blob, ids="range")
    assert not list(layers.path.iterdir())
    layers.unpack(tar(file("a", b"x", uid=1000, gid=33, mode=0o4711), directory("d", uid=7, gid=8)), ids="range")
    from sandbox.request import Mount

    with Sandbox(ids="range", user=0, volumes=[Mount(source=str(layers.path), target="/mnt")]) as box:
        said = box.run(["/bin/stat", "-c", "%n %u %g %a", "/mnt/a", "/mnt/d"]).stdout.decode()
    assert said == "/mnt/a 1000 33 4711\n/mnt/d 7 8 755\n"


def test_pax_details(layers: Layers) -> None:
    """A global header, a size that only pax can say, a record that takes another back, links by pax."""
    blob = (
        pax({"comment": "by git"}, b"g") + pax({"path": "p" * 300, "size": "3", "mtime": "1.5", "uid": "70000000000"})
        + header(b"short", 0) + padded(b"abc") + pax({"linkpath": "p" * 100 + "/" + "q" * 100})
        + header(b"link", 0, b"2") + header(b"olddir/", 0, b"\0") + header(b"v", 0, b"V") + bytes(1024)
    )  # fmt: skip
    with pytest.raises(RequestError, match="255"):
        layers.unpack(blob)  # one component of 300 bytes
    blob = blob.replace(b"p" * 300, b"p" * 149 + b"/" + b"p" * 150)
    layers.unpack(blob)
    assert (layers.path / ("p" * 149) / ("p" * 150)).read_bytes() == b"abc"
    assert os.readlink(layers.path / "link") == "p" * 100 + "/" + "q" * 100
    assert (layers.path / "olddir").is_dir()


def test_a_tar_without_an_end(layers: Layers) -> None:
    """GNU tar and Go take one; and what comes after the end is part of the digest."""
    layers.unpack(header(b"a", 3) + padded(b"abc"))
    assert (layers.path / "a").read_bytes() == b"abc"
    more = header(b"a") + bytes(1024) + b"something else" * 100_000
    assert layers.unpack(more).diff_id == digest(more)


def test_an_empty_layer(layers: Layers) -> None:
    assert layers.unpack(bytes(1024)).files == 0


def test_into_must_be_empty(layers: Layers, tmp_path: Path) -> None:
    from sandbox.images.unpack import unpack_layer

    (tmp_path / "there").touch()
    with pytest.raises(RequestError, match="empty directory"):
        unpack_layer(os.open(__file__, os.O_RDONLY), into=str(tmp_path))
    assert (tmp_path / "there").exists()
