"""build(): what a compile error is, what a fault of ours is, and what is taken from the cache."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from judge.build import Cache, build, inside, read
from judge.errors import SubmissionError
from judge.language import Languages, load
from judge.problem.model import Limits
from judge.result import CompileFacts
from sandbox import HostError, Result, Sandbox
from tests.judge.building import Build
from tests.slowness import SLOW

pytestmark = pytest.mark.timeout(120 * SLOW)

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); }\n'


def test_the_second_time_from_the_cache(built: Build, tmp_path: Path) -> None:
    with Cache(tmp_path / "own") as own:
        first, second = built({"hello.c": HELLO}, cache=own), built({"hello.c": HELLO}, cache=own)
    assert not first.facts.cached and second.facts.cached
    assert first.program == second.program
    assert CompileFacts.from_json(json.loads(json.dumps(second.facts.to_json()))) == second.facts


def test_what_makes_another_program(built: Build, tmp_path: Path) -> None:
    """Another byte, another name of the main file, another block, another version of the compiler."""
    base = built({"hello.c": HELLO}).program
    assert base is not None
    spaced = built({"hello.c": HELLO + " "}).program
    assert spaced is not None and spaced.digest != base.digest
    other = tmp_path / "languages.toml"
    other.write_text("""
[c]
name = "C"
extensions = [".c"]
tools = { gcc = ["gcc"] }
version = ["{gcc}", "--version"]
compile = ["{gcc}", "-O1", "-o", "{output}", "{sources}"]
run = ["{output}"]
""")
    assert (changed := built({"hello.c": HELLO}, languages=load(other)).program) and changed.digest != base.digest
    other.write_text(other.read_text().replace('["{gcc}", "--version"]', '["{gcc}", "-dumpfullversion"]'))
    assert (again := built({"hello.c": HELLO}, languages=load(other)).program)
    assert again.digest not in (base.digest, changed.digest)


def test_the_name_of_a_submission_says_nothing(built: Build) -> None:
    """People rename what they send; the program is the same if its files are."""
    one, two = built({"main.py": "print(1)"}), built({"main.py": "print(1)", ".hidden": "x"})
    assert one.program and two.program and one.program.digest == two.program.digest


def test_a_failure_is_not_remembered(built: Build) -> None:
    broken = {"broken.c": "int main(void) { return x; }\n"}
    first, second = built(broken), built(broken)
    assert first.facts.message == second.facts.message and "broken.c:1" in first.facts.message
    assert not first.facts.cached and not second.facts.cached


def test_warnings_are_kept(built: Build) -> None:
    text = HELLO + "#warning beware\n"
    assert "beware" in built({"warns.c": text}).facts.message
    again = built({"warns.c": text})
    assert again.facts.cached and "beware" in again.facts.message


def test_a_limit_is_named_and_a_compile_error(built: Build) -> None:
    limits = Limits(compile_memory_bytes=16 << 20)
    made = built({"hello.cpp": "#include <bits/stdc++.h>\nint main() { }\n"}, limits=limits)
    assert made.program is None and not made.facts.fault
    assert "the compiler needed more than 16 MiB of memory" in made.facts.message
    assert made.facts.run is not None and made.facts.run.outcome == "memory"
    assert made.facts.run.limits.memory_bytes == 16 << 20


def test_more_than_the_message_holds(built: Build) -> None:
    text = "\n".join(f"#warning {'long ' * 100}{n}" for n in range(300)) + "\nint main(void) { return x; }\n"
    made = built({"a.c": text}, limits=Limits(code_bytes=1 << 20))
    assert made.program is None and made.facts.message.endswith(" bytes in all")
    assert len(made.facts.message) < inside.MESSAGE_BYTES + 100


def test_a_missing_compiler_is_a_fault(built: Build, tmp_path: Path) -> None:
    table = tmp_path / "languages.toml"
    table.write_text("""
[mine]
name = "Mine"
extensions = [".mine"]
packages = ["mine-compiler"]
tools = { mine = ["no-such-compiler"] }
version = ["{mine}"]
run = ["{mine}"]
""")
    made = built({"a.mine": "x"}, languages=load(table))
    assert made.program is None
    assert made.facts.fault == "language 'mine': this host has no no-such-compiler; apt-get install mine-compiler"


def test_a_compiler_that_compiles_nothing_is_a_fault(built: Build, tmp_path: Path) -> None:
    """A half-installed one: its complaint looks like any other."""
    table = tmp_path / "languages.toml"
    table.write_text("""
