"""``pysandbox judge calibrate PACKAGE``: prints what was measured, the limit, and where it goes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ..calibration import write
from ..calibration.calibrate import DEFAULT_CAP_NS, DEFAULT_RUNS, UPPER, Calibration, Timed, calibrate
from ..errors import JudgeError
from ..language import load
from ..problem.model import Problem
from ..report.live import Live
from ..report.table import console, emit
from ..report.text import clean, limit, seconds
from . import EXIT_BAD, EXIT_GOOD
from .files import Target
from .opened import problem_of


def main(values: dict[str, Any], words: list[str]) -> int:
    """0 if there is a limit that meets the rules, else 1."""
    with ExitStack() as stack:
        target = Target("--json", values.get("json"))
        stack.callback(target.close)
        if values.get("write") and not Path(words[0]).is_dir():
            raise JudgeError(f"{words[0]} is an archive and is not written; unpack it, or leave out --write")
        known = load(Path(values["languages"]) if values.get("languages") else None)
        problem = stack.enter_context(problem_of(words[0]))
        if values.get("write") and not write.place(problem):
            raise JudgeError(f"packages of the format {problem.format} have no place for a time limit")
        live = None if values.get("quiet") else stack.enter_context(Live())
        found = calibrate(
            problem, languages=known, runs=values.get("runs", DEFAULT_RUNS), cap_ns=values.get("time", DEFAULT_CAP_NS),
            listener=live,
        )  # fmt: skip
        if live is not None:
            live.close()
        good = found.limit_ns is not None and not found.errors
        if target.wanted:
            target.write(json.dumps(_plain(problem, found), indent=2) + "\n")
        if not target.is_stdout:
            show(problem, found)
        if values.get("write"):
            if not good:
                raise JudgeError("nothing is written: the rules are not met")
            path = write.write(problem, found.limit_ns or 0)
            if not target.is_stdout:
                print(f"written to {clean(str(path))}")
    return EXIT_GOOD if good else EXIT_BAD


def _plain(problem: Problem, found: Calibration) -> dict[str, Any]:
    return {"problem": problem.name, "format": problem.format, **asdict(found)}


def show(problem: Problem, found: Calibration) -> None:
    """The table, the limit, and what to write where."""
    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("submission", "language", "meant to be", "time", "spread", "slowest test"):
        table.add_column(heading, justify="right" if heading in ("time", "spread") else "left", overflow="fold")
    for one in found.timed:
        meant = "too slow" if one.role == UPPER else "in time"
        table.add_row(*(Text(clean(text)) for text in (
            one.name, one.language, meant, _time(one), _spread(one), one.test or one.fault
        )))  # fmt: skip
    emit(out, table)
    rule = found.rule
    if found.t_ac is not None and found.limit_ns is not None:
        print(
            f"slowest in time: {clean(found.t_ac.name)}, {seconds(found.t_ac.time_ns)}; times {rule.ac_to_limit:g}, "
            f"in steps of {limit(rule.resolution_ns)}: time limit {limit(found.limit_ns)}"
        )
    if found.given_ns is not None:
        print(f"the package has a time limit of its own: {limit(found.given_ns)}")
    for error in found.errors:
        print(f"error: {clean(error)}")
    if found.limit_ns is not None:
        print(_where(problem, found.limit_ns))


def _where(problem: Problem, limit_ns: int) -> str:
    value = write.number(limit_ns)
    where = write.place(problem)
    if where == "problem.yaml":
        return f"in problem.yaml (or with --write): limits: time_limit: {value}"
    if where:
        return f"in the file {where} (or with --write): {value}"
    return f"the format {problem.format} has no place for it; judge with --time {value}s"


def _time(one: Timed) -> str:
    return ("> " if one.beyond else "") + seconds(one.time_ns)


def _spread(one: Timed) -> str:
    return "-" if one.low_ns is None else f"{seconds(one.low_ns)} to {seconds(one.high_ns)}"
