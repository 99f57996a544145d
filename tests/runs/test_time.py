"""Acceptance line 3: time is measured over all processes, and nothing sleeps or stops its way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox import Result, run
from tests.slowness import SLOW

pytestmark = pytest.mark.v2

MS = 1_000_000
LIMIT_NS = 1_000 * MS
LATEST_NS = LIMIT_NS + 50 * MS * SLOW

Program = Callable[[str], str]


def cpu_of(attempt: Callable[[], Result]) -> int:
    """The CPU time of a run that ended by its CPU limit; the issue allows 1.00 to 1.05 s.

    Another load on the machine may keep the supervisor itself from running: the best of three counts,
    while the lower bound and the outcome hold for each.
    """
    best = 1 << 62
    for _ in range(3):
        result = attempt()
        assert (result.outcome, result.exit_status) == ("cpu_time", 124), result
        assert result.usage.cpu_ns is not None and result.usage.cpu_ns >= LIMIT_NS
        assert "cgroup" in result.usage.sources["cpu_ns"]
        best = min(best, result.usage.cpu_ns)
        if best <= LATEST_NS:
            break
    return best


@pytest.mark.parametrize("way", [("one",), ("threads", "8"), ("forks", "8")], ids=lambda way: way[0])
def test_cpu_spin_ends_between_1_00_and_1_05_s(way: tuple[str, ...], program: Program) -> None:
    assert cpu_of(lambda: run([program("spin"), *way], time=1, wall=20 * SLOW)) <= LATEST_NS


def test_cpu_spin_through_the_command_line(judged: Callable[..., object], program: Program) -> None:
    got = judged("--time", "500ms", "--", program("spin"), "one")
    assert (got.outcome, got.code) == ("cpu_time", 124)  # type: ignore[attr-defined]
    assert got.usage.cpu_ns >= 500 * MS  # type: ignore[attr-defined]


def test_cpu_time_of_orphans_in_other_sessions_counts(program: Program) -> None:
    # Two sessions away from the shell, whose own CPU time stays near 0 while it sleeps.
    text = "(setsid setsid -f /app/spin one &); exec sleep 30"
    result = run(["sh", "-c", text], volumes=[f"{program('spin')}:/app/spin"], time="300ms", wall=20 * SLOW)
    assert result.outcome == "cpu_time"


def test_sleeping_ends_by_wall_time_as_idle(judged: Callable[..., object]) -> None:
    got = judged("--wall", "1s", "--", "sleep", "30")
    assert got.outcome in ("idle", "wall_time") and got.code == 124  # type: ignore[attr-defined]
    assert 1_000 * MS <= got.usage.wall_ns < 1_000 * MS + 500 * MS * SLOW  # type: ignore[attr-defined]


def test_spinning_ends_by_wall_time_and_is_not_idle(program: Program) -> None:
    result = run([program("spin"), "one"], wall="500ms", time=30)
    assert (result.outcome, result.exit_status) == ("wall_time", 124)


def test_wall_time_without_a_cgroup(program: Program) -> None:
    result = run([program("spin"), "one"], wall="500ms", cgroup="none")
    assert (result.outcome, result.exit_status) == ("wall_time", 124), result
    assert result.usage.wall_ns is not None and 500 * MS <= result.usage.wall_ns < 500 * MS + 500 * MS * SLOW
    assert result.usage.cpu_ns is not None and result.usage.cpu_ns > 200 * MS


@pytest.mark.parametrize("cgroup", ["auto", "none"])
def test_sigstop_of_itself_does_not_escape(cgroup: str) -> None:
    result = run(["sh", "-c", "kill -STOP $$; exit 0"], wall="500ms", cgroup=cgroup)
    assert result.outcome in ("idle", "wall_time") and result.exit_status == 124, result


def test_sigstop_of_a_whole_group_does_not_escape() -> None:
    result = run(["sh", "-c", "sleep 60 & sleep 60 & kill -STOP 0; wait"], wall="500ms", mem="64M")
    assert result.exit_status == 124


def test_idle_ends_a_sleeper_and_spares_a_worker(program: Program) -> None:
    sleeper = run(["sleep", "30"], idle="500ms", wall=20 * SLOW)
    assert (sleeper.outcome, sleeper.exit_status) == ("idle", 124), sleeper
    assert sleeper.usage.wall_ns is not None and 500 * MS <= sleeper.usage.wall_ns < 500 * MS + 1_500 * MS * SLOW
    worker = run([program("spin"), "one"], idle="500ms", time=1, wall=20 * SLOW)
    assert worker.outcome == "cpu_time"


def test_a_program_within_its_limits_is_left_alone() -> None:
    result = run(["sh", "-c", "sleep 0.2; exit 0"], time=1 * SLOW, wall=5 * SLOW, idle=2 * SLOW)
    assert result.ok and not result.causes


def test_deadline_of_a_program_that_ignores_signals() -> None:
    result = run(["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"], wall="300ms")
    assert result.exit_status == 124


def test_throttled_program_still_dies_at_once(program: Program) -> None:
    result = run([program("spin"), "threads", "8"], cpus="0.05", wall="500ms")
    assert result.exit_status == 124
    assert result.usage.wall_ns is not None and result.usage.wall_ns < 500 * MS + 1_000 * MS * SLOW
    assert result.usage.throttled_ns is not None and result.usage.throttled_ns > 0
    assert result.usage.cpu_ns is not None and result.usage.cpu_ns < 250 * MS
