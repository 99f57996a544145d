"""The native comparison under the sanitizers, on random outputs and windows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[2] / "judge" / "native"


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("compare") / "harness"
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g",
               "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{NATIVE}", "-o", str(target),
               str(HERE / "compare_harness.c")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return target


def test_random_outputs_through_random_windows(harness: Path) -> None:
    done = subprocess.run([harness, "7", "60000"], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    rounds, equal = map(int, done.stdout.split())
    assert rounds == 60_000 and 10_000 < equal < 50_000, "it must see both"


def test_the_sum_is_siphash() -> None:
    """Of one piece it is SipHash-2-4 with 128 bits: vectors_sip128 of the authors' reference code, key 00 to 0f."""
    from judge.native._compare import ffi, lib

    def hashed(message: bytes) -> bytes:
        state = ffi.new("struct jc_sum *")
        state.by = lib.JC_BY_TOKEN
        state.key[0], state.key[1] = 0x0706050403020100, 0x0F0E0D0C0B0A0908
        lib.jc_sum_start(state)
        lib.jc_sum_add(state, message, len(message))
        lib.jc_sum_end(state)
        assert state.pieces == 1
        return b"".join(int(half).to_bytes(8, "little") for half in state.sum)

    assert hashed(b"\0").hex() == "da87c1d86b99af44347659119b22fc45"
