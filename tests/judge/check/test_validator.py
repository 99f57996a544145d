"""Output validators: how they are called, what their exit code and feedback directory mean, and bad ones."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from judge import safe
from judge.check import check_all, feedback
from judge.facts import ACCEPT, FAULT, PARTIAL, REJECT
from judge.problem.model import MIB, SECOND, Checker, Test
from sandbox import Sandbox
from tests.judge.check.conftest import LIMITS, Checked, memfd, script

ECHO = 'printf "%s|" "$@" >"$3judgemessage.txt"; { cat "$1" "$2"; cat; } >>"$3judgemessage.txt"; exit 42'


def test_call(checked: Checked, test_of: Test) -> None:
    test = replace(test_of, checker_args=("flag", "with space"))
    facts = checked("validator", ECHO, b"the output\n", test=test).facts
    assert facts.outcome == ACCEPT
    assert facts.message == "/data/input|/data/answer|/feedback/|flag|with space|the input\n42\nthe output"
    assert facts.run is not None and facts.run.exit_code == 42 and facts.run.limits.memory_bytes == 64 * MIB


def test_without_an_answer_it_finds_an_empty_file(checked: Checked, test_of: Test) -> None:
    facts = checked("validator", ECHO, b"x", test=replace(test_of, answer=None)).facts
    assert facts.message == "/data/input|/dev/null|/feedback/|the input\nx"


@pytest.mark.parametrize(
    ("text", "outcome", "by"),
    [
        ("exit 42", ACCEPT, "validator: exit code 42"),
        ("exit 43", REJECT, "validator: exit code 43"),
        ("exit 0", FAULT, "validator: exit code 0"),
        ("exit 1", FAULT, "validator: exit code 1"),
        ("echo the reason >&2; exit 44", FAULT, "validator: exit code 44"),
        ("kill -SEGV $$", FAULT, "validator: signaled, signal 11"),
        ("while :; do :; done", FAULT, "validator: cpu_time, signal 9"),
        ("sleep 60", FAULT, "validator: idle, signal 9"),
        ("a=0123456789abcdef; while :; do a=$a$a; done", FAULT, "validator: memory, signal 9"),
        ("while :; do echo 0123456789abcdef; done", FAULT, "validator: output, signal 9"),
    ],
)
def test_exit(checked: Checked, text: str, outcome: str, by: str) -> None:
    limits = replace(LIMITS, validation_time_ns=SECOND // 4)
    if "a=$a" in text:
        limits = replace(LIMITS, validation_time_ns=5 * SECOND, validation_memory_bytes=16 * MIB)
    facts = checked("validator", text, limits=limits).facts
    assert (facts.outcome, facts.by) == (outcome, by), facts
    if "reason" in text:
        assert "the reason" in facts.message


def test_it_cannot_change_or_see_what_is_not_its_own(checked: Checked, test_of: Test, tmp_path: Path) -> None:
    (tmp_path / "2.ans").write_text("another test")
    text = f"""
        echo x 2>/dev/null >>"$1" && exit 1
        echo x 2>/dev/null >>"$2" && exit 2
        echo x 2>/dev/null >>/submission/run.sh && exit 3
        ls {tmp_path} 2>/dev/null && exit 4
        test "$(ls /data)" = "answer
