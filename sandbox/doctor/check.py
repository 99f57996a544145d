"""Check: one thing that was looked at, and how a question that goes wrong becomes one."""

from __future__ import annotations

import os

from ..errors import HostError, RequestError, SandboxError, SetupError
from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OK, LIMITED, MISSING = "ok", "limited", "missing"


class Check(Record):
    """``state`` is OK, LIMITED (works, but not all of it or not by the best means) or MISSING.

    ``fix`` is the one thing to do; it is there whenever the state is not OK.
    """

    name: str
    state: str
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> Check:
    """It is there and does what it should."""
    return Check(name=name, state=OK, detail=detail)


def limited(name: str, detail: str, fix: str) -> Check:
    """It works in part."""
    return Check(name=name, state=LIMITED, detail=detail, fix=fix)


def missing(name: str, detail: str, fix: str) -> Check:
    """It is not there, or does not work."""
    return Check(name=name, state=MISSING, detail=detail, fix=fix)


def attempt(name: str, question: Callable[[str], Check]) -> Check:
    """Ask; whatever is raised becomes a check that says so. Only the user's own interruption passes."""
    try:
        return question(name)
    except HostError as error:
        return missing(name, error.missing, error.fix or "see docs/hosts.md")
    except SetupError as error:
        what = f"step {error.index} failed: {error.subject}: {os.strerror(error.errno).lower()}"
        return missing(name, what, error.hint or report("pysandbox plan true"))
    except RequestError as error:
        return missing(name, str(error), f"correct or unset {error.field}")
    except SandboxError as error:
        return missing(name, str(error), report("pysandbox doctor --json -"))
    except OSError as error:
        subject = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        said = (error.strerror or str(error)).lower()
        return missing(name, subject + said, report("pysandbox doctor --json -"))
    except Exception as error:  # a doctor that dies of what it finds helps nobody
        what = f"this check itself failed: {type(error).__name__}: {error}"
        return missing(name, what, report("pysandbox doctor --json -"))


def report(command: str) -> str:
    """The fix of last resort."""
    return f"report it with the output of `{command}`"


def as_root(command: str) -> str:
    """A command that root has to type, as this user types it."""
    return command if os.geteuid() == 0 else f"sudo {command}"
