"""Sources that attack their compiler, or through it the judge: a compile error with a short message, and nothing else.

Perl is the worst of compilers: ``perl -c`` runs BEGIN blocks, so a "source" does there what it likes.
"""

from __future__ import annotations

import os
import pwd
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from judge.build import Cache, inside, read, ustar
from judge.errors import SubmissionError
from judge.language import Found, Languages, probe
from judge.problem.model import Limits
from sandbox import Result, Sandbox
from tests.judge.building import Build
from tests.slowness import SLOW

pytestmark = pytest.mark.timeout(120 * SLOW)

SHORT = Limits(compile_time_ns=2_000_000_000, compile_memory_bytes=256 << 20)


def rejected(built: Build, files: dict[str, str], limits: Limits = SHORT, **options: object) -> str:
    """The message of a compile error that is one, and short."""
    made = built(files, limits=limits, **options)
    assert made.program is None and not made.facts.ok and not made.facts.fault, made.facts
    assert made.facts.message
    assert len(made.facts.message.encode()) <= inside.MESSAGE_BYTES + 200
    return made.facts.message


def begin(code: str) -> dict[str, str]:
    return {"a.pl": f"use strict; BEGIN {{ {code} }} print 1;"}


# ---- limits ----


def test_templates_without_end(built: Build) -> None:
    text = """
    template <int N, int M> struct F { enum { v = F<N - 1, 2 * M>::v + F<N - 1, 2 * M + 1>::v }; };
    template <int M> struct F<0, M> { enum { v = 1 }; };
    int main() { return F<24, 0>::v; }
    """
    message = rejected(built, {"a.cpp": text})
    assert "MiB of memory" in message or "s of CPU time" in message


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/tty"])
def test_including_a_device(device: str, built: Build) -> None:
    rejected(built, {"a.c": f'#include "{device}"\nint main(void) {{ }}'})


def test_memory(built: Build) -> None:
    message = rejected(built, begin("my @a; push @a, 'x' x 1000000 while 1;"))
    assert "more than 256 MiB of memory" in message


def test_time(built: Build) -> None:
    assert "more than 2 s of CPU time" in rejected(built, begin("1 while 1;"))


def test_sleeping(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "WALL_FACTOR", 1)
    monkeypatch.setattr(inside, "WALL_EXTRA_NS", 0)
    assert "took longer than" in rejected(built, begin("sleep 1000;"))


def test_a_fork_bomb(built: Build) -> None:
    started = time.monotonic()
    rejected(built, begin("while (1) { fork }"))
    assert time.monotonic() - started < 60 * SLOW


def test_what_is_left_running_is_ended(built: Build) -> None:
    """And does not keep the judge waiting, although it holds the compiler's streams."""
    made = built(begin("if (!fork) { $SIG{HUP} = 'IGNORE'; sleep 1000; exit }"))
    assert made.program is not None, made.facts


def test_a_gigabyte_of_error_text(built: Build) -> None:
    message = rejected(built, begin("print STDERR 'error ' x 20000, qq{\\n} for 1 .. 10000;"), Limits())
    assert "printed more than" in message and "bytes in all" in message


def test_warnings_without_end(built: Build) -> None:
    text = "#if __INCLUDE_LEVEL__ < 150\n#warning again\n" + "#include __FILE__\n" * 4 + "#endif\nint main(void) { }\n"
    rejected(built, {"a.c": text})


def test_more_output_than_there_is_room_for(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "OUTPUT_BYTES", 4 << 20)
    rejected(built, {"a.c": "char large[16 << 20] = {1};\nint main(void) { return large[5]; }"})


def test_a_disk_full_of_files(built: Build) -> None:
    code = "my $n = 0; while (1) { open(my $f, '>', '/build/' . $n++) or last; print $f 'x' } exit 1;"
    rejected(built, begin(code))


def test_more_files_than_a_program_has(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ustar, "MAX_FILES", 100)
    message = rejected(built, begin("for my $n (0 .. 200) { open(my $f, '>', qq{/build/$n}) }"), Limits())
    assert "more than 100 files" in message


# ---- secrets ----


def host_users() -> list[str]:
    mine = pwd.getpwuid(os.geteuid()).pw_name
    return [name for name in (mine, "games", "backup", "www-data") if f"{name}:" in Path("/etc/passwd").read_text()]


def test_including_passwd(built: Build) -> None:
    message = rejected(built, {"a.c": '#include "/etc/passwd"\nint main(void) { }'})
    assert host_users() and not [name for name in host_users() if name in message], message


def test_a_file_of_the_judge_by_its_path(built: Build, tmp_path: Path) -> None:
    """The tests lie there: not even whether a file exists can be told."""
    (tmp_path / "secret.ans").write_text("the answer is 4711\n")
    secret = f"{tmp_path}/secret.ans"
    for text in (
        f'#include "{secret}"\nint main(void) {{ }}',
        f'__asm__(".incbin \\"{secret}\\"");\nint main(void) {{ }}',
        f'#if __has_include("{secret}")\nint main(void) {{ }}\n#else\n#error gone\n#endif',
    ):
        assert "4711" not in rejected(built, {"a.c": text}, Limits())


def needs(language: str, languages: Languages, box: Sandbox, cache: Cache) -> None:
    if not isinstance(probe(languages.get(language), box, cache.versions), Found):
        pytest.fail(f"no {language}")


