"""What is printed: the table, the matrix, progress on a terminal and elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from judge.events import Began, Compiled, Ended, GroupEnded, TestEnded
from judge.report import matrix, table
from judge.report.live import Live
from judge.result import CompileFacts, GroupResult, SubmissionResult
from tests.judge.report import samples


def console(width: int = 100, **options: object) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False, **options)  # type: ignore[arg-type]


def text_of(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def play(listener: Live, result: SubmissionResult) -> None:
    """A judging's events."""
    with listener:
        listener(Began(samples.problem(len(result.tests)), result.submission, len(result.tests)))
        listener(Compiled(result.submission, result.language, result.compile))
        for group in result.root.children:
            assert isinstance(group, GroupResult)
            for test in group.tests():
                listener(TestEnded(result.submission, group.name, test))
            listener(GroupEnded(result.submission, group))
        listener(Ended(result))


def test_the_table() -> None:
    out = console()
    table.show(out, samples.problem(), [samples.right(), samples.wrong()])
    lines = text_of(out).splitlines()
    assert lines[0] == "sum (Sum of two): time limit 1 s, memory limit 256 MiB, 4 tests, format icpc-2025-09"
    assert lines[1].split() == ["submission", "language", "verdict", "tests", "time", "memory"]
    assert lines[2].split() == ["right.cpp", "cpp", "AC", "accepted", "4/4", "0.947", "s", "120", "MiB"]
    assert lines[3].split()[:6] == ["wrong.py", "python3", "WA", "wrong", "answer", "0/4"]
    assert "  secret/02: near the limit, run again alone 3 times: 0.930 s to 0.963 s" in lines
    assert "  sample/1: WA wrong answer: tokens, line 3, token 2" in lines
    assert "    + 4" in lines and "  note: the machine was busy" in lines
    assert all(line == line.rstrip() for line in lines)  # into a file without blanks at the end


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_control_character_reaches_a_terminal(width: int, terminal: bool) -> None:
    out = console(width, force_terminal=terminal, color_system=None)
    table.show(out, samples.problem(), [samples.broken(), samples.wrong()])
    matrix.show(out, samples.problem(), samples.jury([samples.broken(), samples.wrong()]))
    written = text_of(out)
    assert all(c.isprintable() or c == "\n" for c in written)
    assert "[bold]" in written.replace("\n", "").replace(" ", "")  # no markup is read out of it


def test_a_hostile_name_in_progress() -> None:
    out = console(80, force_terminal=False)
    play(Live(out), samples.broken())
    assert all(c.isprintable() or c == "\n" for c in text_of(out))


def test_lines_where_there_is_no_terminal() -> None:
    out = console(80)
    play(Live(out), samples.wrong())
    assert text_of(out).splitlines() == [
        "wrong.py: 4 tests of sum",
        "wrong.py: python3, ready",
        "wrong.py: sample: WA wrong answer, 0/1 tests, slowest 0.012 s",
        "wrong.py: secret: WA wrong answer, 0/3 tests, slowest 0.012 s",
        "wrong.py: WA wrong answer (sample/1: tokens, line 3, token 2)",
    ]


def test_lines_say_what_did_not_compile() -> None:
    out = console(80)
    with Live(out) as listener:
        listener(Compiled("x.c", "c", CompileFacts(False, "no")))
        listener(Compiled("y.c", "c", CompileFacts(False, fault="no compiler")))
        listener(Compiled("z.c", "c", CompileFacts(True, cached=True)))
    assert text_of(out).splitlines() == [
        "x.c: c, does not compile", "y.c: c, the compiler failed", "z.c: c, ready (from the cache)",
    ]  # fmt: skip


def test_bars_on_a_terminal() -> None:
    out = console(80, force_terminal=True, color_system=None)
    play(Live(out), samples.right())
    written = text_of(out)
    assert "━" in written and "sample" in written and "secret" in written and "3/3" in written
    assert written.rstrip().splitlines()[-1].endswith("right.cpp: AC accepted")
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1  # the cursor is there again


def test_a_narrow_terminal_has_no_bars() -> None:
    out = console(40, force_terminal=True, color_system=None)
    play(Live(out), samples.right())
    assert "━" not in text_of(out) and "3/3" in text_of(out)


def test_a_terminal_is_put_right_when_the_judging_is_cut_off() -> None:
    out = console(80, force_terminal=True, color_system=None)
    with pytest.raises(KeyboardInterrupt), Live(out) as listener:
        listener(Began(samples.problem(), "a.c", 4))
        raise KeyboardInterrupt
    assert text_of(out).count("\x1b[?25l") == text_of(out).count("\x1b[?25h") == 1


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    written = []
    for _ in range(2):
        out = table.console(io.StringIO())
        table.show(out, samples.problem(), [samples.wrong()])
        written.append(text_of(out))
        monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31mWA" in written[0]
    assert "WA wrong" in written[1] and "31m" not in written[1]


def test_the_matrix() -> None:
    out = console()
    matrix.show(out, samples.problem(), samples.jury([samples.right(), samples.right()]))
    lines = text_of(out).splitlines()
    assert lines[1].split() == ["submission", "expected", "got", "time", "sample", "secret"]
    assert lines[2].split() == [
        "submissions/right.cpp", "AC", "AC", "0.947", "s", "AC", "1/1", "AC", "3/3",
    ]  # fmt: skip
    assert lines[4].split() == ["not", "as"] and lines[5].split() == ["expected"]
    assert lines[6:] == ["submissions/right.cpp: expected WA, got AC", "1 of 2 submissions are as expected"]


def test_a_narrow_matrix_breaks_names_at_the_directory() -> None:
    out = console(80)
    matrix.show(out, samples.problem(), samples.jury([samples.right()]))
    assert text_of(out).splitlines()[2].split()[0] == "submissions/"
    assert text_of(out).splitlines()[3] == " right.cpp"


def test_no_column_is_left_out_where_there_are_many() -> None:
    one = samples.right()
    groups = tuple(GroupResult(f"secret/group{n:02}", one.verdict, children=(samples.test(f"secret/group{n:02}/1"),))
                   for n in range(30))  # fmt: skip
    out = console(80)
    matrix.show(out, samples.problem(), samples.jury([replace(one, root=replace(one.root, children=groups))]))
    assert sum(line.count("1/1") for line in text_of(out).splitlines()) == 30
