"""The README does what it says: every block of it is executed, every link leads somewhere.

The documents that name tests, files and options are held to them here as well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Result, Usage
from sandbox.request import Request
from sandbox.result import PRECEDENCE

TREE = Path(__file__).resolve().parents[2]
README = (TREE / "README.md").read_text()
DOCUMENTS = sorted([TREE / "README.md", TREE / "CHANGELOG.md", *(TREE / "docs").glob("*.md")])

# What runs this very test cannot be run by it.
OURSELVES = "./dev test"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(text: str) -> list[tuple[str, str, str | None]]:
    """(language, code, expected output or None); a ``text`` block is the output of the one before it."""
    found: list[tuple[str, str, str | None]] = []
    for language, code in FENCE.findall(text):
        if language == "text":
            before = found.pop()
            found.append((before[0], before[1], code))
        else:
            found.append((language, code, None))
    return found


BLOCKS = _blocks(README)

# What is measured differs from run to run; that it is told, and where, does not.
MEASURED = re.compile(r"\d+\.\d{3} s|\d+\.\d MiB")


def test_the_readme_has_what_the_other_tests_look_at() -> None:
    assert {language for language, _code, _output in BLOCKS} == {"sh", "python"}
    commands = [line for language, code, _output in BLOCKS if language == "sh" for line in code.splitlines()]
    assert commands.count(OURSELVES) == 1
    assert len(commands) > 1
    assert OURSELVES in (TREE / ".ci" / "run").read_text()


@pytest.mark.parametrize(("language", "code", "output"), BLOCKS, ids=[f"{i}-{b[0]}" for i, b in enumerate(BLOCKS)])
def test_block(language: str, code: str, output: str | None) -> None:
    if language == "sh":
        code = "".join(line for line in code.splitlines(keepends=True) if line.strip() != OURSELVES)
        command = ["bash", "-euo", "pipefail", "-c", code]
    else:
        command = [sys.executable, "-P", "-W", "error", "-c", code]
    environ = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run(command, cwd=TREE, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    if output is not None:
        assert MEASURED.sub("#", done.stdout) == MEASURED.sub("#", output), done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists() or (TREE / target).exists(), target


SECURITY = (TREE / "docs" / "security.md").read_text()
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)))


def test_every_rule_names_a_test() -> None:
    section = SECURITY.partition("## The rules")[2].partition("\n## ")[0]
    rules = re.split(r"^\*\*\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(rules) == 12
    assert [rule[:60] for rule in rules if "tests/" not in rule] == []


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS)
def test_tests_that_security_names_exist(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (TREE / file).read_text(), re.MULTILINE), f"{file} has no {name}"


def test_the_api_document_knows_every_name() -> None:
    words = set(re.findall(r"\w+", (TREE / "docs" / "api.md").read_text()))
    assert set(Request._fields) - words == set()
    assert set(Result._fields) - words == set()
    assert set(Usage._fields) - words == set()


def test_the_api_document_has_the_order_of_outcomes() -> None:
    text = (TREE / "docs" / "api.md").read_text()
    listed = text.partition("the first of those that fired is shown: ")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", listed) == list(PRECEDENCE)
