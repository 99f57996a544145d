"""judge(problem, submission) -> SubmissionResult: the whole path, from files to a verdict with its evidence.

What is wrong with a submission is its verdict. What goes wrong on our side while it is judged is JE with a reason, and
the tests that can be judged are. What is wrong from the start is raised: a host that cannot limit memory would make
every verdict worthless.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sandbox import HostError, Sandbox, SandboxError

from ..build import Built, Cache, build, program, read
from ..errors import JudgeError
from ..events import Began, Compiled, Ended, GroupEnded, Listener, TestEnded
from ..execute import Job, run_test
from ..execute.limits import duration, limited
from ..facts import Evidence
from ..language import Languages, load
from ..problem.digest import digest
from ..problem.model import SUBMIT_ANSWER, Checker, Group, Limits, Problem, Scoring, Test
from ..program import Program
from ..result import CompileFacts, GroupResult, SubmissionResult, TestResult
from ..timing.near import PRESSURE, is_disturbed, is_near, slowest
from ..timing.noise import Pressure, Watch
from ..verdict import Verdict
from ..verdict.decide import decide
from ..verdict.profiles import profile_of
from .bounds import BREAK
from .grader import Graders, quiet
from .journal import Entry, Journal, default_path
from .same import same_as
from .schedule import Gate, Schedule, Worker, choose, cores
from .scoring import ACCEPTED, Rules
from .scratch import Scratch
from .walk import Walk

# Part of each journal key: a change in what is measured makes what was measured before useless.
_VERSION = 1
# Shorter tests say nothing about the load of a machine: the kernel adds up its pressure every 2 ms at best.
_LONG_ENOUGH_NS = 100_000_000


@dataclass(frozen=True)
class Options:
    """jobs: tests at once, each on a CPU of its own. time_ns, memory_bytes: instead of the package's limits, for all
    tests. language: id, None to detect. fresh: take nothing from the journal. journal: its file, None for the usual
    place. reruns: of a test near its limit, 0 for none. early: leave out what cannot change the result.
    cache: directory of compiled programs, None for the usual place."""

    jobs: int = 1
    profile: str = "icpc"
    time_ns: int | None = None
    memory_bytes: int | None = None
    language: str | None = None
    fresh: bool = False
    journal: Path | None = None
    journaled: bool = True
    reruns: int = 3
    early: bool = True
    cache: Path | None = None


def judge(
    problem: Problem, submission: Path, *, languages: Languages | None = None, options: Options | None = None,
    listener: Listener | None = None, box: Sandbox | None = None, entrypoint: str | None = None,
    root: Path | None = None,
) -> SubmissionResult:  # fmt: skip
    """Judge one submission, a file or a directory.

    ``languages``: the operator's, None for the shipped ones. ``listener`` hears of each step, in this thread.
    ``box``: warm sandboxes of the caller's for the first worker. ``root``: links in the submission may lead to files
    below it (none at all otherwise). Raises SubmissionError and LanguageError (it cannot
    be read, its language is not known), HostError (no limits can be enforced here), JudgeError (no time limit, no
    such profile, no journal). KeyboardInterrupt passes through when every run is gone; what is finished stays in the
    journal.
    """
    known = languages or load(None)
    return _Judging(problem, submission, known, options or Options(), listener, entrypoint, root).run(box)


class _Judging:
    def __init__(self, problem: Problem, submission: Path, languages: Languages, options: Options,
                 listener: Listener | None, entrypoint: str | None, root: Path | None) -> None:  # fmt: skip
        self.problem, self.submission, self.languages, self.options = problem, submission, languages, options
        self.listener: Listener = listener or (lambda _event: None)
        self.entrypoint, self.root = entrypoint, root
        self.severity = profile_of(options.profile).severity
        self.limits = self._limits(problem.limits)
        if self.limits.time_ns is None and SUBMIT_ANSWER not in problem.kinds:
            raise JudgeError(f"problem {problem.name} has no time limit; give one, or measure it with "
                             "pysandbox judge calibrate")  # fmt: skip
        self.notes: list[str] = []
        self.began_ns = time.monotonic_ns()
        self.language = ""
        self.program: Program | None = None

    def run(self, box: Sandbox | None) -> SubmissionResult:
        chosen = choose(self.options.jobs)
        with ExitStack() as stack:
            first = box or stack.enter_context(Sandbox())
            pinned = self._preflight(first, chosen)
            scratch = stack.enter_context(Scratch())
            cache = stack.enter_context(Cache(self.options.cache))
            self.listener(Began(self.problem, self.submission.name, len(self.problem.tests)))
            facts, verdict = CompileFacts(True), None
            if SUBMIT_ANSWER not in self.problem.kinds:
                built = self._compile(cache, first)
                facts, self.program = built.facts, built.program
                verdict = _compile_verdict(facts)
            self.listener(Compiled(self.submission.name, self.language, facts))
            if verdict is None:
                try:
                    self.programs = self._programs(cache, first)
                except (SandboxError, OSError) as error:
                    verdict = Verdict("JE", str(error))
            if verdict is not None:
                return self._ended(_unjudged(self.problem.data, verdict), facts)
            # A box for each worker, and one for the package's programs: what alternates in one box is never made ahead.
            boxes = [first, *(stack.enter_context(Sandbox()) for _ in chosen[1:])]
            helpers = [stack.enter_context(Sandbox()) if self.programs else None for _ in chosen]
            workers = [self._worker(number, cpu if pinned else None, boxes[number], helpers[number], scratch)
                       for number, cpu in enumerate(chosen)]  # fmt: skip
            return self._ended(self._judge(stack, workers), facts)

    # ---- before the tests ----

    def _limits(self, limits: Limits) -> Limits:
        if self.options.time_ns is not None:
            limits = replace(limits, time_ns=self.options.time_ns, wall_ns=None)
        if self.options.memory_bytes is not None:
            limits = replace(limits, memory_bytes=self.options.memory_bytes)
        return limits

    def _preflight(self, box: Sandbox, chosen: list[int]) -> bool:
        """Can limits be enforced here at all? HostError if not. Whether runs can be pinned as well."""
        limits = {"mem": self.limits.memory_bytes, "swap": 0, "time": duration(10**9), "wall": duration(10**10),
                  "pids": 16, "policy": "judge", "net": "none"}  # fmt: skip
        if len(chosen) > cores(chosen):
            self.notes.append(f"{len(chosen)} workers share {cores(chosen)} cores: times may be longer than at -j 1")
        try:
            box.run(["true"], **limits, cpuset=str(chosen[0]))
        except HostError as error:
            box.run(["true"], **limits)
            self.notes.append(f"runs are not pinned to CPUs: {error}")
            return False
        return True

    def _compile(self, cache: Cache, box: Sandbox) -> Built:
        sources = read(
            self.submission, self.languages, limit_bytes=self.limits.code_bytes, language=self.options.language,
            entrypoint=self.entrypoint, include=self.problem.include, root=self.root,
        )  # fmt: skip
        self.language = sources.language.id
        if self.problem.languages is not None and self.language not in self.problem.languages:
            allowed = ", ".join(sorted(self.problem.languages))
            return Built(None, CompileFacts(False, f"language {self.language} is not allowed here, only {allowed}"))
        return build(sources, languages=self.languages, limits=self.limits, cache=cache, box=box)

    def _programs(self, cache: Cache, box: Sandbox) -> dict[Path, Program]:
        """The package's own: checkers, interactor, graders. Raises what ``build.program`` raises."""
        found: dict[Path, Program] = {}

        def add(path: Path | None, role: str, language: str | None = None,
                include: Mapping[str, Path] | None = None) -> None:  # fmt: skip
            if path is not None and path not in found:
                found[path] = program(
                    path, role, languages=self.languages, limits=self.limits, cache=cache, box=box, language=language,
                    include=include, root=self.problem.root,
                )  # fmt: skip

        for checker in {id(c): c for test in self.problem.tests for c in self._checkers(test)}.values():
            add(checker.source, "checker", checker.language, checker.include)
        if self.problem.interactor is not None:
            interactor = self.problem.interactor
            add(interactor.source, "interactor", interactor.language, interactor.include)
        for group in _groups(self.problem.data):
            add(group.scoring.grader, "grader")
        return found

    def _checkers(self, test: Test) -> tuple[Checker, ...]:
        return (test.checker,) if test.checker is not None else self.problem.checkers

    def _worker(self, number: int, cpu: int | None, box: Sandbox, helper: Sandbox | None, scratch: Path) -> Worker:
        place = scratch / str(number)
        place.mkdir()
        return Worker(number, None if cpu is None else str(cpu), box, place, helper)

    # ---- the tests ----

    def _judge(self, stack: ExitStack, workers: list[Worker]) -> GroupResult:
        pressure = Pressure()
        stack.callback(pressure.close)
        runner = _Runner(self, pressure)
        entry = self._entry(stack)
        same = same_as(self.problem)
        results = _Results(self, same, entry)
        order = [test.name for test in self.problem.tests if same[test.name] == test.name
                 and not (entry and test.name in entry.known)]  # fmt: skip
        results.schedule = schedule = Schedule(workers, runner.work, order, results.finished)
        stack.callback(schedule.close)
        grader = quiet(Graders(self.programs, self.limits, workers[0].box), self.notes)
        walk = Walk(self.problem, Rules.of(self.problem, self.severity), results, early=self.options.early,
                    grader=grader, shown=self._shown)  # fmt: skip
        root = walk.run()
        self.notes += runner.notes
        if entry is not None:
            entry.finish()
        return root

    def _entry(self, stack: ExitStack) -> Entry | None:
        if not self.options.journaled or self.program is None:
            return None
        journal = stack.enter_context(Journal(self.options.journal or default_path()))
        key = hashlib.sha256(json.dumps([
            _VERSION, self.problem.digest or digest(self.problem), self.program.digest, self.program.language,
            list(self.program.argv), dict(self.program.env), self.program.policy, self.program.time_factor,
            asdict(self.limits), self.options.reruns,
        ], sort_keys=True).encode()).hexdigest()  # fmt: skip
        entry = journal.begin(key, self.problem.name, self.submission.name, fresh=self.options.fresh)
        if entry.known:
            self.notes.append(f"{len(entry.known)} tests were finished by a judge that was interrupted")
        return entry

    def _shown(self, group: str, result: TestResult | GroupResult) -> None:
        if isinstance(result, TestResult):
            self.listener(TestEnded(self.submission.name, group, result))
        else:
            self.listener(GroupEnded(self.submission.name, result))

    # ---- after them ----

    def _ended(self, root: GroupResult, facts: CompileFacts) -> SubmissionResult:
        bounds = limited(self.limits, self.program) if self.program is not None else None
        self._note_noise(root)
        result = SubmissionResult(
            self.problem.name, self.submission.name, self.language, self.options.profile, root.verdict, root.score,
            facts, root, bounds.time_ns if bounds else self.limits.time_ns,
            bounds.memory_bytes if bounds else self.limits.memory_bytes, time.monotonic_ns() - self.began_ns,
            tuple(self.notes),
        )  # fmt: skip
        self.listener(Ended(result))
        return result

    def _note_noise(self, root: GroupResult) -> None:
        busy = [
            test.evidence.noise.pressure or 0.0 for test in root.tests() if test.origin == "run"
            and (test.evidence.noise.pressure or 0.0) >= PRESSURE
            and any((f.run.wall_ns or 0) >= _LONG_ENOUGH_NS for f in test.evidence.passes if f.run)
        ]  # fmt: skip
        if busy:
            self.notes.append(f"somebody waited for a CPU during {len(busy)} tests, up to {max(busy):.0%} of the time")
        throttled = sum(test.evidence.noise.throttled_ns for test in root.tests() if test.origin == "run")
        if throttled:
            self.notes.append(f"a CPU limit made runs wait for {throttled / 1e9:.3f} s")


