"""Submissions that attack the judge: each gets the verdict that is declared for it, and nothing of it stays.

Those in wrong_answer/ of these packages print the right answer if their attack succeeds.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judge.examples import EXAMPLES, WORD_OF, Command, absent
from tests.slowness import SLOW

# Whichever test comes first judges the package.
pytestmark = pytest.mark.timeout(300 * SLOW)

PACKAGES = ("hostile", "hostileguess")
HONEST = EXAMPLES / "hostile/submissions/accepted/honest.c"
# What the hostile programs that stay behind call themselves.
MARK = "hostile-"
SECRET = (EXAMPLES / "hostile/data/secret/1.ans").read_text().strip()


@pytest.fixture(scope="module")
def command(
    pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Command:
    return Command(pysandbox_argv, pysandbox_env, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(autouse=True)
def nothing_stays(command: Command) -> Iterator[None]:
    """No process, mount or temporary file; the cgroups are looked at after every test of this tree."""
    mounts = Path("/proc/self/mountinfo").read_text()
    yield
    assert list(command.temporary.iterdir()) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
    end = time.monotonic() + 3 * SLOW
    while (left := _marked()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left


def _marked() -> list[str]:
    """Processes of the hostile programs, wherever they are."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                name = Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            found += [f"{entry} ({name})"] if name.startswith(MARK) else []
    return found


def assert_honest_is_accepted(command: Command) -> None:
    judged = command.judge(EXAMPLES / "hostile", HONEST)
    assert judged.status == 0, judged.told


@pytest.mark.parametrize("package", PACKAGES)
def test_each_gets_its_verdict(command: Command, package: str) -> None:
    judged = command.all(package)
    expected = {
        f"{path.parent.name}/{path.name}": WORD_OF[path.parent.name]
        for path in (EXAMPLES / package).glob("submissions/*/*") if path.suffix not in absent()
    }  # fmt: skip
    assert judged.words == expected, judged.told
    assert judged.status == 0, judged.told
    assert_honest_is_accepted(command)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_theirs_reaches_the_terminal(command: Command, package: str) -> None:
    judged = command.all(package)
    for text in (judged.stdout, judged.stderr):
        control = {character for character in text if not character.isprintable() and character != "\n"}
        assert not control
    assert SECRET not in judged.stdout + judged.stderr


def test_reports_are_safe_to_open(command: Command, tmp_path: Path) -> None:
    html, junit = tmp_path / "report.html", tmp_path / "report.xml"
    directory = EXAMPLES / "hostile/submissions"
    names = ("wrong_answer/control_characters.py", "accepted/fills_stderr.py", "compile_error/error_flood.c")
    done = command.run("--html", html, "--junit", junit, EXAMPLES / "hostile", *(directory / name for name in names))
    assert done.returncode == 1, done.stderr
    for path in (html, junit):
        text = path.read_text()
        assert "<script>alert" not in text
        assert SECRET not in text
        assert not {"\x1b", "\x07", "\x9b", "\0", "\u202e"} & set(text)


def test_violations_are_named(command: Command) -> None:
    results = command.all("hostile").results
    for name, call in {
        "unshares.c": "unshare", "mounts.py": "mount", "clones_namespaces.c": "clone", "keyrings.py": "add_key",
        "file_handles.c": "open_by_handle_at", "reads_other_memory.c": "process_vm_readv",
    }.items():  # fmt: skip
        tests = results[f"security_violation/{name}"]["root"]["children"][0]["group"]["children"]
        assert call in tests[0]["test"]["verdict"]["detail"]


def test_link_to_an_answer_is_no_submission(command: Command, tmp_path: Path) -> None:
    source = tmp_path / "thief"
    source.mkdir()
    (source / "main.c").write_text('#include <stdio.h>\nint main(void) { puts(\n#include "answer.h"\n); }\n')
    (source / "answer.h").symlink_to(EXAMPLES / "hostile/data/secret/1.ans")
    judged = command.judge(EXAMPLES / "hostile", source)
    assert judged.status in (1, 125), judged.told
    assert "AC" not in judged.words.values()
    assert SECRET not in judged.stdout + judged.stderr
    assert_honest_is_accepted(command)


@pytest.mark.parametrize("name", ["../main.py", "/tmp/main.py", "a/../../main.py", "main.py\nother.py"])
def test_archive_with_a_way_out(command: Command, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "submission.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "n = int(input())\nprint(48271 * n % 2147483647)\n")
    judged = command.judge(EXAMPLES / "hostile", archive)
    assert judged.status in (1, 125), judged.told
    assert "AC" not in judged.words.values()
    assert not (tmp_path / "main.py").exists() and not Path("/tmp/main.py").exists()


def test_archive_that_explodes(command: Command, tmp_path: Path) -> None:
    archive = tmp_path / "submission.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("main.py", "n = int(input())\nprint(48271 * n % 2147483647)\n")
        file.writestr("zeros.txt", bytes(200 << 20))
    judged = command.judge(EXAMPLES / "hostile", archive)
    assert judged.status in (1, 125), judged.told
    assert "AC" not in judged.words.values()
