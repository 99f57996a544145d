"""Whatever is done to a good package: it is read, or there are faults. Nothing else ever comes out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.problem.opening import inspect
from tests.judge.problem.packages import DRAFT, LEGACY, SCORED, UUID, Files, errors, write

RICH_LEGACY: Files = {
    **LEGACY,
    "problem.yaml": "name: Sum\ntype: scoring\nvalidation: custom score\nvalidator_flags: a b\nlimits:\n  memory: 512\n"
                    "grading:\n  objective: max\n  range: 0 100\n",
    "data/testdata.yaml": "on_reject: continue\nrange: 0 100\ngrader_flags: ignore_sample sum\n",
    "data/secret/g/testdata.yaml": "grader_flags: min\naccept_score: 40\noutput_validator_flags: {name: v, flags: x}\n",
    "data/secret/g/1.in": "", "data/secret/g/1.ans": "", "output_validators/v.py": "", "graders/g.py": "",
    "domjudge-problem.ini": "timelimit = 2\nname='x'\n", ".timelimit": "2", "include/cpp/a.h": "",
    "submissions/mixed/a.py": "# @EXPECTED_RESULTS@: CORRECT, WRONG-ANSWER\n",
}  # fmt: skip
RICH_CURRENT: Files = {
    **SCORED,
    "problem.yaml": f"problem_format_version: 2025-09\nname: {{en: Sum}}\nuuid: {UUID}\ntype: [scoring]\nlimits:\n"
                    "  time_multipliers: {ac_to_time_limit: 2}\n  time_resolution: 0.5\nlanguages: [python3, cpp]\n"
                    "constants: {most: 3}\ncredits: {authors: [A, {name: B}]}\nsource: [{name: X}]\n",
    "output_validator/v.py": "{{most}}",
    "data/secret/1/a.yaml": "args: [a]\noutput_validator_args: [b]\n", "data/secret/1/a.files/f": "",
    "submissions/submissions.yaml": "accepted/{sum,x}.py:\n  permitted: [AC]\n  secret/1: {score: [1, 2]}\nx: {}\n",
}  # fmt: skip
PLAIN: Files = {"1.in": "", "1.ans": "", "g/input1.txt": "", "g/output1.txt": "", "s/input/a": "", "s/output/a": ""}
PACKAGES: dict[str, Files] = {
    "legacy": RICH_LEGACY, "current": RICH_CURRENT,
    "draft": {**DRAFT, "data/testdata.yaml": "on_reject: break\n"}, "plain": PLAIN,
}  # fmt: skip

EVIL = (
    b"[]", b"{}", b"[[1]]", b"{a: b}", b"~", b"-1", b"0", b"1e999", b".nan", b"yes", b"''", b"x: y", b"- a\n- b",
    b"&a [*a]", b"*x", b"!!set {a}", b"\xff", b"\x00", b"\t", b": ", b"{{most}}", b"{" * 40, b"a{b,c}" * 20,
    b"9" * 5000, b"2024-99-99", b"1:60", b"0x", b"?", b"---\n", b"float_tolerance", b"<<: {}", b"\n",
    b'"', b"secret/1", b"*",
)  # fmt: skip
NAMES = (
    ".in",
    "test_group.yaml",
    "testdata.yaml",
    "1",
    "a.files",
    "\u00e9",
    "x.in",
    "-",
    "a b",
    "\x01",
    "secret",
    "n" * 255,
)

Step = tuple[str, int, int, int]
KINDS = ("value", "insert", "cut", "delete", "rename", "link", "copy", "fifo", "directory", "unreadable")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 1000), st.integers(0, 10_000), st.integers(0, 1000),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def change(root: Path, step: Step) -> None:
    """One thing that goes wrong with one file of the package."""
    what, which, where, how = step
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and os.access(p, os.R_OK))
    # Half of the steps go to what is parsed: it is a small part of the files.
    parsed = [p for p in files if p.suffix in (".yaml", ".ini") or p.name == ".timelimit"]
    chosen = parsed if parsed and which % 2 and what in ("value", "insert", "cut") else files
    if not chosen:
        return
    path = chosen[which % len(chosen)]
    data = path.read_bytes()
    place, evil, name = where % (len(data) + 1), EVIL[how % len(EVIL)], NAMES[how % len(NAMES)]
    if what == "value":
        lines = data.split(b"\n")
        line = where % len(lines)
        lines[line] = lines[line].partition(b":")[0] + b": " + evil
        path.write_bytes(b"\n".join(lines))
    elif what == "insert":
        path.write_bytes(data[:place] + evil + data[place:])
    elif what == "cut":
        path.write_bytes(data[:place] + data[place + how % 20 :])
    elif what == "unreadable":
        path.chmod(0)
    elif what == "copy":
        target = path.parent / name
        if not target.exists() and not target.is_symlink():
            target.write_bytes(data)
    elif what == "rename":
        target = root / files[where % len(files)].relative_to(root).parent / name
        if not target.exists() and not target.is_symlink():
            path.rename(target)
    else:
        path.unlink()
        if what == "link":
            path.symlink_to((files[where % len(files)], "/etc/passwd", "..", "/", path.name)[how % 5])
        elif what == "fifo":
            os.mkfifo(path)
        elif what == "directory":
            path.mkdir()


@pytest.mark.parametrize("kind", PACKAGES)
@settings(
    max_examples=120, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip
@given(steps=STEPS)
def test_a_broken_package_gives_faults_and_never_an_exception(kind: str, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory(prefix="broken-") as place:
        root = write(Path(place) / "sum", PACKAGES[kind])
        for step in steps:
            change(root, step)
        problem, faults = inspect(root, into=write(Path(place) / "into", {"x": None}))
        assert problem is not None or any(fault.severity == "error" for fault in faults)
        for fault in faults:
            assert str(fault).isprintable(), fault
            assert fault.file and not fault.file.startswith("/") and place not in str(fault)
            assert fault.line >= 0 and len(str(fault)) < 2000
        if problem is not None:
            for test in problem.tests:
                assert root.resolve() in test.input.parents, "an input outside of the package"


@pytest.mark.parametrize("kind", PACKAGES)
def test_they_are_good_before(tmp_path: Path, kind: str) -> None:
    assert errors(tmp_path, PACKAGES[kind]) == []
