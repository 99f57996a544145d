"""Who a container is, by files of an image that anybody may have made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.containers.users import files_for, resolve
from sandbox.errors import RequestError

USERS = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:100:u:/home/user:/bin/sh\n"
PASSWD = f"{USERS}broken\nodd:x:a:b:c:d:e\nnohome:x:7:7:::\n"
GROUP = "root:x:0:\nstaff:x:50:user\n"


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "bottom/etc").mkdir(parents=True)
    (tmp_path / "bottom/etc/passwd").write_text(PASSWD)
    (tmp_path / "bottom/etc/group").write_text(GROUP)
    return tmp_path / "bottom"


@pytest.mark.parametrize(("text", "found"), [
    ("", (0, 0, "/root")), ("0", (0, 0, "/root")), ("root", (0, 0, "/root")), ("user", (1000, 100, "/home/user")),
    ("1000", (1000, 100, "/home/user")), ("user:staff", (1000, 50, "/home/user")), ("user:7", (1000, 7, "/home/user")),
    ("77", (77, 0, "/")), ("77:78", (77, 78, "/")), ("nohome", (7, 7, "/")),
])  # fmt: skip
def test_who(layer: Path, text: str, found: tuple[int, int, str]) -> None:
    user = resolve((str(layer),), text)
    assert (user.uid, user.gid, user.home) == found


@pytest.mark.parametrize("text", ["nosuch", "odd", "broken", "user:nosuch", "-1", "99999999999", ":", "user:"])
def test_nobody(layer: Path, text: str) -> None:
    with pytest.raises(RequestError):
        resolve((str(layer),), text)


def test_an_image_without_files(tmp_path: Path) -> None:
    user = resolve((str(tmp_path),), "5")
    assert (user.uid, user.gid, user.home) == (5, 0, "/")
    assert files_for(user, (str(tmp_path),)) == {"/etc/passwd": b"sandbox:x:5:0:sandbox:/:/bin/sh\n",
                                                 "/etc/group": b"sandbox:x:0:\n"}  # fmt: skip


def test_only_who_is_unknown_is_added(layer: Path) -> None:
    assert files_for(resolve((str(layer),), "user"), (str(layer),)) == {}
    files = files_for(resolve((str(layer),), "9:50"), (str(layer),))
    assert files == {"/etc/passwd": PASSWD.encode() + b"sandbox:x:9:50:sandbox:/:/bin/sh\n"}


def test_the_topmost_layer_counts(layer: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "etc").mkdir(parents=True)
    (top / "etc/passwd").write_text("user:x:5:5::/five:/bin/sh\n")
    assert resolve((str(top), str(layer)), "user").home == "/five"
    (top / "etc/passwd").unlink()
    assert resolve((str(top), str(layer)), "user").home == "/home/user"
    os.mknod(top / "etc/passwd", 0o20000, 0)  # a whiteout
    with pytest.raises(RequestError, match="no user"):
        resolve((str(top), str(layer)), "user")
    (top / "etc/passwd").unlink()
    os.setxattr(top / "etc", "user.overlay.opaque", b"y")
    with pytest.raises(RequestError, match="no user"):
        resolve((str(top), str(layer)), "user")


def test_files_that_are_not_what_they_should_be(layer: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("user:x:666:666::/stolen:/bin/sh\n")
    passwd = layer / "etc/passwd"

    def refused(why: str) -> None:
        with pytest.raises(RequestError, match=why):
            resolve((str(layer),), "user")
        passwd.unlink() if not passwd.is_dir() else passwd.rmdir()

    passwd.unlink()
    passwd.symlink_to(secret)
    refused("cannot be read")
    os.mkfifo(passwd)
    refused("no regular file")
    passwd.mkdir()
    refused("no regular file")
    with passwd.open("wb") as file:
        file.truncate(1 << 30)
    refused("has 1073741824 bytes")
    os.rename(layer / "etc", layer / "elsewhere")
    (layer / "etc").symlink_to("elsewhere")
    with pytest.raises(RequestError, match="is no directory"):
        resolve((str(layer),), "user")
