"""A run under way, and its Result: what the supervisor saw, with what was decided before the launch."""

from __future__ import annotations

from . import landlock
from .errors import SetupError
from .spec import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cgroup.protocol import Leaf
    from .decide import Decision
    from .native.spawn import Spawner
    from .raw import RawDenial
    from .request import NetworkPlace, Request
    from .result import Result
    from .scratch import Scratch
    from .streams import Streams
    from .supervise import Supervision


class Running:
    """A run that has been launched: drive it with ``wait()``, or by ``fileno``, ``timeout`` and ``step``.

    ``close()`` kills what is left and removes the cgroup; it is safe to call at any time.
    """

    def __init__(
        self, decision: Decision, leaf: Leaf | None, streams: Streams, supervision: Supervision,
        forget_lxcfs: Callable[[], None], scratch: Scratch | None = None, spawner: Spawner | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.supervision = decision.spec, supervision
        self._decision, self._leaf, self._streams = decision, leaf, streams
        self._forget_lxcfs = forget_lxcfs
        self._scratch, self._spawner = scratch, spawner
        self._closed = False

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def wait(self) -> Result:
        """Wait for the end. Raises SetupError and SupervisorError."""
        watch = self.supervision
        while not watch.done:
            watch.step(watch.timeout())
        return self.result()

    def result(self) -> Result:
        """The Result, once ``supervision.done``."""
        try:
            found = self.supervision.result()
        except SetupError as error:
            from .diagnose import explain_setup

            self._forget_lxcfs()  # it may have been lxcfs
            hint = error.hint or explain_setup(error.step, error.subject, error.errno)
            raise SetupError(error.step, error.index, error.subject, error.errno, hint) from None
        decided = self._decision
        notes, proc = [*decided.notes, *found.notes], decided.view.kind
        if self.supervision.lxcfs_died:
            self._forget_lxcfs()
        if self.supervision.view_lost:
            self._forget_lxcfs()
            proc = "static"
            notes.append(f"lxcfs at {decided.view.source} died before the run: /proc shows our own files instead")
        if self.supervision.groups_kept and decided.host.groups:
            why = "a single-id map forbids setgroups(2); use ids=range to drop them"
            if not self.spec.has("user"):
                why = "without a user namespace only root may drop them"
            notes.append(f"{len(decided.host.groups)} supplementary groups of the caller are kept: {why}")
        listening = decided.listening
        heard = listening is not None and self.supervision.heard
        refused: tuple[RawDenial, ...] = ()
        if listening is not None and listening.denials:
            refused = self._refused(notes)
        # a policy that reports nothing needs nobody to listen
        known = heard and listening is not None and listening.denials
        known = known or (decided.filter.asking == decided.filter.program and self.spec.denials != "off")
        hints: tuple[str, ...] = ()
        if found.exit_code:
            from .hints import hints_for

            hints = hints_for(self.spec, found)
        absent = tuple(n for n in NAMESPACES if n in self.spec.absent and (n, self.spec.net) != ("net", "join"))
        return found.replace(
            enforced=decided.enforced, not_enforced=decided.not_enforced, backend=decided.backend.name,
            policy=self.spec.policy, proc=proc, absent=absent, capabilities=self._capabilities(), notes=tuple(notes),
            hints=hints, sysinfo=heard and decided.answers, refused=refused, denials_known=known,
            isolation=self.spec.isolation, landlock=landlock.report(self.spec, decided.host),
        )  # fmt: skip

    def _capabilities(self) -> tuple[str, ...]:
        if not self.spec.kept:
            return ()
        from .capabilities import names

        return names(self.spec.kept)

    def _refused(self, notes: list[str]) -> tuple[RawDenial, ...]:
        """The refused calls; adds to the notes what the reader should know of them."""
        if not self.supervision.heard:
            if self.supervision.unheard:
                notes.append("refused system calls are not known: somebody listens to this process already (a "
                             "container's manager?), and the kernel allows one listener")  # fmt: skip
            return ()
        raw, more = self.supervision.denials()
        if more:
            notes.append(f"{more} more refused system calls, of further kinds, are not listed")
        return raw

    # ---- more in the same sandbox ----

    @property
    def pid(self) -> int:
        """The number of the sandbox's init on the host; 0 as long as there is none."""
        return self.supervision.run.pid

    @property
    def waiting(self) -> bool:
        """Is all made, and the program waits at its ``gate``?"""
        return self.supervision.waiting

    @property
    def leaf(self) -> Leaf:
        """The run's cgroup: freeze, thaw, update, pids, stats. Raises HostError where it has none."""
        if self._leaf is None:
            from .errors import HostError

            why = self._decision.backend.where.removeprefix("none: ")
            raise HostError(f"the sandbox has no cgroup of its own: {why}",
                            "ask for one (leaf=True, or a limit on memory); `pysandbox doctor` says what is missing"
                            )  # fmt: skip
        return self._leaf

    def ready(self) -> None:
        """Wait until the program begins, or waits at its gate. Raises what ``result`` raises if it comes to neither."""
        watch = self.supervision
        while not (watch.began or watch.waiting):
            if watch.done:
                self.result()
                return
            watch.step(watch.timeout())

    def exec(self, request: Request, *, terminal: int = 0) -> Running:
        """Start a further program in this sandbox (``joinable=True``): in its namespaces, its cgroup, under its policy.

        Of the request count argv, env (over the sandbox's), user, workdir, streams, tty, pass_fds, wall, output, grace,
        gate and policy; anything else is a RequestError, for the sandbox has it already. The CPU time and memory of its
        Result are those of the processes that it waited for. ``terminal``: the fd of one whose size a tty has from the
        first moment on (our stdin). Close what is returned, as always; this object's close() ends it too. Raises
        RequestError, PolicyError, SetupError and SupervisorError.
        """
        from .joining import exec_in

        self._join()
        assert self._spawner is not None
        made = exec_in(self._decision, self.supervision, self._leaf, self._spawner, request, terminal)
        return Running(*made, self._forget_lxcfs, spawner=self._spawner)

    def open_tree(self, path: str, *, recursive: bool = True) -> int:
        """A detached mount of the file or directory at ``path`` in this sandbox, as an fd that is yours to close.

        Links in the path lead nowhere but below the sandbox's root. ``Mount(source=fd)`` shows it in another sandbox.
        Raises SetupError where there is nothing at that path.
        """
        from .joining import open_tree

        self._join()
        assert self._spawner is not None
        return open_tree(self.supervision, self._spawner, path, recursive)

    def namespaces(self) -> dict[str, int]:
        """The sandbox's namespaces as fds, by their names in /proc/PID/ns; they stay this object's."""
        from .joining import KINDS

        self._join()
        there = self.supervision.namespaces
        return {kind: there[number] for number, kind in enumerate(KINDS) if number in there and kind != "root"}

    def place(self) -> NetworkPlace:
        """The network of this sandbox, for others to share (``net="join"``); both fds are yours to close."""
        from .joining import place_of

        self._join()
        return place_of(self.spec, self.supervision)

    def _join(self) -> None:
        """It can be joined, now."""
        from .errors import RequestError, SupervisorError

        if not self.spec.joinable:
            raise RequestError("joinable", False, "this run was not started to be joined; start it with joinable=True")
        self.ready()
        if self._closed or self.supervision.ended:
            raise SupervisorError("the sandbox has ended")

    def close(self) -> None:
        """Leave nothing behind. Raises SupervisorError if the cgroup stays busy."""
        if self._closed:
            return
        self._closed = True
        try:
            self.supervision.close()
        finally:
            self._streams.close()
            try:
                if self._leaf is not None:
                    self._leaf.close()
            finally:
                if self._scratch is not None:
                    self._scratch.close()
