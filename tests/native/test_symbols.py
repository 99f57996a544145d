"""The C core uses nothing of libc but what is listed: system call wrappers and a few string functions.

After clone the init and the program have one thread and no usable heap, locks or stdio: a function that
allocates, takes a lock or reads the environment has no business there.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent.parent / "sandbox" / "native"
OBJECTS = ("bpf", "capabilities", "child", "children", "confine", "confine_program", "denials", "fds",
           "helpers", "init", "join", "landlock", "listen", "lxcfs", "mounts", "parse", "peel", "report", "sysinfo",
           "tree", "unthrottle")  # fmt: skip

# No builtins, or it would be up to the optimiser which of memcpy and strlen are calls.
FLAGS = ("-std=gnu11", "-O2", "-fno-builtin", "-fno-stack-protector", "-fno-pic", "-U_FORTIFY_SOURCE")

FORBIDDEN = (
    "malloc",
    "calloc",
    "realloc",
    "free",
    "printf",
    "puts",
    "fopen",
    "getenv",
    "setenv",
    "strerror",
    "perror",
    "dlopen",
    "dlsym",
    "pthread",
    "system",
    "popen",
    "exit",
    "atexit",
    "qsort",
    "strtok",
    "getpwnam",
    "getaddrinfo",
    "localtime",
    "syslog",
    "assert",
    "fork",
)


def undefined(name: str, tmp_path: Path) -> list[str]:
    target = tmp_path / f"{name}.o"
    subprocess.run(["cc", *FLAGS, "-c", "-o", str(target), str(NATIVE / f"{name}.c")], check=True)
    listed = subprocess.run(["nm", "-u", str(target)], check=True, capture_output=True, text=True).stdout
    return sorted(line.split()[-1] for line in listed.splitlines() if line.strip())


def committed() -> dict[str, list[str]]:
    lines = [line for line in (HERE / "symbols.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("name", OBJECTS)
def test_external_symbols(name: str, tmp_path: Path) -> None:
    found = undefined(name, tmp_path)
    assert found == committed()[name], f"correct tests/native/symbols.txt if this is meant:\n{name}: {' '.join(found)}"


@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_that_allocates_or_locks(name: str, tmp_path: Path) -> None:
    for symbol in undefined(name, tmp_path):
        # _exit and __errno_location contain forbidden words and are what is meant instead
        assert symbol == "_exit" or not any(symbol.startswith(word) or f"_{word}" in symbol for word in FORBIDDEN), (
            symbol
        )


def test_every_file_of_the_core_is_looked_at() -> None:
    """spawner.c, its cgroups.c and the keeper's files live before the clone; core*.c belong to Python."""
    files = {path.stem for path in NATIVE.glob("*.c")} - {"_core"}
    assert files == {*OBJECTS, "spawner", "cgroups", "keeper", "keep_wire", "core", "core_keeper"}
    assert sorted(committed()) == sorted(OBJECTS)
