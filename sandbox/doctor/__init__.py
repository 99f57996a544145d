"""What this host can do for this user, found out by trying: the room behind ``pysandbox doctor``.

examine() runs every check in order and returns a Report. Nothing is printed here, nothing raises, and
nothing stays behind but what any run leaves: a warm filter cache, and on cgroup v2 the controllers that a
first run switches on in a subtree that is the user's own, or a keeper, which leaves by itself.

    check.py    the value, and how an exception becomes one
    kernel.py   versions, sysctls, security modules
    trials.py   checks that start a sandbox
    ids.py      subordinate ids
    limits.py   cgroups: which, where, by whom, and each limit; a real memory limit
    helpers.py  programs and devices that some features need
"""

from __future__ import annotations

import os

from ..record import Record
from .check import LIMITED, MISSING, OK, Check, attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

SCHEMA_VERSION = 1

# The checks that `pysandbox run --mem` cannot do without; the last of them is that very thing.
ESSENTIAL = ("native core", "user namespace", "sandbox", "run --mem")


class Report(Record):
    """All checks. ``works`` says whether ``pysandbox run --mem`` does what it promises for this user."""

    user: str
    uid: int
    works: bool
    checks: tuple[Check, ...]

    def reason(self) -> Check | None:
        """The first check that keeps ``run --mem`` from working; None if it works."""
        return next((c for c in self.checks if c.name in ESSENTIAL and c.state == MISSING), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data for json.dumps."""
        return {"schema": SCHEMA_VERSION, "user": self.user, "uid": self.uid, "works": self.works,
                "checks": [check.asdict() for check in self.checks]}  # fmt: skip


def examine() -> Report:
    """Look at everything; takes a fraction of a second, and never more than the trials' own time limits."""
    checks = tuple(_checks())
    works = all(check.state != MISSING for check in checks if check.name in ESSENTIAL)
    return Report(user=_user_name(), uid=os.geteuid(), works=works, checks=checks)


def _checks() -> Iterator[Check]:
    from . import helpers, kernel, limits
    from .trials import Trials

    yield from _all(kernel.QUESTIONS)
    with Trials() as trials:
        yield from _all(trials.questions())
        yield from limits.checks(trials)
    yield from _all(helpers.QUESTIONS)


def _all(questions: tuple[tuple[str, Callable[[str], Check]], ...]) -> Iterator[Check]:
    for name, question in questions:
        yield attempt(name, question)


def _user_name() -> str:
    from ..cgroup.delegation import user_name

    return user_name()


__all__ = ["ESSENTIAL", "LIMITED", "MISSING", "OK", "SCHEMA_VERSION", "Check", "Report", "examine"]
