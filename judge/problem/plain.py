"""A folder with inputs and answers, and nothing that describes it.

A pair is one of 1.in + 1.ans (or .out, ...), 01 + 01.a, input1.txt + output1.txt (in, out, answer, expected), or the
same name in two folders called input and output. Other folders are groups. Numbers are ordered as numbers. A name that
begins with "sample" or "example" makes a sample. There are no limits but the judge's defaults: the time must come from
the caller.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .model import Checker, Group, Problem, Scoring, Test
from .tree import Entry, Tree, natural

if TYPE_CHECKING:
    from .faults import Faults

_INPUTS = (".in", ".inp", ".input", ".dat")
_ANSWERS = (".ans", ".out", ".output", ".answer", ".expected", ".sol", ".ok", ".a")
_INPUT_WORDS, _ANSWER_WORDS = (
    ("input", "inputs", "in"),
    ("output", "outputs", "out", "answer", "answers", "ans", "expected"),
)
_WORD = re.compile(
    r"(?<![a-z])(" + "|".join(sorted((*_INPUT_WORDS, *_ANSWER_WORDS), key=len, reverse=True)) + r")(?![a-z])"
)
_SAMPLE = re.compile(r"(samples?|examples?)(?![a-z])", re.IGNORECASE)
_SEARCH_DEPTH, _SEARCH_FILES = 4, 50_000


def matches(root: Path) -> bool:
    """Is there an input or an answer, by its name, not too deep down?"""
    waiting = [(str(root), 0)]
    looked = 0
    while waiting:
        path, depth = waiting.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    looked += 1
                    if looked > _SEARCH_FILES:
                        return False
                    if entry.name.startswith((".", "-")):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if _word_of_directory(entry.name):
                            return True
                        if depth < _SEARCH_DEPTH:
                            waiting.append((entry.path, depth + 1))
                    elif _kind(entry.name) is not None:
                        return True
        except OSError:
            continue
    return False


def read(root: Path, faults: Faults, *, into: Path | None = None) -> Problem | None:
    """All pairs below the folder; what is no pair is passed over, but a half of one is a fault."""
    tree = Tree(root, faults)
    group = _group(tree, "", "", False, faults)
    if group is None:
        faults.error(".", 0, "there is no pair of input and answer", "such as 1.in and 1.ans")
        return None
    return Problem(root.name, Path(tree.real), "plain", group, checkers=(Checker(),))


@dataclass
class _Pair:
    inputs: list[Entry] = field(default_factory=list)
    answers: list[Entry] = field(default_factory=list)


def _group(tree: Tree, place: str, name: str, sample: bool, faults: Faults) -> Group | None:
    """None if there is no test in or below it."""
    pairs: dict[str, _Pair] = {}
    directories: list[Entry] = []
    halves: dict[str, Entry] = {}
    for entry in tree.entries(place):
        if entry.directory:
            word = _word_of_directory(entry.name)
            if word:
                halves[word] = entry
            else:
                directories.append(entry)
            continue
        found = _kind(entry.name)
        if found is not None:
            kind, key = found
            pair = pairs.setdefault(key, _Pair())
            (pair.inputs if kind == "in" else pair.answers).append(entry)
    # 01 + 01.a, as Polygon writes them: the input is the answer's name without its ending.
    for pair in pairs.values():
        if not pair.inputs:
            stems = [os.path.splitext(answer.name)[0] for answer in pair.answers]
            pair.inputs += [entry for entry in tree.entries(place) if entry.name in stems and not entry.directory]
    _two_directories(tree, halves, pairs, faults)
    children: list[Group | Test] = []
    for key, pair in pairs.items():
        test = _test(f"{name}/{key}" if name else key, pair, sample or bool(_SAMPLE.match(key)), faults)
        if test is not None:
            children.append(test)
    for entry in directories:
        inner = f"{name}/{entry.name}" if name else entry.name
        group = _group(tree, entry.relative, inner, sample or bool(_SAMPLE.match(entry.name)), faults)
        if group is not None:
            children.append(group)
    taken: dict[str, str] = {}
    for child in children:
        if child.name in taken:
            faults.error(child.name, 0, "a test and a folder of tests have the same name")
        taken[child.name] = child.name
    if not children:
        return None
    # Samples first, as everywhere.
    children.sort(key=lambda child: (not child.sample, natural(child.name)))
    return Group(name, tuple(children), Scoring("pass-fail"), sample)


def _two_directories(tree: Tree, halves: dict[str, Entry], pairs: dict[str, _Pair], faults: Faults) -> None:
    """input/ and output/ side by side: a file's key is its name without ending and without the word."""
    for word, directory in sorted(halves.items()):
        for entry in tree.entries(directory.relative):
            if entry.directory:
                faults.warning(entry.relative, 0, f"a folder in {directory.name}/ is passed over")
                continue
            found = _kind(entry.name)
            if found is not None and found[0] != word:
                faults.error(entry.relative, 0, f"by its name not what belongs into {directory.name}/")
                continue
            key = found[1] if found is not None else os.path.splitext(entry.name)[0]
            pair = pairs.setdefault(key, _Pair())
            (pair.inputs if word == "in" else pair.answers).append(entry)


def _test(name: str, pair: _Pair, sample: bool, faults: Faults) -> Test | None:
    for entries, what in ((pair.inputs, "inputs"), (pair.answers, "answers")):
        if len(entries) > 1:
            faults.error(entries[1].relative, 0, f"two {what} for one test: {', '.join(e.name for e in entries)[:200]}")
    if not pair.answers:
        faults.error(pair.inputs[0].relative, 0, "there is no answer for this input", "such as .ans or .out")
    if not pair.inputs:
        faults.error(pair.answers[0].relative, 0, "there is no input for this answer", "such as .in")
        return None
    answer = pair.answers[0].path if pair.answers else None
    return Test(name, pair.inputs[0].path, answer, sample)


def _kind(name: str) -> tuple[str, str] | None:
    """("in" or "ans", the test's key), by the ending or by a word in the name; None for all other files."""
    stem, ending = os.path.splitext(name)
    lower = ending.lower()
    if stem and lower in _INPUTS:
        return "in", _key(stem, _INPUT_WORDS)
    if stem and lower in _ANSWERS:
        return "ans", _key(stem, _ANSWER_WORDS)
    if lower not in (".txt", ""):
        return None
    found = list(_WORD.finditer(stem.lower()))
    if len(found) != 1:
        return None
    return ("in" if found[0][1] in _INPUT_WORDS else "ans"), _key(stem, (found[0][1],))


def _key(stem: str, words: tuple[str, ...]) -> str:
    """Without the word that says what it is, and without what joined it to the rest; the word alone is a key too."""
    found = next((match for match in _WORD.finditer(stem.lower()) if match[1] in words), None)
    if found is None:
        return stem
    before, after = stem[: found.start()].rstrip("_-. "), stem[found.end() :].lstrip("_-. ")
    return "-".join(part for part in (before, after) if part) or "1"


def _word_of_directory(name: str) -> str:
    if name.lower() in _INPUT_WORDS:
        return "in"
    return "ans" if name.lower() in _ANSWER_WORDS else ""
