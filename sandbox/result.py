"""What happened: facts with their source, and one outcome drawn from what fired. No judge words.

The outcome is never guessed from a SIGKILL: each cause is recorded by the thing that saw it (the
cgroup's own counter, a deadline of the supervisor, a byte counter). All causes are kept in
``Result.causes``; the one shown is the first of them in PRECEDENCE.
"""

from __future__ import annotations

from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .denials import Denial
    from .raw import RawDenial

SCHEMA_VERSION = 1

OK = "ok"
EXITED = "exited"  # an exit code other than 0
SIGNALED = "signaled"  # ended by a signal that no limit of ours explains
CPU_TIME = "cpu_time"
WALL_TIME = "wall_time"
IDLE = "idle"  # the wall or idle limit passed while the CPU was hardly used
MEMORY = "memory"  # an OOM kill counted in this run's own cgroup
OUTPUT = "output"
DISK = "disk"  # a container wrote more to its upper directory than it may
SYSCALL = "syscall"  # killed by the seccomp policy
EXEC_FAILED = "exec_failed"  # the program could not be executed at all
INTERRUPTED = "interrupted"  # the caller asked for the end: signal, cancel, close

OUTCOMES = (OK, EXITED, SIGNALED, CPU_TIME, WALL_TIME, IDLE, MEMORY, OUTPUT, DISK, SYSCALL, EXEC_FAILED, INTERRUPTED)

# Which cause is shown when several fired. Memory first: a program that was OOM-killed often also
# spins into its time limit; the way out (exit, signal) says least.
PRECEDENCE = (EXEC_FAILED, MEMORY, OUTPUT, DISK, CPU_TIME, IDLE, WALL_TIME, SYSCALL, INTERRUPTED, SIGNALED, EXITED, OK)

EXIT_TIMEOUT = 124
EXIT_FAULT = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_MEMORY = 137


class Usage(Record):
    """Measured use; None where nothing on this host could measure it. Sources are in ``sources``.

    cpu_ns, user_ns, system_ns: nanoseconds of all processes of the sandbox, from the program's
    exec on. wall_ns: monotonic, exec to exit. ended_at_ns: the host's CLOCK_MONOTONIC when the program ended, by which
    the ends of two runs can be put in order (one that the other's end caused may be told first, by fractions of a
    ms). memory_peak_bytes: highest use of the sandbox. processes_peak: most tasks at once. output_bytes: stdout and
    stderr together, as they passed. io_read_bytes, io_write_bytes: what passed between the sandbox and block devices;
    the page cache does not count.
    """

    cpu_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    wall_ns: int | None = None
    ended_at_ns: int | None = None
    memory_peak_bytes: int | None = None
    processes_peak: int | None = None
    output_bytes: int = 0
    throttled_ns: int | None = None
    oom_kills: int | None = None
    pids_denied: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    sources: dict[str, str] = {}


class Cause(Record):
    """One thing that fired: ``kind`` is an outcome, ``detail`` a sentence, ``at_ns`` since exec."""

    kind: str
    detail: str
    at_ns: int | None = None


class Landlock(Record):
    """What Landlock refuses in this run beside what its rules allow; names as in linux/landlock.h, in lower case.

    abi: of this kernel, 0 if the program is in no domain of ours (``why``). filesystem, network, scoped: what is
    handled. missing: what a newer ABI would handle as well.
    """

    abi: int = 0
    filesystem: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    scoped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self.asdict().items()}


class Result(Record):
    """The facts of one run; picklable, and ``to_json()`` follows ``docs/result.schema.json``.

    exit_code: the program's own, None if a signal ended it or it never ran. signal: number or None.
    enforced: limit name -> what enforces it ("cgroup v1 memory", "RLIMIT_FSIZE", "supervisor").
    not_enforced: limit name -> why (only with best_effort). absent: namespaces left out. capabilities:
    what the program kept in its user namespace, names without CAP_. proc: where the
    figures in /proc came from: "plain" (the kernel), "static" (ours), "lxcfs" or "private" (a lxcfs of ours).
    isolation: "namespaces" or "landlock". landlock: the second lock, or with isolation landlock the first.
    sysinfo: sysinfo(2) told the limits; False: the host's figures. refused: system calls that the policy refused
    and does not keep quiet about, each kind once, as numbers; ``denials`` has them in words. denials_known: False
    if nobody looked for them.
    notes: what a careful reader should know (kept groups, chroot fallback). hints: what to do
    about a failure, for a person.
    """

    outcome: str
    exit_code: int | None = None
    signal: int | None = None
    causes: tuple[Cause, ...] = ()
    usage: Usage = Usage()
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    enforced: dict[str, str] = {}
    not_enforced: dict[str, str] = {}
    backend: str = "none"
    policy: str = "default"
    proc: str = "plain"
    absent: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    sysinfo: bool = False
    isolation: str = "namespaces"
    landlock: Landlock = Landlock()
    refused: tuple[RawDenial, ...] = ()
    denials_known: bool = False
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    error: str = ""

    @property
    def ok(self) -> bool:
        """True if the program ran to its end and returned 0."""
        return self.outcome == OK

    @property
    def exit_status(self) -> int:
        """The exit status of ``pysandbox run`` for this result (docs/cli.md)."""
        if self.outcome in (CPU_TIME, WALL_TIME, IDLE):
            return EXIT_TIMEOUT
        if self.outcome == MEMORY:
            return EXIT_MEMORY
        if self.signal is not None:
            return 128 + self.signal
        return EXIT_FAULT if self.exit_code is None else self.exit_code

    @property
    def denials(self) -> tuple[Denial, ...]:
        """The refused calls in words. Made when they are asked for: it reads the policy, 10 ms the first time."""
        if not self.refused:
            return ()
        from .denials import explain

        return explain(self.refused, self.policy)

    def to_json(self) -> dict[str, Any]:
        """Plain data for json.dumps; bytes become text with undecodable bytes as U+FFFD."""
        data = self.asdict()
        data["usage"] = self.usage.asdict()
        data["landlock"] = self.landlock.to_json()
        data["causes"] = [c.asdict() for c in self.causes]
        del data["refused"]
        data["denials"] = [d.to_json() for d in self.denials]
        for name in ("stdout", "stderr"):
            data[name] = data[name].decode("utf-8", "replace")
        for name in ("absent", "capabilities", "notes", "hints"):
            data[name] = list(data[name])
        return {"schema": SCHEMA_VERSION, **data, "exit_status": self.exit_status}
