"""A container as its users see it: by name, wherever in its life it is."""

from __future__ import annotations

from .. import locks
from ..errors import RequestError
from . import control, paths, record
from .model import LOST, ContainerConfig, ContainerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ..result import Result
    from .logs import Entry


class Container:
    """One container. ``id``: its 64 digits; ``directory``: where its record and its changed files lie."""

    def __init__(self, identity: str) -> None:
        self.id = identity

    def __repr__(self) -> str:
        return f"Container({self.id[: paths.SHORT]})"

    @property
    def directory(self) -> str:
        return f"{paths.containers()}/{self.id}"

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def state(self) -> ContainerState:
        """As it is now. Raises RequestError if it has been removed."""
        try:
            return record.current(self.id)
        except FileNotFoundError:
            raise RequestError("container", self.id[: paths.SHORT], "has been removed") from None

    @property
    def config(self) -> ContainerConfig:
        """What was asked. Raises RequestError if it has been removed."""
        try:
            return record.read_config(self.directory)
        except FileNotFoundError:
            raise RequestError("container", self.id[: paths.SHORT], "has been removed") from None

    @property
    def running(self) -> bool:
        """Is it running, or paused?"""
        try:
            return record.current(self.id).state in record.ALIVE
        except FileNotFoundError:
            return False

    def call(self, verb: str, *, fds: Sequence[int] = (), **arguments: Any) -> dict[str, Any]:
        """Ask its monitor (verbs.py); fds of the answer are closed. Raises RequestError if it does not run."""
        words, found = self.call_with_fds(verb, fds=fds, **arguments)
        control.close_all(found)
        return words

    def call_with_fds(
        self, verb: str, *, fds: Sequence[int] = (), **arguments: Any
    ) -> tuple[dict[str, Any], list[int]]:
        """As ``call``; the fds of the answer become the caller's."""
        return control.call(self.id, verb, fds, **arguments)

    def kill(self, signal: int = 9) -> None:
        """Send a signal; 9 ends all of it. Raises RequestError if it does not run."""
        self.call("signal", signal=signal)

    def stop(self, grace: int | float | str | None = None, signal: int | None = None) -> int:
        """End it: its stop signal, then after the grace (a duration, 10 s) the kill. Returns its exit status."""
        return int(self.call("stop", signal=signal, grace=grace)["exit_status"])

    def wait(self) -> int:
        """Wait for its end; its exit status, as ``pysandbox run`` has it. Raises RequestError if nobody knows it: it
        was lost, or with ``remove`` it had ended and was gone before this was called."""
        try:
            return int(self.call("wait")["exit_status"])
        except RequestError:
            pass  # not begun, or ended
        try:
            locks.wait_free(f"{self.directory}/lock")
        except FileNotFoundError:
            pass
        state = self.state
        if state.exit_status is None or state.state == LOST:
            raise RequestError("container", state.name, "was lost: its monitor was killed")
        return state.exit_status

    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None,
             workdir: str | None = None, stdin: bytes = b"", stdout: int | None = None, stderr: int | None = None,
             **limits: Any) -> Result:  # fmt: skip
        """Run a program in it, under its policy and limits, and wait for it; its output is in the Result.

        ``stdout``: an fd that the output is written to instead, as it comes; ``stderr`` goes there too unless it has an
        fd of its own. ``limits``: wall, output, grace. Raises RequestError if the container does not run.
        """
        from .execute import execute

        return execute(self.id, argv, env=env, user=user, workdir=workdir, stdin=stdin, stdout=stdout, stderr=stderr,
                       limits=limits)  # fmt: skip

    def logs(self, *, follow: bool = False, since_ns: int | None = None, tail: int | None = None) -> Iterator[Entry]:
        """What it has written; with ``follow`` also what it will write, until it ends."""
        from .logs import entries

        return entries(self, follow=follow, since_ns=since_ns, tail=tail)

    def remove(self, *, force: bool = False) -> None:
        """Remove it and what it has written. Raises RequestError if it runs, unless ``force``: then it is killed."""
        from .remove import remove

        remove(self, force=force)


def find(word: str) -> Container:
    """By name, by id, or by the beginning of an id (4 digits). Raises RequestError."""
    return Container(record.find_id(word))


def list_containers() -> list[Container]:
    """All of them, the oldest first; also those that have ended."""
    states = sorted(record.everyone(), key=lambda state: (state.created_ns, state.id))
    return [Container(state.id) for state in states]


def start(config: ContainerConfig) -> Container:
    """Make a container and run it with a monitor process of its own; returns when its program has begun.

    Raises what a run raises: RequestError, PolicyError, HostError, SetupError, SupervisorError.
    """
    from .starting import start_detached

    return Container(start_detached(config))


__all__ = ["Container", "find", "list_containers", "start"]
