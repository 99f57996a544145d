"""Policy files by name or path; the only reader of one."""

from __future__ import annotations

import errno
import os
from posixpath import abspath, dirname, join, splitext

from ..errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

# The packaged policies: beside the package in a checkout and in site-packages alike.
FOLDER = join(dirname(dirname(dirname(abspath(__file__)))), "policies")
SETS = "sets"  # not a policy: the named sets of calls
MAX_TEXT_BYTES = 256 << 10


def locate(name_or_path: str) -> tuple[str, str]:
    """(name, path): a value with a slash or ending in ``.toml`` is a file, others are packaged."""
    if "\0" in name_or_path or not name_or_path:
        raise PolicyError(repr(name_or_path), 0, "", "not a policy; give a name such as default, or a file")
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        path = abspath(name_or_path)
        return splitext(path)[0].rpartition("/")[2], path
    # No slash is left, so that ".." cannot climb out: "..toml" is merely missing.
    return name_or_path, f"{FOLDER}/{name_or_path}.toml"


def read(name: str, path: str) -> tuple[bytes, os.stat_result]:
    """The bytes of a policy file and its stat, both from one descriptor."""
    try:
        # O_NONBLOCK: a fifo by that name must not hang the launch.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        _missing(name, path, error)
    try:
        stat = os.fstat(fd)
        if stat.st_mode & 0o170000 != 0o100000:
            raise PolicyError(path, 0, "", "not a regular file")
        if stat.st_size > MAX_TEXT_BYTES:
            raise PolicyError(path, 0, "", f"{stat.st_size} bytes; a policy has at most {MAX_TEXT_BYTES}")
        text = b""
        while chunk := os.read(fd, MAX_TEXT_BYTES + 1 - len(text)):
            text += chunk
        if len(text) > MAX_TEXT_BYTES:
            raise PolicyError(path, 0, "", f"grew while it was read; a policy has at most {MAX_TEXT_BYTES} bytes")
    except OSError as error:
        raise PolicyError(path, 0, "", f"cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)
    return text, stat


def _missing(name: str, path: str, error: OSError) -> NoReturn:
    if error.errno != errno.ENOENT or dirname(path) != FOLDER:
        raise PolicyError(path, 0, "", f"cannot be read: {error.strerror}") from None
    known = names()
    hint = near(name, known) or f"there are {', '.join(known) or 'none'}; a file needs a slash or .toml"
    raise PolicyError(name, 0, "", f"no such policy; {hint}") from None


def names() -> list[str]:
    """The packaged policies, in order."""
    try:
        return sorted(f[:-5] for f in os.listdir(FOLDER) if f.endswith(".toml") and f[:-5] != SETS)
    except OSError:
        return []


def near(word: str, known: Iterable[str]) -> str:
    """``did you mean …`` for a word that is almost one of ``known``, else an empty text."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}" if matches else ""
