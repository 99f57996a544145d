"""``pysandbox ci run|check|cache|gitlab ...``: words to values; what is done with them is sandbox/ci's."""

from __future__ import annotations

import os
import sys

from ..errors import RequestError
from ..units import format_size, parse_count, parse_size
from . import jsonfile
from .flags import SUBCOMMANDS, SUBFLAGS, mixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_JOBS = 256


def main(words: list[str]) -> int:
    """Run one subcommand; its exit status."""
    command = words[0] if words else ""
    if command not in SUBCOMMANDS["ci"]:
        raise RequestError("ci", command[:80], f"use one of {', '.join(SUBCOMMANDS['ci'])}; see pysandbox help ci")
    if any(word in ("-h", "--help") for word in words[1:]):
        from .help import main as explain

        return explain(["ci"])
    values, others = mixed(f"ci {command}", SUBFLAGS["ci"][command], words[1:], "ci")
    if command == "gitlab":
        from ..ci.gitlab import driver

        return driver.main(values, others)
    if len(others) != (command != "cache"):
        raise RequestError(
            f"ci {command}", " ".join(others)[:80], "takes no words" if command == "cache" else "takes one job file"
        )
    if command == "cache":
        return _cache(values)
    return _run(values, others[0]) if command == "run" else _check(values, others[0])


def _check(_values: dict[str, Any], path: str) -> int:
    from ..ci import schema
    from ..ci.faults import JobFileError
    from ..ci.report import one_line

    try:
        file = schema.load(path)
    except JobFileError as error:
        for fault in error.faults:
            sys.stderr.write(one_line(fault.text(path)) + "\n")
        return 1
    for job in file.jobs:
        steps = f"{len(job.steps)} step{'s' * (len(job.steps) != 1)}"
        needs = f", needs {', '.join(need.job for need in job.needs)}" if job.needs else ""
        services = f", with {', '.join(service.name for service in job.services)}" if job.services else ""
        sys.stdout.write(one_line(f"{job.title}: {job.image}, {steps}{services}{needs}") + "\n")
    return 0


def _cache(values: dict[str, Any]) -> int:
    import time

    from ..ci import cachestore
    from ..ci.report import one_line

    if "prune" in values:
        for key in cachestore.prune(parse_size("--prune", values["prune"])):
            sys.stdout.write(f"removed {one_line(key)}\n")
        return 0
    for key, size, used_ns in cachestore.entries():
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used_ns / 1e9))
        sys.stdout.write(f"{when}  {format_size(size):>12}  {one_line(key)}\n")
    return 0


def _run(values: dict[str, Any], path: str) -> int:
    from ..ci import junit, schema, session
    from ..ci.report import table
    from ..ci.runner import selected

    file = schema.load(path)
    axes = {}
    for word in values.get("matrix", ()):
        axis, equals, value = word.partition("=")
        if not equals:
            raise RequestError("--matrix", word, "expected AXIS=VALUE")
        axes[axis] = value
    jobs = selected(file, values.get("job", ()), axes)
    at_once = parse_count("--jobs", values.get("jobs", "1"), 1, MAX_JOBS)
    json_path, junit_path = values.get("json"), values.get("junit")
    # What cannot be written should cost no work.
    json_fd = jsonfile.open_for(json_path) if json_path else -1
    junit_fd = jsonfile.open_for(junit_path, "--junit") if junit_path else -1
    live_fd = 2 if json_path == "-" else 1
    result = session.run(
        file,
        jobs,
        at_once=at_once,
        live_fd=live_fd,
        artifacts=values.get("artifacts", ""),
        keep=bool(values.get("keep")),
        caches=not values.get("no_cache"),
    )
    text = "\n".join(table(result)) + "\n"
    os.write(live_fd, text.encode(errors="backslashreplace"))
    if junit_path:
        jsonfile.write(junit_fd, junit.render(result), junit_path, "--junit")
    if json_path:
        jsonfile.write(json_fd, result.to_json(), json_path)
    return result.exit_status
