"""What a container changed becomes a layer, reproducibly, and reads back as the same tree."""

from __future__ import annotations

import gzip
import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.errors import RequestError
from sandbox.images.helper import remove_tree
from sandbox.images.pack import Packed, pack_upper
from sandbox.request import LayeredRoot
from tests.tar_helper import Layers, digest


def fill(path: Path, times: float = 1000.0) -> Path:
    """An upper directory, as the kernel might leave one."""
    path.mkdir()
    (path / "etc/empty").mkdir(parents=True)
    (path / "etc/motd").write_text("hello\n")
    os.link(path / "etc/motd", path / "zlink")
    (path / "etc/link").symlink_to("/" + "t" * 150)
    (path / ("n" * 60) / ("m" * 60)).mkdir(parents=True)
    os.mkfifo(path / "pipe")
    (path / "su").write_bytes(b"#!")
    (path / "su").chmod(0o4755)
    (path / "shadow").write_text("secret")
    (path / "shadow").chmod(0)
    os.setxattr(path / "su", "user.note", b"a\n=b")
    os.setxattr(path / "etc", "user.overlay.opaque", b"y")
    os.setxattr(path / "su", "user.overlay.origin", os.urandom(8))
    os.mknod(path / "gone", stat.S_IFCHR, 0)
    (path / "mnt/point").mkdir(parents=True)
    with open(path / "sparse", "wb") as out:
        out.truncate(3 << 20)
    for found in sorted(path.rglob("*"), reverse=True):
        os.utime(found, (os.urandom(1)[0], times), follow_symlinks=False)
    return path


