"""The stages as the runner starts them, and the exit codes that it wants."""

from __future__ import annotations

import contextlib
import os
import sys

from ...errors import RequestError, SandboxError
from ..report import one_line
from . import config, job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

STAGES = {"config": 0, "prepare": 0, "run": 2, "cleanup": 0}


class JobFault(Exception):
    """What the job itself is to blame for: a build failure, which the runner does not try again."""


def main(values: Mapping[str, Any], words: Sequence[str]) -> int:
    """One stage; its exit status. Raises SandboxError only where no runner has started us."""
    stage, *rest = words or ("",)
    if stage not in STAGES:
        raise RequestError("ci gitlab", stage[:80], f"use one of {', '.join(STAGES)}")
    if len(rest) != STAGES[stage]:
        raise RequestError(f"ci gitlab {stage}", " ".join(rest)[:80], "takes the words that the runner adds alone")
    codes = job.codes(os.environ)
    try:
        if stage == "config":
            return _config(values)
        if stage == "prepare":
            return _prepare(values)
        if stage == "run":
            return _run(codes, *rest)
        return _cleanup()
    except JobFault as fault:
        _say(str(fault))
        return codes.build_failure
    except SandboxError as error:
        _say(str(error))
        return codes.system_failure


def _say(text: str) -> None:
    """To the job's log."""
    with contextlib.suppress(OSError):
        os.write(2, f"pysandbox: {one_line(text)}\n".encode(errors="backslashreplace"))


def _config(values: Mapping[str, Any]) -> int:
    from ... import __version__

    named = {name: values[name] for name in ("builds_dir", "cache_dir", "shell") if name in values}
    for name in ("builds_dir", "cache_dir"):
        if not named.get(name, "/").startswith("/"):
            raise RequestError(f"--{name.replace('_', '-')}", named[name], "expected an absolute path inside")
    sys.stdout.write(config.answer(version=__version__, **named))
    sys.stdout.flush()
    return 0


def _prepare(values: Mapping[str, Any]) -> int:
    from . import containers

    try:
        asked = job.read(os.environ, values.get("image", ""))
        containers.check_image(asked.image, values.get("allow_image", ()))
        for service in asked.services:
            containers.check_image(service.image, values.get("allow_image", ()))
    except RequestError as error:
        raise JobFault(str(error)) from None
    containers.prepare(asked, values, os.environ)
    return 0


def _run(codes: job.Codes, script: str, stage: str) -> int:
    from . import containers

    status = containers.run(job.read(os.environ, "none"), script, stage, os.environ)
    if not status:
        return 0
    if codes.exit_code_file:
        # "Build failure exit code": an integer and nothing else; the runner takes it for allow_failure:exit_codes.
        try:
            with open(codes.exit_code_file, "w", encoding="ascii") as file:
                file.write(str(status))
        except OSError as error:
            why = f"cannot be written: {error.strerror}"
            raise RequestError("BUILD_EXIT_CODE_FILE", codes.exit_code_file, why) from None
    return codes.build_failure


def _cleanup() -> int:
    from . import containers

    containers.cleanup(job.read(os.environ, "none"))
    return 0
