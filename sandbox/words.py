"""One word of a Request made exact: a text, a flag, a list, a path, what is shown at one.

Whatever is wrong is a RequestError that names the field.
"""

from __future__ import annotations

import os
from posixpath import isabs, join, normpath

from .errors import RequestError
from .spec import DEFAULT_ENV, DEFAULT_HOSTNAME, DEFAULT_POLICY, Rootfs, Stack, Tmpfs, Volume
from .units import parse_count, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# execve(2): MAX_ARG_STRLEN is 32 pages; the sum is bounded by a quarter of the stack limit, 6 MiB at most.
MAX_ARG_BYTES = 131_072
MAX_ARGS_BYTES = 6 << 20
MAX_PATH_BYTES = 4095


def parse_text(field: str, value: object) -> str:
    """A text of at most a path's length."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise RequestError(field, value, "expected a text without NUL bytes")
    if len(_encoded(field, value)) > MAX_PATH_BYTES:
        raise RequestError(field, value, f"longer than {MAX_PATH_BYTES} bytes")
    return value


def _encoded(field: str, value: str) -> bytes:
    """The bytes of a text. Bytes that are no UTF-8 travel as the surrogates U+DC80 to U+DCFF (PEP 383)."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise RequestError(field, value, "holds a surrogate that stands for no byte") from error


def parse_flag(field: str, value: object) -> bool:
    """True or False, and nothing that is like them."""
    if not isinstance(value, bool):
        raise RequestError(field, value, "expected True or False")
    return value


def parse_list(field: str, value: Sequence[Any]) -> Sequence[Any]:
    """At most 200 items."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise RequestError(field, value, "expected a list")
    items = tuple(value)
    if len(items) > 200:
        raise RequestError(field, f"{len(items)} items", "more than 200")
    return items


def parse_argument(field: str, value: object) -> bytes:
    """An argument or a part of the environment, as execve(2) takes it."""
    if isinstance(value, str):
        value = _encoded(field, value)
    elif hasattr(value, "__fspath__"):
        value = os.fsencode(value)
    if not isinstance(value, bytes):
        raise RequestError(field, value, "expected text or bytes")
    if b"\0" in value:
        raise RequestError(field, value, "a NUL byte cannot be passed to a program")
    if len(value) >= MAX_ARG_BYTES:
        raise RequestError(field, value, f"longer than {MAX_ARG_BYTES - 1} bytes (execve(2) takes no more)")
    return value


# ---- fields ----


def parse_argv(argv: object) -> tuple[bytes, ...]:
    """The program and its arguments."""
    if isinstance(argv, (str, bytes)) or not hasattr(argv, "__iter__"):
        raise RequestError("argv", argv, "expected a list: the program and its arguments")
    words = tuple(parse_argument("argv", a) for a in argv)
    if not words or not words[0]:
        raise RequestError("argv", list(words), "no program was named")
    total = sum(len(w) + 9 for w in words)
    if total > MAX_ARGS_BYTES:
        raise RequestError("argv", f"{total} bytes", f"more than {MAX_ARGS_BYTES} bytes of arguments")
    return words


def parse_policy(policy: object) -> str:
    """A policy by its name, or the absolute path of its file."""
    if policy is None:
        return DEFAULT_POLICY
    text = parse_text("policy", policy)
    return absolute_path("policy", text) if "/" in text or text.endswith(".toml") else text


def parse_ids(ids: str) -> str:
    """One id, or a range of them."""
    if ids not in ("single", "range"):
        raise RequestError("ids", ids, "expected single or range")
    return ids


def parse_pass_fds(fds: Sequence[int]) -> tuple[int, ...]:
    """Fds above those of the streams."""
    return tuple(parse_count("pass_fds", fd, 3, 999) for fd in parse_list("pass_fds", fds))


def parse_gate(gate: object) -> bool:
    """Is there a gate?"""
    if gate is not None and (isinstance(gate, bool) or not isinstance(gate, int) or gate < 0):
        raise RequestError("gate", gate, "expected the fd of a pipe")
    return gate is not None


def parse_hostname(name: str | None) -> str:
    """A name that sethostname(2) takes."""
    if name is None:
        return DEFAULT_HOSTNAME
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
    # sethostname(2): 64 bytes
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not set(name) <= allowed or name[0] in ".-":
        raise RequestError("hostname", name, "expected 1 to 64 letters, digits, dots and dashes")
    return name


# ---- paths ----


def path_inside(field: str, path: object) -> str:
    """A path in the sandbox: absolute, without ``..`` (which links of a foreign root could bend)."""
    text = parse_text(field, path)
    if not isabs(text):
        raise RequestError(field, text, "expected an absolute path in the sandbox")
    if ".." in text.split("/"):
        raise RequestError(field, text, "'..' is not allowed")
    return "/" + normpath(text).lstrip("/")


_RESERVED = ("/proc", "/dev")


def mount_target(field: str, path: str) -> str:
    """A path in the sandbox at which something may be shown."""
    target = path_inside(field, path)
    if target == "/" or any(target == r or target.startswith(r + "/") for r in _RESERVED):
        raise RequestError(field, path, f"{target} belongs to the sandbox and cannot be mounted over")
    return target


def real_path(field: str, path: str) -> str:
    """The path without links. A link that may not be read (/proc/1/exe) makes realpath(3) fail."""
    try:
        return os.path.realpath(path)
    except OSError as error:
        raise RequestError(field, path, f"cannot be looked up: {(error.strerror or 'unusable').lower()}") from error


def absolute_path(field: str, path: str) -> str:
    """The path from the root, links and all."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise RequestError(field, path, "a relative path, and the current directory does not exist any more") from None


