"""Programs of a package: single files, directories, and those with build and run scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from judge.build import Cache, program
from judge.errors import JudgeError, LanguageError
from judge.language import Languages, load
from judge.problem.model import Limits
from judge.program import Program
from sandbox import HostError, Result, Sandbox

Make = Callable[..., Program]


@pytest.fixture
def make(languages: Languages, cache: Cache, box: Sandbox) -> Make:
    def made(path: Path, **options: object) -> Program:
        given = {"languages": languages, "limits": Limits(), "cache": cache, "box": box, **options}
        return program(path, "output validator", **given)  # type: ignore[arg-type]

    return made


def script(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_one_file(make: Make, judged: Callable[..., Result], tmp_path: Path) -> None:
    script(tmp_path / "check.py", "import sys; sys.exit(42)", 0o644)
    assert judged(make(tmp_path / "check.py")).exit_code == 42


def test_a_header_of_the_packages(make: Make, judged: Callable[..., Result], tmp_path: Path) -> None:
    script(tmp_path / "check.cpp", '#include "testlib.h"\nint main() { return answer(); }', 0o644)
    script(tmp_path / "include" / "testlib.h", "inline int answer() { return 43; }", 0o644)
    made = make(tmp_path / "check.cpp", include={"testlib.h": tmp_path / "include" / "testlib.h"})
    assert judged(made).exit_code == 43
    script(tmp_path / "include" / "testlib.h", "inline int answer() { return 42; }", 0o644)
    again = make(tmp_path / "check.cpp", include={"testlib.h": tmp_path / "include" / "testlib.h"})
    assert again.digest != made.digest and judged(again).exit_code == 42


def test_a_package_of_python(make: Make, judged: Callable[..., Result], tmp_path: Path) -> None:
    """A directory with __init__.py and __main__.py (problem package format 2025-09, Other programs)."""
    script(tmp_path / "v" / "__init__.py", "", 0o644)
    script(tmp_path / "v" / "__main__.py", "import sys, other; sys.exit(other.code)", 0o644)
    script(tmp_path / "v" / "other.py", "code = 42", 0o644)
    assert judged(make(tmp_path / "v")).exit_code == 42


def test_build_and_run(make: Make, judged: Callable[..., Result], tmp_path: Path) -> None:
    """In a copy: the package itself is never written to."""
    place = tmp_path / "v"
    script(place / "build", "#!/bin/sh\nset -e\ngcc -DCODE=42 -o checker src/c.c\ncp run.in run\nchmod +x run\n")
    script(place / "run.in", '#!/bin/sh\nexec "$(dirname "$0")/checker" "$@"\n', 0o644)
    script(place / "src" / "c.c", "int main(int c, char **v) { return CODE + c - 1; }", 0o644)
    before = sorted(str(path) for path in place.rglob("*"))
    made = make(place)
    assert judged(made).exit_code == 42
    assert sorted(str(path) for path in place.rglob("*")) == before
    assert make(place) == made


def test_run_alone(make: Make, judged: Callable[..., Result], tmp_path: Path) -> None:
    script(tmp_path / "v" / "run", "#!/bin/sh\nexit 43\n")
    assert judged(make(tmp_path / "v")).exit_code == 43


@pytest.mark.parametrize(
    ("build", "mode", "said"),
    [
        ("#!/bin/sh\necho no compiler >&2\nexit 1\n", 0o755, "does not build: no compiler"),
        ("#!/bin/sh\ntouch run\n", 0o755, "has no executable called run"),
        ("#!/bin/sh\ntrue\n", 0o755, "has no executable called run"),
        ("#!/bin/sh\ntouch run; chmod +x run\n", 0o644, "its build script is not executable"),
        ("#!/bin/sh\nln -s /bin/true run\n", 0o755, "has no executable called run"),
    ],
)
def test_a_build_script_that_fails(build: str, mode: int, said: str, make: Make, tmp_path: Path) -> None:
    script(tmp_path / "v" / "build", build, mode)
    with pytest.raises(JudgeError, match=f"output validator v:? {said}"):
        make(tmp_path / "v")


def test_what_does_not_compile(make: Make, tmp_path: Path) -> None:
    script(tmp_path / "check.c", "int main(void) { return nothing; }", 0o644)
    with pytest.raises(JudgeError, match=r"(?s)output validator check\.c does not compile: check\.c: .*nothing"):
        make(tmp_path / "check.c")


def test_what_has_no_language(make: Make, tmp_path: Path) -> None:
    script(tmp_path / "v" / "README", "nothing", 0o644)
    with pytest.raises(LanguageError, match="no file has an extension"):
        make(tmp_path / "v")


def test_a_host_without_the_compiler(make: Make, tmp_path: Path) -> None:
    table = tmp_path / "languages.toml"
    block = 'name = "C"\nextensions = [".c"]\ntools = { gcc = ["no-gcc"] }\nversion = ["{gcc}"]\nrun = ["{output}"]\n'
    table.write_text(f"[c]\n{block}")
    script(tmp_path / "check.c", "int main(void) { }", 0o644)
    with pytest.raises(HostError, match=r"output validator check\.c: language 'c': this host has no no-gcc"):
        make(tmp_path / "check.c", languages=load(table))


def test_a_link_out_of_the_package(make: Make, tmp_path: Path) -> None:
    package = tmp_path / "p"
    script(package / "v" / "check.c", "int main(void) { }", 0o644)
    script(tmp_path / "secret.h", "", 0o644)
    (package / "v" / "secret.h").symlink_to(tmp_path / "secret.h")
    with pytest.raises(JudgeError, match=r"secret\.h is a link"):
        make(package / "v", root=package)
