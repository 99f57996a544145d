"""Hostile programs, and what they report of their attempts.

``inside(code)`` runs Python in a sandbox with a few words at hand and returns what it put into ``out``:

    call("mount", 0, "/tmp", ...)   the raw system call: 0 or more, or -errno
    tried(function)                 its value, or -errno
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Result, Sandbox

WORDS = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
out = {}
def call(name, *words):
    given = []
    for word in words:
        if isinstance(word, (str, bytes)):
            word = ctypes.create_string_buffer(os.fsencode(word))
        if isinstance(word, int):
            word = ctypes.c_uint64(word & (1 << 64) - 1)
        given.append(word)
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(NUMBERS[name] if isinstance(name, str) else name), *given)
    return -ctypes.get_errno() if result < 0 else result
def tried(function):
    try:
        return function()
    except OSError as error:
        return -error.errno
def text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
"""

# Younger than the distribution's headers; these numbers are the same on all machines.
YOUNG = {
    "open_tree_attr": 467,
    "cachestat": 451,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "clone3": 435,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
}


@pytest.fixture(scope="session")
def numbers() -> dict[str, int]:
    """System call numbers of this machine, from the compiler's headers."""
    listed = subprocess.run(["cc", "-dM", "-E", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                            capture_output=True, text=True, check=True).stdout  # fmt: skip
    defined = dict(re.findall(r"^#define __NR(?:3264)?_(\w+) (\w+)$", listed, re.MULTILINE))
    found = {name: int(value) for name, value in defined.items() if value.isdigit()}
    return {**YOUNG, **found}


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox(wall=60) as one:
        yield one


@pytest.fixture(scope="session")
def command(numbers: dict[str, int]) -> Callable[[str], list[str]]:
    """argv for a piece of code; ``out`` is printed as JSON at its end."""

    def made(code: str) -> list[str]:
        program = f"NUMBERS = {numbers!r}\n{WORDS}\n{code}\nprint(json.dumps(out), flush=True)\n"
        return ["/usr/bin/python3", "-IS", "-c", program]

    return made


@pytest.fixture(scope="session")
def inside(box: Sandbox, command: Callable[[str], list[str]]) -> Callable[..., Any]:
    def run(code: str, **options: Any) -> Any:
        result: Result = box.run(command(code), **options)
        assert result.ok, f"{result!r}: {result.stderr.decode(errors='replace')}"
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A static program from C."""
    folder = tmp_path_factory.mktemp("programs")

    def build(name: str, source: str, *flags: str) -> Path:
        target = folder / name
        if not target.exists():
            command = ["cc", "-O1", "-static", *flags, "-x", "c", "-o", str(target), "-"]
            done = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        return target

    return build


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, str]:
    """A file of the caller's that was not shared, and what is in it."""
    path = tmp_path / "secret"
    word = f"secret of {os.getpid()}"
    path.write_text(word)
    return path, word
