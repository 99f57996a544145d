"""Watch one run from its launch to its end: deadlines, output, events, the kill. Its Result is outcome.py's.

Theory of operation. Everything that can happen to a run makes an fd readable: its report socket
(events of the spawner, the program and the init), its pidfd, its pipes, its cgroup's memory events.
All are in one epoll object, so a Supervision needs no thread and no loop of its own:

    while not supervision.done:
        supervision.step(supervision.timeout())

is the synchronous driver; an event loop watches ``supervision.fileno()`` and calls ``step(0)``.

The end of a run comes in this order: the program is gone, the init has killed and reaped the rest
and said PYSB_ENDED (or we killed the init, and the kernel the rest), the pipes are drained, and
where there is a cgroup the init itself is gone, so that the cgroup can be removed.
"""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from . import result as words
from .errors import SupervisorError
from .native._core import lib
from .outcome import Seen, result_of
from .units import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .cgroup.protocol import Leaf
    from .native.peel import PeelWatch
    from .native.run import Event, Run
    from .raw import RawDenial
    from .result import Result
    from .spec import Spec
    from .streams import Flow, Streams

    class Listening(Protocol):
        """Who serves a seccomp listener. ``ready`` handles what waits; False when nobody is left to ask."""

        fd: int
        killed: str  # the call that was answered by the end of the run

        def ready(self) -> bool: ...
        def close(self) -> None: ...

_MS = 1_000_000
# The CPU clock is looked at when the limit could be reached at the earliest, and no more often.
POLL_NS = 1 * _MS
IDLE_POLL_NS = 50 * _MS
# Where the kernel keeps no peak of the memory (v2 before 5.19): what lives for less than this may be missed.
MEMORY_POLL_NS = 10 * _MS
# How long the init may take to end a run politely (and so to report its rusage) before SIGKILL.
POLITE_NS = 100 * _MS
# The same for what joined a sandbox: nothing else ends what its program has started.
POLITE_JOINED_NS = 2_000 * _MS
# How long a sandbox may take to be made. It takes 2 ms; a host that swaps may need seconds.
SETUP_NS = 30_000 * _MS
# After a SIGKILL: how long until we say that something is wrong. A tree of 128 takes 34 ms.
LOST_NS = 60_000 * _MS

_REPORT, _PIDFD, _MEMORY, _SOURCE, _SINK, _WAKE, _LXCFS, _ASKED, _PEELED, _LISTENER = range(10)


