"""Who a container's program is: an image's ``User`` is a name or a number of the image's own /etc/passwd and /etc/group
(image-spec, config.md, "User").

The files are an image's, so they may be anything: they are opened below the layer without following a link, must be
regular, and no larger than 1 MiB.
"""

from __future__ import annotations

import os
import stat

from ..errors import RequestError
from ..record import Record

MAX_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
_MAX_ID = (1 << 32) - 2


class User(Record):
    """``known``: is the uid in the image's passwd? ``passwd`` and ``group``: the files as they are."""

    uid: int
    gid: int
    name: str = ""
    home: str = "/"
    known: bool = True
    passwd: bytes = b""
    group: bytes = b""


def resolve(layers: tuple[str, ...], text: str) -> User:
    """The user that ``text`` means ("", NAME, UID, either with :GROUP) in an image. Raises RequestError."""
    who, colon, group_word = (text or "0").partition(":")
    passwd = read_file(layers, "passwd")
    group = b""
    uid = _number(who)
    name, gid, home = "", None, "/"
    for line in _lines(passwd):
        if len(line) >= 6 and (line[0] == who or (uid is not None and line[2] == str(uid))):
            found_uid, found_gid = _number(line[2]), _number(line[3])
            if found_uid is not None and found_gid is not None:
                uid, gid, name, home = found_uid, found_gid, line[0], line[5] or "/"
                break
    if uid is None:
        raise RequestError("--user", text, f"the image's /etc/passwd has no user {who!r}")
    if colon:
        gid = _number(group_word)
        if gid is None:
            group = read_file(layers, "group")
            gid = next((_number(line[2]) for line in _lines(group) if len(line) >= 3 and line[0] == group_word), None)
        if gid is None:
            raise RequestError("--user", text, f"the image's /etc/group has no group {group_word!r}")
    if not home.startswith("/") or "\0" in home:
        home = "/"
    return User(uid=uid, gid=gid or 0, name=name, home=home, known=bool(name), passwd=passwd)


def files_for(user: User, layers: tuple[str, ...]) -> dict[str, bytes]:
    """What is shown over the image's files, so that the user has a name: nothing if it has one."""
    if user.known:
        return {}
    def whole(data: bytes) -> bytes:
        return data if not data or data.endswith(b"\n") else data + b"\n"

    files = {"/etc/passwd": whole(user.passwd) + f"sandbox:x:{user.uid}:{user.gid}:sandbox:/:/bin/sh\n".encode()}
    group = read_file(layers, "group")
    if not any(len(line) >= 3 and line[2] == str(user.gid) for line in _lines(group)):
        files["/etc/group"] = whole(group) + f"sandbox:x:{user.gid}:\n".encode()
    return files


def read_file(layers: tuple[str, ...], name: str) -> bytes:
    """``/etc/NAME`` of the topmost layer that has it; nothing if none has. Raises RequestError if it is no such
    file."""
    for layer in layers:
        found = _read(layer, name)
        if found is not None:
            return found
    return b""


def _read(layer: str, name: str) -> bytes | None:
    """None: look further down. b"": removed in this layer."""
    try:
        root = os.open(layer, _DIRECTORY)
        try:
            etc = os.open("etc", _DIRECTORY, dir_fd=root)
        finally:
            os.close(root)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError("image", "/etc", f"is no directory: {(error.strerror or '').lower()}") from error
    try:
        return _read_in(etc, name)
    finally:
        os.close(etc)


def _read_in(etc: int, name: str) -> bytes | None:
    try:
        kind = os.stat(name, dir_fd=etc, follow_symlinks=False)
    except FileNotFoundError:
        return b"" if _opaque(etc) else None
    if stat.S_ISCHR(kind.st_mode) and kind.st_rdev == 0:
        return b""  # a whiteout of overlayfs
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=etc)
    except OSError as error:
        raise RequestError("image", f"/etc/{name}", f"cannot be read: {(error.strerror or '').lower()}") from error
    try:
        kind = os.fstat(fd)
        if not stat.S_ISREG(kind.st_mode):
            raise RequestError("image", f"/etc/{name}", "is no regular file")
        if kind.st_size > MAX_BYTES:
            raise RequestError("image", f"/etc/{name}", f"has {kind.st_size} bytes, more than {MAX_BYTES}")
        return os.read(fd, MAX_BYTES)
    finally:
        os.close(fd)


def _opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False


def _lines(data: bytes) -> list[list[str]]:
    return [line.split(":") for line in data.decode("utf-8", "replace").split("\n") if line and line[0] != "#"]


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 11 and int(word) <= _MAX_ID else None