input" || exit 5
        exit 42"""
    assert checked("validator", text).facts.by == "validator: exit code 42"
    assert test_of.input.read_bytes() == b"the input\n"


def test_messages_are_capped_and_harmless(checked: Checked, tmp_path: Path) -> None:
    text = r"""printf 'one\ntwo\033[2J\000\377' >"$3judgemessage.txt"; printf hello >"$3teammessage.txt"
               printf older >"$3judgeerror.txt"; printf '3 17' >"$3diffposition.txt"; exit 43"""
    facts = checked("validator", text).facts
    assert facts.message == "one\ntwo\\x1b[2J\\x00\\xff\nolder"
    assert facts.team_message == "hello" and facts.where == "byte 18 of the output"
    (tmp_path / "feedback/judgeerror.txt").unlink()
    facts = checked("validator", 'head -c 900000 /dev/zero | tr "\\0" x >"$3judgemessage.txt"; exit 43').facts
    assert len(facts.message) < 5000 and facts.message.endswith("...")


@pytest.mark.parametrize(
    ("files", "code", "strict", "expected"),
    [
        ("", 42, True, (ACCEPT, None, None)),
        ("score.txt=7.5", 42, True, (PARTIAL, None, 7.5)),
        ("score.txt=10", 42, True, (ACCEPT, None, 10.0)),
        ("score.txt=10.5", 42, True, (FAULT, None, None)),
        ("score.txt=10.5", 42, False, (ACCEPT, None, 10.5)),
        ("score.txt=-1", 42, True, (FAULT, None, None)),
        ("score.txt=-1", 42, False, (PARTIAL, None, -1.0)),
        ("score.txt=nan", 42, False, (FAULT, None, None)),
        ("score.txt=1e999", 42, False, (FAULT, None, None)),
        ("score.txt=", 42, False, (FAULT, None, None)),
        ("score.txt=7 8", 42, False, (FAULT, None, None)),
        ("score_multiplier.txt=.25", 42, True, (PARTIAL, 0.25, None)),
        ("score_multiplier.txt=1", 42, True, (ACCEPT, 1.0, None)),
        ("score_multiplier.txt=0", 42, True, (PARTIAL, 0.0, None)),
        ("score_multiplier.txt=1.01", 42, False, (FAULT, None, None)),
        ("score.txt=1, score_multiplier.txt=1", 42, False, (FAULT, None, None)),
        ("score.txt=5", 43, True, (FAULT, None, None)),
        ("score.txt=5", 43, False, (REJECT, None, None)),
        ("score_multiplier.txt=0", 43, True, (FAULT, None, None)),
    ],
)
def test_scores(checked: Checked, test_of: Test, files: str, code: int, strict: bool, expected: tuple[object]) -> None:
    lines = []
    for pair in filter(None, files.split(", ")):
        name, _, value = pair.partition("=")
        lines.append(f"""printf '%s\\n' '{value}' >"$3{name}" """)
    facts = checked("validator", "\n".join([*lines, f"exit {code}"]), test=replace(test_of, points=10.0),
                    strict_scores=strict).facts  # fmt: skip
    assert (facts.outcome, facts.multiplier, facts.score) == expected, facts


@pytest.mark.parametrize(("code", "outcome"), [(42, ACCEPT), (43, REJECT)])
@pytest.mark.parametrize("value", ["7.5", "-1", "11"])
def test_a_sample_has_no_score(checked: Checked, test_of: Test, code: int, outcome: str, value: str) -> None:
    text = f"""printf '%s\\n' '{value}' >"$3score.txt"\nexit {code}"""
    facts = checked("validator", text, test=replace(test_of, points=10.0, sample=True), strict_scores=True).facts
    assert (facts.outcome, facts.score) == (outcome, None), facts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('ln -s /etc/passwd "$3judgemessage.txt"', "a symbolic link"),
        ('ln -s "$2" "$3judgemessage.txt"', "a symbolic link"),
        ('mkfifo "$3judgemessage.txt"', "a FIFO"),
        ('mkdir "$3score.txt"', "a directory"),
        ('echo 1 >"$3score.txt"; chmod 0 "$3score.txt"', "Permission denied"),
        ('ln -s /etc/passwd "$3score.txt"', "a symbolic link"),
        ('head -c 5000 /dev/zero >"$3score.txt"', "longer than 1024 bytes"),
    ],
)
def test_a_feedback_directory_with_traps(checked: Checked, text: str, why: str) -> None:
    facts = checked("validator", f"{text}; exit 42").facts
    assert facts.outcome == FAULT and why in facts.message, facts
    assert "root" not in facts.message


def test_a_file_beyond_the_validation_output_ends_it(checked: Checked, tmp_path: Path) -> None:
    facts = checked("validator", 'exec dd if=/dev/zero of="$3big" bs=1M count=100 2>/dev/null').facts
    assert (facts.outcome, facts.by) == (FAULT, "validator: signaled, signal 25")
    assert (tmp_path / "feedback" / "big").stat().st_size <= MIB


def test_multi_pass(checked: Checked, tmp_path: Path) -> None:
    text = """read -r x
        echo "pass $x" >>"$3judgemessage.txt"
        test -e "$3nextpass.in" && exit 1
        test "$x" -lt 3 && echo "$((x + 1))" >"$3nextpass.in"
        exit 42"""
    outcome = checked("validator", text, b"1\n", multi_pass=True)
    assert outcome.facts.outcome == ACCEPT and outcome.next_pass == tmp_path / "feedback"
    fd = feedback.open_next(outcome.next_pass, limit_bytes=100)
    outcome = checked("validator", text, os.read(fd, 100), multi_pass=True)
    assert outcome.next_pass is not None
    assert os.pread(fd, 100, 0) == b"2\n", "an open fd stays good"
    os.close(fd)
    outcome = checked("validator", text, b"3\n", multi_pass=True)
    assert outcome.next_pass is None
    assert outcome.facts.message == "pass 1\npass 2\npass 3", "the directory persists"
    assert checked("validator", text, b"1\n").next_pass is None, "not a multi-pass problem"


def test_a_next_pass_beside_a_rejection_is_a_fault(checked: Checked) -> None:
    text = 'echo >"$3nextpass.in"; exit 43'
    assert checked("validator", text, multi_pass=True).facts.outcome == FAULT
    assert checked("validator", text).facts.outcome == REJECT


@pytest.mark.parametrize("trap", ["ln -s /etc/passwd", "mkfifo", "mkdir", "head -c 200 /dev/zero >"])
def test_an_input_for_the_next_pass_that_is_a_trap(checked: Checked, trap: str) -> None:
    outcome = checked("validator", f'{trap} "$3nextpass.in"; exit 42', multi_pass=True)
    assert outcome.next_pass is not None
    with pytest.raises(safe.UnsafeFile):
        feedback.open_next(outcome.next_pass, limit_bytes=100)
    # and it does not stop the next one from being prepared
    feedback.prepare(outcome.next_pass)
    assert not os.path.lexists(outcome.next_pass / "nextpass.in")


def test_all_must_accept(box: Sandbox, test_of: Test, tmp_path: Path) -> None:
    programs = []
    for number, code in enumerate((42, 42, 43, 1)):
        where = tmp_path / str(number)
        where.mkdir()
        programs.append((Checker("validator"), script(where, f'echo {number} >"$3judgemessage.txt"; exit {code}')))
    fd = memfd(b"42")

    def said(*numbers: int) -> tuple[str, str]:
        facts = check_all([programs[n] for n in numbers], test_of, fd, box=box, limits=LIMITS,
                          feedback=tmp_path / "".join(map(str, ("f", *numbers)))).facts  # fmt: skip
        return facts.outcome, facts.message

    assert said(0)[0] == ACCEPT
    assert said(0, 1) == (ACCEPT, "1")
    assert said(0, 2, 3) == (REJECT, "2")
    assert said(3, 2) == (FAULT, "neither 42 nor 43")
    (tmp_path / "f01").rename(tmp_path / "elsewhere")
    (tmp_path / "f01").symlink_to("elsewhere")
    assert said(0, 1)[0] == FAULT, "a link in place of the directory"
    mixed = [(Checker("tokens"), None), programs[2]]
    assert check_all(mixed, test_of, fd, box=box, limits=LIMITS, feedback=tmp_path / "t").facts.outcome == REJECT
    os.close(fd)


def test_a_feedback_directory_that_another_program_bent(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "feedback").symlink_to("elsewhere")
    facts = checked("validator", 'echo x >"$3judgemessage.txt"; exit 42').facts
    assert facts.outcome == FAULT and not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "feedback").unlink()
    (tmp_path / "feedback").touch()
    assert checked("validator", "exit 42").facts.outcome == FAULT
