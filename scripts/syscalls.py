#!/usr/bin/env python3
"""Makes sandbox/syscalls/calls.txt, the numbers of system calls, from the kernel's headers and a list.

    syscalls.py           writes the file (on x86_64: the headers of x86 are those of linux-libc-dev)
    syscalls.py --check   says whether the file is what would be written; exit status 1 if not

The list is for what is newer than the headers that a distribution installs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.join(HERE, "sandbox", "syscalls", "calls.txt")
ABIS = ("x86_64", "i386", "x32", "aarch64")
_X86_HEADERS = {"x86_64": "asm/unistd_64.h", "i386": "asm/unistd_32.h", "x32": "asm/unistd_x32.h"}
_X32_BIT = 1 << 30
# arch/arm64/include/uapi/asm/unistd.h asks the generic table for these (Linux 6.1).
_ARM64_WANTS = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET")

# Call: (number, Linux that has it, ABIs). From arch/x86/entry/syscalls/*.tbl and scripts/syscall.tbl: since
# Linux 5.1 a new call has one number everywhere. The two of x86_64's old gap are the trampolines of uprobes.
EVERYWHERE = ABIS
NEWER = {
    "uretprobe": (335, "6.11", ("x86_64", "x32")),
    "uprobe": (336, "6.18", ("x86_64", "x32")),
    "cachestat": (451, "6.5", EVERYWHERE),
    "fchmodat2": (452, "6.6", EVERYWHERE),
    "map_shadow_stack": (453, "6.6", EVERYWHERE),
    "futex_wake": (454, "6.7", EVERYWHERE),
    "futex_wait": (455, "6.7", EVERYWHERE),
    "futex_requeue": (456, "6.7", EVERYWHERE),
    "statmount": (457, "6.8", EVERYWHERE),
    "listmount": (458, "6.8", EVERYWHERE),
    "lsm_get_self_attr": (459, "6.8", EVERYWHERE),
    "lsm_set_self_attr": (460, "6.8", EVERYWHERE),
    "lsm_list_modules": (461, "6.8", EVERYWHERE),
    "mseal": (462, "6.10", EVERYWHERE),
    "setxattrat": (463, "6.13", EVERYWHERE),
    "getxattrat": (464, "6.13", EVERYWHERE),
    "listxattrat": (465, "6.13", EVERYWHERE),
    "removexattrat": (466, "6.13", EVERYWHERE),
    "open_tree_attr": (467, "6.15", EVERYWHERE),
    "file_getattr": (468, "6.17", EVERYWHERE),
    "file_setattr": (469, "6.17", EVERYWHERE),
    "listns": (470, "6.19", EVERYWHERE),
}

_HEADER = """\
# Numbers of system calls up to Linux 6.19, made by scripts/syscalls.py. x32: without its bit 30.
# name x86_64 i386 x32 aarch64
"""


def preprocessed(source: str, *options: str) -> dict[str, str]:
    """The macros ``__NR*`` of a C source: name -> what they stand for."""
    command = [os.environ.get("CC", "cc"), "-E", "-dM", *options, "-"]
    text = subprocess.run(command, input=source, capture_output=True, text=True, check=True, timeout=60).stdout
    return dict(re.findall(r"^#define (__NR\w+) (.+?)\s*$", text, re.MULTILINE))


def numbers(macros: dict[str, str]) -> dict[str, int]:
    """Macros -> calls: chains followed, ``__X32_SYSCALL_BIT`` dropped, what is no call left out."""
    found = {}
    for macro, text in macros.items():
        while text in macros:  # __NR_mmap is __NR3264_mmap is 222
            text = macros[text]
        name = macro.removeprefix("__NR_")
        digits = re.fullmatch(r"\(?(?:__X32_SYSCALL_BIT \+ )?(\d+)\)?", text)
        if digits and name != macro and name not in ("syscalls", "arch_specific_syscall"):
            found[name] = int(digits[1])
    return found


def installed() -> dict[str, dict[str, int]]:
    """ABI -> call -> number (x32 without its bit), as the installed headers have them."""
    tables = {abi: numbers(preprocessed(f"#include <{header}>\n")) for abi, header in _X86_HEADERS.items()}
    wants = [f"-D__ARCH_WANT_{want}" for want in _ARM64_WANTS]
    tables["aarch64"] = numbers(preprocessed("#include <asm-generic/unistd.h>\n", *wants))
    return tables


def complete(tables: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """With the calls of NEWER; a header that knows one of them differently is an error."""
    tables = {abi: dict(table) for abi, table in tables.items()}
    for name, (number, _since, abis) in NEWER.items():
        for abi in abis:
            if tables[abi].setdefault(name, number) != number:
                raise SystemExit(f"{name} is {tables[abi][name]} in the headers of {abi}, {number} in the list")
    return tables


def text_of(tables: dict[str, dict[str, int]]) -> str:
    """The file: one call a line, by number of x86_64, then those of others by name."""
    names = {name for table in tables.values() for name in table}
    order = sorted(names, key=lambda name: (tables["x86_64"].get(name, 1 << 20), name))
    lines = [f"{name} {' '.join(str(tables[abi].get(name, '-')) for abi in ABIS)}\n" for name in order]
    return _HEADER + "".join(lines)


def main(arguments: list[str]) -> int:
    text = text_of(complete(installed()))
    if arguments == ["--check"]:
        with open(TARGET, encoding="ascii") as file:
            return 0 if file.read() == text else 1
    if arguments:
        raise SystemExit(__doc__)
    with open(TARGET, "w", encoding="ascii") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