def existing_path(field: str, path: str) -> tuple[str, bool]:
    """The real path of something on the host, and whether it is a directory."""
    real = real_path(field, parse_text(field, path))
    try:
        mode = os.stat(real).st_mode & 0o170000
    except OSError as error:
        raise RequestError(field, path, f"cannot be shared: {(error.strerror or 'unusable').lower()}") from error
    if mode not in (0o040000, 0o100000, 0o140000):
        raise RequestError(field, path, "only directories, regular files and sockets can be shared")
    return real, mode == 0o040000


def inode_of(path: str) -> tuple[int, int]:
    """Device and number of what is there; zeros if nothing is."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0  # gone meanwhile: the step that shares it says so
    return found.st_dev, found.st_ino


# What the default view shows of the host; a program in there needs no sharing.
_VISIBLE = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/nix/store/", "/gnu/store/")


def is_visible(path: str) -> bool:
    """Is this host path, and what it links to, part of the default view?"""
    return path.startswith(_VISIBLE) and os.path.realpath(path).startswith(_VISIBLE)


# ---- what is shown ----


def parse_volume(volume: object) -> Volume:
    """``SRC:DST`` with an optional ``:ro`` or ``:rw``."""
    text = parse_text("volume", volume)
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
        raise RequestError("volume", text, "expected SRC:DST, SRC:DST:ro or SRC:DST:rw")
    source, is_dir = existing_path("volume", parts[0])
    return Volume(source=source, target=mount_target("volume", parts[1]), writable=parts[2:] == ["rw"], is_dir=is_dir,
                  inode=inode_of(source))  # fmt: skip


def parse_tmpfs(tmpfs: object) -> Tmpfs:
    """``DST`` with an optional ``:SIZE`` and ``:OPTIONS``."""
    target, _, rest = parse_text("tmpfs", tmpfs).partition(":")
    size, _, options = rest.partition(":")
    mode, noexec = 0o755, False
    for word in options.split(",") if options else ():
        name, _, octal = word.partition("=")
        if name == "mode" and octal and set(octal) <= set("01234567") and int(octal, 8) <= 0o7777:
            mode = int(octal, 8)
        elif word == "noexec":
            noexec = True
        else:
            raise RequestError("tmpfs", tmpfs, f"unknown option {word!r}; there are mode=OCTAL and noexec")
    return Tmpfs(target=mount_target("tmpfs", target), size_bytes=parse_size("tmpfs", size) if size else 64 << 20,
                 mode=mode, noexec=noexec)  # fmt: skip


def parse_rootfs(rootfs: object) -> Rootfs:
    """``DIR`` with an optional ``:ro`` or ``:scratch``."""
    path, colon, mode = parse_text("rootfs", rootfs).partition(":")
    if mode not in ("", "ro", "scratch") or (colon and not mode):
        raise RequestError("rootfs", rootfs, "expected DIR, DIR:ro or DIR:scratch")
    real, is_dir = existing_path("rootfs", path)
    if not is_dir:
        raise RequestError("rootfs", path, "not a directory")
    return Rootfs(stack=Stack(layers=(real,), inodes=(inode_of(real),)), writable=mode == "scratch")


def program_by_name(name: str) -> str | None:
    """The file on the caller's own PATH; None if there is none, or if the system has a program of that name."""
    if any(os.access(join(d, name), os.X_OK) and is_visible(join(d, name)) for d in DEFAULT_ENV["PATH"].split(":")):
        return None
    candidates = [join(d, name) for d in os.environ.get("PATH", "").split(":") if isabs(d)]
    found = next((p for p in candidates if os.path.isfile(p) and os.access(p, os.X_OK)), None)
    return real_path("argv", found) if found else None
