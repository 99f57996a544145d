"""Acceptance line 2 and part of 4: memory is bounded, and the outcome is what the cgroup counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import Result, run
from tests.slowness import SLOW

pytestmark = pytest.mark.v2

MIB = 1 << 20
LIMIT = 64 * MIB
# memory.max_usage of v1 is charged in batches a CPU (MEMCG_CHARGE_BATCH is 64 pages).
SLACK = MIB

Judged = Callable[..., SimpleNamespace]
Program = Callable[[str], str]


def assert_memory(result: Result) -> None:
    usage = result.usage
    assert result.outcome == "memory", result
    assert result.exit_status == 137
    assert usage.oom_kills is not None and usage.oom_kills >= 1
    assert usage.memory_peak_bytes is not None and 0.5 * LIMIT <= usage.memory_peak_bytes <= LIMIT + SLACK
    assert "cgroup" in usage.sources["memory_peak_bytes"]
    assert "cgroup" in usage.sources["oom_kills"]
    assert "cgroup" in result.enforced["mem"]


def test_bytearray_beyond_the_limit_is_memory_and_137(judged: Judged) -> None:
    got = judged("--mem", "64M", "--", "python3", "-c", "b=bytearray(512<<20)")
    assert (got.outcome, got.code) == ("memory", 137)
    assert got.usage.oom_kills >= 1
    assert got.usage.memory_peak_bytes <= LIMIT + SLACK
    assert "cgroup" in got.usage.sources["memory_peak_bytes"]
    assert "memory" in got.said


@pytest.mark.parametrize("way", ["heap", "child", "many", "memfd"])
def test_memory_of_any_process_and_kind_ends_as_memory(way: str, program: Program) -> None:
    assert_memory(run([program("eater"), way, "512"], mem="64M", wall=20 * SLOW))


def test_child_killed_while_the_main_process_exits_0_still_counts(program: Program) -> None:
    result = run([program("eater"), "child", "512"], mem="64M", wall=20 * SLOW)
    assert_memory(result)
    assert result.exit_code in (0, None)  # None: our kill was faster than its exit
    assert not result.ok


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/work", "/scratch"])
def test_memory_in_tmpfs_is_charged_and_ends_as_memory(place: str) -> None:
    result = run(
        ["dd", "if=/dev/zero", f"of={place}/hoard", "bs=1M", "count=256"],
        mem="64M", disk="512M", tmpfs=["/scratch:512M"], wall=20 * SLOW,
    )  # fmt: skip
    assert_memory(result)


def test_filling_the_page_cache_up_to_the_limit_is_no_memory_outcome(disk_dir: Path) -> None:
    result = run(
        ["dd", "if=/dev/zero", "of=/share/big", "bs=1M", "count=160"],
        mem="64M", volumes=[f"{disk_dir}:/share:rw"], wall=60 * SLOW,
    )  # fmt: skip
    assert result.ok, result
    assert (disk_dir / "big").stat().st_size == 160 * MIB
    assert result.usage.oom_kills == 0
    # Or the test would prove nothing: the limit was reached, by page cache.
    assert result.usage.memory_peak_bytes is not None and result.usage.memory_peak_bytes > 0.9 * LIMIT


def test_a_kill_by_itself_is_no_memory_outcome(program: Program) -> None:
    result = run([program("die"), "kill"], mem="64M")
    assert (result.outcome, result.signal, result.exit_status) == ("signaled", 9, 137)
    assert result.usage.oom_kills == 0


def test_a_refused_allocation_is_the_programs_own_affair(python_program: Callable[..., Result]) -> None:
    text = "import sys\ntry: bytearray(1 << 62)\nexcept MemoryError: sys.exit(5)"
    result = python_program(text, mem="64M")
    assert (result.outcome, result.exit_code) == ("exited", 5)


def test_what_fits_is_not_killed(program: Program) -> None:
    result = run([program("eater"), "heap", "40"], mem="64M")
    assert result.ok
    assert result.usage.memory_peak_bytes is not None and 40 * MIB <= result.usage.memory_peak_bytes <= LIMIT


def test_swap_is_no_way_out(program: Program) -> None:
    result = run([program("eater"), "heap", "512"], mem="64M")
    assert "swap" in result.enforced
    assert_memory(result)


def test_the_next_run_starts_with_clean_counters(program: Program) -> None:
    assert_memory(run([program("eater"), "heap", "512"], mem="64M"))
    result = run(["true"], mem="64M")
    assert result.ok and result.usage.oom_kills == 0
    assert result.usage.memory_peak_bytes is not None and result.usage.memory_peak_bytes < 16 * MIB
