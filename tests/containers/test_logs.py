"""``pysandbox logs``: streams, times, tail, follow."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.logs import since_ns
from sandbox.containers.logs import Entry, _last
from sandbox.errors import RequestError
from tests.containers.started import Containers


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def test_logs(box: Containers) -> None:
    box.start("one", "sh", "-c", "echo a; echo oops >&2; printf b; sleep 0.2; echo c; printf end")
    done = box.words("logs", "-f", "one")  # until it has ended
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nbc\nend", "oops\n")
    assert box.ok("logs", "one") == "a\nbc\nend"
    assert box.ok("logs", "--tail", "2", "one") == "bc\nend"  # oops came before c
    stamped = box.words("logs", "-t", "one")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z "
    assert re.fullmatch(f"{stamp}a\n{stamp}bc\n{stamp}end", stamped.stdout), stamped.stdout
    assert re.fullmatch(f"{stamp}oops\n", stamped.stderr)
    assert box.ok("logs", "--since", "1h", "one") == "a\nbc\nend"
    time.sleep(0.01)
    assert box.ok("logs", "--since", "1ms", "one") == ""


@pytest.mark.parametrize("words", [[], ["nosuch"], ["a", "b"], ["--tail", "x", "a"]])
def test_logs_refuses(box: Containers, words: list[str]) -> None:
    done = box.words("logs", *words)
    assert done.returncode == 125 and done.stderr.count("\n") == 1


def test_since() -> None:
    assert since_ns("--since", "2026-01-31T12:00:00Z") == 1_769_860_800_000_000_000
    assert since_ns("--since", "2026-01-31T12:00:00.5+01:00") == 1_769_857_200_500_000_000
    assert abs(since_ns("--since", "10m") - time.time_ns() + 600_000_000_000) < 10_000_000_000
    for text in ("soon", "2026-13-01", ""):
        with pytest.raises(RequestError):
            since_ns("--since", text)


def test_last_lines_where_pieces_of_the_streams_are_mixed() -> None:
    def entry(stream: str, data: bytes) -> Entry:
        return Entry(stamp="", stream=stream, data=data)

    found = [entry("stdout", b"a\n"), entry("stdout", b"b"), entry("stderr", b"oops\n"), entry("stdout", b"c\n")]
    assert _last(found, 1) == [found[1], found[3]]
    assert _last(found, 2) == found[1:]
    assert (_last(found, 0), _last(found, 9)) == ([], found)