def pack(upper: Path, **options: Any) -> tuple[Packed, bytes]:
    out = upper.parent / f"{upper.name}.tar"
    fd = os.open(out, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        packed = pack_upper(str(upper), fd, **options)
    finally:
        os.close(fd)
    return packed, out.read_bytes()


@pytest.fixture
def upper(tmp_path: Path) -> Iterator[Path]:
    yield fill(tmp_path / "upper")
    remove_tree(str(tmp_path / "upper"))


def test_the_same_content_is_the_same_bytes(upper: Path, tmp_path: Path) -> None:
    """In another directory, made in another order, with other access times and inode numbers."""
    (tmp_path / "shift").touch()
    other = fill(tmp_path / "other")
    (first, one), (second, two) = pack(upper), pack(other)
    assert one == two and first == second
    assert first.diff_id == first.digest == digest(one) and first.size == len(one)
    (other / "etc/motd").write_text("hello!")
    assert pack(other)[0].diff_id != first.diff_id
    remove_tree(str(other))


def test_members(upper: Path) -> None:
    packed, blob = pack(upper, leave_out=["/mnt/point"])
    with tarfile.open(upper.parent / "upper.tar") as archive:
        found = {member.name: member for member in archive}
    assert list(found) == [
        "etc", "etc/.wh..wh..opq", "etc/empty", "etc/link", "etc/motd", ".wh.gone", "n" * 60,
        "n" * 60 + "/" + "m" * 60, "pipe", "shadow", "sparse", "su", "zlink",
    ]  # fmt: skip
    assert packed.files == len(found) and not packed.notes
    assert {(m.uid, m.gid, m.uname, m.gname) for m in found.values()} == {(0, 0, "", "")}
    assert found["zlink"].islnk() and found["zlink"].linkname == "etc/motd"
    assert found["etc/link"].linkname == "/" + "t" * 150
    assert found["su"].mode == 0o4755 and found["shadow"].mode == 0 and found["pipe"].isfifo()
    assert found["su"].pax_headers == {"SCHILY.xattr.user.note": "a\n=b"}
    assert found["etc/motd"].mtime == 1000 and found["sparse"].size == 3 << 20
    assert found[".wh.gone"].size == 0 and found[".wh.gone"].isreg()


def test_a_layer_reads_back(upper: Path, tmp_path: Path) -> None:
    """Packed, unpacked and packed again: nothing is lost on the way, whiteouts neither."""
    packed, blob = pack(upper)
    layers = Layers(tmp_path)
    assert layers.unpack(blob).diff_id == packed.diff_id
    assert layers.is_whiteout("gone") and layers.is_opaque("etc")
    assert pack(layers.path)[1] == blob
    remove_tree(str(layers.path))


def test_gzip(upper: Path) -> None:
    plain, content = pack(upper)
    packed, blob = pack(upper, compress="gzip")
    assert gzip.decompress(blob) == content and packed.digest == digest(blob) and packed.size == len(blob)
    assert packed.diff_id == plain.diff_id and packed.media_type.endswith("+gzip")
    assert blob[4:8] == bytes(4)  # no time
    with pytest.raises(RequestError, match="compress"):
        pack(upper, compress="lzma")


def test_times_can_be_clamped(upper: Path, tmp_path: Path) -> None:
    later = fill(tmp_path / "later", 2000.0)
    assert pack(later)[1] != pack(upper)[1]
    assert pack(later, timestamp=1000)[1] == pack(upper, timestamp=1000)[1]
    remove_tree(str(later))


def test_mount_points_of_ours_are_left_out_while_empty(upper: Path) -> None:
    (upper / "mnt/file").touch()
    _, blob = pack(upper, leave_out=["/mnt/point", "/mnt/file", "/etc/motd", "/not/there"])
    assert b"mnt" not in blob and b"etc/motd" in blob
    (upper / "mnt").chmod(0o700)  # that was not us
    assert b"mnt/\0" in pack(upper, leave_out=["/mnt/point", "/mnt/file"])[1]
    (upper / "mnt/point/x").touch()
    assert b"mnt/point/x" in pack(upper, leave_out=["/mnt/point"])[1]


def test_what_no_layer_can_hold(upper: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    os.chdir(upper)
    listening.bind("sock")
    os.setxattr(upper / "su", "user.a=b", b"x")
    packed, blob = pack(upper)
    listening.close()
    assert [note for note in packed.notes if "sock: a socket" in note] and b"sock" not in blob
    assert [note for note in packed.notes if "user.a=b" in note]
    (upper / "etc/.wh.mine").touch()
    with pytest.raises(RequestError, match=r"etc/\.wh\.mine: layers keep names that begin with \.wh\."):
        pack(upper)
    (upper / "etc/.wh.mine").unlink()
    os.setxattr(upper / "etc", "user.overlay.redirect", b"/elsewhere")
    with pytest.raises(RequestError, match="redirect"):
        pack(upper)
    os.removexattr(upper / "etc", "user.overlay.redirect")
    with pytest.raises(RequestError, match="more than 1000 bytes"):
        pack(upper, limit_bytes=1000)


def test_big_numbers(tmp_path: Path) -> None:
    """9 GiB of holes are refused before they are read; a time before 1970 and a far one are kept."""
    (tmp_path / "u").mkdir()
    with open(tmp_path / "u/big", "wb") as out:
        out.truncate(9 << 30)
    with pytest.raises(RequestError, match="big: with it"):
        pack(tmp_path / "u", limit_bytes=8 << 30)
    (tmp_path / "u/big").unlink()
    for name, seconds in (("old", -100), ("far", 1 << 33)):
        (tmp_path / "u" / name).touch()
        os.utime(tmp_path / "u" / name, (0, seconds))
    pack(tmp_path / "u")
    with tarfile.open(tmp_path / "u.tar") as archive:
        assert {m.name: m.mtime for m in archive} == {"old": -100, "far": 1 << 33}


def changes(tmp_path: Path, base: Path, script: str, **options: Any) -> Path:
    """What a container leaves in its upper directory."""
    for name in ("upper", "work"):
        (tmp_path / "changes" / name).mkdir(parents=True)
    root = LayeredRoot(layers=(str(base),), upper=str(tmp_path / "changes"))
    with Sandbox(rootfs=root, user=0, **options) as box:
        result = box.run(["/bin/busybox", "sh", "-c", script])
    assert result.ok, result.stderr
    return tmp_path / "changes/upper"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    (path / "bin").mkdir(parents=True)
    (path / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (path / "bin/busybox").chmod(0o755)
    (path / "old/deep").mkdir(parents=True)
    (path / "old/deep/file").write_text("lower")
    (path / "file").write_text("lower")
    return path


SCRIPT = "cd /; B=/bin/busybox; $B rm file; $B rm -r old; $B mkdir old; echo new >old/new; echo x >/bin/added"


@pytest.mark.v2
def test_what_the_kernel_leaves(base: Path, tmp_path: Path) -> None:
    """Removal and replacement of a directory in a container; our layer shows the same over the same base."""
    upper = changes(tmp_path, base, SCRIPT)
    packed, blob = pack(upper, leave_out=("/dev", "/proc"))
    with tarfile.open(upper.parent / "upper.tar") as archive:
        names = archive.getnames()
    assert names == ["bin", "bin/added", ".wh.file", "old", "old/.wh..wh..opq", "old/new"]
    layers = Layers(tmp_path)
    layers.unpack(blob, diff_id=packed.diff_id)
    root = LayeredRoot(layers=(str(layers.path), str(base)), read_only=True)
    with Sandbox(rootfs=root, user=0) as box:
        said = box.run(["/bin/busybox", "sh", "-c", "cd /; /bin/busybox find old bin/added file"]).stdout.decode()
    assert said.split() == ["old", "old/new", "bin/added"]
    remove_tree(str(tmp_path / "changes"))


def test_a_range_keeps_owners(base: Path, tmp_path: Path) -> None:
    script = "B=/bin/busybox; echo a >/a; $B chown 1000:33 /a; $B chmod 4711 /a; $B mkdir /d; $B chown 7:8 /d"
    (tmp_path / "changes").mkdir()
    upper = changes(tmp_path / "changes", base, script, ids="range", policy="ci")
    pack(upper, ids="range", leave_out=("/dev", "/proc"))
    with tarfile.open(upper.parent / "upper.tar") as archive:
        found = {m.name: (m.uid, m.gid, m.mode) for m in archive}
    assert found == {"a": (1000, 33, 0o4711), "d": (7, 8, 0o755)}
    remove_tree(str(tmp_path / "changes"), ids="range")


def test_marks_of_fuse_overlayfs(tmp_path: Path) -> None:
    """Whiteouts as devices and as files, three ways to say opaque, and directories that were made to mount upon."""
    upper = tmp_path / "upper"
    for name in ("attribute", "device", "file", "mnt/point/deep", "kept"):
        (upper / name).mkdir(parents=True)
    os.setxattr(upper / "attribute", "user.fuseoverlayfs.opaque", b"y")
    os.setxattr(upper / "kept", "user.overlay.opaque", b"y")  # a program may have set this one
    for name in (".wh.gone", "file/.wh..wh..opq", "device/.wh..wh..opq", "kept/.wh..opq", "mnt/.wh..wh..opq"):
        (upper / name).touch()
    for name in ("device/.wh..opq", "also", "mnt/point/.wh..opq", "mnt/point/deep/.wh..opq"):
        os.mknod(upper / name, stat.S_IFCHR, 0)
    packed, tar = pack(upper, fuse=True, leave_out=["/mnt/point/deep"])
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        names = archive.getnames()
    assert names == [".wh.also", "attribute", "attribute/.wh..wh..opq", "device", "device/.wh..wh..opq", "file",
                     "file/.wh..wh..opq", ".wh.gone", "kept", "kept/.wh..opq"]  # fmt: skip
    assert packed.files == len(names)
    (upper / "kept/.wh.content").write_text("a file of this name is no mark")
    with pytest.raises(RequestError, match=r"kept/\.wh\.content"):
        pack(upper, fuse=True)
