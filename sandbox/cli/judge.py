"""``pysandbox judge ...``: the words become values here, everything else is the judge's.

The judge is a package of its own above this one, and is asked for by name: nothing here imports it, so that the
sandbox can be had without it.
"""

from __future__ import annotations

from ..errors import HostError, RequestError
from ..units import parse_count, parse_duration, parse_size
from .flags import JUDGE_COMMANDS, JUDGE_FLAGS, mixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Module -> package of the distribution. Each is imported by the part of the judge that needs it.
LIBRARIES = {"yaml": "python3-yaml", "rich": "python3-rich", "jinja2": "python3-jinja2"}
MAX_JOBS, MAX_RUNS = 4096, 1000


def main(words: list[str]) -> int:
    """Run one subcommand, or judge; its exit status."""
    command = words[0] if words and words[0] in JUDGE_COMMANDS else ""
    rest = words[1:] if command else words
    if any(word in ("-h", "--help") for word in rest[: rest.index("--") if "--" in rest else None]):
        from .help import main as explain

        return explain(["judge"])
    values, others = mixed(f"judge {command}".rstrip(), JUDGE_FLAGS[command], rest, "judge")
    _convert(values)
    _count(command, values, others)
    try:
        judge = __import__("judge.cli", fromlist=["main"])
        return int(judge.main(command, values, others))
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library == "judge" and error.name in ("judge", "judge.cli"):
            raise HostError("this installation has no judge", "install all of the pysandbox wheel") from None
        if library not in LIBRARIES:
            raise
        raise HostError(f"the judge needs the Python library {library}", f"apt install {LIBRARIES[library]}") from None


def _convert(values: dict[str, Any]) -> None:
    """Units and counts, as everywhere: ns, bytes, numbers."""
    if "time" in values:
        values["time"] = parse_duration("--time", values["time"])
        if not values["time"]:
            raise RequestError("--time", 0, "must be more than nothing")
    if "memory" in values:
        values["memory"] = parse_size("--memory", values["memory"])
        if values["memory"] < 1 << 20:
            raise RequestError("--memory", values["memory"], "must be 1M at least")
    for name, least, most in (("jobs", 1, MAX_JOBS), ("reruns", 0, MAX_RUNS), ("runs", 1, MAX_RUNS)):
        if name in values:
            values[name] = parse_count(f"--{name}", values[name], least, most)


def _count(command: str, values: dict[str, Any], others: list[str]) -> None:
    """Raise RequestError unless so many words were given."""
    least, most, what = {
        "": (2, 1 << 16, "a PACKAGE and a SUBMISSION at least, or --all and a PACKAGE"),
        "check": (1, 1 << 16, "one PACKAGE at least"), "languages": (0, 0, "no words"),
        "calibrate": (1, 1, "one PACKAGE"), "verdict": (1, 1, "one file that --json wrote"),
    }[command]  # fmt: skip
    if values.get("all"):
        least, most, what = 1, 1, "with --all one PACKAGE, whose own submissions are judged"
    if not least <= len(others) <= most:
        given = " ".join(others)[:80]
        raise RequestError(f"judge {command}".rstrip(), given, f"takes {what}; see pysandbox help judge")
