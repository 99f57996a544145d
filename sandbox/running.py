"""A run under way, and its Result: what the supervisor saw, with what was decided before the launch."""

from __future__ import annotations

from .errors import SetupError
from .spec import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cgroup.protocol import Leaf
    from .decide import Decision
    from .denials import Denial
    from .result import Result
    from .streams import Streams
    from .supervise import Supervision


class Running:
    """A run that has been launched: drive it with ``wait()``, or by ``fileno``, ``timeout`` and ``step``.

    ``close()`` kills what is left and removes the cgroup; it is safe to call at any time.
    """

    def __init__(
        self, decision: Decision, leaf: Leaf | None, streams: Streams, supervision: Supervision,
        forget_lxcfs: Callable[[], None],
    ) -> None:  # fmt: skip
        self.spec, self.supervision = decision.spec, supervision
        self._decision, self._leaf, self._streams = decision, leaf, streams
        self._forget_lxcfs = forget_lxcfs
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
            notes.append(f"{len(decided.host.groups)} supplementary groups of the caller are kept: a single-id map "
                         "forbids setgroups(2); use ids=range to drop them")  # fmt: skip
        listening = decided.listening
        heard = listening is not None and self.supervision.heard
        denials: tuple[Denial, ...] = ()
        if listening is not None and listening.denials:
            denials = self._denials(notes)
        # a policy that reports nothing needs nobody to listen
        known = heard and listening is not None and listening.denials
        known = known or (decided.filter.asking == decided.filter.program and self.spec.denials != "off")
        hints: tuple[str, ...] = ()
        if found.exit_code:
            from .hints import hints_for

            hints = hints_for(self.spec, found)
        absent = tuple(n for n in NAMESPACES if n in self.spec.absent)
        return found.replace(
            enforced=decided.enforced, not_enforced=decided.not_enforced, backend=decided.backend.name,
            policy=self.spec.policy, proc=proc, absent=absent, capabilities=self._capabilities(), notes=tuple(notes),
            hints=hints, sysinfo=heard and decided.answers, denials=denials, denials_known=known,
        )  # fmt: skip

    def _capabilities(self) -> tuple[str, ...]:
        if not self.spec.kept:
            return ()
        from .capabilities import names

        return names(self.spec.kept)

    def _denials(self, notes: list[str]) -> tuple[Denial, ...]:
        """The refused calls; adds to the notes what the reader should know of them."""
        if not self.supervision.heard:
            if self.supervision.unheard:
                notes.append("refused system calls are not known: somebody listens to this process already (a "
                             "container's manager?), and the kernel allows one listener")  # fmt: skip
            return ()
        raw, more = self.supervision.denials()
        if more:
            notes.append(f"{more} more refused system calls, of further kinds, are not listed")
        if not raw:
            return ()
        if not all(one.exact for one in raw):
            notes.append("the run was ended before the refused system calls could be counted: there may be more")
        from .denials import explain

        return explain(raw, self.spec.policy)

    def close(self) -> None:
        """Leave nothing behind. Raises SupervisorError if the cgroup stays busy."""
        if self._closed:
            return
        self._closed = True
        try:
            self.supervision.close()
        finally:
            self._streams.close()
            if self._leaf is not None:
                self._leaf.close()
