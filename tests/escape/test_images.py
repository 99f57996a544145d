"""Hostile images: while they are unpacked, and while they are run.

A layer that is refused leaves nothing, and neither writes, reads nor links anything outside of its directory
(CVE-2024-24557, CVE-2021-41190, CVE-2019-14271, CVE-2018-15664, CVE-2014-9357 of other tools).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox, SetupError
from sandbox.errors import RequestError
from sandbox.images import unpack as unpacking
from sandbox.images.helper import remove_tree
from sandbox.request import LayeredRoot
from tests.tar_helper import Layers, digest, directory, file, hardlink, header, padded, pax, symlink, tar

SECRET = b"a secret of the host"


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    """With a victim beside the directory of the layer, which must be as it was."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_bytes(SECRET)
    (victim / "secret").chmod(0o600)
    before = [(p.name, p.stat().st_nlink, p.stat().st_mode, p.read_bytes()) for p in victim.iterdir()]
    yield Layers(tmp_path)
    assert [(p.name, p.stat().st_nlink, p.stat().st_mode, p.read_bytes()) for p in victim.iterdir()] == before
    for path in tmp_path.glob("layer-*"):
        if os.listdir(path):
            remove_tree(str(path))


def refused(layers: Layers, blob: bytes, why: str, **options: object) -> None:
    """For the given reason, with nothing left."""
    with pytest.raises(RequestError, match=why) as caught:
        layers.unpack(blob, **options)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert os.listdir(layers.path) == []


GOOD = (directory("etc"), file("etc/motd", b"x" * 9000))

PATHS = {
    "up": ((file("../victim/secret", b"x"),), r'"\.\."'),
    "up in the middle": ((file("etc/../../victim/x"),), r'"\.\."'),
    "absolute and up": ((file("/../../victim/x"),), r'"\.\."'),
    "a directory": ((directory(".."),), r'"\.\."'),
    "symlink, then through it": ((symlink("d", "../victim"), file("d/x", b"x")), "d: something .* it is a symlink"),
    "absolute symlink": ((symlink("d", "/etc"), file("d/cron.d/x", b"x")), "it is a symlink"),
    "symlink deep below": ((symlink("a/b/c", "../../../victim"), file("a/b/c/d/e")), "it is a symlink"),
    "symlink in place of a directory": (
        (directory("d"), file("d/x"), symlink("d", "../victim"), file("d/secret", b"x")), "it is a symlink"),
    "directory in place of a file": ((file("d"), file("d/x")), "no directory"),
    "whiteout through a symlink": ((symlink("d", "../victim"), file("d/.wh.secret")), "it is a symlink"),
    "opaque through a symlink": ((symlink("d", "../victim"), file("d/.wh..wh..opq")), "it is a symlink"),
    "link out": ((hardlink("x", "../victim/secret"),), r'link target with "\.\."'),
    "link to an absolute name": ((hardlink("x", "/etc/passwd"),), "not in this layer"),
    "link through a symlink": ((symlink("d", "../victim"), hardlink("x", "d/secret")), "not in this layer"),
    "link to what is missing": ((hardlink("x", "nothing"),), "not in this layer"),
    "link to a whiteout": ((file(".wh.x"), hardlink("y", "x")), "not in this layer"),
    "link to a directory": ((directory("d"), hardlink("x", "d")), "hard link to a directory"),
    "link to itself": ((file("x"), hardlink("x", "x")), "itself"),
    "link over its own directory": ((file("d/x"), hardlink("d", "d/x")), "the directory that its target is in"),
    "whiteout of ..": ((file(".wh..."),), "no name that could be"),
    "whiteout of .": ((file("etc/.wh.."),), "no name that could be"),
    "whiteout of nothing": ((file(".wh."),), "no name that could be"),
    "whiteout of a whiteout": ((file(".wh..wh.x"),), "no name that could be"),
    "metadata of aufs": ((file(".wh..wh.plnk/1.2"),), "reserved for whiteouts"),
    "below a whiteout": ((file(".wh.d/x"),), "reserved for whiteouts"),
    "a file for the root": ((file(".", b"x"),), "without a name"),
    "a symlink to nothing": ((symlink("x", ""),), "symlink to a target of 0 bytes"),
    "a symlink to much": ((symlink("x", "y" * 5000),), "symlink to a target of 5000 bytes"),
    "a long name": ((file("x" * 256),), "255"),
    "a long path": ((file("x/" * 2048 + "y"),), "4095"),
    "a name with colours": ((file("\x1b[31m\n/../x"),), r'"\.\."'),
    "an attribute that cannot be": ((file("x", pax_headers={"SCHILY.xattr.user." + "n" * 300: "v"}),), "user.nnn"),
}  # fmt: skip