class _Runner:
    """One test with all that belongs to it: noise, and reruns where its time is near the limit."""

    def __init__(self, judging: _Judging, pressure: Pressure) -> None:
        self._judging, self._pressure = judging, pressure
        self._gate = Gate()
        self._tests = {test.name: test for test in judging.problem.tests}
        self.notes: list[str] = []

    def work(self, worker: Worker, name: str) -> Evidence:
        job = self._job(worker, self._tests[name])
        with self._gate.beside() as others:
            watch, before = Watch(self._pressure), others()
            evidence = run_test(job)
            noise = watch.noise(evidence, max(before, others()))
        evidence = replace(evidence, noise=noise)
        if evidence.fault or not self._judging.options.reruns:
            return evidence
        if is_disturbed(evidence, noise):
            evidence = self._again(job, evidence)
        if is_near(slowest(evidence)):
            evidence = self._rerun(job, evidence)
        return evidence

    def _again(self, job: Job, evidence: Evidence) -> Evidence:
        """Once more alone, instead: the wall clock ended it while others ran."""
        with self._gate.alone():
            watch = Watch(self._pressure)
            second = run_test(job)
            second = replace(second, noise=watch.noise(second, 0))
        if second.fault:
            self.notes.append(f"{job.test.name}: the rerun failed: {second.fault}")
            return evidence
        self.notes.append(f"{job.test.name}: run again alone, the wall-clock time was over while others ran beside it")
        return second

    def _rerun(self, job: Job, evidence: Evidence) -> Evidence:
        again: list[Evidence] = []
        for _ in range(self._judging.options.reruns):
            with self._gate.alone():
                found = run_test(job)
            if found.fault:
                self.notes.append(f"{job.test.name}: a rerun failed: {found.fault}")
            else:
                again.append(found)
        runs = [run for run in map(slowest, again) if run is not None]
        return replace(evidence, reruns=tuple(runs))

    def _job(self, worker: Worker, test: Test) -> Job:
        judging = self._judging
        programs, problem = judging.programs, judging.problem
        checkers = tuple((c, programs[c.source] if c.source is not None else None) for c in judging._checkers(test))
        interactor = None
        if problem.interactor is not None and problem.interactor.source is not None:
            interactor = programs[problem.interactor.source]
        return Job(
            problem, test, judging.program, checkers, interactor, worker.box, worker.cpuset, worker.scratch,
            answers=judging.submission if judging.program is None else None,
            limits=judging._limits(test.limits or problem.limits), helper=worker.helper,
        )  # fmt: skip


