#!/usr/bin/env python3
"""How the native executable is compiled: one command line, for setup.py, tox and the sanitizers.

    native.py build [-o FILE]               static, as it is shipped
    native.py build --sanitize -o FILE      dynamic, with the address and undefined sanitizers
    native.py check CC...                   every source under -Wall -Wextra -Werror by each compiler

``CC``, ``CFLAGS`` and ``LDFLAGS`` of the environment are respected; the flags with which Python itself
was built are not taken over (a cross compiler refuses those that name the host's instruction set).
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NATIVE = os.path.join("sandbox", "native")
TARGET = os.path.join(NATIVE, "spawner")
# The judge's comparison of outputs: a cffi extension, nothing of it is in the executable.
JUDGE = os.path.join("judge", "native")

# The cffi extension's own; _core.c is generated. Every other source is linked into the executable.
EXTENSION_SOURCES = ("core.c", "core_keeper.c")

STRICT = ("-std=gnu11", "-Wall", "-Wextra")
# Static: the program runs in a mount namespace in which no loader or libc may be found, and is
# started from a sealed memfd. -fno-plt needs no lazy binding either way.
SHIP = ("-O2", "-g0", "-Werror=implicit", "-fno-plt", "-static", "-s", "-ffunction-sections", "-fdata-sections",
        "-Wl,--gc-sections", "-Wl,-z,noexecstack", "-Wl,-z,relro,-z,now")  # fmt: skip
SANITIZE = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler() -> list[str]:
    """The compiler to use: CC, else the one that Python was built with, else cc."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    words = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    return words if words and shutil.which(words[0]) else ["cc"]


def sources() -> list[str]:
    """The C files of the executable, absolute, in a fixed order."""
    other = {*EXTENSION_SOURCES, "_core.c"}
    names = sorted(n for n in os.listdir(os.path.join(HERE, NATIVE)) if n.endswith(".c") and n not in other)
    return [os.path.join(HERE, NATIVE, name) for name in names]


def judge_sources() -> list[str]:
    """The C files of the judge's extension, absolute, in a fixed order."""
    names = sorted(n for n in os.listdir(os.path.join(HERE, JUDGE)) if n.endswith(".c") and n != "_compare.c")
    return [os.path.join(HERE, JUDGE, name) for name in names]


def _run(command: list[str]) -> None:
    print(shlex.join(command), flush=True)
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        sys.exit(f"compiler {command[0]} not found; install gcc and libc6-dev, or set CC")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{command[0]} failed with status {error.returncode} on {command[-1]}")


def build(target: str, sanitize: bool = False) -> None:
    """Compile the executable to ``target``, mode 0755; a running copy of the old one is left in peace."""
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    # Renamed into place: writing over an executable that runs is ETXTBSY, and nobody may see half of one.
    part = f"{target}.{os.getpid()}.part"
    extra = [word for name in ("CFLAGS", "LDFLAGS") for word in shlex.split(os.environ.get(name, ""))]
    try:
        _run([*compiler(), *STRICT, *(SANITIZE if sanitize else SHIP), *extra, "-o", part, *sources()])
        os.chmod(part, 0o755)
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def check(compilers: list[str]) -> None:
    """Every source compiles without a warning, and the executable links, by each of ``compilers``."""
    with tempfile.TemporaryDirectory() as scratch:
        for cc in compilers:
            strict = [*shlex.split(cc), *STRICT, "-Werror", "-O2"]
            extensions = [os.path.join(HERE, NATIVE, name) for name in EXTENSION_SOURCES]
            for path in (*extensions, *judge_sources()):
                _run([*strict, "-c", "-o", os.path.join(scratch, "x.o"), path])
            _run([*strict, "-static", "-o", os.path.join(scratch, "x"), *sources()])


def main() -> None:
    parser = argparse.ArgumentParser(description="compile the native executable")
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build")
    builder.add_argument("--sanitize", action="store_true")
    builder.add_argument("-o", "--output", default=os.path.join(HERE, TARGET))
    checker = commands.add_parser("check")
    checker.add_argument("compilers", nargs="+", metavar="CC")
    checker.add_argument("--if-present", action="append", default=[], metavar="CC", help="use CC if it is installed")
    options = parser.parse_args()
    if options.command == "build":
        build(options.output, options.sanitize)
    else:
        check([*options.compilers, *filter(shutil.which, options.if_present)])


if __name__ == "__main__":
    main()
