"""``calibrate --write``: the limit into the package's own file, and every other byte of it as it was.

2025-09 and the draft have it in problem.yaml (limits: time_limit). The legacy format has no place for it; DOMjudge and
problemtools keep it in a file called .timelimit.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import yaml

from ..errors import JudgeError
from ..problem.model import SECOND, Problem

_LIMITS = re.compile(r"limits[ \t]*:(?P<rest>[^\n]*)")
_TIME_LIMIT = re.compile(r"(?P<head>[ \t]+time_limit[ \t]*:[ \t]*)(?P<value>[^ \t#\r\n]+)(?P<tail>.*)", re.DOTALL)
_CHILD = re.compile(r"(?P<indent>[ \t]+)[^ \t#\r\n]")


def number(limit_ns: int) -> str:
    """Seconds, as both files have them: ``2``, ``0.5``."""
    return f"{limit_ns / SECOND:.9f}".rstrip("0").rstrip(".")


def place(problem: Problem) -> str:
    """Where the limit is written, relative to the package; "" if the format has no place for it."""
    return {"icpc-2025-09": "problem.yaml", "icpc-draft": "problem.yaml", "icpc-legacy": ".timelimit"}.get(
        problem.format, ""
    )


def write(problem: Problem, limit_ns: int) -> Path:
    """Write it; the file that has changed. Raises JudgeError."""
    name = place(problem)
    if not name:
        raise JudgeError(f"packages of the format {problem.format} have no place for a time limit; give it with --time")
    path = problem.root / name
    if path.is_symlink():
        raise JudgeError(f"{name} is a symbolic link and is not written through")
    try:
        if name == ".timelimit":
            _replace(path, number(limit_ns) + "\n")
        else:
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
            _replace(path, with_limit(text, limit_ns))
    except OSError as error:
        raise JudgeError(f"{name}: cannot be written: {error.strerror}") from None
    return path


def with_limit(text: str, limit_ns: int) -> str:
    """problem.yaml with ``limits: time_limit``. Raises JudgeError where that line has to be written by a person."""
    value = number(limit_ns)
    new = _edited(text, value)
    if new is None or not _only_that(text, new, value):
        raise JudgeError(f"problem.yaml is written in a way that cannot be edited; write limits: time_limit: {value}")
    return new


def _edited(text: str, value: str) -> str | None:
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    head = next((n for n, line in enumerate(lines) if _LIMITS.match(line)), None)
    if head is None:
        last = "" if not text or text.endswith("\n") else end
        return f"{text}{last}limits:{end}  time_limit: {value}{end}"
    found = _LIMITS.match(lines[head])
    rest = found["rest"].strip() if found else ""
    if rest and not rest.startswith("#"):
        return None  # in flow style, or no mapping
    indent = ""  # of the keys of limits
    for number_, line in enumerate(lines[head + 1 :], head + 1):
        if line.strip() and not line.startswith((" ", "\t", "#")):
            break
        child = _CHILD.match(line)
        if child is None:
            continue
        indent = indent or child["indent"]
        limit = _TIME_LIMIT.match(line)
        if limit is not None and child["indent"] == indent:
            lines[number_] = f"{limit['head']}{value}{limit['tail']}"
            return "".join(lines)
    if not lines[head].endswith("\n"):
        lines[head] += end
    lines.insert(head + 1, f"{indent or '  '}time_limit: {value}{end}")
    return "".join(lines)


def _only_that(old: str, new: str, value: str) -> bool:
    """Is the new text the old one but for the limit, as YAML sees it?"""
    try:
        before, after = yaml.safe_load(old), yaml.safe_load(new)
    except yaml.YAMLError:
        return False
    before = {} if before is None else before  # an empty file
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    limits = before.get("limits")
    wanted = {**before, "limits": {**(limits if isinstance(limits, dict) else {}), "time_limit": float(value)}}
    return bool(after == wanted)


def _replace(path: Path, text: str) -> None:
    """All or nothing: a new file takes the old one's name and mode."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    fd, made = tempfile.mkstemp(dir=path.parent, prefix=".pysandbox-")
    try:
        with open(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise
