"""The process of a container, from ``create`` to the end of its program, whose exit status is its own.

    engine ── create ── fork ──> monitor ── spawner ── init ── program (waits at the gate)
                 │ exits             │ serves ``control``: start, kill

Its number is what ``--pid-file`` gets: an engine (conmon, containerd's shim) is a subreaper, becomes its parent when
``create`` has exited, and waits for it. It holds the lock; killed, even by SIGKILL, it takes the sandbox with it.

Of the files that the engine left open to us the program gets its standard streams and what --preserve-fds counts; the
monitor closes all of them.
"""

from __future__ import annotations

import os
import select
import signal

from .. import result as words
from ..errors import HostError, RequestError, SandboxError, SupervisorError
from ..pipeline import Sandbox
from ..record import Record
from ..request import INHERIT, Request
from . import console, control, hooks, state
from .joined import Joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from ..running import Running
    from .container import Caller, Container
    from .log import Log

_PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Task(Record):
    """What a monitor is started with. ``lock``, ``answer`` and ``console`` are fds; ``console`` -1 if there is none."""

    container: Container
    caller: Caller
    entry: state.Entry
    log: Log
    lock: int
    answer: int
    console: int = -1
    pass_fds: tuple[int, ...] = ()


def main(task: Task) -> int:
    """The exit status: the program's, 125 for a fault of ours. Runs in a process of its own."""
    os.setsid()
    _close_others(task)
    monitor = Monitor(task)
    try:
        return monitor.run()
    except SandboxError as error:
        monitor.failed(error)
    except Exception as error:
        monitor.failed(SupervisorError(f"a fault of pysandbox: {type(error).__name__}: {error}"))
    return words.EXIT_FAULT


class Monitor:
    """One container."""

    def __init__(self, task: Task) -> None:
        self._task, self._entry, self._container = task, task.entry, task.container
        self._box = Sandbox()
        self._gate = -1
        self._running: Running | None = None
        self._listening: socket.socket | None = None
        self._answered = False
        self._joined: list[Joined] = []
        self._signalled = 0
        self._outside: Callable[..., None] | None = None  # calls a function from the engine's own network
        self._record: dict[str, Any] = {
            "ociVersion": task.container.version, "id": task.entry.id, "status": state.CREATING,
            "bundle": task.container.bundle, "annotations": dict(task.container.annotations),
            "hooks": {name: [h.asdict() for h in found] for name, found in task.container.hooks.items()},
            "pysandbox": {"monitor": os.getpid(), "notes": list(task.container.notes)},
        }  # fmt: skip

    def run(self) -> int:
        self._entry.write(self._record)
        self._adjust_oom()
        for number in _PASSED_ON:
            signal.signal(number, self._pass_on)
        gate, self._gate = os.pipe()
        try:
            running = self._running = self._start(gate)
        finally:
            os.close(gate)
        with running:
            self._forget_streams()
            running.ready()
            if not running.waiting:
                raise SupervisorError("the program has not waited for its start")
            self._note(pid=running.pid)
            self._run_hooks("prestart", "createRuntime")
            self._listening = control.listen(self._entry.path)
            self._note(status=state.CREATED)
            self._answer({})
            self._serve(running)
            status, outcome = self._ended(running)
        self._box.close()
        self._note(status=state.STOPPED, pid=None, exit_status=status, outcome=outcome)
        return status

    def failed(self, error: SandboxError) -> None:
        """Tell who waits; leave nothing but a record of it."""
        if self._running is not None:
            self._running.close()
        self._box.close()
        if self._answered:
            self._task.log.error(str(error))
            self._note(status=state.STOPPED, pid=None, exit_status=words.EXIT_FAULT, error=str(error))
        else:
            self._answer(control.failure(error))

    # ---- the beginning ----

    def _start(self, gate: int) -> Running:
        fields = dict(self._container.request)
        task = self._task
        if self._container.maps:
            self._adopt(fields)
        request = Request(**fields, stdin=INHERIT, stdout=INHERIT, stderr=INHERIT, pass_fds=task.pass_fds, gate=gate,
                          leaf=True, joinable="pid" not in fields.get("without", ()))  # fmt: skip
        running = self._box.start_request(request)
        running.supervision.on_terminal = self._on_terminal
        return running

    def _adopt(self, fields: dict[str, Any]) -> None:
        """A spawner whose user namespace is a copy of ours, in the network namespace that is to be joined."""
        from ..native.spawn import Spawner
        from .caller import maps

        net = "net" not in fields
        if self._container.join:
            from .joining import enter

            self._outside = enter(self._container.join)
        spawner = Spawner(write_maps=maps(self._task.caller), net=net)
        self._box.adopt(spawner, ids="range", user=True, net=net)

    def _adjust_oom(self) -> None:
        """Before the spawner starts: all of the sandbox inherits it."""
        if self._container.oom_score_adj is not None:
            try:
                with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                    file.write(str(self._container.oom_score_adj))
            except OSError as error:
                raise HostError(f"oom_score_adj {self._container.oom_score_adj} cannot be had: {error.strerror}",
                                "leave process.oomScoreAdj out") from None  # fmt: skip

    def _forget_streams(self) -> None:
        """The program has them: whoever reads must see an end when the program has ended."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        for fd in self._task.pass_fds:
            os.close(fd)

    def _on_terminal(self, master: int) -> bool:
        import socket

        if self._task.console < 0:
            raise RequestError("--console-socket", "", "a container with a terminal needs one")
        with socket.socket(fileno=self._task.console) as sock:
            console.hand_over(sock, master, self._container.console_size)
        assert self._running is not None
        self._running.supervision.terminal = -1  # the engine's alone: its end is to be the terminal's
        os.close(master)
        return True

    # ---- the life ----

    def _serve(self, running: Running) -> None:
        watch, asking = running.supervision, self._listening
        assert asking is not None
        poll = select.poll()
        poll.register(watch.fileno(), select.POLLIN)
        poll.register(asking, select.POLLIN)
        while not watch.done:
            for one in self._joined:
                one.watch(poll)
            waits = [s for s in (watch.timeout(), *(one.timeout() for one in self._joined)) if s is not None]
            ready = {fd for fd, _mask in poll.poll(min(waits) * 1000 + 1 if waits else None)}
            watch.step(0)
            for one in list(self._joined):
                if one.step(ready, poll):
                    self._joined.remove(one)
            if asking.fileno() in ready:
                self._hear(running)
        asking.close()
        for one in self._joined:  # the kernel has ended them with the pid namespace
            one.finish()

    def _ended(self, running: Running) -> tuple[int, str]:
        """Exit status and outcome."""
        if not running.supervision.began and self._signalled:  # at the gate
            return 128 + self._signalled, words.SIGNALED
        result = running.result()
        if result.error:
            self._task.log.error(f"{self._container.request['argv'][0]}: {result.error}")
        for note in result.notes:
            self._task.log.warning(note)
        return result.exit_status, result.outcome

    def _hear(self, running: Running) -> None:
        assert self._listening is not None
        sock = control.accept(self._listening)
        if sock is None:
            return
        sock.settimeout(10)
        found = control.receive(sock)
        if found is None:
            sock.close()
            return
        message, fds = found
        verbs = {"start": self._verb_start, "kill": self._verb_kill, "pause": self._verb_pause,
                 "resume": self._verb_resume}  # fmt: skip
        try:
            if message.get("verb") == "exec":
                if self._record["status"] != state.RUNNING:
                    raise RequestError("container id", self._entry.id, f"is {self._record['status']}, and not running")
                self._joined.append(Joined(running, message, fds, sock))
                return
            verb = verbs.get(str(message.get("verb")))
            if verb is None:
                raise RequestError("verb", message.get("verb"), "this monitor knows it not")
            answer = verb(running, message)
        except Exception as error:
            answer = control.failure(error)
        finally:
            for fd in fds:
                os.close(fd)
        control.send(sock, answer)
        sock.close()

    def _verb_start(self, running: Running, _message: dict[str, Any]) -> dict[str, Any]:
        """The gate opens. Answers when the program has begun, or could not be."""
        if self._record["status"] != state.CREATED:
            raise RequestError("container id", self._entry.id, f"is {self._record['status']}, and starts only once")
        self._note(status=state.RUNNING)
        try:
            os.write(self._gate, b"g")
        except BrokenPipeError:
            raise RequestError("container id", self._entry.id, "was ended before it was started") from None
        watch = running.supervision
        while not (watch.began or watch.done):
            watch.step(watch.timeout())
        if not watch.began:
            running.result()  # raises what has gone wrong
        try:
            self._run_hooks("poststart")
        except HostError as error:  # runtime.md, "Lifecycle": a warning, and on it goes
            self._task.log.warning(str(error))
        return {}

    def _verb_kill(self, running: Running, message: dict[str, Any]) -> dict[str, Any]:
        number = self._signalled = int(message["signal"])
        if message.get("all") and number == signal.SIGKILL:
            running.supervision.kill(words.INTERRUPTED, "killed by the engine")
        else:
            running.supervision.signal(number)
        return {}

    def _verb_pause(self, running: Running, _message: dict[str, Any]) -> dict[str, Any]:
        if self._record["status"] != state.RUNNING:
            raise RequestError("container id", self._entry.id, f"is {self._record['status']}, and not running")
        running.leaf.freeze()
        self._note(status=state.PAUSED)
        return {}

    def _verb_resume(self, running: Running, _message: dict[str, Any]) -> dict[str, Any]:
        if self._record["status"] != state.PAUSED:
            raise RequestError("container id", self._entry.id, f"is {self._record['status']}, and not paused")
        running.leaf.thaw()
        self._note(status=state.RUNNING)
        return {}

    def _pass_on(self, number: int, _frame: object) -> None:
        if self._running is not None:
            self._signalled = number
            self._running.supervision.signal(number)

    # ---- words ----

    def _run_hooks(self, *names: str) -> None:
        for name in names:
            found = self._container.hooks.get(name, ())
            if found:
                arguments = (name, found, state.shown(self._record), self._task.log.fileno())
                if self._outside is not None:
                    self._outside(hooks.run, *arguments)
                else:
                    hooks.run(*arguments)

    def _note(self, **changes: Any) -> None:
        """Change the record: ``status`` and ``pid`` are the specification's, all else is ours."""
        for key, value in changes.items():
            if key not in ("status", "pid"):
                self._record["pysandbox"][key] = value
            elif value is None:
                self._record.pop(key, None)
            else:
                self._record[key] = value
        self._entry.write(self._record)

    def _answer(self, message: dict[str, Any]) -> None:
        import json

        self._answered = True
        try:
            os.write(self._task.answer, json.dumps(message).encode())
            os.close(self._task.answer)
        except OSError:  # who asked is gone; the container is there
            pass


def _close_others(task: Task) -> None:
    """What the engine left open by accident is nobody's."""
    kept = sorted({0, 1, 2, task.lock, task.answer, task.console, task.log.fileno(), *task.pass_fds} - {-1})
    for low, high in zip(kept, [*kept[1:], 1 << 20], strict=True):
        os.closerange(low + 1, high)

