"""The table of system calls: against the kernel's headers, against libseccomp, and its own faces."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sandbox import syscalls
from sandbox.errors import HostError
from sandbox.seccomp import compile as compiler

TREE = Path(__file__).resolve().parents[3]
x86_only = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the headers of x86 are installed on x86")
YET_NEWER = range(471, 512)  # what the headers of a later release may have


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("syscalls_script", TREE / "scripts/syscalls.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@x86_only
def test_every_call_of_the_installed_headers_is_known() -> None:
    """Headers of another release know fewer or more calls; what both know has one number."""
    tables = script().installed()
    assert len(tables["x86_64"]) > 300 and len(tables["aarch64"]) > 250
    for abi, table in tables.items():
        bit = syscalls.X32_BIT if abi == "x32" else 0
        differing = {name: n for name, n in table.items() if syscalls.number(abi, name) not in (n | bit, None)}
        unknown = {name: n for name, n in table.items() if syscalls.number(abi, name) is None and n not in YET_NEWER}
        assert not differing and not unknown, abi


@x86_only
def test_the_file_is_what_the_script_makes() -> None:
    made = script()
    tables = {abi: {n: v for n, v in t.items() if v not in YET_NEWER} for abi, t in made.installed().items()}
    assert (TREE / "sandbox/syscalls/calls.txt").read_text() == made.text_of(made.complete(tables))


def test_libseccomp_says_the_same() -> None:
    """Where it knows a call. It knows none that is newer than it, and otherwise differs in two ways."""
    try:
        lib = compiler.binding()
    except HostError as error:
        pytest.skip(str(error))
    tokens = {"x86_64": lib.Arch.X86_64, "i386": lib.Arch.X86, "x32": lib.Arch.X32, "aarch64": lib.Arch.AARCH64}
    every = {name for abi in syscalls.ABIS for name in syscalls.names(abi)}
    for abi, token in tokens.items():
        multiplexers = {syscalls.number(abi, "socketcall"), syscalls.number(abi, "ipc")} - {None}
        agreed = 0
        for name in sorted(every):
            theirs, ours = lib.resolve_syscall(token, name), syscalls.number(abi, name)
            if theirs == -1:  # __NR_SCMP_ERROR: not known to this release
                assert ours is None or ours & ~syscalls.X32_BIT > 300, (abi, name)
            elif theirs in multiplexers and name not in ("socketcall", "ipc"):
                # It filters socket() of i386 by socketcall; the kernel has had calls of their own since 4.3.
                assert ours is None or 337 <= ours <= 402, (abi, name)
            elif theirs < -1 and (abi, name) == ("x32", "map_shadow_stack"):
                pass  # common to both since 6.6 (syscall_64.tbl); libseccomp takes it for x86_64's alone
            else:
                assert ours == (theirs if theirs >= 0 else None), (abi, name)
                agreed += 1
        assert agreed > 300, abi


@pytest.mark.parametrize(("abi", "name", "number"), [
    ("x86_64", "read", 0), ("i386", "read", 3), ("x32", "read", 1 << 30), ("aarch64", "read", 63),
    ("x32", "ioctl", (1 << 30) + 514), ("x86_64", "ioctl", 16), ("x86_64", "uretprobe", 335),
    ("aarch64", "mmap", 222), ("aarch64", "newfstatat", 79), ("x86_64", "listns", 470), ("i386", "socketcall", 102),
])  # fmt: skip
def test_numbers(abi: str, name: str, number: int) -> None:
    assert syscalls.number(abi, name) == number
    assert syscalls.name(abi, number) == name


def test_what_is_not_there() -> None:
    assert syscalls.number("aarch64", "open") is None and syscalls.number("x86_64", "opneat") is None
    assert syscalls.name("x86_64", 999) is None and syscalls.name("x86_64", -1) is None
    assert syscalls.name("x32", 16) is None  # without the bit it is no x32
    with pytest.raises(KeyError):
        syscalls.number("arm", "read")


@pytest.mark.parametrize("abi", syscalls.ABIS)
def test_names_and_numbers_are_one_to_one(abi: str) -> None:
    numbers = [syscalls.number(abi, name) for name in syscalls.names(abi)]
    assert len(numbers) == len(set(numbers)) > 300
    assert [syscalls.name(abi, n) for n in numbers if n is not None] == list(syscalls.names(abi))


def test_aliases_lead_to_calls_and_hide_none() -> None:
    known = {*syscalls.names("x86_64"), *syscalls.names("aarch64")}
    for word, call in syscalls._ALIASES.items():
        assert call in known and word not in known, word
    assert syscalls.alias("pread") == "pread64" and syscalls.alias("read") is None


def test_abi_of_what_a_filter_saw() -> None:
    for abi in syscalls.ABIS:
        number = syscalls.number(abi, "read")
        assert number is not None and syscalls.abi_of(syscalls.audit_arch(abi), number) == abi
    assert syscalls.abi_of(0xC000003E, -1) == "x86_64"  # a call that a tracer skips, not x32
    assert syscalls.abi_of(0x40000028, 5) == "arm"
    assert syscalls.abi_of(0x14, 5) == ""


def test_it_imports_nothing_slow() -> None:
    code = ("import sys; before = set(sys.modules); import sandbox.syscalls.decode as d; d.decode('x86_64', 257, ());"
            "print(*sorted(set(sys.modules) - before))")  # fmt: skip
    done = subprocess.run([sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": str(TREE)},
                          capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    ours = ("sandbox", "encodings")
    assert {name for name in done.stdout.split() if not name.startswith(ours)} <= {"__future__", "importlib"}
