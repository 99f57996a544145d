"""A run with stdin and stdout: every word, the work directory, and what is not there to be seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from judge.problem.model import MIB, SECOND, Checker
from judge.program import MemoryModel, Program
from tests.slowness import SLOW

Make = Callable[..., Program]
Judge = Callable[..., SimpleNamespace]

SUM = 'int main(){int a,b; scanf("%d%d",&a,&b); printf("%d\\n",a+b); return 0;}'


def test_right_and_wrong(compiled: Make, judged: Judge) -> None:
    assert judged(compiled(SUM), input="3 4\n", answer="7\n").word == "AC"
    wrong = judged(compiled(SUM), input="3 4\n", answer="8\n")
    assert wrong.word == "WA" and wrong.evidence.passes[0].run.outcome == "ok"


WORDS: dict[str, tuple[str, str, str]] = {
    "loops": ("int main(){for(;;);}", "TLE", "limit 0.500 s, ended at 0.600 s"),
    "sleeps": ("int main(){sleep(9);return 0;}", "ILE", "limit 1.000 s"),
    "memory": ("int main(){for(;;){volatile char*p=malloc(1<<20);for(int i=0;i<1<<20;i+=512)p[i]=1;}}", "MLE",
               "limit 64 MiB"),
    "floods": ('int main(){for(;;)puts("yyyyyyyyyyyyyyyyyyyyyyyyyy");}', "OLE", "limit 1 MiB"),
    "floods stderr": ('int main(){for(;;)fputs("yyyyyyyyyyyyyyyyyyyyy",stderr);}', "OLE", "limit 1 MiB"),
    "segfault": ("int main(){raise(SIGSEGV);}", "RTE", "signal 11 (SIGSEGV)"),
    "exit code": ("int main(){return 3;}", "RTE", "exit code 3"),
    "forbidden": ("#include <sys/mount.h>\nint main(){mount(0,0,0,0,0);return 0;}", "SV", "mount"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_words(compiled: Make, judged: Judge, name: str) -> None:
    text, word, detail = WORDS[name]
    found = judged(compiled(text))
    assert found.word == word and detail in found.verdict.detail, found.verdict
    assert found.evidence.passes[0].check is None
    json.dumps(found.evidence.to_json())


@pytest.mark.v2
def test_memory_and_time_from_the_cgroup(scripted: Make, judged: Judge) -> None:
    """The counters behind MLE and TLE are the run's own cgroup's, and are named."""
    eats = scripted("a = []\nwhile True: a.append(bytearray(1 << 20))")
    grows = judged(eats, limits={"time_ns": 5 * SECOND * SLOW, "wall_ns": None})
    assert grows.word == "MLE" and "oom_kill" in grows.verdict.detail and grows.evidence.passes[0].run.oom_kills > 0
    loops = judged(scripted("while True: pass"))
    assert loops.word == "TLE" and "cgroup v" in loops.verdict.detail
    assert loops.evidence.passes[0].run.cpu_ns >= 600_000_000


def test_a_full_page_cache_is_no_mle(scripted: Make, judged: Judge) -> None:
    """Peak equals limit, nothing was killed: reading a file fills a cgroup (sendrec/sendrec#213)."""
    text = "data = open('/dev/shm/x','wb')\nfor _ in range(40): data.write(bytes(1 << 20))\nprint(1)"
    assert judged(scripted(text), answer="1\n").word == "AC"


def test_near_the_limit_is_measured_and_checked(compiled: Make, judged: Judge) -> None:
    """Beyond the limit and before the kill: the time is whole, and so is the output."""
    text = (
        "#include <time.h>\nint main(){struct timespec t;"
        "do clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&t); while(t.tv_nsec<540000000); puts(\"1\");return 0;}"
    )
    found = judged(compiled(text), answer="1\n")
    assert found.word == "TLE" and found.evidence.passes[0].check.outcome == "accept"


def test_arguments_and_memory_model(scripted: Make, judged: Judge) -> None:
    program = scripted("import sys; print(*sys.argv[1:])", memory=MemoryModel(extra_bytes=16 * MIB))
    program = Program(**{**vars(program), "argv": (*program.argv, "-m{memory_mib}")})
    found = judged(program, args=("one", "two words"), answer="-m64 one two words\n")
    assert found.word == "AC"
    assert found.evidence.passes[0].run.limits.memory_bytes == 80 * MIB


@pytest.mark.parametrize("writing", [True, False])
def test_files_of_a_test(scripted: Make, judged: Judge, tmp_path: Path, writing: bool) -> None:
    (tmp_path / "data").write_text("hello")
    text = (
        "import os\nprint(os.getcwd(), open('a.txt').read(), open('sub/b').read(), sorted(os.listdir('.')))\n"
        "for name in ('a.txt', 'new'):\n  try: open(name, 'w'); print('written')\n"
        "  except OSError as e: print(e.strerror)"
    )
    files = {"a.txt": tmp_path / "data", "sub/b": tmp_path / "data"}
    second = "written" if writing else "Read-only file system"
    expected = f"/work hello hello ['a.txt', 'sub']\nRead-only file system\n{second}\n"
    for _ in range(2):
        found = judged(scripted(text), files=files, answer=expected, problem={"allow_file_writing": writing})
        assert found.word == "AC", found.verdict
    assert (tmp_path / "data").read_text() == "hello"


def test_a_name_that_leads_out_is_a_fault(scripted: Make, judged: Judge, tmp_path: Path) -> None:
    found = judged(scripted("pass"), files={"../x": tmp_path})
    assert found.word == "JE" and "'../x' is no name of a file" in found.verdict.detail


def test_what_a_submission_sees(scripted: Make, judged: Judge, tmp_path: Path) -> None:
    """No path of the host, no name of a test, no answer; stdin is a pipe, so the input file cannot be reopened."""
    text = (
        "import os, sys\nprint(sys.argv, dict(os.environ), os.readlink('/proc/self/fd/0')[:5])\n"
        "print(os.listdir('/submission'), os.listdir('/work'), os.listdir('/proc/self/fd'))\n"
        "for top in ('/home', '/root', '/tmp', '/var', '/data', '/feedback'):\n"
        "  print(top, os.listdir(top) if os.path.isdir(top) else None)\n"
    )
    found = judged(scripted(text + "sys.stderr.write(open('/proc/self/fd/1').read() if 0 else 'x'); sys.exit(1)"))
    assert found.word == "RTE" and found.evidence.passes[0].stderr == "x"
    seen = judged(scripted(text.replace("print(", "print(file=sys.stderr, *(").replace(")\n", "))\n") + "sys.exit(1)"))
    said = seen.evidence.passes[0].stderr
    assert "pipe:" in said and "['prog.py']" in said, said
    assert str(tmp_path) not in said and "secret" not in said and "scratch" not in said


def test_stderr_is_kept_short(scripted: Make, judged: Judge) -> None:
    found = judged(scripted("import sys; sys.stderr.write('é' * 9000); print(1)"), answer="1")
    assert found.word == "AC" and len(found.evidence.passes[0].stderr.encode()) <= 4096 + 3


def test_daemons_do_not_keep_the_output_open(compiled: Make, judged: Judge) -> None:
    text = 'int main(){puts("1");fflush(stdout);if(!fork()){setsid();for(;;)pause();}return 0;}'
    found = judged(compiled(text), answer="1\n")
    assert found.word == "AC" and found.evidence.passes[0].run.wall_ns < SECOND


def test_a_program_that_cannot_be_executed_is_our_fault(compiled: Make, judged: Judge) -> None:
    found = judged(compiled(SUM, argv=("/submission/absent",)))
    assert found.word == "JE" and "could not be executed: No such file" in found.verdict.detail


@pytest.mark.parametrize(("fields", "detail"), [
    ({"limits": {"time_ns": None}}, "no time limit"), ({"limits": {"memory_bytes": 1}}, "RequestError: mem"),
    ({"cpuset": "4000"}, ""), ({"checkers": ()}, "nobody"),
])  # fmt: skip
def test_faults_of_ours(compiled: Make, judged: Judge, fields: dict[str, Any], detail: str) -> None:
    found = judged(compiled('int main(){puts("1");}'), answer="1\n", **fields)
    assert found.word == "JE" and detail in found.verdict.detail


def test_several_checkers_must_all_accept(compiled: Make, judged: Judge) -> None:
    text, answer = 'int main(){puts("A  b");}', "a b\n"
    assert judged(compiled(text), answer=answer).word == "AC"
    both = ((Checker(), None), (Checker(options={"case_sensitive": True}), None))
    assert judged(compiled(text), answer=answer, checkers=both).word == "WA"