@pytest.mark.parametrize("case", PATHS)
def test_paths(layers: Layers, case: str) -> None:
    entries, why = PATHS[case]
    refused(layers, tar(*GOOD, *entries), why)


NOT_TAR = {
    "noise": (random.Random(1).randbytes(5000), "checksum"),
    "text": (b"#!/bin/sh\nrm -rf /\n" * 100, "checksum"),
    "less than a block": (b"x" * 100, "in the middle of a header"),
    "cut in a header": (tar(*GOOD)[:700], "in the middle of a header"),
    "cut in a file": (tar(*GOOD)[:4000], "in the middle of a member"),
    "a flipped bit": (bytes([tar(*GOOD)[0] ^ 1]) + tar(*GOOD)[1:], "checksum"),
    "an unknown type": (header(b"x", 0, b"Z"), "unknown type"),
    "a multi-volume part": (header(b"x", 0, b"M"), "unknown type"),
    "a size that is no number": (header(b"x", at_124=b"12345678z00\0"), "no number"),
    "a directory with data": (header(b"x/", 512) + b"y" * 512, "directory with data"),
    "a negative size": (header(b"x", at_124=b"\xff" * 12), "negative size"),
    "a size beyond all": (header(b"x", at_124=b"\x80" + b"\x7f" * 11), "too large"),
    "a pax header of a terabyte": (header(b"x", 0, b"x", at_124=b"\x80\0\0\0\0\0\x01\0\0\0\0\0"), "more than 1048576"),
    "a long name of a gigabyte": (header(b"x", 1 << 30, b"L"), "more than 1048576"),
    "a pax record without an end": (pax(b"99 path=x\n") + header(b"x"), "not made of records"),
    "a pax record without a length": (pax(b"path=x\n") + header(b"x"), "not made of records"),
    "a pax record that is too short": (pax(b"1 path=x\n") + header(b"x"), "not made of records"),
    "a pax path with a NUL": (pax({"path": "a\0b"}) + header(b"x"), "NUL"),
    "a pax size that is no number": (pax({"size": "-1"}) + header(b"x"), "not a number"),
    "a pax time that is none": (pax({"mtime": "1e9"}) + header(b"x"), "no number"),
    "only a pax header": (pax({"path": "x"}), "in the middle of a header"),
    "sparse: more than there is": (
        pax({"GNU.sparse.map": "0,99", "GNU.sparse.size": "2000"}) + header(b"x", 10) + padded(b"y" * 10), "99 bytes"),
    "sparse: beyond the end": (
        pax({"GNU.sparse.map": "1995,10", "GNU.sparse.size": "2000"}) + header(b"x", 10) + padded(b"y" * 10), "beyond"),
    "sparse: overlapping": (
        pax({"GNU.sparse.map": "5,5,0,5", "GNU.sparse.size": "20"}) + header(b"x", 10) + padded(b"y" * 10), "overlaps"),
    "sparse: half a map": (
        pax({"GNU.sparse.map": "5", "GNU.sparse.size": "20"}) + header(b"x", 10) + padded(b"y" * 10), "1 numbers"),
    "sparse: 1.0 without a map": (
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}) + header(b"x", 512)
        + b"9" * 512, "without an end|not a number"),
    "sparse: 1.0 of many pieces": (
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}) + header(b"x", 512)
        + padded(b"99999999999\n"), "pieces"),
    "sparse: a version to come": (pax({"GNU.sparse.major": "2", "GNU.sparse.minor": "0"}) + header(b"x"), "not known"),
    "sparse: old, in another format": (header(b"x", 0, b"S"), "not GNU"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_TAR)