class Supervision:
    """One run under watch. ``leaf`` is its cgroup or None, ``peel`` what to do if the lxcfs that it sees dies,
    ``listen`` makes who serves the seccomp listener of a run that hands it out, of the fd, which becomes its
    own, and the number that the program has in its pid namespace; ``shared`` is the cgroup of a sandbox that the run
    has joined."""

    def __init__(
        self, run: Run, spec: Spec, leaf: Leaf | None, streams: Streams, cpus: int, filtered: bool,
        peel: PeelWatch | None = None, listen: Callable[[int, int], Listening] | None = None,
        shared: Leaf | None = None,
    ) -> None:  # fmt: skip
        self.run, self.spec, self.leaf, self.streams = run, spec, leaf, streams
        self._cpus = max(1, cpus)
        self._filtered = filtered
        self._peel = peel
        self._poll = select.epoll()
        self._watched: dict[int, tuple[int, Flow | None]] = {}
        self._seen = Seen(listener_due=listen is not None)
        self._launched_ns = monotonic_ns()
        self._report_open = True
        self._init_gone = False
        self._hard_kill_ns: int | None = None
        self._cpu_limit_ns = spec.limits.time_ns
        self._polls_memory = leaf is not None and leaf.polls_memory()
        self._next_cpu_ns = 0
        self._cpu_seen = (0, 0)  # (CPU, at): the last time that the CPU clock had moved
        self._listen = listen
        self._listener: Listening | None = None
        self._shared, self._shared_kills = shared, (shared.oom_kills() or 0) if shared is not None else 0
        self.waiting = False  # at its gate
        self.namespaces: dict[int, int] = {}  # PYSB_NS_* -> fd, of a run that may be joined
        self.terminal = -1
        self._terminal_keys: int | None = None
        # It returns True if it serves the terminal itself; else what passes is copied as ``terminal_ends`` says.
        self.on_terminal: Callable[[int], bool | None] | None = None
        # What a terminal of the program is connected to: our stdin and stdout (-1: nothing), who sees what passes.
        self.terminal_ends: tuple[int, int, Callable[[bytes], None] | None] = (0, 1, None)
        # A signal handler or another thread may change the deadlines while ``step`` waits.
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch(self._wake, _WAKE, select.EPOLLIN)
        self._watch(run.report, _REPORT, select.EPOLLIN)
        if peel is not None and peel.pidfd >= 0:
            self._watch(peel.pidfd, _LXCFS, select.EPOLLIN)
        for flow in streams.flows:
            self._watch_source(flow)
        if leaf is not None:
            for fd in leaf.event_fds():
                self._watch(fd, _MEMORY, leaf.event_mask)

    # ---- for the drivers ----

    def fileno(self) -> int:
        return self._poll.fileno()

    @property
    def began(self) -> bool:
        """Has the program begun?"""
        return self._seen.began_ns is not None

    def signal(self, number: int) -> None:
        """Send the program a signal, and nothing more: no deadline begins. After the end it does nothing."""
        if self._wake >= 0 and self._seen.ended is None:
            self.run.command(lib.PYSB_SIGNAL, number)

    @property
    def done(self) -> bool:
        """Is there nothing left to wait for?"""
        if self._report_open or not (self._init_gone or (self._seen.ended and self.leaf is None)):
            return False
        return all(f.done or f.broken or not f.counted for f in self.streams.flows)

    def timeout(self) -> float | None:
        """Seconds until ``step`` must be called at the latest; None if only an event can matter."""
        deadlines = []
        seen = self._seen
        if seen.began_ns is None and not self.waiting and seen.kill_ns is None and self._report_open:
            deadlines.append(self._launched_ns + SETUP_NS)
        if seen.began_ns is not None and seen.kill_ns is None and seen.ended is None:
            limits = self.spec.limits
            if limits.wall_ns is not None:
                deadlines.append(seen.began_ns + limits.wall_ns)
            if self._cpu_limit_ns is not None or limits.idle_ns is not None or self._polls_memory:
                deadlines.append(self._next_cpu_ns)
            if self._peel is not None and self._peel.next_ns is not None:
                deadlines.append(self._peel.next_ns)
        if seen.term_ns is not None and seen.kill_ns is None:
            deadlines.append(seen.term_ns + self.spec.grace_ns)
        if seen.kill_ns is not None:
            deadlines.append(self._hard_kill_ns or seen.kill_ns + LOST_NS)
        if not deadlines:
            return None
        return max(0, min(deadlines) - monotonic_ns()) / 1e9

    def step(self, timeout: float | None) -> None:
        """Wait at most ``timeout`` seconds for events, handle them, and look at the clocks."""
        for fd, _mask in self._poll.poll(-1 if timeout is None else timeout):
            kind, flow = self._watched.get(fd, (-1, None))
            if kind == _REPORT:
                self._on_report()
            elif kind == _PIDFD:
                self._init_gone = True
                self._forget(fd)
            elif kind == _SOURCE and flow is not None:
                self._on_source(flow)
            elif kind == _SINK and flow is not None:
                self._on_sink(flow)
            elif kind == _MEMORY:
                self._on_memory(fd)
            elif kind == _WAKE:
                os.eventfd_read(fd)
            elif kind == _LISTENER:
                self._on_listener()
            elif kind in (_LXCFS, _ASKED, _PEELED):
                self._on_lxcfs(fd, kind)
        self._look_at_clocks()

    def interrupt(self, signal: int) -> None:
        """Pass a signal on to the program; kill everything if it is still there after the grace.

        A second call kills at once. After the end it does nothing.
        """
        if self._wake < 0:
            return
        seen = self._seen
        if seen.term_ns is not None:
            self.kill(words.INTERRUPTED, f"interrupted again by signal {signal}")
            return
        seen.term_ns = monotonic_ns()
        seen.blame(words.INTERRUPTED, f"signal {signal} was passed on")
        self.run.command(lib.PYSB_SIGNAL, signal)
        os.eventfd_write(self._wake, 1)

    def kill(self, kind: str, detail: str) -> None:
        """End the run for this cause. Returns at once; ``done`` tells when all is gone."""
        seen = self._seen
        seen.blame(kind, detail)
        if seen.kill_ns is not None:
            return
        seen.kill_ns = monotonic_ns()
        os.eventfd_write(self._wake, 1)
        if self.leaf is not None:
            self.leaf.kill()
            self.run.kill()
        elif self.run.command(lib.PYSB_KILL):
            # the init still has to say what was used: nobody else can without a cgroup
            self._hard_kill_ns = seen.kill_ns + (POLITE_JOINED_NS if self.spec.joins else POLITE_NS)
        else:
            self.run.kill()

    def close(self) -> None:
        """Leave nothing, whatever has happened: used on the way out of an exception too."""
        if not self._init_gone and self._seen.ended is None:
            if self.leaf is not None:
                self.leaf.kill()  # lifts what would keep it from dying
            if self.spec.joins and self.run.pidfd >= 0 and self.run.command(lib.PYSB_KILL):
                self._await_init(POLITE_JOINED_NS // _MS)
            self.run.kill()
        self._poll.close()
        wake, self._wake = self._wake, -1
        os.close(wake)
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1
        if self._peel is not None:
            self._peel.close()
        if self._listener is not None:
            self._listener.close()
        self._close_namespaces()
        if self.leaf is not None and not self._init_gone and self.run.pidfd >= 0:
            self._await_init(LOST_NS // _MS)
        self.run.close()

    def _close_namespaces(self) -> None:
        namespaces, self.namespaces = self.namespaces, {}
        for fd in namespaces.values():
            os.close(fd)

    def _await_init(self, milliseconds: int) -> None:
        waiting = select.poll()
        waiting.register(self.run.pidfd, select.POLLIN)
        waiting.poll(milliseconds)

    # ---- events ----

    def _watch(self, fd: int, kind: int, mask: int, flow: Flow | None = None) -> None:
        self._watched[fd] = (kind, flow)
        self._poll.register(fd, mask)

    def _forget(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            try:
                self._poll.unregister(fd)
            except OSError:  # closed already; epoll forgets by itself
                pass

    def _watch_source(self, flow: Flow) -> None:
        try:
            self._watch(flow.source, _SOURCE, select.EPOLLIN, flow)
        except PermissionError:  # a regular file is always readable and epoll refuses it: one chunk now,
            self._on_source(flow)  # the next when the sink has taken it
        except OSError:
            flow.ended = True

    def _on_report(self) -> None:
        while True:
            event = self.run.receive()
            if event is None:
                return
            if event is False:
                self._report_open = False
                self._forget(self.run.report)
                if self._seen.end_ns is None:
                    self._seen.end_ns = monotonic_ns()
                if self.run.pidfd < 0:
                    self._init_gone = True  # there never was one
                return
            assert not isinstance(event, bool)
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        seen = self._seen
        seen.notes |= event.notes
        if event.kind == lib.PYSB_SPAWNED:
            self._watch(self.run.pidfd, _PIDFD, select.EPOLLIN)
            if seen.kill_ns is not None:
                self.run.kill()
        elif event.kind == lib.PYSB_BEGAN:
            seen.began = event
            seen.began_ns = self._next_cpu_ns = monotonic_ns()
            self._cpu_seen = (0, seen.began_ns)
            self._plan_cpu(seen.began_ns, 0)
        elif event.kind == lib.PYSB_WAITING:
            self.waiting = True
        elif event.kind == lib.PYSB_FAILED:
            seen.failed = seen.failed or event
        elif event.kind == lib.PYSB_ENDED:
            seen.ended = event
            seen.end_ns = monotonic_ns()
            self._close_namespaces()  # while the init has them too: the last one to close takes the mounts down
        elif event.kind == lib.PYSB_TERMINAL:
            self._on_terminal(event.fd)
        elif event.kind == lib.PYSB_NAMESPACE:
            self._on_namespace(event)
        elif event.kind == lib.PYSB_LISTENER:
            self._take_listener(event.fd)
        elif event.kind == lib.PYSB_UNHEARD:
            seen.unheard = True
        elif event.kind == lib.PYSB_DENIED:
            seen.denied[event.step] = event.extra
        elif event.kind == lib.PYSB_DENIALS:
            seen.denials = event.extra

    def _take_listener(self, fd: int) -> None:
        if self._listen is None or self._listener is not None:
            os.close(fd)
            return
        self._listener = self._listen(fd, self._seen.began.pid if self._seen.began is not None else 0)
        self._seen.listener_due = False
        self._watch(fd, _LISTENER, select.EPOLLIN)

    def _on_listener(self) -> None:
        assert self._listener is not None
        if self._listener.ready():
            return
        self._forget(self._listener.fd)
        if self._listener.killed:  # still open: closed, the call would fail with ENOSYS and the program go on
            self.kill(words.SYSCALL, f"{self._listener.killed}: a system call that was answered with death")
        else:
            self._listener.close()

    def _on_namespace(self, event: Event) -> None:
        if self._peel is not None and self._peel.wants(event.step):
            self._peel.give(event.step, event.fd)
            self._begin_peel()
        elif self.spec.joinable and event.step not in self.namespaces:
            self.namespaces[event.step] = event.fd
        else:
            os.close(event.fd)

    def _on_lxcfs(self, fd: int, kind: int) -> None:
        assert self._peel is not None
        self._forget(fd)
        if kind == _PEELED:
            self._peel.finish()
        elif kind == _LXCFS or not self._peel.heard():
            self._peel.lost()
            self._begin_peel()

    def _begin_peel(self) -> None:
        assert self._peel is not None
        if self._seen.ended is None and self._peel.begin():
            self._watch(self._peel.socket, _PEELED, select.EPOLLIN)

    def _on_terminal(self, master: int) -> None:
        from .streams import Flow

        self.terminal = master
        if self.on_terminal is not None and self.on_terminal(master):
            return
        os.set_blocking(master, False)
        limit = self.spec.limits.output_bytes
        source, sink, tap = self.terminal_ends
        out = Flow("stdout", master, sink if sink >= 0 else None, counted=True, limit=limit)
        out.tap = tap
        flows = [out]
        if source >= 0:
            sender = os.dup(master)  # epoll knows an fd once: one number to read, one to write
            self.streams.keep(sender)
            self._terminal_keys = sender
            flows.append(Flow("stdin", source, sender, counted=False, limit=None))
        for flow in flows:
            self.streams.flows.append(flow)
            self._watch_source(flow)

    def _on_source(self, flow: Flow) -> None:
        limit = self.spec.limits.output_bytes if flow.counted else None
        allowed = None if limit is None else limit - self._seen.output
        number = flow.read(allowed)
        if flow.counted and number > 0:
            self._seen.output += number
            if limit is not None and self._seen.output > limit:
                self.kill(words.OUTPUT, f"output passed {format_size(limit)}")
        if flow.ended:
            self._forget(flow.source)
            if flow.sink is not None and flow.sink == self._terminal_keys:
                flow.pending += b"\x04"  # the end of our stdin, as a terminal says it
        if flow.pending and flow.sink is not None:
            self._forget(flow.source)  # no more of it until the sink has taken this
            self._watch(flow.sink, _SINK, select.EPOLLOUT, flow)
        elif flow.broken:
            self._sink_broken(flow)
        self._close_sink_if_done(flow)

    def _on_sink(self, flow: Flow) -> None:
        flow.write()
        assert flow.sink is not None
        if flow.broken:
            self._forget(flow.sink)
            self._sink_broken(flow)
        elif not flow.pending:
            self._forget(flow.sink)
            if not flow.ended:
                self._watch_source(flow)
        self._close_sink_if_done(flow)

    def _sink_broken(self, flow: Flow) -> None:
        """Nobody reads on: the program is told as a shell would tell it, by a closed pipe."""
        flow.ended = True
        self._forget(flow.source)
        if flow.counted:
            self.streams.drop(flow.source)

    def _close_sink_if_done(self, flow: Flow) -> None:
        if flow.close_sink and flow.done and flow.sink is not None:
            self.streams.drop(flow.sink)

    def _on_memory(self, fd: int) -> None:
        try:
            os.pread(fd, 4096, 0)  # resets memory.events of v2
        except OSError:
            try:
                os.read(fd, 8)  # ESPIPE: the eventfd of v1
            except OSError:
                pass
        self._check_memory()

    def _check_memory(self) -> None:
        if self.leaf is None or self._seen.blames(words.MEMORY):
            return
        kills = self.leaf.oom_kills()
        if kills:
            self.kill(words.MEMORY, f"the kernel killed {kills} of its processes at the memory limit")

    # ---- clocks ----

    def _look_at_clocks(self) -> None:
        now = monotonic_ns()
        seen, limits = self._seen, self.spec.limits
        if seen.kill_ns is not None:
            if self._hard_kill_ns is not None and now >= self._hard_kill_ns:
                self._hard_kill_ns = None
                self.run.kill()
            elif now >= seen.kill_ns + LOST_NS:
                raise SupervisorError(f"the sandbox has not ended {LOST_NS // 10**9} s after SIGKILL")
            return
        if seen.term_ns is not None and now >= seen.term_ns + self.spec.grace_ns:
            self.kill(words.INTERRUPTED, f"still there {format_duration(self.spec.grace_ns)} after the signal")
            return
        if seen.began_ns is None and not self.waiting and self._report_open and now >= self._launched_ns + SETUP_NS:
            self.run.kill()
            raise SupervisorError(f"the sandbox was not ready within {SETUP_NS // 10**9} s; see `pysandbox doctor`")
        if seen.began_ns is None or seen.ended is not None:
            return
        if self.leaf is not None and now >= self._next_cpu_ns:
            self._look_at_cpu(now)
        if self._peel is not None and self._peel.next_ns is not None and now >= self._peel.next_ns:
            asked = self._peel.ask()
            if asked >= 0:
                self._watch(asked, _ASKED, select.EPOLLIN)
        if limits.wall_ns is not None and now >= seen.began_ns + limits.wall_ns:
            self.kill(words.WALL_TIME, f"wall time passed {format_duration(limits.wall_ns)}")

    def _look_at_cpu(self, now: int) -> None:
        assert self.leaf is not None
        if self._cpu_limit_ns is None and self.spec.limits.idle_ns is None and not self._polls_memory:
            self._next_cpu_ns = now + LOST_NS
            return
        used = self._cpu_used()
        if used is None:
            return
        limit, idle = self._cpu_limit_ns, self.spec.limits.idle_ns
        if used - self._cpu_seen[0] >= _MS:
            self._cpu_seen = (used, now)
        if limit is not None and used >= limit:
            self.kill(words.CPU_TIME, f"CPU time passed {format_duration(limit)}")
        elif idle is not None and now - self._cpu_seen[1] >= idle:
            self.kill(words.IDLE, f"hardly any CPU used for {format_duration(idle)}")
        self._plan_cpu(now, used)

    def _plan_cpu(self, now: int, used: int) -> None:
        """The next look: when the limit could be reached if all CPUs worked on it."""
        wait = LOST_NS
        if self._cpu_limit_ns is not None:
            wait = (self._cpu_limit_ns - used) // self._cpus
        if self.spec.limits.idle_ns is not None:
            wait = min(wait, IDLE_POLL_NS, self.spec.limits.idle_ns)
        if self._polls_memory:
            wait = min(wait, MEMORY_POLL_NS)
        self._next_cpu_ns = now + max(POLL_NS, wait)

    def _cpu_used(self) -> int | None:
        total = self.leaf.cpu_ns() if self.leaf is not None else None
        if total is None or self.leaf is None or self._seen.began is None:
            return None
        return max(0, total - self.leaf.baseline_ns(self._seen.began.extra))

    # ---- the result ----

    def result(self) -> Result:
        """The facts, once ``done``. Raises SetupError or SupervisorError: a fault that is not the program's."""
        return result_of(self._seen, self.run, self.spec, self.leaf, self.streams, self._filtered, self._peel,
                         self._oom_around)  # fmt: skip

    def _oom_around(self) -> bool:
        """Has the kernel killed at the memory limit of the sandbox that the run has joined?"""
        return self._shared is not None and (self._shared.oom_kills() or 0) > self._shared_kills

    @property
    def ended(self) -> bool:
        """Is the program gone, or the whole sandbox?"""
        return self._seen.ended is not None or self._init_gone or not self._report_open

    @property
    def heard(self) -> bool:
        """Has the listener of the plan been there? Not where somebody listens to our caller already."""
        return self._seen.began is not None and not self._seen.unheard

    @property
    def unheard(self) -> bool:
        """Did somebody else's listener keep ours away?"""
        return self._seen.unheard

    def denials(self) -> tuple[tuple[RawDenial, ...], int]:
        """The refused calls, and how many more there were of kinds that the init found no room to tell."""
        return self._seen.refused()

    @property
    def lxcfs_died(self) -> bool:
        """Has the lxcfs that the run saw gone away under it?"""
        return self._peel is not None and bool(self._peel.note)

    @property
    def view_lost(self) -> bool:
        """Did lxcfs not give a file that the plan would have shown?"""
        return bool(self._seen.notes & lib.PYSB_NOTE_VIEW_LOST)

    @property
    def groups_kept(self) -> bool:
        return bool(self._seen.notes & lib.PYSB_NOTE_GROUPS_KEPT)

