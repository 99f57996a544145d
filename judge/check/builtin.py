"""The comparisons that need no program: "tokens", "exact" and "lines".

An output is bytes and is never held as a whole: 100 MB cost as much memory as 1 KB.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..facts import ACCEPT, FAULT, PRESENTATION, REJECT, CheckFacts
from ..native._compare import ffi, lib
from ..problem.model import Checker
from ..safe import UnsafeFile, open_regular
from . import lines, options
from .visible import visible
from .windows import Truncated, place, token_at, walk

KINDS = ("tokens", "exact", "lines")


def compare(checker: Checker, output_fd: int, answer: Path | None, flags: tuple[str, ...] = ()) -> CheckFacts:
    """Compare an output with an answer. ``output_fd``: a regular file or memfd, read by pread from its start.

    Never raises for what the output holds; a package that asks for the impossible is a FAULT.
    """
    try:
        if answer is None:
            raise options.OptionError("the test has no answer file")
        fd = open_regular(answer)
    except (options.OptionError, UnsafeFile, OSError) as error:
        return CheckFacts(FAULT, checker.kind, message=f"answer: {error}")
    try:
        if checker.kind == "tokens":
            return tokens(options.tokens(checker.options, flags), output_fd, fd)
        if checker.kind == "exact":
            return exact(options.exact(checker.options, flags), output_fd, fd)
        if checker.kind == "lines":
            return lines.compare(options.lines(checker.options, flags), output_fd, fd)
        raise options.OptionError(f"no built-in checker {checker.kind!r}")
    except options.OptionError as error:
        return CheckFacts(FAULT, checker.kind, message=str(error))
    except Truncated:
        return CheckFacts(FAULT, checker.kind, message="a file became shorter while it was read")
    finally:
        os.close(fd)


def tokens(wanted: options.Tokens, output: int, answer: int) -> CheckFacts:
    """The default output validator of the problem package format (2025-09, Default output validator specification).

    A number has the format's grammar (no nan, no inf), is finite as a double and has at most 1,024 characters; all
    else is text.
    """
    by = _named(wanted)
    state = _state(wanted)
    said = walk(lib.jc_tokens, state, output, answer)
    if said == lib.JC_EQUAL:
        return CheckFacts(ACCEPT, by)
    white = said == lib.JC_WHITE
    if white and wanted.presentation:
        loose = _state(wanted, lib.JC_CASE * wanted.case_sensitive)
        white = walk(lib.jc_tokens, loose, output, answer) == lib.JC_EQUAL
        return _differs(PRESENTATION if white else REJECT, by, said, state, output, answer)
    return _differs(REJECT, by, said, state, output, answer)


def exact(wanted: options.Exact, output: int, answer: int) -> CheckFacts:
    """Byte by byte."""
    by = "exact, trailing white space ignored" if wanted.ignore_trailing_space else "exact"
    state = ffi.new("struct jc_state *")
    if wanted.ignore_trailing_space:
        said = walk(lib.jc_stripped, state, output, answer)
    else:
        state.flags, state.absolute, state.relative = lib.JC_CASE | lib.JC_SPACE, -1, -1
        said = walk(lib.jc_tokens, state, output, answer)
    if said == lib.JC_EQUAL:
        return CheckFacts(ACCEPT, by)
    outcome = REJECT
    if wanted.presentation:
        loose = _state(options.Tokens(), lib.JC_CASE)
        if walk(lib.jc_tokens, loose, output, answer) == lib.JC_EQUAL:
            outcome = PRESENTATION
    return _differs(outcome, by, said, state, output, answer)


def _state(wanted: options.Tokens, flags: int | None = None) -> object:
    state = ffi.new("struct jc_state *")
    if flags is None:
        flags = (lib.JC_CASE * wanted.case_sensitive | lib.JC_SPACE * wanted.space_change_sensitive
                 | lib.JC_LINES * wanted.line_sensitive)  # fmt: skip
    state.flags, state.first = flags, 1
    state.absolute = -1 if wanted.float_absolute is None else wanted.float_absolute
    state.relative = -1 if wanted.float_relative is None else wanted.float_relative
    return state


def _named(wanted: options.Tokens) -> str:
    words = ["tokens"]
    words += [name.replace("_", " ") for name in ("case_sensitive", "space_change_sensitive", "line_sensitive")
              if getattr(wanted, name)]  # fmt: skip
    tolerances = (("absolute", wanted.float_absolute), ("relative", wanted.float_relative))
    words += [f"{word} tolerance {value:g}" for word, value in tolerances if value is not None]
    return ", ".join(words)


def _differs(outcome: str, by: str, said: int, state: object, output: int, answer: int) -> CheckFacts:
    here, there = state.output_at, state.answer_at  # type: ignore[attr-defined]
    line, token = place(output, here, next_token=said == lib.JC_OUTPUT_ENDS)
    got, want = token_at(output, here), token_at(answer, there)
    if said == lib.JC_OUTPUT_ENDS:
        message = f'the output ends, expected "{visible(want)}"'
    elif said == lib.JC_ANSWER_ENDS:
        message = f'nothing more was expected, got "{visible(got)}"'
    elif said == lib.JC_NO_NUMBER:
        message = f'expected a number ("{visible(want)}"), got "{visible(got)}"'
    elif said == lib.JC_TOO_FAR:
        off = f": off by {abs(float(want) - float(got)):.3g}" if max(len(got), len(want)) <= 100 else ""
        message = f"expected {visible(want)}, got {visible(got)}{off}"
    elif said == lib.JC_WHITE:
        want_byte, got_byte = _byte(answer, there), _byte(output, here)
        same = "white space differs: more or fewer line ends than expected"
        message = same if want_byte == got_byte else f"white space differs: expected {want_byte}, got {got_byte}"
    else:
        message = f'expected "{visible(want)}", got "{visible(got)}"'
    return CheckFacts(outcome, by, where=f"line {line}, token {token}", message=message)


def _byte(fd: int, at: int) -> str:
    found = os.pread(fd, 1, at)
    return f'"{visible(found)}"' if found else "the end"