def test_what_is_no_archive(layers: Layers, case: str) -> None:
    blob, why = NOT_TAR[case]
    refused(layers, header(b"etc/motd", 9000) + padded(b"x" * 9000) + blob, why)  # when there is something already


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_streams_that_are_damaged(layers: Layers, compress: Callable[[bytes], bytes]) -> None:
    blob = compress(tar(file("x", random.Random(1).randbytes(200_000))))
    refused(layers, blob[:-20], "cut off|damaged")
    broken = bytearray(blob)
    broken[len(blob) // 2] ^= 0xFF
    refused(layers, bytes(broken), "damaged|cut off")


def test_zstd_that_wants_gigabytes(layers: Layers) -> None:
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    command = ["zstd", "--ultra", "-22", "--long=31", "-c"]
    blob = subprocess.run(command, input=tar(*GOOD), capture_output=True, check=True).stdout
    refused(layers, blob[:20] + b"x" * 50, "damaged")


def test_forged_digests(layers: Layers) -> None:
    blob = tar(*GOOD)
    other = digest(b"something else")
    refused(layers, blob, "not what the image names", diff_id=other)
    refused(layers, blob, "damaged or a forged", digest=other)
    closed = tar(*GOOD, ("./", {"type": tarfile.DIRTYPE, "mode": 0}))
    with pytest.raises(RequestError, match="not what the image names"):
        layers.unpack(closed, diff_id=other)
    layers.path.chmod(0o700)
    assert os.listdir(layers.path) == []
    packed = gzip.compress(blob)
    refused(layers, packed, "not what the image names", diff_id=digest(packed), digest=digest(packed))
    assert layers.unpack(packed, diff_id=digest(blob), digest=digest(packed)).files == 2


def test_bombs(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = io.BytesIO()
    with tarfile.open(fileobj=zeros, mode="w:gz") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 40 << 20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    blob = zeros.getvalue()
    assert len(blob) < 100_000
    refused(layers, blob, "(expands|unpacks) to more than 8388608 bytes", limit_bytes=8 << 20)
    behind = gzip.compress(tar(*GOOD) + bytes(40 << 20))  # after the end of the archive, where nobody unpacks it
    refused(layers, behind, "expands to more than 8388608 bytes", limit_bytes=8 << 20)
    monkeypatch.setattr(unpacking, "RATIO_FLOOR_BYTES", 1 << 20)
    refused(layers, blob, f"expands to more than {unpacking.RATIO * len(blob)} bytes")


def test_a_file_that_only_claims_to_be_large(layers: Layers) -> None:
    """A few bytes in the archive, a petabyte by its map; and 100 links that cost nothing."""
    blob = pax({"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)}) + header(b"x")
    refused(layers, blob, "unpacks to more than")


def test_as_many_files_as_allowed(layers: Layers) -> None:
    blob = tar(*(file(f"d/{number}") for number in range(1001)))
    refused(layers, blob, "more than 1000 files", limit_files=1000)
    refused(layers, tar(file("x/" * 2000 + "y")), "more than 1000 files", limit_files=1000)
    refused(layers, tar(*(file(f".wh.{number}") for number in range(1001))), "more than 1000", limit_files=1000)
    assert layers.unpack(blob, limit_files=1002).files == 1002


def test_devices_are_not_made(layers: Layers) -> None:
    """As root of the host they would be the disk."""
    disk = {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0, "mode": 0o666}
    memory = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 1, "mode": 0o666}
    done = layers.unpack(tar(("sda", disk), ("mem", memory), ("hidden", {**memory, "devmajor": 0, "devminor": 0})))
    assert os.listdir(layers.path) == [] and len(done.notes) == 3


def test_setuid_files_are_the_users_own(layers: Layers) -> None:
    """They stay what they are, owned by who unpacked them, below a directory that is closed to others."""
    layers.unpack(tar(file("su", b"#!", mode=0o6755, uid=0, gid=0)))
    found = (layers.path / "su").stat()
    assert found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o6755


def test_attributes_of_overlayfs_are_not_taken_over(layers: Layers) -> None:
    """They would make overlayfs show another directory of a lower layer here, or hide what it has."""
    records = {f"SCHILY.xattr.{name}": "/etc" for name in (
        "user.overlay.redirect", "trusted.overlay.redirect", "user.overlay.metacopy", "user.fuseoverlayfs.opaque",
        "user.containers.override_stat", "security.capability", "security.selinux")}  # fmt: skip
    done = layers.unpack(tar(directory("d", pax_headers=records), file("f", b"", pax_headers=records)))
    assert os.listxattr(layers.path / "d") == os.listxattr(layers.path / "f") == []
    assert len(done.notes) == 14


def test_deep_trees_go_when_they_are_refused(layers: Layers) -> None:
    deep = "d/" * 2000
    refused(layers, tar(file(deep + "x"), directory(deep, 0), symlink("e", ".."), file("e/x")), "it is a symlink")


# ---- while they are run ----

LINKED = ("proc", "dev", "sys", "etc", "tmp", "dev/null", "dev/shm", "etc/hosts", "etc/hostname", "etc/resolv.conf",
          "work", "data")  # fmt: skip
NO_RUN = ("proc", "dev", "etc", "data")
ATTACK = """
for place in /proc /dev /sys /etc /tmp /dev/shm /work /data; do
    /bin/busybox cat $place/secret 2>/dev/null
    echo attacked 2>/dev/null >$place/secret
    echo attacked 2>/dev/null >$place/new
done
for file in /etc/hosts /etc/hostname /etc/resolv.conf /dev/null /dev/shm; do
    /bin/busybox cat $file 2>/dev/null
    echo attacked 2>/dev/null >$file
done
exit 0
"""


@pytest.fixture
def image(layers: Layers) -> Callable[..., Path]:
    """``image(entries…)``: an unpacked layer with a shell and those."""
    shell = Path("/bin/busybox").read_bytes()

    def make(*entries: tuple[str, dict[str, object]]) -> Path:
        layers.unpack(tar(directory("bin"), file("bin/busybox", shell, mode=0o755), *entries))
        return layers.path

    return make


@pytest.mark.parametrize(
    ("place", "how"), [*((place, "absolute") for place in LINKED), *((place, "up") for place in LINKED[::4])]
)
def test_links_where_the_launch_mounts(image: Callable[..., Path], tmp_path: Path, place: str, how: str) -> None:
    """Whatever follows the link ends in the sandbox, or there is no run: the host's file is untouched and unread."""
    victim = tmp_path / "victim"
    target = str(victim) if how == "absolute" else "../" * 12 + str(victim)[1:]
    parents = (directory(place.split("/")[0]),) if "/" in place else ()
    layer = image(*parents, symlink(place, target))
    (tmp_path / "changes/upper").mkdir(parents=True)
    (tmp_path / "changes/work").mkdir()
    files = dict.fromkeys(("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"), b"ours\n")
    root = LayeredRoot(layers=(str(layer),), upper=str(tmp_path / "changes"), files=files)
    before = sorted(p.relative_to(layer) for p in layer.rglob("*"))
    try:
        with Sandbox(rootfs=root, user=0, wall=20, tmpfs=["/data"]) as box:
            if place in NO_RUN:  # where the link leads there is nothing in the root
                with pytest.raises(SetupError, match=f" (on|at) /{place}(/hosts)? "):
                    box.run(["/bin/busybox", "sh", "-c", ATTACK])
            else:
                result = box.run(["/bin/busybox", "sh", "-c", ATTACK])
                assert result.ok and result.stdout == b"ours\n" * 3 and SECRET not in result.stderr, result
    finally:
        remove_tree(str(tmp_path / "changes"))
    assert (victim / "secret").read_bytes() == SECRET and os.listdir(victim) == ["secret"]
    assert sorted(p.relative_to(layer) for p in layer.rglob("*")) == before  # a layer never changes


def test_files_where_directories_belong(image: Callable[..., Path], tmp_path: Path) -> None:
    """No hang, no crash of ours: an error that says what is wrong."""
    for place in ("etc", "dev", "proc"):
        layer = image(file(place, b"a file"))
        root = LayeredRoot(layers=(str(layer),), read_only=True, files={"/etc/hosts": b"ours\n"})
        with Sandbox(rootfs=root, user=0, wall=20) as box:
            with pytest.raises(SetupError, match=f" (on|at) /{place}(/hosts)? .*: Not a directory"):
                box.run(["/bin/busybox", "true"])


PASSWD = {
    "a gigabyte": None,
    "a link to the host's": (directory("etc"), symlink("etc/passwd", "../" * 12 + "etc/passwd")),
    "an absolute link": (directory("etc"), symlink("etc/passwd", "/proc/self/environ")),
    "a link to itself": (directory("etc"), symlink("etc/passwd", "passwd")),
    "a FIFO": (directory("etc"), ("etc/passwd", {"type": tarfile.FIFOTYPE, "mode": 0o666})),
    "a directory": (directory("etc/passwd"),),
    "etc a link": (symlink("etc", "../" * 12 + "etc"),),
    "etc a file": (file("etc", b"root:x:0:0::/:/bin/sh"),),
}  # fmt: skip


@pytest.mark.parametrize("case", PASSWD)
def test_users_of_a_hostile_image(
    case: str, tmp_path: Path, pysandbox: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Nobody waits for it, nobody reads the host's: the name of this test's own user is not found in it."""
    env = {"PYSANDBOX_DATA": str(tmp_path / "data")}
    user = Path("/proc/self").owner()
    entries = PASSWD[case]
    shell = (directory("bin"), file("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755))
    if entries is None:
        records = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 30)}
        blob = pax(records) + header(b"etc/passwd", 0) + tar(*shell)
    else:
        blob = tar(*shell, *entries)
    (tmp_path / "image.tar").write_bytes(blob)
    done = pysandbox("image", "import", tmp_path / "image.tar", "hostile", env=env)
    assert done.returncode == 0, done.stderr
    for who in (user, "4711"):
        command = ["run", "--image", "hostile", "--rm", "--wall", "20s", "-u", who, "--", "/bin/busybox", "true"]
        done = pysandbox(*command, env=env)
        assert done.returncode == 125 and "(got '/etc" in done.stderr, (who, done.stderr)
        assert "fault of pysandbox" not in done.stderr and len(done.stderr.splitlines()) <= 2, done.stderr
    assert os.listdir(tmp_path / "data/containers/.live") == []


def test_a_passwd_of_a_gigabyte(layers: Layers) -> None:
    """Of holes, in an archive of 2 KB: it takes no place on the disk, and nobody reads it all."""
    records = {"GNU.sparse.map": "0,6", "GNU.sparse.size": str(1 << 30)}
    blob = pax(records) + header(b"etc/passwd", 6) + padded(b"root:x")
    done = layers.unpack(blob)
    found = (layers.path / "etc/passwd").stat()
    assert done.bytes == found.st_size == 1 << 30 and found.st_blocks < 100