def test_rust_reads_files_at_compile_time(
    languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    """It may: there is nothing to be found but the sandbox's own."""
    needs("rust", languages, box, cache)
    made = built({"a.rs": 'fn main() { print!("{}{}", include_str!("/etc/passwd"), env!("HOME")); }'})
    assert made.program is not None, made.facts
    said = judged(made.program).stdout.decode()
    assert "sandbox:" in said and said.endswith("/tmp")
    assert not [name for name in host_users() if f"{name}:" in said]


@pytest.mark.parametrize(
    "text",
    ['import _ "embed"\n//go:embed /etc/passwd\nvar s string\nfunc main() { println(s) }',
     '// #cgo CFLAGS: -fplugin=/submission/a.so\n// int x = 1;\nimport "C"\nfunc main() { println(C.x) }',
     'import "example.com/somebody/elses"\nfunc main() { elses.Run() }'],
    ids=["embed", "cgo", "network"],
)  # fmt: skip
def test_go_takes_nothing_from_outside(
    text: str, languages: Languages, box: Sandbox, cache: Cache, built: Build
) -> None:
    needs("go", languages, box, cache)
    rejected(built, {"a.go": f"package main\n\n{text}\n"}, Limits())


def test_javac_runs_no_annotation_processor(languages: Languages, box: Sandbox, cache: Cache, built: Build) -> None:
    """Javac that looked for processors would stumble over a class that is not there."""
    needs("java", languages, box, cache)
    made = built({"Main.java": "public class Main { public static void main(String[] a) { } }",
                  "META-INF/services/javax.annotation.processing.Processor": "no.such.Processor\n"})  # fmt: skip
    assert made.program is not None, made.facts


def test_no_network(built: Build) -> None:
    code = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0) or die 'no socket'; print STDERR 'a socket'; exit 1;"
    message = rejected(built, begin(code))
    assert "no socket" in message


# ---- the way out ----


def test_links_and_pipes_do_not_come_out(built: Build) -> None:
    code = (
        "use POSIX; POSIX::mkfifo('/build/fifo', 0600);"
        "symlink('/etc/passwd', '/build/link'); symlink('/', '/build/root');"
        "mkdir('/build/d'); symlink('/tmp', '/build/d/tmp'); open(my $f, '>', '/build/d/kept'); print $f 'x'; close $f;"
        "link('/build/d/kept', '/build/hard'); chmod(07777, '/build/d/kept');"
    )
    made = built(begin(code))
    assert made.program is not None and made.program.directory, made.facts
    place = Path(made.program.directory, ".build")
    found = {str(path.relative_to(place)): path.lstat().st_mode for path in place.rglob("*")}
    assert set(found) == {"d", "d/kept", "hard"}
    assert found["d/kept"] & 0o7777 == 0o755


def test_forging_the_packed_output(built: Build) -> None:
    """The archive's stream is taken from the shell that holds it: all that comes of it is a compile error."""
    code = "open(my $f, '>', '/proc/' . getppid() . '/fd/3') or die 'closed'; print $f 'A' x 2048; close $f;"
    message = rejected(built, begin(code), Limits())
    assert "not what was packed" in message or "closed" in message


def test_killing_the_shell_around_it(built: Build) -> None:
    assert "signal 9" in rejected(built, begin("kill 9, getppid();"))


def test_a_forbidden_call_of_a_compiler(built: Build) -> None:
    """The policy ends it by name or refuses: in any case no program comes of it."""
    rejected(built, begin("syscall(165, 0, 0, 0, 0, 0) == 0 or die 'refused'; exit 1;"))


def test_a_message_cannot_paint(built: Build) -> None:
    message = rejected(built, begin("print STDERR qq{\\e[2J\\e]0;title\\a\\r\\x{08}really}; exit 1;"))
    assert "really" in message and not {"\x1b", "\r", "\a", "\b"} & set(message)


# ---- the submission itself ----


def test_a_zip_with_a_link(tmp_path: Path, languages: Languages) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("main.py", "print(1)")
        info = zipfile.ZipInfo("secret")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(SubmissionError, match="link"):
        read(path, languages, limit_bytes=1 << 17)


def test_a_zip_with_a_way_out(tmp_path: Path, languages: Languages) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../main.py", "print(1)")
    with pytest.raises(SubmissionError):
        read(path, languages, limit_bytes=1 << 17)


def test_a_zip_bomb(tmp_path: Path, languages: Languages) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("main.py", b"#" * (64 << 20))
    with pytest.raises(SubmissionError):
        read(path, languages, limit_bytes=1 << 17)


@pytest.mark.parametrize("kind", ["link", "fifo", "link to a directory"])
def test_a_directory_with(kind: str, tmp_path: Path, languages: Languages) -> None:
    place = tmp_path / "s"
    place.mkdir()
    (place / "main.py").write_text("print(1)")
    if kind == "fifo":
        os.mkfifo(place / "data.py")
    else:
        (place / "data.py").symlink_to("/etc" if kind == "link to a directory" else "/etc/passwd")
    with pytest.raises(SubmissionError, match=r"link|regular"):
        read(place, languages, limit_bytes=1 << 17)


@pytest.mark.parametrize("name", ["a b.py", "-o.py", "$(id).py", "a\n.py", "é.py"])
def test_names_that_could_be_options_or_commands(name: str, tmp_path: Path, languages: Languages) -> None:
    place = tmp_path / "s"
    place.mkdir()
    (place / "main.py").write_text("print(1)")
    (place / name).write_text("")
    with pytest.raises(SubmissionError, match="may not be"):
        read(place, languages, limit_bytes=1 << 17)
    (place / "main.py").unlink()
    sources = read(place / name, languages, limit_bytes=1 << 17)  # a single one is given a name
    assert list(sources.files) == ["main.py"]
