"""The C core under a stern compiler, for both machines; and filters for both."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from sandbox.seccomp import ARCHES, filter_for

TREE = Path(__file__).resolve().parent.parent.parent
GENERATED = ("_core.c", "_compare.c")
SOURCES = sorted(
    str(path.relative_to(TREE))
    for package in ("sandbox", "judge")
    for path in (TREE / package / "native").glob("*.c")
    if path.name not in GENERATED
)
COMPILERS = ("x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc")

# More than setup.py asks for; all of it is clean, so all of it is kept clean.
STERN = (
    "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
    "-Wformat=2", "-Wcast-align", "-Wwrite-strings", "-Wpointer-arith", "-Wundef", "-Wvla", "-Werror", "-O2",
)  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_warning(compiler: str, source: str, tmp_path: Path) -> None:
    command = [compiler, *STERN, "-c", "-o", str(tmp_path / "x.o"), str(TREE / source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("policy", ["default", "strict"])
@pytest.mark.parametrize("arch", ARCHES)
def test_filters_for_both_machines(arch: str, policy: str) -> None:
    """Each begins with the check of its own machine's token, and is no copy of the other's."""
    tokens = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
    program = filter_for(policy, arch).program
    assert program is not None and len(program) % 8 == 0
    jumps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    assert jumps[0] == (0x20, 0, 0, 4)  # load seccomp_data.arch
    assert jumps[1][0] == 0x15 and jumps[1][3] == tokens[arch]
    assert program != filter_for(policy, next(a for a in ARCHES if a != arch)).program
