"""The files and addresses that a call names, read from its caller's memory while it waits.

They are what the caller had there when it was asked: another of its threads may have changed them since. A path is
put together by its text, as names in the sandbox; symlinks are not followed. Whether something has the name is
asked just before the caller does.
"""

from __future__ import annotations

import errno
import os
from posixpath import join, normpath

from ..policy.sets import set_of
from ..syscalls.sockaddr import text as address_text
from ..syscalls.vocabulary import signature
from .presence import is_missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..notify import Notification
    from .facts import Facts

_AT_FDCWD = 0xFFFFFF9C  # -100
_MAX_SOCKADDR = 128  # struct sockaddr_storage
_O_ACCMODE, _O_CREAT, _O_TRUNC, _O_PATH = 3, 0o100, 0o1000, 0o10000000
_TEXT_ONLY = {("symlink", 0), ("symlinkat", 0), ("mount", 0)}  # no path that is looked up
_AT_SYMLINK_NOFOLLOW = 0x100
_MAKES = frozenset(("create", "change"))


def note(call: Notification, facts: Facts) -> None:
    """Add what this call names to the facts; what cannot be read is counted."""
    parameters = signature(call.abi, call.name) if call.name else None
    if parameters is None:
        return
    try:
        for index, parameter in enumerate(parameters):
            if parameter.kind == "path" and (call.name, index) not in _TEXT_ONLY and call.args[index]:
                dirfd = index and parameters[index - 1].kind == "dirfd"
                _path(call, facts, index, call.args[index - 1] & 0xFFFFFFFF if dirfd else _AT_FDCWD)
            elif parameter.kind == "sockaddr" and call.args[index]:
                _address(call, facts, index, call.args[parameter.length] & 0xFFFFFFFF)
    except ProcessLookupError:  # it was killed meanwhile
        return
    except OSError:
        facts.unread += 1


def _path(call: Notification, facts: Facts, index: int, dirfd: int) -> None:
    name = os.fsdecode(call.string(call.args[index]))
    if not name:  # AT_EMPTY_PATH: the descriptor itself, whose name was seen when it was opened
        return
    if not name.startswith("/"):
        base = _link(call, "cwd" if dirfd == _AT_FDCWD else f"fd/{dirfd}")
        if base is None:
            return
        name = join(base or f"(fd {dirfd})", name)
    path = normpath(name)
    hows = list(_how(call, index))
    if not _MAKES.intersection(hows) and is_missing(call.pid, path, follow=_follows(call, index)) and call.waits:
        hows = ["missing"]
    for how in hows:
        facts.touched(path, how)


def _follows(call: Notification, index: int) -> bool:
    """Does this call go through a symlink that is the last part of its path?"""
    if call.name in ("newfstatat", "statx", "faccessat2"):
        return not call.args[2 if call.name == "statx" else 3] & _AT_SYMLINK_NOFOLLOW
    if call.name in ("open", "openat"):
        return not call.args[index + 1] & os.O_NOFOLLOW
    return call.name not in ("lstat", "readlink", "readlinkat", "lgetxattr", "llistxattr")


def _link(call: Notification, name: str) -> str | None:
    """What /proc says of a directory of the caller: "" if it will not say, None if the caller is gone."""
    try:
        base = os.readlink(f"/proc/{call.pid}/{name}")
    except OSError as error:
        if error.errno == errno.ENOENT and not call.waits:
            return None
        return ""
    return base if call.waits else None


def _how(call: Notification, index: int) -> Iterator[str]:
    if call.name in ("open", "openat", "openat2"):
        yield from _opened(call, index)
    elif call.name == "creat":
        yield "create"
    elif call.name in ("execve", "execveat"):
        yield "exec"
    elif set_of(call.name) in ("file_write", "file_metadata"):
        yield "change"
    else:
        yield "look"


def _opened(call: Notification, index: int) -> Iterator[str]:
    flags = call.args[index + 1]
    if call.name == "openat2":
        flags = int.from_bytes(call.read(flags, 8), "little")
    mode = flags & _O_ACCMODE
    if flags & _O_PATH:
        yield "look"
        return
    if mode in (0, 2):
        yield "read"
    if mode in (1, 2) or flags & _O_TRUNC:
        yield "write"
    if flags & _O_CREAT:
        yield "create"


def _address(call: Notification, facts: Facts, index: int, length: int) -> None:
    memory = call.read(call.args[index], min(length, _MAX_SOCKADDR))
    shown = address_text(memory, length)
    if shown:
        facts.talked(f"{call.name} {shown}")