[c]
name = "C"
extensions = [".c"]
tools = { gcc = ["gcc"] }
version = ["{gcc}", "--version"]
hello = { "main.c" = "int main(void) { }" }
compile = ["{gcc}", "-o", "{output}", "{sources}", "-lno-such-library"]
run = ["{output}"]
""")
    made = built({"a.c": HELLO}, languages=load(table))
    assert made.program is None and not made.facts.message
    assert "gcc does not compile a program that is right" in made.facts.fault and "no-such-library" in made.facts.fault


def test_the_compiler_is_doubted_once(built: Build, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    built({"broken.c": "x"})
    runs = []
    run = box.run
    monkeypatch.setattr(box, "run", lambda *words, **options: runs.append(1) or run(*words, **options))
    assert "broken.c" in built({"broken.c": "y"}).facts.message
    assert len(runs) == 1


@pytest.mark.parametrize(
    "error", [HostError("no cgroup", "make one"), OSError(errno.ENOSPC, "No space left on device")]
)  # fmt: skip
def test_a_fault_of_the_host(
    error: Exception, built: Build, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never blamed on the sources."""
    assert built({"warm.c": HELLO}).facts.ok  # the version of the compiler is known from here on

    def broken(*_args: object, **_options: object) -> Result:
        raise error

    monkeypatch.setattr(box, "run", broken)
    made = built({"other.c": HELLO + "// another\n"})
    assert made.program is None and not made.facts.ok
    assert str(error).rpartition("] ")[2] in made.facts.fault and not made.facts.message


def test_a_cache_that_cannot_be_written(languages: Languages, box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    sources = read(tmp_path / "a.c", languages, limit_bytes=1 << 17)
    cache = Cache(tmp_path / "cache")
    (tmp_path / "cache" / "tmp").rmdir()
    (tmp_path / "cache" / "tmp").write_text("")
    made = build(sources, languages=languages, limits=Limits(), cache=cache, box=box)
    cache.close()
    assert made.program is None and "NotADirectoryError" in made.facts.fault


def test_the_entry_point_that_was_named(built: Build, judged: Callable[..., Result]) -> None:
    files = {"main.py": "print('main')", "other.py": "print('other')"}
    one, two = built(files).program, built(files, entrypoint="other.py").program
    assert one and two and one.digest != two.digest
    assert judged(one).stdout == b"main\n" and judged(two).stdout == b"other\n"
    with pytest.raises(SubmissionError, match=r"has no file third\.py"):
        built(files, entrypoint="third.py")


def test_include_files_of_the_package(
    languages: Languages, cache: Cache, box: Sandbox, tmp_path: Path, judged: Callable[..., Result]
) -> None:
    """A grader around a function: the package's files win over the submission's of the same name."""
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "grader.cpp").write_text(
        '#include "add.h"\n#include <cstdio>\nint main() { printf("%d", add(20, 22)); }\n')  # fmt: skip
    (tmp_path / "include" / "add.h").write_text("int add(int, int);\n")
    place = tmp_path / "s"
    place.mkdir()
    (place / "mine.cpp").write_text('#include "add.h"\nint add(int a, int b) { return a + b; }\n')
    (place / "grader.cpp").write_text('#include <cstdio>\nint main() { printf("forged"); }\n')
    include = {"cpp": {name: tmp_path / "include" / name for name in ("grader.cpp", "add.h")}}
    sources = read(place, languages, limit_bytes=1 << 17, include=include)
    made = build(sources, languages=languages, limits=Limits(), cache=cache, box=box)
    assert made.program is not None, made.facts
    assert judged(made.program).stdout == b"42"


def test_python_is_compiled_ahead(built: Build, judged: Callable[..., Result]) -> None:
    """What compiling made is used: the modules are not compiled again in each test."""
    files = {"main.py": "import lib, sys\nprint(lib.__cached__, sys.dont_write_bytecode)", "lib.py": "x = 1"}
    made = built(files)
    assert made.program is not None and made.program.directory
    cached, _, dont = judged(made.program).stdout.decode().strip().partition(" ")
    assert dont == "True" and cached.startswith("/submission/.build/")
    assert Path(made.program.directory, cached.removeprefix("/submission/")).is_file()


def test_nothing_is_left_in_the_cache_but_entries(built: Build, tmp_path: Path) -> None:
    with Cache(tmp_path / "own") as own:
        built({"hello.c": HELLO}, cache=own)
        built({"broken.c": "x"}, cache=own)
    assert not list((tmp_path / "own" / "tmp").iterdir())
    assert len(list((tmp_path / "own" / "entries").iterdir())) == 1
