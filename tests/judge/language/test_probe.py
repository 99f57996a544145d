"""What this host has, and what is said of what it has not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from judge.build import Cache
from judge.language import Found, Languages, Missing, load, probe, report
from sandbox import Sandbox
from tests.slowness import SLOW

pytestmark = pytest.mark.timeout(120 * SLOW)


def other(tmp_path: Path, tools: str, version: str) -> Languages:
    path = tmp_path / "languages.toml"
    path.write_text(f"""
[mine]
name = "Mine"
packages = ["mine-compiler", "mine-library"]
tools = {{ mine = {tools} }}
version = {version}
run = ["{{mine}}"]
""")
    return load(path)


def test_a_row_for_each(languages: Languages, box: Sandbox, cache: Cache) -> None:
    """Whatever this host has: a version, or what is missing and how to get it."""
    rows = report(languages.all, box, cache.versions)
    assert [row.id for row in rows] == [language.id for language in languages.all]
    for row in rows:
        if row.status == "ready":
            assert any(c.isdigit() for c in row.version) and not row.missing, row
        else:
            assert row.missing and row.fix and not row.version, row
    ready = {row.id for row in rows if row.status == "ready"}
    assert {"c", "python3", "bash"} <= ready


def test_a_missing_tool(tmp_path: Path, box: Sandbox) -> None:
    found = probe(other(tmp_path, '["no-such-compiler", "nor-this"]', '["{mine}"]').get("mine"), box)
    assert found == Missing("no-such-compiler", "mine-compiler mine-library")
    assert found.fix == "apt-get install mine-compiler mine-library"


def test_the_second_candidate(tmp_path: Path, box: Sandbox) -> None:
    found = probe(other(tmp_path, '["no-such-compiler", "bash"]', '["{mine}", "--version"]').get("mine"), box)
    assert isinstance(found, Found) and found.program.endswith("/bash") and "bash" in found.version


def test_a_tool_that_does_not_work(tmp_path: Path, box: Sandbox) -> None:
    found = probe(other(tmp_path, '["bash"]', '["{mine}", "-c", "echo version 1.2; exit 3"]').get("mine"), box)
    assert isinstance(found, Missing) and "does not work" in found.what


def test_a_tool_that_no_sandbox_can_see(tmp_path: Path, box: Sandbox) -> None:
    """One in somebody's home, by its path or as what a link in /usr leads to."""
    program = tmp_path / "bash"
    shutil.copy("/bin/bash", program)
    found = probe(other(tmp_path, f'["{program}"]', '["{mine}", "--version"]').get("mine"), box)
    assert isinstance(found, Missing)


def test_the_version_is_asked_for_once(tmp_path: Path, box: Sandbox, cache: Cache) -> None:
    """As long as the file is the same: random numbers stand for a version."""
    languages = other(tmp_path, '["bash"]', '["{mine}", "-c", "echo $RANDOM$RANDOM$RANDOM"]')
    first = probe(languages.get("mine"), box, cache.versions)
    with Cache(cache.directory) as another:
        again = probe(languages.get("mine"), box, another.versions)
    assert isinstance(first, Found) and first == again
    for key in list(cache.versions):
        if cache.versions[key] == first.version:
            del cache.versions[key]
    assert probe(languages.get("mine"), box, cache.versions) != first


def test_tools_are_outside_of_what_the_caller_can_write(languages: Languages, box: Sandbox, cache: Cache) -> None:
    for language in languages.all:
        found = probe(language, box, cache.versions)
        if isinstance(found, Found):
            assert all(not os.access(path, os.W_OK) for path in found.tools.values())
