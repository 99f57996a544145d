"""Two programs that talk: the right verdict, whichever of them dies first."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from judge.execute.interactive import _first
from judge.facts import INTERACTOR, SUBMISSION, RunFacts
from judge.problem.model import INTERACTIVE, SECOND, Checker
from judge.program import Program
from sandbox import Sandbox
from tests.slowness import SLOW

Make = Callable[..., Program]
Judge = Callable[..., SimpleNamespace]

VALIDATOR = Checker("validator", source=Path("/x"))
KINDS = frozenset({INTERACTIVE})
SHORT = {"wall_ns": SECOND if SLOW == 1 else 4 * SECOND}  # for tests that wait for it

# The protocol: the interactor says a number, the submission answers with its double, three times.
SUBMISSIONS = {
    "right": "int main(){int n; while(scanf(\"%d\",&n)==1){printf(\"%d\\n\",2*n);fflush(stdout);} return 0;}",
    "wrong": "int main(){int n; while(scanf(\"%d\",&n)==1){printf(\"%d\\n\",3*n);fflush(stdout);} return 0;}",
    "ends at once": "int main(){return 0;}",
    "crashes": "int main(){int n; scanf(\"%d\",&n); raise(SIGSEGV);}",
    "crashes at once": "int main(){return 7;}",
    "loops": "int main(){int n; scanf(\"%d\",&n); for(;;);}",
    "sleeps": "int main(){int n; scanf(\"%d\",&n); sleep(60); return 0;}",
    "floods": "int main(){for(;;)puts(\"7777777777777777777777777777777777777777\");}",
    "floods stderr": "int main(){static char b[60000]; for(int i=0;i<60000;i++)b[i]=\"no\"[i%2]; int n;"
                     "while(scanf(\"%d\",&n)==1){for(int i=0;i<20;i++)write(2,b,60000);"
                     "printf(\"%d\\n\",2*n);fflush(stdout);} return 0;}",
    "closes stdout": "int main(){close(1); int n; while(scanf(\"%d\",&n)==1); return 0;}",
    "reads on after the end": "int main(){char b[9]; int n; while(scanf(\"%d\",&n)==1){printf(\"%d\\n\",2*n);"
                              "fflush(stdout);} for(int i=0;i<1000;i++)if(read(0,b,9)!=0)return 9; return 0;}",
    "ignores SIGPIPE": "int main(){signal(SIGPIPE,SIG_IGN); int n; while(scanf(\"%d\",&n)==1){printf(\"%d\\n\",2*n);"
                       "fflush(stdout);} for(int i=0;i<9;i++){puts(\"more\");if(fflush(stdout))return 8;} return 0;}",
    "forbidden": "#include <sys/mount.h>\nint main(){int n; scanf(\"%d\",&n); mount(0,0,0,0,0);return 0;}",
    "memory": "int main(){int n; scanf(\"%d\",&n);for(;;){volatile char*p=malloc(1<<20);"
              "for(int i=0;i<1<<20;i+=512)p[i]=1;}}",
    "daemon": "int main(){int n; if(!fork()){setsid(); for(;;)pause();} while(scanf(\"%d\",&n)==1)"
              "{printf(\"%d\\n\",2*n);fflush(stdout);} return 0;}",
}  # fmt: skip
TALK = (
    'int main(){for(int i=1;i<4;i++){int n;printf("%d\\n",i);fflush(stdout);'
    'if(scanf("%d",&n)!=1||n!=2*i)return 43;}'
)
INTERACTORS = {
    "fair": TALK + "return 42;}",
    "accepts at once": "int main(){return 42;}",
    "rejects at once": "int main(){return 43;}",
    "rejects late": TALK + "usleep(50000);return 43;}",
    "crashes": TALK + "raise(SIGSEGV);}",
    "crashes at the end of input": TALK.replace("return 43", "abort()") + "return 42;}",
    "hangs": "int main(){puts(\"1\");fflush(stdout);sleep(60);return 42;}",
    "loops": "int main(){puts(\"1\");fflush(stdout);for(;;);}",
    "floods": "int main(){for(;;)puts(\"1\");}",
    "exit code 0": TALK + "return 0;}",
}  # fmt: skip

# submission -> the word with each interactor
COLUMNS = (
    "fair", "accepts at once", "rejects at once", "rejects late", "crashes", "crashes at the end of input",
    "exit code 0",
)  # fmt: skip
MATRIX = {
    "right":                  ("AC", "AC", "WA", "WA", "JE", "AC", "JE"),
    "wrong":                  ("WA", "AC", "WA", "WA", "WA", "JE", "WA"),
    "ends at once":           ("WA", "AC", "WA", "WA", "WA", "JE", "WA"),
    "crashes":                ("RTE", "RTE", "WA", "RTE", "RTE", "RTE", "RTE"),
    "loops":                  ("TLE", "TLE", "WA", "TLE", "TLE", "TLE", "TLE"),
    "sleeps":                 ("ILE", "ILE", "WA", "ILE", "ILE", "ILE", "ILE"),
    "floods":                 ("WA", "OLE", "WA", "WA", "WA", "JE", "WA"),
    "floods stderr":          ("AC", "AC", "WA", "WA", "JE", "AC", "JE"),
    "closes stdout":          ("WA", "AC", "WA", "WA", "WA", "JE", "WA"),
    "reads on after the end": ("AC", "AC", "WA", "WA", "JE", "AC", "JE"),
    "ignores SIGPIPE":        ("AC", "AC", "WA", "WA", "JE", "AC", "JE"),
    "forbidden":              ("SV", "SV", "WA", "SV", "SV", "SV", "SV"),
    "memory":                 ("MLE", "MLE", "WA", "MLE", "MLE", "MLE", "MLE"),
    "daemon":                 ("AC", "AC", "WA", "WA", "JE", "AC", "JE"),
}  # fmt: skip
# those that wait for the wall limit, or half of it
WAITS = ("sleeps", "closes stdout")
# and what of them says nothing new
SLOW = {("sleeps", "accepts at once"), ("sleeps", "rejects late"), ("sleeps", "exit code 0"), ("sleeps", "crashes")}
CASES = [
    (submission, interactor, word)
    for submission, row in MATRIX.items()
    for interactor, word in zip(COLUMNS, row, strict=True)
    if (submission, interactor) not in SLOW
]


@pytest.fixture
def talked(compiled: Make, judged: Judge) -> Callable[..., SimpleNamespace]:
    def judge(submission: str, interactor: str, **options: object) -> SimpleNamespace:
        programs = compiled(SUBMISSIONS[submission]), compiled(INTERACTORS[interactor])
        wall_ns = 6 * SECOND // 10 if submission in WAITS else 6 * SECOND  # a busy machine is no verdict
        options = {"cpuset": "0", "limits": {"time_ns": SECOND // 5, "wall_ns": wall_ns}, **options}
        return judged(programs[0], interactor=(VALIDATOR, programs[1]), checkers=(), kinds=KINDS, **options)

    return judge


@pytest.mark.parametrize(("submission", "interactor", "word"), CASES)
def test_matrix(talked: Judge, submission: str, interactor: str, word: str) -> None:
    found = talked(submission, interactor)
    assert found.word == word, (found.verdict, found.evidence)


@pytest.mark.parametrize(("submission", "interactor", "detail"), [
    ("right", "hangs", "did not answer"),  # it has answered, and waits
    ("sleeps", "hangs", "did not answer"),
    ("right", "loops", "validator: cpu_time"),
    ("ends at once", "hangs", "validator: idle"),
    ("right", "floods", "validator: cpu_time"),
])  # fmt: skip
def test_a_hanging_interactor_is_our_fault(talked: Judge, submission: str, interactor: str, detail: str) -> None:
    began = time.monotonic()
    found = talked(submission, interactor, limits={"wall_ns": SECOND // 2, "validation_time_ns": SECOND // 2})
    assert found.word == "JE" and detail in found.verdict.detail, found
    assert time.monotonic() - began < 20


@pytest.mark.v2
def test_each_waits_for_the_other(compiled: Make, judged: Judge) -> None:
    """The submission forgot to flush: idle, and the interactor did nothing but wait."""
    submission = compiled('int main(){char b[9]; printf("1\\n"); return read(0,b,1)==1;}')
    interactor = compiled("int main(){int n; return scanf(\"%d\",&n)==1?42:43;}")
    found = judged(submission, interactor=(VALIDATOR, interactor), checkers=(), kinds=KINDS, limits=SHORT)
    assert found.word == "ILE" and found.evidence.passes[0].ended_first == SUBMISSION


def test_a_slow_interactor_costs_the_submission_nothing(compiled: Make, judged: Judge) -> None:
    """It computes for longer than the submission's wall time: that is run again with more of it."""
    think = (
        "#include <time.h>\nint main(){struct timespec t; int n; do clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&t);"
        'while(t.tv_nsec<700000000); puts("1");fflush(stdout); return scanf("%d",&n)==1&&n==2?42:43;}'
    )
    limits = {"time_ns": SECOND // 10, "wall_ns": 3 * SECOND // 10, "validation_time_ns": 5 * SECOND}
    found = judged(
        compiled(SUBMISSIONS["right"]), interactor=(VALIDATOR, compiled(think)), checkers=(), kinds=KINDS, limits=limits
    )
    assert found.word == "AC", found
    run, theirs = found.evidence.passes[0].run, found.evidence.passes[0].check.run
    assert run.cpu_ns < SECOND // 10 < SECOND // 2 < theirs.cpu_ns, "each is billed for its own"
    assert run.limits.wall_ns > limits["wall_ns"]


def test_the_end_of_input_can_be_told_without_an_end(compiled: Make, judged: Judge) -> None:
    """The interactor closes its output and goes on: the submission hears of it well before its wall limit."""
    submission = compiled('int main(){char b[9]; while(read(0,b,9)>0); puts("5"); return 0;}')
    interactor = compiled('int main(){int n; puts("1");fflush(stdout);close(1); return scanf("%d",&n)==1&&n==5?42:43;}')
    found = judged(submission, interactor=(VALIDATOR, interactor), checkers=(), kinds=KINDS, limits=SHORT)
    assert found.word == "AC", found


@pytest.mark.parametrize("_", range(3))
def test_the_caused_end_is_the_later_one(compiled: Make, judged: Judge, _: int) -> None:
    """Nobody sees the partner's end before it has been noted, so no race decides."""
    reads_all = compiled("int main(){char b[9]; while(read(0,b,9)>0); return 43;}")
    crash = judged(compiled("int main(){return 3;}"), interactor=(VALIDATOR, reads_all), checkers=(), kinds=KINDS)
    assert (crash.word, crash.evidence.passes[0].ended_first) == ("RTE", SUBMISSION)
    fails_on_end = compiled("int main(){char b[9]; while(read(0,b,9)>0); return 3;}")
    reject = judged(
        fails_on_end, interactor=(VALIDATOR, compiled("int main(){return 43;}")), checkers=(), kinds=KINDS
    )
    assert (reject.word, reject.evidence.passes[0].ended_first) == ("WA", INTERACTOR)


def test_the_interactor_is_limited_too(compiled: Make, judged: Judge) -> None:
    eats = compiled("int main(){for(;;){volatile char*p=malloc(1<<20);for(int i=0;i<1<<20;i+=512)p[i]=1;}}")
    found = judged(compiled(SUBMISSIONS["right"]), interactor=(VALIDATOR, eats), checkers=(), kinds=KINDS)
    assert found.word == "JE" and "validator: memory" in found.verdict.detail


def test_stderr_of_both(talked: Judge) -> None:
    found = talked("floods stderr", "fair")
    assert found.evidence.passes[0].stderr == "no" * 2048


def test_what_the_submission_sees(scripted: Make, compiled: Make, judged: Judge) -> None:
    """Neither input nor answer nor the interactor's directories; its streams are pipes."""
    look = scripted(
        "import os, sys\nprint([p for p in ('/data', '/feedback', '/data/input') if os.path.exists(p)],"
        " os.listdir('/submission'), [os.readlink(f'/proc/self/fd/{n}')[:4] for n in range(3)],"
        " len(os.listdir('/proc/self/fd')), file=sys.stderr)"
    )
    found = judged(look, interactor=(VALIDATOR, compiled("int main(){return 42;}")), checkers=(), kinds=KINDS)
    assert found.word == "AC"
    assert found.evidence.passes[0].stderr == "[] ['prog.py'] ['pipe', 'pipe', 'pipe'] 4\n"


def test_feedback_of_the_interactor(scripted: Make, compiled: Make, judged: Judge) -> None:
    interactor = scripted(
        "import sys\nopen(sys.argv[3] + 'judgemessage.txt', 'w').write('read ' + open(sys.argv[1]).read() +"
        " open(sys.argv[2]).read() + ' '.join(sys.argv[4:]))\nsys.exit(42)"
    )
    found = judged(
        compiled(SUBMISSIONS["right"]), interactor=(VALIDATOR, interactor), checkers=(), kinds=KINDS, input="in ",
        answer="ans ", checker_args=("a", "b"),
    )  # fmt: skip
    assert found.word == "AC" and found.evidence.passes[0].check.message == "read in ans a b"


WRITES = (
    "int main(int c,char**v){FILE*f=fopen(v[2],\"w\");int n;puts(\"1\");fflush(stdout);"
    "if(scanf(\"%d\",&n)!=1)return 2;fprintf(f,\"%d\\n\",n);fclose(f);fprintf(stderr,\"ok\");return 0;}"
)


@pytest.mark.parametrize(("submission", "word"), [("right", "AC"), ("wrong", "WA"), ("ends at once", "WA")])
def test_an_interactor_of_testlib_and_its_checker(compiled: Make, judged: Judge, submission: str, word: str) -> None:
    found = judged(
        compiled(SUBMISSIONS[submission]), interactor=(Checker("testlib", source=Path("/x")), compiled(WRITES)),
        kinds=KINDS, answer="2\n",
    )  # fmt: skip
    assert found.word == word, found


@pytest.mark.parametrize(("code", "word"), [(0, "AC"), (1, "WA"), (2, "JE")])
def test_a_bridged_interactor(compiled: Make, judged: Judge, code: int, word: str) -> None:
    program = compiled(f"int main(int c,char**v){{return c==3?{code}:9;}}")
    found = judged(
        compiled(SUBMISSIONS["right"]), interactor=(Checker("bridged", source=Path("/x")), program), checkers=(),
        kinds=KINDS,
    )  # fmt: skip
    assert found.word == word, found


@pytest.mark.v2
def test_two_cgroups(compiled: Make, judged: Judge) -> None:
    """The interactor's memory and time are not the submission's."""
    heavy = compiled(
        "int main(){volatile char*p=malloc(40<<20);for(int i=0;i<40<<20;i+=512)p[i]=1;"
        "puts(\"1\");fflush(stdout);int n;return scanf(\"%d\",&n)==1&&n==2?42:43;}"
    )
    found = judged(compiled(SUBMISSIONS["right"]), interactor=(VALIDATOR, heavy), checkers=(), kinds=KINDS)
    facts = found.evidence.passes[0]
    assert found.word == "AC" and facts.run.memory_peak_bytes < 16 << 20 < facts.check.run.memory_peak_bytes


def test_another_sandbox_for_the_interactor(talked: Judge) -> None:
    with Sandbox() as helper:
        helper.run(["true"])
        assert talked("right", "fair", helper=helper).word == "AC"


def test_from_several_threads(compiled: Make, judged: Judge, tmp_path: Path) -> None:
    """Workers are threads or processes of the caller's choice."""
    words: list[str] = []

    def work() -> None:
        programs = compiled(SUBMISSIONS["right"]), compiled(INTERACTORS["fair"])
        words.append(judged(programs[0], interactor=(VALIDATOR, programs[1]), checkers=(), kinds=KINDS).word)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert words == ["AC"]


def test_from_asyncio(talked: Judge) -> None:
    """A caller that has a loop in this thread."""

    async def work() -> str:
        return str(talked("right", "fair").word)

    assert asyncio.run(work()) == "AC"


def test_an_interrupt_leaves_nothing(compiled: Make, judged: Judge) -> None:
    programs = compiled(SUBMISSIONS["sleeps"]), compiled(INTERACTORS["fair"])
    timer = threading.Timer(0.2, os.kill, (os.getpid(), 2))
    before = sorted(os.listdir("/proc/self/fd"))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        judged(programs[0], interactor=(VALIDATOR, programs[1]), checkers=(), kinds=KINDS)
    assert time.monotonic() - began < 0.9 and sorted(os.listdir("/proc/self/fd")) == before


def test_a_fault_of_one_ends_the_other(compiled: Make, judged: Judge) -> None:
    """The submission cannot even be started: the interactor is not waited for."""
    programs = compiled(SUBMISSIONS["right"]), compiled(INTERACTORS["hangs"])
    began = time.monotonic()
    found = judged(
        programs[0], interactor=(VALIDATOR, programs[1]), checkers=(), kinds=KINDS, limits={"memory_bytes": 1}
    )
    assert found.word == "JE" and "RequestError: mem" in found.verdict.detail and time.monotonic() - began < 0.9


@pytest.mark.parametrize(
    ("causes", "theirs", "first"),
    [
        # ended at 2.000 s; the wall limit was over at 1.990 s, and the interactor, which saw that, was gone at 1.995 s
        ((("wall_time", "", 990_000_000),), 1_995_000_000, SUBMISSION),
        ((("idle", "", 1_010_000_000), ("wall_time", "", 990_000_000)), 1_995_000_000, SUBMISSION),
        ((("wall_time", "", 990_000_000),), 1_985_000_000, INTERACTOR),
        ((("exited", "exit code 1", 1_000_000_000),), 1_995_000_000, INTERACTOR),
        ((), 2_005_000_000, SUBMISSION),
    ],
)
def test_the_end_of_a_run_that_a_limit_ended_is_when_that_was_decided(
    causes: tuple[tuple[str, str, int | None], ...], theirs: int, first: str
) -> None:
    """In a slow guest the interactor was noted first, and a deadlock became a wrong answer."""
    run = RunFacts("idle", causes=causes, wall_ns=1_000_000_000, ended_at_ns=2_000_000_000)
    assert _first(run, RunFacts("exited", exit_code=43, wall_ns=900_000_000, ended_at_ns=theirs)) == first