class _Results:
    """Evidence from the journal, from an equal test or from a run -> TestResult. What ``Walk`` asks."""

    schedule: Schedule

    def __init__(self, judging: _Judging, same: dict[str, str], entry: Entry | None) -> None:
        self._judging, self._same, self._entry = judging, same, entry
        self._users: dict[str, set[str]] = {}
        self._verdicts: dict[str, Verdict] = {}
        for name, first in same.items():
            self._users.setdefault(first, set()).add(name)
        # test -> those of its group that are not looked at once it is rejected
        self._after: dict[str, tuple[Test, ...]] = {}
        if judging.options.early:
            for group in _groups(judging.problem.data):
                self._note_breaks(group)

    def get(self, test: Test, group: Group) -> TestResult:
        first = self._same[test.name]
        if self._entry is not None and first in self._entry.known:
            evidence, origin = self._entry.known[first], "journal"
        else:
            evidence, origin = self.schedule.get(first), "run"
        verdict = self._verdict(first, evidence)
        said = evidence.passes[-1] if evidence.passes else None
        diff = said.diff if said is not None and test.sample and verdict.word not in ACCEPTED else ""
        result = TestResult(test.name, verdict, test.sample, evidence=evidence, origin=origin, diff=diff)
        return result if first == test.name else replace(result, origin="same", same_as=first)

    def drop(self, tests: tuple[Test, ...]) -> None:
        free = []
        for test in tests:
            first = self._same[test.name]
            users = self._users[first]
            users.discard(test.name)
            if not users:
                free.append(first)
        if free:
            self.schedule.drop(free)

    def finished(self, name: str, evidence: Evidence) -> None:
        """Into the journal at once; and whatever follows in its group need not be started, if it is rejected."""
        if self._entry is not None and not evidence.fault:
            self._entry.write(name, evidence)
        if self._verdict(name, evidence).word not in ACCEPTED:
            for user in tuple(self._users[name]):
                self.drop(self._after.get(user, ()))

    def _verdict(self, name: str, evidence: Evidence) -> Verdict:
        if name not in self._verdicts:
            self._verdicts[name] = decide(evidence, self._judging.options.profile)
        return self._verdicts[name]

    def _note_breaks(self, group: Group) -> None:
        scoring: Scoring = group.scoring
        if scoring.on_reject != BREAK:
            return
        for number, child in enumerate(group.children):
            if isinstance(child, Test) and not (scoring.ignore_sample and child.sample):
                rest = group.children[number + 1 :]
                self._after[child.name] = tuple(test for other in rest for test in _tests(other))


def _compile_verdict(facts: CompileFacts) -> Verdict | None:
    if facts.fault:
        return Verdict("JE", facts.fault)
    return None if facts.ok else Verdict("CE", "does not compile")


def _unjudged(group: Group, verdict: Verdict | None = None) -> GroupResult:
    children = tuple(
        TestResult(child.name, Verdict("SK"), child.sample, origin="skipped") if isinstance(child, Test)
        else _unjudged(child) for child in group.children
    )  # fmt: skip
    return GroupResult(group.name, verdict or Verdict("SK"), None, children)


def _tests(child: Group | Test) -> tuple[Test, ...]:
    return (child,) if isinstance(child, Test) else tuple(child.tests())


def _groups(group: Group) -> list[Group]:
    return [group, *(inner for child in group.children if isinstance(child, Group) for inner in _groups(child))]
