"""The backend where no cgroup can be had: a null object, so that nobody asks "is there a cgroup?".

It enforces nothing. What rlimits and the pid namespace can do instead is other rooms' business.
"""

from __future__ import annotations

from ..errors import HostError
from ..result import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..keeper.client import Keeper
    from ..spec import Limits


class NoneLeaf:
    """A leaf that is not there: accepts everything, knows nothing."""

    event_mask = 0

    def attach_fds(self) -> tuple[int, ...]:
        """Nothing to attach to."""
        return ()

    def clone_fd(self) -> int | None:
        """Nothing to be born into."""
        return None

    def baseline_fd(self) -> int | None:
        """Nothing is accounted."""
        return None

    def open_gauges(self, swap: bool) -> dict[str, tuple[int, bool]]:
        """Nothing is accounted."""
        return {}

    def event_fds(self) -> tuple[int, ...]:
        """Nothing happens."""
        return ()

    def cpu_ns(self) -> int | None:
        """Not accounted."""
        return None

    def baseline_ns(self, raw: bytes) -> int:
        """Not accounted."""
        return 0

    def polls_memory(self) -> bool:
        """No."""
        return False

    def oom_kills(self) -> int | None:
        """Not counted."""
        return None

    def kill(self) -> None:
        """The caller's pid namespace does it."""

    def freeze(self) -> None:
        """Raises HostError, as do the others."""
        raise _nothing()

    def thaw(self) -> None:
        """Raises HostError."""
        raise _nothing()

    def frozen(self) -> bool:
        """No."""
        return False

    def update(self, limits: Limits) -> None:
        """Raises HostError."""
        raise _nothing()

    def pids(self) -> list[int]:
        """Raises HostError."""
        raise _nothing()

    def stats(self) -> dict[str, int | None]:
        """Raises HostError."""
        raise _nothing()

    def usage(self, baseline: bytes) -> Usage:
        """All None."""
        return Usage()

    def close(self) -> None:
        """Nothing to remove."""


def _nothing() -> HostError:
    return HostError("the sandbox has no cgroup", "`pysandbox doctor` says how to get one")


class NoneBackend:
    """No usable cgroup. ``why`` says what was looked at, ``fix`` what to do about it."""

    name = "none"
    charges_writeback = False
    keeper: Keeper | None = None
    family = 0

    def __init__(self, why: str, fix: str) -> None:
        self.where = f"none: {why}"
        self.why, self.fix = why, fix

    def enforces(self) -> dict[str, str]:
        """Nothing; a default pids limit is left to RLIMIT_NPROC of the sandbox's own user namespace."""
        return {}

    def missing(self, limit: str) -> str:
        """Why, and the one fix."""
        return f"{limit} cannot be enforced: {self.why}; {self.fix}"

    def parents(self) -> tuple[str, ...]:
        """No directories."""
        return ()

    def cpus(self) -> frozenset[int]:
        """None."""
        return frozenset()

    def open(self, limits: Limits, disks: tuple[str, ...] = (), whole: bool = False) -> NoneLeaf:
        """The null leaf."""
        return NoneLeaf()

    def below(self, name: str) -> NoneBackend:
        """The same nothing."""
        return self

    def enable(self) -> None:
        """Nothing to enable."""
