"""``pysandbox cp`` where the root is an image's: running, ended, with a range of ids."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.started import Containers, soon
from tests.image_helper import make_busybox_root


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        made.ok("image", "import", "--name", "bb", str(make_busybox_root(tmp_path / "root")))
        yield made


def listed(box: Containers, path: str) -> dict[str, tuple[int, int]]:
    done = box.words("cp", f"one:{path}", "-", text=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        return {info.name: (info.uid, info.gid) for info in tar if info.isfile()}


def test_changes_are_there_while_it_runs_and_after(box: Containers, tmp_path: Path) -> None:
    script = "echo x >/root/new; rm /etc/os-release; ln -s /etc /root/etc; echo v >/vol/v; echo up; sleep 60"
    box.start("one", "sh", "-c", script, options=("--image", "bb", "-v", "vol:/vol"))
    soon(lambda: "up" in box.ok("logs", "one"))
    (tmp_path / "f").write_text("f")
    box.ok("cp", "f", "one:/root/in")
    box.ok("cp", "one:/vol/v", "v")
    assert (tmp_path / "v").read_text() == "v\n"
    for _ in range(2):
        assert set(listed(box, "/root")) == {"root/new", "root/in"}
        assert "os-release" in box.words("cp", "one:/etc/os-release", "x").stderr
        box.ok("cp", "one:/root/etc/passwd", "passwd")  # by a link that leads to the container's /etc
        assert (tmp_path / "passwd").read_text() == (tmp_path / "root/etc/passwd").read_text()
        box.ok("stop", "-t", "0", "one")
    box.ok("cp", "f", "one:/root/late")
    box.ok("cp", "one:/root/late", "back")
    assert (tmp_path / "back").read_text() == "f"
    assert "in a volume" in box.words("cp", "one:/vol/v", "x").stderr
    assert (tmp_path / "root/etc/os-release").exists() and not (tmp_path / "root/root/late").exists()


def test_a_root_that_is_read_only(box: Containers, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f")
    box.start("one", "sleep", "60", options=("--image", "bb", "--read-only", "--tmpfs", "/run"))
    box.ok("cp", "f", "one:/run/f")
    for _ in range(2):
        done = box.words("cp", "f", "one:/root/f")
        assert done.returncode == 125 and "read-only" in done.stderr
        box.ok("cp", "one:/etc/passwd", "passwd")
        box.ok("stop", "-t", "0", "one")


def test_owners(box: Containers, tmp_path: Path) -> None:
    """Root's unless -a; numbers that a range has."""
    box.start("one", "sleep", "60", options=("--image", "bb", "--ids", "range"))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as made:
        info = tarfile.TarInfo("f")
        info.uid, info.gid = 33, 44
        made.addfile(info)
    for words in (["cp", "-a", "-", "one:/root"], ["cp", "-", "one:/home"]):
        assert box.words(*words, input=tar.getvalue(), text=False).returncode == 0
    assert listed(box, "/root") == {"root/f": (33, 44)} and listed(box, "/home") == {"home/f": (0, 0)}
    box.ok("stop", "-t", "0", "one")
    assert listed(box, "/root") == {"root/f": (33, 44)}
    box.ok("rm", "one")
