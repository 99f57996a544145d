"""Roots made of layers: copy-on-write, where changes go, what is ours over them, an overlay below the root, devices."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from pathlib import Path

import pytest

import sandbox
from sandbox.errors import RequestError, SandboxError
from sandbox.request import LayeredRoot, Mount, Overlay

BUSYBOX = shutil.which("busybox") or "/bin/busybox"
APPLETS = ("sh", "cat", "ls", "rm", "mv", "mkdir", "mknod", "touch", "stat", "grep", "echo", "dd", "id", "true")
# tmpfs has user.* attributes since 6.6; before it overlayfs cannot remove what lies in a lower layer (EIO)
MEMORY = tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= (6, 6)


def layer(path: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    return str(path)


@pytest.fixture
def base(tmp_path: Path) -> str:
    """A bottom layer with a shell."""
    path = tmp_path / "base"
    (path / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, path / "bin" / "busybox")
    for name in APPLETS:
        os.symlink("busybox", path / "bin" / name)
    files = {"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "lower/file": "lower\n", "lower/deep/file": "deep\n"}
    return layer(path, files)


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    for name in ("upper", "work"):
        (tmp_path / "changes" / name).mkdir(parents=True)
    return tmp_path / "changes"


def sh(root: LayeredRoot, script: str, **options: object) -> sandbox.Result:
    return sandbox.run(["/bin/sh", "-c", script], **{"rootfs": root, "user": 0, **options})  # type: ignore[arg-type]


def said(root: LayeredRoot, script: str, **options: object) -> str:
    result = sh(root, script, **options)
    assert result.ok, (result.stdout, result.stderr)
    return result.stdout.decode()


def tree(path: str) -> dict[str, tuple[int, bytes]]:
    found = {}
    for folder, _folders, files in os.walk(path):
        for name in files:
            file = Path(folder) / name
            found[str(file)] = (file.lstat().st_mode, b"" if file.is_symlink() else file.read_bytes())
    return found


def test_the_topmost_layer_is_seen(base: str, tmp_path: Path) -> None:
    top = layer(tmp_path / "top", {"lower/file": "top\n", "new": "new\n"})
    assert said(LayeredRoot(layers=(top, base)), "cat /lower/file /new /lower/deep/file; pwd") == "top\nnew\ndeep\n/\n"


def test_changes_go_to_the_upper_and_nowhere_else(base: str, upper: Path) -> None:
    before = tree(base)
    root = LayeredRoot(layers=(base,), upper=str(upper))
    said(root, "echo changed > /lower/file; rm -r /lower/deep; mv /etc/passwd /etc/was; mkdir /made; echo x > /tmp.txt")
    assert tree(base) == before
    gone = os.lstat(upper / "upper/lower/deep")
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert (upper / "upper/lower/file").read_text() == "changed\n" and (upper / "upper/etc/was").is_file()


def test_an_upper_is_taken_up_again(base: str, upper: Path, tmp_path: Path) -> None:
    said(LayeredRoot(layers=(base,), upper=str(upper)), "echo changed > /lower/file; rm -r /lower/deep")
    (tmp_path / "second" / "work").mkdir(parents=True)
    os.rename(upper / "upper", tmp_path / "second" / "upper")
    again = LayeredRoot(layers=(base,), upper=str(tmp_path / "second"))
    assert said(again, "cat /lower/file; ls /lower") == "changed\nfile\n"


def test_two_of_one_image_do_not_see_each_other(base: str, tmp_path: Path) -> None:
    roots = []
    for name in "ab":
        (tmp_path / name / "upper").mkdir(parents=True)
        (tmp_path / name / "work").mkdir()
        roots.append(LayeredRoot(layers=(base,), upper=str(tmp_path / name)))
    said(roots[0], "echo mine > /lower/file")
    assert said(roots[1], "cat /lower/file") == "lower\n"
    assert said(roots[0].replace(upper=None), "cat /lower/file") == "lower\n"


@pytest.mark.skipif(not MEMORY, reason="tmpfs has no user attributes before Linux 6.6")
def test_changes_in_memory_go_with_the_run_and_are_capped(base: str) -> None:
    root = LayeredRoot(layers=(base,))
    assert said(root, "rm -r /lower/deep; ls /lower; echo x > /new; cat /new") == "file\nx\n"
    assert said(root, "ls -d /lower/deep; ls -d /new 2>/dev/null || echo none") == "/lower/deep\nnone\n"
    result = sh(root, "dd if=/dev/zero of=/big bs=64k count=1000", disk="1M")
    assert not result.ok and b"No space left" in result.stderr


def test_a_root_can_be_read_only(base: str, upper: Path) -> None:
    root = LayeredRoot(layers=(base,), upper=str(upper), read_only=True)
    result = sh(root, "echo x > /new", landlock="off")
    assert not result.ok and b"Read-only" in result.stderr
    assert said(root.replace(upper=str(fresh(upper))), "echo x > /dev/shm/new; cat /dev/shm/new") == "x\n"


def test_a_directory_can_be_the_root_itself(base: str) -> None:
    for name in ("proc", "dev", "sys"):
        os.mkdir(f"{base}/{name}")
    said(LayeredRoot(layers=(base,), direct=True), "echo x > /new; rm /lower/file")
    assert Path(base, "new").read_text() == "x\n" and not Path(base, "lower/file").exists()
    result = sh(LayeredRoot(layers=(base,), direct=True, read_only=True), "echo x > /other")
    assert not result.ok and not Path(base, "other").exists()


def test_files_of_ours_lie_over_it_and_not_in_it(base: str, upper: Path) -> None:
    os.symlink("../run/nowhere/resolv.conf", f"{base}/etc/resolv.conf")
    files = {"/etc/hosts": b"127.0.0.1 box\n",
             "/etc/resolv.conf": b"nameserver 10.0.0.1\n", "/etc/passwd": b"root:x:0:0:::\n"}  # fmt: skip
    root = LayeredRoot(layers=(base,), upper=str(upper), files=files)
    assert said(root, "cat /etc/hosts /etc/resolv.conf /etc/passwd") == b"".join(files.values()).decode()
    said(root.replace(upper=None) if MEMORY else root.replace(upper=str(fresh(upper))), "echo more >> /etc/hosts")
    assert all(not content for _mode, content in tree(str(upper / "upper")).values())


def fresh(upper: Path) -> Path:
    for name in ("upper", "work"):
        (upper.parent / "other" / name).mkdir(parents=True)
    return upper.parent / "other"


def test_the_work_directory_is_made(base: str, upper: Path) -> None:
    assert said(LayeredRoot(layers=(base,), upper=str(upper)), "pwd; ls -a", workdir="/srv/app") == "/srv/app\n.\n..\n"


def test_many_layers(base: str, tmp_path: Path) -> None:
    layers = tuple(layer(tmp_path / f"l{n}", {f"n{n}": f"{n}\n", "all": f"{n}\n"}) for n in range(99))
    assert said(LayeredRoot(layers=(*layers, base)), "cat /all /n0 /n98; ls / | grep -c '^n'") == "0\n0\n98\n99\n"
    with pytest.raises(RequestError, match="more than 100"):
        sh(LayeredRoot(layers=(*layers, base, base)), "true")


def test_an_overlay_below_the_root(base: str, upper: Path, tmp_path: Path) -> None:
    top = layer(tmp_path / "top", {"lower/file": "top\n"})
    script = "cat /mnt/root/lower/file; echo x > /mnt/root/new"
    result = sandbox.run(["sh", "-c", script], overlays=[Overlay(target="/mnt/root", layers=(top, base))])
    assert result.stdout == b"top\n" and not result.ok
    over = Overlay(target="/mnt/root", layers=(top, base), upper=str(upper))
    assert sandbox.run(["sh", "-c", script], overlays=[over], user=0).ok
    assert (upper / "upper/new").read_text() == "x\n"
    alone = sandbox.run(["ls", "/one"], overlays=[Overlay(target="/one", layers=(top,))])
    assert alone.stdout == b"lower\n"


def test_a_layer_may_have_any_name(base: str, tmp_path: Path) -> None:
    top = layer(tmp_path / "a:b\\c,d=e", {"new": "new\n"})
    assert said(LayeredRoot(layers=(top, base)), "cat /new") == "new\n"


def test_a_volume_by_parts(tmp_path: Path) -> None:
    source = layer(tmp_path / "a:b", {"file": "x"})
    assert sandbox.run(["cat", "/v/file"], volumes=[Mount(source=source, target="/v")]).stdout == b"x"
    assert sandbox.run(["touch", "/v/y"], volumes=[Mount(source=source, target="/v", writable=True)]).ok
    with pytest.raises(RequestError, match="not an open file"):
        sandbox.run(["true"], volumes=[Mount(source=999, target="/v")])


@pytest.mark.parametrize("path", ["/dev/mem", "/dev/sda", "/etc/passwd", "/dev/../dev/fuse", "/dev/kmsg"])
def test_other_devices_are_refused(path: str) -> None:
    with pytest.raises(RequestError, match="cannot be had"):
        sandbox.run(["true"], devices=[path])


def test_a_device(base: str) -> None:
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse on this host")
    assert sandbox.run(["stat", "-c", "%t:%T", "/dev/fuse"], devices=["/dev/fuse"]).stdout == b"a:e5\n"


@pytest.mark.parametrize("wrong", [
    {"layers": ()}, {"layers": ("relative",)}, {"layers": ("/nowhere/at/all",)},
    {"layers": ("/usr", "/usr"), "direct": True}, {"layers": ("/usr",), "upper": "/nowhere"},
    {"layers": ("/usr",), "files": {"/etc/../x": b""}}, {"layers": ("/usr",), "files": {"/proc/x": b""}},
])  # fmt: skip
def test_wrong_roots(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        sh(LayeredRoot(**wrong), "true")  # type: ignore[arg-type]


def test_the_upper_of_another_is_refused(base: str, upper: Path) -> None:
    """``work`` of a container that was not cleaned: an error, no silent fresh start."""
    root = LayeredRoot(layers=(base,), upper=str(upper))
    said(root, "true")
    with pytest.raises(SandboxError, match="overlay"):
        sh(root, "true")
