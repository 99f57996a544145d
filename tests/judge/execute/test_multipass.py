"""The submission runs again on what the validator leaves in nextpass.in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from judge.problem.model import INTERACTIVE, MULTI_PASS, SECOND, Checker
from judge.program import Program

Make = Callable[..., Program]
Judge = Callable[..., SimpleNamespace]

VALIDATOR = Checker("validator", source=Path("/x"))
KINDS = frozenset({MULTI_PASS})
DOUBLES = 'int main(){int n; if(scanf("%d",&n)!=1)return 1; printf("%d\\n",2*n); return 0;}'
# Asks for passes until argv[4] were made. Input of each pass must be what it left in the one before.
ASKS = """
import os, sys
given, answer, feedback, most = *sys.argv[1:4], int(sys.argv[4])
log = feedback + "judgemessage.txt"
made = open(log).read().split() if os.path.exists(log) else []
number, said = int(open(given).read()), int(sys.stdin.read())
if said != 2 * number or os.path.exists(feedback + "nextpass.in"): sys.exit(43)
made.append(str(said))
open(log, "w").write(" ".join(made))
if len(made) < most: open(feedback + "nextpass.in", "w").write(str(said))
sys.exit(42)
"""


def test_two_passes(compiled: Make, scripted: Make, judged: Judge) -> None:
    checkers = ((VALIDATOR, scripted(ASKS)),)
    found = judged(compiled(DOUBLES), input="3", checkers=checkers, kinds=KINDS, checker_args=("2",))
    assert found.word == "AC", found
    assert len(found.evidence.passes) == 2 and found.evidence.passes[1].check.message == "6 12"


def test_one_pass_is_enough_if_it_says_so(compiled: Make, scripted: Make, judged: Judge) -> None:
    checkers = ((VALIDATOR, scripted(ASKS)),)
    found = judged(compiled(DOUBLES), input="3", checkers=checkers, kinds=KINDS, checker_args=("1",))
    assert found.word == "AC" and len(found.evidence.passes) == 1


def test_more_passes_than_allowed(compiled: Make, scripted: Make, judged: Judge) -> None:
    """2025-09: "It is a judge error to run more passes than specified"."""
    checkers = ((VALIDATOR, scripted(ASKS)),)
    found = judged(compiled(DOUBLES), input="3", checkers=checkers, kinds=KINDS, checker_args=("9",))
    assert found.word == "JE" and "asked for pass 3, and validation_passes is 2" in found.verdict.detail
    assert len(found.evidence.passes) == 2
    more = judged(
        compiled(DOUBLES), input="3", checkers=checkers, kinds=KINDS, checker_args=("9",),
        limits={"validation_passes": 9},
    )  # fmt: skip
    assert more.word == "AC" and len(more.evidence.passes) == 9


def test_limits_are_those_of_each_pass(compiled: Make, scripted: Make, judged: Judge) -> None:
    """Three passes of 0.2 s under a limit of 0.5 s; a fourth that crashes is named."""
    text = (
        "#include <time.h>\nint main(){int n; if(scanf(\"%d\",&n)!=1||n>20)return 9; struct timespec t;"
        "do clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&t); while(t.tv_nsec<200000000); printf(\"%d\\n\",2*n);return 0;}"
    )
    checkers = ((VALIDATOR, scripted(ASKS)),)
    found = judged(
        compiled(text), input="3", checkers=checkers, kinds=KINDS, checker_args=("4",), limits={"validation_passes": 9}
    )
    assert (found.word, found.verdict.detail) == ("RTE", "pass 4: exit code 9")
    assert sum(facts.run.cpu_ns for facts in found.evidence.passes) > SECOND // 2


def test_what_a_validator_may_not_do(compiled: Make, scripted: Make, judged: Judge) -> None:
    """nextpass.in beside a rejection, as a link to a file of the host, or too long."""
    start = "import os, sys\nname = sys.argv[3] + 'nextpass.in'\n"
    for text in (
        "open(name, 'w').write('1'); sys.exit(43)",
        "os.symlink('/etc/passwd', name); sys.exit(42)",
        "os.mkfifo(name); sys.exit(42)",
    ):
        checkers = ((VALIDATOR, scripted(start + text)),)
        found = judged(compiled(DOUBLES), input="3", checkers=checkers, kinds=KINDS)
        assert found.word == "JE", (text, found)


def test_interactive_passes(compiled: Make, scripted: Make, judged: Judge) -> None:
    interactor = scripted(
        "import sys\ngiven, _, feedback = sys.argv[1:4]\nnumber = int(open(given).read())\nprint(number, flush=True)\n"
        "if int(input()) != 2 * number: sys.exit(43)\n"
        "if number == 3: open(feedback + 'nextpass.in', 'w').write('5')\nsys.exit(42)"
    )
    right = judged(
        compiled(DOUBLES), input="3", interactor=(VALIDATOR, interactor), checkers=(), kinds=KINDS | {INTERACTIVE}
    )
    assert right.word == "AC" and len(right.evidence.passes) == 2
    wrong = compiled(DOUBLES.replace("2*n", "n==5?0:2*n"))
    found = judged(wrong, input="3", interactor=(VALIDATOR, interactor), checkers=(), kinds=KINDS | {INTERACTIVE})
    assert found.word == "WA" and found.verdict.detail.startswith("pass 2: ")
